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

use std::sync::Arc;

use super::Protocol;
use super::pairing::{Context, Moment, Pairing, Requests, Responses, Stand};
use super::protocol::{Opening, opening};
use super::reader::Listener;
use super::socks::{Handshake, Progress};
use crate::http::{BodyStore, Close, Options, Parser, RequestHead, ResponseHead, Sink, h1};
use crate::stream::{Chunk, ConnectionId, Direction, End};
use crate::time::Timestamp;

/// What an [`ExchangeReader`](super::ExchangeReader) keeps for one connection.
pub struct Conversation {
    options: Options,
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

/// More prefaces of the PROXY protocol than these, one behind the other, no chain of load balancers writes.
const MOST_PREFACES: u8 = 2;

/// So many proxies may a client reach its server through. Each handshake may come with the bytes of the next one:
/// what follows the last of them is read that deep within itself.
const MOST_HANDSHAKES: u8 = 8;

/// First bytes, until they tell what is spoken.
#[derive(Default)]
struct Held {
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    /// In which order they came, and how many of them when.
    pieces: Vec<(Direction, Moment, usize)>,
}

struct Http {
    /// The direction of the requests.
    requesting: Direction,
    connection: ConnectionId,
    requests: Parser<RequestHead>,
    responses: Parser<ResponseHead>,
    pairing: Pairing,
}

impl Conversation {
    pub(super) fn new(options: Options, store: Option<Arc<dyn BodyStore>>, in_middle: bool) -> Self {
        Self {
            options,
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
            Stage::Http(http) => size_of::<Http>() + http.memory(),
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

    /// First bytes: waits until they tell what is spoken.
    fn open<L: Listener>(
        &mut self,
        direction: Direction,
        moment: Moment,
        bytes: &[u8],
        context: &mut Context<'_, L>,
    ) {
        let Stage::Opening(held) = &mut self.stage else { return };
        let fresh = held.pieces.is_empty();
        if !fresh {
            held.keep(direction, moment, bytes);
        }
        let mut told = opening(if fresh { bytes } else { held.of(direction) });
        if fresh && matches!(told, Opening::Perhaps | Opening::Proxy(_)) {
            held.keep(direction, moment, bytes);
        }
        // One after the other and in place: a packet may hold thousands of them.
        while let Opening::Proxy(length) = told {
            if self.prefaces == MOST_PREFACES {
                told = Opening::Other(Protocol::Unknown);
                break;
            }
            self.prefaces += 1;
            self.proxy += length as u64;
            held.drop_front(direction, length);
            told = opening(held.of(direction));
        }
        let next = match told {
            Opening::Perhaps | Opening::Proxy(_) => return,
            Opening::Socks(_) if self.handshakes == MOST_HANDSHAKES => Stage::Searching,
            Opening::Socks(version) => Stage::Socks(Handshake::new(version), direction),
            Opening::Request => self.http(direction, context),
            Opening::Response => self.http(direction.reverse(), context),
            Opening::Other(protocol @ (Protocol::Http2 | Protocol::Tls)) => Stage::Opaque(protocol),
            Opening::Other(Protocol::Http1 | Protocol::Unknown) => Stage::Searching,
        };
        self.handshakes += u8::from(matches!(next, Stage::Socks(..)));
        match std::mem::replace(&mut self.stage, next) {
            Stage::Opening(held) if !held.pieces.is_empty() => {
                held.each(|direction, moment, bytes| self.data(direction, moment, bytes, context));
            }
            _ => self.data(direction, moment, bytes, context),
        }
    }

    /// HTTP/1, with requests in the direction `requesting`.
    fn http<L: Listener>(&self, requesting: Direction, context: &Context<'_, L>) -> Stage {
        let connection = match requesting {
            Direction::ToServer => context.connection,
            Direction::ToClient => context.connection.reversed(),
        };
        let requests = self.parser(requesting).storing(self.store.clone());
        let responses = self.parser(requesting.reverse());
        let [requests_torn, responses_torn] =
            [requesting, requesting.reverse()].map(|side| self.is_torn(side));
        let pairing = Pairing::new(requests_torn, responses_torn, self.in_middle);
        Stage::Http(Box::new(Http { requesting, connection, requests, responses, pairing }))
    }

    /// A parser for a direction of which nothing was read so far: one that looks for a start line,
    /// where the first bytes need not be the beginning of a message.
    fn parser<H: h1::Head>(&self, direction: Direction) -> Parser<H> {
        if self.is_torn(direction) { Parser::midstream(self.options) } else { Parser::new(self.options) }
    }

    /// Whether bytes of a direction went by that belong to no message.
    fn is_torn(&self, direction: Direction) -> bool {
        let side = match direction {
            Direction::ToServer => self.to_server,
            Direction::ToClient => self.to_client,
        };
        side.bytes > 0 || side.gap > 0
    }

    /// Bytes of a SOCKS handshake, and what follows it.
    fn shake<L: Listener>(
        &mut self,
        direction: Direction,
        moment: Moment,
        bytes: &[u8],
        context: &mut Context<'_, L>,
    ) {
        let Stage::Socks(handshake, client) = &mut self.stage else { return };
        let client = *client;
        match handshake.push(direction == client, bytes) {
            Progress::Going => {}
            Progress::Broken => self.leave_handshake(Stage::Searching),
            Progress::Over(from_client, from_server) => {
                let (more_client, more_server) = handshake.rest(from_client, from_server);
                self.leave_handshake(Stage::Opening(Held::default()));
                self.socks -= (more_client.len() + more_server.len()) as u64;
                for (direction, rest) in [(client, more_client), (client.reverse(), more_server)] {
                    if !rest.is_empty() {
                        let position = self.told[direction as usize].saturating_sub(rest.len() as u64);
                        let moment = Moment { at: moment.at, position, acked: None };
                        self.data(direction, moment, &rest, context);
                    }
                }
            }
        }
    }

    fn leave_handshake(&mut self, next: Stage) {
        if let Stage::Socks(handshake, _) = &self.stage {
            self.socks += handshake.len() as u64;
            self.stage = next;
        }
    }

    /// Counts bytes of something unknown, unless HTTP begins with them.
    fn search<L: Listener>(
        &mut self,
        direction: Direction,
        moment: Moment,
        bytes: &[u8],
        context: &mut Context<'_, L>,
    ) {
        let requesting = match () {
            () if h1::begins_surely::<RequestHead>(bytes) => direction,
            () if h1::begins_surely::<ResponseHead>(bytes) => direction.reverse(),
            () => return self.side(direction).bytes += bytes.len() as u64,
        };
        self.stage = self.http(requesting, context);
        self.data(direction, moment, bytes, context);
    }

    /// What was held while the first bytes did not tell is of something unknown.
    fn give_up_opening(&mut self) {
        if let Stage::Opening(held) = &mut self.stage {
            let held = std::mem::take(held);
            self.stage = Stage::Searching;
            self.to_server.bytes += held.to_server.len() as u64;
            self.to_client.bytes += held.to_client.len() as u64;
        }
    }
}

impl Held {
    fn of(&self, direction: Direction) -> &[u8] {
        match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        }
    }

    fn keep(&mut self, direction: Direction, moment: Moment, bytes: &[u8]) {
        self.pieces.push((direction, moment, bytes.len()));
        match direction {
            Direction::ToServer => self.to_server.extend_from_slice(bytes),
            Direction::ToClient => self.to_client.extend_from_slice(bytes),
        }
    }

    /// Takes the first `length` bytes of a direction away.
    fn drop_front(&mut self, direction: Direction, length: usize) {
        let side = match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        };
        let mut left = length.min(side.len());
        side.drain(..left);
        for (_, moment, len) in self.pieces.iter_mut().filter(|(sender, ..)| *sender == direction) {
            let dropped = left.min(*len);
            *moment = moment.behind(dropped);
            *len -= dropped;
            left -= dropped;
        }
        self.pieces.retain(|&(.., len)| len > 0);
    }

    /// Bytes of memory.
    fn memory(&self) -> usize {
        let pieces = self.pieces.capacity() * size_of::<(Direction, Moment, usize)>();
        self.to_server.capacity() + self.to_client.capacity() + pieces
    }

    /// Hands out the pieces in the order in which they came.
    fn each(&self, mut take: impl FnMut(Direction, Moment, &[u8])) {
        let (mut to_server, mut to_client) = (self.to_server.as_slice(), self.to_client.as_slice());
        for &(direction, moment, len) in &self.pieces {
            let side = match direction {
                Direction::ToServer => &mut to_server,
                Direction::ToClient => &mut to_client,
            };
            let (piece, rest) = side.split_at_checked(len).unwrap_or((side, &[]));
            *side = rest;
            take(direction, moment, piece);
        }
    }
}

impl Http {
    fn data<L: Listener>(
        &mut self,
        direction: Direction,
        moment: Moment,
        bytes: &[u8],
        context: &mut Context<'_, L>,
    ) {
        let mut context = context.of(self.connection);
        if direction == self.requesting {
            feed(&mut self.requests, moment, bytes, &mut Requests(&mut self.pairing, context));
        } else {
            feed(&mut self.responses, moment, bytes, &mut Responses(&mut self.pairing, context.again()));
            if self.pairing.take_answered_early() {
                self.requests.refuse_body();
            }
            if self.responses.is_tunnel() && !self.requests.is_tunnel() {
                self.requests.tunnel(&mut Requests(&mut self.pairing, context));
            }
        }
    }

    fn gap<L: Listener>(
        &mut self,
        direction: Direction,
        moment: Moment,
        len: u64,
        context: &mut Context<'_, L>,
    ) {
        let context = context.of(self.connection);
        self.pairing.note_hole();
        if direction == self.requesting {
            miss(&mut self.requests, moment, len, &mut Requests(&mut self.pairing, context));
        } else {
            miss(&mut self.responses, moment, len, &mut Responses(&mut self.pairing, context));
        }
    }

    fn end<L: Listener>(&mut self, direction: Direction, end: End, context: &mut Context<'_, L>) {
        let close = match end {
            End::Fin => Close::Finished,
            End::Reset => Close::Reset,
            End::Idle => Close::Unknown,
        };
        let context = context.of(self.connection);
        if direction == self.requesting {
            self.requests.end(close, &mut Requests(&mut self.pairing, context));
        } else {
            self.responses.end(close, &mut Responses(&mut self.pairing, context));
        }
    }

    fn close<L: Listener>(&mut self, context: &mut Context<'_, L>) {
        // Ends were told of; a parser that was not would keep an unfinished message to itself.
        self.end(Direction::ToServer, End::Idle, context);
        self.end(Direction::ToClient, End::Idle, context);
        let mut context = context.of(self.connection);
        self.pairing.close(&mut context);
        context.account.http.merge(&self.requests.account());
        context.account.http.merge(&self.responses.account());
        let mut left = self.requests.leftover();
        left.extend(self.responses.leftover());
        context.account.anomalies.count_set(left);
        if self.pairing.upgraded_to_http2() {
            let tunnel = self.requests.account().tunnel + self.responses.account().tunnel;
            context.account.http.tunnel -= tunnel;
            let http2 = context.account.of_mut(Protocol::Http2);
            http2.connections += 1;
            http2.bytes += tunnel;
        }
    }

    fn memory(&self) -> usize {
        self.requests.memory() + self.responses.memory() + self.pairing.held()
    }
}

/// Reads bytes message by message, so that each is known to begin where it does.
#[inline]
fn feed<H: h1::Head, S: Stand + Sink<H>>(parser: &mut Parser<H>, moment: Moment, bytes: &[u8], sink: &mut S) {
    sink.stand(moment);
    parser.seek(moment.at, bytes, sink);
    let mut used = 0;
    while let Some(rest) = bytes.get(used..).filter(|rest| !rest.is_empty()) {
        used += parser.read(moment.at, rest, sink);
        sink.stand(moment.behind(used));
    }
}

/// Passes over a hole message by message: what of it is behind the end of one is of none.
fn miss<H: h1::Head, S: Stand + Sink<H>>(parser: &mut Parser<H>, moment: Moment, len: u64, sink: &mut S) {
    sink.stand(moment);
    let (mut at, mut left) = (moment, len);
    while left > 0 {
        let skipped = parser.skip(left, sink);
        left -= skipped;
        at.position = at.position.saturating_add(skipped);
        sink.stand(at);
    }
}
