//! The beginning of a connection, and of what follows something unknown: which protocol its bytes are of.

use super::held::Held;
use super::http::Http;
use super::{Conversation, Stage};
use crate::exchange::Protocol;
use crate::exchange::pairing::{Context, Moment, Pairing};
use crate::exchange::protocol::{Opening, opening};
use crate::exchange::reader::Listener;
use crate::exchange::socks::{Handshake, Progress};
use crate::http::{Options, Parser, RequestHead, ResponseHead, h1};
use crate::stream::Direction;

/// More prefaces of the PROXY protocol than these, one behind the other, no chain of load balancers writes.
const MOST_PREFACES: u8 = 2;

/// So many proxies may a client reach its server through. Each handshake may come with the bytes of the next one:
/// what follows the last of them is read that deep within itself.
const MOST_HANDSHAKES: u8 = 8;

impl Conversation {
    /// First bytes: waits until they tell what is spoken.
    #[inline(never)]
    pub(super) fn open<L: Listener>(
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
            Direction::ToServer => *context.connection,
            Direction::ToClient => context.connection.reversed(),
        };
        let requests = self.parser(requesting, self.options).storing(self.store.clone());
        let responses = self.parser(requesting.reverse(), self.answers);
        let [requests_torn, responses_torn] =
            [requesting, requesting.reverse()].map(|side| self.is_torn(side));
        let pairing = Pairing::new(requests_torn, responses_torn, self.in_middle);
        Stage::Http(Box::new(Http { requesting, connection, requests, responses, pairing }))
    }

    /// A parser for a direction of which nothing was read so far: one that looks for a start line,
    /// where the first bytes need not be the beginning of a message.
    fn parser<H: h1::Head>(&self, direction: Direction, options: Options) -> Parser<H> {
        if self.is_torn(direction) { Parser::midstream(options) } else { Parser::new(options) }
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
    #[inline(never)]
    pub(super) fn shake<L: Listener>(
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

    pub(super) fn leave_handshake(&mut self, next: Stage) {
        if let Stage::Socks(handshake, _) = &self.stage {
            self.socks += handshake.len() as u64;
            self.stage = next;
        }
    }

    /// Counts bytes of something unknown, unless HTTP begins with them.
    #[inline(never)]
    pub(super) fn search<L: Listener>(
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
    pub(super) fn give_up_opening(&mut self) {
        if let Stage::Opening(held) = &mut self.stage {
            let held = std::mem::take(held);
            self.stage = Stage::Searching;
            self.to_server.bytes += held.to_server.len() as u64;
            self.to_client.bytes += held.to_client.len() as u64;
        }
    }
}
