//! One connection: what is spoken on it, and who is the client.
//!
//! ```text
//!           request, response
//! Opening ─────────────────────▶ Http ──▶ (tunnel)
//!    │  ├── PROXY preface ──▶ Opening         ▲
//!    │  ├── SOCKS ──▶ Socks ──▶ Opening       │
//!    │  ├── TLS, HTTP/2 ──▶ Opaque            │ a start line at the start of a packet
//!    └──┴── anything else ──▶ Searching ──────┘
//! ```

mod held;
mod http;
mod opening;

use std::sync::Arc;

use self::held::Held;
use self::http::Http;
use super::Protocol;
use super::pairing::{Context, Moment};
use super::reader::Listener;
use super::socks::Handshake;
use crate::http::{BodyStore, Options};
use crate::stream::{Chunk, ConnectionId, Direction};
use crate::time::Timestamp;
/// What the allocator adds to what it is asked for: for HTTP/1 itself, and for its open requests.
const ALLOCATOR: usize = 2 * 16;

/// What an [`ExchangeReader`](super::ExchangeReader) keeps for one connection.
pub struct Conversation {
    /// What is done with the bodies of requests.
    options: Options,
    /// The same of responses.
    answers: Options,
    /// Where request bodies go that are too large to be kept.
    store: Option<Arc<dyn BodyStore>>,
    stage: Stage,
    /// Bytes of no message and gaps, while the connection is not known to speak HTTP/1.
    to_server: Side,
    to_client: Side,
    socks: u64,
    /// Bytes of prefaces of the PROXY protocol.
    proxy: u64,
    /// How many of those, and how many SOCKS handshakes, it began with.
    prefaces: u8,
    handshakes: u8,
    /// How many bytes of each direction were told of, gaps included.
    told: [u64; 2],
    /// The capture came into its middle.
    in_middle: bool,
}

#[derive(Clone, Copy, Default)]
struct Side {
    bytes: u64,
    gap: u64,
}

enum Stage {
    /// The first bytes do not tell yet what is spoken.
    Opening(Held),
    /// A SOCKS handshake, begun by the side that sends in this direction.
    Socks(Handshake, Direction),
    /// HTTP/1.
    Http(Box<Http>),
    /// Never to be read.
    Opaque(Protocol),
    /// Something unknown, in which HTTP may begin yet.
    Searching,
}

impl Conversation {
    pub(super) fn new(
        options: Options,
        answers: Options,
        store: Option<Arc<dyn BodyStore>>,
        in_middle: bool,
    ) -> Self {
        Self {
            options,
            answers,
            store,
            stage: Stage::Opening(Held::default()),
            to_server: Side::default(),
            to_client: Side::default(),
            socks: 0,
            proxy: 0,
            prefaces: 0,
            handshakes: 0,
            told: [0; 2],
            in_middle,
        }
    }

    /// A late SYN told where both directions begin.
    #[inline]
    pub(super) fn leave_middle(&mut self) {
        if std::mem::take(&mut self.in_middle)
            && let Stage::Http(http) = &mut self.stage
        {
            http.pairing.leave_middle();
        }
    }

    /// Takes the next piece of one direction. The connection of `context` is that of the stream.
    pub(super) fn chunk<L: Listener>(
        &mut self,
        direction: Direction,
        chunk: Chunk<'_>,
        context: &mut Context<'_, L>,
    ) {
        match chunk {
            Chunk::Data { at, bytes, acked } => {
                let moment = self.pass(direction, at, bytes.len() as u64, acked);
                self.data(direction, moment, bytes, context);
            }
            Chunk::Gap { len } => {
                let moment = self.pass(direction, Timestamp::default(), len, None);
                self.gap(direction, moment, len, context);
            }
            Chunk::End(end) => {
                if let Stage::Http(http) = &mut self.stage {
                    http.end(direction, end, context);
                }
            }
        }
    }

    /// Who talks to whom, where that is HTTP/1: its requests tell who the client is.
    pub(super) fn speakers(&self) -> Option<ConnectionId> {
        match &self.stage {
            Stage::Http(http) => Some(http.connection),
            _ => None,
        }
    }

    /// Settles the account when both directions have ended.
    pub(super) fn close<L: Listener>(mut self, context: &mut Context<'_, L>) {
        self.give_up_opening();
        self.leave_handshake(Stage::Searching);
        let sides = [self.to_server, self.to_client];
        let (bytes, gap) = sides.iter().fold((0, 0), |sum, side| (sum.0 + side.bytes, sum.1 + side.gap));
        let account = &mut *context.account;
        account.socks += self.socks;
        account.socks_connections += u64::from(self.socks > 0);
        account.proxy += self.proxy;
        account.proxy_connections += u64::from(self.proxy > 0);
        let protocol = match &self.stage {
            Stage::Http(_) => Protocol::Http1,
            Stage::Opaque(protocol) => *protocol,
            Stage::Opening(_) | Stage::Socks(..) | Stage::Searching => Protocol::Unknown,
        };
        let of = account.of_mut(protocol);
        of.connections += 1;
        if let Stage::Http(http) = &mut self.stage {
            // What came before the first message that could be read.
            account.http.torn += bytes;
            account.http.gap += gap;
            http.close(context);
        } else {
            of.bytes += bytes;
            of.gap += gap;
        }
    }

    /// Bytes of memory beside the conversation itself.
    pub(super) fn memory(&self) -> usize {
        match &self.stage {
            Stage::Opening(held) => held.memory(),
            Stage::Http(http) => size_of::<Http>() + ALLOCATOR + http.memory(),
            Stage::Socks(handshake, _) => handshake.memory(),
            Stage::Opaque(_) | Stage::Searching => 0,
        }
    }

    /// Where the next `len` bytes stand. An acknowledgement of more than was told of is none that can be
    /// relied on, but for the number of a FIN.
    #[inline]
    fn pass(&mut self, direction: Direction, at: Timestamp, len: u64, acked: Option<i32>) -> Moment {
        let other = self.told[direction.reverse() as usize];
        let acked = acked.filter(|&lead| lead <= 1).and_then(|lead| other.checked_add_signed(lead.into()));
        let told = &mut self.told[direction as usize];
        let position = *told;
        *told = told.saturating_add(len);
        Moment { at, position, acked }
    }

    fn side(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }

    #[inline]
    fn data<L: Listener>(
        &mut self,
        direction: Direction,
        moment: Moment,
        bytes: &[u8],
        context: &mut Context<'_, L>,
    ) {
        match &mut self.stage {
            Stage::Http(http) => http.data(direction, moment, bytes, context),
            Stage::Opening(_) => self.open(direction, moment, bytes, context),
            Stage::Socks(..) => self.shake(direction, moment, bytes, context),
            Stage::Opaque(_) => self.side(direction).bytes += bytes.len() as u64,
            Stage::Searching => self.search(direction, moment, bytes, context),
        }
    }

    fn gap<L: Listener>(
        &mut self,
        direction: Direction,
        moment: Moment,
        len: u64,
        context: &mut Context<'_, L>,
    ) {
        if let Stage::Http(http) = &mut self.stage {
            return http.gap(direction, moment, len, context);
        }
        let side = self.side(direction);
        side.gap = side.gap.saturating_add(len);
        match &self.stage {
            // The rest of what was to tell is lost.
            Stage::Opening(held) if !held.of(direction).is_empty() => self.give_up_opening(),
            Stage::Socks(..) => self.leave_handshake(Stage::Searching),
            _ => {}
        }
    }
}
