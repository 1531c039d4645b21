//! Where v2 is, and how it is spoken to.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;

use reqwest::Url;

use super::ConfigError;
use crate::replay::client::{Client, ClientKind, Limits};
use crate::replay::clock::Clock;
use crate::replay::endpoint::{Endpoint, Place};
use crate::replay::own::OwnConnections;
use crate::replay::reqwest_client::{ReqwestClient, Via};
use crate::replay::tls::{Tls, TlsOptions};

const HINT: &str = "write http://HOST:PORT, https://HOST:PORT or unix:/PATH, such as http://127.0.0.1:8080";

/// Where v2 is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The option that names it.
    option: &'static str,
    /// The URL as reports show it.
    pub url: String,
    /// Scheme, host and port.
    base: Url,
    /// What a socket connects to; without an address only where the name did not have to resolve.
    place: Place,
}

impl Target {
    /// Resolves `http://HOST[:PORT]`, `https://HOST[:PORT]`, `unix:/PATH`, or `http+unix://PATH` with the
    /// path's slashes escaped.
    ///
    /// # Errors
    /// When it is no such URL, or its host does not resolve.
    pub fn resolve(option: &'static str, given: &str) -> Result<Self, ConfigError> {
        let target = Self::read(option, given)?;
        let base = &target.base;
        let Place::Tcp(_) = target.place else { return Ok(target) };
        let addresses = resolve(base.host_str().unwrap_or_default(), port(base))
            .map_err(|e| ConfigError::new(option, given, format!("the host does not resolve ({e})")))?;
        Ok(Self { place: Place::Tcp(addresses.into()), ..target })
    }

    /// The same for a host whose name someone else resolves, such as a proxy: it need not resolve here.
    ///
    /// # Errors
    /// When it is no such URL.
    pub fn resolve_if_known(option: &'static str, given: &str) -> Result<Self, ConfigError> {
        Self::resolve(option, given).or_else(|_| Self::read(option, given))
    }

    /// The port of HTTP in plain text, which whoever captures it can read.
    #[cfg(feature = "live")]
    #[must_use]
    pub fn readable_port(&self) -> Option<u16> {
        (self.base.scheme() == "http" && matches!(self.place, Place::Tcp(_))).then(|| port(&self.base))
    }

    /// The addresses that a host resolved to, in the resolver's order.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        match &self.place {
            Place::Tcp(addresses) => addresses,
            Place::Unix(_) => &[],
        }
    }

    /// Whether it is spoken to by TLS.
    fn is_https(&self) -> bool {
        self.base.scheme() == "https"
    }

    /// What stands there, as yet without addresses.
    fn read(option: &'static str, given: &str) -> Result<Self, ConfigError> {
        let error = |problem: String| ConfigError::new(option, without_credentials(given), problem);
        if let Some(path) = unix_path(given) {
            if !path.is_absolute() {
                return Err(error(format!("the path of the socket is not absolute; {HINT}")));
            }
            let base = Url::parse("http://localhost").map_err(|e| error(e.to_string()))?;
            return Ok(Self { option, url: given.to_owned(), base, place: Place::Unix(path) });
        }
        let url = Url::parse(given).map_err(|e| error(format!("not a URL ({e}); {HINT}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(error(format!("neither http, https nor unix; {HINT}")));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(error(format!("paths come from the capture, so the target has none; {HINT}")));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(error(format!("credentials do not belong in the target; {HINT}")));
        }
        if url.host_str().is_none() {
            return Err(error(format!("it names no host; {HINT}")));
        }
        let shown = given.trim_end_matches('/').to_owned();
        Ok(Self { option, url: shown, base: url, place: Place::Tcp(Arc::new([])) })
    }
}

/// How v2 is spoken to, whichever target it is.
#[derive(Clone, Debug)]
pub struct Connecting {
    /// By which client.
    pub client: ClientKind,
    /// How long, and how much, it waits for.
    pub limits: Limits,
    /// What is asked of TLS.
    pub tls: TlsOptions,
    /// Whether a proxy stands between.
    pub via: Via,
}

impl Connecting {
    /// The proxy that a URL names.
    ///
    /// # Errors
    /// When it is none that can be used.
    pub fn proxy(given: &str) -> Result<Via, ConfigError> {
        let error = |problem: &str| ConfigError::new("--proxy", without_credentials(given), problem);
        let hint = "write http://HOST:PORT, https://HOST:PORT, socks5://HOST:PORT or socks5h://HOST:PORT";
        let url = Url::parse(given).map_err(|e| error(&format!("not a URL ({e}); {hint}")))?;
        let known = matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h" | "socks4" | "socks4a");
        if known && url.host_str().is_some() { Ok(Via::Proxy(url)) } else { Err(error(hint)) }
    }

    /// The target that was typed; behind a proxy its name need not resolve here.
    ///
    /// # Errors
    /// When it is none.
    pub fn target(&self, option: &'static str, given: &str) -> Result<Target, ConfigError> {
        match self.via {
            Via::Direct => Target::resolve(option, given),
            Via::Proxy(_) | Via::Environment => Target::resolve_if_known(option, given),
        }
    }

    /// The client for a target.
    ///
    /// # Errors
    /// When the options contradict the target or each other, or a file that they name cannot be used.
    pub fn client(&self, target: &Target, clock: Clock) -> Result<Client, ConfigError> {
        let endpoint = Endpoint::new(target.place.clone(), self.tls(target)?);
        self.client_of(endpoint, target, clock)
    }

    /// The same, which makes each of its connections known before a request is sent over it.
    ///
    /// # Errors
    /// As with [`client`](Self::client).
    pub fn registering_client(
        &self,
        target: &Target,
        clock: Clock,
        own: &OwnConnections,
    ) -> Result<Client, ConfigError> {
        let endpoint = Endpoint::new(target.place.clone(), self.tls(target)?);
        self.client_of(endpoint.registering(own), target, clock)
    }

    fn client_of(&self, endpoint: Endpoint, target: &Target, clock: Clock) -> Result<Client, ConfigError> {
        if self.client == ClientKind::Exact {
            if self.via != Via::Direct {
                let problem = "the exact client speaks to v2 itself; a proxy takes --client reqwest";
                return Err(ConfigError::new("--client", "exact", problem));
            }
            return Ok(Client::new(endpoint, self.limits, clock));
        }
        let base = self.named(target)?;
        let refused = |error: reqwest::Error| {
            ConfigError::new("--client", "reqwest", format!("it cannot be set up: {}", error.without_url()))
        };
        let client = ReqwestClient::new(base, &endpoint, self.via.clone(), self.limits).map_err(refused)?;
        Ok(Client::with_reqwest(client, clock))
    }

    /// Whether there is a target for all that was said of TLS.
    ///
    /// # Errors
    /// When something was, and none of the targets is spoken to by TLS.
    pub fn fits<'t>(&self, targets: impl IntoIterator<Item = &'t Target>) -> Result<(), ConfigError> {
        let TlsOptions { ca, identity, sni, insecure } = &self.tls;
        let asked = [
            (ca.is_some(), "--ca"),
            (identity.is_some(), "--cert"),
            (sni.is_some(), "--sni"),
            (*insecure, "--insecure"),
        ];
        let mut targets = targets.into_iter().peekable();
        let Some((_, option)) = asked.into_iter().find(|(given, _)| *given) else { return Ok(()) };
        let shown = targets.peek().map(|target| target.url.clone());
        if targets.any(Target::is_https) {
            return Ok(());
        }
        match shown {
            Some(url) => Err(ConfigError::new(option, url, "TLS is spoken to https:// targets alone")),
            None => Ok(()),
        }
    }

    fn tls(&self, target: &Target) -> Result<Option<Tls>, ConfigError> {
        if !target.is_https() {
            return Ok(None);
        }
        let host = target.base.host_str().unwrap_or_default();
        let tls = Tls::new(host, &self.tls).map_err(|error| error.to_string());
        tls.map(Some).map_err(|problem| ConfigError::new(target.option, &target.url, problem))
    }

    /// The target as reqwest has to call it, so that TLS asks for the right name.
    fn named(&self, target: &Target) -> Result<Url, ConfigError> {
        let Some(sni) = &self.tls.sni else { return Ok(target.base.clone()) };
        let error = |problem: &str| ConfigError::new("--sni", sni, problem);
        if self.via != Via::Direct {
            return Err(error("through a proxy, reqwest asks for the target's host; name that in its URL"));
        }
        let mut base = target.base.clone();
        base.set_host(Some(sni)).map_err(|_| error("not a host name"))?;
        Ok(base)
    }
}

/// The path of a Unix socket, where the target is one.
fn unix_path(given: &str) -> Option<PathBuf> {
    if let Some(escaped) = given.strip_prefix("http+unix://") {
        return unescaped(escaped.trim_end_matches('/')).map(PathBuf::from);
    }
    let path = given.strip_prefix("unix:")?;
    Some(PathBuf::from(path.strip_prefix("//").unwrap_or(path)))
}

/// A path whose slashes were escaped to make it a host (RFC 3986, section 2.1).
fn unescaped(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend(part.get(2..)?.bytes());
    }
    String::from_utf8(bytes).ok()
}

fn port(url: &Url) -> u16 {
    url.port_or_known_default().unwrap_or(80)
}

/// An address fit for messages: what stands before an `@` may be a password.
fn without_credentials(given: &str) -> String {
    match given.rsplit_once('@') {
        Some((before, after)) => {
            let scheme = before.split_once("://").map_or(String::new(), |(scheme, _)| format!("{scheme}://"));
            format!("{scheme}...@{after}")
        }
        None => given.to_owned(),
    }
}

fn resolve(host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let addresses: Vec<_> = (host, port).to_socket_addrs()?.collect();
    if addresses.is_empty() { Err(std::io::Error::other("no address")) } else { Ok(addresses) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_scheme_a_host_and_a_port() {
        for (given, address, tls) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080", false),
            ("http://127.0.0.1", "127.0.0.1:80", false),
            ("http://[::1]:9/", "[::1]:9", false),
            ("https://127.0.0.1", "127.0.0.1:443", true),
            ("HTTPS://[2001:db8::7]:8443", "[2001:db8::7]:8443", true),
        ] {
            let target = Target::resolve("--to", given).unwrap();
            assert_eq!(target.addresses(), [address.parse().unwrap()], "{given}");
            assert_eq!(target.base.scheme() == "https", tls, "{given}");
        }
    }

    #[test]
    fn a_target_may_be_a_unix_socket() {
        for given in ["unix:/run/v2.sock", "unix:///run/v2.sock", "http+unix://%2Frun%2fv2.sock/"] {
            let target = Target::resolve("--to", given).unwrap();
            assert_eq!(target.place, Place::Unix("/run/v2.sock".into()), "{given}");
        }
    }

    #[test]
    fn other_targets_are_refused_with_the_reason() {
        for (given, reason) in [
            ("127.0.0.1:8080", "not a"),
            ("localhost:8080", "neither http, https nor unix"),
            ("ftp://127.0.0.1", "neither http, https nor unix"),
            ("http://127.0.0.1/v2", "paths come from the capture"),
            ("http://me:pw@127.0.0.1", "credentials"),
            ("http://", "not a URL"),
            ("http://no-such-host.invalid", "does not resolve"),
            ("unix:relative.sock", "not absolute"),
            ("http+unix://host", "not absolute"),
            ("http+unix://%zz", "neither http, https nor unix"),
        ] {
            let message = Target::resolve("--to", given).unwrap_err().to_string();
            assert!(
                message.contains(reason) && message.contains("127.0.0.1:8080") | message.contains("resolve"),
                "{given}: {message}"
            );
        }
    }

    #[test]
    fn options_that_contradict_the_target_or_each_other_are_refused() {
        let plain = Connecting {
            client: ClientKind::Exact,
            limits: Limits::default(),
            tls: TlsOptions::default(),
            via: Via::Direct,
        };
        let insecure = TlsOptions { insecure: true, ..TlsOptions::default() };
        let named = TlsOptions { sni: Some("v2.example".into()), ..TlsOptions::default() };
        let proxy = Connecting::proxy("socks5h://127.0.0.1:1080").unwrap();
        let missing = TlsOptions { ca: Some("/no/such.pem".into()), ..TlsOptions::default() };
        let other = ClientKind::Reqwest;
        for (connecting, to, reason) in [
            (Connecting { tls: insecure, ..plain.clone() }, "http://127.0.0.1", "https:// targets alone"),
            (Connecting { via: proxy.clone(), ..plain.clone() }, "http://v2.invalid", "--client reqwest"),
            (
                Connecting { tls: missing, ..plain.clone() },
                "https://127.0.0.1",
                "/no/such.pem holds no certificate",
            ),
            (
                Connecting { tls: named, via: proxy, client: other, ..plain },
                "https://v2.invalid",
                "name that in its URL",
            ),
        ] {
            let target = connecting.target("--to", to).unwrap();
            let fits = connecting.fits([&target]);
            let message =
                fits.and_then(|()| connecting.client(&target, Clock::start())).unwrap_err().to_string();
            assert!(message.contains(reason), "{to}: {message}");
        }
    }

    #[test]
    fn a_proxy_is_a_url_whose_credentials_are_not_shown() {
        for given in
            ["http://127.0.0.1:3128", "https://me:pw@proxy:3129", "socks5://[::1]:1080", "socks5h://p"]
        {
            assert!(matches!(Connecting::proxy(given), Ok(Via::Proxy(_))), "{given}");
        }
        for given in ["127.0.0.1:3128", "ftp://me:secret@proxy", "nonsense"] {
            let message = Connecting::proxy(given).unwrap_err().to_string();
            assert!(message.contains("socks5h://HOST:PORT") && !message.contains("secret"), "{message}");
        }
    }
}
