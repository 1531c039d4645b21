//! Comparisons that are remembered: the answers of one service resemble each other, and so do their differences.
//!
//! Of the last pairs of answers the lines of both heads are kept, and what differed. Where both heads of another pair have the
//! same names in the same order, only those fields are compared again that have another value than then; and where the
//! bodies are the same, and what describes them, nothing of them is. What comes out is what a comparison afresh finds.

use std::cell::RefCell;

use super::echo::Context;
use super::findings::Findings;
use super::headers::{self, Scope};
use super::{Difference, body};
use crate::http::Response;

/// Pairs that are kept.
const MOST: usize = 4;
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
    context: Context,
    /// The lines of both heads.
    heads: [Vec<u8>; 2],
    /// The differences of the heads.
    in_heads: Vec<Difference>,
    /// Both bodies, and their differences; empty where those are not known.
    bodies: [Vec<u8>; 2],
    in_bodies: Vec<Difference>,
}

/// Compares two answers of one status under no rules, whose heads are not alike.
pub(super) fn compare(v1: &Response, v2: &Response, context: &Context, findings: &mut Findings<'_>) {
    let sections = [&v1.head.headers, &v2.head.headers];
    let [Some(ours), Some(theirs)] = sections.map(crate::http::Headers::plain_lines) else {
        headers::compare(sections[0], sections[1], Scope::All, findings);
        return body::compare(v1, v2, false, findings);
    };
    LAST.with_borrow_mut(|last| {
        let met = (0..last.len()).find_map(|n| Some((n, last[n].changed([ours, theirs], context)?)));
        if let Some((n, changed)) = met {
            last[..=n].rotate_right(1);
            return last[0].compare(&changed, v1, v2, findings);
        }
        headers::compare(sections[0], sections[1], Scope::All, findings);
        let in_heads = findings.listed().len();
        body::compare(v1, v2, false, findings);
        let is_short = ours.len().max(theirs.len()) <= LONGEST;
        if is_short && findings.listed().len() <= MOST_DIFFERENCES {
            let mut known = if last.len() < MOST { Known::default() } else { last.pop().unwrap_or_default() };
            known.context.clone_from(context);
            refill(&mut known.heads, [ours, theirs]);
            let (in_heads, in_bodies) = findings.listed().split_at(in_heads);
            known.in_heads = in_heads.to_vec();
            known.keep_bodies(v1, v2, in_bodies);
            last.insert(0, known);
        }
    });
}

impl Known {
    /// The names of the fields that have to be compared again; `None` where that is not all that may differ otherwise.
    fn changed<'l>(&self, lines: [&'l [u8]; 2], context: &Context) -> Option<Vec<&'l str>> {
        if self.context != *context {
            return None;
        }
        let mut changed: Vec<&str> = Vec::new();
        let mut note = |name: &'l [u8]| {
            // Where no value is told, a field tells something only that one side has alone.
            let is_told =
                || self.in_heads.iter().any(|known| name.eq_ignore_ascii_case(known.path.as_bytes()));
            if headers::is_never_told(name) && !is_told() {
                return true;
            }
            // Cookies have places of their own.
            let Some(name) = std::str::from_utf8(name).ok().filter(|name| !headers::is_cookie(name)) else {
                return false;
            };
            if !changed.iter().any(|other| other.eq_ignore_ascii_case(name)) {
                changed.push(name);
            }
            changed.len() <= MOST_CHANGED
        };
        let [ours, theirs] = lines;
        let same = headers::have_one_order(ours, &self.heads[0], &mut note)
            && headers::have_one_order(theirs, &self.heads[1], &mut note);
        same.then_some(changed)
    }

    /// Compares two answers in whose heads those fields alone are to be compared again.
    fn compare(&mut self, changed: &[&str], v1: &Response, v2: &Response, findings: &mut Findings<'_>) {
        let is_changed = |d: &&Difference| changed.iter().any(|name| name.eq_ignore_ascii_case(&d.path));
        findings.list(self.in_heads.iter().filter(|known| !is_changed(known)));
        for name in changed {
            headers::compare_named(name, &v1.head.headers, &v2.head.headers, findings);
        }
        if !changed.is_empty() {
            findings.sort_listed_by(headers::in_order);
        }
        let describes = |name: &&str| {
            ["content-type", "content-encoding"].iter().any(|other| other.eq_ignore_ascii_case(name))
        };
        let is_described_alike = !changed.iter().any(describes);
        if is_described_alike && bodies(v1, v2).is_some_and(|bodies| self.bodies == bodies) {
            return findings.list(&self.in_bodies);
        }
        let in_heads = findings.listed().len();
        body::compare(v1, v2, false, findings);
        // Those of the lines that are kept.
        if is_described_alike {
            self.keep_bodies(v1, v2, findings.listed().get(in_heads..).unwrap_or_default());
        }
    }

    fn keep_bodies(&mut self, v1: &Response, v2: &Response, found: &[Difference]) {
        self.in_bodies.clear();
        match bodies(v1, v2).filter(|_| found.len() <= MOST_DIFFERENCES) {
            Some(bodies) => {
                refill(&mut self.bodies, bodies);
                self.in_bodies.extend_from_slice(found);
            }
            None => self.bodies.iter_mut().for_each(Vec::clear),
        }
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

fn refill(kept: &mut [Vec<u8>; 2], with: [&[u8]; 2]) {
    for (kept, with) in kept.iter_mut().zip(with) {
        kept.clear();
        kept.extend_from_slice(with);
    }
}

#[cfg(test)]
mod tests {
    use super::super::echo::Echo;
    use super::super::rules::Applicable;
    use super::super::{HeaderEdit, compare_by_rules, tests::response};
    use super::*;
    use crate::http::ResponseHead;

    fn answer(lines: &[&str], body: &str) -> Response {
        let raw = format!("HTTP/1.1 200 OK\r\n{}\r\n", lines.concat());
        let head: ResponseHead = crate::http::h1::parse_head(raw.into()).unwrap();
        assert!(head.headers.plain_lines().is_some());
        Response { head, ..response(200, &[], body.to_owned()) }
    }

    fn afresh(v1: &Response, v2: &Response, context: &Context) -> Vec<Difference> {
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
            pairs in proptest::collection::vec((side(), side(), 0_usize..3, 0_u8..4), 2..12),
        ) {
            let contexts = ["api-shadow", "api", "other"].map(|shadow| Context {
                host: b"api".to_vec(),
                shadow_host: shadow.into(),
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
            for (v1, v2, context, again) in &pairs {
                // Some have v1's answer in common with the pair before.
                let v1 = before.filter(|_| *again > 0).unwrap_or(*v1);
                before = Some(v1);
                let (v1, v2) = (answer(&v1), answer(v2));
                let context = &contexts[*context / 2];
                let (found, _) = compare_by_rules(&v1, &v2, context, &rules);
                proptest::prop_assert_eq!(&found, &afresh(&v1, &v2, context), "{:?} {:?}", v1.head, v2.head);
            }
        }
    }

    /// The pair that is remembered is met, and what is compared again are the fields that have another value.
    #[test]
    fn only_fields_with_another_value_are_compared_again() {
        let pair = |id: &str, date: &str| {
            let (id, date) = (format!("X-Request-Id: {id}\r\n"), format!("Date: {date}\r\n"));
            [answer(&["Server: a\r\n", &id, &date], "x"), answer(&["Server: b\r\n", &date], "y")]
        };
        let context = Context::default();
        let mut known = Known::default();
        let lines = |[v1, v2]: &'_ [Response; 2]| {
            [v1, v2].map(|answer| answer.head.headers.plain_lines().unwrap().to_vec())
        };
        known.heads = lines(&pair("1", "1"));
        known.in_heads = afresh(&pair("1", "1")[0], &pair("1", "1")[1], &context);
        let changed = |other: &[Vec<u8>; 2]| {
            let names = known.changed([&other[0], &other[1]], &context)?;
            Some(names.into_iter().map(str::to_owned).collect::<Vec<_>>())
        };
        assert_eq!(changed(&lines(&pair("1", "2"))), Some(vec![]));
        assert_eq!(changed(&lines(&pair("2", "2"))), Some(vec!["X-Request-Id".to_owned()]));
        let [v2, v1] = lines(&pair("1", "1"));
        assert_eq!(changed(&[v1, v2]), None);
    }
}
