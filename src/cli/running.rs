//! What goes on around every run: its runtime, signals, the progress display, counters for others to read,
//! and its end.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::runtime::Runtime;

use super::args::Global;
use super::metrics::Metrics;
use super::progress::{Display, View};
use super::signals::Signals;
use super::{Exit, exit, terminal};
use crate::pipeline::{self, Extent, Job, Progress, Repeat, RunError, RunOutcome};
use crate::replay::client::Client;
use crate::replay::ready::{NotReady, Readiness};
use crate::replay::stop::{StopHandle, StopSignal, stop_channel};

/// What goes on around a run.
#[derive(Default)]
pub(super) struct Around {
    /// What each target must do before anything is sent.
    pub(super) ready: Vec<(Client, Readiness)>,
    /// Where the counters are served.
    pub(super) metrics: Option<SocketAddr>,
}

/// Replays on a runtime of its own, with a progress bar, until the capture's end or Ctrl-C.
pub(super) fn carry_out(job: Job, around: &Around, global: &Global) -> Result<RunOutcome, RunError> {
    let read = job.source.progress();
    let limit = job.settings.time_limit;
    let extent = match job.repeat {
        Repeat::Times(times) => Extent::Readings(times.get()),
        Repeat::For(time) => Extent::Time(time),
    };
    let view = move |progress: &Progress, _| {
        let outlook = progress.course.outlook(extent, progress.outcomes(), (read.read(), read.total()));
        View::of_sending(&outlook, limit, &read, counts(progress))
    };
    carry_out_with(around, global, view, |progress, stop, signal| pipeline::run(job, progress, stop, signal))
}

/// The same for whatever reads a capture: `run` is told where to count and when to stop, and `view` makes of
/// the counts what is shown.
pub(super) fn carry_out_with<R: Future<Output = Result<RunOutcome, RunError>>>(
    around: &Around,
    global: &Global,
    view: impl Fn(&Progress, Duration) -> View + Send + 'static,
    run: impl FnOnce(Arc<Progress>, Arc<StopHandle>, StopSignal) -> R,
) -> Result<RunOutcome, RunError> {
    let refused = |source| RunError::System { what: "an asynchronous runtime", source };
    let runtime = Runtime::new().map_err(refused)?;
    let progress = Arc::new(Progress::default());
    runtime.block_on(async {
        let (handle, signal) = stop_channel();
        let handle = Arc::new(handle);
        let signals = Signals::listen().map_err(|source| RunError::System { what: "signals", source })?;
        let interrupts = tokio::spawn(signals.heed(Arc::clone(&handle), global.quiet));
        let metrics = serve_metrics(around.metrics, &progress, global).await?;
        wait_until_ready(&around.ready, signal.clone(), global).await?;
        let display = Display::start(global, {
            let progress = Arc::clone(&progress);
            move |took| view(&progress, took)
        });
        let outcome = run(progress, handle, signal).await;
        drop(display);
        interrupts.abort();
        metrics.iter().for_each(tokio::task::JoinHandle::abort);
        outcome
    })
}

pub(super) async fn serve_metrics(
    address: Option<SocketAddr>,
    progress: &Arc<Progress>,
    global: &Global,
) -> Result<Option<tokio::task::JoinHandle<()>>, RunError> {
    let Some(address) = address else { return Ok(None) };
    let metrics = Metrics::bind(address).await.map_err(|source| RunError::Metrics { address, source })?;
    terminal::say(global, format_args!("Metrics at http://{}/metrics", metrics.address()));
    Ok(Some(tokio::spawn(metrics.serve(Arc::clone(progress)))))
}

pub(super) async fn wait_until_ready(
    targets: &[(Client, Readiness)],
    mut stop: StopSignal,
    global: &Global,
) -> Result<(), RunError> {
    if let Some((_, ready)) = targets.first() {
        terminal::say(global, format_args!("Waiting up to {:?} for the target.", ready.limit));
    }
    for (client, ready) in targets {
        ready.wait(client, &mut stop).await.map_err(|error| match error {
            NotReady::TimedOut(why) => RunError::NotReady { limit: ready.limit, why },
            NotReady::Stopped => RunError::Stopped,
        })?;
    }
    Ok(())
}

/// What became of the requests so far.
fn counts(progress: &Progress) -> String {
    let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
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
    super::report::warn_of_rules(&outcome.summary, global);
    if let Some(what) = &outcome.broken_off {
        exit::complain(&format!("the capture breaks off, the report is of what could be read: {what}"));
    }
    if let Some(what) = &outcome.gave_up {
        let on = format!("; `--resume {}` goes on", folder.display());
        exit::complain(&format!("{what}{}", if outcome.resumable { &on } else { "" }));
    }
    name_those_in_flight(outcome, global);
    // What was not read yet is no row, so that nothing in the summary tells whether there is a rest.
    if outcome.interrupted && outcome.resumable {
        terminal::say(
            global,
            format_args!("--resume {} goes on where this run was stopped.", folder.display()),
        );
    }
    Ok(if outcome.interrupted { Exit::Interrupted } else { outcome.summary.verdict.into() })
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
