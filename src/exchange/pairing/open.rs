//! A request of a connection until its exchange is told.

use super::{Context, MOST_INTERIM, Moment};
use crate::anomaly::{Anomaly, AnomalySet};
use crate::exchange::reader::{Listener, Start};
use crate::exchange::sequencer::PLACE;
use crate::exchange::{Exchange, ExchangeId};
use crate::http::{Asked, Body, Completeness, Framing, Request, RequestHead, Response};
use crate::stream::ConnectionId;
use crate::time::Timestamp;

/// A request that waits for its answer, or for its own end.
pub(super) struct Open {
    pub(super) start: Start,
    /// Where it began.
    pub(super) began: Moment,
    /// Where the first hole behind it is, before another request begins.
    pub(super) hole: Option<u64>,
    /// Its answer has begun.
    pub(super) is_answered: bool,
    pub(super) id: ExchangeId,
    pub(super) asked: Asked,
    pub(super) headless: bool,
    /// It, with its answer where that came; nothing as long as it is being read.
    pub(super) exchange: Option<Box<Exchange>>,
    pub(super) answer: Answer,
    pub(super) interim: Vec<u16>,
    pub(super) anomalies: AnomalySet,
    /// Bytes of memory that its messages take.
    pub(super) weight: usize,
}

pub(super) enum Answer {
    Awaited,
    /// It is in the exchange.
    Here,
    /// It was complete before its request.
    Early(Box<Response>),
    Missing,
}

impl Open {
    /// What an exchange takes beside its request; room for a response is in it from the beginning.
    pub(super) const ROOM: usize = size_of::<Exchange>() - size_of::<Request>();

    /// What it takes beside itself and its messages: a place in the order of all requests, and what the allocator adds
    /// to an exchange and to a head.
    pub(super) const OVERHEAD: usize = 2 * PLACE + 2 * 16;

    pub(super) fn is_whole(&self) -> bool {
        self.exchange.as_ref().is_some_and(|exchange| exchange.request.completeness.is_complete())
    }

    /// The exchange as far as it is known by the head of its request.
    pub(super) fn begun(
        &self,
        connection: ConnectionId,
        head: RequestHead,
        first_byte: Timestamp,
    ) -> Exchange {
        let request = Request {
            head,
            body: Body::counted(Framing::None, 0),
            first_byte,
            last_byte: first_byte,
            completeness: Completeness::Complete,
            anomalies: AnomalySet::EMPTY,
        };
        let (interim, anomalies) = (Vec::new(), AnomalySet::EMPTY);
        Exchange { id: self.id, connection, ordinal: 0, request, response: None, interim, anomalies }
    }

    /// The request was read.
    pub(super) fn ask(&mut self, connection: ConnectionId, request: Request) {
        let response = match std::mem::replace(&mut self.answer, Answer::Here) {
            Answer::Early(response) => Some(*response),
            other => {
                self.answer = other;
                None
            }
        };
        let (id, anomalies) = (self.id, AnomalySet::EMPTY);
        let exchange =
            Exchange { id, connection, ordinal: 0, request, response, interim: Vec::new(), anomalies };
        self.exchange = Some(Box::new(exchange));
    }

    /// Its final response was read.
    pub(super) fn answer(&mut self, response: Response) {
        self.answer = match &mut self.exchange {
            Some(exchange) => {
                exchange.response = Some(response);
                Answer::Here
            }
            None => Answer::Early(Box::new(response)),
        };
    }

    /// Notes the status code of an interim response; says how many bytes of memory that takes: none where there was no
    /// room for it.
    pub(super) fn keep_interim(&mut self, status: u16) -> usize {
        if self.interim.len() >= MOST_INTERIM {
            self.anomalies.insert(Anomaly::InterimLeftOut);
            return 0;
        }
        self.interim.push(status);
        self.weight += size_of_val(&status);
        size_of_val(&status)
    }

    pub(super) fn tell<L: Listener>(self, ordinal: u32, context: &mut Context<'_, L>) {
        let Self { start, exchange, interim, anomalies, .. } = self;
        let exchange = exchange.map(|mut exchange| {
            (exchange.ordinal, exchange.interim, exchange.anomalies) = (ordinal, interim, anomalies);
            exchange
        });
        if let Some(exchange) = &exchange {
            context.account.exchanges += 1;
            context.account.unanswered += u64::from(exchange.response.is_none());
        }
        context.listener.finished(start, exchange);
    }
}
