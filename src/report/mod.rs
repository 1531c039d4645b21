//! What a run comes to, and the ways to show it.
//!
//! Rows go in one by one; a [`Tally`] counts them, and a bounded selection of them is kept for the
//! exchange view. At the end there is one [`Summary`], and every renderer only borrows it. The same rows
//! give the same bytes: no renderer asks for the time, and nothing depends on the order of a hash table.
//!
//! What comes from the wire is never trusted: each renderer writes it so that its format cannot take it
//! for anything but text.

mod csv;
mod exchange_view;
mod files;
mod gate;
mod html;
mod junit;
mod latency;
mod markdown;
mod pretty;
mod reporter;
mod route;
mod summary;
mod tally;
mod terminal;
mod visible;
mod words;

pub use files::ReportError;
pub use gate::Gate;
pub use latency::{Latency, Quantiles, Step};
pub use reporter::Reporter;
pub use route::route_of;
pub use summary::*;
pub use tally::{Judged, Tally};
pub use terminal::{Screen, terminal};
pub(crate) use visible::visible;

use crate::diff::{Class, Kind, Layer};

/// The JSON Schema (draft 2020-12) that every `summary.json` of this version is valid against.
pub const SUMMARY_SCHEMA: &str = include_str!("summary.schema.json");

/// A difference in one line, without its values.
fn one_line(class: Class, layer: Layer, path: &str, kind: Kind) -> String {
    let gap = if path.is_empty() { "" } else { " " };
    format!("{} {}{gap}{path} {}", class.name(), layer.name(), kind.name())
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
