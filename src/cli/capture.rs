//! `shadowcap capture`: write what is captured on interfaces to files.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::args::Global;
use super::args::live::Capture;
use super::capturing::{drops, open, record, say_begun};
use super::live_status::Status;
use super::signals::Signals;
use super::{Exit, exit, terminal};
use crate::capture::PacketSource as _;
use crate::capture::live::{self, LiveCapture, Stopper, Waited};
use crate::capture::recorder::Recorder;
use crate::pipeline::RunError;

/// How long packets may wait in the kernel: nobody waits for them.
const WAIT: Duration = Duration::from_millis(100);

pub(super) fn run(args: &Capture, global: &Global) -> anyhow::Result<Exit> {
    if args.list {
        return list(global);
    }
    let opened = open(&args.front, WAIT)?;
    let Some(path) = &args.write else { return Ok(Exit::Usage) };
    let recorder = record(path, &args.rotate, &args.front, &opened)?;
    let account = opened.account();
    let capture = opened.start().map_err(|source| RunError::System { what: "a thread", source })?;
    let _signals = stop_at_signals(capture.stopper())?;
    say_begun(global, &args.front);
    let status = Status::start(global, account.clone(), {
        let account = account.clone();
        move || format!("{} packets seen, {}", account.total().received, drops(&account.total()))
    });
    let (packets, recorded) = write_all(capture, recorder, args);
    drop(status);
    let files = match recorded {
        Ok(files) => files,
        Err(error) if error.is_unread() => {
            terminal::say(
                global,
                format_args!("Whoever read the packets has ended; {packets} were written."),
            );
            return Ok(Exit::Pass);
        }
        Err(error) => {
            exit::complain(&error.to_string());
            return Ok(Exit::Inconclusive);
        }
    };
    let last = files.last().map(|path| path.display().to_string()).unwrap_or_default();
    let many = if files.len() > 1 { format!("{} files, the last is ", files.len()) } else { String::new() };
    terminal::say(
        global,
        format_args!("{packets} packets written to {many}{last}; {}.", drops(&account.total())),
    );
    let gone = account.gone();
    if gone.is_empty() {
        return Ok(Exit::Pass);
    }
    exit::complain(&format!("capturing ended before it was told to: {}", gone.join("; ")));
    Ok(Exit::Inconclusive)
}

type Recorded = Result<Vec<std::path::PathBuf>, crate::capture::recorder::RecorderError>;

/// Writes packets until there are no more or enough; how many were written, and to which files.
fn write_all(mut capture: LiveCapture, mut recorder: Recorder, args: &Capture) -> (u64, Recorded) {
    let stopper = capture.stopper();
    let deadline = args.front.duration.map(|duration| Instant::now() + duration);
    let most = args.packets.unwrap_or(u64::MAX);
    loop {
        let written = match capture.wait(WAIT) {
            Waited::Packets => write_some(&mut capture, &mut recorder, most),
            Waited::Nothing => Ok(()),
            Waited::Ended => break,
        };
        if let Err(error) = written.and_then(|()| recorder.tick()) {
            return (recorder.packets(), Err(error));
        }
        if recorder.packets() >= most {
            // So that the statistics tell of all that was captured.
            capture.end();
            break;
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            stopper.stop();
        }
    }
    (recorder.packets(), recorder.finish())
}

fn write_some(
    capture: &mut LiveCapture,
    recorder: &mut Recorder,
    most: u64,
) -> Result<(), crate::capture::recorder::RecorderError> {
    while recorder.packets() < most
        && let Ok(Some(packet)) = capture.next_packet()
    {
        recorder.write(&packet)?;
    }
    Ok(())
}

/// Ends capturing at Ctrl-C, SIGTERM and SIGHUP, for as long as what is returned lives.
fn stop_at_signals(stopper: Stopper) -> Result<tokio::runtime::Runtime, RunError> {
    let system = |what| move |source| RunError::System { what, source };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(system("an asynchronous runtime"))?;
    let mut signals = runtime.block_on(async { Signals::listen() }).map_err(system("signals"))?;
    runtime.spawn(async move {
        if signals.next().await {
            stopper.stop();
        }
    });
    Ok(runtime)
}

fn list(global: &Global) -> anyhow::Result<Exit> {
    let mut out = terminal::stdout(global.color);
    for interface in live::list()? {
        let written = terminal::unless_unread(writeln!(out, "{interface}"));
        written.context("cannot write to standard output")?;
    }
    Ok(Exit::Pass)
}
