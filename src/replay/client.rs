//! The exact client: the only socket of a replay. It sends the bytes that it is given and nothing else,
//! and reads the answer with the parser that read the captured one.
//!
//! **Never twice.** A request is tried again on a new connection only if the kernel accepted not one
//! byte of it, which happens when v2 has closed a kept-alive connection in the meantime. In all other
//! cases what went wrong is the request's outcome.

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::clock::Clock;
use super::dialogue::{Dialogue, Ending};
use super::outcome::{Failure, Outcome, SkipReason, Timing};
use super::plan::ShadowRequest;
use super::stop::{Stop, StopSignal};
use crate::http::{BodyKeep, Options, ResponseReader};
use crate::time::Timestamp;

/// How long, and how much, the client waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For a connection to be made.
    pub connect: Duration,
    /// From the first byte sent to the last byte of the answer.
    pub answer: Duration,
    /// The largest body of an answer that is kept, in entity bytes; larger ones are counted and hashed.
    pub max_body: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), answer: Duration::from_secs(30), max_body: 16 << 20 }
    }
}

/// Sends requests to one address.
#[derive(Clone, Debug)]
pub struct Client {
    address: SocketAddr,
    limits: Limits,
    clock: Clock,
}

/// A connection to v2 that is between two exchanges.
pub struct Connection {
    pub(super) stream: TcpStream,
    pub(super) reader: ResponseReader,
}

impl Client {
    /// A client for `address`.
    #[must_use]
    pub fn new(address: SocketAddr, limits: Limits, clock: Clock) -> Self {
        Self { address, limits, clock }
    }

    /// The clock that its times come from.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Whether a connection can be made, which is closed at once.
    ///
    /// # Errors
    /// What went wrong, for a person.
    pub async fn reach(&self) -> Result<(), String> {
        match self.connect(self.clock.now()).await {
            Ok(_) => Ok(()),
            Err(Outcome::Failed { detail, .. }) => Err(detail),
            Err(other) => Err(format!("{other:?}")),
        }
    }

    /// Sends one request and waits for what becomes of it.
    ///
    /// It goes over the connection in `slot` if there is one and v2 has not closed it, else over a new
    /// one. Afterwards `slot` holds the connection if it can be used again.
    pub async fn send(
        &self,
        slot: &mut Option<Connection>,
        request: &ShadowRequest,
        due: Timestamp,
        stop: &mut StopSignal,
    ) -> Outcome {
        if let Some(mut kept) = slot.take().filter(Connection::is_silent) {
            match self.talk(&mut kept, request, due, stop).await {
                Ending::NothingAccepted(_) => {}
                Ending::Outcome { outcome, reusable } => {
                    *slot = reusable.then_some(kept);
                    return outcome;
                }
            }
        }
        let connected = tokio::select! {
            biased;
            connected = self.connect(due) => connected,
            // Nothing was sent, and nothing will be.
            () = stop.reached(Stop::Now) => Err(Outcome::Skipped(SkipReason::Interrupted)),
        };
        let mut fresh = match connected {
            Ok(connection) => connection,
            Err(outcome) => return outcome,
        };
        match self.talk(&mut fresh, request, due, stop).await {
            Ending::NothingAccepted(error) => self.failed(
                Failure::Send,
                format!("the new connection to {} took no byte: {error}", self.address),
                due,
            ),
            Ending::Outcome { outcome, reusable } => {
                *slot = reusable.then_some(fresh);
                outcome
            }
        }
    }

    async fn talk(
        &self,
        connection: &mut Connection,
        request: &ShadowRequest,
        due: Timestamp,
        stop: &mut StopSignal,
    ) -> Ending {
        Dialogue::new(connection, request, self.clock, self.address).run(due, self.limits.answer, stop).await
    }

    async fn connect(&self, due: Timestamp) -> Result<Connection, Outcome> {
        match timeout(self.limits.connect, TcpStream::connect(self.address)).await {
            Ok(Ok(stream)) => Ok(Connection::new(stream, self.limits.max_body)),
            Ok(Err(error)) => {
                let detail = format!("cannot connect to {}: {error}", self.address);
                Err(self.failed(Failure::Connect, detail, due))
            }
            Err(_) => {
                let detail = format!("no connection to {} within {:?}", self.address, self.limits.connect);
                Err(self.failed(Failure::ConnectTimeout, detail, due))
            }
        }
    }

    #[allow(clippy::unused_self, reason = "reads as a sentence beside its callers")]
    fn failed(&self, failure: Failure, detail: String, due: Timestamp) -> Outcome {
        let timing = Timing { due, sent: None, first_byte: None, last_byte: None };
        Outcome::Failed { failure, detail, partial: None, timing }
    }
}

impl Connection {
    fn new(stream: TcpStream, max_body: usize) -> Self {
        // Without it, a body that is written after its head waits for an acknowledgement. A socket that
        // refuses the option is merely slower.
        stream.set_nodelay(true).ok();
        Self { stream, reader: ResponseReader::new(Options { keep: BodyKeep::UpTo(max_body), hash: false }) }
    }

    /// Waits until v2 closes the connection or says something unasked. After that it will not be used
    /// again.
    pub async fn disturbed(&self) {
        self.stream.readable().await.ok();
    }

    /// Whether v2 has neither closed the connection nor said anything unasked, such as the 408 that
    /// some servers send before they close. Asks the kernel, since the runtime learns of a close only
    /// when it polls next.
    fn is_silent(&self) -> bool {
        let mut byte = [MaybeUninit::uninit(); 1];
        let peeked = socket2::SockRef::from(&self.stream).peek(&mut byte);
        matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}
