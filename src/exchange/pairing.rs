//! Which response answers which request of a connection.
//!
//! Responses come in the order of their requests (RFC 9112, section 9.3.2), and the two directions are
//! told in causal order: a response that comes while no request is open was asked for by none that is
//! in the capture. What is left to decide is what a hole swallowed; [`step`] tells how.
//!
//! **Exact or marked.** An exchange is exact when the answer is the request's own, and when every byte was read that
//! may be of it: a hole may swallow an interim response and leave no other trace. A server answers what it has
//! received. So all of the answer lies behind what the client had received when it sent the request, and it was all
//! read if the messages follow each other without a break from there on ([`unbroken`]). A repeat of the request says
//! no more than its first copy did: every answer acknowledges the request, and what is acknowledged is not sent
//! again. What is counted off follows the answer before it, without a break.
//!
//! Every other exchange carries a mark: [`Anomaly::StreamGap`] where bytes of the connection are missing;
//! [`Anomaly::MidConnection`] where the capture came into the middle of it, and nothing has told yet that its first
//! answers are not those to earlier requests; else [`Anomaly::UncertainPairing`], for bytes that are no message, or an
//! answer too many.

mod choose;
mod guess;
mod open;
mod step;
mod unbroken;

use std::collections::VecDeque;

use self::guess::Guess;
use self::open::{Answer, Open};
pub(super) use self::step::Moment;
use self::step::Step;
use self::unbroken::Unbroken;
use super::last_heads::LastHeads;
use super::reader::{Listener, Start};
use super::{ExchangeAccount, ExchangeId};
use crate::anomaly::{Anomaly, AnomalySet};
use crate::http::h1::LastHead;
use crate::http::{Asked, Request, RequestHead, Response, ResponseHead, Sink, Version};
use crate::stream::ConnectionId;
use crate::time::Timestamp;

/// So many requests may wait for their answers. Nobody pipelines that many: the answers are not in
/// the capture.
const MOST_OPEN: usize = 1000;

/// So many status codes of interim responses to one request are kept. No server has that much to say before its answer.
const MOST_INTERIM: usize = 1000;

/// The requests of one connection that have no answer yet, oldest first.
#[derive(Default)]
pub(super) struct Pairing {
    open: VecDeque<Open>,
    /// The place of `open`'s first, counted from the connection's first request.
    base: u32,
    /// The place of the request that the next response answers.
    next: u32,
    /// A request has begun, whose head is not complete.
    beginning: Option<(Start, Moment)>,
    /// The last first byte of a request, and how many have had that time.
    last_start: Option<(Timestamp, u32)>,
    /// What the response that is being read answers.
    answering: Option<Answering>,
    /// Where the bytes at hand stand, of requests and of responses.
    asked_at: Moment,
    answered_at: Moment,
    /// Where the response that is being read began.
    answer_began: Moment,
    /// From where on the answers were read without a break.
    answered: Unbroken,
    /// The answer to the latest request is read, and ends with the bytes at hand.
    answer_ended: bool,
    step: Step,
    /// Holes among pipelined messages.
    guess: Guess,
    /// Bytes of the connection are missing.
    holed: bool,
    /// Answers are not waited for any more.
    given_up: bool,
    /// Bytes of memory in `open`.
    held: usize,
    /// The request that is being read has its final answer.
    answered_early: bool,
    /// A response turned the connection into one of HTTP/2.
    http2: bool,
}

/// What a response answers.
#[derive(Clone, Copy)]
enum Answering {
    /// The request of this place.
    Request(u32),
    /// None that is in the capture.
    Nothing,
}

impl Answering {
    fn place(self) -> Option<u32> {
        match self {
            Self::Request(place) => Some(place),
            Self::Nothing => None,
        }
    }
}

/// What the pairing tells its news to.
pub(super) struct Context<'a, L> {
    pub(super) connection: &'a ConnectionId,
    pub(super) listener: &'a mut L,
    pub(super) account: &'a mut ExchangeAccount,
    pub(super) last_heads: &'a mut LastHeads,
}

impl<L> Context<'_, L> {
    /// The same, for the connection with the roles that its bytes show.
    pub(super) fn of<'b>(&'b mut self, connection: &'b ConnectionId) -> Context<'b, L> {
        let Self { listener, account, last_heads, .. } = self;
        Context { connection, listener, account, last_heads }
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

/// Who is told where the bytes stand that a parser reads.
pub(super) trait Stand {
    /// All bytes before these were read.
    fn stand(&mut self, moment: Moment);
}

impl<L> Stand for Requests<'_, '_, L> {
    #[inline]
    fn stand(&mut self, moment: Moment) {
        self.0.asked_at = moment;
    }
}

impl<L> Stand for Responses<'_, '_, L> {
    #[inline]
    fn stand(&mut self, moment: Moment) {
        self.0.answered_at = moment;
        if std::mem::take(&mut self.0.answer_ended) {
            self.0.step.note_answer(moment.position);
        }
    }
}

impl<L: Listener> Sink<RequestHead> for Requests<'_, '_, L> {
    fn started(&mut self, at: Timestamp, before: usize) {
        self.0.beginning = Some((self.1.listener.began(at), self.0.asked_at.ahead(before)));
    }

    fn head(&mut self, head: &RequestHead, first_byte: Timestamp) -> Asked {
        let Some((start, began)) = self.0.beginning.take() else { return Asked::Other };
        self.0.step.begin(began, self.0.answered_at);
        self.0.pass_answered(began);
        let nth = self.0.count_start(first_byte);
        let asked = Asked::by(head.method());
        self.0.open.push_back(Open {
            start,
            began,
            hole: None,
            is_answered: false,
            id: ExchangeId::new(*self.1.connection, first_byte, nth),
            asked,
            headless: head.version == Version::Http09,
            exchange: None,
            answer: Answer::Awaited,
            interim: Vec::new(),
            anomalies: AnomalySet::EMPTY,
            weight: 0,
        });
        asked
    }

    fn message(&mut self, request: Request) {
        self.0.step.note_request(request.completeness.is_complete());
        if let Some(open) = self.0.open.back_mut() {
            let weight = Open::ROOM + request.memory();
            open.weight += weight;
            self.0.held += weight;
            open.ask(*self.1.connection, request);
        }
        if self.0.open.len() > MOST_OPEN {
            self.0.given_up = true;
        }
        if self.0.given_up {
            self.0.answer_none(u32::MAX, Anomaly::OneDirection);
        }
        self.0.tell(&mut self.1);
    }

    fn wants_body(&mut self, head: &RequestHead, first_byte: Timestamp) -> bool {
        let begun = self.0.open.back().map(|open| open.begun(*self.1.connection, head.clone(), first_byte));
        begun.is_none_or(|begun| self.1.listener.wants_body(&begun))
    }

    fn last_head(&mut self) -> Option<&mut LastHead<RequestHead>> {
        Some(self.1.last_heads.request(self.1.connection))
    }

    fn abandoned(&mut self) {
        if let Some((start, _)) = self.0.beginning.take() {
            self.1.listener.finished(start, None);
        }
    }

    fn lost(&mut self, missing: u64) {
        self.0.holed |= missing > 0;
        let (place, position) = (self.0.end(), self.0.asked_at.position);
        self.0.step.lose_requests();
        if let Some(open) = self.0.open.back_mut() {
            open.hole.get_or_insert(position);
        }
        if missing > 0 && self.0.awaited() > 0 {
            self.0.guess.lose_request(place);
        }
    }
}

impl<L: Listener> Sink<ResponseHead> for Responses<'_, '_, L> {
    fn started(&mut self, _: Timestamp, before: usize) {
        self.0.answer_began = self.0.answered_at.ahead(before);
        self.0.answered.begin(self.0.answer_began.position);
    }

    fn head(&mut self, _: &ResponseHead, _: Timestamp) -> Asked {
        self.0.choose(&mut self.1);
        let Some(open) = self.0.answering() else { return Asked::Unknown };
        if open.exchange.is_none() {
            open.anomalies.insert(Anomaly::EarlyResponse);
        }
        open.asked
    }

    fn message(&mut self, response: Response) {
        if !response.head.is_final() {
            self.0.choose(&mut self.1);
            let kept = self.0.answering().map_or(0, |open| open.keep_interim(response.head.status));
            self.0.held += kept;
            return;
        }
        let pairing = &mut *self.0;
        let weight = response.memory();
        let upgraded = response.head.status == 101
            && response.head.headers.all("upgrade").any(|value| value.eq_ignore_ascii_case(b"h2c"));
        let chosen = pairing.answering.take().and_then(Answering::place);
        let Some(open) = chosen.and_then(|place| pairing.at(place)) else {
            self.1.account.orphans += 1;
            self.1.account.anomalies.count(Anomaly::OrphanResponse);
            self.1.account.anomalies.count_set(response.anomalies);
            return;
        };
        let length = response.head.raw().len() as u64 + response.body.len;
        let early = open.exchange.is_none();
        open.weight += weight;
        open.answer(response);
        pairing.next = chosen.map_or(pairing.next, |place| place + 1);
        pairing.guess.count(length);
        pairing.held += weight;
        pairing.http2 |= upgraded;
        pairing.answered_early |= early;
        pairing.answer_ended = pairing.next == pairing.end();
        pairing.tell(&mut self.1);
    }

    fn lost(&mut self, missing: u64) {
        self.0.holed |= missing > 0;
        self.0.answered.break_off();
        self.0.step.lose_responses(self.0.answered_at.position);
        let awaited = self.0.awaited();
        self.0.guess.lose_responses(missing, awaited);
    }

    fn last_head(&mut self) -> Option<&mut LastHead<ResponseHead>> {
        Some(self.1.last_heads.response(self.1.connection))
    }

    fn is_headless(&mut self) -> bool {
        self.0.at(self.0.next).is_some_and(|open| open.headless)
    }
}

impl Pairing {
    /// A pairing for what follows: of requests and responses, whether some may have gone by, and whether the capture
    /// came into the middle of the connection.
    pub(super) fn new(requests_lost: bool, responses_lost: bool, in_middle: bool) -> Self {
        let holed = requests_lost || responses_lost;
        // Most clients wait for one answer at a time.
        let open = VecDeque::with_capacity(1);
        let mut pairing = Self { open, holed, step: Step::new(in_middle), ..Self::default() };
        if requests_lost {
            pairing.step.lose_requests();
        }
        if responses_lost {
            pairing.step.lose_responses(0);
            pairing.answered = Unbroken::broken();
        }
        pairing
    }

    /// Nothing came before what was told first.
    pub(super) fn leave_middle(&mut self) {
        self.step.leave_middle();
    }

    /// Bytes of the connection are missing.
    pub(super) fn note_hole(&mut self) {
        self.holed = true;
    }

    /// Why a pair is in doubt.
    fn doubt(&self) -> Anomaly {
        match () {
            () if self.holed => Anomaly::StreamGap,
            () if self.step.is_in_middle() => Anomaly::MidConnection,
            () => Anomaly::UncertainPairing,
        }
    }

    /// Bytes of memory that the open requests and their answers hold.
    pub(super) fn held(&self) -> usize {
        self.held + self.open.capacity() * size_of::<Open>() + self.open.len() * Open::OVERHEAD
    }

    /// Whether the request that is being read was answered since this was asked last.
    #[inline]
    pub(super) fn take_answered_early(&mut self) -> bool {
        std::mem::take(&mut self.answered_early)
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

    /// The open request of a place.
    fn at(&mut self, place: u32) -> Option<&mut Open> {
        let at = place.checked_sub(self.base)?;
        self.open.get_mut(usize::try_from(at).ok()?)
    }

    /// The request that the response at hand answers.
    fn answering(&mut self) -> Option<&mut Open> {
        self.at(self.answering?.place()?)
    }

    /// How many requests before this one began at the same time.
    fn count_start(&mut self, at: Timestamp) -> u32 {
        let nth = self.last_start.filter(|&(last, _)| last == at).map_or(0, |(_, nth)| nth + 1);
        self.last_start = Some((at, nth));
        nth
    }

    /// The requests before the place `end` get no answer.
    fn answer_none(&mut self, end: u32, why: Anomaly) {
        while self.next < end {
            let Some(open) = self.at(self.next) else { break };
            open.answer = Answer::Missing;
            open.anomalies.insert(why);
            self.next += 1;
        }
    }

    /// Tells the exchanges at the front that are complete.
    fn tell<L: Listener>(&mut self, context: &mut Context<'_, L>) {
        while let Some(open) = self.open.front()
            && open.exchange.is_some()
            && !matches!(open.answer, Answer::Awaited)
        {
            let Some(open) = self.open.pop_front() else { break };
            let ordinal = self.base;
            self.base += 1;
            self.held = self.held.saturating_sub(open.weight);
            open.tell(ordinal, context);
        }
    }
}
