//! How capturing goes: a line that changes on a terminal, plain lines at intervals elsewhere; and at once
//! when an interface goes away or comes back.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget};

use super::args::Global;
use super::terminal;
use crate::capture::live::Account;

/// How often is looked, and the line on a terminal changes.
const FRAME: Duration = Duration::from_millis(200);
/// How often a line is written where there is no terminal.
const LINE: Duration = Duration::from_secs(10);

/// Shows how it goes until it is dropped.
pub(super) struct Status {
    stop: Option<mpsc::Sender<()>>,
    drawing: Option<JoinHandle<()>>,
}

impl Status {
    /// Shows what `text` says, and what becomes of the interfaces.
    pub(super) fn start(
        global: &Global,
        interfaces: Arc<Account>,
        text: impl Fn() -> String + Send + 'static,
    ) -> Self {
        let (stop, stopped) = mpsc::channel();
        if global.quiet {
            return Self { stop: None, drawing: None };
        }
        let mut shown = Shown {
            line: terminal::is_interactive(global)
                .then(|| ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())),
            began: Instant::now(),
            lines: 0,
        };
        let draw = move || {
            let mut gone = Gone::default();
            while stopped.recv_timeout(FRAME) == Err(RecvTimeoutError::Timeout) {
                gone.changes(&interfaces).iter().for_each(|news| shown.say(news));
                shown.show(&text);
            }
            gone.changes(&interfaces).iter().for_each(|news| shown.say(news));
            if let Some(line) = &shown.line {
                line.finish_and_clear();
            }
        };
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

/// What stands on stderr.
struct Shown {
    /// The line that changes, on a terminal.
    line: Option<ProgressBar>,
    began: Instant,
    /// How many times [`LINE`] had passed when the last line was written: counted from the beginning, so that an hour has
    /// its 360 lines however late each of them is.
    lines: u64,
}

impl Shown {
    fn show(&mut self, text: &dyn Fn() -> String) {
        if let Some(line) = &self.line {
            line.set_message(text());
            line.tick();
            return;
        }
        let seconds = self.began.elapsed().as_secs();
        let lines = seconds / LINE.as_secs();
        if lines > self.lines {
            self.lines = lines;
            self.say(&format!("{seconds} s: {}", text()));
        }
    }

    fn say(&self, text: &str) {
        match &self.line {
            Some(line) => line.println(text),
            // Where nobody reads stderr, it goes on.
            None => drop(writeln!(io::stderr(), "{text}")),
        }
    }
}

/// Which interfaces were gone when it was looked last.
#[derive(Default)]
struct Gone(Vec<String>);

impl Gone {
    /// What has changed, as sentences.
    fn changes(&mut self, interfaces: &Account) -> Vec<String> {
        let (mut now, mut news) = (Vec::new(), Vec::new());
        for interface in interfaces.interfaces() {
            let name = interface.name;
            match (&interface.gone, self.0.contains(&name)) {
                (Some(why), false) => news.push(format!("{name}: gone ({why})")),
                (None, true) => news.push(format!("{name}: back")),
                (None, false) | (Some(_), true) => {}
            }
            if interface.gone.is_some() {
                now.push(name);
            }
        }
        self.0 = now;
        news
    }
}
