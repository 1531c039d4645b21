//! Which values a difference is made of: the pairs that many of its rows show, and a few that vary.

use serde::{Deserialize, Serialize};

use crate::diff::Difference;
use crate::record::RequestName;

/// Examples for each distinct difference.
const EXAMPLES: usize = 5;
/// Pairs that are counted at one time. A pair that more than one in nine rows shows is never lost.
const COUNTED: usize = 8;
/// Pairs that are told.
const TOLD: usize = 5;

/// A row that shows a difference, with its values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// The row's request, by the exchange's id.
    pub exchange: String,
    /// v1's value; `None` where v1 has none.
    pub v1: Option<String>,
    /// v2's value; `None` where v2 has none.
    pub v2: Option<String>,
}

/// Two values that several rows show together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValuePair {
    /// v1's value; `None` where v1 has none.
    pub v1: Option<String>,
    /// v2's value; `None` where v2 has none.
    pub v2: Option<String>,
    /// In at least so many rows.
    pub at_least: u64,
}

type Pair = (Option<String>, Option<String>);

/// The values of one distinct difference, in memory that does not grow with the number of rows.
#[derive(Clone, Default)]
pub(super) struct Values {
    /// Rows whose pairs all differ, in their order.
    varied: Vec<(RequestName, Pair)>,
    /// The first rows besides those.
    others: Vec<RequestName>,
    /// The counters of Misra and Gries (Finding repeated elements, 1982): each is too low by at most the number of
    /// rows divided by one more than the number of counters.
    counters: Vec<(Pair, u64)>,
}

impl Values {
    pub(super) fn count(&mut self, row: RequestName, difference: &Difference) {
        let shows = |(v1, v2): &Pair| *v1 == difference.v1 && *v2 == difference.v2;
        let pair = || (difference.v1.clone(), difference.v2.clone());
        let counter = self.counters.iter_mut().find(|(known, _)| shows(known));
        // While fewer than all examples are there, each pair that was met is one of them.
        let may_be_new = counter.is_none() && self.varied.len() < EXAMPLES;
        if may_be_new && !self.varied.iter().any(|(_, known)| shows(known)) {
            self.varied.push((row, pair()));
        } else if self.others.len() < EXAMPLES {
            self.others.push(row);
        }
        if let Some((_, count)) = counter {
            *count += 1;
        } else if self.counters.len() < COUNTED {
            self.counters.push((pair(), 1));
        } else {
            self.counters.iter_mut().for_each(|(_, count)| *count -= 1);
            self.counters.retain(|(_, count)| *count > 0);
        }
    }

    /// Rows that show the difference: those whose values vary before others.
    pub(super) fn exchanges(&self) -> Vec<String> {
        let varied = self.varied.iter().map(|(row, _)| row);
        varied.chain(&self.others).take(EXAMPLES).map(ToString::to_string).collect()
    }

    pub(super) fn examples(&self) -> Vec<Example> {
        let example = |(row, (v1, v2)): &(RequestName, Pair)| Example {
            exchange: row.to_string(),
            v1: v1.clone(),
            v2: v2.clone(),
        };
        self.varied.iter().map(example).collect()
    }

    /// Pairs that more than one row shows, the most common first.
    pub(super) fn common(self) -> Vec<ValuePair> {
        let mut counters = self.counters;
        counters.retain(|(_, count)| *count > 1);
        counters.sort_by(|(a, one), (b, other)| other.cmp(one).then_with(|| a.cmp(b)));
        let told = counters.into_iter().take(TOLD);
        told.map(|((v1, v2), at_least)| ValuePair { v1, v2, at_least }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::{Class, Kind, Layer};
    use crate::exchange::ExchangeId;

    fn counted(values: impl IntoIterator<Item = u64>) -> Values {
        let mut all = Values::default();
        for (n, value) in (0..).zip(values) {
            let difference = Difference {
                layer: Layer::Body,
                path: "$['a']".into(),
                kind: Kind::ValueChanged,
                v1: Some("x".into()),
                v2: Some(value.to_string()),
                class: Class::Unverified,
            };
            all.count(RequestName { id: ExchangeId(n), lap: 0 }, &difference);
        }
        all
    }

    #[test]
    fn examples_vary_and_others_fill_up() {
        let values = counted([7, 7, 7, 8, 7, 9]);
        let shown: Vec<_> = values.examples().into_iter().filter_map(|example| example.v2).collect();
        assert_eq!(shown, ["7", "8", "9"]);
        let ids: Vec<_> = values.exchanges().iter().map(|id| u64::from_str_radix(id, 16).unwrap()).collect();
        assert_eq!(ids, [0, 3, 5, 1, 2]);
    }

    #[test]
    fn what_is_common_is_found_among_values_that_never_come_again() {
        // Every third row shows 1, every fourth 2; all others are of their own.
        let values = counted((0..12_000_u64).map(|n| match (n % 3, n % 4) {
            (0, _) => 1,
            (_, 0) => 2,
            _ => 1000 + n,
        }));
        assert!(values.counters.len() <= COUNTED);
        let common = values.common();
        let of = |value: &str| {
            let pair = common.iter().find(|pair| pair.v2.as_deref() == Some(value)).unwrap();
            pair.at_least
        };
        // In truth 4,000 and 2,000; a counter is too low by at most a ninth of all rows.
        assert!((4000 - 12_000 / 9..=4000).contains(&of("1")), "{common:?}");
        assert!((2000 - 12_000 / 9..=2000).contains(&of("2")), "{common:?}");
    }
}
