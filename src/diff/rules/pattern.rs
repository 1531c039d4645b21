//! Which places in an answer a rule is about.
//!
//! A pattern is a path with open places: names and indices, `*` for any of one step, `..` for any number of
//! steps. It stands for the places that it names and for all that lies below them. JSON is written as in
//! JSONPath (RFC 9535, section 2.3: name, wildcard, index and descendant), markup as the reports write it.

use std::fmt;

/// Steps of a pattern; longer ones are refused.
const MAX_STEPS: usize = 32;

/// A path with open places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    text: String,
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Name(String),
    Index(usize),
    /// Any one step.
    Any,
    /// Any number of steps, none among them.
    Descend,
}

/// How exact a pattern is: what names more is more exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Exactness {
    named: usize,
    steps: usize,
    /// The fewer of them, the more exact.
    descends: std::cmp::Reverse<usize>,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Says what is wrong, and at which character.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let steps = match text.as_bytes() {
            [b'$', ..] => json_steps(&text[1..])?,
            [b'/', ..] => markup_steps(text),
            _ => vec![Step::Name(text.to_owned())],
        };
        if steps.len() > MAX_STEPS {
            return Err(format!("`{text}` has more than {MAX_STEPS} steps"));
        }
        Ok(Self { text: text.to_owned(), steps })
    }

    /// Whether a difference's path is a place of the pattern, or lies below one. JSON within other content goes
    /// by its own path; `$` stands for a content of any format as a whole.
    pub(super) fn covers(&self, path: &str) -> bool {
        let place = path.split_once(" $").map_or(path, |(place, _)| place);
        let inner = path.rfind(" $").map_or(path, |at| &path[at + 1..]);
        match self.text.as_bytes() {
            [b'$'] => true,
            [b'$', ..] => {
                let steps = inner.strip_prefix('$').and_then(|inner| json_steps(inner).ok());
                steps.is_some_and(|steps| covers(&self.steps, &steps))
            }
            [b'/', ..] => place.starts_with('/') && covers(&self.steps, &markup_steps(place)),
            _ => self.text == path,
        }
    }

    /// Whether a path in JSON is a place of the pattern itself.
    pub(super) fn ends_at(&self, path: &str) -> bool {
        let steps = path.strip_prefix('$').and_then(|path| json_steps(path).ok());
        steps.is_some_and(|steps| ends(&self.steps, &steps).last() == Some(&true))
    }

    /// Whether two patterns have a place in common.
    pub(super) fn meets(&self, other: &Self) -> bool {
        meets(&self.steps, &other.steps)
    }

    pub(super) fn exactness(&self) -> Exactness {
        let count = |wanted: fn(&Step) -> bool| self.steps.iter().filter(|step| wanted(step)).count();
        Exactness {
            named: count(|step| matches!(step, Step::Name(_) | Step::Index(_))),
            steps: count(|step| *step != Step::Descend),
            descends: std::cmp::Reverse(count(|step| *step == Step::Descend)),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Step {
    fn fits(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            (a, b) => a == b,
        }
    }
}

/// Whether the pattern leads to a place on the way to the path's end.
fn covers(pattern: &[Step], path: &[Step]) -> bool {
    ends(pattern, path).contains(&true)
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
                ends[at + 1] = ends[at] && step.fits(&path[at]);
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
                (x, y) => x.fits(y) && met[i + 1][j + 1],
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
        let name = match part.split_once('[') {
            Some((name, nth)) if nth.trim_end_matches(']').bytes().all(|b| b.is_ascii_digit()) => name,
            _ => part,
        };
        steps.push(match name {
            "" => Step::Descend,
            "*" => Step::Any,
            name => Step::Name(name.to_owned()),
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
            ("//p", "/html/body/div[2]/p[3]/text()", true),
            ("//p", "$['p']", false),
            ("/html", "/html/head/script $['a']", true),
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
        ] {
            assert_eq!(pattern(a).meets(&pattern(b)), both, "{a} / {b}");
            assert_eq!(pattern(b).meets(&pattern(a)), both, "{b} / {a}");
        }
    }

    #[test]
    fn what_names_more_is_more_exact() {
        let order = ["$", "$..*", "$..id", "$.items[*].id", "$.items[0].id"];
        for pair in order.windows(2) {
            assert!(pattern(pair[0]).exactness() < pattern(pair[1]).exactness(), "{pair:?}");
        }
    }
}
