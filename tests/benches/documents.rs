//! A capture of large JSON answers, a hundredth of which is not what the server says now.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{BufWriter, Write};
use std::net::SocketAddr;

use shadowcap::capture::PcapWriter;
use shadowcap::capture::synth::Conversation;
use shadowcap::packet::LinkType;
use shadowcap::time::Timestamp;

const PAIRS: u64 = 10_000;
/// Exchanges on each connection; the last of them is the one that differs.
const EACH: u64 = 100;
/// Items of a document: together about 20 KB.
const ITEMS: usize = 280;

/// An answer with the document, of which one item is another one.
pub fn answer(differs: bool) -> Vec<u8> {
    let mut body = String::from("{\"items\":[");
    for n in 0..ITEMS {
        let comma = if n > 0 { "," } else { "" };
        let stock = if differs && n == ITEMS / 2 { 1 } else { 7 };
        let _ = write!(
            body,
            "{comma}{{\"id\":{n},\"name\":\"item number {n:04}\",\"price\":{n}.25,\"stock\":{stock},\"colour\":\"red\"}}"
        );
    }
    body.push_str("]}");
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head, body].concat().into_bytes()
}

/// Writes the capture and says how many exchanges it holds.
pub fn write(sink: &mut impl Write) -> Result<u64, Box<dyn Error>> {
    let (same, other) = (answer(false), answer(true));
    let mut writer = PcapWriter::new(BufWriter::new(sink), LinkType::ETHERNET)?;
    let mut number = 0;
    for connection in 0..PAIRS / EACH {
        let client = SocketAddr::from(([192, 0, 2, 1], 40_000 + u16::try_from(connection)?));
        let opened = Timestamp::from_parts(1_700_000_000 + i64::try_from(connection)?, 0);
        let mut talk = Conversation::new(client, ([192, 0, 2, 80], 80).into(), opened);
        talk.open();
        for n in 1..=EACH {
            talk.client_sends(format!("GET /items?page={n} HTTP/1.1\r\nHost: shop\r\n\r\n").as_bytes());
            talk.server_sends(if n == EACH { &other } else { &same });
        }
        talk.close();
        for frame in talk.take_frames() {
            number += 1;
            writer.write(&frame.packet(number))?;
        }
    }
    writer.finish()?.flush()?;
    Ok(PAIRS)
}
