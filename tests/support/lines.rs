//! The lines that a process writes, as events that can be awaited.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Instant;

use super::PATIENCE;

/// All lines so far of one stream; clones share them.
#[derive(Clone, Default)]
pub struct Lines {
    shared: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    lines: Vec<String>,
    /// The same, with every line end as it came.
    text: String,
    /// Nobody holds the writing end any more.
    closed: bool,
}

impl Lines {
    /// Reads the stream to its end, on a thread of its own.
    pub fn follow(stream: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let writer = lines.clone();
        thread::spawn(move || writer.read(stream));
        lines
    }

    fn read(&self, stream: impl Read) {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while stream.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            let text = String::from_utf8_lossy(&line);
            let mut state = self.state();
            state.lines.push(text.trim_end_matches(['\n', '\r']).to_owned());
            state.text.push_str(&text);
            drop(state);
            self.shared.1.notify_all();
            line.clear();
        }
        self.state().closed = true;
        self.shared.1.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().unwrap()
    }

    /// The lines so far.
    pub fn all(&self) -> Vec<String> {
        self.state().lines.clone()
    }

    /// All that came so far, as it came (lossy where it was not UTF-8).
    pub fn text(&self) -> String {
        self.state().text.clone()
    }

    /// Waits until `wanted` finds what it looks for in the lines. `None`: the stream ended first, or the time ran out.
    pub fn wait_for<T>(&self, wanted: impl Fn(&[String]) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.state();
        loop {
            if let Some(found) = wanted(&state.lines) {
                return Some(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.closed || left.is_zero() {
                return None;
            }
            state = self.shared.1.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Waits until the stream has ended; false when the deadline came first.
    pub fn wait_for_end(&self, deadline: Instant) -> bool {
        let mut state = self.state();
        while !state.closed {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.shared.1.wait_timeout(state, left).unwrap().0;
        }
        true
    }
}
