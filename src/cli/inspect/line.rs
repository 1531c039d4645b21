//! One exchange as `inspect` prints it.
//!
//! Millions of lines are printed, so the JSON is put together here rather than by serde: with the member
//! names ready made, and without a `String` for each value, a line costs a fifth.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;

use serde::Serialize;

use crate::anomaly::{Anomaly, AnomalySet};
use crate::exchange::{Exchange, ExchangeId};
use crate::http::{Body, Version};
use crate::stream::ConnectionId;
use crate::time::Timestamp;

/// The text of a connection and of its ends, kept from one line to the next.
#[derive(Debug, Default)]
pub(super) struct ConnectionText {
    of: Option<ConnectionId>,
    text: String,
    client: Range<usize>,
    server: Range<usize>,
}

impl ConnectionText {
    /// Makes it the text of `connection`.
    pub(super) fn turn_to(&mut self, connection: ConnectionId) {
        if self.of == Some(connection) {
            return;
        }
        self.of = Some(connection);
        self.text.clear();
        // Writing to a string does not fail.
        let _ = write!(self.text, "{connection}");
        let client = self.text.find('>').unwrap_or_default();
        let server = self.text.find('#').unwrap_or(self.text.len());
        (self.client, self.server) = (0..client, client + 1..server);
    }
}

/// One exchange: a line of `--format jsonl`.
#[derive(Debug)]
pub(super) struct Line<'e> {
    id: ExchangeId,
    connection: &'e str,
    ordinal: u32,
    /// The capture time of the request's first byte.
    pub(super) time: Timestamp,
    pub(super) client: &'e str,
    server: &'e str,
    version: Cow<'static, str>,
    pub(super) method: Cow<'e, str>,
    /// As on the wire, lossy where that is not UTF-8.
    pub(super) target: Cow<'e, str>,
    pub(super) host: Option<Cow<'e, str>>,
    pub(super) status: Option<u16>,
    /// Bytes of the entity, after de-chunking and before content-decoding.
    pub(super) request_body_bytes: u64,
    pub(super) response_body_bytes: Option<u64>,
    pub(super) request_complete: bool,
    pub(super) response_complete: bool,
    /// From the request's first byte to the response's last.
    pub(super) duration_ms: Option<f64>,
    pub(super) anomalies: AnomalySet,
    request_body_sha256: Option<String>,
    response_body_sha256: Option<String>,
}

impl<'e> Line<'e> {
    /// The line of an exchange; `text` is that of its connection.
    pub(super) fn new(exchange: &'e Exchange, text: &'e ConnectionText) -> Self {
        let (request, response) = (&exchange.request, exchange.response.as_ref());
        let mut anomalies = exchange.anomalies;
        anomalies.extend(request.anomalies);
        anomalies.extend(response.map_or(AnomalySet::EMPTY, |r| r.anomalies));
        let duration = response.map(|r| r.last_byte.since(request.first_byte));
        Self {
            id: exchange.id,
            connection: &text.text,
            ordinal: exchange.ordinal,
            time: request.first_byte,
            client: &text.text[text.client.clone()],
            server: &text.text[text.server.clone()],
            version: version(request.head.version),
            method: lossy(request.head.method()),
            target: lossy(request.head.target()),
            host: request.head.host().map(lossy),
            status: response.map(|r| r.head.status),
            request_body_bytes: request.body.len,
            response_body_bytes: response.map(|r| r.body.len),
            request_complete: request.completeness.is_complete(),
            response_complete: response.is_some_and(|r| r.completeness.is_complete()),
            duration_ms: duration.map(|d| d.as_secs_f64() * 1e3),
            anomalies,
            request_body_sha256: hex(&request.body),
            response_body_sha256: response.and_then(|r| hex(&r.body)),
        }
    }

    /// Appends it as a JSON object on one line, without the line's end.
    pub(super) fn write_json(&self, out: &mut Vec<u8>) {
        macro_rules! member {
            ($name:literal, $value:expr) => {
                out.extend_from_slice(concat!(",\"", $name, "\":").as_bytes());
                $value;
            };
        }
        out.extend_from_slice(b"{\"id\":\"");
        out.extend_from_slice(&hexadecimal(self.id));
        out.push(b'"');
        member!("connection", plain(out, self.connection));
        member!("ordinal", number(out, &self.ordinal));
        member!("time", plain(out, self.time.text().as_str()));
        member!("client", plain(out, self.client));
        member!("server", plain(out, self.server));
        member!("version", plain(out, &self.version));
        member!("method", string(out, &self.method));
        member!("target", string(out, &self.target));
        member!("host", optional(out, self.host.as_deref(), string));
        member!("status", number(out, &self.status));
        member!("request_body_bytes", number(out, &self.request_body_bytes));
        member!("response_body_bytes", number(out, &self.response_body_bytes));
        member!("request_complete", number(out, &self.request_complete));
        member!("response_complete", number(out, &self.response_complete));
        member!("duration_ms", number(out, &self.duration_ms));
        member!("anomalies", names(out, self.anomalies));
        if let Some(digest) = &self.request_body_sha256 {
            member!("request_body_sha256", plain(out, digest));
        }
        if let Some(digest) = &self.response_body_sha256 {
            member!("response_body_sha256", plain(out, digest));
        }
        out.push(b'}');
    }
}

/// As [`ExchangeId`] is displayed.
fn hexadecimal(id: ExchangeId) -> [u8; 16] {
    let mut digits = [0; 16];
    for (digit, byte) in digits.chunks_exact_mut(2).zip(id.0.to_be_bytes()) {
        digit.copy_from_slice(&[byte >> 4, byte & 15].map(|nibble| b"0123456789abcdef"[usize::from(nibble)]));
    }
    digits
}

/// A value that is no text from the wire.
fn number(out: &mut Vec<u8>, value: &impl Serialize) {
    // Writing to memory does not fail, nor does any of these values.
    let _ = serde_json::to_writer(out, value);
}

/// Text of ours, which holds nothing to escape.
fn plain(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

/// Text from the wire, most of which holds nothing to escape (RFC 8259, section 7).
fn string(out: &mut Vec<u8>, text: &str) {
    #[expect(
        clippy::needless_bitwise_bool,
        reason = "without branches the compiler looks at many bytes at once"
    )]
    let escapes =
        text.bytes().fold(false, |any, byte| any | (byte < b' ') | (byte == b'"') | (byte == b'\\'));
    if escapes { number(out, &text) } else { plain(out, text) }
}

fn optional(out: &mut Vec<u8>, text: Option<&str>, write: fn(&mut Vec<u8>, &str)) {
    match text {
        Some(text) => write(out, text),
        None => out.extend_from_slice(b"null"),
    }
}

fn names(out: &mut Vec<u8>, anomalies: AnomalySet) {
    if anomalies.is_empty() {
        return out.extend_from_slice(b"[]");
    }
    let names: Vec<_> = anomalies.iter().map(Anomaly::name).collect();
    number(out, &names);
}

fn version(version: Version) -> Cow<'static, str> {
    match version {
        Version::Http11 => Cow::Borrowed("HTTP/1.1"),
        other => Cow::Owned(other.to_string()),
    }
}

fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    // Checking what is right already is many times faster than looking for what is to be replaced.
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

fn hex(body: &Body) -> Option<String> {
    body.sha256.map(|digest| {
        digest.iter().fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::PacketSource;
    use crate::capture::synth::{Conversation, Frame};
    use crate::http::Options;
    use crate::packet::Packet;
    use crate::pipeline::{Reading, ReadingOptions};

    struct Frames(Vec<Frame>, usize);

    impl PacketSource for Frames {
        type Error = std::convert::Infallible;

        fn next_packet(&mut self) -> Result<Option<Packet<'_>>, Self::Error> {
            self.1 += 1;
            Ok(self.0.get(self.1 - 1).map(|frame| frame.packet(self.1 as u64)))
        }
    }

    /// The lines of a conversation, as text.
    fn lines(client: &str, server: &str, dialogue: &[(&[u8], &[u8])], hash: bool) -> Vec<String> {
        let start = Timestamp::from_parts(1_550_209_670, 159_513_000);
        let mut talk = Conversation::new(client.parse().unwrap(), server.parse().unwrap(), start);
        talk.open();
        for (request, response) in dialogue {
            talk.client_sends(request);
            talk.server_sends(response);
        }
        talk.close();
        let mut lines = Vec::new();
        let options = ReadingOptions { bodies: Options { hash, ..Options::default() }, ..Default::default() };
        let mut text = ConnectionText::default();
        let mut reading = Reading::new(Frames(talk.take_frames(), 0), options, |exchange: Exchange| {
            text.turn_to(exchange.connection);
            let mut out = Vec::new();
            Line::new(&exchange, &text).write_json(&mut out);
            lines.push(String::from_utf8(out).unwrap());
        });
        while reading.step().unwrap() {}
        reading.finish();
        drop(reading);
        lines
    }

    #[test]
    fn a_line_has_the_members_that_are_documented_in_their_order() {
        let lines = lines(
            "192.0.2.1:40000",
            "192.0.2.2:80",
            &[
                (
                    b"POST /a?b HTTP/1.1\r\nHost: c\r\nContent-Length: 3\r\n\r\nabc",
                    b"HTTP/1.1 204 No\r\n\r\n",
                ),
                (b"GET / HTTP/1.0\r\n\r\n", b""),
            ],
            true,
        );
        let connection = ConnectionId {
            client: "192.0.2.1:40000".parse().unwrap(),
            server: "192.0.2.2:80".parse().unwrap(),
            instance: 1,
        };
        let id = ExchangeId::new(connection, Timestamp::from_parts(1_550_209_670, 159_543_000), 0);
        assert_eq!(
            lines[0],
            // The digest is that of `printf abc | sha256sum`, and the other that of nothing.
            "{\"id\":\"ID\",\"connection\":\"192.0.2.1:40000>192.0.2.2:80\",\"ordinal\":0,\
             \"time\":\"2019-02-15T05:47:50.159543000Z\",\"client\":\"192.0.2.1:40000\",\
             \"server\":\"192.0.2.2:80\",\"version\":\"HTTP/1.1\",\"method\":\"POST\",\"target\":\"/a?b\",\
             \"host\":\"c\",\"status\":204,\"request_body_bytes\":3,\"response_body_bytes\":0,\
             \"request_complete\":true,\"response_complete\":true,\"duration_ms\":0.02,\"anomalies\":[],\
             \"request_body_sha256\":\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\",\
             \"response_body_sha256\":\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"}"
                .replace("ID", &id.to_string())
        );
        let second: serde_json::Value = serde_json::from_str(&lines[1]).unwrap();
        for absent in ["host", "status", "response_body_bytes", "duration_ms"] {
            assert_eq!(second[absent], serde_json::Value::Null, "{absent}");
        }
        assert_eq!((second["ordinal"].as_u64(), second["version"].as_str()), (Some(1), Some("HTTP/1.0")));
    }

    #[test]
    fn whatever_is_on_the_wire_makes_valid_json() {
        for byte in 1..=255 {
            let request =
                [b"GET /x", &[byte][..], b"y HTTP/1.1\r\nHost: \"", &[byte], b"\\\r\n\r\n"].concat();
            for line in lines("[2001:db8::1]:4000", "[2001:db8::2]:80", &[(&request, b"")], false) {
                let value: serde_json::Value = serde_json::from_str(&line).expect(&line);
                assert_eq!(value["client"], "[2001:db8::1]:4000");
                assert!(!line.contains('\n'), "{line}");
            }
        }
    }
}
