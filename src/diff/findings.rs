//! The differences found so far, bounded.

use std::cell::RefCell;

use super::echo::Echo;
use super::excerpt::{excerpt, excerpts, put_excerpt};
use super::rules::{Applicable, Ruled, Value};
use super::{Class, Difference, Kind, Layer};
use crate::time::Timestamp;

/// How many differences of one exchange are listed. Beyond it they are counted, and one entry of
/// [`Kind::Unlisted`] says how many.
pub(super) const MAX_LISTED: usize = 1000;

/// Differences whose room is kept.
const MOST_REUSED: usize = 64;

thread_local! {
    /// Differences that nobody needs any more: those of the next exchange, which mostly are like them, are put in their place.
    static ROOM: RefCell<Vec<Difference>> = const { RefCell::new(Vec::new()) };
}

/// Takes differences that nobody needs any more, so that the next ones find their room.
pub fn reuse(mut differences: Vec<Difference>) {
    if !differences.is_empty() {
        differences.truncate(MOST_REUSED);
        ROOM.set(differences);
    }
}

/// Collects what the comparison of one exchange finds.
pub(super) struct Findings<'c> {
    pub(super) echo: Echo<'c>,
    pub(super) rules: &'c Applicable<'c>,
    /// The moments of v1's answer and of v2's.
    answered: [Timestamp; 2],
    ruled: Vec<Ruled>,
    /// Where the content that is being compared lies in the body, when it is not the whole of it.
    inside: String,
    /// How often that is within other content.
    depth: usize,
    /// What is listed, and behind it room that is not used yet.
    room: Vec<Difference>,
    listed: usize,
    unlisted: u64,
    /// The class that weighs most among the unlisted.
    unlisted_class: Option<Class>,
}

impl<'c> Findings<'c> {
    pub(super) fn new(echo: Echo<'c>, rules: &'c Applicable<'c>, answered: [Timestamp; 2]) -> Self {
        Self {
            echo,
            rules,
            answered,
            ruled: Vec::new(),
            inside: String::new(),
            depth: 0,
            room: Vec::new(),
            listed: 0,
            unlisted: 0,
            unlisted_class: None,
        }
    }

    /// Adds a difference. The path is only made where it is listed.
    pub(super) fn push(
        &mut self,
        (layer, kind, class): (Layer, Kind, Class),
        path: impl FnOnce() -> String,
        (v1, v2): (Option<&[u8]>, Option<&[u8]>),
    ) {
        let open = class.counts() || class == Class::NotCompared;
        let has_room = self.listed < MAX_LISTED;
        if !has_room && (!open || self.rules.is_empty()) {
            return self.leave_out(class);
        }
        let shown = match (v1, v2) {
            (Some(v1), Some(v2)) => {
                let (v1, v2) = excerpts(v1, v2);
                (Some(v1), Some(v2))
            }
            (v1, v2) => (v1.map(excerpt), v2.map(excerpt)),
        };
        let path = match path() {
            whole if whole.is_empty() => self.inside.trim_end().to_owned(),
            path if self.inside.is_empty() => path,
            path => [self.inside.as_str(), &path].concat(),
        };
        let mut difference = Difference { layer, path, kind, v1: shown.0, v2: shown.1, class };
        // Rules look at whole values, not at what is shown of them.
        let asked = open && !self.rules.is_empty();
        let rule = asked
            .then(|| self.rules.allowing(&difference, [&Value::of(v1), &Value::of(v2)], self.answered))
            .flatten();
        if rule.is_some() {
            difference.class = Class::RuledOut;
        }
        if !has_room {
            return self.leave_out(difference.class);
        }
        self.ruled.extend(rule.map(|rule| Ruled { difference: self.listed, rule }));
        match self.place() {
            Some(place) => *place = difference,
            None => self.room.push(difference),
        }
        self.listed += 1;
    }

    /// The place of the next difference, where there is room already.
    fn place(&mut self) -> Option<&mut Difference> {
        if self.room.is_empty() {
            self.room = ROOM.take();
        }
        self.room.get_mut(self.listed)
    }

    /// What is listed so far.
    pub(super) fn listed(&self) -> &[Difference] {
        self.room.get(..self.listed).unwrap_or_default()
    }

    /// Lists differences that were found before, of which there are few.
    pub(super) fn list<'d>(&mut self, known: impl IntoIterator<Item = &'d Difference>) {
        for known in known {
            match self.place() {
                // Mostly it is there already, from the row before.
                Some(place) if *place == *known => {}
                Some(place) => place.clone_from(known),
                None => self.room.push(known.clone()),
            }
            self.listed += 1;
        }
    }

    /// Shows another value of one side in the difference that was listed last.
    pub(super) fn show(&mut self, side: usize, value: &[u8]) {
        if let Some(last) = self.listed.checked_sub(1).and_then(|last| self.room.get_mut(last)) {
            let shown = if side == 0 { &mut last.v1 } else { &mut last.v2 };
            put_excerpt(shown.get_or_insert_default(), value);
        }
    }

    /// Puts what is listed into an order, as it would have been found in.
    pub(super) fn sort_listed_by(
        &mut self,
        order: impl FnMut(&Difference, &Difference) -> std::cmp::Ordering,
    ) {
        self.room[..self.listed].sort_by(order);
    }

    /// Counts a difference for which there is no room.
    fn leave_out(&mut self, class: Class) {
        self.unlisted += 1;
        self.unlisted_class = Some(self.unlisted_class.map_or(class, |worst| weightier(worst, class)));
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

    /// All that was listed, and one entry for the rest where there is a rest; and which of them rules allow.
    pub(super) fn finish(mut self) -> (Vec<Difference>, Vec<Ruled>) {
        self.room.truncate(self.listed);
        if let Some(class) = self.unlisted_class {
            self.room.push(Difference {
                layer: Layer::Body,
                path: String::new(),
                kind: Kind::Unlisted,
                v1: None,
                v2: Some(format!("{} more differences", self.unlisted)),
                class,
            });
        }
        (self.room, self.ruled)
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
