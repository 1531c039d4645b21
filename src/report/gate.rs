//! Turns counts into a judgement. Nothing compared never passes.

use super::summary::{Exchanges, Judgement, Verdicts};
use crate::replay::{Failure, SkipReason};

use std::collections::BTreeMap;

/// What the user demands of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gate {
    /// The share of rows, from 0 to 1, that may be lost to judgement because the capture lacks bytes of
    /// the request or of v1's answer. Above it a run without differences is inconclusive.
    pub max_loss: f64,
}

impl Default for Gate {
    /// A tenth may be lost.
    fn default() -> Self {
        Self { max_loss: 0.1 }
    }
}

/// What the gate looks at.
pub(super) struct Evidence<'a> {
    pub(super) exchanges: &'a Exchanges,
    pub(super) verdicts: &'a Verdicts,
    pub(super) failures: &'a BTreeMap<String, u64>,
    pub(super) interrupted: bool,
    pub(super) unreadable: bool,
}

impl Gate {
    /// The judgement and its reasons. Evidence against v2 counts even where other evidence is missing.
    pub(super) fn judge(self, evidence: &Evidence<'_>) -> (Judgement, Vec<String>) {
        let against = against(evidence);
        if !against.is_empty() {
            return (Judgement::Fail, against);
        }
        let missing = self.missing(evidence);
        if !missing.is_empty() {
            return (Judgement::Inconclusive, missing);
        }
        let compared = evidence.verdicts.compared();
        let sentence = match evidence.verdicts.noise {
            0 => format!("{compared} compared, all the same"),
            noise => format!("{compared} compared, {noise} of them with noise alone, none different"),
        };
        (Judgement::Pass, vec![sentence])
    }

    fn missing(self, evidence: &Evidence<'_>) -> Vec<String> {
        let mut reasons = Vec::new();
        if unreachable(evidence) {
            reasons.push("no request reached the target: every connection failed".to_owned());
        } else if evidence.verdicts.compared() == 0 {
            reasons.push("nothing was compared".to_owned());
        }
        if evidence.interrupted {
            reasons.push("the run was stopped before its end".to_owned());
        }
        if evidence.unreadable {
            reasons.push("a part of the recording could not be read".to_owned());
        }
        let (lost, share) = loss(evidence);
        if share > self.max_loss && evidence.exchanges.captured > 0 {
            let (share, limit) = (share * 100.0, self.max_loss * 100.0);
            reasons.push(format!(
                "the capture lacks bytes for {lost} rows ({share:.1} %), and {limit:.1} % are allowed"
            ));
        }
        reasons
    }
}

fn against(evidence: &Evidence<'_>) -> Vec<String> {
    let Verdicts { different, failed, .. } = *evidence.verdicts;
    let compared = evidence.verdicts.compared();
    let mut reasons = Vec::new();
    if different > 0 {
        reasons.push(format!("{different} of {compared} compared exchanges differ in a way that counts"));
    }
    if failed > 0 && !unreachable(evidence) {
        let causes: Vec<_> = evidence.failures.iter().map(|(name, n)| format!("{name} {n}")).collect();
        reasons.push(format!(
            "v2 gave no whole answer to {failed} of {} requests ({})",
            evidence.exchanges.replayed,
            causes.join(", ")
        ));
    }
    reasons
}

/// Whether not one connection to the target could be made, which says nothing about its answers.
fn unreachable(evidence: &Evidence<'_>) -> bool {
    let of = |failure: Failure| evidence.failures.get(failure.name()).copied().unwrap_or(0);
    let unconnected = of(Failure::Connect) + of(Failure::ConnectTimeout);
    unconnected > 0 && unconnected == evidence.verdicts.failed && evidence.verdicts.compared() == 0
}

/// Rows that could not be judged for want of captured bytes, and their share.
#[expect(clippy::cast_precision_loss, reason = "a share of counts far below 2^53")]
fn loss(evidence: &Evidence<'_>) -> (u64, f64) {
    let skipped = |reason: SkipReason| evidence.exchanges.skipped.get(reason.name()).copied().unwrap_or(0);
    let lost = evidence.verdicts.not_comparable + skipped(SkipReason::IncompleteRequest);
    (lost, lost as f64 / evidence.exchanges.captured.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(verdicts: Verdicts, skipped: &[(SkipReason, u64)], failures: &[(Failure, u64)]) -> (u8, String) {
        let skipped: BTreeMap<_, _> = skipped.iter().map(|(r, n)| (r.name().to_owned(), *n)).collect();
        let replayed = verdicts.in_all();
        let captured = replayed + skipped.values().sum::<u64>();
        let (judgement, reasons) = Gate::default().judge(&Evidence {
            exchanges: &Exchanges { captured, replayed, skipped },
            verdicts: &verdicts,
            failures: &failures.iter().map(|(f, n)| (f.name().to_owned(), *n)).collect(),
            interrupted: false,
            unreadable: false,
        });
        (judgement.exit_status(), reasons.join("; "))
    }

    #[test]
    fn the_exit_status_follows_the_evidence() {
        let zero = Verdicts::default();
        for (verdicts, skipped, failures, status) in [
            (Verdicts { matching: 9, ..zero }, &[][..], &[][..], 0),
            (Verdicts { matching: 9, noise: 1, ..zero }, &[], &[], 0),
            (Verdicts { matching: 9, different: 1, ..zero }, &[], &[], 1),
            (Verdicts { matching: 9, failed: 1, ..zero }, &[], &[(Failure::Timeout, 1)], 1),
            (Verdicts { matching: 9, failed: 1, ..zero }, &[], &[(Failure::Connect, 1)], 1),
            (Verdicts { failed: 5, ..zero }, &[], &[(Failure::Connect, 5)], 3),
            (Verdicts { failed: 5, ..zero }, &[], &[(Failure::Connect, 4), (Failure::Garbage, 1)], 1),
            (zero, &[], &[], 3),
            (zero, &[(SkipReason::AlreadyShadow, 9)], &[], 3),
            (Verdicts { not_comparable: 3, ..zero }, &[], &[], 3),
            (Verdicts { matching: 9, not_comparable: 1, ..zero }, &[], &[], 0),
            (Verdicts { matching: 8, not_comparable: 2, ..zero }, &[], &[], 3),
            (Verdicts { matching: 8, ..zero }, &[(SkipReason::IncompleteRequest, 2)], &[], 3),
            (Verdicts { different: 8, ..zero }, &[(SkipReason::IncompleteRequest, 2)], &[], 1),
            (Verdicts { matching: 1, ..zero }, &[(SkipReason::AlreadyShadow, 9)], &[], 0),
        ] {
            let (got, reasons) = judge(verdicts, skipped, failures);
            assert_eq!(got, status, "{verdicts:?} {skipped:?} {failures:?}: {reasons}");
            assert!(!reasons.is_empty());
        }
    }
}
