//! Who listens to a connection's bytes.

use super::{Chunk, ConnectionId, Direction};
use crate::anomaly::AnomalySet;
use crate::time::Timestamp;

/// How it is known which side opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Roles {
    /// The handshake is in the capture.
    Certain,
    /// It is not: ports and the first bytes decided. An application that reads the bytes may find that
    /// it was the other way round ([`ConnectionId::reversed`]).
    Guessed,
}

/// What is known about a connection while it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// Who talks to whom.
    pub id: ConnectionId,
    /// How sure the roles in `id` are.
    pub roles: Roles,
    /// Whether the handshake, so far as it was captured, tells where both directions begin: then nothing went by
    /// before what is told first.
    pub from_start: bool,
    /// When its first segment was captured.
    pub opened: Timestamp,
    /// What was odd about it so far.
    pub anomalies: AnomalySet,
    /// How it ended; `None` while it is open, and where the capture does not show its end.
    pub closing: Option<Closing>,
}

/// How a connection ended, as the capture saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closing {
    /// When: the last segment of both sides' closing, or the reset.
    pub at: Timestamp,
    /// Whether the client reset it, in place of closing it (RFC 9293, section 3.5.2).
    pub reset_by_client: bool,
}

/// A reader of streams: it is told of each chunk of each connection that carries payload.
///
/// For a connection the calls come as `open`, any number of `chunk`s, `close`. Each direction ends with
/// exactly one [`Chunk::End`] before `close`, also when nothing was captured of it.
///
/// The two directions come in causal order: a sender's bytes are handed on when all that their segment
/// acknowledges of the other direction has been handed on or declared a gap. So a request is told of
/// before the response to it, even where the capture saw them the other way round.
pub trait Application {
    /// What the application keeps for one connection. It is made at the first payload, so that a
    /// connection that never carries any costs almost nothing.
    type State;

    /// A connection is about to carry its first payload.
    fn open(&mut self, connection: &ConnectionInfo) -> Self::State;

    /// The next piece of one direction.
    fn chunk(
        &mut self,
        connection: &ConnectionInfo,
        state: &mut Self::State,
        direction: Direction,
        chunk: Chunk<'_>,
    );

    /// Both directions have ended; nothing more comes of this connection.
    fn close(&mut self, connection: &ConnectionInfo, state: Self::State);

    /// How many bytes of memory the state holds beside itself, for the table's budget. Asked after every
    /// segment that moved the stream, so it must be cheap.
    fn memory(&self, state: &Self::State) -> usize {
        let _ = state;
        0
    }
}
