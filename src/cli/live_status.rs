//! How capturing goes: a line that changes on a terminal, plain lines at intervals elsewhere.

use std::io::{self, Write as _};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget};

use super::args::Global;
use super::terminal;

/// How often the line on a terminal changes.
const FRAME: Duration = Duration::from_millis(250);
/// How often a line is written where there is no terminal.
const LINE: Duration = Duration::from_secs(10);

/// Shows how it goes until it is dropped.
pub(super) struct Status {
    stop: Option<mpsc::Sender<()>>,
    drawing: Option<JoinHandle<()>>,
}

impl Status {
    /// Shows what `text` says.
    pub(super) fn start(global: &Global, text: impl Fn() -> String + Send + 'static) -> Self {
        let (stop, stopped) = mpsc::channel();
        if global.quiet {
            return Self { stop: None, drawing: None };
        }
        let interactive = terminal::is_interactive(global);
        let draw = move || if interactive { changing(&text, &stopped) } else { lines(&text, &stopped) };
        // Without the thread it goes on all the same, unseen.
        let drawing = thread::Builder::new().name("status".to_owned()).spawn(draw).ok();
        Self { stop: Some(stop), drawing }
    }
}

impl Drop for Status {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(drawing) = self.drawing.take() {
            let _ = drawing.join();
        }
    }
}

fn changing(text: &dyn Fn() -> String, stopped: &mpsc::Receiver<()>) {
    let line = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    while stopped.recv_timeout(FRAME) == Err(RecvTimeoutError::Timeout) {
        line.set_message(text());
        line.tick();
    }
    line.finish_and_clear();
}

fn lines(text: &dyn Fn() -> String, stopped: &mpsc::Receiver<()>) {
    let began = Instant::now();
    while stopped.recv_timeout(LINE) == Err(RecvTimeoutError::Timeout) {
        // Where nobody reads stderr, it goes on.
        let _ = writeln!(io::stderr(), "{} s: {}", began.elapsed().as_secs(), text());
    }
}
