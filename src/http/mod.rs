//! Bytes into messages, without I/O.
//!
//! One parser serves captured and live bytes, requests and responses: it is told `push(bytes)`,
//! `gap(len)` and `end()`, and yields [`Message`]s. It knows neither packets nor connections, so no
//! difference between two answers can come from the way they were read.

pub mod coding;
pub mod h1;
pub mod head;
mod known;
mod reader;
mod stored;

use bytes::Bytes;

pub use h1::{Asked, Close, Parser, Sink};
pub(crate) use head::PlainNames;
pub use head::{Headers, RequestHead, ResponseHead};
pub use reader::ResponseReader;
pub use stored::{BodyStore, BodyWriter, Elsewhere, NoRoom, ReadAt, StoredBody};

use crate::anomaly::AnomalySet;
use crate::time::Timestamp;

/// A request or a response: the head as it was, the body, and when.
#[derive(Clone, Debug)]
pub struct Message<H> {
    /// The start line and header fields.
    pub head: H,
    /// What follows the head.
    pub body: Body,
    /// When the first byte was seen.
    pub first_byte: Timestamp,
    /// When the last byte that belongs to the message was seen.
    pub last_byte: Timestamp,
    /// Whether all of it was seen.
    pub completeness: Completeness,
    /// What was odd about it.
    pub anomalies: AnomalySet,
}

/// A captured request.
pub type Request = Message<RequestHead>;
/// A captured or live response.
pub type Response = Message<ResponseHead>;

/// Whether a message is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// Every byte was seen.
    Complete,
    /// Bytes are missing within it (lost by the capture).
    Gap,
    /// The capture, or what was captured of the connection, ends before the message does.
    Cut,
    /// The sender closed or reset the connection before the message was whole.
    Aborted,
}

impl Completeness {
    /// Whether every byte was seen.
    #[must_use]
    pub const fn is_complete(self) -> bool {
        matches!(self, Self::Complete)
    }
}

/// How the end of a body is found (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none: by method, by status, or because no field announces one.
    None,
    /// Content-Length.
    Length(u64),
    /// Transfer-Encoding whose last coding is chunked.
    Chunked,
    /// Until the connection closes.
    UntilClose,
    /// The message turned the connection into a tunnel (101, or 2xx to CONNECT): what follows is not HTTP.
    Tunnel,
}

/// A message's body. "Entity" bytes are those after de-chunking and before content-decoding; "wire"
/// bytes are those that were on the connection, chunk headers and trailers included.
#[derive(Clone, Debug)]
pub struct Body {
    /// How its end was found.
    pub framing: Framing,
    /// Entity bytes that were seen, kept or not.
    pub len: u64,
    /// Entity bytes known to be missing.
    pub lost: u64,
    /// The entity bytes; `None` when they were not kept (not asked for, or larger than the limit).
    pub entity: Option<Bytes>,
    /// The wire bytes of a chunked body, where they were kept; those of any other are its entity's. See [`Self::wire`].
    pub wire: Option<Bytes>,
    /// The digest of the entity bytes, where asked for, or where they were too many to keep.
    pub sha256: Option<[u8; 32]>,
    /// Where the wire bytes are instead, of a body that was too large to keep.
    pub elsewhere: Elsewhere,
}

impl Body {
    /// A body of which nothing is kept but its length.
    #[inline]
    pub(crate) const fn counted(framing: Framing, len: u64) -> Self {
        Self { framing, len, lost: 0, entity: None, wire: None, sha256: None, elsewhere: Elsewhere::Nowhere }
    }

    /// The wire bytes; `None` where they were not kept.
    #[must_use]
    pub fn wire(&self) -> Option<&Bytes> {
        if self.framing == Framing::Chunked { self.wire.as_ref() } else { self.entity.as_ref() }
    }

    /// Bytes of memory beside the body itself.
    pub(crate) fn memory(&self) -> usize {
        let kept = |part: &Option<Bytes>| part.as_ref().map_or(0, Bytes::len);
        kept(&self.entity) + kept(&self.wire)
    }
}

impl Message<RequestHead> {
    /// Bytes of memory, those of the message itself included.
    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>() + self.head.headers.memory() + self.body.memory()
    }
}

impl Message<ResponseHead> {
    /// Bytes of memory, those of the message itself included.
    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>() + self.head.headers.memory() + self.body.memory()
    }
}

/// What a parser does with bodies. They are always counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Which are kept.
    pub keep: BodyKeep,
    /// Whether the SHA-256 of the entity bytes is wanted.
    pub hash: bool,
}

/// Which bodies are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyKeep {
    /// None.
    #[default]
    Nothing,
    /// Those of at most so many entity bytes.
    UpTo(usize),
}

/// What became of the bytes of one direction: each is counted in one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// In heads.
    pub head: u64,
    /// In bodies, framing included.
    pub body: u64,
    /// Missing from the capture.
    pub gap: u64,
    /// After the connection became a tunnel.
    pub tunnel: u64,
    /// In answers of HTTP/0.9, which have no head.
    pub headless: u64,
    /// Of messages whose beginning or framing was lost.
    pub torn: u64,
    /// Between messages, and of none.
    pub stray: u64,
}

impl Account {
    /// All of them: the bytes of the stream, the missing ones included.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.head + self.body + self.gap + self.tunnel + self.headless + self.torn + self.stray
    }

    /// Adds another account to this one.
    pub fn merge(&mut self, other: &Self) {
        self.head += other.head;
        self.body += other.body;
        self.gap += other.gap;
        self.tunnel += other.tunnel;
        self.headless += other.headless;
        self.torn += other.torn;
        self.stray += other.stray;
    }
}

/// The version in a start line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// A request line of a method and a target only.
    Http09,
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
    /// Anything else in the place of the version; its digits.
    Other(u8, u8),
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Http09 => f.write_str("HTTP/0.9"),
            Self::Http10 => f.write_str("HTTP/1.0"),
            Self::Http11 => f.write_str("HTTP/1.1"),
            Self::Other(major, minor) => write!(f, "HTTP/{major}.{minor}"),
        }
    }
}

impl<H> Message<H> {
    /// Whether the connection lasts beyond this message as far as its own sender says: not after a
    /// message that was cut, ended by the connection's end, or made a tunnel; nor after `Connection:
    /// close`, nor with HTTP/1.0 unless it says `keep-alive` (RFC 9112, section 9.3).
    pub(crate) fn persists(&self, version: Version, headers: &Headers) -> bool {
        let bounded = !matches!(self.body.framing, Framing::UntilClose | Framing::Tunnel);
        bounded && self.completeness.is_complete() && headers.keep_alive(version)
    }
}

impl Message<RequestHead> {
    /// Whether the client means to use the connection again after this request.
    #[must_use]
    pub fn keep_alive(&self) -> bool {
        self.persists(self.head.version, &self.head.headers)
    }
}

impl Message<ResponseHead> {
    /// Whether the connection can be used again after this response.
    #[must_use]
    pub fn keep_alive(&self) -> bool {
        self.persists(self.head.version, &self.head.headers)
    }
}
