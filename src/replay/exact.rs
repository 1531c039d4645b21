//! The exact client. It sends the bytes that it is given and nothing else, and reads the answer with the
//! parser that read the captured one.
//!
//! **Never twice.** A request is tried again on a new connection only if the kernel accepted not one
//! byte of it, which happens when v2 has closed a kept-alive connection in the meantime. In all other
//! cases what went wrong is the request's outcome. Under TLS the bytes that count are those of the
//! records, not those that the TLS layer was handed: see [`Stream::accepted`].

use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::yield_now;
use tokio::time::Instant;

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
    /// The runtime polls before it goes on with a task that yields, since it has one thread.
    polls_between: bool,
    /// When the runtime has looked at all its sockets since the last byte came over this one.
    pub(super) settled: Option<Instant>,
}

/// For so long what the runtime has learned of its sockets counts: as long as one turn of its loop may take.
const TURN: Duration = Duration::from_millis(1);

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
        let now = Instant::now();
        if let Some(kept) = slot
            && kept.reader.outstanding() == 0
            && kept.is_silent(now)
        {
            match self.talk(kept, request, (now, due, None), stop).await {
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
            Ok(stream) => slot.insert(Connection::new(stream, self.limits.keep)),
            Err(Unconnected { failure, detail }) => return not_sent(failure, detail, due),
        };
        let times = (Instant::now(), due, connecting);
        let (outcome, reusable) = match self.talk(fresh, request, times, stop).await {
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
        (now, due, connecting): (Instant, Timestamp, Option<Timestamp>),
        stop: &mut StopSignal,
    ) -> Ending {
        let mut dialogue = Dialogue::new(connection, request, self.clock, &self.endpoint, connecting);
        dialogue.run((now, due), self.limits, stop).await
    }
}

impl Connection {
    fn new(stream: Stream, keep: BodyKeep) -> Self {
        let options = Options { keep, hash: false };
        let polls_between = Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread;
        Self { stream, reader: ResponseReader::new(options), alarm: None, polls_between, settled: None }
    }

    /// Lets the runtime look at all its sockets, once for all tasks that wait for it, so that the kernel need not be
    /// asked about each of them whether v2 has closed it.
    ///
    /// The order matters: an answer is read, then the runtime asks the kernel what has happened on any socket, then the
    /// next request is sent. So a close that came with the answer or behind it is known, as it would be by asking just
    /// before sending, but for what comes within the turn of the runtime's loop. That is as what comes while a request
    /// is on its way: it was sent, and is never sent again.
    ///
    /// Says when that was, where it had to be done.
    pub(super) async fn settle(&mut self) -> Option<Instant> {
        if !self.polls_between || self.settled.is_some() {
            return None;
        }
        yield_now().await;
        self.settled = Some(Instant::now());
        self.settled
    }

    /// Whether v2 has neither closed the connection nor said anything unasked. What the runtime takes for news may be
    /// none, where an answer ended with its buffer.
    fn is_silent(&mut self, now: Instant) -> bool {
        let is_fresh = self.settled.is_some_and(|at| now.saturating_duration_since(at) < TURN);
        (is_fresh && self.stream.has_no_news()) || self.stream.is_silent()
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

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};

    use super::super::stream::Socket;
    use super::*;

    /// A connection as it is when an answer on it was read, and the server's end.
    async fn connected() -> (Connection, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let ours = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (peer, _) = listener.accept().unwrap();
        (Connection::new(Stream::Plain(Socket::tcp(ours, None)), BodyKeep::Nothing), peer)
    }

    #[tokio::test]
    async fn what_came_before_a_connection_is_settled_is_known_without_asking_the_kernel() {
        // On loopback a call that ends a direction has reached the other socket when it returns.
        for quiet in [true, false] {
            let (mut connection, peer) = connected().await;
            if !quiet {
                peer.shutdown(Shutdown::Write).unwrap();
            }
            connection.settle().await;
            assert_eq!(connection.stream.has_no_news(), quiet);
            assert_eq!(connection.is_silent(Instant::now()), quiet);
        }
    }
}
