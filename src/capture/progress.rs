//! How far a capture has been read.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How far a set has been read, for whoever shows it from another thread; cloning gives the same one.
///
/// It counts bytes as they lie on disk or come from a pipe, compressed where they are compressed, when
/// they are taken into a buffer: up to a megabyte before their packets are lent.
#[derive(Clone, Debug, Default)]
pub struct BytesRead {
    read: Arc<AtomicU64>,
    total: Option<u64>,
}

impl BytesRead {
    /// Sets how many bytes there are.
    pub(super) fn expect(&mut self, total: Option<u64>) {
        self.total = total;
    }

    /// Bytes read.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Bytes that there are: the size of the files when they were opened, where all are files.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// The stream, counted.
    pub(super) fn count<R: Read>(&self, stream: R) -> Counted<R> {
        Counted { stream, read: Arc::clone(&self.read) }
    }
}

/// A stream whose bytes are counted.
pub(super) struct Counted<R> {
    stream: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.stream.read(buf)?;
        self.read.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}
