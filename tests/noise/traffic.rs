//! Clients that ask v1, and tcpdump beside them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::thread;

use tempfile::TempDir;

use crate::faults;
use crate::service::Service;
use crate::support::{PATIENCE, Skip, Tcpdump};

/// Connections at once.
const CLIENTS: u64 = 4;

/// v1's traffic in a file.
pub(crate) struct Captured {
    folder: TempDir,
}

impl Captured {
    /// Asks for `requests` items of each route, half of them twice.
    pub(crate) fn of(v1: &Service, requests: u64) -> Result<Self, Skip> {
        let captured = Self { folder: TempDir::new().unwrap() };
        let address = v1.server().address();
        let tcpdump = Tcpdump::start("lo", &format!("tcp port {}", address.port()), &captured.file())?;
        thread::scope(|scope| {
            for client in 0..CLIENTS {
                scope.spawn(move || ask(address, client, requests));
            }
        });
        assert_eq!(tcpdump.stop().dropped, 0);
        Ok(captured)
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("yesterday.pcap")
    }
}

/// One client's share of the requests, on one connection.
fn ask(server: SocketAddr, client: u64, requests: u64) {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let distinct = requests.div_ceil(2);
    for number in (0..requests).filter(|number| number % CLIENTS == client) {
        for fault in &faults::ALL {
            // A distribution takes more than forty. Of other items each time: two answers within a millisecond to one request
            // would be a difference that v2 makes by being slower.
            for more in 0..if fault.is_of_latency() { 3 } else { 1 } {
                let target = format!("/r/{}/{}", fault.name, number % distinct + more * 1000);
                write!(stream, "GET {target} HTTP/1.1\r\nHost: shop:8000\r\nUser-Agent: bench\r\n\r\n")
                    .unwrap();
                read_answer(&mut stream);
            }
        }
    }
}

/// Reads one answer with a Content-Length.
fn read_answer(stream: &mut TcpStream) {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 16 * 1024]);
    loop {
        let length = stream.read(&mut buffer).unwrap();
        assert!(length > 0, "v1 closed");
        bytes.extend_from_slice(&buffer[..length]);
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        if bytes.len() >= end + 4 + length.unwrap_or(0) {
            return;
        }
    }
}
