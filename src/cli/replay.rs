//! `shadowcap replay`: send a capture's requests to v2, and report.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::runtime::Runtime;

use super::args::{self, Edits, Global, Replay, RouteArgs};
use super::progress::Display;
use super::signals::Signals;
use super::{Exit, exit, route, terminal};
use crate::capture::{BytesRead, CaptureSet, Input};
use crate::config::{self, ConfigError, Connecting, Target};
use crate::http::{BodyKeep, Options};
use crate::pipeline::{self, Job, Progress, RunError, RunOutcome};
use crate::record::{Mode, Redactor, Run};
use crate::replay::Planner;
use crate::replay::clock::Clock;
use crate::replay::engine::Settings;
use crate::replay::guard::Guard;
use crate::replay::stop::{StopHandle, StopSignal, stop_channel};
use crate::report::Gate;
use crate::route::{HostEdit, RouteTable, SHADOW_SUFFIX};

pub(super) fn run(args: &Replay, global: &Global) -> anyhow::Result<Exit> {
    let clock = Clock::start();
    let inputs = config::inputs(&args.reading.captures);
    let job = job(args, clock, &inputs, global)?;
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
fn job(args: &Replay, clock: Clock, inputs: &[Input], global: &Global) -> anyhow::Result<Job> {
    let max_body = usize::try_from(args.reading.max_body).unwrap_or(usize::MAX);
    let bodies = Options { keep: BodyKeep::UpTo(max_body), hash: false };
    let connecting = args.connecting.resolve(args.pace.timeout, max_body)?;
    let Plan { table, targets } = plan(&args.target, &args.routes, &connecting, global)?;
    let edits = config::user_edits(&args.edits.set_header, &args.edits.remove_header)?;
    let own = edits.own(&table)?;
    let edits = edits.head_edits(host_edit(&args.edits)?, args.edits.as_envoy);
    let clients = targets.iter().map(|(_, target)| connecting.client(target, clock));
    let clients = clients.collect::<Result<Vec<_>, _>>()?;
    let settings = Settings {
        speed: config::parse("--speed", &args.pace.speed)?,
        concurrency: args.pace.concurrency as usize,
        ..Settings::new(clients)
    };
    let captured = match args.target.allow_captured_server {
        true => Vec::new(),
        false => targets.iter().flat_map(|(_, target)| target.addresses().to_vec()).collect(),
    };
    Ok(Job {
        run: Run {
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            started: clock.now(),
            seed: args.target.seed,
            mode: Mode::Replay,
            captures: args.reading.captures.clone(),
            targets: targets.into_iter().map(|(name, target)| (name, target.url)).collect(),
            options: options(args),
        },
        source: CaptureSet::open(inputs)?,
        reading: args.reading.options(bodies)?,
        table,
        sampling: args.routes.setup.sampling.into(),
        planner: Planner::new(edits, captured).with_own(own),
        guard: (!args.target.allow_captured_server).then(Guard::default),
        settings,
        clock,
        redactor: redactor(args.output.no_redact)?,
        folder: args.output.folder(&args.reading, clock),
        gate: Gate::default(),
    })
}

/// Which requests go where.
pub(super) struct Plan {
    pub(super) table: RouteTable,
    /// Each endpoint with its name, in the order of the table's places.
    pub(super) targets: Vec<(String, Target)>,
}

/// The rules of `--routes`, or the one rule that `--to` stands for.
pub(super) fn plan(
    typed: &args::Target,
    routes: &RouteArgs,
    connecting: &Connecting,
    global: &Global,
) -> anyhow::Result<Plan> {
    let Some(to) = &typed.to else {
        let routing = route::routing(&routes.files, &routes.setup)?;
        for warning in &routing.warnings {
            terminal::say(global, format_args!("warning: {warning}"));
        }
        let target = |(name, url): (String, String)| Ok((name, connecting.target("--endpoint", &url)?));
        let targets = routing.endpoints.into_iter().map(target).collect::<Result<_, ConfigError>>()?;
        return Ok(Plan { table: routing.table, targets });
    };
    let percent = config::parse("--percent", &typed.percent)?;
    let target = connecting.target("--to", to)?;
    Ok(Plan { table: RouteTable::to_v2(percent), targets: vec![("v2".to_owned(), target)] })
}

/// What becomes of the Host.
pub(super) fn host_edit(edits: &Edits) -> Result<HostEdit, ConfigError> {
    match (&edits.istio, &edits.host_suffix) {
        (Some(version), _) => config::istio_host_edit(version),
        (None, suffix) => {
            config::host_edit(suffix.as_deref().unwrap_or(SHADOW_SUFFIX), edits.host.as_deref())
        }
    }
}

pub(super) fn redactor(keep_secrets: bool) -> Result<Option<Redactor>, RunError> {
    if keep_secrets {
        return Ok(None);
    }
    let refused =
        || RunError::System { what: "randomness", source: std::io::Error::other("no random bytes") };
    Redactor::random().ok_or_else(refused).map(Some)
}

/// The options that shape what is sent and compared, for the report.
fn options(args: &Replay) -> Vec<String> {
    let mut options = edit_words(&args.edits);
    options.extend([
        format!("--speed {}", args.pace.speed),
        format!("--concurrency {}", args.pace.concurrency),
        format!("--timeout {}s", args.pace.timeout.as_secs_f64()),
    ]);
    options.extend(target_words(&args.target, &args.routes));
    options.extend(args.reading.words());
    options.extend(args.connecting.options());
    options.extend(args.output.no_redact.then(|| "--no-redact".to_owned()));
    options
}

/// What is done to heads. Header values may be secrets and are left out.
pub(super) fn edit_words(edits: &Edits) -> Vec<String> {
    let name = |field: &String| field.split(':').next().unwrap_or_default().to_owned();
    let mut words = vec![match (&edits.host, &edits.istio) {
        (Some(host), _) => format!("--host {host}"),
        (None, Some(version)) => format!("--istio {version}"),
        (None, None) => format!("--host-suffix {}", edits.host_suffix.as_deref().unwrap_or(SHADOW_SUFFIX)),
    }];
    words.extend(edits.as_envoy.then(|| "--as-envoy".to_owned()));
    words.extend(edits.set_header.iter().map(|field| format!("--set-header {}", name(field))));
    words.extend(edits.remove_header.iter().map(|name| format!("--remove-header {name}")));
    words
}

/// Which requests are sent.
pub(super) fn target_words(target: &args::Target, routes: &RouteArgs) -> Vec<String> {
    let mut words = route::options(routes);
    words.extend(target.to.is_some().then(|| format!("--percent {}", target.percent)));
    words.extend(target.allow_captured_server.then(|| "--allow-captured-server".to_owned()));
    words
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
