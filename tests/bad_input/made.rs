use std::net::SocketAddr;
use std::time::Duration;

use shadowcap::capture::PcapWriter;
use shadowcap::capture::synth::{Conversation, Frame};
use shadowcap::packet::LinkType;
use shadowcap::time::Timestamp;

use crate::support::Reply;

/// Where the captured v1 listens, unless a test says otherwise.
pub(crate) const SERVER: &str = "192.0.2.80:80";
/// Bytes of a pcap file ahead of its first packet.
pub(crate) const FILE_HEADER: usize = 24;
/// Bytes ahead of each packet.
pub(crate) const PACKET_HEADER: usize = 16;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok";

/// What v1 answered to everything.
pub(crate) fn answer() -> Reply {
    Reply::Answer(ANSWER.to_vec())
}

/// A pcap file, and where each of its packets begins.
pub(crate) struct Made {
    pub(crate) bytes: Vec<u8>,
    pub(crate) packets: Vec<usize>,
}

/// `connections` one after the other, each with `requests` for `/CONNECTION/ORDINAL`, answered alike.
pub(crate) fn exchanges(connections: u16, requests: u16) -> Made {
    exchanges_with(SERVER, connections, requests)
}

pub(crate) fn exchanges_with(server: &str, connections: u16, requests: u16) -> Made {
    let frames = (0..connections).flat_map(|connection| {
        let mut talk = conversation(server, connection);
        talk.open();
        for ordinal in 0..requests {
            let request = format!("GET /{connection}/{ordinal} HTTP/1.1\r\nHost: shop:8000\r\n\r\n");
            talk.client_sends(request.as_bytes());
            talk.server_sends(ANSWER);
        }
        talk.close();
        talk.take_frames()
    });
    file(frames)
}

/// One connection on which no HTTP is spoken.
pub(crate) fn without_http() -> Made {
    let mut talk = conversation("192.0.2.80:22", 0);
    talk.open();
    talk.server_sends(b"SSH-2.0-OpenSSH_9.9\r\n");
    talk.client_sends(b"SSH-2.0-OpenSSH_9.8\r\n");
    talk.close();
    file(talk.take_frames())
}

fn conversation(server: &str, number: u16) -> Conversation {
    let server: SocketAddr = server.parse().unwrap();
    let client = SocketAddr::from(([192, 0, 2, 1], 40_000 + number));
    let start = Timestamp::from_parts(1_700_000_000, 0) + Duration::from_secs(u64::from(number));
    Conversation::new(client, server, start)
}

fn file(frames: impl IntoIterator<Item = Frame>) -> Made {
    let mut writer = PcapWriter::new(Vec::new(), LinkType::ETHERNET).unwrap();
    let mut packets = Vec::new();
    for frame in frames {
        packets.push(usize::try_from(writer.written()).unwrap());
        writer.write(&frame.packet(packets.len() as u64)).unwrap();
    }
    Made { bytes: writer.finish().unwrap(), packets }
}

impl Made {
    /// The same with a length in the header of the packet that begins at `offset` that no packet has.
    pub(crate) fn damaged_at(mut self, offset: usize) -> Vec<u8> {
        self.bytes[offset + 8..offset + 12].fill(0xff);
        self.bytes
    }
}

/// Packets of one connection of `exchanges` with so many requests.
pub(crate) fn packets_of_connection(requests: usize) -> usize {
    3 + requests * 4 + 4
}
