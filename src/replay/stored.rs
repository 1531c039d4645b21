//! Reads stored bodies back, piece by piece, while they are sent.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::http::StoredBody;

/// Bytes that are read at once, and held in memory for a body that is being sent.
const PIECE: usize = 256 << 10;

/// A body that is being sent.
pub(super) struct Pieces {
    body: StoredBody,
    /// The piece that was read last, and where it begins.
    piece: Bytes,
    at: u64,
    /// A piece that is being read. It is read by a thread that may wait for a disk.
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Pieces {
    pub(super) fn new(body: StoredBody) -> Self {
        Self { body, piece: Bytes::new(), at: 0, reading: None }
    }

    /// Some of the bytes from `offset` on, at least one; what lies before them is not asked for again.
    ///
    /// # Errors
    /// When they cannot be read back, or there are none.
    pub(super) fn poll_from(&mut self, cx: &mut Context<'_>, offset: u64) -> Poll<io::Result<Bytes>> {
        loop {
            let within = offset.checked_sub(self.at).and_then(|within| usize::try_from(within).ok());
            if let Some(within) = within.filter(|within| *within < self.piece.len()) {
                return Poll::Ready(Ok(self.piece.slice(within..)));
            }
            let reading = self.reading.get_or_insert_with(|| {
                let body = self.body.clone();
                spawn_blocking(move || read(&body, offset))
            });
            let read = ready!(Pin::new(reading).poll(cx));
            self.reading = None;
            self.piece = read.unwrap_or_else(|broken| Err(io::Error::other(broken)))?;
            self.at = offset;
            if self.piece.is_empty() {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }
}

fn read(body: &StoredBody, offset: u64) -> io::Result<Bytes> {
    let rest = usize::try_from(body.len().saturating_sub(offset)).unwrap_or(usize::MAX);
    let mut piece = vec![0; PIECE.min(rest)];
    let count = body.read_at(offset, &mut piece)?;
    piece.truncate(count);
    Ok(piece.into())
}
