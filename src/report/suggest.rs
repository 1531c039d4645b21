//! Candidate rules, each with its evidence: for a person to read, choose from and give reasons to.
//!
//! A rule is offered for a distinct difference that was measured to be noise, and for one of which nothing was asked again
//! but all of whose pairs of values something narrower than leaving the place out would allow. It has the narrowest effect
//! that covers what was seen, which is what the rule would do: the same code tries it.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;

use super::facts::v2_response;
use super::ignore_rule::rule;
use super::route::Routes;
use super::summary::{DistinctDifference, Summary};
use super::tally::Judged;
use crate::diff::{Allowing, Class, Fingerprint};
use crate::record::Row;

/// Places of which values are looked at; more are not offered as rules.
const MOST: usize = 2000;
/// Values of a side that are told apart.
const MOST_VALUES: usize = 1000;

/// What was seen at the places of distinct differences.
#[derive(Default)]
pub struct Suggestions {
    names: Routes,
    places: HashMap<Fingerprint, Seen>,
    beyond: u64,
}

#[derive(Default)]
struct Seen {
    pairs: u64,
    allowing: Allowing,
    values: [BTreeSet<Option<String>>; 2],
}

impl Suggestions {
    /// Nothing seen yet, on these routes.
    #[must_use]
    pub fn new(names: Routes) -> Self {
        Self { names, ..Self::default() }
    }

    /// Looks at the differences of a row.
    pub fn add(&mut self, row: &Row, judged: Option<&Judged>) {
        let (Some(judged), Some(v1), Some(v2)) = (judged, &row.exchange.response, v2_response(row)) else {
            return;
        };
        let head = &row.exchange.request.head;
        for difference in judged.differences.iter().filter(|difference| may_be_noise(difference.class)) {
            let fingerprint = self.names.fingerprint(head, difference);
            if self.places.len() >= MOST && !self.places.contains_key(&fingerprint) {
                self.beyond += 1;
                continue;
            }
            let seen = self.places.entry(fingerprint).or_default();
            seen.pairs += 1;
            seen.allowing.see(difference, [v1.last_byte, v2.last_byte]);
            for (values, value) in seen.values.iter_mut().zip([&difference.v1, &difference.v2]) {
                if values.len() < MOST_VALUES {
                    values.insert(value.clone());
                }
            }
        }
    }

    /// The text of a rules file with what is offered, most frequent first.
    #[must_use]
    pub fn text(&self, summary: &Summary) -> String {
        let mut out = String::from("# Candidates: keep what you can give a reason for.\n");
        let mut offered = 0;
        for d in summary.differences.iter().filter(|d| may_be_noise(d.class)) {
            let Some(seen) = self.places.get(&d.fingerprint) else { continue };
            let is_measured = d.class == Class::Volatile;
            if !is_measured && (!seen.allowing.is_narrow() || seen.pairs < 2) {
                continue;
            }
            let Some(text) = rule(d, seen.allowing.narrowest()) else { continue };
            offered += 1;
            // Writing to a string does not fail.
            let _ = write!(out, "\n{}{text}", evidence(d, seen));
        }
        if offered == 0 {
            out.push_str("# None: nothing was seen that is likely to be noise.\n");
        }
        if self.beyond > 0 {
            let _ = writeln!(
                out,
                "\n# {} more differences, at places beyond {MOST}, were not looked at.",
                self.beyond
            );
        }
        out
    }
}

/// Whether a rule could speak of differences of this class.
fn may_be_noise(class: Class) -> bool {
    matches!(class, Class::Volatile | Class::Unverified)
}

/// Why the rule is offered, as comments.
fn evidence(d: &DistinctDifference, seen: &Seen) -> String {
    let count = |values: &BTreeSet<Option<String>>| match values.len() {
        MOST_VALUES => format!("{MOST_VALUES} or more values"),
        1 => "one value".to_owned(),
        n => format!("{n} values"),
    };
    let [v1, v2] = seen.values.each_ref().map(count);
    format!(
        "# {}: in {} exchanges, {} of those compared; v1 has {v1}, v2 {v2}\n",
        d.kind.words(),
        d.count,
        super::percent(d.share)
    )
}
