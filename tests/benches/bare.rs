//! The least that reading can cost: a yardstick.
//!
//! It reads a capture of the generator as if nothing in it could be otherwise: Ethernet, IPv4, TCP without
//! options that matter, every segment once and in order, each head whole in one segment, bodies of a
//! Content-Length. It finds the connection, has httparse read each head, and counts off the answers against
//! the requests. It prints nothing and accounts for nothing.

use std::collections::HashMap;
use std::fs::File;
use std::hint::black_box;
use std::io::{self, Error, Read};
use std::path::Path;

/// How much is read at once.
const BUFFER: usize = 256 << 10;
const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;
/// Ethernet and IPv4.
const BEFORE_TCP: usize = 14 + 20;

/// One direction of a connection.
#[derive(Default)]
struct Flow {
    /// The number of its next byte.
    next: u32,
    /// What is left of the body.
    left: usize,
    /// Messages that are complete.
    messages: u64,
}

/// Addresses and ports, from the sender to the receiver.
type Key = (u64, u32);

/// Counts the exchanges of a capture of the generator.
pub fn exchanges(path: &Path) -> io::Result<u64> {
    read(path, |_| Ok(()))
}

/// The same, and gives each request that is whole in one segment, its bytes as they are.
pub fn read(path: &Path, mut request: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; BUFFER];
    let (mut start, mut end) = (FILE_HEADER, 0);
    let mut flows = HashMap::<Key, Flow, foldhash::fast::RandomState>::default();
    loop {
        let record = buffer.get(start..end).and_then(|rest| rest.split_at_checked(RECORD_HEADER));
        let packet = record.and_then(|(header, rest)| rest.get(..le32(header, 8) as usize));
        if let Some(packet) = packet {
            take(packet, &mut flows, &mut request)?;
            start += RECORD_HEADER + packet.len();
            continue;
        }
        buffer.copy_within(start.min(end)..end, 0);
        (start, end) = (start.saturating_sub(end), end.saturating_sub(start));
        match file.read(&mut buffer[end..])? {
            0 => return Ok(flows.values().map(|flow| flow.messages).sum::<u64>() / 2),
            read => end += read,
        }
    }
}

fn take(
    packet: &[u8],
    flows: &mut HashMap<Key, Flow, foldhash::fast::RandomState>,
    request: &mut impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let (ip, tcp) = (&packet[14..BEFORE_TCP], &packet[BEFORE_TCP..]);
    let length = usize::from(u16::from_be_bytes([ip[2], ip[3]])) - 20;
    let payload = &tcp[usize::from(tcp[12] >> 4) * 4..length];
    let key = (u64::from(le32(ip, 12)) << 32 | u64::from(le32(ip, 16)), le32(tcp, 0));
    let flow = flows.entry(key).or_default();
    let seq = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]);
    if tcp[13] & 2 != 0 {
        flow.next = seq.wrapping_add(1);
        return Ok(());
    }
    if payload.is_empty() {
        return Ok(());
    }
    if seq != flow.next {
        return Err(Error::other("not a capture of the generator"));
    }
    flow.next = seq.wrapping_add(u32::try_from(payload.len()).map_err(Error::other)?);
    let mut rest = payload;
    while !rest.is_empty() {
        if flow.left == 0 {
            let (head, body) = read_head(rest)?;
            flow.left = body;
            if let Some(whole) = rest.get(..head + body).filter(|whole| !whole.starts_with(b"HTTP/")) {
                request(whole)?;
            }
            rest = &rest[head..];
        }
        let used = flow.left.min(rest.len());
        flow.left -= used;
        rest = &rest[used..];
        flow.messages += u64::from(flow.left == 0);
    }
    Ok(())
}

/// The length of the head and of the body.
fn read_head(bytes: &[u8]) -> io::Result<(usize, usize)> {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let (status, fields) = if bytes.starts_with(b"HTTP/") {
        let mut head = httparse::Response::new(&mut fields);
        let status = head.parse(bytes).map_err(Error::other)?;
        black_box(head.code);
        (status, head.headers)
    } else {
        let mut head = httparse::Request::new(&mut fields);
        let status = head.parse(bytes).map_err(Error::other)?;
        black_box((head.method, head.path));
        (status, head.headers)
    };
    let length = fields.iter().find(|field| field.name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|field| std::str::from_utf8(field.value).ok()?.trim().parse().ok());
    match status {
        httparse::Status::Complete(head) => Ok((head, length.unwrap_or(0))),
        httparse::Status::Partial => Err(Error::other("a head in two segments")),
    }
}

fn le32(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |word| u32::from_le_bytes(*word))
}
