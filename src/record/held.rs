//! Rows of a recording that wait for what became of their requests when they were sent again.

use std::collections::{BTreeMap, HashMap, VecDeque};

use foldhash::fast::RandomState;

use super::line::AgainLine;
use super::{NotAsked, Row};

/// Rows that wait, and those that do not any more. Their number is that of the requests that a run had waiting
/// to be sent again at one time, which is bounded.
#[derive(Default)]
pub(super) struct Held {
    /// By the order in which they came.
    waiting: BTreeMap<u64, Row>,
    /// Their places by the digests of their names.
    places: HashMap<u64, u64, RandomState>,
    next: u64,
    released: VecDeque<Row>,
}

impl Held {
    pub(super) fn hold(&mut self, row: Row) {
        self.places.insert(row.name().digest(), self.next);
        self.waiting.insert(self.next, row);
        self.next += 1;
    }

    /// Releases the row that this line belongs to; a line without one belongs to a row that is lost.
    pub(super) fn complete(&mut self, again: AgainLine) -> Result<(), String> {
        let place = self.places.remove(&again.row()?);
        if let Some(mut row) = place.and_then(|place| self.waiting.remove(&place)) {
            again.add_to(&mut row)?;
            self.released.push_back(row);
        }
        Ok(())
    }

    /// Nothing more comes for those that wait.
    pub(super) fn give_up(&mut self) {
        self.places.clear();
        let waiting = std::mem::take(&mut self.waiting).into_values();
        self.released.extend(waiting.map(|row| Row { not_asked: Some(NotAsked::Killed), ..row }));
    }

    pub(super) fn released(&mut self) -> Option<Row> {
        self.released.pop_front()
    }
}
