//! `shadowcap compare`: what a mesh has mirrored already, judged without sending anything.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Exit;
use super::args::{Compare, Global, Mirroring};
use super::progress::View;
use super::report::redactor;
use super::running::{Around, carry_out_with, conclude};
use crate::capture::{CaptureSet, Input};
use crate::config::{self, ConfigError};
use crate::exchange::mirrors::MirrorsLimits;
use crate::http::{BodyKeep, Options};
use crate::pipeline::{self, Comparison, Progress, Sides};
use crate::record::{Mode, Run};
use crate::replay::clock::Clock;
use crate::route::{HostEdit, SHADOW_SUFFIX};

pub(super) fn run(args: &Compare, global: &Global) -> anyhow::Result<Exit> {
    let clock = Clock::start();
    let inputs = config::inputs(&args.reading.captures);
    let job = job(args, clock, &inputs)?;
    if args.output.no_redact {
        super::report::warn_of_secrets();
    }
    let folder = job.folder.clone();
    let read = job.source.progress();
    let view = move |progress: &Progress, took| View::of_reading(&read, took, counts(progress));
    let outcome = carry_out_with(&Around::default(), global, view, |progress, stop, signal| {
        pipeline::compare(job, progress, stop, signal)
    })?;
    conclude(&outcome, &folder, global)
}

/// What was typed, as the pipeline takes it.
fn job(args: &Compare, clock: Clock, inputs: &[Input]) -> anyhow::Result<Comparison> {
    let max_body = usize::try_from(args.reading.max_body).unwrap_or(usize::MAX);
    let bodies = Options { keep: BodyKeep::UpTo(max_body), hash: false };
    let sides = sides(&args.mirroring)?;
    Ok(Comparison {
        run: Run {
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            started: clock.now(),
            seed: 0,
            mode: Mode::Compare,
            captures: args.reading.captures.clone(),
            targets: BTreeMap::new(),
            options: options(args, &sides),
            digests: BTreeMap::new(),
        },
        source: CaptureSet::open(inputs)?,
        reading: args.reading.options(bodies)?,
        sides,
        limits: MirrorsLimits { window: args.mirroring.window, ..MirrorsLimits::default() },
        clock,
        redactor: redactor(&args.output)?,
        folder: args.output.folder(&args.reading, clock),
        gate: args.gate.resolve()?,
        ruling: args.gate.ruling()?,
    })
}

/// What tells copies from originals.
fn sides(mirroring: &Mirroring) -> Result<Sides, ConfigError> {
    let edit = match &mirroring.istio {
        Some(version) => config::istio_host_edit(version)?,
        None => config::host_edit(mirroring.host_suffix.as_deref().unwrap_or(SHADOW_SUFFIX), None)?,
    };
    let suffix = match edit {
        HostEdit::Suffix(suffix) => Some(suffix),
        HostEdit::None | HostEdit::Literal(_) => None,
    };
    let servers = mirroring.shadow_server.iter().map(|server| config::parse("--shadow-server", server));
    Ok(Sides { suffix, servers: servers.collect::<Result<_, _>>()? })
}

/// The options that shape what is paired, for the report.
fn options(args: &Compare, sides: &Sides) -> Vec<String> {
    let mut options = vec![
        format!("--host-suffix {}", sides.suffix.as_deref().unwrap_or("none")),
        format!("--window {}s", args.mirroring.window.as_secs_f64()),
    ];
    options.extend(sides.servers.iter().map(|server| format!("--shadow-server {server}")));
    options.extend(args.reading.words());
    options.extend(args.gate.options());
    options.extend(args.output.no_redact.then(|| "--no-redact".to_owned()));
    options
}

/// What became of the exchanges so far.
fn counts(progress: &Progress) -> String {
    let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    format!(
        "{} exchanges: {} pairs, {} different, {} not compared",
        of(&progress.requests),
        of(&progress.done),
        of(&progress.different),
        of(&progress.skipped)
    )
}
