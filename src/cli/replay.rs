//! `shadowcap replay`: send a capture's requests to v2, and report.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::runtime::Runtime;

use super::args::{Global, Replay};
use super::progress::Display;
use super::signals::Signals;
use super::{Exit, exit, terminal};
use crate::capture::{BytesRead, CaptureSet, Input};
use crate::config;
use crate::http::{BodyKeep, Options};
use crate::pipeline::{self, Job, Progress, RunError, RunOutcome};
use crate::record::{Mode, Redactor, Run};
use crate::replay::Planner;
use crate::replay::clock::Clock;
use crate::replay::engine::Settings;
use crate::replay::guard::Guard;
use crate::replay::stop::{StopHandle, StopSignal, stop_channel};
use crate::report::Gate;
use crate::route::Mirror;

pub(super) fn run(args: &Replay, global: &Global) -> anyhow::Result<Exit> {
    let clock = Clock::start();
    let inputs = config::inputs(&args.reading.captures);
    let job = job(args, clock, &inputs)?;
    if args.output.no_redact {
        terminal::say(global, "Credentials, cookies and tokens will be kept as they are (--no-redact).");
    }
    if args.connecting.insecure {
        exit::warn(
            "--insecure: v2's certificate is not checked; whoever is on the way can read and answer the requests",
        );
    }
    let folder = job.folder.clone();
    let outcome = carry_out(job, global)?;
    conclude(&outcome, &folder, global)
}

/// What was typed, as the pipeline takes it.
fn job(args: &Replay, clock: Clock, inputs: &[Input]) -> anyhow::Result<Job> {
    let percent = config::parse("--percent", &args.target.percent)?;
    let host = config::host_edit(&args.edits.host_suffix, args.edits.host.as_deref())?;
    let edits =
        config::head_edits(host, args.edits.as_envoy, &args.edits.set_header, &args.edits.remove_header)?;
    let max_body = usize::try_from(args.reading.max_body).unwrap_or(usize::MAX);
    let bodies = Options { keep: BodyKeep::UpTo(max_body), hash: false };
    let connecting = args.connecting.resolve(args.pace.timeout, max_body)?;
    let target = connecting.target("--to", &args.target.to)?;
    let client = connecting.client(&target, clock)?;
    let settings = Settings {
        speed: config::parse("--speed", &args.pace.speed)?,
        concurrency: args.pace.concurrency as usize,
        ..Settings::new(vec![client])
    };
    let captured = if args.target.allow_captured_server { Vec::new() } else { target.addresses().to_vec() };
    Ok(Job {
        run: Run {
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            started: clock.now(),
            seed: args.target.seed,
            mode: Mode::Replay,
            captures: args.reading.captures.clone(),
            targets: BTreeMap::from([("v2".to_owned(), target.url)]),
            options: options(args),
        },
        source: CaptureSet::open(inputs)?,
        reading: args.reading.options(bodies)?,
        mirror: Mirror::to_v2(percent),
        planner: Planner::new(edits, captured),
        guard: (!args.target.allow_captured_server).then(Guard::default),
        settings,
        clock,
        redactor: redactor(args.output.no_redact)?,
        folder: args.output.folder(&args.reading, clock),
        gate: Gate::default(),
    })
}

pub(super) fn redactor(keep_secrets: bool) -> Result<Option<Redactor>, RunError> {
    if keep_secrets {
        return Ok(None);
    }
    let refused =
        || RunError::System { what: "randomness", source: std::io::Error::other("no random bytes") };
    Redactor::random().ok_or_else(refused).map(Some)
}

/// The options that shape what is sent and compared, for the report. Header values may be secrets and
/// are left out.
fn options(args: &Replay) -> Vec<String> {
    let name = |field: &String| field.split(':').next().unwrap_or_default().to_owned();
    let host = match &args.edits.host {
        Some(host) => format!("--host {host}"),
        None => format!("--host-suffix {}", args.edits.host_suffix),
    };
    let mut options = vec![
        host,
        format!("--percent {}", args.target.percent),
        format!("--speed {}", args.pace.speed),
        format!("--concurrency {}", args.pace.concurrency),
        format!("--timeout {}s", args.pace.timeout.as_secs_f64()),
    ];
    options.extend(args.reading.words());
    options.extend(args.connecting.options());
    options.extend(args.edits.as_envoy.then(|| "--as-envoy".to_owned()));
    options.extend(args.edits.set_header.iter().map(|field| format!("--set-header {}", name(field))));
    options.extend(args.edits.remove_header.iter().map(|name| format!("--remove-header {name}")));
    options.extend(args.target.allow_captured_server.then(|| "--allow-captured-server".to_owned()));
    options.extend(args.output.no_redact.then(|| "--no-redact".to_owned()));
    options
}

/// Runs a job on a runtime of its own, with a progress bar, until its end or Ctrl-C.
pub(super) fn carry_out(job: Job, global: &Global) -> Result<RunOutcome, RunError> {
    let read = job.source.progress();
    carry_out_with(global, read, counts, |progress, stop, signal| pipeline::run(job, progress, stop, signal))
}

/// The same for whatever reads a capture: `run` is told where to count and when to stop.
pub(super) fn carry_out_with<R: Future<Output = Result<RunOutcome, RunError>>>(
    global: &Global,
    read: BytesRead,
    counts: fn(&Progress) -> String,
    run: impl FnOnce(Arc<Progress>, Arc<StopHandle>, StopSignal) -> R,
) -> Result<RunOutcome, RunError> {
    let refused = |source| RunError::System { what: "an asynchronous runtime", source };
    let runtime = Runtime::new().map_err(refused)?;
    let progress = Arc::new(Progress::default());
    let display = Display::start(global, read, {
        let progress = Arc::clone(&progress);
        move || counts(&progress)
    });
    let quiet = global.quiet;
    let outcome = runtime.block_on(async {
        let (handle, signal) = stop_channel();
        let handle = Arc::new(handle);
        let signals = Signals::listen().map_err(|source| RunError::System { what: "signals", source })?;
        let interrupts = tokio::spawn(signals.heed(Arc::clone(&handle), quiet));
        let outcome = run(progress, handle, signal).await;
        interrupts.abort();
        outcome
    });
    drop(display);
    outcome
}

/// What became of the requests so far.
fn counts(progress: &Progress) -> String {
    let of = |counter| Progress::read(counter);
    format!(
        "{} requests: {} answered, {} failed, {} different, {} skipped",
        of(&progress.requests),
        of(&progress.done) - of(&progress.failed).min(of(&progress.done)),
        of(&progress.failed),
        of(&progress.different),
        of(&progress.skipped)
    )
}

/// Prints the summary and says how the process ends.
pub(super) fn conclude(outcome: &RunOutcome, folder: &Path, global: &Global) -> anyhow::Result<Exit> {
    terminal::print_summary(&outcome.summary, &folder.join("report.html"), global)
        .context("cannot write the summary to standard output")?;
    if let Some(what) = &outcome.broken_off {
        exit::complain(&format!("the capture breaks off, the report is of what could be read: {what}"));
    }
    Ok(if outcome.interrupted { Exit::Interrupted } else { outcome.summary.verdict.into() })
}
