//! What lines have in common: the connection, and the second. It is written once, and copied into each.

use std::ops::Range;

use super::text::host_and_status;
use crate::exchange::Exchange;
use crate::record::put::{address, number, three};
use crate::stream::ConnectionId;
use crate::time::Timestamp;

/// Connections whose text is kept: as many as usually take turns. A power of two.
const KEPT: usize = 256;

/// What is ready for the lines that follow.
#[derive(Debug)]
pub(super) struct Repeated {
    /// By the lowest bits of their ports.
    connections: Box<[Option<Connection>]>,
    /// The place of the one that the line is about.
    present: usize,
    second: Option<i64>,
    time: [u8; TIME],
}

/// The members of a line that tell of its connection.
#[derive(Debug)]
struct Connection {
    id: ConnectionId,
    /// `,"connection":"client>server","ordinal":`, with `#n` from the second instance on, as [`ConnectionId`] is
    /// displayed; behind `ends` `,"client":"client","server":"server"`, and behind `version` [`VERSION`].
    text: Vec<u8>,
    client: Range<usize>,
    ends: usize,
    version: usize,
    /// The host that the line is about, and `,"host":"host","status":`; empty where the host is too long to be kept.
    host: Option<Vec<u8>>,
    host_text: Vec<u8>,
}

/// What nearly all lines have behind the ends of their connection.
const VERSION: &[u8] = b",\"version\":\"HTTP/1.1\",\"method\":";

/// A host longer than this is written anew for each line.
const LONGEST_HOST: usize = 255;

/// The member that tells the time, and where in it the time and the fraction of its second begin.
const TIMELESS: &[u8; TIME] = b",\"time\":\"0000-00-00T00:00:00.000000000Z\"";
const TIME: usize = 40;
const START: usize = 9;
const FRACTION: Range<usize> = 29..38;

impl Default for Repeated {
    fn default() -> Self {
        let connections = (0..KEPT).map(|_| None).collect();
        Self { connections, present: 0, second: None, time: *TIMELESS }
    }
}

impl Repeated {
    /// Makes it what a line about `exchange` needs.
    #[inline]
    pub(super) fn turn_to(&mut self, exchange: &Exchange) {
        let ConnectionId { client, server, .. } = exchange.connection;
        self.present = usize::from(client.port() ^ server.port()) % KEPT;
        let kept = match &mut self.connections[self.present] {
            Some(kept) if kept.id == exchange.connection => kept,
            other => other.insert(Connection::new(exchange.connection)),
        };
        let host = exchange.request.head.host();
        if kept.host.as_deref() != host {
            kept.turn_to_host(host);
        }
        let second = exchange.request.first_byte.as_nanos().div_euclid(1_000_000_000);
        if self.second != Some(second) {
            self.turn_to_second(second, exchange.request.first_byte);
        }
    }

    #[cold]
    fn turn_to_second(&mut self, second: i64, time: Timestamp) {
        self.second = Some(second);
        for (place, byte) in self.time[START..].iter_mut().zip(time.text().as_str().bytes()) {
            *place = byte;
        }
    }

    /// The member that names the connection, and the name of the one behind it.
    #[inline]
    pub(super) fn connection(&self) -> &[u8] {
        self.present().map_or(&[], |kept| &kept.text[..kept.ends])
    }

    /// The members that name its ends.
    #[inline]
    pub(super) fn ends(&self) -> &[u8] {
        self.present().map_or(&[], |kept| &kept.text[kept.ends..kept.version])
    }

    /// The same, with a version of HTTP/1.1 and the name of the member behind it.
    #[inline]
    pub(super) fn ends_and_version(&self) -> &[u8] {
        self.present().map_or(&[], |kept| &kept.text[kept.ends..])
    }

    /// The member that names the host, and the name of the one behind it; nothing where that is too long to be kept.
    #[inline]
    pub(super) fn host(&self) -> &[u8] {
        self.present().map_or(&[], |kept| &kept.host_text)
    }

    /// The client's address.
    pub(super) fn client(&self) -> &[u8] {
        self.present().map_or(&[], |kept| &kept.text[kept.client.clone()])
    }

    /// The member that tells a time in the present second.
    #[inline]
    pub(super) fn time(&self, time: Timestamp) -> [u8; TIME] {
        // Below 10^9.
        let nanos = u32::try_from(time.as_nanos().rem_euclid(1_000_000_000)).unwrap_or(0);
        let mut text = self.time;
        let digits = [nanos / 1_000_000, nanos / 1000, nanos].map(three);
        text[FRACTION].copy_from_slice(digits.as_flattened());
        text
    }

    #[inline]
    fn present(&self) -> Option<&Connection> {
        self.connections[self.present].as_ref()
    }
}

impl Connection {
    fn new(id: ConnectionId) -> Self {
        let mut text = Vec::with_capacity(192);
        text.extend_from_slice(b",\"connection\":\"");
        let start = text.len();
        address(&mut text, id.client);
        let client = start..text.len();
        text.push(b'>');
        let start = text.len();
        address(&mut text, id.server);
        let server = start..text.len();
        if id.instance > 1 {
            text.push(b'#');
            number(&mut text, id.instance.into());
        }
        text.extend_from_slice(b"\",\"ordinal\":");
        let ends = text.len();
        text.extend_from_slice(b",\"client\":\"");
        text.extend_from_within(client.clone());
        text.extend_from_slice(b"\",\"server\":\"");
        text.extend_from_within(server);
        text.push(b'"');
        let version = text.len();
        text.extend_from_slice(VERSION);
        let mut connection = Self { id, text, client, ends, version, host: None, host_text: Vec::new() };
        connection.turn_to_host(None);
        connection
    }

    #[inline(never)]
    fn turn_to_host(&mut self, host: Option<&[u8]>) {
        self.host_text.clear();
        let short = host.filter(|host| host.len() <= LONGEST_HOST);
        self.host = short.map(<[u8]>::to_vec);
        if host.is_none() || short.is_some() {
            host_and_status(&mut self.host_text, host);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_connections_are_as_they_are_displayed() {
        let addresses = ["0.0.0.0:0", "203.0.113.255:65535", "[::1]:80", "[2001:db8::a]:443"];
        for (client, server) in addresses.iter().flat_map(|a| addresses.map(|b| (a, b))) {
            for instance in [1, 2, u32::MAX] {
                let (client, server) = (client.parse().unwrap(), server.parse().unwrap());
                let id = ConnectionId { client, server, instance };
                let Connection { text, client, ends, version, .. } = Connection::new(id);
                let [name, places] = [&text[..ends], &text[ends..version]].map(String::from_utf8_lossy);
                assert_eq!(name, format!(",\"connection\":\"{id}\",\"ordinal\":"));
                assert_eq!(places, format!(",\"client\":\"{}\",\"server\":\"{}\"", id.client, id.server));
                assert_eq!(String::from_utf8_lossy(&text[client]), id.client.to_string());
            }
        }
    }
}
