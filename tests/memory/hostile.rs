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
    /// The answer announces 2^63 bytes, and each packet brings a thousand of them.
    BoundlessBody,
}

const SYN: u8 = 2;
const ACK: u8 = 16;
const SERVER: [u8; 4] = [192, 0, 2, 1];
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\n";

/// Writes so many packets of it, and a few before them.
pub fn write(attack: Attack, count: u32, sink: &mut impl Write) -> io::Result<()> {
    let writer = PcapWriter::new(io::BufWriter::with_capacity(1 << 20, sink), LinkType::RAW);
    let mut traffic = Traffic { writer: writer.map_err(io::Error::other)?, packets: 0 };
    let thousand = [b'x'; 1000];
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
