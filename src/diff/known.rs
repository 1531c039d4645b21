//! Comparisons that are remembered: the answers of one service resemble each other, and so do their differences.
//!
//! Of the last pairs of answers the lines of both heads are kept, and what differed. Where both heads of another pair have the
//! same names in the same order, only those fields are compared again that have another value than then; and where the
//! bodies are the same, and what describes them, nothing of them is. What comes out is what a comparison afresh finds.

use std::cell::RefCell;

use super::echo::Context;
use super::findings::Findings;
use super::headers::{self, Head, Told};
use super::{Difference, body};
use crate::http::{PlainNames, Response};

/// Pairs that are kept.
const MOST: usize = 8;
/// Differences of a pair that is kept.
const MOST_DIFFERENCES: usize = 64;
/// Bytes of a head, and of a body, that are kept.
const LONGEST: usize = 4096;
/// Fields that are compared again.
const MOST_CHANGED: usize = 8;

thread_local! {
    /// The pair that was met last comes first.
    static LAST: RefCell<Vec<Known>> = const { RefCell::new(Vec::new()) };
}

/// A pair of answers, and what was found in it under no rules.
#[derive(Default)]
struct Known {
    /// What the differences were found under.
    context: Context<'static>,
    heads: [Head; 2],
    /// The differences of the heads.
    in_heads: Vec<Difference>,
    /// Whether the heads name the same codings of the bodies.
    coded_alike: bool,
    /// Both bodies, and their differences; empty where those are not known.
    bodies: [Vec<u8>; 2],
    in_bodies: Vec<Difference>,
}

/// Compares two answers of one status under no rules.
pub(super) fn compare(v1: &Response, v2: &Response, context: &Context<'_>, findings: &mut Findings<'_>) {
    let sections = [&v1.head.headers, &v2.head.headers];
    let [Some(ours), Some(theirs)] = sections.map(crate::http::Headers::plain_lines) else {
        super::compare::afresh(v1, v2, findings);
        return;
    };
    LAST.with_borrow_mut(|last| {
        let names = sections.map(crate::http::Headers::plain_names);
        let mut changed = Changed::default();
        let met = (0..last.len())
            .find(|&n| last[n].has(names) && last[n].is_met([ours, theirs], context, &mut changed));
        if let Some(n) = met {
            last[..=n].rotate_right(1);
            return last[0].compare(&changed, (v1, v2), context, findings);
        }
        let in_heads = super::compare::afresh(v1, v2, findings);
        let is_short = ours.len().max(theirs.len()) <= LONGEST;
        if is_short && findings.listed().len() <= MOST_DIFFERENCES {
            let mut known = if last.len() < MOST { Known::default() } else { last.pop().unwrap_or_default() };
            known.keep((v1, v2), [ours, theirs], context, findings.listed().split_at(in_heads));
            last.insert(0, known);
        }
    });
}

/// What of two heads is other than in those that are kept.
#[derive(Default)]
struct Changed<'l> {
    /// The names of the fields that have to be compared again.
    named: Vec<&'l str>,
    /// Fields that one side alone has: the place of the difference that they are, and what it shows of which side.
    lone: [Option<(usize, usize, &'l [u8])>; MOST_CHANGED],
    /// Whether one of them describes the body.
    describes: bool,
}

impl<'l> Changed<'l> {
    /// Notes the field of a side that has another value; says whether that leaves anything to be remembered.
    fn note(&mut self, side: usize, told: Told, (name, value): (&'l [u8], &'l [u8])) -> bool {
        self.describes |= told != Told::Never
            && [&b"content-type"[..], b"content-encoding"]
                .iter()
                .any(|other| other.eq_ignore_ascii_case(name));
        match told {
            Told::Never => true,
            Told::Apart => false,
            Told::Alone(nth) => {
                let free = self.lone.iter_mut().find(|place| place.is_none());
                free.map(|place| *place = Some((nth, side, value))).is_some()
            }
            Told::Compared => {
                let Ok(name) = std::str::from_utf8(name) else { return false };
                if !self.has(name) {
                    self.named.push(name);
                }
                self.named.len() <= MOST_CHANGED
            }
        }
    }

    /// Whether a field of that name has to be compared again.
    fn has(&self, name: &str) -> bool {
        self.named.iter().any(|other| other.eq_ignore_ascii_case(name))
    }

    /// What the difference in that place shows otherwise.
    fn lone(&self, nth: usize) -> Option<(usize, &'l [u8])> {
        let found = self.lone.iter().map_while(|lone| *lone).find(|(place, _, _)| *place == nth);
        found.map(|(_, side, value)| (side, value))
    }
}

impl Known {
    /// Whether its heads have so many fields, and of those names. Others are not held against it line by line.
    fn has(&self, names: [Option<PlainNames>; 2]) -> bool {
        self.heads.iter().map(|head| head.names).eq(names)
    }

    /// Whether two answers of those lines may differ otherwise at most in what has `changed`.
    fn is_met<'l>(&mut self, lines: [&'l [u8]; 2], context: &Context<'_>, changed: &mut Changed<'l>) -> bool {
        *changed = Changed::default();
        // What is compared again is so under the context of its own.
        let is_in_context =
            (self.in_heads.is_empty() && self.in_bodies.is_empty()) || self.context.has_echoes_of(context);
        let known = &self.in_heads;
        is_in_context
            && self.heads.iter_mut().zip(lines).enumerate().all(|(side, (head, lines))| {
                head.is_like(lines, (side, known), |told, field| changed.note(side, told, field))
            })
    }

    /// Compares two answers in whose heads nothing but that has changed.
    fn compare(
        &mut self,
        changed: &Changed<'_>,
        (v1, v2): (&Response, &Response),
        context: &Context<'_>,
        findings: &mut Findings<'_>,
    ) {
        for (nth, known) in self.in_heads.iter().enumerate().filter(|(_, known)| !changed.has(&known.path)) {
            findings.list([known]);
            if let Some((side, value)) = changed.lone(nth) {
                findings.show(side, value);
            }
        }
        for name in &changed.named {
            headers::compare_named(name, &v1.head.headers, &v2.head.headers, findings);
        }
        if !changed.named.is_empty() {
            findings.sort_listed_by(headers::in_order);
        }
        if changed.describes {
            return body::compare(v1, v2, false, findings);
        }
        if bodies(v1, v2).is_some_and(|bodies| self.bodies == bodies) {
            return findings.list(&self.in_bodies);
        }
        let in_heads = findings.listed().len();
        body::compare(v1, v2, self.coded_alike, findings);
        self.keep_bodies((v1, v2), context, findings.listed().get(in_heads..).unwrap_or_default());
    }

    /// Takes another pair in the place of this one.
    fn keep(
        &mut self,
        (v1, v2): (&Response, &Response),
        lines: [&[u8]; 2],
        context: &Context<'_>,
        (in_heads, in_bodies): (&[Difference], &[Difference]),
    ) {
        let sections = [&v1.head.headers, &v2.head.headers];
        for (head, (section, lines)) in self.heads.iter_mut().zip(sections.into_iter().zip(lines)) {
            head.keep(section.plain_names(), lines);
        }
        in_heads.clone_into(&mut self.in_heads);
        self.coded_alike = body::are_coded_alike(sections[0], sections[1]);
        self.put_in(context);
        self.keep_bodies((v1, v2), context, in_bodies);
    }

    fn put_in(&mut self, context: &Context<'_>) {
        if self.context != *context {
            self.context = context.kept();
        }
    }

    /// Keeps bodies and how they differ. Of equal ones that is found as soon as it is remembered.
    fn keep_bodies(&mut self, (v1, v2): (&Response, &Response), context: &Context<'_>, found: &[Difference]) {
        self.bodies.iter_mut().for_each(Vec::clear);
        let differing = bodies(v1, v2).filter(|[ours, theirs]| ours != theirs);
        let Some(bodies) = differing.filter(|_| found.len() <= MOST_DIFFERENCES) else {
            return self.in_bodies.clear();
        };
        self.put_in(context);
        for (kept, body) in self.bodies.iter_mut().zip(bodies) {
            kept.extend_from_slice(body);
        }
        found.clone_into(&mut self.in_bodies);
    }
}

/// Two bodies that may be kept: whole and short ones, neither of them empty.
fn bodies<'r>(v1: &'r Response, v2: &'r Response) -> Option<[&'r [u8]; 2]> {
    let of = |response: &'r Response| {
        let entity = response.body.entity.as_deref().filter(|_| response.completeness.is_complete());
        entity.filter(|entity| (1..=LONGEST).contains(&entity.len()))
    };
    Some([of(v1)?, of(v2)?])
}

#[cfg(test)]
mod tests {
    use super::super::echo::Echo;
    use super::super::headers::Scope;
    use super::super::rules::Applicable;
    use super::super::{HeaderEdit, compare_by_rules, reuse, tests::response};
    use super::*;
    use crate::http::ResponseHead;

    fn answer(lines: &[&str], body: &str) -> Response {
        let raw = format!("HTTP/1.1 200 OK\r\n{}\r\n", lines.concat());
        let head: ResponseHead = crate::http::h1::parse_head(raw.into()).unwrap();
        assert!(head.headers.plain_lines().is_some());
        Response { head, ..response(200, &[], body.to_owned()) }
    }

    fn afresh(v1: &Response, v2: &Response, context: &Context<'_>) -> Vec<Difference> {
        let rules = Applicable::default();
        let mut findings = Findings::new(Echo::new(context), &rules, [v1.first_byte, v2.first_byte]);
        headers::compare(&v1.head.headers, &v2.head.headers, Scope::All, &mut findings);
        body::compare(v1, v2, false, &mut findings);
        findings.finish().0
    }

    /// Lines of which each answer has some: of fields of every sort, twice, in other cases and with other white space.
    const LINES: [[&str; 3]; 14] = [
        ["Date: 1\r\n", "Date: 2\r\n", "date: 3\r\n"],
        ["Content-Type: application/json\r\n", "Content-Type: text/plain\r\n", "Content-Type:text/plain\r\n"],
        ["X-Request-Id: a\r\n", "X-Request-Id: b\r\n", "x-request-id: c\r\n"],
        ["Server: a\r\n", "Server: b\r\n", "Server:  b\r\n"],
        ["Set-Cookie: a=1\r\n", "Set-Cookie: a=2\r\n", "Set-Cookie: b=1\r\n"],
        [
            "Cache-Control: no-store, max-age=1\r\n",
            "Cache-Control: max-age=1, no-store\r\n",
            "Cache-Control: a\r\n",
        ],
        ["Content-Length: 1\r\n", "Content-Length: 2\r\n", "Connection: close\r\n"],
        ["Location: http://api/x\r\n", "Location: http://api-shadow/x\r\n", "Location: /y\r\n"],
        ["ETag: \"a\"\r\n", "ETag: W/\"a\"\r\n", "ETag: \"b\"\r\n"],
        ["Vary: a\r\n", "Vary: b\r\n", "Vary: c\r\n"],
        ["Vary: d\r\n", "vary: e\r\n", "Vary: c\r\n"],
        ["X-Sent: 1\r\n", "X-Sent: 2\r\n", "x-sent: 1\r\n"],
        ["Age: 1\r\n", "Age: 2\r\n", "Age:\r\n"],
        ["Content-Encoding: gzip\r\n", "Content-Encoding: x\r\n", "Content-Encoding: identity\r\n"],
    ];
    const BODIES: [&str; 6] = ["", "{\"a\":1}", "{\"a\":2}", "[1]", "text", "other\ntext"];

    type Side = (u16, [u8; 14], usize);

    fn side() -> impl proptest::strategy::Strategy<Value = Side> {
        use proptest::prelude::*;
        // Mostly the same fields, in one of few values.
        let fields = prop_oneof![Just(0x3fff_u16), Just(0x1ac3), Just(0x0887), any::<u16>()];
        let ways = proptest::array::uniform14(prop_oneof![6 => Just(0_u8), 2 => Just(1), 1 => Just(2)]);
        (fields, ways, 0..BODIES.len())
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(300))]
        #[test]
        fn what_is_remembered_changes_nothing(
            pairs in proptest::collection::vec((side(), side(), 0_usize..3, 0_u8..4, 0_u8..3), 2..12),
        ) {
            let contexts = ["api-shadow", "api", "other"].map(|shadow| Context {
                host: b"api".into(),
                shadow_host: shadow.as_bytes().into(),
                edits: vec![HeaderEdit { name: "x-sent".into(), value: Some(b"1".to_vec()) }],
                ..Context::default()
            });
            let answer = |(fields, ways, body): &Side| {
                let chosen = LINES.iter().zip(ways).enumerate().filter(|(n, _)| fields >> n & 1 == 1);
                let lines: Vec<_> = chosen.map(|(_, (line, way))| line[usize::from(*way)]).collect();
                answer(&lines, BODIES[*body])
            };
            let rules = Applicable::default();
            let mut before: Option<Side> = None;
            for (v1, v2, context, again, alike) in &pairs {
                // Some have v1's answer in common with the pair before, and some the sorts of fields.
                let v1 = before.filter(|_| *again > 0).unwrap_or(*v1);
                before = Some(v1);
                let v2 = if *alike == 0 { (v1.0, v2.1, v1.2) } else { *v2 };
                let (v1, v2) = (answer(&v1), answer(&v2));
                let context = &contexts[*context / 2];
                let (found, _) = compare_by_rules(&v1, &v2, context, &rules);
                proptest::prop_assert_eq!(&found, &afresh(&v1, &v2, context), "{:?} {:?}", v1.head, v2.head);
                reuse(found);
            }
        }
    }

    /// The pair that is remembered is met, and what is compared again are the fields that have another value, of those of which
    /// a value is told.
    #[test]
    fn only_fields_with_another_value_are_compared_again() {
        let pair = |id: &str, date: &str, kind: &str| {
            let (id, date) = (format!("X-Request-Id: {id}\r\n"), format!("Date: {date}\r\n"));
            let kind = format!("X-Kind: {kind}\r\n");
            [
                answer(&["Server: a\r\n", &kind, &id, &date], "x"),
                answer(&["Server: b\r\n", &date, &kind], "y"),
            ]
        };
        let context = Context::default();
        let mut known = Known::default();
        let first = pair("1", "1", "1");
        let lines = |[v1, v2]: &'_ [Response; 2]| {
            [v1, v2].map(|answer| answer.head.headers.plain_lines().unwrap().to_vec())
        };
        let found = afresh(&first[0], &first[1], &context);
        let [ours, theirs] = lines(&first);
        known.keep((&first[0], &first[1]), [&ours, &theirs], &context, found.split_at(2));
        assert_eq!(
            known.in_heads.iter().map(|d| d.path.as_str()).collect::<Vec<_>>(),
            ["server", "x-request-id"]
        );
        let mut changed = |other: &[Vec<u8>; 2]| {
            let mut changed = Changed::default();
            let is_met = known.is_met([&other[0], &other[1]], &context, &mut changed);
            let lone =
                changed.lone(1).map(|(side, value)| (side, String::from_utf8(value.to_vec()).unwrap()));
            is_met.then(|| (changed.named.into_iter().map(str::to_owned).collect::<Vec<_>>(), lone))
        };
        assert_eq!(changed(&lines(&pair("1", "2", "1"))), Some((vec![], None)));
        assert_eq!(changed(&lines(&pair("2", "2", "1"))), Some((vec![], Some((0, "2".to_owned())))));
        assert_eq!(changed(&lines(&pair("1", "2", "2"))), Some((vec!["X-Kind".to_owned()], None)));
        let [v2, v1] = lines(&first);
        assert_eq!(changed(&[v1, v2]), None);
    }
}
