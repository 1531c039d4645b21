//! What the rules make of each request of a capture.

use std::io::Write;

use serde::Serialize;

use super::explain::{Explainer, Missed, missed};
use crate::capture::CaptureSet;
use crate::exchange::{Exchange, Sequencer, SequencerLimits, Told};
use crate::pipeline::{Reading, ReadingOptions};
use crate::report::visible;
use crate::route::{Action, Decision, Destination, Draws, RequestFacts, Role, Sampling, ShareCount, Shares};

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
    /// The weighted destination that was picked, be it the captured service.
    primary: Option<&'a str>,
    to: Vec<To>,
    nothing: Option<String>,
    /// What was tried before, in order; told in JSON alone.
    not: Vec<Missed>,
}

#[derive(Serialize)]
struct To {
    role: Role,
    destination: String,
    why: String,
    /// The lines of the head that is sent and that were not captured.
    changed: Vec<String>,
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
    let table = &explainer.routing.table;
    let decision = table.decide(head, &draws);
    shares.count(&decision);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let to = |to: &Destination| To {
        role: to.role,
        destination: to.name.to_string(),
        why: to.why.to_string(),
        changed: explainer.changes(exchange, &decision, to),
    };
    let told = Line {
        id: exchange.id.to_string(),
        method: text(head.method()),
        host: text(head.host().unwrap_or_default()),
        target: text(head.target()),
        rule: &decision.rule,
        matched: &decision.matched,
        primary: primary(explainer, &decision),
        to: decision.destinations.iter().map(to).collect(),
        nothing: decision.why_nothing.map(|why| why.to_string()),
        not: if manner.json { missed(&table.search(&RequestFacts::new(head))) } else { Vec::new() },
    };
    if manner.json {
        let before = if std::mem::take(first) { "\n" } else { ",\n" };
        return write!(out, "{before}{}", serde_json::to_string(&told)?);
    }
    writeln!(out, "{}", told.words())
}

/// The name of the weighted destination that was picked.
fn primary<'e>(explainer: &'e Explainer, decision: &Decision) -> Option<&'e str> {
    let picked = decision.picked.as_ref()?;
    match &explainer.routing.table.rule(picked.rule)?.action {
        Action::Forward(forward) => Some(&*forward.primaries.get(picked.primary?)?.to.name),
        Action::Redirect | Action::Respond(_) => None,
    }
}

impl Line<'_> {
    /// For a person: one line, of which the parts about heads are in brackets.
    fn words(&self) -> String {
        let sent = |to: &To| {
            let changed =
                if to.changed.is_empty() { String::new() } else { format!(" [{}]", to.changed.join(", ")) };
            format!("{} {} ({}){changed}", to.role.name(), to.destination, to.why)
        };
        let is_canary = self.to.iter().any(|to| to.role == Role::Canary);
        // A canary is the primary, and told as such.
        let captured = self.primary.filter(|_| !is_canary).map(|name| format!("captured {name}"));
        let parts: Vec<_> =
            captured.into_iter().chain(self.nothing.clone()).chain(self.to.iter().map(sent)).collect();
        let rule = match (self.rule, self.matched) {
            ("", _) => "no rule".to_owned(),
            (rule, "") => rule.to_owned(),
            (rule, matched) => format!("{rule} ({matched})"),
        };
        let request = format!("{} {} {}", self.method, self.host, self.target);
        format!("{}  {}  {}: {}", self.id, visible(&request), visible(&rule), visible(&parts.join(", ")))
    }
}
