//! The coverage bars: what became of every row, from the capture to the comparison. Each bar divides a part
//! of the one above it, on one scale, so that they add up to the eye as they do in numbers.

use std::collections::BTreeMap;

use crate::replay::SkipReason;
use crate::report::grouped;
use crate::report::summary::Summary;
use crate::report::visible::excerpt;
use crate::report::words::{Reasons, not_sent, replayed};

/// Thousandths of the whole width.
const WHOLE: f64 = 1000.0;

/// One bar.
pub(super) struct Level {
    pub(super) name: &'static str,
    pub(super) count: String,
    pub(super) label: String,
    pub(super) parts: Vec<Part>,
}

/// A part of a bar, in thousandths of the width of all rows.
pub(super) struct Part {
    pub(super) class: &'static str,
    pub(super) label: &'static str,
    pub(super) count: String,
    pub(super) causes: String,
    pub(super) x: String,
    pub(super) width: String,
}

/// A part before it has its place: class, label, count, causes.
type Share = (&'static str, &'static str, u64, String);

pub(super) fn levels(summary: &Summary) -> Vec<Level> {
    let (e, v) = (&summary.exchanges, &summary.verdicts);
    let none = String::new;
    // A request whose bytes the capture lacks could not be put together.
    let (torn, other): (BTreeMap<_, _>, BTreeMap<_, _>) =
        e.skipped.clone().into_iter().partition(|(name, _)| name == SkipReason::IncompleteRequest.name());
    let sum = |counts: &BTreeMap<String, u64>| counts.values().sum::<u64>();
    let captured = [
        ("replayed", "reconstructed", e.captured - sum(&torn), none()),
        ("not_comparable", "not whole in the capture", sum(&torn), causes(Reasons::Skipped, &torn)),
    ];
    let reconstructed = [
        ("replayed", replayed(summary.mode), e.replayed, none()),
        ("skipped", not_sent(summary.mode), sum(&other), causes(Reasons::Skipped, &other)),
    ];
    let sent = [
        ("compared", "compared", v.compared(), none()),
        ("failed", "without a whole answer of v2", v.failed, causes(Reasons::Failed, &summary.failures)),
        (
            "not_comparable",
            "not comparable",
            v.not_comparable,
            causes(Reasons::NotComparable, &summary.not_comparable),
        ),
    ];
    let compared = [
        ("match", "match", v.matching, none()),
        ("noise", "noise alone", v.noise, none()),
        ("different", "different", v.different, none()),
    ];
    vec![
        level("captured", e.captured, e.captured, captured.into()),
        level("reconstructed", e.captured - sum(&torn), e.captured, reconstructed.into()),
        level(replayed(summary.mode), e.replayed, e.captured, sent.into()),
        level("compared", v.compared(), e.captured, compared.into()),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "a share of counts far below 2^53")]
fn level(name: &'static str, count: u64, whole: u64, shares: Vec<Share>) -> Level {
    let whole = whole.max(1) as f64;
    let mut before = 0;
    let mut parts = Vec::new();
    for (class, label, count, causes) in shares.into_iter().filter(|(.., count, _)| *count > 0) {
        let (x, width) = (before as f64 * WHOLE / whole, count as f64 * WHOLE / whole);
        before += count;
        // What is there is seen, however small its share.
        let (x, width) = (format!("{:.2}", x.min(WHOLE - 2.0)), format!("{:.2}", width.max(2.0)));
        parts.push(Part { class, label, count: grouped(count), causes, x, width });
    }
    let list: Vec<_> = parts.iter().map(|part| format!("{} {}", part.count, part.label)).collect();
    let label = format!("{} {name}: {}", grouped(count), list.join(", "));
    Level { name, count: grouped(count), label, parts }
}

fn causes(reasons: Reasons, counts: &BTreeMap<String, u64>) -> String {
    excerpt(&reasons.list(counts), 600)
}

/// What the capture held, before there were rows.
pub(super) fn reading(summary: &Summary) -> String {
    let c = &summary.capture;
    if c.packets == 0 {
        return String::new();
    }
    let count = |n: u64, one: &str, many: &str| format!("{} {}", grouped(n), if n == 1 { one } else { many });
    format!(
        "{} in {}, {} lost: {} rebuilt",
        count(c.packets, "packet", "packets"),
        count(c.connections, "connection", "connections"),
        count(c.lost_bytes, "byte", "bytes"),
        count(summary.requests, "request", "requests"),
    )
}
