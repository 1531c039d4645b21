//! Turns counts into a judgement. Nothing compared never passes.

use std::collections::BTreeMap;

use super::accepted::Accepted;
use super::fail_on::{Counts, FailOn};
use super::summary::{Exchanges, Judgement, Verdicts};
use super::words::{INTERRUPTED, KILLED, NOT_JUDGED, Reasons};
use crate::record::{CaptureTotals, Mode};
use crate::replay::{Failure, SkipReason};

/// What the user demands of a run.
#[derive(Clone, Debug)]
pub struct Gate {
    /// The share, from 0 to 1, that may be lost to judgement: of rows, because the capture lacks bytes of the request
    /// or of v1's answer, or because they were shed; and of packets, because they were dropped. Above it a run
    /// without differences is inconclusive.
    pub max_loss: f64,
    /// Fewer compared rows than this say too little; at least one is needed in any case.
    pub min_compared: u64,
    /// When the run fails; `None` where it does for any difference that counts and is not accepted, and for any failure
    /// of v2.
    pub fail_on: Option<FailOn>,
    /// Differences that are known and accepted.
    pub accepted: Option<Accepted>,
}

impl Default for Gate {
    /// A tenth may be lost, and nothing else is asked for.
    fn default() -> Self {
        Self { max_loss: 0.1, min_compared: 1, fail_on: None, accepted: None }
    }
}

/// What the gate looks at.
pub(super) struct Evidence<'a> {
    pub(super) mode: Mode,
    pub(super) exchanges: &'a Exchanges,
    pub(super) verdicts: &'a Verdicts,
    pub(super) failures: &'a BTreeMap<String, u64>,
    pub(super) not_comparable: &'a BTreeMap<String, u64>,
    /// What the first attempt said that came to no connection.
    pub(super) unreached: Option<&'a str>,
    /// What the capture held, where that is known.
    pub(super) capture: Option<&'a CaptureTotals>,
    /// Packets that the kernel or an interface dropped while it was captured.
    pub(super) dropped: u64,
    pub(super) end: End,
    /// What broke the capture off.
    pub(super) broken_off: Option<&'a str>,
    /// Why the run gave up.
    pub(super) gave_up: Option<&'a str>,
    /// A part of the recording could not be read.
    pub(super) unreadable: bool,
    /// Differences beyond the distinct ones that are told apart.
    pub(super) differences_beyond: u64,
    /// What the user's condition may ask for.
    pub(super) counts: Counts,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    InOrder,
    /// The user stopped it.
    Stopped,
    /// Its recording does not say.
    Unknown,
}

/// What stands before the description of what broke a capture off.
const BREAKS_OFF: &str = "the capture breaks off: ";

impl Gate {
    /// The judgement and its reasons. Evidence against v2 counts even where other evidence is missing.
    pub(super) fn judge(&self, evidence: &Evidence<'_>) -> (Judgement, Vec<String>) {
        let mut against = self.against(evidence);
        if let Some(why) = evidence.gave_up {
            // A target that went away is judged when it is back, whatever it had answered.
            let mut reasons = vec![format!("the run {why}")];
            reasons.append(&mut against);
            reasons.extend(cut_short(evidence));
            return (Judgement::Inconclusive, reasons);
        }
        if !against.is_empty() {
            against.extend(cut_short(evidence));
            return (Judgement::Fail, against);
        }
        let missing = self.missing(evidence);
        if !missing.is_empty() {
            return (Judgement::Inconclusive, missing);
        }
        (Judgement::Pass, vec![self.passes(evidence)])
    }

    /// What speaks against v2.
    fn against(&self, evidence: &Evidence<'_>) -> Vec<String> {
        let against = against(evidence);
        let Some(condition) = &self.fail_on else {
            let only_known = evidence.counts.new == 0 && evidence.differences_beyond == 0;
            return if self.accepted.is_some() && only_known && evidence.verdicts.failed == 0 {
                Vec::new()
            } else {
                against
            };
        };
        // Whether a target that cannot be reached fails or not, it proves nothing.
        if unreachable(evidence) || condition.holds(&evidence.counts) != Ok(true) {
            return Vec::new();
        }
        [vec![format!("--fail-on {} holds", condition.text())], against].concat()
    }

    /// Why a run passes.
    fn passes(&self, evidence: &Evidence<'_>) -> String {
        let Verdicts { noise, different, failed, .. } = *evidence.verdicts;
        let compared = evidence.verdicts.compared();
        match (&self.fail_on, noise, different) {
            (Some(condition), ..) => format!(
                "{compared} compared, {different} of them different, {failed} failed: --fail-on {} does not hold",
                condition.text()
            ),
            (None, _, 1..) => {
                let known = evidence.counts.known;
                format!(
                    "{compared} compared, {different} of them different in {known} ways that are accepted"
                )
            }
            (None, 0, _) => format!("{compared} compared, all the same"),
            (None, noise, _) => {
                format!("{compared} compared, {noise} of them with noise alone, none different")
            }
        }
    }

    fn missing(&self, evidence: &Evidence<'_>) -> Vec<String> {
        let mut reasons = Vec::new();
        if unreachable(evidence) {
            let cause = evidence.unreached.map(|cause| format!(": {cause}")).unwrap_or_default();
            reasons.push(format!("the target is unreachable, not one request reached it{cause}"));
        } else if evidence.verdicts.compared() == 0 {
            reasons.push(nothing_compared(evidence));
        } else if evidence.verdicts.compared() < self.min_compared {
            let (compared, fewest) = (evidence.verdicts.compared(), self.min_compared);
            reasons.push(format!("{compared} compared, and at least {fewest} are asked for"));
        }
        if let Some(Err(why)) = self.fail_on.as_ref().map(|condition| condition.holds(&evidence.counts)) {
            reasons.push(format!("--fail-on has no answer for this run: {why}"));
        }
        reasons.extend(cut_short(evidence));
        reasons.extend(self.lost(evidence));
        let (unpaired, share) = unpaired(evidence);
        if share > self.max_loss {
            let (share, limit) = (share * 100.0, self.max_loss * 100.0);
            reasons.push(format!(
                "{unpaired} shadows ({share:.1} %) found no primary, and {limit:.1} % are allowed"
            ));
        }
        reasons
    }
}

impl Gate {
    /// What was lost on the way, where it is more than may be: each cause with its share.
    fn lost(&self, evidence: &Evidence<'_>) -> Vec<String> {
        let limit = self.max_loss * 100.0;
        let captured = evidence.exchanges.captured;
        let (lacking, shed) = (lacking(evidence), shed(evidence));
        let mut reasons = Vec::new();
        if captured > 0 && share(lacking + shed, captured) > self.max_loss {
            let share = |count| share(count, captured) * 100.0;
            if lacking > 0 {
                reasons.push(format!(
                    "the capture lacks bytes for {lacking} rows ({:.1} %), and {limit:.1} % are allowed",
                    share(lacking)
                ));
            }
            if shed > 0 {
                reasons.push(format!(
                    "{shed} requests ({:.1} %) were shed, since those before them waited for v2, and {limit:.1} % are \
                     allowed",
                    share(shed)
                ));
            }
        }
        let dropped = evidence.dropped;
        let passed = dropped + evidence.capture.map_or(0, |capture| capture.packets);
        let of_packets = share(dropped, passed);
        if of_packets > self.max_loss {
            reasons.push(format!(
                "{dropped} of {passed} packets ({:.1} %) were dropped before they could be read, and {limit:.1} % are \
                 allowed",
                of_packets * 100.0
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
        reasons.push(format!(
            "v2 gave no whole answer to {failed} of {} requests ({})",
            evidence.exchanges.replayed,
            Reasons::Failed.list(evidence.failures)
        ));
    }
    reasons
}

/// Why the run does not tell of all that there was.
fn cut_short(evidence: &Evidence<'_>) -> Vec<String> {
    let stopped = match evidence.end {
        End::InOrder => None,
        End::Stopped => Some("the run was stopped before its end".to_owned()),
        End::Unknown => Some(
            "the recording lacks its end: the run goes on, or was killed, or its disk was full".to_owned(),
        ),
    };
    let no_room = evidence.exchanges.skipped.get(SkipReason::NoRoomForBody.name()).map(|count| {
        // What was captured at the time cannot be had again.
        let rest = if evidence.mode == Mode::Live { "" } else { ": free some space and go on with --resume" };
        format!(
            "{count} requests with large bodies were not sent, since the disk had no room for these{rest}"
        )
    });
    let unmet = evidence.exchanges.skipped.get(SkipReason::NotMetAgain.name()).map(|count| {
        format!(
            "{count} requests that had been put off were not met again when the run was resumed: what was read is not \
             the capture that it began with, or not all of it"
        )
    });
    let broken_off = evidence.broken_off.map(|what| format!("{BREAKS_OFF}{what}"));
    let unreadable = evidence.unreadable.then(|| "a part of the recording could not be read".to_owned());
    [stopped, no_room, unmet, broken_off, unreadable].into_iter().flatten().collect()
}

/// That there was nothing to lay side by side, and why.
fn nothing_compared(evidence: &Evidence<'_>) -> String {
    let Exchanges { captured, replayed, skipped, .. } = evidence.exchanges;
    let why = match (captured, replayed, evidence.capture) {
        (0, _, None) => return "nothing was compared".to_owned(),
        (0, _, Some(capture)) if evidence.mode == Mode::Live => format!(
            "no HTTP request was captured, in {} packets and {} connections; what is, say -i, -f and --port",
            capture.packets, capture.connections
        ),
        (0, _, Some(capture)) => format!(
            "the capture holds no HTTP request in {} packets and {} connections; `shadowcap inspect` says what it holds",
            capture.packets, capture.connections
        ),
        (_, 0, _) if evidence.mode == Mode::Compare => unmirrored(skipped),
        (_, 0, capture) => {
            let times = capture.and_then(|capture| outside_of(capture, skipped)).unwrap_or_default();
            format!("no request was sent ({}){times}", Reasons::Skipped.list(skipped))
        }
        _ => format!("{replayed} sent ({})", Reasons::NotComparable.list(evidence.not_comparable)),
    };
    format!("nothing was compared: {why}")
}

/// When a capture is from, where all of its requests are outside of the times that were asked for.
fn outside_of(capture: &CaptureTotals, skipped: &BTreeMap<String, u64>) -> Option<String> {
    let (first, last) = capture.first_packet.zip(capture.last_packet)?;
    let all = skipped.keys().all(|name| name == SkipReason::OutsideTime.name());
    all.then(|| format!("; the capture goes from {first} to {last}"))
}

/// That a mesh mirrored nothing, or that its shadows were not known as such.
fn unmirrored(skipped: &BTreeMap<String, u64>) -> String {
    let list = Reasons::Skipped.list(skipped);
    let no_shadow = skipped.keys().all(|name| name == SkipReason::NoShadow.name());
    let hint = if no_shadow {
        "; a mesh that adds another suffix to the shadow's Host, or none, needs --host-suffix, or --shadow-server to \
         say where v2 is"
    } else {
        ""
    };
    format!("no shadow has its primary and both answers ({list}){hint}")
}

/// Whether not one connection to the target could be made, which says nothing about its answers.
fn unreachable(evidence: &Evidence<'_>) -> bool {
    let of = |failure: &Failure| evidence.failures.get(failure.name()).copied().unwrap_or(0);
    let unconnected: u64 = Failure::ALL.iter().filter(|failure| failure.is_unconnected()).map(of).sum();
    unconnected > 0 && unconnected == evidence.verdicts.failed && evidence.verdicts.compared() == 0
}

/// A share; 0 of nothing.
#[expect(clippy::cast_precision_loss, reason = "a share of counts far below 2^53")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// Rows that could not be judged for want of captured bytes.
fn lacking(evidence: &Evidence<'_>) -> u64 {
    let skipped = |reason: SkipReason| evidence.exchanges.skipped.get(reason.name()).copied().unwrap_or(0);
    let of = |name: &str| evidence.not_comparable.get(name).copied().unwrap_or(0);
    // What was cut off, or is not compared in this run at all, was captured well enough.
    let captured = of(INTERRUPTED) + of(KILLED) + of(NOT_JUDGED);
    let not_comparable = evidence.verdicts.not_comparable.saturating_sub(captured);
    let lacking =
        [SkipReason::IncompleteRequest, SkipReason::NoShadowAnswer, SkipReason::IncompleteShadowAnswer];
    not_comparable + lacking.into_iter().map(skipped).sum::<u64>()
}

/// Requests that were not sent because there was no room for them to wait.
fn shed(evidence: &Evidence<'_>) -> u64 {
    let skipped = |reason: SkipReason| evidence.exchanges.skipped.get(reason.name()).copied().unwrap_or(0);
    [SkipReason::QueueFull, SkipReason::QueueMemory, SkipReason::QueueDisk].into_iter().map(skipped).sum()
}

/// Shadows of a mesh that were not paired, and their share of all of its shadows.
fn unpaired(evidence: &Evidence<'_>) -> (u64, f64) {
    let skipped = |reason: SkipReason| evidence.exchanges.skipped.get(reason.name()).copied().unwrap_or(0);
    let alone = [SkipReason::NoPrimary, SkipReason::OutsideWindow, SkipReason::Ambiguous];
    let unpaired: u64 = alone.into_iter().map(skipped).sum();
    let paired = evidence.exchanges.replayed
        + skipped(SkipReason::NoShadowAnswer)
        + skipped(SkipReason::IncompleteShadowAnswer);
    (unpaired, share(unpaired, unpaired + paired))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(verdicts: Verdicts, skipped: &[(SkipReason, u64)], failures: &[(Failure, u64)]) -> (u8, String) {
        let skipped: BTreeMap<_, _> = skipped.iter().map(|(r, n)| (r.name().to_owned(), *n)).collect();
        let replayed = verdicts.in_all();
        let captured = replayed + skipped.values().sum::<u64>();
        let (judgement, reasons) = Gate::default().judge(&Evidence {
            mode: Mode::Replay,
            exchanges: &Exchanges { captured, replayed, replayed_unsafe: 0, skipped },
            verdicts: &verdicts,
            failures: &failures.iter().map(|(f, n)| (f.name().to_owned(), *n)).collect(),
            not_comparable: &BTreeMap::new(),
            unreached: None,
            capture: None,
            dropped: 0,
            end: End::InOrder,
            broken_off: None,
            gave_up: None,
            unreadable: false,
            differences_beyond: 0,
            counts: Counts::default(),
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
            (Verdicts { matching: 1, ..zero }, &[(SkipReason::NoShadow, 9)], &[], 0),
            (zero, &[(SkipReason::NoShadow, 9)], &[], 3),
            (Verdicts { matching: 9, ..zero }, &[(SkipReason::NoPrimary, 1)], &[], 0),
            (
                Verdicts { matching: 8, ..zero },
                &[(SkipReason::NoPrimary, 1), (SkipReason::Ambiguous, 1)],
                &[],
                3,
            ),
            (Verdicts { matching: 8, ..zero }, &[(SkipReason::NoShadowAnswer, 2)], &[], 3),
            (Verdicts { matching: 9, ..zero }, &[(SkipReason::QueueFull, 1)], &[], 0),
            (Verdicts { matching: 8, ..zero }, &[(SkipReason::QueueFull, 2)], &[], 3),
            (
                Verdicts { matching: 8, ..zero },
                &[(SkipReason::QueueMemory, 1), (SkipReason::QueueFull, 1)],
                &[],
                3,
            ),
            (
                Verdicts { matching: 8, ..zero },
                &[(SkipReason::QueueMemory, 1), (SkipReason::IncompleteRequest, 1)],
                &[],
                3,
            ),
            (Verdicts { different: 8, ..zero }, &[(SkipReason::QueueFull, 2)], &[], 1),
        ] {
            let (got, reasons) = judge(verdicts, skipped, failures);
            assert_eq!(got, status, "{verdicts:?} {skipped:?} {failures:?}: {reasons}");
            assert!(!reasons.is_empty());
        }
    }

    /// Nine rows of which `different` differ and `cut_off` were cut off, judged after `change`.
    fn judge_changed(different: u64, cut_off: u64, change: impl FnOnce(&mut Evidence<'_>)) -> (u8, String) {
        judge_captured(None, different, cut_off, change)
    }

    /// The same of a capture.
    fn judge_captured(
        capture: Option<&CaptureTotals>,
        different: u64,
        cut_off: u64,
        change: impl FnOnce(&mut Evidence<'_>),
    ) -> (u8, String) {
        let verdicts = Verdicts {
            matching: 9 - different - cut_off,
            different,
            not_comparable: cut_off,
            ..Verdicts::default()
        };
        let not_comparable = BTreeMap::from([(INTERRUPTED.to_owned(), cut_off)]);
        let mut evidence = Evidence {
            mode: Mode::Replay,
            exchanges: &Exchanges { captured: 9, replayed: 9, ..Exchanges::default() },
            verdicts: &verdicts,
            failures: &BTreeMap::new(),
            not_comparable: &not_comparable,
            unreached: None,
            capture,
            dropped: 0,
            end: End::InOrder,
            broken_off: None,
            gave_up: None,
            unreadable: false,
            differences_beyond: 0,
            counts: Counts::default(),
        };
        change(&mut evidence);
        let (judgement, reasons) = Gate::default().judge(&evidence);
        (judgement.exit_status(), reasons.join("; "))
    }

    #[test]
    fn packets_that_were_dropped_are_lost_evidence() {
        let capture = CaptureTotals { packets: 90, ..CaptureTotals::default() };
        for (dropped, different, status) in [(10, 0, 0), (11, 0, 3), (11, 1, 1)] {
            let (got, reasons) = judge_captured(Some(&capture), different, 0, |e| e.dropped = dropped);
            assert_eq!(got, status, "{dropped}: {reasons}");
            assert_eq!(
                reasons.contains("11 of 101 packets (10.9 %) were dropped before they could be read"),
                status == 3,
                "{reasons}"
            );
        }
    }

    #[test]
    fn a_run_that_gave_up_is_inconclusive_whatever_was_found_before() {
        for different in [0, 1] {
            let (status, reasons) =
                judge_changed(different, 0, |e| e.gave_up = Some("gave up after 3 attempts"));
            assert!(status == 3 && reasons.starts_with("the run gave up after 3 attempts"), "{reasons}");
            assert_eq!(reasons.contains("differ in a way that counts"), different > 0, "{reasons}");
        }
    }

    #[test]
    fn what_cuts_a_run_short_makes_it_inconclusive_and_is_said_beside_differences() {
        type Change = fn(&mut Evidence<'_>);
        let changes: [(Change, &str); 4] = [
            (|e| e.end = End::Stopped, "the run was stopped before its end"),
            (|e| e.end = End::Unknown, "the recording lacks its end"),
            (|e| e.broken_off = Some("a.pcap: damaged"), "the capture breaks off: a.pcap: damaged"),
            (|e| e.unreadable = true, "a part of the recording could not be read"),
        ];
        for (change, reason) in changes {
            for (different, status) in [(0, 3), (1, 1)] {
                let (got, reasons) = judge_changed(different, 0, change);
                assert_eq!(got, status, "{reasons}");
                assert!(reasons.contains(reason), "{reasons}");
            }
        }
    }

    #[test]
    fn a_comparison_without_a_pair_says_what_may_be_amiss() {
        let reasons = |names: &[SkipReason]| {
            let skipped = names.iter().map(|reason| (reason.name().to_owned(), 2)).collect();
            unmirrored(&skipped)
        };
        let none = reasons(&[SkipReason::NoShadow]);
        assert!(
            none.contains("2 without a shadow in the capture") && none.contains("--shadow-server"),
            "{none}"
        );
        let some = reasons(&[SkipReason::NoShadow, SkipReason::NoPrimary]);
        assert!(!some.contains("--shadow-server"), "{some}");
    }

    #[test]
    fn what_the_user_cut_off_is_no_loss_of_the_capture() {
        let (status, reasons) = judge_changed(0, 5, |e| e.end = End::Stopped);
        assert_eq!((status, reasons.as_str()), (3, "the run was stopped before its end"));
    }
}
