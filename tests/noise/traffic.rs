//! Clients that ask v1, and tcpdump beside them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::thread;

use tempfile::TempDir;

use crate::faults;
use crate::service::Service;
use crate::support::{PATIENCE, RawServer, Skip, Tcpdump};

/// Connections at once.
const CLIENTS: u64 = 4;

/// v1's traffic in a file.
pub(crate) struct Captured {
    folder: TempDir,
}

impl Captured {
    /// Asks for `requests` items of each route, half of them twice.
    pub(crate) fn of(v1: &Service, requests: u64) -> Result<Self, Skip> {
        Self::asking(v1.server(), |client, clients| targets(client, clients, requests))
    }

    /// Asks for what each of the clients is to ask for, by its number and how many there are.
    pub(crate) fn asking(
        v1: &RawServer,
        targets: impl Fn(u64, u64) -> Vec<String> + Sync,
    ) -> Result<Self, Skip> {
        let captured = Self { folder: TempDir::new().unwrap() };
        let address = v1.address();
        let tcpdump = Tcpdump::start("lo", &format!("tcp port {}", address.port()), &captured.file())?;
        thread::scope(|scope| {
            for client in 0..CLIENTS {
                let targets = &targets;
                scope.spawn(move || ask(address, &targets(client, CLIENTS)));
            }
        });
        assert_eq!(tcpdump.stop().dropped, 0);
        Ok(captured)
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("yesterday.pcap")
    }
}

/// One client's share of the requests to the routes of all faults.
fn targets(client: u64, clients: u64, requests: u64) -> Vec<String> {
    let distinct = requests.div_ceil(2);
    let mut targets = Vec::new();
    for number in (0..requests).filter(|number| number % clients == client) {
        for fault in &faults::ALL {
            // A distribution takes more than forty. Of other items each time: two answers within a millisecond to one request
            // would be a difference that v2 makes by being slower.
            let more = if fault.is_of_latency() { 3 } else { 1 };
            targets.extend(
                (0..more).map(|more| format!("/r/{}/{}", fault.name, number % distinct + more * 1000)),
            );
        }
    }
    targets
}

/// Asks one after the other on one connection.
fn ask(server: SocketAddr, targets: &[String]) {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    for target in targets {
        write!(stream, "GET {target} HTTP/1.1\r\nHost: shop:8000\r\nUser-Agent: bench\r\n\r\n").unwrap();
        read_answer(&mut stream);
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
