//! What is fuzzed, as functions of any bytes: `make fuzz` runs them under libFuzzer, `tests/fuzz.rs` with the
//! committed corpus and its mutations.

use shadowcap::capture::{CaptureFile, PacketSource};
use shadowcap::packet::{LinkType, Packet};
use shadowcap::pipeline::{Reading, ReadingOptions};
use shadowcap::time::Timestamp;
use shadowcap::wire::{Decoded, Decoder};

/// A compressed capture may hold packets without end.
const MOST_PACKETS: u64 = 100_000;

/// The readers of capture files: what they lend is theirs, and is counted.
pub fn capture_file(bytes: &[u8]) {
    let Ok(mut file) = CaptureFile::new("fuzzed", bytes) else { return };
    let (mut packets, mut captured) = (0, 0);
    while packets < MOST_PACKETS {
        match file.next_packet() {
            Ok(Some(packet)) => {
                packets += 1;
                captured += packet.data.len() as u64;
                assert_eq!(packet.number, packets);
            }
            Ok(None) | Err(_) => break,
        }
    }
    let stats = file.stats();
    assert_eq!((stats.packets, stats.bytes), (packets, captured));
    assert!(stats.first <= stats.last);
}

/// The link layers, tunnels and fragments: two bytes of link type, then packets, each behind its length in two
/// bytes. A segment's payload is never more than what was captured, fragments put together aside.
pub fn wire_decode(bytes: &[u8]) {
    let Some((link, mut rest)) = bytes.split_first_chunk() else { return };
    let link = LinkType(u16::from_le_bytes(*link));
    let mut decoder = Decoder::new();
    let mut number = 0;
    while let Some((length, after)) = rest.split_first_chunk() {
        let (data, after) = after.split_at(usize::from(u16::from_le_bytes(*length)).min(after.len()));
        rest = after;
        number += 1;
        let packet = packet(link, number, data);
        if let Decoded::Segment(segment) = decoder.decode(&packet) {
            assert!(u16::try_from(segment.payload.len()).is_ok());
        }
    }
}

/// Everything from packets to exchanges, on a dialogue that the bytes direct: every account must balance. Gives
/// the number of exchanges.
pub fn reading(bytes: &[u8]) -> u64 {
    read(frames(bytes))
}

/// The same on one connection whose streams are the bytes as they are: three of them direct each segment, who sends
/// (bit 0), whether it is lost (bit 1) or ends the stream (bit 2), and its length; the segment follows.
pub fn streams(bytes: &[u8]) -> u64 {
    let mut next = [1000_u32, 2000];
    let mut frames = vec![frame(0, 0, 999, 0, 0x02, b""), frame(0, 1, 1999, 1000, 0x12, b"")];
    let mut rest = bytes;
    while let Some((&[how, low, high], after)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes([low, high])).min(after.len()).min(65_000);
        let (payload, after) = after.split_at(length);
        rest = after;
        let direction = usize::from(how & 1);
        let flags = if how & 4 == 0 { 0x10 } else { 0x11 };
        if how & 2 == 0 {
            frames.push(frame(0, direction, next[direction], next[1 - direction], flags, payload));
        }
        next[direction] = next[direction].wrapping_add(u32::try_from(length).unwrap_or_default());
    }
    read(frames)
}

fn read(frames: Vec<Vec<u8>>) -> u64 {
    let count = frames.len() as u64;
    let mut told = 0;
    let mut reading = Reading::new(Frames(frames, 0), ReadingOptions::default(), |_| told += 1);
    while matches!(reading.step(), Ok(true)) {}
    reading.finish();
    let account = reading.account();
    drop(reading);
    assert_eq!(account.imbalances(), Vec::<String>::new());
    assert_eq!(account.packets.total(), count);
    assert_eq!(account.exchanges.exchanges, told);
    told
}

fn packet(link: LinkType, number: u64, data: &[u8]) -> Packet<'_> {
    let at = Timestamp::from_nanos(i64::try_from(number).unwrap_or_default() * 1_000_000);
    let original_len = u32::try_from(data.len()).unwrap_or(u32::MAX);
    Packet { at, link, number, interface: 0, original_len, data }
}

struct Frames(Vec<Vec<u8>>, usize);

impl PacketSource for Frames {
    type Error = std::convert::Infallible;

    fn next_packet(&mut self) -> Result<Option<Packet<'_>>, Self::Error> {
        self.1 += 1;
        let number = self.1 as u64;
        Ok(self.0.get(self.1 - 1).map(|frame| packet(LinkType::RAW, number, frame)))
    }
}

/// What a segment may carry, so that the fuzzer need not learn HTTP first.
const PHRASES: [&[u8]; 30] = [
    b"",
    b"GET / HTTP/1.1\r\n\r\n",
    b"HEAD /h HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /p HTTP/1.1\r\nContent-Length: 5\r\n\r\n",
    b"PUT /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\n\r\n",
    b"GET /u HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.0 404 No\r\nConnection: close\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    b"hello",
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
    b"0\r\nTrailer: t\r\n\r\n",
    b"\r\n",
    b" folded\r\n",
    b"GET /old\r\n",
    b"\x05\x01\x00",
    b"\x16\x03\x01\x00\x05",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"PROXY UNKNOWN\r\nPROXY UNKNOWN\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x01\x02\x03\x04\x05\x06\x07\x08\0\x01\0\x02",
    b"\x04\x01\0\x50\x7f\0\0\x01\0",
    b"\0\x5a\0\0\0\0\0\0",
    b"HTTP/1.1 103 Early Hints\r\n\r\n",
    b"GET /n HTTP/1.0\r\nX: \0\x0b\r \r\nTransfer-Encoding: \x0bchunked\r\nHost: a\r\nHost: b\r\n\r\n",
];

/// IPv4 packets of a few connections; four bytes direct each: who sends and with which flags, where in the
/// stream, what, and how much of it.
fn frames(bytes: &[u8]) -> Vec<Vec<u8>> {
    // The next sequence number of each direction of four connections.
    let mut next = [[1000_u32, 0xffff_fff0]; 4];
    let directed = bytes.chunks_exact(4).take(512).map(|step| {
        let &[who, place, what, cut] = step else { return Vec::new() };
        let (connection, direction) = (usize::from(who & 3), usize::from(who >> 2 & 1));
        let flags = [0x10, 0x10, 0x10, 0x18, 0x02, 0x12, 0x11, 0x04][usize::from(who >> 3 & 7)];
        let phrase = PHRASES[usize::from(what) % PHRASES.len()];
        let payload =
            if cut & 0x80 == 0 { phrase } else { &phrase[..phrase.len().min(usize::from(cut & 0x7f))] };
        let numbers = &mut next[connection];
        // Mostly in order; else within 64 bytes on either side, or far away.
        let sequence = match place {
            0..=191 => numbers[direction],
            192..=254 => numbers[direction].wrapping_add(u32::from(place)).wrapping_sub(224),
            255 => numbers[direction].wrapping_add(0x4000_0000),
        };
        let acknowledgement = numbers[1 - direction].wrapping_sub(u32::from(who >> 6));
        let length = u32::try_from(payload.len()).unwrap_or_default() + u32::from(flags & 3 != 0);
        if place < 192 {
            numbers[direction] = sequence.wrapping_add(length);
        }
        frame(connection, direction, sequence, acknowledgement, flags, payload)
    });
    directed.collect()
}

/// RFC 791, section 3.1, and RFC 9293, section 3.1; checksums are left out, as offloading does.
fn frame(
    connection: usize,
    direction: usize,
    sequence: u32,
    acknowledgement: u32,
    flags: u8,
    payload: &[u8],
) -> Vec<u8> {
    let mut ends =
        [([192, 0, 2, 1], 40_000 + u16::try_from(connection).unwrap_or_default()), ([192, 0, 2, 2], 80)];
    ends.rotate_left(direction);
    let length = u16::try_from(40 + payload.len()).unwrap_or(u16::MAX);
    let mut bytes = vec![0x45, 0];
    bytes.extend(length.to_be_bytes());
    bytes.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
    bytes.extend(ends[0].0);
    bytes.extend(ends[1].0);
    bytes.extend(ends[0].1.to_be_bytes());
    bytes.extend(ends[1].1.to_be_bytes());
    bytes.extend(sequence.to_be_bytes());
    bytes.extend(acknowledgement.to_be_bytes());
    bytes.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    bytes.extend(payload);
    bytes
}
