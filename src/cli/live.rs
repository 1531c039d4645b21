//! `shadowcap live`: shadow what is captured, as it happens.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::args::live::Live;
use super::args::{Asking, Global};
use super::capturing::{open, record, say_begun};
use super::live_status::Status;
use super::live_view::LiveView;
use super::replay::{
    Plan, around, choice, choice_words, edit_words, host_edit, limit_words, output_words, plan, rate,
    target_words,
};
use super::running::{self, conclude};
use super::signals::Signals;
use super::{Exit, exit, report, terminal};
use crate::capture::live::{Opened, Stopper};
use crate::config::{self, ConfigError, Connecting, Target};
use crate::http::{BodyKeep, Options};
use crate::pipeline::live::{self, Control, LiveJob, View, Watch};
use crate::pipeline::{Except, InWords, Planning, ReadingOptions, RunError, RunOutcome};
use crate::record::{Mode, Run};
use crate::replay::Planner;
use crate::replay::clock::Clock;
use crate::replay::engine::Settings;
use crate::replay::own::OwnConnections;
use crate::replay::reqwest_client::Via;
use crate::replay::stop::{StopHandle, stop_channel};
use crate::report::Summary;
use crate::route::Shares;
use crate::stream::Limits;

/// How long packets may wait in the kernel: a shadow is to leave soon after v1's answer.
const WAIT: Duration = Duration::from_millis(1);

pub(super) fn run(args: &Live, global: &Global) -> anyhow::Result<Exit> {
    let clock = Clock::start();
    let ready = wait_until_ready(args, clock, global)?;
    let opened = open(&args.front, WAIT)?;
    let watch = Arc::new(Watch::new(opened.account()));
    let towards = ready.map_or_else(|| Towards::new(args, global), Ok)?;
    let job = job(args, clock, opened, towards)?;
    if args.output.no_redact {
        report::warn_of_secrets();
    }
    if args.connecting.insecure {
        exit::warn(
            "--insecure: v2's certificate is not checked; whoever is on the way can read and answer the requests",
        );
    }
    let folder = job.folder.clone();
    let outcome = carry_out(job, &watch, args, global)?;
    say_ended(&watch, global);
    let exit = conclude(&outcome, &folder, global)?;
    report::annotate(&outcome.summary, args.output.annotations)?;
    Ok(exit)
}

/// Where requests go.
struct Towards {
    connecting: Connecting,
    plan: Plan,
}

impl Towards {
    fn new(args: &Live, global: &Global) -> anyhow::Result<Self> {
        let connecting = args.connecting.resolve(args.sending.timeout, BodyKeep::UpTo(max_body(args)))?;
        let plan = plan(&args.target, &args.routes, &connecting, global)?;
        if connecting.via != Via::Direct {
            plan.targets.iter().try_for_each(|(_, target)| not_round(args, target))?;
        }
        Ok(Self { connecting, plan })
    }
}

/// Refuses what could go round without end: a proxy's own connection to v2 is none of ours, so that only v2's address
/// or port tells it from v1's traffic where it is captured as well.
fn not_round(args: &Live, target: &Target) -> Result<(), ConfigError> {
    let Some(port) = target.readable_port() else { return Ok(()) };
    let known = !target.addresses().is_empty() && !args.target.allow_captured_server;
    if known || (!args.port.is_empty() && !args.port.contains(&port)) {
        return Ok(());
    }
    let option = if args.connecting.proxy_from_env { "--proxy-from-env" } else { "--proxy" };
    let why = if target.addresses().is_empty() {
        "v2's name does not resolve here"
    } else {
        "--allow-captured-server lets it through"
    };
    let problem = format!(
        "what the proxy sends on to v2 may pass the interface as well, and {why}, so that each shadow could be shadowed \
         again without end; give v1's ports with --port, v2's port {port} not among them"
    );
    Err(ConfigError::new(option, &target.url, problem))
}

fn max_body(args: &Live) -> usize {
    usize::try_from(args.max_body).unwrap_or(usize::MAX)
}

/// Waits for the target where that is asked for, before anything is captured. It takes no thread of its own, since
/// rights are given up for those threads alone that are started after that.
fn wait_until_ready(args: &Live, clock: Clock, global: &Global) -> anyhow::Result<Option<Towards>> {
    if args.tending.wait_ready.is_none() {
        return Ok(None);
    }
    let towards = Towards::new(args, global)?;
    let targets = &towards.plan.targets;
    let clients = targets.iter().map(|(_, target)| towards.connecting.client(target, clock));
    let around = around(&args.tending, &clients.collect::<Result<Vec<_>, _>>()?, targets)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let system = |what| move |source| RunError::System { what, source };
    runtime.map_err(system("an asynchronous runtime"))?.block_on(async {
        let (handle, stop) = stop_channel();
        let signals = Signals::listen().map_err(system("signals"))?;
        let stopping = tokio::spawn(signals.heed(Arc::new(handle), true));
        let ready = running::wait_until_ready(&around.ready, stop, global).await;
        stopping.abort();
        ready
    })?;
    Ok(Some(towards))
}

/// What was typed, as the pipeline takes it.
fn job(args: &Live, clock: Clock, opened: Opened, towards: Towards) -> anyhow::Result<LiveJob> {
    let Towards { connecting, plan: Plan { table, targets } } = towards;
    let edits = config::user_edits(&args.edits.set_header, &args.edits.remove_header)?;
    let own_edits = edits.own(&table)?;
    let mut edits = edits.head_edits(host_edit(&args.edits)?, args.edits.as_envoy);
    edits.credentials = config::credentials(&args.choice.credentials)?;
    let own = OwnConnections::default();
    let clients = targets.iter().map(|(_, target)| connecting.registering_client(target, clock, &own));
    let clients = clients.collect::<Result<Vec<_>, _>>()?;
    let mut captured = Vec::new();
    if !args.target.allow_captured_server {
        captured.extend(targets.iter().flat_map(|(_, target)| target.addresses().to_vec()));
    }
    let planner = Planner::new(edits, captured).with_own(own_edits);
    let asking = Asking {
        connecting: &connecting,
        planner: &planner,
        seed: args.target.seed,
        clock,
        own: Some(&own),
        waits: false,
    };
    let verification = args.verify.resolve(None, &asking)?;
    let recorder = args.write.as_ref().map(|path| record(path, &args.rotate, &args.front, &opened));
    let recorder = recorder.transpose()?;
    Ok(LiveJob {
        run: Run {
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            started: clock.now(),
            seed: args.target.seed,
            mode: Mode::Live,
            captures: args.front.interface.clone(),
            targets: targets.into_iter().map(|(name, target)| (name, target.url)).collect(),
            options: options(args),
            digests: BTreeMap::new(),
        },
        capture: opened.start().map_err(|source| RunError::System { what: "a thread", source })?,
        recorder,
        reading: ReadingOptions {
            filter: None,
            ports: args.port.clone(),
            bodies: Options { keep: BodyKeep::UpTo(max_body(args)), hash: false },
            answers: None,
            store: None,
            limits: Limits { memory: args.memory },
            except: Except::those(move |source, destination| own.contains(source, destination)),
        },
        planning: Planning {
            choice: choice(&args.choice, args.target.seed)?,
            shares: Shares::new(&table),
            table,
            sampling: args.routes.setup.sampling.into(),
            seed: args.target.seed,
            planner,
            guard: None,
            why: InWords::default(),
        },
        settings: Settings {
            concurrency: args.sending.concurrency as usize,
            connections: args.connecting.connections()?,
            rate: rate(&args.limited)?,
            abort_after: args.tending.abort_after,
            ..Settings::new(clients)
        },
        queue: args.sending.queue as usize,
        disk: args.disk,
        duration: args.front.duration,
        report_every: args.report_every,
        clock,
        redactor: report::redactor(&args.output)?,
        keep: args.keep.resolve(),
        folder: args.output.out.clone().unwrap_or_else(|| {
            config::default_folder(&format!("live-{}", args.front.interface.join("-")), clock.now())
        }),
        gate: args.gate.resolve()?,
        ruling: args.gate.ruling()?,
        verification,
    })
}

/// The options that shape what is sent and compared, for the report.
fn options(args: &Live) -> Vec<String> {
    let mut options = edit_words(&args.edits);
    options.extend([
        format!("--concurrency {}", args.sending.concurrency),
        format!("--queue {}", args.sending.queue),
        format!("--disk {}", args.disk),
        format!("--timeout {}s", args.sending.timeout.as_secs_f64()),
    ]);
    options.extend(target_words(&args.target, &args.routes));
    options.extend(choice_words(&args.choice));
    options.extend(limit_words(&args.limited, &args.tending));
    options.extend(args.front.bpf.iter().map(|filter| format!("--bpf {filter}")));
    options.extend(args.port.iter().map(|port| format!("--port {port}")));
    options.extend(args.connecting.options());
    options.extend(args.keep.options());
    options.extend(args.verify.options());
    options.extend(output_words(&args.output));
    options
}

/// Runs a job on a runtime of its own until its end or Ctrl-C.
fn carry_out(job: LiveJob, watch: &Arc<Watch>, args: &Live, global: &Global) -> Result<RunOutcome, RunError> {
    let system = |what| move |source| RunError::System { what, source };
    let runtime = Runtime::new().map_err(system("an asynchronous runtime"))?;
    // Whoever hears that it has begun may send a signal.
    let inside = runtime.enter();
    let signals = Signals::listen().map_err(system("signals"))?;
    let (ask, report_now) = mpsc::channel(1);
    let asking = ask_at_signals(ask).map_err(system("signals"))?;
    drop(inside);
    say_begun(global, &args.front);
    let display = Display::start(&job, watch, args.ui, global);
    // What is said would stand in the middle of the screen.
    let (folder, quiet) = (job.folder.clone(), global.quiet || matches!(display, Display::Screen(_)));
    let outcome = runtime.block_on(async {
        let (handle, signal_of_stop) = stop_channel();
        let handle = Arc::new(handle);
        let metrics = running::serve_metrics(args.tending.metrics, &watch.progress, global).await?;
        let stopping = tokio::spawn(heed(signals, job.capture.stopper(), Arc::clone(&handle), quiet));
        let asking = tokio::spawn(asking);
        let control = Control { stop: handle, signal: signal_of_stop, report_now };
        let told = |summary: &Summary| {
            let verdict = summary.verdict;
            let place = folder.join("report.html");
            let text = format!("Reports of what there is so far ({verdict:?}): {}", place.display());
            terminal::say_plainly(quiet, &text);
        };
        let outcome = Box::pin(live::run(job, Arc::clone(watch), control, told)).await;
        stopping.abort();
        asking.abort();
        metrics.iter().for_each(tokio::task::JoinHandle::abort);
        outcome
    });
    drop(display);
    outcome
}

/// How the run is shown while it goes on.
#[expect(dead_code, reason = "held for what they do when they are dropped")]
enum Display {
    Lines(Status),
    Screen(LiveView),
}

impl Display {
    fn start(job: &LiveJob, watch: &Arc<Watch>, ui: bool, global: &Global) -> Self {
        if ui && LiveView::is_possible() {
            let targets: Vec<_> = job.run.targets.values().cloned().collect();
            let title = format!("shadowcap live: {} to {}", job.run.captures.join(", "), targets.join(", "));
            match LiveView::start(title, Arc::clone(watch)) {
                Ok(view) => return Self::Screen(view),
                Err(error) => {
                    exit::warn(&format!("the terminal cannot be drawn on ({error}); plain lines follow"));
                }
            }
        }
        let seen = Arc::clone(watch);
        Self::Lines(Status::start(global, watch.interfaces(), move || line(&seen.view())))
    }
}

/// At the first signal capturing ends, and what waits is still sent; at the second nothing more is; at
/// the third nothing is waited for. The report is written in each case.
async fn heed(mut signals: Signals, stopper: Stopper, handle: Arc<StopHandle>, quiet: bool) {
    let mut first = true;
    while signals.next().await {
        if first {
            terminal::say_plainly(
                quiet,
                "Stopping: capturing has ended, what waits for v2 is still sent for 5 s (Ctrl-C again: not even that).",
            );
            stopper.stop();
        } else {
            handle.raise();
        }
        first = false;
    }
}

/// Asks for reports whenever SIGUSR1 comes.
fn ask_at_signals(ask: mpsc::Sender<()>) -> io::Result<impl Future<Output = ()>> {
    let mut signals = signal(SignalKind::user_defined1())?;
    Ok(async move {
        while signals.recv().await.is_some() {
            // Where one is asked for already, it will tell of this moment, too.
            let _ = ask.try_send(());
        }
    })
}

/// How the run goes, in a line.
fn line(view: &View) -> String {
    let shed: u64 = view.shed.iter().map(|(_, count)| count).sum();
    let lost = view.dropped_by_kernel + view.dropped_by_interface;
    let delay = view.delay.map(|(median, _)| format!(", {median:.1?} behind v1")).unwrap_or_default();
    format!(
        "{} requests: {} answered, {} failed, {} different, {} in flight, {} skipped, {shed} shed{delay}; \
         {} packets, {lost} lost",
        view.requests,
        view.done - view.failed.min(view.done),
        view.failed,
        view.different,
        view.in_flight,
        view.skipped,
        view.packets
    )
}

/// What a summary does not tell.
fn say_ended(watch: &Watch, global: &Global) {
    let view = watch.view();
    if let Some(why) = &view.not_kept {
        exit::complain(&format!("{why}; shadowing went on"));
    }
    if let Some(why) = &view.not_stored {
        exit::complain(&format!(
            "requests with bodies above --max-body were not sent, for want of a place to keep them: {why}"
        ));
    }
    if let Some(path) = watch.kept_files().last() {
        terminal::say(global, format_args!("Packets were written to {}.", path.display()));
    }
    terminal::say(global, line(&view));
}
