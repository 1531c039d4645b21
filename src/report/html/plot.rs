//! The latency plot: both distributions back to back on a logarithmic axis.

use std::fmt::Write as _;

use crate::report::latency::{Latency, Step};
use crate::report::ms;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 240.0;
/// Where the axis lies.
const MIDDLE: f64 = 112.0;
/// The longest bar.
const REACH: f64 = 96.0;
/// Room for the labels of the axis.
const MARGIN: f64 = 12.0;
/// Steps from one label to the next: a decade.
const LABELLED: usize = 8;

/// The plot as SVG; empty without a distribution. It holds numbers alone, nothing from the wire.
#[expect(clippy::cast_precision_loss, reason = "a few dozen steps, and counts far below 2^53")]
pub(super) fn svg(latency: &Latency) -> String {
    let steps = &latency.distribution;
    let highest = steps.iter().map(|step| step.v1.max(step.v2)).max().unwrap_or(0);
    if highest == 0 {
        return String::new();
    }
    // Few steps do not become slabs.
    let step_width = ((WIDTH - 2.0 * MARGIN) / steps.len() as f64).min(40.0);
    let left = (WIDTH - step_width * steps.len() as f64) / 2.0;
    let mut out = format!(
        r#"<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Distribution of latencies">"#
    );
    for (n, step) in steps.iter().enumerate() {
        let x = left + step_width * n as f64;
        bar(&mut out, step, x, step_width, highest as f64);
        if is_labelled(n, steps) {
            let at = x + step_width;
            // Writing to a string does not fail.
            let _ = write!(
                out,
                r#"<line class="grid" x1="{at:.1}" x2="{at:.1}" y1="8" y2="216"/><text x="{at:.1}" y="232" text-anchor="middle">{}</text>"#,
                ms(step.up_to_ms)
            );
        }
    }
    let _ = write!(out, r#"<line class="axis" x1="0" x2="{WIDTH}" y1="{MIDDLE}" y2="{MIDDLE}"/></svg>"#);
    out
}

/// Whether the step ends a decade; with less than two decades, every fourth step is labelled.
fn is_labelled(n: usize, steps: &[Step]) -> bool {
    let decade = steps.get(n).is_some_and(|step| {
        let log = (step.up_to_ms * 1000.0).log10();
        (log - log.round()).abs() < 0.01
    });
    if steps.len() > 2 * LABELLED { decade } else { (n + 1).is_multiple_of(LABELLED / 2) || steps.len() < 4 }
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
fn bar(out: &mut String, step: &Step, x: f64, width: f64, highest: f64) {
    let (x, width) = (x + 1.0, (width - 2.0).max(1.0));
    for (class, count, up) in [("v1", step.v1, true), ("v2", step.v2, false)] {
        if count == 0 {
            continue;
        }
        let height = (count as f64 / highest * REACH).max(1.5);
        let y = if up { MIDDLE - height } else { MIDDLE };
        let _ = write!(
            out,
            r#"<rect class="c-{class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" rx="1.5"><title>{class}: {count} up to {}</title></rect>"#,
            ms(step.up_to_ms)
        );
    }
}
