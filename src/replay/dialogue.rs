//! One request and its answer on one connection.
//!
//! Reading and writing go on side by side, in one task: a server that answers before it has read the
//! body is heard, and one that never reads cannot block us beyond the time limit.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::ReadBuf;
use tokio::time::Instant;

use super::alarm::Alarm;
use super::client::{Connection, Limits};
use super::clock::Clock;
use super::endpoint::Endpoint;
use super::outcome::{Failure, Outcome, Timing};
use super::plan::{ShadowBody, ShadowRequest};
use super::stop::{Stop, StopSignal};
use super::stored::Pieces;
use crate::anomaly::Anomaly;
use crate::http::{Close, Response};
use crate::time::Timestamp;

/// How long the body of an `Expect: 100-continue` request waits for an interim answer. A client may
/// not wait for ever (RFC 9110, section 10.1.1); this is what curl allows, too.
const CONTINUE_WAIT: Duration = Duration::from_secs(1);

/// How long, after the whole answer has come, the rest of the request may make no progress.
const LINGER: Duration = Duration::from_secs(1);

/// More interim answers than this are an attack, not a dialogue.
const MAX_INTERIM: usize = 1000;

/// How many of the first bytes of an answer are kept to show what came.
const SHOWN: usize = 48;

const READ_SIZE: usize = 16 * 1024;

/// How a dialogue ended.
#[allow(clippy::large_enum_variant, reason = "passed on at once, once for each request")]
pub(super) enum Ending {
    /// The connection took not one byte of the request: it may be sent on another one.
    NothingAccepted(io::Error),
    /// What became of the request.
    Outcome {
        outcome: Outcome,
        /// Whether another request may follow on the connection.
        reusable: bool,
    },
}

/// One request on its way, and what came back so far.
pub(super) struct Dialogue<'a> {
    connection: &'a mut Connection,
    request: &'a ShadowRequest,
    clock: Clock,
    endpoint: &'a Endpoint,
    /// How many bytes the kernel had accepted on this connection before.
    accepted_before: u64,
    /// How many bytes of the request the connection took.
    written: u64,
    /// Some of them may still wait to be encrypted and handed to the kernel.
    unflushed: bool,
    /// How many may be written now: the head alone while an interim answer is awaited.
    allowed: u64,
    /// Where the body comes from that is not in memory.
    stored: Option<Pieces>,
    /// Why no more can be written.
    write_error: Option<io::Error>,
    /// When a connection began to be made for it, where that was needed.
    connecting: Option<Timestamp>,
    sent: Option<Timestamp>,
    interim: Vec<u16>,
    answer: Option<Box<Response>>,
    /// The first bytes that came after the last interim answer.
    shown: Beginning,
    /// Bytes came that belong to no answer.
    stray: bool,
    /// Anything came at all.
    heard: bool,
}

/// The first bytes of something.
struct Beginning {
    bytes: [u8; SHOWN],
    len: usize,
}

impl Beginning {
    const NONE: Self = Self { bytes: [0; SHOWN], len: 0 };

    fn extend(&mut self, bytes: &[u8]) {
        let room = self.bytes.get_mut(self.len..).unwrap_or_default();
        let count = room.len().min(bytes.len());
        if let (Some(room), Some(bytes)) = (room.get_mut(..count), bytes.get(..count)) {
            room.copy_from_slice(bytes);
            self.len += count;
        }
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// What happened next on the connection.
enum Event {
    Wrote,
    WriteFailed(io::Error),
    /// The rest of the body is there no more.
    BodyLost(io::Error),
    Read,
    /// v2 closed, or the connection broke.
    Ended(Close, Option<io::Error>),
    /// The time that was set is over.
    Elapsed,
    Interrupted,
}

impl<'a> Dialogue<'a> {
    /// One that is about to begin on a connection, which was made for it from that time on, or was there before.
    pub(super) fn new(
        connection: &'a mut Connection,
        request: &'a ShadowRequest,
        clock: Clock,
        endpoint: &'a Endpoint,
        connecting: Option<Timestamp>,
    ) -> Self {
        let accepted_before = connection.stream.accepted();
        let head = request.head.len() as u64;
        let allowed = if request.manner.expects_continue { head } else { head + request.body.len() };
        let stored = match &request.body {
            ShadowBody::Kept(_) => None,
            ShadowBody::Stored { body, .. } => Some(Pieces::new(body.clone())),
        };
        connection.reader.expect(request.manner.asked);
        Self {
            connection,
            request,
            clock,
            endpoint,
            accepted_before,
            written: 0,
            unflushed: false,
            allowed,
            stored,
            write_error: None,
            connecting,
            sent: None,
            interim: Vec::new(),
            answer: None,
            shown: Beginning::NONE,
            stray: false,
            heard: false,
        }
    }

    /// Speaks from now on, until the answer is whole or something goes wrong.
    pub(super) async fn run(
        &mut self,
        (now, due): (Instant, Timestamp),
        limits: Limits,
        stop: &mut StopSignal,
    ) -> Ending {
        self.sent = Some(self.clock.at(now));
        let deadline = now + limits.answer;
        self.set_alarm(self.first_alarm(deadline));
        loop {
            let event = poll_fn(|cx| self.poll_event(cx, stop)).await;
            match event {
                Event::Wrote => {
                    if let Some(limit) = limits.first_byte.filter(|_| self.is_sent() && !self.heard) {
                        self.set_alarm(deadline.min(Instant::now() + limit));
                    }
                }
                Event::WriteFailed(error) if !self.is_accepted() => return Ending::NothingAccepted(error),
                Event::BodyLost(error) => {
                    let detail =
                        format!("the rest of the body cannot be read back: {error}; {}", self.progress());
                    return self.broken(Failure::Send, &detail, due);
                }
                // The answer may be on its way all the same: it explains why v2 reads no more.
                Event::WriteFailed(error) => self.write_error = Some(error),
                Event::Read => {
                    if !std::mem::replace(&mut self.heard, true) && limits.first_byte.is_some() {
                        self.set_alarm(deadline);
                    }
                    if let Some(ending) = self.hear(due) {
                        return ending;
                    }
                }
                Event::Ended(_, error) if !self.is_accepted() => {
                    return Ending::NothingAccepted(
                        error.unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into()),
                    );
                }
                Event::Ended(close, error) => return self.ended(close, error, due),
                Event::Elapsed if self.is_waiting_for_continue() && Instant::now() < deadline => {
                    self.allowed = self.whole();
                    self.set_alarm(deadline);
                }
                Event::Elapsed if self.answer.is_some() => return self.answered(due),
                Event::Elapsed => {
                    let (failure, limit) = match limits.first_byte {
                        Some(limit) if Instant::now() < deadline => (Failure::FirstByteTimeout, limit),
                        _ => (Failure::Timeout, limits.answer),
                    };
                    let detail = format!("{} within {limit:?}", self.progress());
                    return self.broken(failure, &detail, due);
                }
                Event::Interrupted => {
                    let detail = format!("stopped by the user: {}", self.progress());
                    return self.broken(Failure::Interrupted, &detail, due);
                }
            }
            if self.answer.is_some() {
                if self.is_spoken() {
                    return self.answered(due);
                }
                self.set_alarm(deadline.min(Instant::now() + LINGER));
            }
        }
    }

    /// The next thing that happens. Writing goes first, so that a request leaves without a vain read;
    /// reading is never kept waiting by it, since a request is finite.
    fn poll_event(&mut self, cx: &mut Context<'_>, stop: &mut StopSignal) -> Poll<Event> {
        // A server that never falls silent keeps the alarm from being polled: the time is checked here.
        if self.heard && self.connection.alarm.as_ref().is_some_and(Alarm::is_past) {
            return Poll::Ready(Event::Elapsed);
        }
        if let Poll::Ready(event) = self.poll_write(cx) {
            return Poll::Ready(event);
        }
        if let Poll::Ready(event) = self.poll_read(cx) {
            return Poll::Ready(event);
        }
        if self.connection.alarm.as_mut().is_some_and(|alarm| alarm.poll(cx).is_ready()) {
            return Poll::Ready(Event::Elapsed);
        }
        stop.poll_reached(cx, Stop::Now).map(|()| Event::Interrupted)
    }

    fn set_alarm(&mut self, at: Instant) {
        self.connection.alarm.get_or_insert_with(|| Alarm::at(at)).set(at);
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if self.write_error.is_some() {
            return Poll::Pending;
        }
        if self.written >= self.allowed {
            return if self.unflushed { self.poll_flush(cx) } else { Poll::Pending };
        }
        let head_len = self.request.head.len() as u64;
        let head = from(&self.request.head, self.written);
        let (body_from, body_to) =
            (self.written.saturating_sub(head_len), self.allowed.saturating_sub(head_len));
        let piece;
        let body = match &mut self.stored {
            None => from(up_to(self.request.body.kept(), body_to), body_from),
            // With the head goes nothing that is not there yet.
            Some(_) if !head.is_empty() => &[],
            Some(pieces) => match std::task::ready!(pieces.poll_from(cx, body_from)) {
                Ok(bytes) => {
                    piece = bytes;
                    up_to(&piece, body_to - body_from)
                }
                Err(error) => return Poll::Ready(Event::BodyLost(error)),
            },
        };
        let wrote = match (head, body) {
            (one, []) | ([], one) => self.connection.stream.poll_write(cx, one),
            _ => self.connection.stream.poll_write_vectored(cx, &[IoSlice::new(head), IoSlice::new(body)]),
        };
        wrote.map(|result| match result {
            Ok(0) => Event::WriteFailed(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                self.written += count as u64;
                self.unflushed = self.connection.stream.buffers();
                Event::Wrote
            }
            Err(error) => Event::WriteFailed(error),
        })
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        self.connection.stream.poll_flush(cx).map(|result| {
            self.unflushed = false;
            result.map_or_else(Event::WriteFailed, |()| Event::Wrote)
        })
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        let mut space = [MaybeUninit::uninit(); READ_SIZE];
        let mut buffer = ReadBuf::uninit(&mut space);
        let result = std::task::ready!(self.connection.stream.poll_read(cx, &mut buffer));
        Poll::Ready(match result {
            Ok(()) if buffer.filled().is_empty() => Event::Ended(Close::Finished, None),
            Ok(()) => {
                self.take_in(buffer.filled());
                Event::Read
            }
            Err(error) => Event::Ended(Close::Reset, Some(error)),
        })
    }

    fn take_in(&mut self, bytes: &[u8]) {
        self.connection.settled = None;
        self.shown.extend(bytes);
        self.stray |= self.connection.reader.push(self.clock.now(), bytes) > 0;
    }

    /// Takes the answers that are complete by now.
    fn hear(&mut self, due: Timestamp) -> Option<Ending> {
        while let Some(response) = self.connection.reader.take() {
            if response.head.is_final() {
                self.answer = Some(response);
            } else {
                self.interim.push(response.head.status);
                self.shown = Beginning::NONE;
                self.allowed = self.whole();
            }
        }
        let detail = format!("{} answered garbage: {}", self.endpoint, self.garbage()?);
        Some(self.broken_at(Failure::Garbage, detail, due))
    }

    /// What is wrong with what came, where no good answer can come of it.
    fn garbage(&self) -> Option<String> {
        let Some(answer) = &self.answer else {
            if self.connection.reader.is_garbage() {
                return Some(format!("not HTTP: `{}`", self.shown.bytes().escape_ascii()));
            }
            let endless = self.interim.len() > MAX_INTERIM;
            return endless.then(|| format!("more than {MAX_INTERIM} interim answers"));
        };
        if answer.anomalies.contains(Anomaly::InvalidChunk) {
            return Some("its body breaks the chunked coding".to_owned());
        }
        let cut = !answer.completeness.is_complete();
        cut.then(|| format!("its head is larger than {} KiB", crate::http::h1::MAX_HEAD / 1024))
    }

    /// The connection is over: an answer that lasts until then is whole now.
    fn ended(&mut self, close: Close, error: Option<io::Error>, due: Timestamp) -> Ending {
        if self.answer.is_some() {
            return self.answered(due);
        }
        let began = !self.shown.bytes().is_empty() || self.connection.reader.is_within_message();
        self.connection.reader.end(close);
        let last = self.connection.reader.take();
        if let Some(answer) =
            last.as_ref().filter(|last| last.head.is_final() && last.completeness.is_complete())
        {
            self.answer = Some(answer.clone());
            return self.answered(due);
        }
        let how = error.or(self.write_error.take());
        let refused_session = how.as_ref().is_some_and(is_tls_error);
        let how =
            how.map_or_else(|| "closed the connection".to_owned(), |error| format!("broke off: {error}"));
        let failure = match (began, self.written < self.allowed || self.unflushed) {
            (true, _) => Failure::ClosedInAnswer,
            (false, _) if refused_session => Failure::Tls,
            (false, true) => Failure::Send,
            (false, false) => Failure::ClosedBeforeAnswer,
        };
        let detail = format!("{} {how}; {}", self.endpoint, self.progress());
        self.answer = last;
        self.broken_at(failure, detail, due)
    }

    /// Something else than v2 ends the dialogue: what has come of the answer so far is all.
    fn broken(&mut self, failure: Failure, detail: &str, due: Timestamp) -> Ending {
        self.connection.reader.end(Close::Unknown);
        self.answer = self.answer.take().or_else(|| self.connection.reader.take());
        let detail = format!("{}: {detail}", self.endpoint);
        self.broken_at(failure, detail, due)
    }

    fn broken_at(&mut self, failure: Failure, detail: String, due: Timestamp) -> Ending {
        let partial = self.answer.take();
        let timing = self.timing(partial.as_deref(), due);
        Ending::Outcome { outcome: Outcome::Failed { failure, detail, partial, timing }, reusable: false }
    }

    fn answered(&mut self, due: Timestamp) -> Ending {
        let Some(mut response) = self.answer.take() else {
            return self.broken_at(Failure::ClosedBeforeAnswer, self.progress(), due);
        };
        if self.stray {
            response.anomalies.insert(Anomaly::StrayBytes);
        }
        let whole = self.is_sent() && self.write_error.is_none() && !self.stray;
        let reusable = whole && self.request.manner.persistent && response.keep_alive();
        let timing = self.timing(Some(&response), due);
        let interim = std::mem::take(&mut self.interim);
        Ending::Outcome { outcome: Outcome::Answered { response, interim, timing }, reusable }
    }

    fn timing(&self, answer: Option<&Response>, due: Timestamp) -> Timing {
        let (first_byte, last_byte) = (answer.map(|a| a.first_byte), answer.map(|a| a.last_byte));
        let sent = self.sent.filter(|_| self.is_accepted());
        Timing { due, connecting: self.connecting, sent, first_byte, last_byte }
    }

    /// Whether nothing of the request remains to be said once the answer is whole: all of it was sent,
    /// or v2 will not hear it. A body that still waits for `100 Continue` is not wanted any more
    /// (RFC 9110, section 10.1.1), and one whose answer says `close` should not go on (RFC 9112,
    /// section 9.6).
    fn is_spoken(&self) -> bool {
        self.is_sent()
            || self.write_error.is_some()
            || self.allowed < self.whole()
            || self.stray
            || self.answer.as_ref().is_some_and(|answer| !answer.keep_alive())
    }

    /// Whether the kernel took any byte of the request.
    fn is_accepted(&self) -> bool {
        self.connection.stream.accepted() > self.accepted_before
    }

    /// Whether the kernel has all of the request.
    fn is_sent(&self) -> bool {
        self.written == self.whole() && !self.unflushed
    }

    fn is_waiting_for_continue(&self) -> bool {
        self.allowed < self.whole() && self.answer.is_none()
    }

    fn first_alarm(&self, deadline: Instant) -> Instant {
        if self.is_waiting_for_continue() { deadline.min(Instant::now() + CONTINUE_WAIT) } else { deadline }
    }

    fn whole(&self) -> u64 {
        self.request.head.len() as u64 + self.request.body.len()
    }

    /// How far the dialogue came, for a person.
    fn progress(&self) -> String {
        let sent = match self.written {
            all if all == self.whole() => format!("sent all {all} bytes of the request"),
            some => format!("sent {some} of the request's {} bytes", self.whole()),
        };
        let came = if self.shown.bytes().is_empty() {
            "no answer".to_owned()
        } else {
            format!("only part of an answer, which began `{}`", self.shown.bytes().escape_ascii())
        };
        format!("{sent}, got {came}")
    }
}

/// The bytes from there on.
fn from(bytes: &[u8], at: u64) -> &[u8] {
    usize::try_from(at).ok().and_then(|at| bytes.get(at..)).unwrap_or_default()
}

/// So many of the bytes at most.
fn up_to(bytes: &[u8], most: u64) -> &[u8] {
    usize::try_from(most).ok().and_then(|most| bytes.get(..most)).unwrap_or(bytes)
}

/// Whether v2 ended the session in the words of TLS, as one does that wants another certificate: in TLS 1.3
/// the client hears of it only after it has spoken (RFC 8446, section 4.4.2.4).
fn is_tls_error(error: &io::Error) -> bool {
    error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>)
}
