//! The exact client. It sends the bytes that it is given and nothing else, and reads the answer with the
//! parser that read the captured one.
//!
//! **Never twice.** A request is tried again on a new connection only if the kernel accepted not one
//! byte of it, which happens when v2 has closed a kept-alive connection in the meantime. In all other
//! cases what went wrong is the request's outcome. Under TLS the bytes that count are those of the
//! records, not those that the TLS layer was handed: see [`Stream::accepted`].

use super::alarm::Alarm;
use super::client::{Limits, not_sent};
use super::clock::Clock;
use super::dialogue::{Dialogue, Ending};
use super::endpoint::{Endpoint, Unconnected};
use super::outcome::{Failure, Outcome, SkipReason};
use super::plan::ShadowRequest;
use super::stop::{Stop, StopSignal};
use super::stream::Stream;
use crate::http::{BodyKeep, Options, ResponseReader};
use crate::time::Timestamp;

/// Sends requests to one endpoint.
#[derive(Clone, Debug)]
pub(super) struct Exact {
    endpoint: Endpoint,
    limits: Limits,
    clock: Clock,
}

/// A connection to v2 that is between two exchanges.
pub struct Connection {
    pub(super) stream: Stream,
    pub(super) reader: ResponseReader,
    /// Limits the time of its exchanges; made for the first of them.
    pub(super) alarm: Option<Alarm>,
}

impl Exact {
    pub(super) fn new(endpoint: Endpoint, limits: Limits, clock: Clock) -> Self {
        Self { endpoint, limits, clock }
    }

    /// Makes a connection and closes it.
    pub(super) async fn reach(&self) -> Result<(), String> {
        let connected = self.endpoint.connect(self.limits.connect).await;
        connected.map(drop).map_err(|Unconnected { detail, .. }| detail)
    }

    pub(super) async fn send(
        &self,
        slot: &mut Option<Connection>,
        request: &ShadowRequest,
        due: Timestamp,
        stop: &mut StopSignal,
    ) -> Outcome {
        // It stays where it is: a connection is too large to be moved for each request. One that still owes an
        // answer was left within an exchange.
        if let Some(kept) = slot
            && kept.reader.outstanding() == 0
            && kept.stream.is_silent()
        {
            match self.talk(kept, request, (due, None), stop).await {
                Ending::NothingAccepted(_) => {}
                Ending::Outcome { outcome, reusable } => {
                    if !reusable {
                        *slot = None;
                    }
                    return outcome;
                }
            }
        }
        *slot = None;
        let connecting = Some(self.clock.now());
        let connected = tokio::select! {
            biased;
            connected = self.endpoint.connect(self.limits.connect) => connected,
            // Nothing was sent, and nothing will be.
            () = stop.reached(Stop::Now) => return Outcome::Skipped(SkipReason::Interrupted),
        };
        let fresh = match connected {
            Ok(stream) => slot.insert(Connection::new(stream, self.limits.max_body)),
            Err(Unconnected { failure, detail }) => return not_sent(failure, detail, due),
        };
        let (outcome, reusable) = match self.talk(fresh, request, (due, connecting), stop).await {
            Ending::Outcome { outcome, reusable } => (outcome, reusable),
            Ending::NothingAccepted(error) => {
                let detail = format!("the new connection to {} took no byte: {error}", self.endpoint);
                (not_sent(Failure::Send, detail, due), false)
            }
        };
        if !reusable {
            *slot = None;
        }
        outcome
    }

    async fn talk(
        &self,
        connection: &mut Connection,
        request: &ShadowRequest,
        (due, connecting): (Timestamp, Option<Timestamp>),
        stop: &mut StopSignal,
    ) -> Ending {
        let mut dialogue = Dialogue::new(connection, request, self.clock, &self.endpoint, connecting);
        dialogue.run(due, self.limits, stop).await
    }
}

impl Connection {
    fn new(stream: Stream, max_body: usize) -> Self {
        let options = Options { keep: BodyKeep::UpTo(max_body), hash: false };
        Self { stream, reader: ResponseReader::new(options), alarm: None }
    }

    /// Breaks the connection off: v2 gets a reset.
    pub fn reset(self) {
        self.stream.reset();
    }

    /// Waits until v2 closes the connection or says something unasked. After that it will not be used
    /// again.
    pub async fn disturbed(&self) {
        self.stream.readable().await;
    }
}
