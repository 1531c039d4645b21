//! What an earlier run showed: which differences are new, which are known, and which are gone.

use std::collections::HashSet;

use super::summary::{Against, DistinctDifference, Standing, Summary};
use crate::time::Timestamp;

/// The distinct differences of an earlier run that count.
pub struct Earlier {
    run: String,
    started: Timestamp,
    differences: Vec<DistinctDifference>,
}

impl Earlier {
    /// What `summary` says; `run` is how the user named that run.
    #[must_use]
    pub fn new(run: &str, summary: Summary) -> Self {
        let mut differences = summary.differences;
        differences.retain(|d| d.class.counts());
        Self { run: run.to_owned(), started: summary.started, differences }
    }

    /// Says of each difference of a run that counts whether this one showed it, and which are gone.
    pub(super) fn compare(self, differences: &mut [DistinctDifference]) -> Against {
        let known: HashSet<_> = self.differences.iter().map(|d| d.fingerprint).collect();
        let (mut news, mut knowns, mut present) = (0, 0, HashSet::new());
        for d in differences.iter_mut().filter(|d| d.class.counts()) {
            let is_known = known.contains(&d.fingerprint);
            d.standing = Some(if is_known { Standing::Known } else { Standing::New });
            // One that is in part confirmed and in part not is one.
            if present.insert(d.fingerprint) {
                *(if is_known { &mut knowns } else { &mut news }) += 1;
            }
        }
        let Self { run, started, differences: mut gone } = self;
        gone.retain(|d| !present.contains(&d.fingerprint));
        Against { run, started, new: news, known: knowns, gone }
    }
}
