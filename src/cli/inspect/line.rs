//! One exchange as `inspect` prints it.
//!
//! Millions of lines are printed, so the JSON is put together here rather than by serde: with the member
//! names ready made, with what lines have in common kept from one to the next, and without a `String` for
//! any value.

use std::io::Write as _;
use std::time::Duration;

use super::digits::{hex, milliseconds};
use super::repeated::Repeated;
use super::text::{host_and_status, optional, text};
use crate::anomaly::AnomalySet;
use crate::exchange::{Exchange, ExchangeId};
use crate::http::{Body, RequestHead, Version};
use crate::record::put::{fixed, hexadecimal, names, number};
use crate::time::Timestamp;

/// One exchange: a line of `--format jsonl`.
#[derive(Debug)]
pub(super) struct Line<'e> {
    id: ExchangeId,
    repeated: &'e Repeated,
    ordinal: u32,
    /// The capture time of the request's first byte.
    pub(super) time: Timestamp,
    version: Version,
    pub(super) method: &'e [u8],
    /// As on the wire.
    pub(super) target: &'e [u8],
    pub(super) status: Option<u16>,
    /// Bytes of the entity, after de-chunking and before content-decoding.
    pub(super) request_body_bytes: u64,
    pub(super) response_body_bytes: Option<u64>,
    pub(super) request_complete: bool,
    pub(super) response_complete: bool,
    /// From the request's first byte to the response's last.
    pub(super) duration: Option<Duration>,
    pub(super) anomalies: AnomalySet,
    head: &'e RequestHead,
    request: &'e Body,
    response: Option<&'e Body>,
}

impl<'e> Line<'e> {
    /// The line of the exchange that `repeated` has turned to.
    #[inline]
    pub(super) fn new(exchange: &'e Exchange, repeated: &'e Repeated) -> Self {
        let (request, response) = (&exchange.request, exchange.response.as_ref());
        let mut anomalies = exchange.anomalies;
        anomalies.extend(request.anomalies);
        anomalies.extend(response.map_or(AnomalySet::EMPTY, |r| r.anomalies));
        Self {
            id: exchange.id,
            repeated,
            ordinal: exchange.ordinal,
            time: request.first_byte,
            version: request.head.version,
            method: request.head.method(),
            target: request.head.target(),
            head: &request.head,
            status: response.map(|r| r.head.status),
            request_body_bytes: request.body.len,
            response_body_bytes: response.map(|r| r.body.len),
            request_complete: request.completeness.is_complete(),
            response_complete: response.is_some_and(|r| r.completeness.is_complete()),
            duration: response.map(|r| r.last_byte.since(request.first_byte)),
            anomalies,
            request: &request.body,
            response: response.map(|r| &r.body),
        }
    }

    /// The client's address.
    pub(super) fn client(&self) -> &'e [u8] {
        self.repeated.client()
    }

    /// The host that was asked. Not found out before it is needed: mostly it is that of the line before.
    pub(super) fn host(&self) -> Option<&'e [u8]> {
        self.head.host()
    }

    /// Appends it as a JSON object on one line, without the line's end.
    pub(super) fn write_json(&self, out: &mut Vec<u8>) {
        macro_rules! member {
            ($name:literal, $write:expr, $value:expr) => {
                out.extend_from_slice(concat!(",\"", $name, "\":").as_bytes());
                $write(out, $value);
            };
        }
        fixed(out, &start(self.id));
        out.extend_from_slice(self.repeated.connection());
        number(out, self.ordinal.into());
        fixed(out, &self.repeated.time(self.time));
        if self.version == Version::Http11 {
            out.extend_from_slice(self.repeated.ends_and_version());
        } else {
            out.extend_from_slice(self.repeated.ends());
            member!("version", version, self.version);
            fixed(out, b",\"method\":");
        }
        method(out, self.method);
        member!("target", text, self.target);
        match self.repeated.host() {
            [] => host_and_status(out, self.host()),
            known => out.extend_from_slice(known),
        }
        optional(number)(out, self.status.map(u64::from));
        member!("request_body_bytes", number, self.request_body_bytes);
        member!("response_body_bytes", optional(number), self.response_body_bytes);
        if self.request_complete && self.response_complete {
            fixed(out, b",\"request_complete\":true,\"response_complete\":true");
        } else {
            member!("request_complete", boolean, self.request_complete);
            member!("response_complete", boolean, self.response_complete);
        }
        member!("duration_ms", optional(milliseconds), self.duration);
        if self.anomalies.is_empty() {
            fixed(out, b",\"anomalies\":[]");
        } else {
            member!("anomalies", names, self.anomalies);
        }
        if let Some(digest) = &self.request.sha256 {
            member!("request_body_sha256", hex, digest);
        }
        if let Some(digest) = self.response.and_then(|body| body.sha256.as_ref()) {
            member!("response_body_sha256", hex, digest);
        }
        out.push(b'}');
    }
}

/// The beginning of a line.
#[inline]
fn start(id: ExchangeId) -> [u8; 24] {
    let mut start = *b"{\"id\":\"0000000000000000\"";
    start[7..23].copy_from_slice(&hexadecimal(id.0));
    start
}

#[inline]
fn method(out: &mut Vec<u8>, method: &[u8]) {
    match method {
        b"GET" => fixed(out, b"\"GET\""),
        b"POST" => fixed(out, b"\"POST\""),
        other => text(out, other),
    }
}

fn boolean(out: &mut Vec<u8>, value: bool) {
    if value { fixed(out, b"true") } else { fixed(out, b"false") }
}

fn version(out: &mut Vec<u8>, version: Version) {
    match version {
        Version::Http11 => fixed(out, b"\"HTTP/1.1\""),
        // Writing to memory does not fail.
        other => _ = write!(out, "\"{other}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::PacketSource;
    use crate::capture::synth::{Conversation, Frame};
    use crate::http::Options;
    use crate::packet::Packet;
    use crate::pipeline::{Reading, ReadingOptions};
    use crate::stream::ConnectionId;

    struct Frames(Vec<Frame>, usize);

    impl PacketSource for Frames {
        type Error = std::convert::Infallible;

        fn next_packet(&mut self) -> Result<Option<Packet<'_>>, Self::Error> {
            self.1 += 1;
            Ok(self.0.get(self.1 - 1).map(|frame| frame.packet(self.1 as u64)))
        }
    }

    fn exchange() -> Exchange {
        let dialogue: [(&[u8], &[u8]); 1] = [(b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 204 No\r\n\r\n")];
        exchanges("192.0.2.1:40000", "192.0.2.2:80", &dialogue, false).remove(0)
    }

    /// The lines of a conversation, as text.
    fn lines(client: &str, server: &str, dialogue: &[(&[u8], &[u8])], hash: bool) -> Vec<String> {
        let mut repeated = Repeated::default();
        let line = |exchange: &Exchange| {
            repeated.turn_to(exchange);
            let mut out = Vec::new();
            Line::new(exchange, &repeated).write_json(&mut out);
            String::from_utf8(out).unwrap()
        };
        exchanges(client, server, dialogue, hash).iter().map(line).collect()
    }

    fn exchanges(client: &str, server: &str, dialogue: &[(&[u8], &[u8])], hash: bool) -> Vec<Exchange> {
        let start = Timestamp::from_parts(1_550_209_670, 159_513_000);
        let mut talk = Conversation::new(client.parse().unwrap(), server.parse().unwrap(), start);
        talk.open();
        for (request, response) in dialogue {
            talk.client_sends(request);
            talk.server_sends(response);
        }
        talk.close();
        let mut exchanges = Vec::new();
        let options = ReadingOptions { bodies: Options { hash, ..Options::default() }, ..Default::default() };
        let frames = Frames(talk.take_frames(), 0);
        let mut reading = Reading::new(frames, options, |exchange: Exchange| exchanges.push(exchange));
        while reading.step().unwrap() {}
        reading.finish();
        drop(reading);
        exchanges
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

    #[test]
    fn the_time_is_right_on_either_side_of_a_second() {
        let (mut repeated, exchange) = (Repeated::default(), exchange());
        for nanos in [999_999_999, 1_000_000_000, 999_999_999, 0, -1, i64::MIN, i64::MAX] {
            let mut exchange = exchange.clone();
            exchange.request.first_byte = Timestamp::from_nanos(nanos);
            repeated.turn_to(&exchange);
            let mut out = Vec::new();
            Line::new(&exchange, &repeated).write_json(&mut out);
            let line: serde_json::Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(line["time"], exchange.request.first_byte.to_string());
        }
    }
}
