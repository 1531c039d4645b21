//! Where the next message begins is not known: the search for its start line.

use super::partial::prefix;
use super::{Head, Parser, Plausible, Sink, State, begins_surely};
use crate::time::Timestamp;

/// What stood at the beginning of a packet, up to its end.
pub(super) struct CutLine {
    pub(super) at: Timestamp,
    pub(super) bytes: Vec<u8>,
}

/// The longest beginning of a start line that is kept while the parser is lost.
const CUT_LINE: usize = 4096;

impl<H: Head> Parser<H> {
    pub(super) fn lose<S: Sink<H>>(&mut self, missing: u64, sink: &mut S) {
        self.state = State::Lost;
        sink.lost(missing);
    }

    /// Looks for a start line where one is most likely and nothing else is likely to look like one: at
    /// the very beginning of what was pushed, which is the beginning of a packet. The line may go on in the
    /// packets behind it.
    ///
    /// [`Parser::push`] does this; who hands the bytes of a packet to [`Parser::read`] does it first.
    #[inline]
    pub fn seek<S: Sink<H>>(&mut self, at: Timestamp, bytes: &[u8], sink: &mut S) {
        if self.is_lost() {
            self.find(at, bytes, sink);
        }
    }

    fn find<S: Sink<H>>(&mut self, at: Timestamp, bytes: &[u8], sink: &mut S) {
        let cut = self.cut_line.take();
        if begins_surely::<H>(bytes) {
            return self.begin(at, 0, sink);
        }
        let whole = memchr::memchr(b'\n', bytes).is_some();
        let Some(mut cut) = cut.filter(|cut| cut.bytes.len() + bytes.len() <= CUT_LINE) else {
            if !whole && bytes.len() <= CUT_LINE && H::plausible(prefix(bytes)) != Plausible::No {
                self.cut_line = Some(Box::new(CutLine { at, bytes: bytes.to_vec() }));
            }
            return;
        };
        let before = cut.bytes.len();
        cut.bytes.extend_from_slice(bytes);
        if whole && begins_surely::<H>(&cut.bytes) {
            self.account.torn -= before as u64;
            self.begin(cut.at, before, sink);
            self.read_head(cut.at, cut.bytes.get(..before).unwrap_or_default(), sink);
        } else if !whole {
            self.cut_line = Some(cut);
        }
    }
}
