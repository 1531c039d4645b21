//! Which exchanges a rule is about.

use std::cmp::Reverse;

use super::Subject;
use super::pattern::Exactness;

/// What a rule asks of an exchange; what is `None` is not asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Selector {
    pub(super) route: Option<Glob>,
    pub(super) method: Option<String>,
    pub(super) host: Option<Glob>,
    pub(super) status: Option<StatusRange>,
    pub(super) content_type: Option<Glob>,
}

impl Selector {
    pub(super) fn fits(&self, subject: &Subject<'_>) -> bool {
        let glob = |glob: &Option<Glob>, text: &str| glob.as_ref().is_none_or(|glob| glob.fits(text));
        glob(&self.route, subject.route)
            && glob(&self.host, subject.host)
            && glob(&self.content_type, subject.content_type)
            && self.method.as_deref().is_none_or(|method| method == subject.method)
            && self.status.is_none_or(|range| range.holds(subject.status))
    }

    /// Whether some exchange fits both.
    pub(super) fn meets(&self, other: &Self) -> bool {
        let globs = |a: &Option<Glob>, b: &Option<Glob>| match (a, b) {
            (Some(a), Some(b)) => a.meets(b),
            _ => true,
        };
        let methods = match (&self.method, &other.method) {
            (Some(a), Some(b)) => a == b,
            _ => true,
        };
        let statuses = match (self.status, other.status) {
            (Some(a), Some(b)) => a.meets(b),
            _ => true,
        };
        methods
            && statuses
            && globs(&self.route, &other.route)
            && globs(&self.host, &other.host)
            && globs(&self.content_type, &other.content_type)
    }

    /// How much is asked, and how much of it to the letter.
    pub(super) fn exactness(&self) -> (usize, usize) {
        let globs = [&self.route, &self.host, &self.content_type];
        let given = globs.iter().filter(|glob| glob.is_some()).count();
        let exact = globs.iter().filter(|glob| glob.as_ref().is_some_and(Glob::is_literal)).count();
        let method = usize::from(self.method.is_some());
        let status = usize::from(self.status.is_some());
        let one = usize::from(self.status.is_some_and(StatusRange::is_one));
        (given + method + status, exact + method + one)
    }
}

/// Status codes: one, or all of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StatusRange {
    first: u16,
    last: u16,
}

impl StatusRange {
    /// `404` or `4xx`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let class = text.strip_suffix("xx").or_else(|| text.strip_suffix("XX"));
        let (first, last) = match class {
            Some(class) => class.parse::<u16>().map(|class| (class * 100, class * 100 + 99)),
            None => text.parse::<u16>().map(|status| (status, status)),
        }
        .map_err(|_| format!("`{text}` is no status: 404 or 4xx"))?;
        if (100..=999).contains(&first) {
            Ok(Self { first, last })
        } else {
            Err(format!("`{text}` is no status: 404 or 4xx"))
        }
    }

    pub(super) fn holds(self, status: u16) -> bool {
        (self.first..=self.last).contains(&status)
    }

    /// Whether some status is in both.
    pub(super) fn meets(self, other: Self) -> bool {
        self.first.max(other.first) <= self.last.min(other.last)
    }

    /// One code is more exact than a class.
    pub(super) fn exactness(self) -> Exactness {
        Exactness { named: usize::from(self.is_one()), steps: 1, descends: Reverse(0) }
    }

    fn is_one(self) -> bool {
        self.first == self.last
    }
}

/// A text in which `*` stands for any text, none among it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob(String);

/// Longer patterns are refused, so that telling whether two meet stays cheap.
const MAX_GLOB: usize = 256;

impl Glob {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_GLOB {
            return Err(format!("a pattern is longer than {MAX_GLOB} bytes"));
        }
        Ok(Self(text.to_owned()))
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }

    fn is_literal(&self) -> bool {
        !self.0.contains('*')
    }

    pub(super) fn fits(&self, text: &str) -> bool {
        let mut parts = self.0.split('*');
        let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        // The first place where a part fits leaves the most to those behind it.
        for part in parts {
            let Some(at) = rest.find(part) else { return false };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last)
    }

    /// Whether some text fits both.
    pub(super) fn meets(&self, other: &Self) -> bool {
        let (a, b) = (self.0.as_bytes(), other.0.as_bytes());
        let open = |rest: &[u8]| rest.iter().all(|&b| b == b'*');
        // `met[j]`: what follows the first `i` bytes of one and the first `j` of the other can be the same.
        let mut met: Vec<bool> = (0..=b.len()).map(|j| open(&b[j..])).collect();
        for i in (0..a.len()).rev() {
            let below = met.clone();
            met[b.len()] = open(&a[i..]);
            for j in (0..b.len()).rev() {
                met[j] = match (a[i], b[j]) {
                    (b'*', _) => below[j] || met[j + 1],
                    (_, b'*') => met[j + 1] || below[j],
                    (x, y) => x == y && below[j + 1],
                };
            }
        }
        met[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glob(text: &str) -> Glob {
        Glob::parse(text).unwrap()
    }

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text, fits) in [
            ("/a", "/a", true),
            ("/a", "/ab", false),
            ("/a*", "/a", true),
            ("/a*", "/abc", true),
            ("*/x", "/a/b/x", true),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("a*a", "a", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(glob(pattern).fits(text), fits, "{pattern} / {text}");
        }
    }

    #[test]
    fn globs_meet_where_a_text_fits_both() {
        for (a, b, both) in [
            ("/a*", "*b", true),
            ("/a*", "/b*", false),
            ("/a", "/a", true),
            ("/a", "/a*", true),
            ("a*c", "*b*", true),
            ("a", "b*", false),
            ("*", "", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(glob(a).meets(&glob(b)), both, "{a} / {b}");
            assert_eq!(glob(b).meets(&glob(a)), both, "{b} / {a}");
        }
    }

    #[test]
    fn a_status_is_a_code_or_a_class() {
        assert!(StatusRange::parse("404").unwrap().holds(404));
        assert!(StatusRange::parse("5xx").unwrap().holds(599));
        assert!(!StatusRange::parse("5xx").unwrap().holds(600));
        for text in ["", "xx", "0xx", "40", "4x4", "65536"] {
            assert!(StatusRange::parse(text).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        /// What a glob stands for, told by trying.
        #[test]
        fn globs_that_both_fit_a_text_meet(a in "[ab*]{0,5}", b in "[ab*]{0,5}", text in "[ab]{0,6}") {
            if glob(&a).fits(&text) && glob(&b).fits(&text) {
                proptest::prop_assert!(glob(&a).meets(&glob(&b)));
            }
        }
    }
}
