//! Which response answers which request of a connection.
//!
//! Responses come in the order of their requests (RFC 9112, section 9.3.2), and the two directions are
//! told in causal order: a response that comes while no request is open was asked for by none that is
//! in the capture. What is left to decide is what a hole swallowed:
//!
//! - Requests: where none is open, the responses to them find none and are orphans. Where the client
//!   pipelines, the hole holds the place of one request.
//! - Responses: a request that was sent after the client had the bytes of the hole came after the
//!   answers to all requests before it. So the requests before the hole are without an answer.
//!
//!   Where several were open, the client pipelines, and this proves nothing: as many answers are taken
//!   for lost as their usual size makes likely.
//! - Both since the last request: the next response may be to one in the hole, so it answers none.
//!
//! Where a pipelining client leaves a doubt, the exchanges concerned carry [`Anomaly::StreamGap`].

use std::collections::VecDeque;

use super::reader::{Listener, Start};
use super::{Exchange, ExchangeAccount, ExchangeId};
use crate::anomaly::{Anomaly, AnomalySet};
use crate::http::{Asked, Request, RequestHead, Response, ResponseHead, Sink, Version};
use crate::stream::ConnectionId;
use crate::time::Timestamp;

/// So many requests may wait for their answers. Nobody pipelines that many: the answers are not in
/// the capture.
const MOST_OPEN: usize = 1000;

/// The requests of one connection that have no answer yet, oldest first.
#[derive(Default)]
pub(super) struct Pairing {
    open: VecDeque<Open>,
    /// The place of `open`'s first, counted from the connection's first request.
    base: u32,
    /// The place of the request that the next response answers.
    next: u32,
    /// A request has begun, whose head is not complete.
    beginning: Option<Start>,
    /// The last first byte of a request, and how many have had that time.
    last_start: Option<(Timestamp, u32)>,
    /// The final response that is being read answers no request.
    orphan: bool,
    /// A hole among pipelined requests, before the request of this place.
    lost_request: Option<u32>,
    /// A hole among the requests since the last of them, and whether bytes between messages are in it.
    hole: Option<bool>,
    /// A hole among the responses, which came when the requests before this place had been sent.
    lost_response: Option<LostResponses>,
    /// How many responses were read, and their bytes.
    answered: (u64, u64),
    /// Since a hole among pipelined messages the pairing is in doubt from this place on, until no request
    /// is open.
    doubt: Option<u32>,
    /// Answers are not waited for any more.
    given_up: bool,
    /// Bytes of memory in `open`.
    held: usize,
    /// A response turned the connection into one of HTTP/2.
    http2: bool,
}

/// A hole among the responses.
#[derive(Clone, Copy)]
struct LostResponses {
    /// The place after the last request that had been sent.
    sent_before: u32,
    /// How many bytes are missing.
    missing: u64,
    /// The requests have a hole too, with no request known behind it: the next answer may be to one in it.
    followed: bool,
}

/// A request that waits for its answer, or for its own end.
struct Open {
    start: Start,
    id: ExchangeId,
    asked: Asked,
    headless: bool,
    request: Option<Request>,
    answer: Answer,
    interim: Vec<u16>,
    anomalies: AnomalySet,
}

enum Answer {
    Awaited,
    Here(Box<Response>),
    Missing,
}

/// What the pairing tells its news to.
pub(super) struct Context<'a, L> {
    pub(super) connection: ConnectionId,
    pub(super) listener: &'a mut L,
    pub(super) account: &'a mut ExchangeAccount,
}

impl<L> Context<'_, L> {
    /// The same, for the connection with the roles that its bytes show.
    pub(super) fn of(&mut self, connection: ConnectionId) -> Context<'_, L> {
        Context { connection, listener: self.listener, account: self.account }
    }

    /// The same once more.
    pub(super) fn again(&mut self) -> Context<'_, L> {
        self.of(self.connection)
    }
}

/// The side of the pairing that hears of requests.
pub(super) struct Requests<'p, 'c, L>(pub(super) &'p mut Pairing, pub(super) Context<'c, L>);

/// The side of the pairing that hears of responses.
pub(super) struct Responses<'p, 'c, L>(pub(super) &'p mut Pairing, pub(super) Context<'c, L>);

impl<L: Listener> Sink<RequestHead> for Requests<'_, '_, L> {
    fn started(&mut self, at: Timestamp) {
        self.0.beginning = Some(self.1.listener.began(at));
    }

    fn head(&mut self, head: &RequestHead, first_byte: Timestamp) -> Asked {
        let Some(start) = self.0.beginning.take() else { return Asked::Other };
        self.0.judge_hole();
        let nth = self.0.count_start(first_byte);
        let asked = Asked::by(head.method());
        self.0.open.push_back(Open {
            start,
            id: ExchangeId::new(self.1.connection, first_byte, nth),
            asked,
            headless: head.version == Version::Http09,
            request: None,
            answer: Answer::Awaited,
            interim: Vec::new(),
            anomalies: AnomalySet::EMPTY,
        });
        asked
    }

    fn message(&mut self, request: Request) {
        self.0.held += weigh(request.head.raw(), request.body.entity.as_ref());
        if let Some(open) = self.0.open.back_mut() {
            open.request = Some(request);
        }
        if self.0.open.len() > MOST_OPEN {
            self.0.given_up = true;
        }
        if self.0.given_up {
            self.0.answer_none(u32::MAX, Anomaly::OneDirection);
        }
        self.0.tell(&mut self.1);
    }

    fn abandoned(&mut self) {
        if let Some(start) = self.0.beginning.take() {
            self.1.listener.finished(start, None);
        }
    }

    fn lost(&mut self, missing: u64) {
        self.0.hole = Some(missing > 0 || self.0.hole == Some(true));
        if let Some(lost) = &mut self.0.lost_response {
            lost.followed = true;
        }
    }
}

impl<L: Listener> Sink<ResponseHead> for Responses<'_, '_, L> {
    fn head(&mut self, _: &ResponseHead, _: Timestamp) -> Asked {
        self.0.pass_holes(&mut self.1);
        if self.0.orphan {
            return Asked::Unknown;
        }
        let Some(open) = self.0.answering() else {
            self.0.orphan = true;
            return Asked::Unknown;
        };
        if open.request.is_none() {
            open.anomalies.insert(Anomaly::EarlyResponse);
        }
        open.asked
    }

    fn message(&mut self, response: Response) {
        if !response.head.is_final() {
            self.0.pass_holes(&mut self.1);
            if !self.0.orphan
                && let Some(open) = self.0.answering()
            {
                open.interim.push(response.head.status);
            }
            return;
        }
        if std::mem::take(&mut self.0.orphan) {
            self.1.account.orphans += 1;
            self.1.account.anomalies.count(Anomaly::OrphanResponse);
            self.1.account.anomalies.count_set(response.anomalies);
            return;
        }
        self.0.held += weigh(response.head.raw(), response.body.entity.as_ref());
        self.0.http2 |= response.head.status == 101
            && response.head.headers.all("upgrade").any(|value| value.eq_ignore_ascii_case(b"h2c"));
        self.0.answered.0 += 1;
        self.0.answered.1 += response.head.raw().len() as u64 + response.body.len;
        let doubt = self.0.doubt.is_some_and(|from| self.0.next >= from);
        if let Some(open) = self.0.answering() {
            open.answer = Answer::Here(Box::new(response));
            if doubt {
                open.anomalies.insert(Anomaly::StreamGap);
            }
            self.0.next += 1;
        }
        self.0.tell(&mut self.1);
    }

    fn lost(&mut self, missing: u64) {
        if self.0.awaited() > 0 {
            let earlier = self.0.lost_response.map_or(0, |lost| lost.missing);
            let missing = missing.saturating_add(earlier);
            let sent_before = self.0.end();
            let followed = self.0.hole.is_some();
            self.0.lost_response = Some(LostResponses { sent_before, missing, followed });
        }
        // The answer to a lost request may be in this hole, or not.
        if let Some(place) = self.0.lost_request.take() {
            self.0.doubt_from(place);
        }
    }

    fn is_headless(&mut self) -> bool {
        self.0.answering().is_some_and(|open| open.headless)
    }
}

impl Pairing {
    /// Bytes of memory that the open requests and their answers hold.
    pub(super) fn held(&self) -> usize {
        self.held + self.open.capacity() * size_of::<Open>()
    }

    /// Whether what follows the last response is HTTP/2 (RFC 7540, section 3.2).
    pub(super) fn upgraded_to_http2(&self) -> bool {
        self.http2
    }

    /// No response follows: what is open stays without.
    pub(super) fn close<L: Listener>(&mut self, context: &mut Context<'_, L>) {
        self.given_up = true;
        let end = self.end();
        for open in &mut self.open {
            if matches!(open.answer, Answer::Awaited) {
                open.answer = Answer::Missing;
            }
        }
        self.next = end;
        self.tell(context);
    }

    /// The place after the last request.
    fn end(&self) -> u32 {
        self.base + u32::try_from(self.open.len()).unwrap_or(u32::MAX)
    }

    /// How many requests have no answer yet.
    fn awaited(&self) -> u32 {
        self.end().saturating_sub(self.next)
    }

    /// The request that the next response answers.
    fn answering(&mut self) -> Option<&mut Open> {
        let at = self.next.checked_sub(self.base)?;
        self.open.get_mut(usize::try_from(at).ok()?)
    }

    /// Once a request begins behind a hole: where one before the hole has no answer yet, the client does not
    /// wait for answers, so there may be requests in the hole. Where the answers have a hole as well, nothing
    /// can be told.
    fn judge_hole(&mut self) {
        let Some(between) = self.hole.take() else { return };
        if self.awaited() == 0 || self.lost_response.is_some() {
            return;
        }
        let place = self.end();
        if between && self.lost_request.is_none() {
            self.lost_request = Some(place);
        } else {
            self.doubt_from(place);
        }
    }

    fn doubt_from(&mut self, place: u32) {
        self.doubt = Some(self.doubt.map_or(place, |from| from.min(place)));
    }

    /// How many requests before this one began at the same time.
    fn count_start(&mut self, at: Timestamp) -> u32 {
        let nth = self.last_start.filter(|&(last, _)| last == at).map_or(0, |(_, nth)| nth + 1);
        self.last_start = Some((at, nth));
        nth
    }

    /// Before a response is given to a request: leaves out the requests whose answers a hole swallowed,
    /// and notes the answers whose requests one did.
    fn pass_holes<L: Listener>(&mut self, context: &mut Context<'_, L>) {
        if let Some(LostResponses { sent_before, missing, followed }) = self.lost_response.take() {
            let before = sent_before.saturating_sub(self.next);
            if before > 1 {
                self.doubt_from(self.next);
                self.answer_none(
                    self.next.saturating_add(self.likely_lost(missing).min(before)),
                    Anomaly::StreamGap,
                );
            } else if self.end() > sent_before || followed {
                self.answer_none(sent_before, Anomaly::StreamGap);
            }
            if followed {
                self.doubt_from(self.next);
            }
            self.tell(context);
        }
        if self.lost_request == Some(self.next) {
            self.lost_request = None;
            self.doubt_from(self.next);
            self.orphan = true;
        }
    }

    /// How many answers so many bytes are, were they like those before.
    fn likely_lost(&self, missing: u64) -> u32 {
        let (count, bytes) = self.answered;
        let usual = bytes.checked_div(count).unwrap_or(0);
        let lost = if usual == 0 { missing.min(1) } else { missing.div_ceil(usual) };
        u32::try_from(lost).unwrap_or(u32::MAX)
    }

    /// The requests before the place `end` get no answer.
    fn answer_none(&mut self, end: u32, why: Anomaly) {
        while self.next < end {
            let Some(open) = self.answering() else { break };
            open.answer = Answer::Missing;
            open.anomalies.insert(why);
            self.next += 1;
        }
    }

    /// Tells the exchanges at the front that are complete.
    fn tell<L: Listener>(&mut self, context: &mut Context<'_, L>) {
        while let Some(open) = self.open.front()
            && open.request.is_some()
            && !matches!(open.answer, Answer::Awaited)
        {
            let Some(open) = self.open.pop_front() else { break };
            let ordinal = self.base;
            self.base += 1;
            self.held = self.held.saturating_sub(open.weight());
            open.tell(ordinal, context);
        }
        if self.open.is_empty() {
            self.doubt = None;
        }
    }
}

impl Open {
    fn weight(&self) -> usize {
        let request = self.request.as_ref().map_or(0, |m| weigh(m.head.raw(), m.body.entity.as_ref()));
        match &self.answer {
            Answer::Here(m) => request + weigh(m.head.raw(), m.body.entity.as_ref()),
            Answer::Awaited | Answer::Missing => request,
        }
    }

    fn tell<L: Listener>(self, ordinal: u32, context: &mut Context<'_, L>) {
        let Self { start, id, request, answer, interim, anomalies, .. } = self;
        let exchange = request.map(|request| Exchange {
            id,
            connection: context.connection,
            ordinal,
            request,
            response: match answer {
                Answer::Here(response) => Some(*response),
                Answer::Awaited | Answer::Missing => None,
            },
            interim,
            anomalies,
        });
        if let Some(exchange) = &exchange {
            context.account.exchanges += 1;
            context.account.unanswered += u64::from(exchange.response.is_none());
        }
        context.listener.finished(start, exchange);
    }
}

/// The memory that a message's bytes take.
fn weigh(head: &[u8], entity: Option<&bytes::Bytes>) -> usize {
    head.len() + entity.map_or(0, bytes::Bytes::len)
}
