//! Captures of any size for the benchmarks, the same on every machine.
//!
//! A block of about a megabyte of whole connections is made once, by [`Conversation`]. It is then written as
//! often as the size demands, each time with other client addresses and later times, and the checksums made
//! right for them: what is written is a capture like any other, at the speed of copying memory.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use shadowcap::capture::synth::{Conversation, Frame};
use shadowcap::capture::{ByteOrder, PcapWriter, Precision};
use shadowcap::packet::LinkType;
use shadowcap::time::Timestamp;

/// What the traffic looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Requests and answers of 500 bytes, a connection after the other, each of a hundred exchanges.
    Messages,
    /// The same on connections of ten exchanges.
    Short,
    /// Requests of 500 bytes and answers of 20 KB.
    Answers,
    /// Requests of 500 bytes and answers of 1 MB.
    Bodies,
    /// Messages of 500 bytes on 64 connections at once, a packet of each in turn.
    Interleaved,
    /// The same on 128 connections, for what a replay holds.
    Crowded,
    /// Messages of 500 bytes on 128 connections that last as long as the capture does: the load that wrk makes.
    Steady,
}

impl Shape {
    /// Those whose reading is measured.
    pub const ALL: [Self; 5] = [Self::Messages, Self::Short, Self::Answers, Self::Bodies, Self::Interleaved];

    /// Its name on the command line and in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Short => "short",
            Self::Answers => "answers",
            Self::Bodies => "bodies",
            Self::Interleaved => "interleaved",
            Self::Crowded => "crowded",
            Self::Steady => "steady",
        }
    }

    /// Connections at once, exchanges on each, and bytes of an answer.
    const fn measures(self) -> (u16, usize, usize) {
        match self {
            Self::Messages => (1, 100, 500),
            Self::Short => (1, 10, 500),
            Self::Answers => (1, 50, 20_000),
            Self::Bodies => (1, 4, 1_000_000),
            Self::Interleaved => (64, 20, 500),
            Self::Crowded => (128, 20, 500),
            Self::Steady => (128, 2400, 500),
        }
    }
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::name).join(", ");
        let shape =
            Self::ALL.into_iter().chain([Self::Crowded, Self::Steady]).find(|shape| shape.name() == name);
        shape.ok_or_else(|| format!("no such traffic: {name} (known: {})", known()))
    }
}

/// What a capture holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The size of the file.
    pub bytes: u64,
    /// Its packets.
    pub packets: u64,
    /// Its exchanges, each of them whole.
    pub exchanges: u64,
}

/// Writes a capture of at least `size` bytes and at most a few megabytes more.
pub fn write(shape: Shape, size: u64, sink: &mut impl Write) -> io::Result<Written> {
    let mut block = Block::new(shape)?;
    sink.write_all(&block.file_header)?;
    let mut written = Written { bytes: block.file_header.len() as u64, ..Written::default() };
    while written.bytes < size {
        sink.write_all(block.next())?;
        written.bytes += block.records.len() as u64;
        written.packets += block.places.len() as u64;
        written.exchanges += block.exchanges;
    }
    sink.flush()?;
    Ok(written)
}

/// A number of bytes, with `K`, `M` or `G` for its thousands, millions and milliards.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.as_bytes() {
        [digits @ .., b'K' | b'k'] => (digits.len(), 1_000),
        [digits @ .., b'M'] => (digits.len(), 1_000_000),
        [digits @ .., b'G'] => (digits.len(), 1_000_000_000),
        _ => (text.len(), 1),
    };
    let number: Option<u64> = text[..digits].parse().ok();
    number.and_then(|n| n.checked_mul(unit)).ok_or_else(|| format!("not a size: {text} (for example 500M)"))
}

/// How large a block is at least.
const BLOCK: usize = 1 << 20;
const REQUEST: usize = 500;
const RECORD_HEADER: usize = 16;
const ETHERNET: usize = 14;
const IPV4: usize = 20;

/// Where a record lies in the block, and who sent its packet.
#[derive(Clone, Copy)]
struct Place {
    record: usize,
    from_client: bool,
    micros: u64,
}

/// Whole connections from one client address.
struct Block {
    file_header: Vec<u8>,
    /// As in the file, of the time and the client that were written last.
    records: Vec<u8>,
    places: Vec<Place>,
    exchanges: u64,
    micros: u64,
    start: u64,
    client: u32,
}

impl Block {
    fn new(shape: Shape) -> io::Result<Self> {
        let (abreast, exchanges, answer) = shape.measures();
        let start = Timestamp::from_parts(1_700_000_000, 0);
        let client = Ipv4Addr::new(10, 0, 0, 0);
        let mut block = Self {
            file_header: Vec::new(),
            records: Vec::new(),
            places: Vec::new(),
            exchanges: 0,
            micros: 0,
            start: 1_700_000_000_000_000,
            client: u32::from(client),
        };
        block.file_header = writer(Vec::new())?.finish()?;
        let mut port = 10_000;
        while block.records.len() < BLOCK {
            let talks = (port..port + abreast).map(|port| {
                let client = SocketAddr::new(IpAddr::V4(client), port);
                conversation(client, exchanges, answer)
            });
            let mut talks: Vec<_> = talks.map(Vec::into_iter).collect();
            while block.add_one_of_each(&mut talks, start)? {}
            port += abreast;
            block.exchanges += u64::from(abreast) * exchanges as u64;
        }
        Ok(block)
    }

    fn add_one_of_each(
        &mut self,
        talks: &mut [std::vec::IntoIter<Frame>],
        at: Timestamp,
    ) -> io::Result<bool> {
        let before = self.places.len();
        for mut frame in talks.iter_mut().filter_map(Iterator::next) {
            frame.at = at + Duration::from_micros(self.micros);
            let mut one = writer(Vec::new())?;
            one.write(&frame.packet(1))?;
            let record = self.records.len();
            self.records.extend(&one.finish()?[self.file_header.len()..]);
            let source = record + RECORD_HEADER + ETHERNET + 12;
            let from_client = self.records[source] == 10;
            self.places.push(Place { record, from_client, micros: self.micros });
            self.micros += 10;
        }
        Ok(self.places.len() > before)
    }

    /// The records for the next client.
    fn next(&mut self) -> &[u8] {
        let from = self.client;
        self.client += 1;
        for place in &self.places {
            let now = self.start + place.micros;
            let record = &mut self.records[place.record..];
            let seconds = u32::try_from(now / 1_000_000).unwrap();
            let micros = u32::try_from(now % 1_000_000).unwrap();
            record[..4].copy_from_slice(&seconds.to_le_bytes());
            record[4..8].copy_from_slice(&micros.to_le_bytes());
            let ip = &mut record[RECORD_HEADER + ETHERNET..];
            let address = if place.from_client { 12 } else { 16 };
            ip[address..address + 4].copy_from_slice(&self.client.to_be_bytes());
            for checksum in [10, IPV4 + 16] {
                adjust(&mut ip[checksum..checksum + 2], from, self.client);
            }
        }
        self.start += self.micros;
        &self.records
    }
}

/// Makes an Internet checksum right after one address took the place of another (RFC 1624, section 3).
fn adjust(checksum: &mut [u8], from: u32, to: u32) {
    let halves = |address: u32| (address >> 16) + (address & 0xffff);
    let old = u32::from(!u16::from_be_bytes([checksum[0], checksum[1]]));
    let mut sum = old + (!(from >> 16) & 0xffff) + (!from & 0xffff) + halves(to);
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    checksum.copy_from_slice(&(!u16::try_from(sum).unwrap()).to_be_bytes());
}

/// A file as `tcpdump` writes it by default.
fn writer(sink: Vec<u8>) -> io::Result<PcapWriter<Vec<u8>>> {
    PcapWriter::with_form(sink, LinkType::ETHERNET, Precision::Micros, ByteOrder::Little)
}

/// A connection with its handshake, its exchanges and its end.
fn conversation(client: SocketAddr, exchanges: usize, answer: usize) -> Vec<Frame> {
    let server = SocketAddr::from(([192, 0, 2, 80], 80));
    let mut talk = Conversation::new(client, server, Timestamp::from_nanos(0));
    talk.open();
    for n in 0..exchanges {
        let target = format!("/api/v1/items/{}/{n:04}?fields=name,price,stock&lang=en", client.port());
        talk.client_sends(&message(
            &format!(
                "GET {target} HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n\
                 Accept: application/json\r\nAccept-Encoding: gzip, deflate, br\r\nCookie: session="
            ),
            "\r\n\r\n",
            REQUEST,
        ));
        // A head of this length leaves the whole at what was asked for.
        let head = |length: usize| {
            format!(
                "HTTP/1.1 200 OK\r\nServer: nginx/1.26.0\r\nDate: Tue, 14 Nov 2023 22:13:20 GMT\r\n\
                 Content-Type: application/json; charset=utf-8\r\nCache-Control: no-cache\r\n\
                 X-Request-Id: 7f4c{n:08x}\r\nContent-Length: {length:>7}\r\n\r\n"
            )
        };
        let length = answer - head(0).len();
        talk.server_sends(&message(&head(length), "", answer));
    }
    talk.close();
    talk.take_frames()
}

/// `start`, letters, `end`: `length` bytes in all.
pub fn message(start: &str, end: &str, length: usize) -> Vec<u8> {
    let mut bytes = start.as_bytes().to_vec();
    // A linear congruential generator (Numerical Recipes): text that looks like nothing, and is always the same.
    let mut state = 1_u32;
    while bytes.len() + end.len() < length {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        bytes.push(b"abcdefghijklmnopqrstuvwxyz012345"[(state >> 27) as usize]);
    }
    bytes.extend(end.as_bytes());
    bytes
}
