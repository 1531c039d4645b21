//! Output that is shown soon, and not more often than somebody could read.
//!
//! What comes through a pipe may come slowly, and whoever watches wants to see it; or it comes as fast as it
//! can be read, and a system call for each line would cost as much as reading it. So what is written waits
//! for a moment for what follows it.

use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::PAGE;

/// How long something may wait.
const MOMENT: Duration = Duration::from_millis(20);

/// Output that a thread writes on. Whatever is left is written when it is flushed, not when it is dropped.
pub(super) struct Paced {
    shared: Arc<Shared>,
    writer: Option<thread::JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    /// There is something to be written, or the end has come.
    news: Condvar,
}

struct State {
    page: Vec<u8>,
    out: Box<dyn Write + Send>,
    /// What went wrong in the thread, until somebody is told.
    failure: Option<io::Error>,
    ended: bool,
}

impl Paced {
    pub(super) fn new(out: Box<dyn Write + Send>) -> io::Result<Self> {
        let state = State { page: Vec::new(), out, failure: None, ended: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), news: Condvar::new() });
        let writer = Arc::clone(&shared);
        let writer = thread::Builder::new().name("output".to_owned()).spawn(move || writer.write_on())?;
        Ok(Self { shared, writer: Some(writer) })
    }
}

impl Write for Paced {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.shared.lock();
        if let Some(failure) = state.failure.take() {
            return Err(failure);
        }
        if state.page.is_empty() {
            self.shared.news.notify_one();
        }
        state.page.extend_from_slice(bytes);
        if state.page.len() >= PAGE {
            state.turn_page()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut state = self.shared.lock();
        match state.failure.take() {
            Some(failure) => Err(failure),
            None => state.turn_page(),
        }
    }
}

impl Drop for Paced {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.news.notify_one();
        if let Some(writer) = self.writer.take() {
            // It has nothing to say but that it panicked.
            let _ = writer.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_on(&self) {
        let mut state = self.lock();
        while !state.ended {
            if state.page.is_empty() {
                state = self.news.wait(state).unwrap_or_else(PoisonError::into_inner);
            } else {
                let ended = |state: &mut State| !state.ended;
                let waited = self.news.wait_timeout_while(state, MOMENT, ended);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
                state.failure = state.turn_page().err().or(state.failure.take());
            }
        }
    }
}

impl State {
    fn turn_page(&mut self) -> io::Result<()> {
        let mut page = mem::take(&mut self.page);
        let written = self.out.write_all(&page).and_then(|()| self.out.flush());
        page.clear();
        self.page = page;
        written
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Hands on what is written, or fails when nobody takes it.
    struct Handed(mpsc::Sender<Vec<u8>>);

    impl Write for Handed {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.0.send(bytes.to_vec()) {
                Ok(()) => Ok(bytes.len()),
                Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_written_is_shown_though_nothing_follows() {
        let (sender, shown) = mpsc::channel();
        let mut paced = Paced::new(Box::new(Handed(sender))).unwrap();
        for line in ["one\n", "two\n"] {
            paced.write_all(line.as_bytes()).unwrap();
            assert_eq!(shown.recv().unwrap(), line.as_bytes());
        }
    }

    #[test]
    fn much_is_written_a_page_at_a_time_and_in_order() {
        let (sender, shown) = mpsc::channel();
        let lines: Vec<_> = (0..100_000).map(|n| format!("{n}\n")).collect();
        let mut paced = Paced::new(Box::new(Handed(sender))).unwrap();
        for line in &lines {
            paced.write_all(line.as_bytes()).unwrap();
        }
        paced.flush().unwrap();
        drop(paced);
        assert_eq!(shown.iter().flatten().collect::<Vec<_>>(), lines.concat().into_bytes());
    }

    #[test]
    fn who_writes_is_told_that_nobody_reads() {
        let (sender, shown) = mpsc::channel();
        let mut paced = Paced::new(Box::new(Handed(sender))).unwrap();
        drop(shown);
        let told = (0..).find_map(|_| paced.write_all(b"line\n").and_then(|()| paced.flush()).err());
        assert_eq!(told.map(|error| error.kind()), Some(io::ErrorKind::BrokenPipe));
    }
}
