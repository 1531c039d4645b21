//! What the rules make of each request of a capture.

use std::io::Write;

use serde::Serialize;

use super::explain::Explainer;
use crate::capture::CaptureSet;
use crate::exchange::{Exchange, Sequencer, SequencerLimits, Told};
use crate::pipeline::{Reading, ReadingOptions};
use crate::report::visible;
use crate::route::{Draws, Sampling, ShareCount, Shares};

/// How requests are drawn for, and how they are shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    pub(super) seed: u64,
    pub(super) sampling: Sampling,
    pub(super) json: bool,
}

/// What becomes of a request of the capture.
#[derive(Serialize)]
struct Line<'a> {
    id: String,
    method: String,
    host: String,
    target: String,
    rule: &'a str,
    matched: &'a str,
    to: Vec<To>,
    nothing: Option<String>,
}

#[derive(Serialize)]
struct To {
    role: crate::route::Role,
    destination: String,
    why: String,
}

/// Prints a line for each request. Returns the shares that result, and what could not be read.
pub(super) fn each(
    explainer: &Explainer,
    source: CaptureSet,
    manner: Manner,
    out: &mut dyn Write,
) -> std::io::Result<(Vec<ShareCount>, Vec<String>)> {
    let table = &explainer.routing.table;
    let mut shares = Shares::new(table);
    let mut written = Ok(());
    let mut first = true;
    let broken_off = {
        let sequencer = Sequencer::new(SequencerLimits::default(), |told| {
            let Told::Exchange(exchange) = told else { return };
            if written.is_ok() {
                written = line(explainer, &exchange, manner, &mut shares, &mut first, out);
            }
        });
        let mut reading = Reading::new(source, ReadingOptions::default(), sequencer);
        let broken_off = reading.read_while(|| true);
        reading.finish();
        reading.listener_mut().finish();
        broken_off
    };
    written?;
    Ok((shares.told(table), broken_off.iter().map(ToString::to_string).collect()))
}

fn line(
    explainer: &Explainer,
    exchange: &Exchange,
    manner: Manner,
    shares: &mut Shares,
    first: &mut bool,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let head = &exchange.request.head;
    let draws = Draws::new(manner.seed, exchange.id, manner.sampling);
    let decision = explainer.routing.table.decide(head, &draws);
    shares.count(&decision);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let told = Line {
        id: exchange.id.to_string(),
        method: text(head.method()),
        host: text(head.host().unwrap_or_default()),
        target: text(head.target()),
        rule: &decision.rule,
        matched: &decision.matched,
        to: decision
            .destinations
            .iter()
            .map(|to| To { role: to.role, destination: to.name.to_string(), why: to.why.to_string() })
            .collect(),
        nothing: decision.why_nothing.map(|why| why.to_string()),
    };
    if manner.json {
        let before = if std::mem::take(first) { "\n" } else { ",\n" };
        return write!(out, "{before}{}", serde_json::to_string(&told)?);
    }
    let all: Vec<_> =
        told.to.iter().map(|to| format!("{} {} ({})", role(to.role), to.destination, to.why)).collect();
    let what = told.nothing.unwrap_or_else(|| all.join(", "));
    let rule = if told.rule.is_empty() { "no rule" } else { told.rule };
    let request = format!("{} {} {}", told.method, told.host, told.target);
    writeln!(out, "{}  {}  {}: {}", told.id, visible(&request), visible(rule), visible(&what))
}

const fn role(role: crate::route::Role) -> &'static str {
    match role {
        crate::route::Role::Shadow => "shadow",
        crate::route::Role::Canary => "canary",
    }
}
