//! Conversations made to order: the packets of a TCP connection between two addresses, for the
//! benchmarks, the demo and the tests.

use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use etherparse::{PacketBuilder, TcpHeader};

use crate::packet::{LinkType, Packet};
use crate::time::Timestamp;

/// A packet that owns its bytes: an Ethernet frame, and when it is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// When.
    pub at: Timestamp,
    /// From the Ethernet header on.
    pub bytes: Vec<u8>,
}

impl Frame {
    /// The frame as the `number`-th packet of a capture.
    #[must_use]
    pub fn packet(&self, number: u64) -> Packet<'_> {
        Packet {
            at: self.at,
            link: LinkType::ETHERNET,
            number,
            interface: 0,
            original_len: u32::try_from(self.bytes.len()).unwrap_or(u32::MAX),
            data: &self.bytes,
        }
    }
}

/// One end of a connection.
#[derive(Clone, Copy, Debug)]
struct End {
    address: SocketAddr,
    mac: [u8; 6],
    /// The sequence number of the byte that it sends next.
    next: u32,
}

/// A TCP connection as a tap between client and server sees it. Every call adds frames, in order and
/// without loss, each a little later than the one before; tests that want disorder make it themselves.
///
/// ```
/// use shadowcap::capture::synth::Conversation;
/// use shadowcap::time::Timestamp;
///
/// let mut talk = Conversation::new(
///     "192.0.2.1:40000".parse()?,
///     "192.0.2.2:80".parse()?,
///     Timestamp::from_parts(1_700_000_000, 0),
/// );
/// talk.open();
/// talk.client_sends(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
/// talk.server_sends(b"HTTP/1.1 204 No Content\r\n\r\n");
/// talk.close();
/// assert_eq!(talk.take_frames().len(), 3 + 2 + 2 + 4);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Conversation {
    client: End,
    server: End,
    mss: usize,
    step: Duration,
    now: Timestamp,
    frames: Vec<Frame>,
}

/// Which end sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender {
    Client,
    Server,
}

impl Conversation {
    /// A connection whose first frame is seen at `at`: a segment size of 1460 bytes, 10 µs between
    /// frames, and sequence numbers that begin at 1000 and 2000.
    #[must_use]
    pub fn new(client: SocketAddr, server: SocketAddr, at: Timestamp) -> Self {
        Self {
            client: End { address: client, mac: [2, 0, 0, 0, 0, 1], next: 1000 },
            server: End { address: server, mac: [2, 0, 0, 0, 0, 2], next: 2000 },
            mss: 1460,
            step: Duration::from_micros(10),
            now: at,
            frames: Vec::new(),
        }
    }

    /// Sets the most payload bytes that a segment carries: at least 1, and at most what an IPv4 packet
    /// holds behind headers without options, 65495.
    #[must_use]
    pub fn mss(mut self, mss: u16) -> Self {
        self.mss = usize::from(mss.clamp(1, 65_495));
        self
    }

    /// Sets the time between frames.
    #[must_use]
    pub fn step(mut self, step: Duration) -> Self {
        self.step = step;
        self
    }

    /// Sets the initial sequence numbers.
    #[must_use]
    pub fn initial_sequence(mut self, client: u32, server: u32) -> Self {
        self.client.next = client;
        self.server.next = server;
        self
    }

    /// Lets time pass.
    pub fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    /// The time of the next frame.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The three-way handshake.
    pub fn open(&mut self) {
        self.emit(Sender::Client, &[], |tcp| {
            tcp.syn = true;
            tcp.ack = false;
        });
        self.client.next = self.client.next.wrapping_add(1);
        self.emit(Sender::Server, &[], |tcp| tcp.syn = true);
        self.server.next = self.server.next.wrapping_add(1);
        self.emit(Sender::Client, &[], |_| {});
    }

    /// The client sends bytes, in segments of the segment size, and the server acknowledges them.
    pub fn client_sends(&mut self, bytes: &[u8]) {
        self.send(Sender::Client, bytes);
    }

    /// The server sends bytes, in segments of the segment size, and the client acknowledges them.
    pub fn server_sends(&mut self, bytes: &[u8]) {
        self.send(Sender::Server, bytes);
    }

    /// Both ends finish, the client first, and each acknowledges the other's FIN.
    pub fn close(&mut self) {
        for (sender, other) in [(Sender::Client, Sender::Server), (Sender::Server, Sender::Client)] {
            self.emit(sender, &[], |tcp| tcp.fin = true);
            self.end(sender).next = self.end(sender).next.wrapping_add(1);
            self.emit(other, &[], |_| {});
        }
    }

    /// The server resets the connection.
    pub fn server_resets(&mut self) {
        self.emit(Sender::Server, &[], |tcp| tcp.rst = true);
    }

    /// The frames since the last call.
    pub fn take_frames(&mut self) -> Vec<Frame> {
        mem::take(&mut self.frames)
    }

    fn send(&mut self, sender: Sender, bytes: &[u8]) {
        let mut segments = bytes.chunks(self.mss).peekable();
        while let Some(segment) = segments.next() {
            let last = segments.peek().is_none();
            self.emit(sender, segment, |tcp| tcp.psh = last);
            // A segment is at most 65535 bytes.
            let length = u32::try_from(segment.len()).unwrap_or_default();
            self.end(sender).next = self.end(sender).next.wrapping_add(length);
        }
        if !bytes.is_empty() {
            let receiver = if sender == Sender::Client { Sender::Server } else { Sender::Client };
            self.emit(receiver, &[], |_| {});
        }
    }

    fn end(&mut self, sender: Sender) -> &mut End {
        match sender {
            Sender::Client => &mut self.client,
            Sender::Server => &mut self.server,
        }
    }

    fn emit(&mut self, sender: Sender, payload: &[u8], set: impl FnOnce(&mut TcpHeader)) {
        let (from, to) = match sender {
            Sender::Client => (self.client, self.server),
            Sender::Server => (self.server, self.client),
        };
        let mut tcp = TcpHeader::new(from.address.port(), to.address.port(), from.next, 64_240);
        tcp.ack = true;
        set(&mut tcp);
        tcp.acknowledgment_number = if tcp.ack { to.next } else { 0 };
        self.frames.push(Frame { at: self.now, bytes: frame(from, to, tcp, payload) });
        self.now = self.now + self.step;
    }
}

/// The frame; ends of different families talk IPv6, with the IPv4 address mapped (RFC 4291, 2.5.5.2).
fn frame(from: End, to: End, tcp: TcpHeader, payload: &[u8]) -> Vec<u8> {
    const TTL: u8 = 64;
    let ethernet = PacketBuilder::ethernet2(from.mac, to.mac);
    let ip = match (from.address.ip(), to.address.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            ethernet.ipv4(source.octets(), destination.octets(), TTL)
        }
        (source, destination) => ethernet.ipv6(v6(source), v6(destination), TTL),
    };
    let builder = ip.tcp_header(tcp);
    let mut bytes = Vec::with_capacity(builder.size(payload.len()));
    // Writing to memory fails for a segment that is too long alone, which `mss` does not let be.
    if builder.write(&mut bytes, payload).is_err() {
        bytes.clear();
    }
    bytes
}

fn v6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

#[cfg(test)]
mod tests {
    use etherparse::{NetSlice, SlicedPacket, TransportSlice};

    use super::*;

    fn talk(client: &str, server: &str) -> Vec<Frame> {
        let start = Timestamp::from_parts(1_700_000_000, 0);
        let mut talk = Conversation::new(client.parse().unwrap(), server.parse().unwrap(), start)
            .mss(4)
            .step(Duration::from_millis(1))
            .initial_sequence(u32::MAX, 7);
        talk.open();
        talk.client_sends(b"question");
        talk.wait(Duration::from_secs(1));
        talk.server_sends(b"reply");
        talk.close();
        talk.take_frames()
    }

    /// `SA 7 0 ""`: flags, sequence and acknowledgement number, payload.
    fn line(frame: &Frame) -> String {
        let packet = SlicedPacket::from_ethernet(&frame.bytes).unwrap();
        let Some(TransportSlice::Tcp(tcp)) = packet.transport else { panic!("no TCP: {frame:?}") };
        let checksum = match packet.net.unwrap() {
            NetSlice::Ipv4(ip) => tcp.calc_checksum_ipv4(ip.header().source(), ip.header().destination()),
            NetSlice::Ipv6(ip) => tcp.calc_checksum_ipv6(ip.header().source(), ip.header().destination()),
            NetSlice::Arp(_) => panic!("ARP"),
        };
        assert_eq!(checksum.unwrap(), tcp.checksum());
        let flags = [(tcp.syn(), 'S'), (tcp.fin(), 'F'), (tcp.psh(), 'P'), (tcp.ack(), 'A')];
        let flags: String = flags.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect();
        let payload = String::from_utf8_lossy(tcp.payload());
        format!("{flags} {} {} {payload:?}", tcp.sequence_number(), tcp.acknowledgment_number())
    }

    #[test]
    fn a_conversation_is_valid_tcp_over_either_ip() {
        for (client, server) in
            [("192.0.2.1:4000", "192.0.2.2:80"), ("[2001:db8::1]:4000", "[2001:db8::2]:80")]
        {
            let frames = talk(client, server);
            let lines: Vec<_> = frames.iter().map(line).collect();
            assert_eq!(
                lines,
                [
                    "S 4294967295 0 \"\"",
                    "SA 7 0 \"\"",
                    "A 0 8 \"\"",
                    "A 0 8 \"ques\"",
                    "PA 4 8 \"tion\"",
                    "A 8 8 \"\"",
                    "A 8 8 \"repl\"",
                    "PA 12 8 \"y\"",
                    "A 8 13 \"\"",
                    "FA 8 13 \"\"",
                    "A 13 9 \"\"",
                    "FA 13 9 \"\"",
                    "A 9 14 \"\"",
                ]
            );
            assert!(frames.windows(2).all(|pair| pair[0].at < pair[1].at));
            assert_eq!(frames[12].at.since(frames[0].at), Duration::from_millis(1012));
        }
    }
}
