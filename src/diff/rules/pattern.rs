//! Which places in an answer a rule is about.
//!
//! A pattern is a path with open places: names and indices, `*` for any of one step, `..` for any number of
//! steps. It stands for the places that it names and for all that lies below them. JSON is written as in
//! JSONPath (RFC 9535, section 2.3: name, wildcard, index and descendant), markup as the reports write it.

use std::fmt;

use super::super::fingerprint::general_place;

/// Steps of a pattern; longer ones are refused.
const MAX_STEPS: usize = 32;

/// A path with open places. Content within other content has a path for each, the outermost first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    text: String,
    legs: Vec<Leg>,
}

/// The way within one content.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Leg {
    Json(Vec<Step>),
    Markup(Vec<Step>),
    /// A part, a line, a field of a part.
    Other(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Name(String),
    Index(usize),
    /// An element of that name; with what tells it from others (`#main`, `.item`, `[name=q]`) one that has it.
    Element(String, String),
    /// Any one step.
    Any,
    /// Any number of steps, none among them.
    Descend,
}

/// How exact a pattern is: what names more is more exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Exactness {
    pub(super) named: usize,
    pub(super) steps: usize,
    /// The fewer of them, the more exact.
    pub(super) descends: std::cmp::Reverse<usize>,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Says what is wrong, and at which character.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let legs = legs(text)?;
        if legs.iter().map(|leg| leg.steps().len()).sum::<usize>() > MAX_STEPS {
            return Err(format!("`{text}` has more than {MAX_STEPS} steps"));
        }
        Ok(Self { text: text.to_owned(), legs })
    }

    /// Whether a difference's path is a place of the pattern, or lies below one. Content within other content goes by its
    /// own path as well; `$` stands for a content of any format as a whole.
    pub(super) fn covers(&self, path: &str) -> bool {
        if self.text == "$" || self.text == path {
            return true;
        }
        let Ok(legs) = legs(path) else { return false };
        (0..legs.len()).any(|from| legs_cover(&self.legs, &legs[from..]))
    }

    /// Whether a path in JSON is a place of the pattern itself.
    pub(super) fn ends_at(&self, path: &str) -> bool {
        let (Ok(legs), Some(pattern)) = (legs(path), self.legs.last()) else { return false };
        let ([Leg::Json(steps)], Leg::Json(pattern)) = (&*legs, pattern) else { return false };
        ends(pattern, steps).last() == Some(&true)
    }

    /// Whether two patterns have a place in common.
    pub(super) fn meets(&self, other: &Self) -> bool {
        if self.legs.len() == other.legs.len() {
            return self.legs.iter().zip(&other.legs).all(|(a, b)| a.meets(b));
        }
        // The shorter one is that of the content within.
        let last = (self.legs.last(), other.legs.last());
        matches!(last, (Some(a), Some(b)) if self.legs.len().min(other.legs.len()) == 1 && a.meets(b))
    }

    pub(super) fn exactness(&self) -> Exactness {
        let steps = || self.legs.iter().flat_map(Leg::steps);
        let count = |wanted: fn(&Step) -> bool| steps().filter(|step| wanted(step)).count();
        let others = self.legs.iter().filter(|leg| matches!(leg, Leg::Other(_))).count();
        Exactness {
            named: others
                + count(|step| matches!(step, Step::Name(_) | Step::Index(_) | Step::Element(..)))
                + count(|step| matches!(step, Step::Element(_, label) if !label.is_empty())),
            steps: others + count(|step| *step != Step::Descend),
            descends: std::cmp::Reverse(count(|step| *step == Step::Descend)),
        }
    }
}

impl Leg {
    fn steps(&self) -> &[Step] {
        match self {
            Self::Json(steps) | Self::Markup(steps) => steps,
            Self::Other(_) => &[],
        }
    }

    /// Whether this, of a pattern, leads to the end of a path's leg, or, where what lies below counts, to a place on it.
    fn leads(&self, path: &Self, below: bool) -> bool {
        match (self, path) {
            (Self::Json(pattern), Self::Json(path)) | (Self::Markup(pattern), Self::Markup(path)) => {
                let ends = ends(pattern, path);
                if below { ends.contains(&true) } else { ends.last() == Some(&true) }
            }
            (Self::Other(pattern), Self::Other(path)) => pattern == path || *pattern == general_place(path),
            _ => false,
        }
    }

    fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Json(a), Self::Json(b)) | (Self::Markup(a), Self::Markup(b)) => meets(a, b),
            (Self::Other(a), Self::Other(b)) => a == b,
            _ => false,
        }
    }
}

/// Whether a pattern leads to a place on the way to a path's end.
fn legs_cover(pattern: &[Leg], path: &[Leg]) -> bool {
    let Some((last, before)) = pattern.split_last() else { return false };
    path.len() >= pattern.len()
        && before.iter().zip(path).all(|(pattern, path)| pattern.leads(path, false))
        && last.leads(&path[before.len()], true)
}

/// A path in its legs. Those are told apart by how they begin: `$` and all behind it is JSON, `/` up to a space is markup,
/// `part[` up to `]` and a space is a part. The words by which reports tell texts in markup apart are no part of the place.
fn legs(path: &str) -> Result<Vec<Leg>, String> {
    let mut legs = Vec::new();
    let mut rest = path;
    loop {
        let (leg, behind) = match rest.as_bytes() {
            [b'$', ..] => (Leg::Json(json_steps(&rest[1..])?), ""),
            [b'/', ..] => {
                let (place, behind) = rest.split_once(' ').unwrap_or((rest, ""));
                (Leg::Markup(markup_steps(place)), if behind.starts_with('\'') { "" } else { behind })
            }
            _ => {
                let end = part_end(rest).unwrap_or(rest.len());
                (Leg::Other(rest[..end].to_owned()), rest[end..].trim_start_matches(' '))
            }
        };
        legs.push(leg);
        if behind.is_empty() {
            return Ok(legs);
        }
        rest = behind;
    }
}

/// Where the name of a part ends, behind which more follows.
fn part_end(text: &str) -> Option<usize> {
    if text.starts_with("part ") {
        return Some("part".len());
    }
    text.starts_with("part[").then(|| text.find("] ").map(|at| at + 1)).flatten()
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Step {
    /// Whether a step of a path is one that this, of a pattern, stands for.
    fn covers(&self, step: &Self) -> bool {
        match (self, step) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::Element(name, label), Self::Element(of, is)) => {
                name == of && (label.is_empty() || label == is)
            }
            (a, b) => a == b,
        }
    }

    /// Whether two steps of patterns can stand for the same step.
    fn meets(&self, other: &Self) -> bool {
        self.covers(other) || other.covers(self)
    }
}

/// Which beginnings of the path the pattern leads to, by how many steps they have. In time proportional to the
/// product of the lengths.
fn ends(pattern: &[Step], path: &[Step]) -> Vec<bool> {
    let mut ends = vec![false; path.len() + 1];
    ends[0] = true;
    for step in pattern {
        if *step == Step::Descend {
            let first = ends.iter().position(|&end| end).unwrap_or(ends.len());
            ends[first..].fill(true);
        } else {
            for at in (0..path.len()).rev() {
                ends[at + 1] = ends[at] && step.covers(&path[at]);
            }
            ends[0] = false;
        }
    }
    ends
}

/// Whether some path is covered by both.
fn meets(a: &[Step], b: &[Step]) -> bool {
    // `met[i][j]`: what follows the first `i` and `j` steps can be the same, or lie below.
    let mut met = vec![vec![true; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            met[i][j] = match (&a[i], &b[j]) {
                (Step::Descend, _) => met[i + 1][j] || met[i][j + 1],
                (_, Step::Descend) => met[i][j + 1] || met[i + 1][j],
                (x, y) => x.meets(y) && met[i + 1][j + 1],
            };
        }
    }
    met[0][0]
}

/// The steps of a JSONPath behind its `$`.
fn json_steps(text: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let at = text.len() - rest.len() + 1;
        let wrong = |what: &str| format!("${text}: {what} at character {at}");
        if let Some(behind) = rest.strip_prefix("..") {
            steps.push(Step::Descend);
            rest = behind;
            if !rest.starts_with('[') {
                rest = shorthand(rest, &mut steps).ok_or_else(|| wrong("a name must follow `..`"))?;
            }
        } else if let Some(behind) = rest.strip_prefix('.') {
            rest = shorthand(behind, &mut steps).ok_or_else(|| wrong("a name must follow `.`"))?;
        } else if let Some(behind) = rest.strip_prefix('[') {
            rest = bracket(behind, &mut steps)
                .ok_or_else(|| wrong("only ['name'], [0] and [*] are known in brackets"))?;
        } else {
            return Err(wrong("`.` or `[` is expected"));
        }
    }
    Ok(steps)
}

/// A name without quotes, or `*`; what follows it.
fn shorthand<'t>(text: &'t str, steps: &mut Vec<Step>) -> Option<&'t str> {
    let end = text.find(['.', '[']).unwrap_or(text.len());
    steps.push(match &text[..end] {
        "" => return None,
        "*" => Step::Any,
        name => Step::Name(name.to_owned()),
    });
    Some(&text[end..])
}

/// What stands in brackets, behind the opening one; what follows the closing one.
fn bracket<'t>(text: &'t str, steps: &mut Vec<Step>) -> Option<&'t str> {
    if let Some(quote) = text.chars().next().filter(|c| matches!(c, '\'' | '"')) {
        let (name, rest) = quoted(&text[1..], quote)?;
        steps.push(Step::Name(name));
        return rest.strip_prefix(']');
    }
    let (inner, rest) = text.split_once(']')?;
    steps.push(match inner.trim() {
        "*" => Step::Any,
        index => Step::Index(index.parse().ok()?),
    });
    Some(rest)
}

/// The name up to its closing quote, unescaped, and what follows.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => name.push(match chars.next()?.1 {
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => {
                    let digits: String = chars.by_ref().take(4).map(|(_, c)| c).collect();
                    u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32)?
                }
                other => other,
            }),
            _ if c == quote => return Some((name, &text[at + 1..])),
            _ => name.push(c),
        }
    }
    None
}

/// The steps of a path in markup; an element without a number stands for each of its name.
fn markup_steps(text: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for part in text.split('/').skip(1) {
        let place = general_place(part);
        steps.push(match &*place {
            "" => Step::Descend,
            "*" => Step::Any,
            attribute if attribute.starts_with('@') => Step::Name(attribute.to_owned()),
            place => {
                let name = place.find(['#', '.', '[']).unwrap_or(place.len());
                Step::Element(place[..name].to_owned(), place[name..].to_owned())
            }
        });
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap()
    }

    #[test]
    fn a_pattern_covers_its_places_and_what_lies_below() {
        for (text, path, covered) in [
            ("$.a", "$['a']", true),
            ("$.a", "$['a']['b'][3]", true),
            ("$.a", "$['ab']", false),
            ("$.a", "$", false),
            ("$", "$['a']", true),
            ("$", "line 3", true),
            ("$", "", true),
            ("$['a.b']", "$['a.b']", true),
            ("$.items[*].id", "$['items'][7]['id']", true),
            ("$.items[*].id", "$['items'][7]['name']", false),
            ("$.items[2]", "$['items'][2]", true),
            ("$.items[2]", "$['items'][3]", false),
            ("$..id", "$['a'][1]['b']['id']", true),
            ("$..id", "$['id']", true),
            ("$..id", "$['idx']", false),
            ("$..a..b", "$['a']['x']['b']['c']", true),
            ("$..a..b", "$['b']['x']['a']", false),
            ("$..*", "$['a']", true),
            ("$.*.b", "$['a']['b']", true),
            ("$['it\\'s']", "$['it\\'s']", true),
            ("$.a", "/html/head/script $['a']", true),
            ("/html/body/p/@class", "/html/body/p[3]/@class", true),
            ("/html/body/p/@class", "/html/body/p.price[3]/@class", true),
            ("/html/body/p.price", "/html/body/p.price[3]/@class", true),
            ("/html/body/p.price", "/html/body/p[3]/@class", false),
            ("/html/body/p.price", "/html/body/p.total/@class", false),
            ("//input[name=q]", "/html/body/form#search/input[name=q][2]/@value", true),
            ("//input[name=q]", "/html/body/form#search/input[name=page][2]/@value", false),
            ("//form#search", "/html/body/form#search/input[name=q][2]/@value", true),
            ("//p", "/html/body/div[2]/p[3]/text()", true),
            ("//p", "$['p']", false),
            ("/html", "/html/head/script $['a']", true),
            ("/html/head/script $['a'][*]", "/html/head/script[2] $['a'][3]['b']", true),
            ("/html/head/script $['a'][*]", "/html/body/script $['a'][3]", false),
            ("/html $['a']", "/html/head/script $['a']", false),
            ("/html/head/script $['a']", "$['a']", false),
            ("part[j] $['a'][*]", "part[j] $['a'][0]", true),
            ("part[j] $['a'][*]", "part[k] $['a'][0]", false),
            ("part $['a']", "part[2] $['a']", true),
            ("part $['a']", "part[j] $['a']", false),
            ("part[j]", "part[j] $['a']", true),
            ("part[j]", "part[j] line 4", true),
            ("part[j]", "part[j]", true),
            ("part[a b]", "part[a b] content-type", true),
            ("$.a", "part[j] $['a']", true),
            ("//p", "part[j] /html/p", true),
            ("/html/body/p/text()", "/html/body/p[2]/text()", true),
            ("/html/body/p/text() 'costs $ {number}'", "/html/body/p[2]/text()", true),
            ("$['a $b']", "$['a $b']", true),
            ("$['b']", "$['a $b']", false),
            ("line 1", "line 1", true),
            ("x-request-id", "x-request-id", true),
            ("x-request-id", "x-request-ids", false),
        ] {
            assert_eq!(pattern(text).covers(path), covered, "{text} / {path}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_the_place() {
        for (text, at) in [("$x", 1), ("$.", 1), ("$.a[?@.b]", 3), ("$.a[1:2]", 3), ("$['a", 1), ("$.a..", 3)]
        {
            let error = Pattern::parse(text).unwrap_err();
            assert!(error.contains(&format!("at character {at}")), "{text}: {error}");
        }
        assert!(Pattern::parse(&format!("${}", ".a".repeat(33))).is_err());
    }

    #[test]
    fn patterns_meet_where_a_place_is_covered_by_both() {
        for (a, b, both) in [
            ("$.a", "$.a", true),
            ("$.a", "$.b", false),
            ("$.a", "$.a.b", true),
            ("$..id", "$.a.b", true),
            ("$.*.b", "$.a.c", false),
            ("$..a.b", "$.x.a.c", true),
            ("$.a[0]", "$.a[1]", false),
            ("$.a[*]", "$.a[1]", true),
            ("/p", "/p.price", true),
            ("/p.price", "/p.total", false),
        ] {
            assert_eq!(pattern(a).meets(&pattern(b)), both, "{a} / {b}");
            assert_eq!(pattern(b).meets(&pattern(a)), both, "{b} / {a}");
        }
    }

    #[test]
    fn what_names_more_is_more_exact() {
        let order = ["$", "$..*", "$..id", "$.items[*].id", "$.items[0].id"];
        assert!(pattern("/p").exactness() < pattern("/p.price").exactness());
        for pair in order.windows(2) {
            assert!(pattern(pair[0]).exactness() < pattern(pair[1]).exactness(), "{pair:?}");
        }
    }
}
