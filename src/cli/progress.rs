//! How far a run has come: a bar on a terminal, plain lines at intervals elsewhere.

use std::io::{self, Write as _};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::Global;
use super::terminal;
use crate::capture::BytesRead;
use crate::pipeline::Outlook;

/// How often the bar is drawn anew.
const FRAME: Duration = Duration::from_millis(100);
/// How often a line is written where there is no terminal.
const LINE: Duration = Duration::from_secs(10);
/// What the bar counts to.
const FULL: u64 = 1000;

/// What is shown at one moment.
pub(super) struct View {
    /// How much is done, from 0 to 1, where that is known.
    done: Option<f64>,
    /// The same in words.
    so_far: String,
    left: Option<Duration>,
    /// What came of it.
    counts: String,
}

impl View {
    /// Where nothing is sent: how much of the capture has been read in this time.
    pub(super) fn of_reading(read: &BytesRead, took: Duration, counts: String) -> Self {
        let total = read.total();
        let of = total.map(|total| format!(" of {}", HumanBytes(total))).unwrap_or_default();
        let so_far = format!("read {}{of}", HumanBytes(read.read()));
        Self {
            done: total.map(|total| share(read.read(), total)),
            so_far,
            left: time_left(read, took),
            counts,
        }
    }

    /// Where requests are sent: how many have an outcome, or how much of the time is over.
    pub(super) fn of_sending(
        outlook: &Outlook,
        limit: Option<Duration>,
        read: &BytesRead,
        counts: String,
    ) -> Self {
        let Outlook { outcomes, total, estimated, elapsed, done, left } = *outlook;
        let of = match (limit, total) {
            (Some(limit), _) => format!("{} s of {} s, {outcomes} done", elapsed.as_secs(), limit.as_secs()),
            (None, Some(total)) if estimated => format!("{outcomes} of about {total} done"),
            (None, Some(total)) => format!("{outcomes} of {total} done"),
            (None, None) => format!("{outcomes} done, {} read", HumanBytes(read.read())),
        };
        let pace = pace(outcomes, elapsed).map(|pace| format!(", {pace}/s")).unwrap_or_default();
        Self { done, so_far: of + &pace, left, counts }
    }

    fn percent(&self) -> String {
        self.done.map(|done| format!(" ({} %)", position(done) * 100 / FULL)).unwrap_or_default()
    }

    fn time_left(&self) -> String {
        self.left.map(|left| format!(", about {} left", spoken(left))).unwrap_or_default()
    }
}

/// Shows progress until it is dropped.
pub(super) struct Display {
    stop: Option<mpsc::Sender<()>>,
    drawing: Option<JoinHandle<()>>,
}

impl Display {
    /// Shows what `view` says, given how long it has been shown.
    pub(super) fn start(global: &Global, view: impl Fn(Duration) -> View + Send + 'static) -> Self {
        let (stop, stopped) = mpsc::channel();
        if global.quiet {
            return Self { stop: None, drawing: None };
        }
        let interactive = terminal::is_interactive(global);
        let draw = move || if interactive { bar(&view, &stopped) } else { lines(&view, &stopped) };
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

fn bar(view: &dyn Fn(Duration) -> View, stopped: &mpsc::Receiver<()>) {
    let began = Instant::now();
    let bar = ProgressBar::with_draw_target(Some(FULL), ProgressDrawTarget::stderr());
    let styles = [false, true].map(|known| {
        let template = if known { "{bar:24} {msg}" } else { "{spinner} {msg}" };
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
    });
    while stopped.recv_timeout(FRAME) == Err(RecvTimeoutError::Timeout) {
        let view = view(began.elapsed());
        let [unknown, known] = &styles;
        bar.set_style(if view.done.is_some() { known } else { unknown }.clone());
        bar.set_position(position(view.done.unwrap_or_default()));
        let (percent, left) = (view.percent(), view.time_left());
        bar.set_message(format!("{}{percent}{left}  {}", view.so_far, view.counts));
    }
    bar.finish_and_clear();
}

fn lines(view: &dyn Fn(Duration) -> View, stopped: &mpsc::Receiver<()>) {
    let began = Instant::now();
    while stopped.recv_timeout(LINE) == Err(RecvTimeoutError::Timeout) {
        let seconds = began.elapsed().as_secs();
        let view = view(began.elapsed());
        let (percent, left) = (view.percent(), view.time_left());
        // Where nobody reads stderr, the run goes on.
        let _ = writeln!(io::stderr(), "{seconds} s: {}{percent}{left}; {}", view.so_far, view.counts);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share, for a person")]
fn share(of: u64, all: u64) -> f64 {
    (of as f64 / all.max(1) as f64).min(1.0)
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "within 0 and 1000"
)]
fn position(done: f64) -> u64 {
    let position = (done.clamp(0.0, 1.0) * FULL as f64).round() as u64;
    // The end is where all is done.
    if done < 1.0 { position.min(FULL - 1) } else { position }
}

/// Outcomes for each second; `None` in the first one.
fn pace(outcomes: u64, elapsed: Duration) -> Option<u64> {
    let millis = u64::try_from(elapsed.as_millis()).ok().filter(|millis| *millis >= 1000)?;
    outcomes.checked_mul(1000).map(|outcomes| outcomes / millis)
}

/// A time for a person, in the two largest units.
fn spoken(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

/// How long the rest takes if it is read as fast as what was read in this time; `None` where that says
/// nothing.
fn time_left(read: &BytesRead, took: Duration) -> Option<Duration> {
    let done = u128::from(read.read());
    let rest = u128::from(read.total()?).checked_sub(done)?;
    let millis = (rest * took.as_millis()).checked_div(done)?;
    u64::try_from(millis).ok().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_spoken_in_their_two_largest_units() {
        for (seconds, spoken) in
            [(0, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (3600, "1 h 0 min"), (90_061, "25 h 1 min")]
        {
            assert_eq!(super::spoken(Duration::from_secs(seconds)), spoken);
        }
    }
}
