//! Traffic that is made to use memory up, packet by packet, of any length.

use std::io::{self, Write};

use shadowcap::capture::PcapWriter;
use shadowcap::packet::{LinkType, Packet};
use shadowcap::time::Timestamp;

/// What the traffic does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attack {
    /// Each packet is a SYN from another address.
    SynFlood,
    /// Each packet is a request from another address, and no connection ever ends.
    OpenConnections,
    /// The first byte of a stream never comes, and each packet is another thousand bytes behind it.
    HoleThatNeverFills,
    /// Connections send empty lines, a byte in each packet, and never anything else.
    BlanksByteByByte,
    /// An answer never comes, only interim ones (1xx), 40 in each packet.
    InterimForEver,
    /// Connections send bodies in chunks of a byte, 100 in each packet, and never end them.
    OneByteChunks,
    /// The answer announces 2^63 bytes, and each packet brings a thousand of them.
    BoundlessBody,
}

const SYN: u8 = 2;
const ACK: u8 = 16;
const SERVER: [u8; 4] = [192, 0, 2, 1];
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const CHUNKED: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\n";

/// Writes so many packets of it, and a few before them.
pub fn write(attack: Attack, count: u32, sink: &mut impl Write) -> io::Result<()> {
    let writer = PcapWriter::new(io::BufWriter::with_capacity(1 << 20, sink), LinkType::RAW);
    let mut traffic = Traffic { writer: writer.map_err(io::Error::other)?, packets: 0 };
    let thousand = [b'x'; 1000];
    let interim = b"HTTP/1.1 102 Processing\r\n\r\n".repeat(40);
    let chunks = b"1\r\na\r\n".repeat(100);
    if attack == Attack::InterimForEver {
        traffic.client(1, 1, ACK, REQUEST)?;
    }
    if attack == Attack::HoleThatNeverFills || attack == Attack::BoundlessBody {
        traffic.client(1, 0, SYN, b"")?;
    }
    if attack == Attack::BoundlessBody {
        traffic.server(1, 0, SYN | ACK, b"")?;
        traffic.client(1, 1, ACK, REQUEST)?;
        traffic.server(1, 1, ACK, ANSWER)?;
    }
    for n in 0..count {
        match attack {
            Attack::SynFlood => traffic.client(n, 0, SYN, b"")?,
            Attack::OpenConnections => traffic.client(n, 1, ACK, REQUEST)?,
            Attack::BlanksByteByByte => traffic.client(n / PACKETS_EACH, 1 + n % PACKETS_EACH, ACK, b"\n")?,
            Attack::InterimForEver => traffic.server(1, after(n, interim.len(), 1), ACK, &interim)?,
            Attack::OneByteChunks if n % PACKETS_EACH == 0 => {
                traffic.client(n / PACKETS_EACH, 1, ACK, CHUNKED)?;
            }
            Attack::OneByteChunks => {
                let seq = after(n % PACKETS_EACH - 1, chunks.len(), 1 + CHUNKED.len());
                traffic.client(n / PACKETS_EACH, seq, ACK, &chunks)?;
            }
            Attack::HoleThatNeverFills => {
                traffic.client(1, n.wrapping_mul(1000).wrapping_add(2), ACK, &thousand)?;
            }
            Attack::BoundlessBody => {
                let first = u32::try_from(1 + ANSWER.len()).unwrap_or_default();
                traffic.server(1, n.wrapping_mul(1000).wrapping_add(first), ACK, &thousand)?;
            }
        }
    }
    traffic.writer.finish().map_err(io::Error::other)?.flush()
}

/// How many packets a connection has, where an attack has many connections of many packets.
const PACKETS_EACH: u32 = 500;

/// The sequence number behind `n` pieces of a length.
fn after(n: u32, length: usize, first: usize) -> u32 {
    let number = |n: usize| u32::try_from(n).unwrap_or_default();
    n.wrapping_mul(number(length)).wrapping_add(number(first))
}

struct Traffic<W: Write> {
    writer: PcapWriter<W>,
    packets: u64,
}

impl<W: Write> Traffic<W> {
    fn client(&mut self, number: u32, seq: u32, flags: u8, payload: &[u8]) -> io::Result<()> {
        self.put([address(number), SERVER], [40_000, 80], [seq, 1], flags, payload)
    }

    fn server(&mut self, number: u32, seq: u32, flags: u8, payload: &[u8]) -> io::Result<()> {
        let ack = 1 + u32::try_from(REQUEST.len()).unwrap_or_default();
        self.put([SERVER, address(number)], [80, 40_000], [seq, ack], flags, payload)
    }

    /// RFC 791, section 3.1, and RFC 9293, section 3.1; checksums are left out, as offloading does.
    fn put(
        &mut self,
        [from, to]: [[u8; 4]; 2],
        ports: [u16; 2],
        [seq, ack]: [u32; 2],
        flags: u8,
        payload: &[u8],
    ) -> io::Result<()> {
        let length = u16::try_from(40 + payload.len()).unwrap_or(u16::MAX);
        let mut bytes = Vec::with_capacity(usize::from(length));
        bytes.extend([0x45, 0]);
        bytes.extend(length.to_be_bytes());
        bytes.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
        bytes.extend([from, to].concat());
        bytes.extend(ports.map(u16::to_be_bytes).concat());
        bytes.extend([seq.to_be_bytes(), ack.to_be_bytes()].concat());
        bytes.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        bytes.extend(payload);
        self.packets += 1;
        let at = Timestamp::from_nanos(i64::try_from(self.packets).unwrap_or(i64::MAX) * 1000);
        let (number, original_len) = (self.packets, u32::from(length));
        let packet = Packet { at, link: LinkType::RAW, number, interface: 0, original_len, data: &bytes };
        self.writer.write(&packet).map_err(io::Error::other)
    }
}

/// Another address for each number, of 16 million: those of 10.0.0.0/8.
fn address(number: u32) -> [u8; 4] {
    let [_, a, b, c] = number.to_be_bytes();
    [10, a, b, c]
}
