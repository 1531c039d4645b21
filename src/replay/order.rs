//! Which requests wait for each other's answers.

use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

use crate::stream::ConnectionId;

/// What a request waits for, besides its due time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The answer to the request before it on its captured connection.
    #[default]
    Connection,
    /// The answer to the request before it of its client's address, on whatever connection.
    Client,
    /// Nothing: it leaves when it is due, on a connection of its own.
    None,
}

/// The text names no order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an order: write connection, client or none")]
pub struct OrderError(String);

impl FromStr for Order {
    type Err = OrderError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "connection" => Ok(Self::Connection),
            "client" => Ok(Self::Client),
            "none" => Ok(Self::None),
            _ => Err(OrderError(text.to_owned())),
        }
    }
}

/// Says which requests share a lane, in which one waits for the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lanewise {
    order: Order,
    /// Lanes that were given to a request each.
    single: u32,
}

impl Lanewise {
    pub(super) const fn new(order: Order) -> Self {
        Self { order, single: 0 }
    }

    /// The lane of the next request of that captured connection.
    pub(super) fn lane(&mut self, connection: ConnectionId) -> ConnectionId {
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        match self.order {
            Order::Connection => connection,
            Order::Client => ConnectionId {
                client: SocketAddr::new(connection.client.ip(), 0),
                server: nowhere,
                instance: 0,
            },
            Order::None => {
                self.single = self.single.wrapping_add(1);
                ConnectionId { client: nowhere, server: nowhere, instance: self.single }
            }
        }
    }

    /// Whether a lane gets one request and no other.
    pub(super) fn is_single(self) -> bool {
        self.order == Order::None
    }

    /// The lane that ends with a captured connection, where one does.
    pub(super) fn ended(self, connection: ConnectionId) -> Option<ConnectionId> {
        (self.order == Order::Connection).then_some(connection)
    }
}
