//! A request of a connection until its exchange is told.

use super::{Context, MOST_INTERIM, Moment};
use crate::anomaly::{Anomaly, AnomalySet};
use crate::exchange::reader::{Listener, Start};
use crate::exchange::{Exchange, ExchangeId};
use crate::http::{Asked, Request, Response};

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
    pub(super) request: Option<Request>,
    pub(super) answer: Answer,
    pub(super) interim: Vec<u16>,
    pub(super) anomalies: AnomalySet,
}

pub(super) enum Answer {
    Awaited,
    Here(Box<Response>),
    Missing,
}

impl Open {
    pub(super) fn is_whole(&self) -> bool {
        self.request.as_ref().is_some_and(|request| request.completeness.is_complete())
    }

    /// Notes the status code of an interim response; says whether there was room for it.
    pub(super) fn keep_interim(&mut self, status: u16) -> bool {
        let room = self.interim.len() < MOST_INTERIM;
        if room {
            self.interim.push(status);
        } else {
            self.anomalies.insert(Anomaly::InterimLeftOut);
        }
        room
    }

    pub(super) fn weight(&self) -> usize {
        let request = self.request.as_ref().map_or(0, Request::memory) + size_of_val(self.interim.as_slice());
        match &self.answer {
            Answer::Here(response) => request + response.memory(),
            Answer::Awaited | Answer::Missing => request,
        }
    }

    pub(super) fn tell<L: Listener>(self, ordinal: u32, context: &mut Context<'_, L>) {
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
