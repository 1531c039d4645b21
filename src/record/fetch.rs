//! Memory that another core wrote last, fetched before it is worked on.
//!
//! A row comes from the thread that sends, so that most of what it holds lies in that core's caches. Whoever compares
//! two bodies meets the lines one after the other and waits for each; reading a byte of each line before, which waits
//! for none, has the processor fetch many of them at a time.

use std::hint::black_box;

use super::Row;
use crate::http::Body;
use crate::replay::Outcome;

/// Bytes of a line of the cache, on nearly all machines.
const LINE: usize = 64;
/// Bytes of a text that are fetched: longer ones the processor foresees by itself.
const MOST: usize = 2048;

impl Row {
    /// Fetches the heads and bodies of the row.
    pub(crate) fn fetch(&self) {
        let mut seen = of(self.exchange.request.head.raw()) ^ of_body(&self.exchange.request.body);
        if let Some(v1) = &self.exchange.response {
            seen ^= of(v1.head.raw()) ^ of_body(&v1.body);
        }
        if let Outcome::Answered { response: v2, .. } = &self.outcome {
            seen ^= of(v2.head.raw()) ^ of_body(&v2.body);
        }
        seen ^= self.sent_head.as_ref().map_or(0, |head| of(head));
        black_box(seen);
    }
}

fn of_body(body: &Body) -> u8 {
    body.entity.as_ref().map_or(0, |entity| of(entity))
}

fn of(bytes: &[u8]) -> u8 {
    bytes.iter().take(MOST).step_by(LINE).fold(0, |seen, byte| seen ^ byte)
}
