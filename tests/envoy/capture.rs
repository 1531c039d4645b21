//! Requests as a capture of the calls to a proxy would hold them.

use std::fs::File;
use std::io::BufWriter;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use shadowcap::capture::PcapWriter;
use shadowcap::capture::synth::Conversation;
use shadowcap::packet::LinkType;
use shadowcap::time::Timestamp;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const NO_BODY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";

/// Writes a capture in which each request has a connection of its own from this client to v1, and v1 says `ok`.
pub(crate) fn write<R: AsRef<[u8]>>(file: &Path, client: IpAddr, requests: impl IntoIterator<Item = R>) {
    let mut writer =
        PcapWriter::new(BufWriter::new(File::create(file).unwrap()), LinkType::ETHERNET).unwrap();
    let v1 = match client {
        IpAddr::V4(_) => "192.0.2.99:8000",
        IpAddr::V6(_) => "[2001:db8::99]:8000",
    };
    let mut at = Timestamp::from_parts(1_700_000_000, 0);
    let mut number = 0;
    for (port, request) in (1024..).zip(requests) {
        let request = request.as_ref();
        let mut conversation = Conversation::new(SocketAddr::new(client, port), v1.parse().unwrap(), at);
        conversation.open();
        conversation.client_sends(request);
        conversation.server_sends(if request.starts_with(b"HEAD ") { NO_BODY } else { OK });
        conversation.close();
        at = conversation.now();
        for frame in conversation.take_frames() {
            writer.write(&frame.packet(number)).unwrap();
            number += 1;
        }
    }
    writer.finish().unwrap();
}
