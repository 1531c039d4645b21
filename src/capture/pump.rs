//! Reading that can be given up: a pipe may give nothing for hours, and no signal wakes its reader.

use std::fmt;
use std::io::{self, Read};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::thread;
use std::time::Duration;

use super::input::Stream;

/// The most that is read at once.
const CHUNK: usize = 256 << 10;
/// How many chunks may wait.
const WAITING: usize = 4;
/// How often a reader that waits looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(20);

/// Gives up the reading of pipes, devices and addresses, which can stall; files never do.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Whoever waits for bytes, or will, gets an error instead.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A buffer, and how much of it is filled.
#[derive(Default)]
struct Chunk {
    buffer: Vec<u8>,
    filled: usize,
}

/// A stream that is read by a thread of its own.
pub(super) struct Pump {
    chunks: Receiver<io::Result<Chunk>>,
    /// Where buffers go back to be filled again.
    spent: Sender<Vec<u8>>,
    /// What was received last, and how much of it was read.
    chunk: Chunk,
    at: usize,
    ended: bool,
    cancel: Cancel,
}

impl Pump {
    /// Begins to read. The thread ends with the stream, or when it has something for a reader that is
    /// gone.
    pub(super) fn start(stream: Stream, cancel: Cancel) -> io::Result<Self> {
        let (sender, chunks) = mpsc::sync_channel(WAITING);
        let (spent, returned) = mpsc::channel();
        thread::Builder::new().name("pump".to_owned()).spawn(move || pump(stream, &sender, &returned))?;
        Ok(Self { chunks, spent, chunk: Chunk::default(), at: 0, ended: false, cancel })
    }

    /// Waits for the next chunk. Invariant: after an end there is none.
    fn refill(&mut self) -> io::Result<()> {
        // A pump that has ended takes none back.
        let _ = self.spent.send(mem::take(&mut self.chunk).buffer);
        self.at = 0;
        while !self.ended {
            match self.chunks.recv_timeout(LOOK) {
                Ok(chunk) => {
                    self.chunk = chunk?;
                    self.ended = self.chunk.filled == 0;
                    return Ok(());
                }
                Err(RecvTimeoutError::Timeout) if self.cancel.is_cancelled() => {
                    return Err(io::Error::other("reading was given up"));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(io::Error::other("reading broke down")),
            }
        }
        Ok(())
    }
}

impl Read for Pump {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at == self.chunk.filled {
            self.refill()?;
        }
        let rest = self.chunk.buffer.get(self.at..self.chunk.filled).unwrap_or_default();
        let count = rest.len().min(out.len());
        out[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}

impl fmt::Debug for Pump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pump").field("ended", &self.ended).finish_non_exhaustive()
    }
}

/// Hands on what the stream gives, as soon as it gives it; an empty chunk is its end.
fn pump(mut stream: Stream, chunks: &SyncSender<io::Result<Chunk>>, returned: &Receiver<Vec<u8>>) {
    loop {
        let mut buffer = returned.try_recv().unwrap_or_default();
        buffer.resize(CHUNK, 0);
        let read = match stream.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read,
        };
        let last = !matches!(read, Ok(count) if count > 0);
        let handed_on = chunks.send(read.map(|filled| Chunk { buffer, filled }));
        if last || handed_on.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives what it is sent, and ends when the sender is gone.
    struct Fed(mpsc::Receiver<Vec<u8>>);

    impl Read for Fed {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let Ok(bytes) = self.0.recv() else { return Ok(0) };
            out[..bytes.len()].copy_from_slice(&bytes);
            Ok(bytes.len())
        }
    }

    #[test]
    fn every_byte_passes_in_order_whatever_is_asked_for_at_once() {
        let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
        let stream = Box::new(io::Cursor::new(bytes.clone()));
        let mut pump = Pump::start(stream, Cancel::default()).unwrap();
        let mut out = vec![0; 7];
        pump.read_exact(&mut out).unwrap();
        pump.read_to_end(&mut out).unwrap();
        assert!(out == bytes);
        assert_eq!(pump.read(&mut [0; 8]).unwrap(), 0, "the end stays the end");
    }

    #[test]
    fn what_is_there_comes_without_waiting_for_more_and_waiting_can_be_given_up() {
        let (feeder, fed) = mpsc::channel();
        let cancel = Cancel::default();
        let mut pump = Pump::start(Box::new(Fed(fed)), cancel.clone()).unwrap();
        feeder.send(b"abc".to_vec()).unwrap();
        let mut out = [0; 8];
        assert_eq!(pump.read(&mut out).unwrap(), 3);
        cancel.cancel();
        assert!(pump.read(&mut out).unwrap_err().to_string().contains("given up"));
    }

    #[test]
    fn an_error_of_the_stream_is_the_readers() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("broken"))
            }
        }
        let mut pump = Pump::start(Box::new(Broken), Cancel::default()).unwrap();
        assert_eq!(pump.read(&mut [0]).unwrap_err().to_string(), "broken");
    }
}
