//! A client that sends the bytes it is given.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::PATIENCE;

/// Sends `request` on a new connection and gives what comes back until the server closes: ask it to, by
/// `Connection: close`.
pub fn raw_exchange(server: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    // A reset after the answer is an end too.
    let end = stream.read_to_end(&mut answer);
    assert!(end.is_ok() || !answer.is_empty(), "{server} answered nothing: {end:?}");
    answer
}

/// `GET target`, as text, head and all.
pub fn get(server: SocketAddr, target: &str) -> String {
    let request = format!("GET {target} HTTP/1.1\r\nHost: httpbin:8000\r\nConnection: close\r\n\r\n");
    String::from_utf8_lossy(&raw_exchange(server, request.as_bytes())).into_owned()
}
