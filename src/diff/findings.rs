//! The differences found so far, bounded.

use super::echo::Echo;
use super::excerpt::{excerpt, excerpts};
use super::{Class, Difference, Kind, Layer};

/// How many differences of one exchange are listed. Beyond it they are counted, and one entry of
/// [`Kind::Unlisted`] says how many.
pub(super) const MAX_LISTED: usize = 1000;

/// Collects what the comparison of one exchange finds.
pub(super) struct Findings<'c> {
    pub(super) echo: Echo<'c>,
    /// Where the content that is being compared lies in the body, when it is not the whole of it.
    inside: String,
    /// How often that is within other content.
    depth: usize,
    listed: Vec<Difference>,
    unlisted: u64,
    /// The class that weighs most among the unlisted.
    unlisted_class: Option<Class>,
}

impl<'c> Findings<'c> {
    pub(super) fn new(echo: Echo<'c>) -> Self {
        Self { echo, inside: String::new(), depth: 0, listed: Vec::new(), unlisted: 0, unlisted_class: None }
    }

    /// Adds a difference. The path is only made where it is listed.
    pub(super) fn push(
        &mut self,
        (layer, kind, class): (Layer, Kind, Class),
        path: impl FnOnce() -> String,
        (v1, v2): (Option<&[u8]>, Option<&[u8]>),
    ) {
        if self.listed.len() == MAX_LISTED {
            self.unlisted += 1;
            self.unlisted_class = Some(self.unlisted_class.map_or(class, |worst| weightier(worst, class)));
            return;
        }
        let (v1, v2) = match (v1, v2) {
            (Some(v1), Some(v2)) => {
                let (v1, v2) = excerpts(v1, v2);
                (Some(v1), Some(v2))
            }
            (v1, v2) => (v1.map(excerpt), v2.map(excerpt)),
        };
        let path = match path() {
            whole if whole.is_empty() => self.inside.trim_end().to_owned(),
            path => [self.inside.as_str(), &path].concat(),
        };
        self.listed.push(Difference { layer, path, kind, v1, v2, class });
    }

    /// Compares content that lies at `place` within other content: its paths begin with the place.
    pub(super) fn inside(&mut self, place: &str, compare: impl FnOnce(&mut Self)) {
        let outer = self.inside.len();
        self.inside.push_str(place);
        self.inside.push(' ');
        self.depth += 1;
        compare(self);
        self.depth -= 1;
        self.inside.truncate(outer);
    }

    /// How deep within other content the compared content lies.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// All that was listed, and one entry for the rest where there is a rest.
    pub(super) fn finish(mut self) -> Vec<Difference> {
        if let Some(class) = self.unlisted_class {
            self.listed.push(Difference {
                layer: Layer::Body,
                path: String::new(),
                kind: Kind::Unlisted,
                v1: None,
                v2: Some(format!("{} more differences", self.unlisted)),
                class,
            });
        }
        self.listed
    }
}

/// A class that counts against v2 weighs more than one that leaves it open, and that more than one
/// that explains.
fn weightier(a: Class, b: Class) -> Class {
    let weight = |class: Class| match class {
        Class::Confirmed => 3,
        Class::Unverified => 2,
        Class::NotCompared => 1,
        Class::Drift | Class::Volatile | Class::Shadow | Class::RuledOut => 0,
    };
    if weight(b) > weight(a) { b } else { a }
}
