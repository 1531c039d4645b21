//! A connection that speaks HTTP/1: both directions parsed, and paired.

use crate::exchange::Protocol;
use crate::exchange::pairing::{Context, Moment, Pairing, Requests, Responses, Stand};
use crate::exchange::reader::Listener;
use crate::http::{Close, Parser, RequestHead, ResponseHead, Sink, h1};
use crate::stream::{ConnectionId, Direction, End};

/// HTTP/1 on a connection.
pub(super) struct Http {
    /// The direction of the requests.
    pub(super) requesting: Direction,
    pub(super) connection: ConnectionId,
    pub(super) requests: Parser<RequestHead>,
    pub(super) responses: Parser<ResponseHead>,
    pub(super) pairing: Pairing,
}

impl Http {
    pub(super) fn data<L: Listener>(
        &mut self,
        direction: Direction,
        moment: Moment,
        bytes: &[u8],
        context: &mut Context<'_, L>,
    ) {
        let mut context = context.of(&self.connection);
        if direction == self.requesting {
            feed(&mut self.requests, moment, bytes, &mut Requests(&mut self.pairing, context));
        } else {
            feed(&mut self.responses, moment, bytes, &mut Responses(&mut self.pairing, context.again()));
            if self.pairing.take_answered_early() {
                self.requests.refuse_body();
            }
            if self.responses.is_tunnel() && !self.requests.is_tunnel() {
                self.requests.tunnel(&mut Requests(&mut self.pairing, context));
            }
        }
    }

    pub(super) fn gap<L: Listener>(
        &mut self,
        direction: Direction,
        moment: Moment,
        len: u64,
        context: &mut Context<'_, L>,
    ) {
        let context = context.of(&self.connection);
        self.pairing.note_hole();
        if direction == self.requesting {
            miss(&mut self.requests, moment, len, &mut Requests(&mut self.pairing, context));
        } else {
            miss(&mut self.responses, moment, len, &mut Responses(&mut self.pairing, context));
        }
    }

    pub(super) fn end<L: Listener>(&mut self, direction: Direction, end: End, context: &mut Context<'_, L>) {
        let close = match end {
            End::Fin => Close::Finished,
            End::Reset => Close::Reset,
            End::Idle => Close::Unknown,
        };
        let context = context.of(&self.connection);
        if direction == self.requesting {
            self.requests.end(close, &mut Requests(&mut self.pairing, context));
        } else {
            self.responses.end(close, &mut Responses(&mut self.pairing, context));
        }
    }

    pub(super) fn close<L: Listener>(&mut self, context: &mut Context<'_, L>) {
        // Ends were told of; a parser that was not would keep an unfinished message to itself.
        self.end(Direction::ToServer, End::Idle, context);
        self.end(Direction::ToClient, End::Idle, context);
        let mut context = context.of(&self.connection);
        self.pairing.close(&mut context);
        context.account.http.merge(&self.requests.account());
        context.account.http.merge(&self.responses.account());
        let mut left = self.requests.leftover();
        left.extend(self.responses.leftover());
        context.account.anomalies.count_set(left);
        if self.pairing.upgraded_to_http2() {
            let tunnel = self.requests.account().tunnel + self.responses.account().tunnel;
            context.account.http.tunnel -= tunnel;
            let http2 = context.account.of_mut(Protocol::Http2);
            http2.connections += 1;
            http2.bytes += tunnel;
        }
    }

    pub(super) fn memory(&self) -> usize {
        self.requests.memory() + self.responses.memory() + self.pairing.held()
    }
}

/// Reads bytes message by message, so that each is known to begin where it does.
#[inline]
fn feed<H: h1::Head, S: Stand + Sink<H>>(parser: &mut Parser<H>, moment: Moment, bytes: &[u8], sink: &mut S) {
    sink.stand(moment);
    parser.seek(moment.at, bytes, sink);
    let mut used = 0;
    while let Some(rest) = bytes.get(used..).filter(|rest| !rest.is_empty()) {
        used += parser.read(moment.at, rest, sink);
        sink.stand(moment.behind(used));
    }
}

/// Passes over a hole message by message: what of it is behind the end of one is of none.
fn miss<H: h1::Head, S: Stand + Sink<H>>(parser: &mut Parser<H>, moment: Moment, len: u64, sink: &mut S) {
    sink.stand(moment);
    let (mut at, mut left) = (moment, len);
    while left > 0 {
        let skipped = parser.skip(left, sink);
        left -= skipped;
        at.position = at.position.saturating_add(skipped);
        sink.stand(at);
    }
}
