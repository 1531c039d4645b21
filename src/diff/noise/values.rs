//! The values that fresh answers have at one place: each is an event that is tested.
//!
//! A value that comes once tells nothing, and a place that is made anew each time has one for each answer. So there is
//! room for many, of which those are kept that most exchanges show, whichever side showed them: what is kept is chosen by
//! the margins of the tables and favours no side.

use std::collections::BTreeMap;

use super::exact::{Table, Tables};
use super::place::{Event, Observed};

/// Values at one place. Something that five of a thousand answers have comes twice while so many others come, even where
/// every second answer has a value of its own.
const MAX_AT_PLACE: usize = 4096;
/// Values at all places together: some 20 MB.
const MAX_IN_ALL: usize = 200_000;
/// Values that a place may have when there is no room left.
const MIN_AT_PLACE: usize = 32;

/// How many values there are at all places.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Room {
    taken: usize,
}

/// The values of one place, by their digests.
#[derive(Clone, Debug, Default)]
pub(super) struct Values(BTreeMap<u64, Tables>);

impl Values {
    /// Takes in what the fresh answers to one request have.
    pub(super) fn count(&mut self, observed: &Observed, room: &mut Room) {
        let mut values = observed.fresh.iter().flatten().flat_map(|(_, values)| values.iter().copied());
        let is_told = match (values.next(), values.next()) {
            (None, _) => true,
            (Some(one), None) => self.add(one, observed, room),
            (Some(one), Some(other)) => {
                let mut seen: Vec<u64> = [one, other].into_iter().chain(values).collect();
                seen.sort_unstable();
                seen.dedup();
                seen.into_iter().all(|value| self.add(value, observed, room))
            }
        };
        if is_told {
            self.bound(room);
        }
    }

    /// Adds what was seen of one value; says whether both sides were asked.
    fn add(&mut self, value: u64, observed: &Observed, room: &mut Room) -> bool {
        let Some(tables) = observed.tables(|(_, values)| values.contains(&value)) else { return false };
        if tables.iter().any(Table::says) {
            let before = self.0.len();
            let known = self.0.entry(value).or_default();
            for table in tables {
                known.add(table);
            }
            room.taken += self.0.len() - before;
        }
        true
    }

    /// Lets go of what there is no room for.
    pub(super) fn bound(&mut self, room: &mut Room) {
        let most = if room.taken > MAX_IN_ALL { MIN_AT_PLACE } else { MAX_AT_PLACE };
        if self.0.len() > most {
            room.taken -= self.keep(most / 2);
        }
    }

    /// Keeps so many, and says how many went.
    fn keep(&mut self, most: usize) -> usize {
        let before = self.0.len();
        let mut ranks: Vec<(u64, u64)> =
            self.0.iter().map(|(value, tables)| (tables.len(), *value)).collect();
        ranks.sort_unstable_by(|a, b| b.cmp(a));
        for (_, value) in ranks.into_iter().skip(most) {
            self.0.remove(&value);
        }
        before - self.0.len()
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (value, tables) in &other.0 {
            self.0.entry(*value).or_default().merge(tables);
        }
    }

    pub(super) fn events(&self) -> impl Iterator<Item = (Event, &Tables)> {
        self.0.iter().map(|(value, tables)| (Event::Value(*value), tables))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(v1: &[u64], v2: &[u64]) -> Observed {
        let fresh = [v1, v2].map(|side| side.iter().map(|value| (Some(*value), vec![*value])).collect());
        Observed { first: Some(0), fresh }
    }

    /// A value of one answer in two hundred is kept, whatever else there is, and how many others come.
    #[test]
    fn what_comes_again_is_kept_among_what_does_not() {
        let (mut values, mut room) = (Values::default(), Room::default());
        for n in 0..20_000u64 {
            let fresh = |side: u64| 1000 + n * 2 + side;
            let v2 = if n % 200 == 37 { 7 } else { fresh(1) };
            values.count(&observed(&[fresh(0)], &[v2]), &mut room);
            assert!(values.0.len() <= MAX_AT_PLACE + 2);
            assert_eq!(values.0.len(), room.taken);
        }
        let tables = values.0.get(&7).unwrap();
        assert!(tables.len() >= 90, "{}", tables.len());
    }

    #[test]
    fn all_places_together_are_bounded() {
        let mut room = Room::default();
        let mut places = vec![Values::default(); 110];
        for n in 0..1000u64 {
            for values in &mut places {
                values.count(&observed(&[n * 2], &[n * 2 + 1]), &mut room);
            }
        }
        assert!(room.taken <= MAX_IN_ALL + places.len() * MIN_AT_PLACE, "{}", room.taken);
        assert_eq!(room.taken, places.iter().map(|values| values.0.len()).sum::<usize>());
    }
}
