//! A body as it comes in: counted, kept, digested, as asked.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::body::{Decoder, Piece};
use crate::http::stored::Storing;
use crate::http::{Body, BodyKeep, BodyStore, Framing, Options};

/// Chunked bodies whose wire form is more than this many times the limit are not kept: bytes of
/// framing can be had without end.
const WIRE_FACTOR: usize = 8;

/// The body that is being read.
pub(super) struct Collector {
    framing: Framing,
    len: u64,
    lost: u64,
    /// What was kept so far; `None` when nothing is to be kept, or no longer.
    kept: Option<Kept>,
    limit: usize,
    digest: Option<Box<Sha256>>,
    oversized: bool,
    /// Where the wire bytes of a body go that is too large.
    storing: Storing,
}

#[derive(Default)]
struct Kept {
    entity: Vec<u8>,
    /// Wire bytes of a chunked body; of any other they are the entity's.
    wire: Vec<u8>,
}

impl Collector {
    pub(super) fn new(framing: Framing, options: Options) -> Self {
        let limit = match options.keep {
            BodyKeep::Nothing => None,
            BodyKeep::UpTo(limit) => Some(limit),
        };
        let kept = limit.map(|_| Kept::default());
        let digest = options.hash.then(Box::default);
        let (limit, storing) = (limit.unwrap_or(0), Storing::Nowhere);
        Self { framing, len: 0, lost: 0, kept, limit, digest, oversized: false, storing }
    }

    /// Whether the body outgrew the limit.
    pub(super) fn is_oversized(&self) -> bool {
        self.oversized
    }

    /// Whether bytes of it are known to be missing.
    pub(super) fn has_hole(&self) -> bool {
        self.lost > 0
    }

    /// Bytes of memory that are kept.
    pub(super) fn memory(&self) -> usize {
        self.kept.as_ref().map_or(0, |kept| kept.entity.capacity() + kept.wire.capacity())
    }

    /// Takes the bytes of one piece. A body that grows too large goes on in the store that it is asked for then, where
    /// there is one.
    pub(super) fn take<'s>(
        &mut self,
        piece: Piece,
        bytes: &[u8],
        rest: Option<u64>,
        store: impl FnOnce() -> Option<&'s dyn BodyStore>,
    ) {
        if let Piece::Entity(_) = piece {
            self.len += bytes.len() as u64;
            if let Some(digest) = &mut self.digest {
                digest.update(bytes);
            }
        }
        if self.kept.is_some() {
            self.keep(piece, bytes, rest, store);
        } else {
            self.storing.write(bytes);
        }
    }

    /// Notes that `len` entity bytes are missing. Nobody can send the rest of them.
    pub(super) fn lose(&mut self, len: u64) {
        self.lost = self.lost.saturating_add(len);
        self.storing = Storing::Nowhere;
    }

    fn keep<'s>(
        &mut self,
        piece: Piece,
        bytes: &[u8],
        rest: Option<u64>,
        store: impl FnOnce() -> Option<&'s dyn BodyStore>,
    ) {
        let Some(kept) = &mut self.kept else { return };
        let chunked = self.framing == Framing::Chunked;
        if let Piece::Entity(_) = piece {
            if kept.entity.is_empty() && rest == Some(0) {
                kept.entity.reserve_exact(bytes.len());
            }
            kept.entity.extend_from_slice(bytes);
        }
        if chunked {
            kept.wire.extend_from_slice(bytes);
        }
        if kept.entity.len() > self.limit
            || kept.wire.len() > self.limit.saturating_mul(WIRE_FACTOR).max(1024)
        {
            let store = if self.has_hole() { None } else { store() };
            self.give_up(store);
        }
    }

    /// The body is too large to keep: from here on it is only counted and digested, and stored.
    fn give_up(&mut self, store: Option<&dyn BodyStore>) {
        self.oversized = true;
        let Some(kept) = self.kept.take() else { return };
        if let Some(store) = store {
            self.storing = Storing::begin(store);
            let chunked = self.framing == Framing::Chunked;
            self.storing.write(if chunked { &kept.wire } else { &kept.entity });
        }
        if self.digest.is_none() {
            self.digest = Some(Box::new(Sha256::new().chain_update(kept.entity)));
        }
    }

    /// The body, as far as it came.
    pub(super) fn finish(self) -> Body {
        let (entity, wire) = match self.kept {
            None => (None, None),
            Some(mut kept) => {
                // What is counted from here on is the length.
                kept.entity.shrink_to_fit();
                kept.wire.shrink_to_fit();
                let entity = Bytes::from(kept.entity);
                let chunked = self.framing == Framing::Chunked;
                (Some(entity), chunked.then(|| Bytes::from(kept.wire)))
            }
        };
        let sha256 = self.digest.map(|digest| digest.finalize().into());
        let elsewhere = self.storing.finish();
        Body { framing: self.framing, len: self.len, lost: self.lost, entity, wire, sha256, elsewhere }
    }
}

/// What remains of a body after the present piece, where the framing knows.
pub(super) fn rest(decoder: &Decoder) -> Option<u64> {
    match decoder {
        Decoder::Length(left) => Some(*left),
        Decoder::Chunked(_) | Decoder::UntilClose => None,
    }
}
