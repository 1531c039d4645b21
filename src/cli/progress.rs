//! How far a run has come: a bar on a terminal, plain lines at intervals elsewhere.

use std::io::{self, Write as _};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::Global;
use super::terminal;
use crate::capture::BytesRead;

/// How often the bar is drawn anew.
const FRAME: Duration = Duration::from_millis(100);
/// How often a line is written where there is no terminal.
const LINE: Duration = Duration::from_secs(10);

/// Shows progress until it is dropped.
pub(super) struct Display {
    stop: Option<mpsc::Sender<()>>,
    drawing: Option<JoinHandle<()>>,
}

impl Display {
    /// Shows how far the capture has been read, and what came of it as `counts` says.
    pub(super) fn start(
        global: &Global,
        read: BytesRead,
        counts: impl Fn() -> String + Send + 'static,
    ) -> Self {
        let (stop, stopped) = mpsc::channel();
        if global.quiet {
            return Self { stop: None, drawing: None };
        }
        let interactive = terminal::is_interactive(global);
        let draw = move || {
            if interactive { bar(&read, &counts, &stopped) } else { lines(&read, &counts, &stopped) }
        };
        // Without the thread the run goes on all the same, unseen.
        let drawing = thread::Builder::new().name("progress".to_owned()).spawn(draw).ok();
        Self { stop: Some(stop), drawing }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(drawing) = self.drawing.take() {
            let _ = drawing.join();
        }
    }
}

fn bar(read: &BytesRead, counts: &dyn Fn() -> String, stopped: &mpsc::Receiver<()>) {
    let bar = ProgressBar::with_draw_target(read.total(), ProgressDrawTarget::stderr());
    let template = match read.total() {
        Some(_) => "{bar:24} {percent:>3} % {bytes_per_sec}, {eta} left  {msg}",
        None => "{spinner} {bytes} read, {bytes_per_sec}  {msg}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    while stopped.recv_timeout(FRAME) == Err(RecvTimeoutError::Timeout) {
        bar.set_position(read.read());
        bar.set_message(counts());
    }
    bar.finish_and_clear();
}

fn lines(read: &BytesRead, counts: &dyn Fn() -> String, stopped: &mpsc::Receiver<()>) {
    let began = Instant::now();
    while stopped.recv_timeout(LINE) == Err(RecvTimeoutError::Timeout) {
        let of = read.total().map(|total| format!(" of {}", HumanBytes(total))).unwrap_or_default();
        let seconds = began.elapsed().as_secs();
        let left =
            time_left(read, began.elapsed()).map(|left| format!(", about {left} s left")).unwrap_or_default();
        // Where nobody reads stderr, the run goes on.
        let _ =
            writeln!(io::stderr(), "{seconds} s: read {}{of}{left}; {}", HumanBytes(read.read()), counts());
    }
}

/// How many seconds the rest takes if it is read as fast as what was read in this time; `None` where that
/// says nothing.
fn time_left(read: &BytesRead, took: Duration) -> Option<u64> {
    let done = u128::from(read.read());
    let rest = u128::from(read.total()?).checked_sub(done)?;
    u64::try_from((rest * took.as_millis()).checked_div(done)? / 1000).ok()
}
