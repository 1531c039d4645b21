//! Which exchange is the shadow of which, where a mesh mirrored while the capture was taken.
//!
//! ```text
//! exchange ──▶ waits ──window──▶ a shadow finds its primary ──window──▶ told, in the order of the requests
//! ```
//!
//! A proxy that mirrors sends the copy beside the original, so that both begin within moments. Two
//! exchanges may belong together when they have the same `x-request-id`, method and target; where
//! neither has an id, the same method, target, host and body. Of several that may, the nearest in time
//! is taken, those from the same proxy before others. Where another one is about as near and was
//! answered otherwise, nobody knows what the shadow's answer is to be compared with: the shadow is
//! then told alone, as ambiguous. Primaries that were answered alike do not raise that doubt.
//!
//! Everything is captured time. What waits is bounded by that time, by number and by bytes.

mod key;
mod room;

pub use room::{Mirrors, MirrorsLimits};

use super::Exchange;

/// On which side of a mirror an exchange is, as far as it tells by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Side {
    /// The service's own traffic.
    Primary,
    /// A copy, known by its Host; the primary's Host is this.
    Shadow(Vec<u8>),
    /// A copy, known by the server that it went to. Its Host may be anything.
    ToShadowServer,
    /// Nothing tells. Of two with one id from one proxy to two servers, the shadow is the one to which the
    /// proxy has added `x-envoy-internal`, or an address at the end of `x-forwarded-for`, that the other
    /// does not have.
    Unmarked,
}

/// What made two exchanges a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Evidence {
    /// The same `x-request-id`, method and target.
    RequestId,
    /// Neither has an id: the same method, target, host and body.
    Likeness,
}

/// Why an exchange is told alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alone {
    /// A primary, of which no shadow was seen.
    NoShadow,
    /// A shadow, of which no primary was seen.
    NoPrimary,
    /// A shadow, whose primary began too long before or after it.
    OutsideWindow,
    /// A shadow that may be of several primaries, which were answered differently; or one of several
    /// shadows of one primary at one server.
    Ambiguous,
    /// An exchange that was given up before its time, since too many were waiting.
    NoRoom,
    /// An exchange without an id, of whose request bytes are missing, so that nothing can be like it.
    IncompleteRequest,
}

/// What [`Mirrors`] tells.
#[derive(Debug)]
pub enum Mirrored {
    /// Both sides of a mirrored request. A primary is told once for each of its shadows.
    Pair {
        /// The service's own exchange.
        primary: Box<Exchange>,
        /// The copy's.
        shadow: Box<Exchange>,
        /// What made them a pair.
        evidence: Evidence,
    },
    /// One side.
    Alone(Box<Exchange>, Alone),
}

#[cfg(test)]
mod tests;
