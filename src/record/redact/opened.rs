//! Messages of a row as redaction looks at them: decoded, and searched.

use bytes::Bytes;

use super::heads::Walk;
use super::known::Spans;
use super::part::Part;
use super::signs::Signs;

/// A text of a row, and where secrets of its own lie.
#[derive(Clone)]
pub(super) struct Searched<T> {
    pub(super) text: T,
    pub(super) part: Part,
    pub(super) signs: Signs,
    /// In their order.
    pub(super) spans: Spans,
    pub(super) met: Met,
}

/// How a text was met before.
#[derive(Clone)]
pub(super) enum Met {
    /// It is searched as a whole, and has this digest.
    Text(u64),
    /// By its parts.
    Head(Walk),
    /// Not at all.
    No,
}

impl<T: AsRef<[u8]>> Searched<T> {
    /// Calls `found` with the value of each of its secrets.
    pub(super) fn secrets<'s>(&'s self, mut found: impl FnMut(&'s [u8])) {
        let text = self.text.as_ref();
        for (span, _) in &self.spans {
            found(text.get(span.clone()).unwrap_or_default());
        }
    }
}

/// A message, searched.
pub(super) struct Opened<'r> {
    pub(super) head: Searched<&'r [u8]>,
    pub(super) body: OpenedBody,
}

impl Opened<'_> {
    /// Calls `found` with the value of each of its secrets.
    pub(super) fn secrets<'s>(&'s self, mut found: impl FnMut(&'s [u8])) {
        self.head.secrets(&mut found);
        if let OpenedBody::Decoded(text) = &self.body {
            text.secrets(found);
        }
    }
}

pub(super) enum OpenedBody {
    /// It was not kept.
    None,
    /// Without its content codings.
    Decoded(Searched<Bytes>),
    /// Not in the coding that it claims, so that its bytes are what they are.
    AsItIs(Searched<Bytes>),
    /// A part of a coded body: what it holds cannot be searched, and could be recovered.
    Closed,
}
