//! Requests and the responses to them.
//!
//! [`ExchangeReader`] listens to the connections of a capture. For each it finds out what is spoken
//! ([`Protocol`]), has the two directions of an HTTP/1 connection parsed, and pairs what comes of them.
//! A [`Listener`] is told of each exchange as it completes, in order within a connection;
//! [`Sequencer`] is a listener that brings those of all connections into the order of their requests.
//! Where a mesh mirrored requests while the capture was taken, [`mirrors`] pairs the copies with their
//! originals.

mod account;
mod conversation;
mod last_heads;
pub mod mirrors;
mod pairing;
mod protocol;
mod proxy;
mod reader;
mod sequencer;
mod socks;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

pub use account::{ExchangeAccount, ProtocolAccount};
pub use protocol::Protocol;
pub use reader::{ExchangeReader, Listener, Start};
pub use sequencer::{Sequencer, SequencerLimits, Tell, Told};

use crate::anomaly::AnomalySet;
use crate::http::{Request, Response};
use crate::stream::ConnectionId;
use crate::time::Timestamp;

/// The stable name of an exchange: a digest of its connection's addresses, the capture time of the
/// request's first byte and, where one packet holds several requests, its place among them. It does
/// not depend on how the capture is cut into files nor on where reading began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub u64);

impl ExchangeId {
    /// The name of the request whose first byte was captured at `at` on `connection`, the `nth` (from
    /// 0) with that time.
    #[must_use]
    pub fn new(connection: ConnectionId, at: Timestamp, nth: u32) -> Self {
        let mut name = [0; 48];
        name[..18].copy_from_slice(&side(connection.client));
        name[18..36].copy_from_slice(&side(connection.server));
        name[36..44].copy_from_slice(&at.as_nanos().to_be_bytes());
        name[44..].copy_from_slice(&nth.to_be_bytes());
        Self(xxhash_rust::xxh3::xxh3_64(&name))
    }
}

/// Address (IPv4 as mapped into IPv6) and port.
fn side(address: SocketAddr) -> [u8; 18] {
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let mut bytes = [0; 18];
    bytes[..16].copy_from_slice(&ip.octets());
    bytes[16..].copy_from_slice(&address.port().to_be_bytes());
    bytes
}

/// Sixteen hexadecimal digits.
impl fmt::Display for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The text was not an exchange's id.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not an exchange id: sixteen hexadecimal digits, as `inspect` prints them")]
pub struct ExchangeIdError(String);

impl FromStr for ExchangeId {
    type Err = ExchangeIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16)
            .ok()
            .filter(|_| text.len() == 16)
            .map(Self)
            .ok_or_else(|| ExchangeIdError(text.to_owned()))
    }
}

impl serde::Serialize for ExchangeId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for ExchangeId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// One request and, where the capture has it, the final response to it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Its stable name.
    pub id: ExchangeId,
    /// The connection that carried it.
    pub connection: ConnectionId,
    /// Its place on that connection, from 0.
    pub ordinal: u32,
    /// What the client asked.
    pub request: Request,
    /// What the server answered; `None` where the capture has no answer.
    pub response: Option<Response>,
    /// The status codes of the interim (1xx) responses before it, in order.
    pub interim: Vec<u16>,
    /// What was odd about the pairing (the messages carry their own).
    pub anomalies: AnomalySet,
}

#[cfg(test)]
mod tests;
