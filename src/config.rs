//! What the user's words mean, resolved once.
//!
//! The command line is taken as typed; here each word becomes the value that the stages work with,
//! or a [`ConfigError`] that says which word, why, and what to write instead.

use std::net::{SocketAddr, ToSocketAddrs};

use reqwest::Url;

use crate::capture::Input;

/// A word of the user's that cannot be meant.
#[derive(Debug, thiserror::Error)]
#[error("{option} `{given}`: {problem}")]
pub struct ConfigError {
    /// The option or argument.
    pub option: &'static str,
    /// What was typed.
    pub given: String,
    /// What is wrong, and what to do.
    pub problem: String,
}

impl ConfigError {
    /// An error about an option's value.
    pub fn new(option: &'static str, given: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { option, given: given.into(), problem: problem.into() }
    }
}

/// The captures that the arguments name.
#[must_use]
pub fn inputs(captures: &[String]) -> Vec<Input> {
    captures.iter().map(Input::parse).collect()
}

/// Where v2 is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The URL as reports show it.
    pub url: String,
    /// The addresses it resolves to, in the resolver's order; never empty.
    pub addresses: Vec<SocketAddr>,
}

impl Target {
    /// Resolves `http://HOST[:PORT]`.
    ///
    /// # Errors
    /// When it is no such URL, or its host does not resolve.
    pub fn resolve(option: &'static str, given: &str) -> Result<Self, ConfigError> {
        let error = |problem: String| ConfigError::new(option, given, problem);
        let hint = "write http://HOST:PORT, such as http://127.0.0.1:8080";
        let url = Url::parse(given).map_err(|e| error(format!("not a URL ({e}); {hint}")))?;
        match url.scheme() {
            "http" => {}
            "https" => {
                return Err(error("https targets are not supported yet; use a plain http port of v2".into()));
            }
            _ => return Err(error(format!("not an http URL; {hint}"))),
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(error(format!("paths come from the capture, so the target has none; {hint}")));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(error(format!("credentials do not belong in the target; {hint}")));
        }
        let host = url.host_str().ok_or_else(|| error(format!("it names no host; {hint}")))?;
        let port = url.port_or_known_default().unwrap_or(80);
        let addresses = resolve(host, port).map_err(|e| error(format!("the host does not resolve ({e})")))?;
        Ok(Self { url: given.trim_end_matches('/').to_owned(), addresses })
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
        for (given, address) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://127.0.0.1", "127.0.0.1:80"),
            ("http://[::1]:9/", "[::1]:9"),
        ] {
            let target = Target::resolve("--to", given).unwrap();
            assert_eq!(target.addresses, [address.parse().unwrap()], "{given}");
        }
    }

    #[test]
    fn other_targets_are_refused_with_the_reason() {
        for (given, reason) in [
            ("127.0.0.1:8080", "not a"),
            ("localhost:8080", "not an http URL"),
            ("https://127.0.0.1", "not supported yet"),
            ("ftp://127.0.0.1", "not an http URL"),
            ("http://127.0.0.1/v2", "paths come from the capture"),
            ("http://me:pw@127.0.0.1", "credentials"),
            ("http://", "not a URL"),
            ("http://no-such-host.invalid", "does not resolve"),
        ] {
            let message = Target::resolve("--to", given).unwrap_err().to_string();
            assert!(message.contains(reason), "{given}: {message}");
        }
    }
}
