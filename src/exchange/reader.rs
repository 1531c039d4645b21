//! The listener of all connections.

use std::sync::Arc;

use super::conversation::Conversation;
use super::last_heads::LastHeads;
use super::pairing::Context;
use super::{Exchange, ExchangeAccount};
use crate::http::{BodyStore, Options};
use crate::stream::{Application, Chunk, Closing, ConnectionId, ConnectionInfo, Direction};
use crate::time::Timestamp;

/// The place of a request among all of a capture: by the time of its first byte and, of those with
/// one time, in the order in which they were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Start {
    /// When the first byte was captured.
    pub at: Timestamp,
    /// Counts the requests that a listener was told of.
    pub number: u64,
}

/// Who is told of exchanges.
pub trait Listener {
    /// A request began. The answer is handed back with [`Listener::finished`].
    fn began(&mut self, at: Timestamp) -> Start;

    /// What began is complete, with its response or without; `None` if it turned out to be no request.
    fn finished(&mut self, start: Start, exchange: Option<Box<Exchange>>);

    /// Whether the body of a request is wanted that is too large to be kept. Of the exchange there is the request's
    /// head alone.
    fn wants_body(&mut self, begun: &Exchange) -> bool {
        let _ = begun;
        true
    }

    /// A connection has closed, in this way where the capture shows it: no exchange of it follows.
    fn closed(&mut self, connection: ConnectionId, closing: Option<Closing>) {
        let _ = (connection, closing);
    }
}

/// Told as they complete.
impl<F: FnMut(Exchange)> Listener for F {
    fn began(&mut self, at: Timestamp) -> Start {
        Start { at, number: 0 }
    }

    fn finished(&mut self, _: Start, exchange: Option<Box<Exchange>>) {
        if let Some(exchange) = exchange {
            self(*exchange);
        }
    }
}

/// Reads the exchanges of all connections of a capture.
pub struct ExchangeReader<L> {
    options: Options,
    answers: Options,
    store: Option<Arc<dyn BodyStore>>,
    listener: L,
    account: ExchangeAccount,
    last_heads: Box<LastHeads>,
}

impl<L: Listener> ExchangeReader<L> {
    /// A reader that treats bodies as `options` say and tells `listener`.
    pub fn new(options: Options, listener: L) -> Self {
        let (account, last_heads) = (ExchangeAccount::default(), Box::default());
        Self { options, answers: options, store: None, listener, account, last_heads }
    }

    /// The same, which treats the bodies of responses otherwise.
    #[must_use]
    pub fn with_answers(self, answers: Options) -> Self {
        Self { answers, ..self }
    }

    /// The same, with a place for the bodies of requests that are too large to be kept.
    #[must_use]
    pub fn storing(self, store: Option<Arc<dyn BodyStore>>) -> Self {
        Self { store, ..self }
    }

    /// What became of all bytes of the connections that have closed.
    #[must_use]
    pub fn account(&self) -> &ExchangeAccount {
        &self.account
    }

    /// The listener.
    #[must_use]
    pub fn listener(&self) -> &L {
        &self.listener
    }

    /// The listener, to be changed.
    pub fn listener_mut(&mut self) -> &mut L {
        &mut self.listener
    }

    /// Begins again with no account, for another reading.
    pub fn restart(&mut self) {
        self.account = ExchangeAccount::default();
    }

    fn context<'a>(&'a mut self, connection: &'a ConnectionInfo) -> Context<'a, L> {
        Context {
            connection: &connection.id,
            listener: &mut self.listener,
            account: &mut self.account,
            last_heads: &mut self.last_heads,
        }
    }

    /// The listener and the account, when all is read.
    #[must_use]
    pub fn into_parts(self) -> (L, ExchangeAccount) {
        (self.listener, self.account)
    }
}

impl<L: Listener> Application for ExchangeReader<L> {
    type State = Conversation;

    fn open(&mut self, connection: &ConnectionInfo) -> Conversation {
        Conversation::new(self.options, self.answers, self.store.clone(), !connection.from_start)
    }

    fn chunk(
        &mut self,
        connection: &ConnectionInfo,
        state: &mut Conversation,
        direction: Direction,
        chunk: Chunk<'_>,
    ) {
        if connection.from_start {
            state.leave_middle();
        }
        state.chunk(direction, chunk, &mut self.context(connection));
    }

    fn close(&mut self, connection: &ConnectionInfo, state: Conversation) {
        // The one that opened the connection may have been taken for its client and be none.
        let id = state.speakers().unwrap_or(connection.id);
        let closing = connection.closing.map(|closing| {
            let by_client = closing.reset_by_client && id == connection.id;
            Closing { reset_by_client: by_client, ..closing }
        });
        state.close(&mut self.context(connection));
        self.listener.closed(id, closing);
    }

    fn memory(&self, state: &Conversation) -> usize {
        state.memory()
    }
}
