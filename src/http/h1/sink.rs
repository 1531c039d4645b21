//! What a parser is told of the other side and of its stream's end, and whom it tells of messages.

use super::{Head, LastHead};
use crate::http::Message;
use crate::time::Timestamp;

/// What was asked, as far as it decides where the answer's body ends (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asked {
    /// By HEAD: the answer has no body, whatever its fields say.
    Head,
    /// By CONNECT: an answer of 2xx makes a tunnel.
    Connect,
    /// By any other method.
    #[default]
    Other,
    /// By a request that is not known: the answer has the body that its fields announce, unless another
    /// answer begins in its place. Then it was to HEAD.
    Unknown,
}

impl Asked {
    /// The kind of a method.
    #[must_use]
    pub fn by(method: &[u8]) -> Self {
        match method {
            b"HEAD" => Self::Head,
            b"CONNECT" => Self::Connect,
            _ => Self::Other,
        }
    }
}

/// How a direction ended, as the parser needs to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// The sender said that nothing follows, and all before that was seen.
    Finished,
    /// A side broke the connection off.
    Reset,
    /// Nothing more was seen.
    Unknown,
}

/// Who is told what the parser reads.
pub trait Sink<H> {
    /// The first byte of a message was seen, so many bytes of the stream before those that are being read.
    fn started(&mut self, at: Timestamp, before: usize) {
        let _ = (at, before);
    }

    /// A head is complete. For a response (a final one) the answer says what was asked; for a request
    /// it means nothing.
    fn head(&mut self, head: &H, first_byte: Timestamp) -> Asked {
        let _ = (head, first_byte);
        Asked::Other
    }

    /// A message is complete, or will never be.
    fn message(&mut self, message: Message<H>);

    /// What was announced by [`Sink::started`] turned out to be no message.
    fn abandoned(&mut self) {}

    /// Where the next message begins is not known, and `missing` bytes that are none of the last
    /// message's are not in the capture: any number of messages may be lost here.
    fn lost(&mut self, missing: u64) {
        let _ = missing;
    }

    /// Whether the body of a message is wanted that is too large to be kept, by what its head tells: there is a store
    /// for it.
    fn wants_body(&mut self, head: &H, first_byte: Timestamp) -> bool {
        let _ = (head, first_byte);
        true
    }

    /// The head that was read last on the same connection, or on another, where somebody keeps it: the lines that the
    /// next one has in common with it are read faster.
    fn last_head(&mut self) -> Option<&mut LastHead<H>>
    where
        H: Head,
    {
        None
    }

    /// Whether bytes that begin no message are all the same an answer: that of HTTP/0.9, which has no
    /// head and lasts until the connection closes.
    fn is_headless(&mut self) -> bool {
        false
    }
}
