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
    for tick in ticks(steps.first().map_or(1.0, |step| step.up_to_ms), steps.len()) {
        grid(&mut out, left + step_width * tick.at, 8.0, 216.0, &tick.label);
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
    for tick in ticks(steps.first().map_or(1.0, |step| step.up_to_ms), steps.len()) {
        grid(&mut out, left + step_width * tick.at, 8.0, 124.0, &tick.label);
    }
    for (n, step) in steps.iter().enumerate() {
        let x = left + step_width * n as f64;
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
        let label = if quarter == 0 { "0".to_owned() } else { format!("+{}", ms(share * span)) };
        grid(&mut out, x, 8.0, 172.0, &label);
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

/// A label of a logarithmic axis.
#[derive(Debug)]
struct Tick {
    /// Where, in steps from the axis' beginning.
    at: f64,
    label: String,
}

/// Labels at round times: 1, 2 and 5 of each decade, of more than two decades their beginnings alone, and of an axis on
/// which less than two of these lie both ends. The first of `count` steps goes up to `first` milliseconds.
#[expect(clippy::cast_precision_loss, reason = "a few dozen steps")]
fn ticks(first: f64, count: usize) -> Vec<Tick> {
    let all = count as f64;
    let factors: &[f64] = if all > 2.0 * STEPS { &[1.0] } else { &[1.0, 2.0, 5.0] };
    // From a microsecond to days.
    let round = (-3..9).flat_map(|decade| factors.iter().map(move |factor| factor * 10_f64.powi(decade)));
    let tick = |time: f64| {
        let at = (time / first).log10() * STEPS + 1.0;
        let label = if time < 1000.0 { format!("{time} ms") } else { format!("{} s", time / 1000.0) };
        (-0.01..all + 0.01).contains(&at).then_some(Tick { at, label })
    };
    let ticks: Vec<_> = round.filter_map(tick).collect();
    if ticks.len() > 1 {
        return ticks;
    }
    let end = |at: f64| Tick { at, label: ms(first * 10_f64.powf((at - 1.0) / STEPS)) };
    vec![end(0.0), end(all)]
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

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(first: f64, count: usize) -> Vec<(String, String)> {
        ticks(first, count).into_iter().map(|tick| (format!("{:.1}", tick.at), tick.label)).collect()
    }

    #[test]
    fn axes_are_labelled_at_round_times() {
        let of = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(at, label)| ((*at).to_owned(), (*label).to_owned())).collect::<Vec<_>>()
        };
        // Up to 2 ms, 2.67 ms, ... 20 ms.
        assert_eq!(
            labels(2.0, 9),
            of(&[("1.0", "2 ms"), ("4.2", "5 ms"), ("6.6", "10 ms"), ("9.0", "20 ms")])
        );
        let decades =
            of(&[("1.0", "0.1 ms"), ("9.0", "1 ms"), ("17.0", "10 ms"), ("25.0", "100 ms"), ("33.0", "1 s")]);
        assert_eq!(labels(0.1, 33), decades);
        // Between round times.
        assert_eq!(labels(4.0, 1), of(&[("0.0", "3.00 ms"), ("1.0", "4.00 ms")]));
    }
}
