//! Segments into bytes in order, for each direction of each connection.
//!
//! A connection table finds the connection of a segment, and its reassemblers turn segments into
//! [`Chunk`]s: data in the order of the sequence numbers (RFC 9293), gaps where bytes are proven lost,
//! and the end. It knows nothing of HTTP: an application is told of each chunk.

mod account;
mod application;
mod connection;
mod handshake;
mod held;
mod reassembler;
mod recent;
mod slots;
mod table;

pub use account::{ByteAccount, StreamAccount};
pub use application::{Application, Closing, ConnectionInfo, Roles};
pub use table::{ConnectionTable, Limits};

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr};

use crate::time::Timestamp;

/// Which way bytes flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the side that opened the connection.
    ToServer,
    /// From the side that accepted it.
    ToClient,
}

impl Direction {
    /// The other one.
    #[must_use]
    pub const fn reverse(self) -> Self {
        match self {
            Self::ToServer => Self::ToClient,
            Self::ToClient => Self::ToServer,
        }
    }
}

/// A piece of one direction of a connection, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunk<'b> {
    /// Bytes, and the time of the packet that brought them.
    Data {
        /// When the packet that carried the bytes was captured.
        at: Timestamp,
        /// The next bytes of the stream.
        bytes: &'b [u8],
        /// How far their segment acknowledged the other direction, counted from where that had been told
        /// to: negative where more was told than the sender had received. `None` where that is not known.
        acked: Option<i32>,
    },
    /// Bytes of the stream that are not in the capture and never will be.
    Gap {
        /// How many.
        len: u64,
    },
    /// Nothing follows.
    End(End),
}

/// How a direction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The sender closed it: a FIN, with all before it delivered.
    Fin,
    /// A side reset the connection.
    Reset,
    /// The capture ended, the connection was given up, or its port was used again.
    Idle,
}

/// Who talks to whom: the addresses, and which of the connections that used them in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionId {
    /// The side that opened the connection, as far as the capture shows.
    pub client: SocketAddr,
    /// The side that accepted it.
    pub server: SocketAddr,
    /// Counts the connections between these two addresses, from 1.
    pub instance: u32,
}

impl Hash for ConnectionId {
    /// In two pieces where both addresses are of IPv4: a replay looks several times for the lane of each request.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let ports = u32::from(self.client.port()) << 16 | u32::from(self.server.port());
        match (self.client.ip(), self.server.ip()) {
            (IpAddr::V4(client), IpAddr::V4(server)) => {
                state.write_u64(u64::from(client.to_bits()) << 32 | u64::from(server.to_bits()));
            }
            addresses => addresses.hash(state),
        }
        state.write_u64(u64::from(ports) << 32 | u64::from(self.instance));
    }
}

impl ConnectionId {
    /// The same connection, had the roles been guessed the other way round.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self { client: self.server, server: self.client, instance: self.instance }
    }
}

/// `client>server`, with `#n` from the second instance on.
impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}>{}", self.client, self.server)?;
        if self.instance > 1 { write!(f, "#{}", self.instance) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
