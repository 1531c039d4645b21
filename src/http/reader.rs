//! Responses as a client reads them: one at a time, each to a request that it knows.

use std::collections::VecDeque;

use super::{Asked, Close, Options, Parser, Response, ResponseHead, Sink};
use crate::time::Timestamp;

/// Reads the responses of one connection for the side that sent the requests.
///
/// For each request the client says what it asked ([`ResponseReader::expect`]), pushes what arrives,
/// and takes the responses: any number of interim ones (1xx), then the final one, which is there as
/// soon as its last byte is.
pub struct ResponseReader {
    parser: Parser<ResponseHead>,
    inbox: Inbox,
}

#[derive(Default)]
struct Inbox {
    expected: VecDeque<Asked>,
    ready: VecDeque<Box<Response>>,
}

impl ResponseReader {
    /// A reader that expects nothing yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { parser: Parser::new(options), inbox: Inbox::default() }
    }

    /// A request was, or is about to be, sent: one more final response is due.
    pub fn expect(&mut self, asked: Asked) {
        self.inbox.expected.push_back(asked);
    }

    /// The next bytes. Returns how many of them, at the end, belong to no response that is due: stray
    /// bytes, or those of a tunnel ([`ResponseReader::is_tunnel`]).
    pub fn push(&mut self, at: Timestamp, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        while !rest.is_empty() && !self.inbox.expected.is_empty() && !self.parser.is_tunnel() {
            let used = self.parser.read(at, rest, &mut self.inbox);
            rest = rest.get(used..).unwrap_or_default();
        }
        rest.len()
    }

    /// Nothing follows: a response that lasts until the connection closes is complete if it
    /// [`Close::Finished`], and one that is not whole is handed out as it is.
    pub fn end(&mut self, close: Close) {
        self.parser.end(close, &mut self.inbox);
    }

    /// The next response that is complete, or that ended.
    pub fn take(&mut self) -> Option<Box<Response>> {
        self.inbox.ready.pop_front()
    }

    /// How many final responses are still due.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.inbox.expected.len()
    }

    /// Whether what arrived is not HTTP: no response will come of it.
    #[must_use]
    pub fn is_garbage(&self) -> bool {
        self.parser.is_lost()
    }

    /// Whether a response has begun that is not complete.
    #[must_use]
    pub fn is_within_message(&self) -> bool {
        self.parser.is_within_message()
    }

    /// Whether the last response made the connection a tunnel.
    #[must_use]
    pub fn is_tunnel(&self) -> bool {
        self.parser.is_tunnel()
    }
}

impl Sink<ResponseHead> for Inbox {
    fn head(&mut self, _: &ResponseHead, _: Timestamp) -> Asked {
        self.expected.front().copied().unwrap_or_default()
    }

    fn message(&mut self, response: Response) {
        if response.head.is_final() {
            self.expected.pop_front();
        }
        self.ready.push_back(Box::new(response));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{BodyKeep, Completeness};

    const NOW: Timestamp = Timestamp::from_nanos(1);

    fn reader(asked: &[Asked]) -> ResponseReader {
        let mut reader = ResponseReader::new(Options { keep: BodyKeep::UpTo(1 << 20), hash: false });
        for &asked in asked {
            reader.expect(asked);
        }
        reader
    }

    #[test]
    fn a_response_is_there_with_its_last_byte_and_not_before() {
        let wire = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcXY";
        let mut reader = reader(&[Asked::Other]);
        let mut seen = Vec::new();
        for (at, byte) in wire.iter().enumerate() {
            let stray = reader.push(NOW, &[*byte]);
            assert_eq!(stray, usize::from(at >= wire.len() - 2), "{at}");
            while let Some(response) = reader.take() {
                seen.push((at, response.head.status, response.body.entity.unwrap()));
            }
        }
        assert_eq!(seen, [(24, 100, "".into()), (wire.len() - 3, 200, "abc".into())]);
    }

    #[test]
    fn what_follows_the_last_response_is_counted_not_read() {
        let mut reader = reader(&[Asked::Head]);
        assert_eq!(reader.push(NOW, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n<html>"), 6);
        assert_eq!(reader.take().unwrap().body.len, 0);
    }

    #[test]
    fn a_connection_persists_as_version_and_fields_say() {
        for (head, persists) in [
            ("HTTP/1.1 204 No Content\r\n\r\n", true),
            ("HTTP/1.1 204 No Content\r\nConnection: foo, Close\r\n\r\n", false),
            ("HTTP/1.0 204 No Content\r\n\r\n", false),
            ("HTTP/1.0 204 No Content\r\nConnection: Keep-Alive\r\n\r\n", true),
            ("HTTP/1.0 204 No Content\r\nConnection: keep-alive, close\r\n\r\n", false),
            ("HTTP/1.1 101 Switching Protocols\r\n\r\n", false),
            ("HTTP/1.1 200 OK\r\n\r\n", false),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", true),
        ] {
            let mut reader = reader(&[Asked::Other]);
            assert_eq!(reader.push(NOW, head.as_bytes()), 0);
            reader.end(Close::Finished);
            assert_eq!(reader.take().unwrap().keep_alive(), persists, "{head}");
        }
    }

    #[test]
    fn the_end_of_the_connection_completes_only_what_lasts_until_then() {
        for (body, close, completeness) in [
            ("\r\nab", Close::Finished, Completeness::Complete),
            ("\r\nab", Close::Reset, Completeness::Aborted),
            ("\r\nab", Close::Unknown, Completeness::Cut),
            ("Content-Length: 3\r\n\r\nab", Close::Finished, Completeness::Aborted),
            ("Content-Length: 3\r\n\r\nab", Close::Unknown, Completeness::Cut),
        ] {
            let mut reader = reader(&[Asked::Other]);
            reader.push(NOW, format!("HTTP/1.1 200 OK\r\n{body}").as_bytes());
            assert!(reader.take().is_none());
            reader.end(close);
            let response = reader.take().unwrap();
            assert_eq!(
                (response.completeness, &response.body.entity.unwrap()[..]),
                (completeness, &b"ab"[..])
            );
        }
    }

    #[test]
    fn bytes_that_are_no_response_are_garbage() {
        let mut reader = reader(&[Asked::Other]);
        reader.push(NOW, b"SSH-2.0-OpenSSH_9.9\r\n");
        assert!(reader.is_garbage());
        assert!(reader.take().is_none());
    }
}
