//! The clients of a replay: the only sockets that it has towards v2.
//!
//! The exact one sends the bytes that it is given and nothing else. The other is reqwest, for a v2 that is
//! reachable only through a proxy, or that speaks HTTP/2: it sends the same request, in its own words.

use std::fmt;
use std::time::Duration;

use super::clock::Clock;
use super::endpoint::Endpoint;
pub use super::exact::Connection;
use super::exact::Exact;
use super::outcome::{Failure, Outcome, Timing};
use super::plan::ShadowRequest;
use super::reqwest_client::ReqwestClient;
use super::stop::StopSignal;
use crate::http::BodyKeep;
use crate::time::Timestamp;

/// How long, and how much, the client waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For a connection to be made, a TLS handshake included.
    pub connect: Duration,
    /// From the last byte sent to the first byte of an answer; `None` where only the whole is limited.
    pub first_byte: Option<Duration>,
    /// From the first byte sent to the last byte of the answer.
    pub answer: Duration,
    /// Which bodies of answers are kept; larger ones are counted and hashed.
    pub keep: BodyKeep,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: None,
            answer: Duration::from_secs(30),
            keep: BodyKeep::UpTo(16 << 20),
        }
    }
}

/// Which client sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientKind {
    /// shadowcap's own, which sends what was captured byte for byte.
    #[default]
    Exact,
    /// reqwest, which sends it in its own words.
    Reqwest,
}

impl ClientKind {
    /// The name on the command line and in recordings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Reqwest => "reqwest",
        }
    }
}

impl fmt::Display for ClientKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Sends requests to one destination.
#[derive(Clone, Debug)]
pub struct Client {
    way: Way,
    clock: Clock,
}

#[derive(Clone, Debug)]
enum Way {
    Exact(Exact),
    Reqwest(ReqwestClient),
}

impl Client {
    /// The exact client for an endpoint.
    #[must_use]
    pub fn new(endpoint: impl Into<Endpoint>, limits: Limits, clock: Clock) -> Self {
        Self { way: Way::Exact(Exact::new(endpoint.into(), limits, clock)), clock }
    }

    /// One that sends by reqwest.
    #[must_use]
    pub fn with_reqwest(client: ReqwestClient, clock: Clock) -> Self {
        Self { way: Way::Reqwest(client), clock }
    }

    /// Which client it is.
    #[must_use]
    pub fn kind(&self) -> ClientKind {
        match self.way {
            Way::Exact(_) => ClientKind::Exact,
            Way::Reqwest(_) => ClientKind::Reqwest,
        }
    }

    /// The clock that its times come from.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Makes a connection and closes it at once; `None` where the client keeps its connections to itself,
    /// so that only a request can tell.
    ///
    /// # Errors
    /// What went wrong, for a person.
    pub async fn reach(&self) -> Option<Result<(), String>> {
        match &self.way {
            Way::Exact(client) => Some(client.reach().await),
            Way::Reqwest(_) => None,
        }
    }

    /// Sends one request and waits for what becomes of it.
    ///
    /// The exact client sends it over the connection in `slot` if there is one and v2 has not closed it,
    /// else over a new one. Afterwards `slot` holds the connection if it can be used again. reqwest keeps
    /// its connections itself, and leaves the slot empty.
    pub async fn send(
        &self,
        slot: &mut Option<Connection>,
        request: &ShadowRequest,
        due: Timestamp,
        stop: &mut StopSignal,
    ) -> Outcome {
        match &self.way {
            Way::Exact(client) => client.send(slot, request, due, stop).await,
            Way::Reqwest(client) => client.send(request, due, stop, self.clock).await,
        }
    }
}

/// A request of which no byte left.
pub(super) fn not_sent(failure: Failure, detail: String, due: Timestamp) -> Outcome {
    let timing = Timing { due, ..Timing::default() };
    Outcome::Failed { failure, detail, partial: None, timing }
}
