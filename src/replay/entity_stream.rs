//! The entity of a stored body as a stream, for a client that frames it anew.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;

use super::stored::Pieces;
use crate::http::StoredBody;
use crate::http::h1::Dechunker;

/// Gives the entity's bytes in pieces.
pub(super) struct EntityStream {
    pieces: Pieces,
    /// Bytes of the body that were read, framing included.
    read: u64,
    len: u64,
    /// Where the body is chunked: takes the coding away.
    dechunker: Option<Dechunker>,
}

impl EntityStream {
    pub(super) fn new(body: StoredBody, chunked: bool) -> Self {
        let (len, dechunker) = (body.len(), chunked.then(Dechunker::default));
        Self { pieces: Pieces::new(body), read: 0, len, dechunker }
    }
}

impl Stream for EntityStream {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        while this.read < this.len {
            let piece = match ready!(this.pieces.poll_from(cx, this.read)) {
                Ok(piece) => piece,
                Err(error) => return Poll::Ready(Some(Err(error))),
            };
            let Some(dechunker) = &mut this.dechunker else {
                this.read += piece.len() as u64;
                return Poll::Ready(Some(Ok(piece)));
            };
            let (used, entity) = dechunker.next(&piece);
            // What follows the last chunk's end was no part of the body.
            this.read = if used == 0 { this.len } else { this.read + used as u64 };
            if !entity.is_empty() {
                return Poll::Ready(Some(Ok(piece.slice(entity))));
            }
        }
        Poll::Ready(None)
    }
}
