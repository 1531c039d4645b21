//! A client that asks once and does not wait for the connection's end, which Envoy lets wait.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::support::PATIENCE;

/// The final answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answer {
    /// The answer that stands last in `text`, if it is whole. A body without a length is taken for none.
    fn last(text: &str, has_body: bool) -> Option<Self> {
        let last = text.rsplit("HTTP/1.1 ").next()?;
        let (head, body) = last.split_once("\r\n\r\n")?;
        let status = head.get(..3)?.parse().ok().filter(|status| *status >= 200)?;
        let length = head
            .to_ascii_lowercase()
            .lines()
            .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        let length = length.filter(|_| has_body).unwrap_or(0);
        (body.len() >= length).then(|| Self { status, body: body.to_owned() })
    }
}

/// Sends a request on a connection of its own and gives the answer when all of it has come.
pub(crate) fn ask(server: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // A proxy may refuse what it has not read to the end.
    let _ = stream.write_all(request);
    read(&mut stream, request)
}

/// The answer to a request that was sent on this connection.
pub(crate) fn read(stream: &mut TcpStream, request: &[u8]) -> Answer {
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let length = stream.read(&mut buffer).unwrap_or(0);
        let shown = request[..request.len().min(100)].escape_ascii();
        assert!(length > 0, "no answer to {shown}: {}", answer.escape_ascii());
        answer.extend_from_slice(&buffer[..length]);
        if let Some(answer) = Answer::last(&String::from_utf8_lossy(&answer), !request.starts_with(b"HEAD "))
        {
            return answer;
        }
    }
}
