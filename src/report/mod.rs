//! What a run comes to, and the ways to show it.
//!
//! Rows go in one by one; a [`Tally`] counts them, and a bounded selection of them is kept for the
//! exchange view. At the end there is one [`Summary`], and every renderer only borrows it. The same rows
//! give the same bytes: no renderer asks for the time, and nothing depends on the order of a hash table.
//!
//! What comes from the wire is never trusted: each renderer writes it so that its format cannot take it
//! for anything but text.

mod accepted;
mod annotations;
mod beside;
mod csv;
mod curl;
mod differences;
mod earlier;
mod exchange_view;
mod export;
mod facts;
mod fail_on;
mod files;
mod gate;
mod html;
mod ignore_rule;
mod junit;
mod latency;
mod markdown;
mod pretty;
mod raw_body;
mod recurring;
mod reporter;
mod route;
mod route_counts;
mod show;
mod slower;
mod suggest;
mod summary;
mod tally;
mod terminal;
mod timeline;
mod values;
mod visible;
mod words;
mod xml;

pub use accepted::{Accepted, AcceptedError, AcceptedSummary};
pub use annotations::github_annotations;
pub use earlier::Earlier;
pub use export::{Export, Format};
pub use fail_on::FailOn;
pub use files::ReportError;
pub use gate::Gate;
pub use latency::{LateStep, Latency, Lateness, Quantiles, Step};
pub use reporter::Reporter;
pub use route::Routes;
pub use show::show;
pub use slower::Slower;
pub use suggest::Suggestions;
pub use summary::*;
pub use tally::{Judged, Tally};
pub use terminal::{Screen, terminal};
pub use timeline::{Slot, Timeline};
pub use values::{Example, ValuePair};
pub(crate) use visible::{visible, without_commands};

use crate::diff::{Class, Kind, Layer};

/// The JSON Schema (draft 2020-12) that every `summary.json` of this version is valid against.
pub const SUMMARY_SCHEMA: &str = include_str!("summary.schema.json");

/// The JSON Schema (draft 2020-12) of the lines of `report --export ndjson`, and in its `$defs` that of the rows of
/// `exchanges.csv` and `differences.csv`.
pub const EXCHANGE_SCHEMA: &str = include_str!("exchange.schema.json");

/// A difference in one line, without its values.
fn one_line(class: Class, layer: Layer, path: &str, kind: Kind) -> String {
    let mut line = String::new();
    put_line(&mut line, (class, layer, path, kind));
    line
}

/// The same behind a text.
fn put_line(out: &mut String, (class, layer, path, kind): (Class, Layer, &str, Kind)) {
    let gap = if path.is_empty() { "" } else { " " };
    for part in [class.name(), " ", layer.name(), gap, path, " ", kind.name()] {
        out.push_str(part);
    }
}

/// Milliseconds for a person: three significant digits or so, with the unit.
fn ms(value: f64) -> String {
    match value {
        v if v >= 10_000.0 => format!("{:.1} s", v / 1000.0),
        v if v >= 100.0 => format!("{v:.0} ms"),
        v if v >= 10.0 => format!("{v:.1} ms"),
        v => format!("{v:.2} ms"),
    }
}

/// A count for a person: digits in groups of three.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A share from 0 to 1 as a percentage that never rounds something to nothing, nor nearly all to all.
fn percent(share: f64) -> String {
    match share * 100.0 {
        p if p > 0.0 && p < 0.1 => "<0.1 %".to_owned(),
        p if p > 99.9 && p < 100.0 => ">99.9 %".to_owned(),
        p if p >= 10.0 || p <= 0.0 => format!("{p:.0} %"),
        p => format!("{p:.1} %"),
    }
}

/// A share from 0 to 1 as a percentage with as many decimals as rules give it.
fn exact_percent(share: f64) -> String {
    let text = format!("{:.4}", share * 100.0);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests;
