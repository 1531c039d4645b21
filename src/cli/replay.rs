//! `shadowcap replay`: send a capture's requests to v2, and report.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use tokio::runtime::Runtime;

use super::args::{self, Edits, Global, Replay};
use super::metrics::Metrics;
use super::progress::Display;
use super::signals::Signals;
use super::{Exit, exit, preview, route, terminal};
use crate::capture::{BytesRead, CaptureSet, Input};
use crate::config::{self, ConfigError, Connecting, Target};
use crate::http::{BodyKeep, Options};
use crate::pipeline::{self, Job, Planning, Progress, RECORDING, Repeat, Resumption, RunError, RunOutcome};
use crate::record::{CAPTURE, Mode, OPTIONS, ROUTES, Redactor, Resuming, Run};
use crate::replay::choice::{Choice, Sample, Window};
use crate::replay::client::{Client, ClientKind};
use crate::replay::clock::Clock;
use crate::replay::engine::Settings;
use crate::replay::filter::Filter;
use crate::replay::guard::Guard;
use crate::replay::pace::Rate;
use crate::replay::ready::{NotReady, Readiness};
use crate::replay::stop::{StopHandle, StopSignal, stop_channel};
use crate::replay::{Planner, Speed};
use crate::report::{Gate, Summary};
use crate::route::{HostEdit, RouteTable, SHADOW_SUFFIX};

pub(super) fn run(args: &Replay, global: &Global) -> anyhow::Result<Exit> {
    let clock = Clock::start();
    let inputs = config::inputs(&args.reading.captures);
    let job = job(args, clock, &inputs, global)?;
    if let Some(format) = args.care.dry_run {
        return preview::run(job, format, global);
    }
    let around = around(args)?;
    if args.output.no_redact {
        terminal::say(global, "Credentials, cookies and tokens will be kept as they are (--no-redact).");
    }
    if args.connecting.insecure {
        exit::warn(
            "--insecure: v2's certificate is not checked; whoever is on the way can read and answer the requests",
        );
    }
    let folder = job.folder.clone();
    let outcome = carry_out(job, &around, global)?;
    conclude(&outcome, &folder, global)
}

/// What was typed, as the pipeline takes it.
fn job(args: &Replay, clock: Clock, inputs: &[Input], global: &Global) -> anyhow::Result<Job> {
    let max_body = usize::try_from(args.reading.max_body).unwrap_or(usize::MAX);
    let bodies = Options { keep: BodyKeep::UpTo(max_body), hash: false };
    let connecting = args.connecting.resolve(args.pace.timeout, max_body)?;
    let Plan { table, targets } = plan(args, &connecting, global)?;
    let repeat = repeat(args)?;
    let clients = targets.iter().map(|(_, target)| connecting.client(target, clock));
    let settings = settings(args, clients.collect::<Result<_, _>>()?, repeat)?;
    let planning = planning(args, table, &targets)?;
    let source = CaptureSet::open(inputs)?;
    if repeat != Repeat::ONCE && !source.can_be_rewound() {
        let given = args.schedule.repeat.clone().unwrap_or_default();
        let problem = "standard input and pipes can be read once only; save the capture as a file first";
        return Err(ConfigError::new("--loop", given, problem).into());
    }
    let run = Run {
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        started: clock.now(),
        seed: args.target.seed,
        mode: Mode::Replay,
        captures: args.reading.captures.clone(),
        targets: targets.into_iter().map(|(name, target)| (name, target.url)).collect(),
        options: [shaping(args), pacing(args)].concat(),
        digests: digests(args, &source)?,
    };
    Ok(Job {
        reading: args.reading.options(bodies)?,
        repeat,
        planning,
        settings,
        clock,
        redactor: redactor(args.output.no_redact)?,
        folder: folder(args, clock),
        resumption: resumption(args, &run)?,
        gate: Gate::default(),
        source,
        run,
    })
}

fn folder(args: &Replay, clock: Clock) -> PathBuf {
    args.care.resume.clone().unwrap_or_else(|| args.output.folder(&args.reading, clock))
}

fn repeat(args: &Replay) -> Result<Repeat, ConfigError> {
    let Some(given) = &args.schedule.repeat else { return Ok(Repeat::ONCE) };
    let repeat = config::parse("--loop", given)?;
    if matches!(repeat, Repeat::For(_)) && args.care.resume.is_some() {
        let problem = "a run of so much time has no rest to go on with; begin a new one";
        return Err(ConfigError::new("--loop", given, problem));
    }
    Ok(repeat)
}

fn settings(args: &Replay, clients: Vec<Client>, repeat: Repeat) -> Result<Settings, ConfigError> {
    let rate: Option<Rate> =
        args.schedule.rate.as_deref().map(|given| config::parse("--rate", given)).transpose()?;
    let ramp = args.schedule.ramp.unwrap_or_default();
    Ok(Settings {
        speed: config::parse::<Speed>("--speed", &args.pace.speed)?,
        concurrency: args.pace.concurrency as usize,
        rate: rate.map(|rate| rate.reached_after(ramp)),
        order: config::parse("--order", &args.schedule.order)?,
        abort_after: args.care.abort_after,
        time_limit: match repeat {
            Repeat::For(time) => Some(time),
            Repeat::Times(_) => None,
        },
        ..Settings::new(clients)
    })
}

fn planning(args: &Replay, table: RouteTable, targets: &[(String, Target)]) -> Result<Planning, ConfigError> {
    let edits = config::user_edits(&args.edits.set_header, &args.edits.remove_header)?;
    let own = edits.own(&table)?;
    let mut edits = edits.head_edits(host_edit(&args.edits)?, args.edits.as_envoy);
    edits.credentials = config::credentials(&args.choice.credentials)?;
    let all = || targets.iter().flat_map(|(_, target)| target.addresses().to_vec()).collect();
    let captured = if args.target.allow_captured_server { Vec::new() } else { all() };
    Ok(Planning {
        choice: choice(&args.choice, args.target.seed)?,
        table,
        sampling: args.routes.setup.sampling.into(),
        seed: args.target.seed,
        planner: Planner::new(edits, captured).with_own(own),
        guard: (!args.target.allow_captured_server).then(Guard::default),
    })
}

fn choice(args: &args::Choice, seed: u64) -> Result<Choice, ConfigError> {
    let edge = |option, given: &Option<String>| {
        given.as_deref().map(|given| config::parse(option, given)).transpose()
    };
    let filter = |given: &String| {
        Filter::new(given).map_err(|error| ConfigError::new("--filter", given, error.to_string()))
    };
    let sample: Option<Sample> =
        args.sample.as_deref().map(|given| config::parse("--sample", given)).transpose()?;
    Ok(Choice {
        window: Window::new(edge("--from", &args.from)?, edge("--to-time", &args.to_time)?),
        methods: config::parse("--methods", &args.methods)?,
        filter: args.filter.as_ref().map(filter).transpose()?,
        sample: sample.unwrap_or_default().seeded(seed),
        limit: args.limit,
    })
}

/// The run that is gone on with, where one is.
fn resumption(args: &Replay, run: &Run) -> Result<Option<Resumption>, RunError> {
    let Some(folder) = &args.care.resume else { return Ok(None) };
    let recording = Resuming::open(&folder.join(RECORDING))?;
    match recording.run().difference(run) {
        Some(what) => Err(RunError::OtherRun { folder: folder.clone(), what }),
        None => Ok(Some(Resumption { recording, resend: args.care.resend_in_flight })),
    }
}

/// What a run is known by when it is to be gone on with.
fn digests(args: &Replay, source: &CaptureSet) -> anyhow::Result<BTreeMap<String, String>> {
    let options = blake3::hash(shaping(args).join("\n").as_bytes()).to_hex().to_string();
    let capture = source.digest().context("cannot read the capture again")?;
    let mut digests = BTreeMap::from([(OPTIONS.to_owned(), options), (CAPTURE.to_owned(), capture)]);
    let mut routes = blake3::Hasher::new();
    for file in args.routes.files.iter().filter(|file| *file != Path::new("-")) {
        let text = std::fs::read(file).with_context(|| format!("cannot read {} again", file.display()))?;
        routes.update(&text).update(&[0]);
    }
    if !args.routes.files.is_empty() {
        digests.insert(ROUTES.to_owned(), routes.finalize().to_hex().to_string());
    }
    Ok(digests)
}

/// Which requests go where.
struct Plan {
    table: RouteTable,
    /// Each endpoint with its name, in the order of the table's places.
    targets: Vec<(String, Target)>,
}

/// The rules of `--routes`, or the one rule that `--to` stands for.
fn plan(args: &Replay, connecting: &Connecting, global: &Global) -> anyhow::Result<Plan> {
    let Some(to) = &args.target.to else {
        let routing = route::routing(&args.routes.files, &args.routes.setup)?;
        for warning in &routing.warnings {
            terminal::say(global, format_args!("warning: {warning}"));
        }
        let target = |(name, url): (String, String)| Ok((name, connecting.target("--endpoint", &url)?));
        let targets = routing.endpoints.into_iter().map(target).collect::<Result<_, ConfigError>>()?;
        return Ok(Plan { table: routing.table, targets });
    };
    let percent = config::parse("--percent", &args.target.percent)?;
    let target = connecting.target("--to", to)?;
    Ok(Plan { table: RouteTable::to_v2(percent), targets: vec![("v2".to_owned(), target)] })
}

/// What becomes of the Host.
fn host_edit(edits: &Edits) -> Result<HostEdit, ConfigError> {
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

/// The options that decide which requests are sent and with what, for the report and for going on. Header
/// values may be secrets and are left out.
fn shaping(args: &Replay) -> Vec<String> {
    let name = |field: &String| field.split(':').next().unwrap_or_default().to_owned();
    let host = match (&args.edits.host, &args.edits.istio) {
        (Some(host), _) => format!("--host {host}"),
        (None, Some(version)) => format!("--istio {version}"),
        (None, None) => {
            format!("--host-suffix {}", args.edits.host_suffix.as_deref().unwrap_or(SHADOW_SUFFIX))
        }
    };
    let mut options = vec![host];
    if args.target.to.is_some() {
        options.push(format!("--percent {}", args.target.percent));
    }
    options.extend(route::options(&args.routes));
    options.extend(args.reading.words());
    let choice = &args.choice;
    for (option, given) in [
        ("--from", &choice.from),
        ("--to-time", &choice.to_time),
        ("--filter", &choice.filter),
        ("--sample", &choice.sample),
        ("--limit", &choice.limit.map(|limit| limit.to_string())),
        ("--methods", &Some(choice.methods.clone()).filter(|methods| methods != "all")),
        ("--credentials", &Some(choice.credentials.clone()).filter(|what| what != "pass")),
        ("--loop", &args.schedule.repeat),
    ] {
        options.extend(given.iter().map(|given| format!("{option} {given}")));
    }
    options.extend(args.edits.as_envoy.then(|| "--as-envoy".to_owned()));
    options.extend(args.edits.set_header.iter().map(|field| format!("--set-header {}", name(field))));
    options.extend(args.edits.remove_header.iter().map(|name| format!("--remove-header {name}")));
    options.extend(args.target.allow_captured_server.then(|| "--allow-captured-server".to_owned()));
    options
}

/// The options that decide when and how fast it is sent, and what is kept of it.
fn pacing(args: &Replay) -> Vec<String> {
    let mut options = vec![
        format!("--speed {}", args.pace.speed),
        format!("--concurrency {}", args.pace.concurrency),
        format!("--timeout {}s", args.pace.timeout.as_secs_f64()),
    ];
    options.extend(args.schedule.rate.iter().map(|rate| format!("--rate {rate}")));
    options.extend(args.schedule.ramp.iter().map(|ramp| format!("--ramp {}s", ramp.as_secs_f64())));
    let order = Some(&args.schedule.order).filter(|order| *order != "connection");
    options.extend(order.map(|order| format!("--order {order}")));
    options.extend(args.care.abort_after.map(|times| format!("--abort-after {times}")));
    options.extend(args.connecting.options());
    options.extend(args.output.no_redact.then(|| "--no-redact".to_owned()));
    options
}

/// What goes on around a run.
#[derive(Default)]
pub(super) struct Around {
    /// What the target must do before anything is sent.
    ready: Option<Readiness>,
    /// Where the counters are served.
    metrics: Option<SocketAddr>,
}

fn around(args: &Replay) -> Result<Around, ConfigError> {
    let to = args.target.to.as_deref().unwrap_or_default();
    let host = to.split_once("://").map_or("localhost", |(_, host)| host.trim_end_matches('/'));
    let asked = |path: &String| {
        if path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic()) {
            Ok((path.clone(), host.to_owned()))
        } else {
            Err(ConfigError::new("--ready-path", path, "a path begins with / and holds no blank"))
        }
    };
    let asked = args.care.ready_path.as_ref().map(asked).transpose()?;
    Ok(Around {
        ready: args.care.wait_ready.map(|limit| Readiness { limit, asked }),
        metrics: args.care.metrics,
    })
}

/// Runs a job on a runtime of its own, with a progress bar, until its end or Ctrl-C.
pub(super) fn carry_out(job: Job, around: &Around, global: &Global) -> Result<RunOutcome, RunError> {
    let read = job.source.progress();
    carry_out_with(global, read, counts, async |progress, stop, signal| {
        let metrics = serve_metrics(around.metrics, &progress, global).await?;
        if let Some(ready) = &around.ready {
            wait_until_ready(ready, &job.settings.clients, signal.clone(), global).await?;
        }
        let outcome = pipeline::run(job, progress, stop, signal).await;
        metrics.iter().for_each(tokio::task::JoinHandle::abort);
        outcome
    })
}

async fn serve_metrics(
    address: Option<SocketAddr>,
    progress: &Arc<Progress>,
    global: &Global,
) -> Result<Option<tokio::task::JoinHandle<()>>, RunError> {
    let Some(address) = address else { return Ok(None) };
    let metrics = Metrics::bind(address).await.map_err(|source| RunError::Metrics { address, source })?;
    terminal::say(global, format_args!("Metrics at http://{}/metrics", metrics.address()));
    Ok(Some(tokio::spawn(metrics.serve(Arc::clone(progress)))))
}

async fn wait_until_ready(
    ready: &Readiness,
    clients: &[Client],
    mut stop: StopSignal,
    global: &Global,
) -> Result<(), RunError> {
    terminal::say(global, format_args!("Waiting up to {:?} for the target.", ready.limit));
    for client in clients {
        if client.kind() == ClientKind::Reqwest && ready.asked.is_none() {
            let why = "reqwest connects only to ask: say with --ready-path what".to_owned();
            return Err(RunError::NotReady { limit: ready.limit, why });
        }
        ready.wait(client, &mut stop).await.map_err(|error| match error {
            NotReady::TimedOut(why) => RunError::NotReady { limit: ready.limit, why },
            NotReady::Stopped => RunError::Stopped,
        })?;
    }
    Ok(())
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
    let reading = match of(&progress.lap) {
        0 => String::new(),
        lap => format!("reading {}, ", lap + 1),
    };
    format!(
        "{reading}{} sent, {} in flight, {} failed, {} different, {} skipped, {:.1} ms late",
        of(&progress.begun),
        progress.in_flight(),
        of(&progress.failed),
        of(&progress.different),
        of(&progress.skipped),
        progress.latest().as_secs_f64() * 1000.0
    )
}

/// Prints the summary and says how the process ends.
pub(super) fn conclude(outcome: &RunOutcome, folder: &Path, global: &Global) -> anyhow::Result<Exit> {
    terminal::print_summary(&outcome.summary, &folder.join("report.html"), global)
        .context("cannot write the summary to standard output")?;
    if let Some(what) = &outcome.broken_off {
        exit::complain(&format!("the capture breaks off, the report is of what could be read: {what}"));
    }
    if let Some(what) = &outcome.gave_up {
        exit::complain(&format!("{what}; `--resume {}` goes on", folder.display()));
    }
    name_those_in_flight(outcome, global);
    if outcome.interrupted && unsent(&outcome.summary) > 0 {
        terminal::say(
            global,
            format_args!("--resume {} goes on where this run was stopped.", folder.display()),
        );
    }
    Ok(if outcome.interrupted { Exit::Interrupted } else { outcome.summary.verdict.into() })
}

fn unsent(summary: &Summary) -> u64 {
    let interrupted = crate::replay::SkipReason::Interrupted.name();
    summary.exchanges.skipped.get(interrupted).copied().unwrap_or(0)
}

/// Requests that are named on the terminal; all of them are in the report.
const NAMED: usize = 100;

fn name_those_in_flight(outcome: &RunOutcome, global: &Global) {
    let count = outcome.in_flight.len();
    if count == 0 {
        return;
    }
    let names: Vec<_> = outcome.in_flight.iter().take(NAMED).map(|name| name.request.to_string()).collect();
    let more = if count > NAMED { format!(" and {} more", count - NAMED) } else { String::new() };
    let were = if count == 1 {
        "1 request was on its way".to_owned()
    } else {
        format!("{count} requests were on their way")
    };
    let message = format!(
        "{were} when the run was killed. What may have reached the target was not sent again (--resend-in-flight \
         sends it): {}{more}",
        names.join(" ")
    );
    terminal::say(global, message);
}
