use std::net::SocketAddr;
use std::time::Duration;

use shadowcap::capture::PcapWriter;
use shadowcap::capture::synth::{Conversation, Frame};
use shadowcap::packet::LinkType;
use shadowcap::time::Timestamp;

use crate::support::Reply;

/// When captures begin: 2026-11-22T12:00:00Z.
pub(crate) const NOON: Timestamp = Timestamp::from_parts(1_795_348_800, 0);

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok";

/// What v1 answered to everything.
pub(crate) fn answer() -> Reply {
    Reply::Answer(ANSWER.to_vec())
}

/// A captured request on a connection of its client and port.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) client: ([u8; 4], u16),
    /// After noon.
    pub(crate) at: Duration,
    pub(crate) request: Vec<u8>,
}

impl Asked {
    /// By client 192.0.2.1 from this port, so many milliseconds after noon; with these further header lines.
    pub(crate) fn new(port: u16, millis: u64, line: &str, headers: &str) -> Self {
        let request = format!("{line} HTTP/1.1\r\nHost: shop:8000\r\n{headers}\r\n").into_bytes();
        Self { client: ([192, 0, 2, 1], port), at: Duration::from_millis(millis), request }
    }

    pub(crate) fn by(self, client: [u8; 4]) -> Self {
        Self { client: (client, self.client.1), ..self }
    }
}

/// A capture in which these were asked, in the order of time, and each answered alike within 20 µs.
pub(crate) fn capture(asked: &[Asked]) -> Vec<u8> {
    let mut clients: Vec<_> = asked.iter().map(|asked| asked.client).collect();
    clients.sort_unstable();
    clients.dedup();
    let frames = clients.into_iter().flat_map(|client| {
        let of_client: Vec<_> = asked.iter().filter(|asked| asked.client == client).collect();
        let server: SocketAddr = "192.0.2.80:80".parse().unwrap();
        let opened = NOON + of_client[0].at - Duration::from_micros(30);
        let mut talk = Conversation::new(client.into(), server, opened);
        talk.open();
        for asked in of_client {
            talk.wait((NOON + asked.at).since(talk.now()));
            talk.client_sends(&asked.request);
            talk.server_sends(ANSWER);
        }
        talk.close();
        talk.take_frames()
    });
    let mut frames: Vec<Frame> = frames.collect();
    frames.sort_by_key(|frame| frame.at);
    let mut writer = PcapWriter::new(Vec::new(), LinkType::ETHERNET).unwrap();
    for (number, frame) in (1..).zip(&frames) {
        writer.write(&frame.packet(number)).unwrap();
    }
    writer.finish().unwrap()
}

/// `connections` side by side with `requests` each, for `/CONNECTION/ORDINAL`, a millisecond apart.
pub(crate) fn exchanges(connections: u16, requests: u64) -> Vec<u8> {
    let asked = (0..requests).flat_map(|ordinal| {
        (0..connections).map(move |connection| {
            let millis = ordinal * u64::from(connections) + u64::from(connection);
            Asked::new(40_000 + connection, millis, &format!("GET /{connection}/{ordinal}"), "")
        })
    });
    capture(&asked.collect::<Vec<_>>())
}
