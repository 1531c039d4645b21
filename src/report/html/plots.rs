//! The plots, as SVG. They hold numbers and times alone, nothing from the wire.
//!
//! Shapes get their colours from classes of the style sheet, so that both themes apply.

use std::fmt::Write as _;

use crate::report::latency::{Latency, Lateness, Step};
use crate::report::timeline::{Slot, Timeline};
use crate::report::{grouped, ms};

const WIDTH: f64 = 960.0;
/// Room for the labels of the axis.
const MARGIN: f64 = 16.0;
/// Steps from one label to the next: a decade.
const LABELLED: usize = 8;
/// Steps for each factor of ten.
const STEPS: f64 = 8.0;

/// Both distributions back to back on a logarithmic axis; empty without one.
#[expect(clippy::cast_precision_loss, reason = "a few dozen steps, and counts far below 2^53")]
pub(super) fn distribution(latency: &Latency) -> String {
    const HEIGHT: f64 = 240.0;
    let steps = &latency.distribution;
    let highest = highest(steps);
    if highest == 0 {
        return String::new();
    }
    // Few steps do not become slabs.
    let step_width = ((WIDTH - 2.0 * MARGIN) / steps.len() as f64).min(40.0);
    let left = (WIDTH - step_width * steps.len() as f64) / 2.0;
    let mut out = open(WIDTH, HEIGHT, "Distribution of latencies, v1 upwards and v2 downwards");
    for n in 0..steps.len() {
        if is_labelled(n, steps) {
            let bound = steps.get(n).map_or(0.0, |step| step.up_to_ms);
            grid(&mut out, left + step_width * (n + 1) as f64, 8.0, 216.0, &ms(bound));
        }
    }
    let place = Place { left, step: step_width, middle: 112.0, reach: 96.0 };
    back_to_back(&mut out, steps, 0, highest, &place);
    axis(&mut out, 0.0, WIDTH, 112.0);
    out.push_str("</svg>");
    out
}

/// A route's distribution, small, on the axis that all routes share: `from` and `to` are its ends.
#[expect(clippy::cast_precision_loss, reason = "a few dozen steps, and counts far below 2^53")]
pub(super) fn small(latency: &Latency, from: f64, to: f64) -> String {
    const HEIGHT: f64 = 56.0;
    const SMALL: f64 = 320.0;
    let steps = &latency.distribution;
    let (highest, all) = (highest(steps), place_of(to, from) + 1);
    if highest == 0 {
        return String::new();
    }
    let mut out = open(SMALL, HEIGHT, "Distribution of latencies on this route");
    let step = SMALL / all as f64;
    let before = steps.first().map_or(0, |first| place_of(first.up_to_ms, from));
    let place = Place { left: 0.0, step, middle: HEIGHT / 2.0, reach: 25.0 };
    back_to_back(&mut out, steps, before, highest, &place);
    axis(&mut out, 0.0, SMALL, HEIGHT / 2.0);
    out.push_str("</svg>");
    out
}

/// How many steps lie between two bounds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most a hundred steps")]
fn place_of(bound: f64, from: f64) -> usize {
    ((bound / from).log10() * STEPS).round().clamp(0.0, 200.0) as usize
}

fn highest(steps: &[Step]) -> u64 {
    steps.iter().map(|step| step.v1.max(step.v2)).max().unwrap_or(0)
}

/// Where bars stand.
struct Place {
    left: f64,
    step: f64,
    middle: f64,
    reach: f64,
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
fn back_to_back(out: &mut String, steps: &[Step], before: usize, highest: u64, place: &Place) {
    for (n, step) in steps.iter().enumerate() {
        let x = place.left + place.step * (before + n) as f64;
        for (class, count, up) in [("v1", step.v1, true), ("v2", step.v2, false)] {
            if count > 0 {
                let height = (count as f64 / highest as f64 * place.reach).max(1.5);
                let y = if up { place.middle - height } else { place.middle };
                let title = format!("{class}: {} up to {}", grouped(count), ms(step.up_to_ms));
                rect(out, class, [x, y, place.step, height], &title);
            }
        }
    }
}

/// How late requests were sent; empty without a distribution.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
pub(super) fn lateness(lateness: &Lateness) -> String {
    const HEIGHT: f64 = 150.0;
    let steps = &lateness.distribution;
    let Some(highest) = steps.iter().map(|step| step.count).max() else { return String::new() };
    let step_width = ((WIDTH - 2.0 * MARGIN) / steps.len() as f64).min(40.0);
    let left = (WIDTH - step_width * steps.len() as f64) / 2.0;
    let mut out = open(WIDTH, HEIGHT, "How late requests were sent");
    for (n, step) in steps.iter().enumerate() {
        let x = left + step_width * n as f64;
        if (n + 1).is_multiple_of(LABELLED) || steps.len() < LABELLED {
            grid(&mut out, x + step_width, 8.0, 124.0, &ms(step.up_to_ms));
        }
        if step.count > 0 {
            let height = (step.count as f64 / highest as f64 * 108.0).max(1.5);
            let title = format!("{} up to {} late", grouped(step.count), ms(step.up_to_ms));
            rect(&mut out, "late", [x, 124.0 - height, step_width, height], &title);
        }
    }
    axis(&mut out, 0.0, WIDTH, 124.0);
    out.push_str("</svg>");
    out
}

/// What became of rows over the time of the capture; empty with less than two slots.
#[expect(clippy::cast_precision_loss, reason = "counts and times far below 2^53")]
pub(super) fn timeline(timeline: &Timeline) -> String {
    const HEIGHT: f64 = 200.0;
    let (Some(first), Some(last)) = (timeline.slots.first(), timeline.slots.last()) else {
        return String::new();
    };
    let offset = |slot: &Slot| slot.from.since(first.from).as_secs_f64() * 1000.0 / timeline.slot_ms;
    let highest = timeline.slots.iter().map(rows).max().unwrap_or(0);
    if highest == 0 || timeline.slots.len() < 2 {
        return String::new();
    }
    let step = ((WIDTH - 2.0 * MARGIN) / (offset(last) + 1.0)).min(60.0);
    let left = MARGIN;
    let mut out = open(WIDTH, HEIGHT, "Verdicts over the time of the capture");
    let span = last.from.since(first.from).as_secs_f64() * 1000.0 + timeline.slot_ms;
    for quarter in 0..=4 {
        let share = f64::from(quarter) / 4.0;
        let x = left + share * step * (offset(last) + 1.0);
        grid(&mut out, x, 8.0, 172.0, &format!("+{}", ms(share * span)));
    }
    for slot in &timeline.slots {
        let mut y = 172.0;
        for (class, word, count) in parts(slot) {
            if count > 0 {
                let height = count as f64 / highest as f64 * 156.0;
                y -= height;
                let title = format!("{} {word} at {}", grouped(count), slot.from);
                rect(&mut out, class, [left + offset(slot) * step, y, step, height], &title);
            }
        }
    }
    axis(&mut out, 0.0, WIDTH, 172.0);
    out.push_str("</svg>");
    out
}

/// From the bottom up: what counts stands on the axis, where heights can be compared.
fn parts(slot: &Slot) -> [(&'static str, &'static str, u64); 6] {
    let v = &slot.verdicts;
    [
        ("different", "different", v.different),
        ("failed", "failed", v.failed),
        ("not_comparable", "not comparable", v.not_comparable),
        ("noise", "noise alone", v.noise),
        ("match", "match", v.matching),
        ("skipped", "not sent", slot.skipped),
    ]
}

fn rows(slot: &Slot) -> u64 {
    slot.verdicts.in_all() + slot.skipped
}

/// Whether the step ends a decade; with less than two decades, every fourth step is labelled.
fn is_labelled(n: usize, steps: &[Step]) -> bool {
    let decade = steps.get(n).is_some_and(|step| {
        let log = (step.up_to_ms * 1000.0).log10();
        (log - log.round()).abs() < 0.01
    });
    if steps.len() > 2 * LABELLED { decade } else { (n + 1).is_multiple_of(LABELLED / 2) || steps.len() < 4 }
}

fn open(width: f64, height: f64, label: &str) -> String {
    format!(r#"<svg class="plot" viewBox="0 0 {width} {height}" role="img" aria-label="{label}">"#)
}

/// A bar with a narrow gap to its neighbours.
fn rect(out: &mut String, class: &str, [x, y, width, height]: [f64; 4], title: &str) {
    let gap = if width > 5.0 { 1.0 } else { 0.0 };
    // Writing to a string does not fail.
    let _ = write!(
        out,
        r#"<rect class="c-{class}" x="{:.1}" y="{y:.1}" width="{:.2}" height="{height:.1}"><title>{title}</title></rect>"#,
        x + gap,
        (width - 2.0 * gap).max(0.8),
    );
}

fn grid(out: &mut String, x: f64, from: f64, to: f64, label: &str) {
    let anchor = if x < 40.0 {
        "start"
    } else if x > WIDTH - 40.0 {
        "end"
    } else {
        "middle"
    };
    let _ = write!(
        out,
        r#"<line class="grid" x1="{x:.1}" x2="{x:.1}" y1="{from}" y2="{to}"/><text x="{x:.1}" y="{}" text-anchor="{anchor}">{label}</text>"#,
        to + 16.0,
    );
}

fn axis(out: &mut String, from: f64, to: f64, y: f64) {
    let _ = write!(out, r#"<line class="axis" x1="{from}" x2="{to}" y1="{y}" y2="{y}"/>"#);
}
