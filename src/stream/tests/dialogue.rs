//! Dialogues as packets, and a listener that writes down what it is told.

use std::net::SocketAddr;
use std::time::Duration;

use crate::stream::{
    Application, Chunk, ConnectionId, ConnectionInfo, ConnectionTable, Direction, End, Limits, StreamAccount,
};
use crate::time::Timestamp;
use crate::wire::{Flags, Segment, SeqNumber};

pub(super) const CLIENT: ([u8; 4], u16) = ([10, 0, 0, 1], 40000);
pub(super) const SERVER: ([u8; 4], u16) = ([10, 0, 0, 2], 80);

/// A packet that owns its bytes.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) at: u64,
    pub(super) direction: Direction,
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) flags: Flags,
    pub(super) payload: Vec<u8>,
    pub(super) cut: u32,
}

impl Sent {
    pub(super) fn segment(&self) -> Segment<'_> {
        let (client, server) = (SocketAddr::from(CLIENT), SocketAddr::from(SERVER));
        let (source, destination) = match self.direction {
            Direction::ToServer => (client, server),
            Direction::ToClient => (server, client),
        };
        Segment {
            at: Timestamp::from_nanos(0) + Duration::from_micros(self.at),
            packet: 0,
            source,
            destination,
            seq: SeqNumber(self.seq),
            ack: SeqNumber(self.ack),
            flags: self.flags,
            window: 65535,
            payload: &self.payload,
            cut: self.cut,
        }
    }
}

/// What was told of one direction of one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Data with its position; gaps leave positions out.
    pub(super) data: Vec<(u64, Vec<u8>)>,
    /// Gaps as (position, length).
    pub(super) gaps: Vec<(u64, u64)>,
    pub(super) position: u64,
    pub(super) ends: Vec<End>,
}

impl Told {
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.data.iter().flat_map(|(_, bytes)| bytes.clone()).collect()
    }
}

/// A connection that was closed, and all that was told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) info: ConnectionInfo,
    pub(super) to_server: Told,
    pub(super) to_client: Told,
    /// Both directions in the order of telling: `>text`, `<text`, `>~7` for a gap, `>.` for an end.
    pub(super) script: Vec<String>,
    /// When the data was captured, and what it acknowledged.
    pub(super) moments: Vec<(Timestamp, Option<i32>)>,
}

/// Writes everything down.
#[derive(Debug, Default)]
pub(super) struct Scribe {
    pub(super) closed: Vec<Heard>,
    pub(super) opened: usize,
}

impl Application for Scribe {
    type State = Heard;

    fn open(&mut self, info: &ConnectionInfo) -> Heard {
        self.opened += 1;
        let (script, moments) = (Vec::new(), Vec::new());
        Heard { info: *info, to_server: Told::default(), to_client: Told::default(), script, moments }
    }

    fn chunk(&mut self, info: &ConnectionInfo, heard: &mut Heard, direction: Direction, chunk: Chunk<'_>) {
        assert_eq!(info.id, heard.info.id);
        let (told, mark) = match direction {
            Direction::ToServer => (&mut heard.to_server, '>'),
            Direction::ToClient => (&mut heard.to_client, '<'),
        };
        assert!(told.ends.is_empty(), "{chunk:?} after the end");
        match chunk {
            Chunk::Data { at, bytes, acked } => {
                assert!(!bytes.is_empty());
                heard.moments.push((at, acked));
                told.data.push((told.position, bytes.to_vec()));
                told.position += bytes.len() as u64;
                heard.script.push(format!("{mark}{}", String::from_utf8_lossy(bytes)));
            }
            Chunk::Gap { len } => {
                assert!(len > 0);
                told.gaps.push((told.position, len));
                told.position += len;
                heard.script.push(format!("{mark}~{len}"));
            }
            Chunk::End(end) => {
                told.ends.push(end);
                heard.script.push(format!("{mark}.{end:?}"));
            }
        }
    }

    fn close(&mut self, info: &ConnectionInfo, mut heard: Heard) {
        heard.info = *info;
        assert_eq!((heard.to_server.ends.len(), heard.to_client.ends.len()), (1, 1));
        self.closed.push(heard);
    }
}

/// Puts packets through a table to the end of the capture.
pub(super) fn listen(packets: &[Sent]) -> (Scribe, StreamAccount) {
    let (scribe, table) = listen_until(packets, ConnectionTable::push);
    let account = table.account().clone();
    for bytes in [account.to_server, account.to_client] {
        assert_eq!(bytes.payload, bytes.balance(), "{bytes:?}");
        assert_eq!(bytes.held, 0);
    }
    assert_eq!(account.total().payload, packets.iter().map(|p| p.payload.len() as u64).sum::<u64>());
    (scribe, account)
}

/// The same, all packets by the way that most of them do not take.
pub(super) fn listen_thoroughly(packets: &[Sent]) -> (Scribe, StreamAccount) {
    let (scribe, table) = listen_until(packets, ConnectionTable::push_thoroughly);
    (scribe, table.account().clone())
}

fn listen_until(
    packets: &[Sent],
    push: impl Fn(&mut ConnectionTable<Scribe>, &Segment<'_>, &mut Scribe),
) -> (Scribe, ConnectionTable<Scribe>) {
    let mut scribe = Scribe::default();
    let mut table = ConnectionTable::new(Limits::default());
    for packet in packets {
        push(&mut table, &packet.segment(), &mut scribe);
    }
    table.finish(&mut scribe);
    assert_eq!(scribe.opened, scribe.closed.len());
    assert_eq!(table.memory(), 0);
    (scribe, table)
}

/// A dialogue being written: it knows what each side has sent.
#[derive(Debug)]
pub(super) struct Dialogue {
    pub(super) packets: Vec<Sent>,
    next: [u32; 2],
    now: u64,
    /// Microseconds between packets.
    pub(super) pace: u64,
}

impl Dialogue {
    /// A dialogue whose sides start at the given initial sequence numbers, before the handshake.
    pub(super) fn new(client_isn: u32, server_isn: u32) -> Self {
        Self { packets: Vec::new(), next: [client_isn, server_isn], now: 1_000_000, pace: 50 }
    }

    /// A dialogue after its handshake, which is in the capture.
    pub(super) fn begun() -> Self {
        let mut dialogue = Self::new(1000, 5000);
        dialogue.handshake();
        dialogue
    }

    pub(super) fn handshake(&mut self) -> &mut Self {
        use Direction::{ToClient, ToServer};
        self.send(ToServer, Flags::SYN, b"");
        self.send(ToClient, Flags::SYN | Flags::ACK, b"");
        self.send(ToServer, Flags::ACK, b"")
    }

    /// Sends the next bytes of a side.
    pub(super) fn send(&mut self, direction: Direction, flags: Flags, payload: &[u8]) -> &mut Self {
        let seq = self.next[direction as usize];
        let ack = if flags.contains(Flags::ACK) { self.next[direction.reverse() as usize] } else { 0 };
        let numbers = u32::from(flags.contains(Flags::SYN)) + u32::from(flags.contains(Flags::FIN));
        self.next[direction as usize] = seq.wrapping_add(payload.len() as u32).wrapping_add(numbers);
        self.put(direction, seq, ack, flags, payload)
    }

    pub(super) fn ask(&mut self, text: &str) -> &mut Self {
        self.send(Direction::ToServer, Flags::ACK, text.as_bytes())
    }

    pub(super) fn answer(&mut self, text: &str) -> &mut Self {
        self.send(Direction::ToClient, Flags::ACK, text.as_bytes())
    }

    pub(super) fn close(&mut self) -> &mut Self {
        use Direction::{ToClient, ToServer};
        self.send(ToServer, Flags::ACK | Flags::FIN, b"");
        self.send(ToClient, Flags::ACK | Flags::FIN, b"");
        self.send(ToServer, Flags::ACK, b"")
    }

    /// A packet with numbers of its own.
    pub(super) fn put(
        &mut self,
        direction: Direction,
        seq: u32,
        ack: u32,
        flags: Flags,
        payload: &[u8],
    ) -> &mut Self {
        self.now += self.pace;
        self.packets.push(Sent {
            at: self.now,
            direction,
            seq,
            ack,
            flags,
            payload: payload.to_vec(),
            cut: 0,
        });
        self
    }

    /// The next number of a side.
    pub(super) fn next(&self, direction: Direction) -> u32 {
        self.next[direction as usize]
    }

    /// The capture does not have the latest packet.
    pub(super) fn lose(&mut self) -> &mut Self {
        self.packets.pop();
        self
    }

    /// The latest packet was captured `n` packets earlier.
    pub(super) fn hasten(&mut self, n: usize) -> &mut Self {
        let latest = self.packets.len() - 1;
        self.packets[latest - n..].rotate_right(1);
        self
    }

    /// Nothing happens for so many milliseconds.
    pub(super) fn pause(&mut self, ms: u64) -> &mut Self {
        self.now += ms * 1000;
        self
    }

    /// The scripts of all connections, in the order of their closing.
    pub(super) fn heard(&self) -> Vec<String> {
        listen(&self.packets).0.closed.iter().map(|heard| heard.script.join(" ")).collect()
    }

    pub(super) fn account(&self) -> StreamAccount {
        listen(&self.packets).1
    }

    pub(super) fn ids(&self) -> Vec<ConnectionId> {
        listen(&self.packets).0.closed.iter().map(|heard| heard.info.id).collect()
    }
}
