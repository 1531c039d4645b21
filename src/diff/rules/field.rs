//! Which header fields, and which cookies, a rule is about.

use std::cmp::Reverse;

use super::pattern::Exactness;
use super::selector::Glob;

/// Fields by a name in lower case, in which `*` stands for any text; a cookie is `set-cookie[name]`, and its name is taken to
/// the letter (RFC 6265, section 5.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field(Glob);

impl Field {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let name = text.find('[').unwrap_or(text.len());
        Glob::parse(&[&text[..name].to_ascii_lowercase(), &text[name..]].concat()).map(Self)
    }

    /// Whether a difference's path is that of such a field, or of a cookie that such a field sets.
    pub(super) fn covers(&self, path: &str) -> bool {
        self.0.fits(path) || path.split_once('[').is_some_and(|(name, _)| self.0.fits(name))
    }

    pub(super) fn meets(&self, other: &Self) -> bool {
        self.0.meets(&other.0)
    }

    /// Names to the letter first, then what names a cookie.
    pub(super) fn exactness(&self) -> Exactness {
        let (name, cookie) =
            self.0.text().split_once('[').map_or((self.0.text(), None), |(n, c)| (n, Some(c)));
        let exact = |text: &str| usize::from(!text.contains('*'));
        let named = exact(name) + cookie.map_or(0, exact);
        Exactness { named, steps: 1 + usize::from(cookie.is_some()), descends: Reverse(0) }
    }
}
