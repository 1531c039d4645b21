//! Requests with bodies that are larger than all the memory that a replay may take.

use std::io::{BufRead as _, BufReader, Read as _, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;

use shadowcap::capture::PcapWriter;
use shadowcap::capture::synth::Conversation;
use shadowcap::packet::LinkType;
use shadowcap::time::Timestamp;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const PIECE: usize = 1 << 20;

/// The `n`th byte of each body.
fn byte(n: usize) -> u8 {
    b'a' + u8::try_from(n % 23).unwrap()
}

/// Writes a capture of so many uploads of so many MiB each, on a connection each.
pub fn write(count: u16, mib: usize, out: impl Write) {
    let mut writer = PcapWriter::new(out, LinkType::ETHERNET).unwrap();
    let server: SocketAddr = "192.0.2.80:80".parse().unwrap();
    let mut number = 0;
    let mut at = Timestamp::from_parts(1_795_348_800, 0);
    for port in 1..=count {
        let mut talk = Conversation::new(([192, 0, 2, 1], port).into(), server, at).mss(60_000);
        talk.open();
        let head = format!("POST /{port} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", mib * PIECE);
        talk.client_sends(head.as_bytes());
        let piece: Vec<u8> = (0..PIECE).map(byte).collect();
        for n in 0..=mib {
            if n == mib {
                talk.server_sends(ANSWER);
                talk.close();
            } else {
                talk.client_sends(&piece);
            }
            for frame in talk.take_frames() {
                number += 1;
                writer.write(&frame.packet(number)).unwrap();
            }
        }
        at = talk.now();
    }
    writer.finish().unwrap();
}

/// A server that reads uploads, one after the other, and keeps nothing: their lengths are what the thread gives.
pub fn server(count: u16) -> (SocketAddr, JoinHandle<Vec<usize>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let serving = std::thread::spawn(move || (0..count).map(|_| take(&listener)).collect());
    (address, serving)
}

/// A server that takes connections and reads nothing. The receiver hears of each connection.
pub fn deaf() -> (SocketAddr, Receiver<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let (connected, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming().flatten() {
            open.push(stream);
            if connected.send(()).is_err() {
                break;
            }
        }
    });
    (address, told)
}

fn take(listener: &TcpListener) -> usize {
    let (stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    let mut line = String::new();
    while reader.read_line(&mut line).unwrap() > 2 {
        if let Some(value) = line.strip_prefix("Content-Length: ") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    let (mut seen, mut piece) = (0, vec![0; PIECE]);
    while seen < length {
        reader.read_exact(&mut piece).unwrap();
        // Each piece of the body begins alike.
        assert!((piece[0], piece[PIECE - 1]) == (byte(0), byte(PIECE - 1)), "at {seen}");
        seen += piece.len();
    }
    reader.get_mut().write_all(ANSWER).unwrap();
    seen
}
