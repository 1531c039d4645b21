//! Heads: where one begins, and what comes of it when it is complete, or never will be.

use bytes::Bytes;

use super::body::Decoder;
use super::collect::Collector;
use super::message::{Reading, finish};
use super::partial::{Partial, Took, prefix};
use super::{Head, LastHead, MAX_HEAD, Parser, Plausible, Sink, State, count, start};
use crate::anomaly::Anomaly;
use crate::http::{Completeness, Framing};
use crate::time::Timestamp;

/// What is known of a message when its head is complete.
#[derive(Clone, Copy)]
pub(super) struct Begun {
    pub(super) first_byte: Timestamp,
    pub(super) last_byte: Timestamp,
    /// The length of the head.
    pub(super) size: u64,
    /// Part of the head is missing.
    pub(super) cut: bool,
}

impl<H: Head> Parser<H> {
    #[inline]
    pub(super) fn read_between<S: Sink<H>>(&mut self, at: Timestamp, bytes: &[u8], sink: &mut S) -> usize {
        self.read_plain(at, bytes, sink).unwrap_or_else(|| self.read_odd(at, bytes, sink))
    }

    /// As [`Self::read_between`], where no plain head is at hand.
    #[inline(never)]
    fn read_odd<S: Sink<H>>(&mut self, at: Timestamp, bytes: &[u8], sink: &mut S) -> usize {
        // Empty lines ahead of a start line are passed over (RFC 9112, section 2.2).
        let blank = bytes.iter().take_while(|&&b| matches!(b, b'\r' | b'\n')).count();
        if blank > 0 {
            self.odd.insert(Anomaly::StrayBytes);
            return count(&mut self.account.stray, bytes.get(..blank).unwrap_or_default());
        }
        if H::plausible(prefix(bytes)) == Plausible::No {
            if sink.is_headless() {
                self.state = State::Headless;
            } else {
                self.odd.insert(Anomaly::StrayBytes);
                self.lose(0, sink);
                return count(&mut self.account.stray, bytes);
            }
            return self.read(at, bytes, sink);
        }
        self.begin(at, 0, sink);
        self.read_head(at, bytes, sink)
    }

    pub(super) fn begin<S: Sink<H>>(&mut self, at: Timestamp, before: usize, sink: &mut S) {
        sink.started(at, before);
        self.state = State::Head(Box::new(Partial::new(at)));
    }

    pub(super) fn read_head<S: Sink<H>>(&mut self, at: Timestamp, bytes: &[u8], sink: &mut S) -> usize {
        let State::Head(partial) = &mut self.state else { return bytes.len() };
        partial.last_byte = at;
        match partial.take::<H>(bytes) {
            Took::All => bytes.len(),
            Took::Head(used, raw) => {
                self.complete_head(raw, sink);
                used
            }
            Took::NoHead => {
                let stray = partial.kept.len() as u64 + bytes.len() as u64;
                self.account.stray += stray;
                self.odd.insert(Anomaly::StrayBytes);
                sink.abandoned();
                self.lose(0, sink);
                bytes.len()
            }
        }
    }

    /// A message whose head is whole and without oddity, which nearly all are: it is read where it lies, and
    /// nothing is kept of it but what the message holds.
    #[inline]
    fn read_plain<S: Sink<H>>(&mut self, at: Timestamp, bytes: &[u8], sink: &mut S) -> Option<usize> {
        let outline = match sink.last_head() {
            Some(last) => {
                let outline = H::outline(bytes, last)?;
                last.note(bytes.get(..outline.end)?, &outline.line, outline.is_strange);
                outline
            }
            None => H::outline(bytes, &LastHead::default())?,
        };
        let (raw, rest) = bytes.split_at_checked(outline.end).filter(|(raw, _)| raw.len() <= MAX_HEAD)?;
        sink.started(at, 0);
        let head = H::plain(Bytes::copy_from_slice(raw), outline);
        let begun = Begun { first_byte: at, last_byte: at, size: raw.len() as u64, cut: false };
        let anomalies = std::mem::take(&mut self.odd);
        Some(raw.len() + self.read_on(head, begun, anomalies, rest, sink))
    }

    fn complete_head<S: Sink<H>>(&mut self, raw: Bytes, sink: &mut S) {
        let State::Head(partial) = std::mem::replace(&mut self.state, State::Between) else { return };
        let size = raw.len() as u64 + partial.beyond;
        let mut anomalies = std::mem::take(&mut self.odd);
        start::note_bare_lf(partial.scan.saw_bare_lf(), &mut anomalies);
        if partial.beyond > 0 {
            anomalies.insert(Anomaly::OversizedHead);
        }
        let Some(head) = H::parse(raw, &mut anomalies) else {
            self.account.stray += size;
            self.odd.insert(Anomaly::StrayBytes);
            sink.abandoned();
            self.lose(0, sink);
            return;
        };
        let Partial { first_byte, last_byte, beyond, .. } = *partial;
        self.read_on(head, Begun { first_byte, last_byte, size, cut: beyond > 0 }, anomalies, &[], sink);
    }

    /// A head that will never be complete: where its start line is whole, it is told as far as it came.
    pub(super) fn cut_head<S: Sink<H>>(&mut self, completeness: Completeness, sink: &mut S) {
        let State::Head(partial) = std::mem::replace(&mut self.state, State::Between) else { return };
        let size = partial.kept.len() as u64 + partial.beyond;
        let mut anomalies = std::mem::take(&mut self.odd);
        let whole_line = partial.scan.past_start_line();
        let Some(head) = Some(partial.kept)
            .filter(|_| whole_line)
            .and_then(|kept| H::parse(Bytes::from(kept), &mut anomalies))
        else {
            self.account.torn += size;
            sink.abandoned();
            return;
        };
        self.account.head += size;
        if !head.is_interim() {
            sink.head(&head, partial.first_byte);
        }
        let reading = Reading {
            head,
            decoder: Decoder::Length(0),
            body: Collector::new(Framing::None, self.options),
            first_byte: partial.first_byte,
            last_byte: partial.last_byte,
            anomalies,
            cut_head: true,
            doubt: None,
            has_body: true,
        };
        finish(reading, completeness, sink);
    }
}
