//! Which of the captured exchanges are copies that a mesh made.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use crate::exchange::Exchange;
use crate::exchange::mirrors::Side;
use crate::http::RequestHead;
use crate::http::head::absolute_authority;
use crate::route::host::{is_shadow, is_shadow_request, without_suffix};

/// What tells a copy from its original.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sides {
    /// What the mesh adds to the Host of a copy; `None` where it adds nothing (Istio 1.28 and later).
    pub suffix: Option<String>,
    /// The servers that get copies and nothing else. What goes elsewhere is then no copy unless its Host
    /// says so.
    pub servers: Vec<ShadowServer>,
}

impl Sides {
    /// The side of an exchange.
    #[must_use]
    pub fn of(&self, exchange: &Exchange) -> Side {
        if let Some(host) =
            self.suffix.as_deref().and_then(|suffix| host_of_primary(&exchange.request.head, suffix))
        {
            return Side::Shadow(host);
        }
        if self.servers.iter().any(|server| server.is(exchange.connection.server)) {
            return Side::ToShadowServer;
        }
        if self.suffix.is_none() && self.servers.is_empty() { Side::Unmarked } else { Side::Primary }
    }
}

/// The host without the suffix, where a host that the request names has it.
fn host_of_primary(head: &RequestHead, suffix: &str) -> Option<Vec<u8>> {
    if !is_shadow_request(head, suffix) {
        return None;
    }
    let named = absolute_authority(head.target()).into_iter().chain(head.headers.all("host"));
    let host = named.into_iter().find(|host| is_shadow(host, suffix))?;
    // The suffix may be written in another case than ours.
    let lower = without_suffix(&host.to_ascii_lowercase(), &suffix.to_ascii_lowercase())?;
    Some(lower.to_vec())
}

/// A server that gets copies: an address, a port, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShadowServer {
    ip: Option<IpAddr>,
    port: Option<u16>,
}

impl ShadowServer {
    fn is(self, server: SocketAddr) -> bool {
        self.ip.is_none_or(|ip| ip.to_canonical() == server.ip().to_canonical())
            && self.port.is_none_or(|port| port == server.port())
    }
}

/// The text names no server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a server of a capture: an address, `ADDRESS:PORT` or `:PORT`, such as 10.0.0.7, [::1]:8002 or :8002"
)]
pub struct ShadowServerError(String);

/// Reads `10.0.0.7`, `::1`, `[::1]:8002`, `10.0.0.7:8002` or `:8002`.
impl FromStr for ShadowServer {
    type Err = ShadowServerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        let ip = bare.parse().ok().map(|ip| Self { ip: Some(ip), port: None });
        let both =
            || text.parse::<SocketAddr>().ok().map(|at| Self { ip: Some(at.ip()), port: Some(at.port()) });
        let port = || text.strip_prefix(':')?.parse().ok().map(|port| Self { ip: None, port: Some(port) });
        ip.or_else(both).or_else(port).ok_or_else(|| ShadowServerError(text.to_owned()))
    }
}

/// As it is read.
impl fmt::Display for ShadowServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.ip, self.port) {
            (Some(ip), Some(port)) => SocketAddr::new(ip, port).fmt(f),
            (Some(ip), None) => ip.fmt(f),
            (None, port) => write!(f, ":{}", port.unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::samples;

    #[test]
    fn a_server_is_an_address_a_port_or_both() {
        for (text, is, is_not) in [
            ("10.0.0.7", "10.0.0.7:1", "10.0.0.8:1"),
            ("10.0.0.7:80", "[::ffff:10.0.0.7]:80", "10.0.0.7:81"),
            ("::1", "[::1]:9", "[::2]:9"),
            ("[::1]:8002", "[::1]:8002", "[::1]:8001"),
            (":8002", "192.0.2.1:8002", "192.0.2.1:8001"),
        ] {
            let server: ShadowServer = text.parse().unwrap();
            assert_eq!(server.to_string(), text);
            assert!(server.is(is.parse().unwrap()) && !server.is(is_not.parse().unwrap()), "{text}");
        }
        for text in ["", ":", "v2", "v2:80", "10.0.0.7:", "10.0.0.7:99999", "10.0.0", "http://10.0.0.7"] {
            assert!(text.parse::<ShadowServer>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_copy_is_known_by_its_host_or_its_server() {
        let by_name = Sides { suffix: Some("-shadow".into()), servers: Vec::new() };
        let by_server = Sides { suffix: None, servers: vec!["10.0.0.2".parse().unwrap()] };
        let by_neither = Sides::default();
        let both = Sides { suffix: by_name.suffix.clone(), servers: vec![":1".parse().unwrap()] };
        let shadow = |host: &str| Side::Shadow(host.into());
        for (sides, request, side) in [
            (&by_name, "GET / HTTP/1.1\r\nHost: Shop-SHADOW:8000\r\n\r\n", shadow("shop:8000")),
            (&by_name, "GET http://a-shadow/ HTTP/1.1\r\nHost: b\r\n\r\n", shadow("a")),
            (&by_name, "GET / HTTP/1.1\r\nHost: -shadow\r\n\r\n", shadow("")),
            (&by_name, "GET / HTTP/1.1\r\nHost: shop\r\n\r\n", Side::Primary),
            (&by_name, "GET / HTTP/1.0\r\n\r\n", Side::Primary),
            (&by_server, "GET / HTTP/1.1\r\nHost: a-shadow\r\n\r\n", Side::ToShadowServer),
            (&by_neither, "GET / HTTP/1.1\r\nHost: a-shadow\r\n\r\n", Side::Unmarked),
            (&both, "GET / HTTP/1.1\r\nHost: a-shadow\r\n\r\n", shadow("a")),
            (&both, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", Side::Primary),
        ] {
            let row = samples::row(request, "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n");
            assert_eq!(sides.of(&row.exchange), side, "{request}");
        }
    }
}
