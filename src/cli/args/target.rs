//! How v2 is spoken to, as it can be typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::parse_duration;
use crate::config::{self, ConfigError, Connecting};
use crate::http::BodyKeep;
use crate::replay::client::{ClientKind, Limits};
use crate::replay::connections::Connections;
use crate::replay::reqwest_client::Via;
use crate::replay::tls::{Identity, TlsOptions};

/// A connection that takes longer is not made, unless the user says otherwise or allows less for all.
const CONNECT: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
#[command(next_help_heading = "Connecting")]
pub(crate) struct TargetArgs {
    /// Who sends: `exact` keeps every byte; `reqwest` is for targets behind a proxy, or in HTTP/2.
    #[arg(long, value_enum, default_value_t = ClientArg::Exact, value_name = "CLIENT")]
    pub(crate) client: ClientArg,
    /// Go through this proxy: http://, https://, socks5:// or socks5h://HOST:PORT; takes --client reqwest.
    #[arg(long, value_name = "URL")]
    pub(crate) proxy: Option<String>,
    /// Go through the proxy that the environment names, if any; takes --client reqwest.
    #[arg(long, conflicts_with = "proxy")]
    pub(crate) proxy_from_env: bool,
    /// Trust the authorities in this PEM file in place of the system's.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Show this certificate (PEM, with those between it and its authority) where v2 asks for one.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) cert: Option<PathBuf>,
    /// The private key of --cert, in PEM.
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
    /// Ask for this name, and demand a certificate for it, in place of the target's host.
    #[arg(long, value_name = "NAME")]
    pub(crate) sni: Option<String>,
    /// Take any certificate: whoever is on the way can read and answer the requests.
    #[arg(long)]
    pub(crate) insecure: bool,
    /// `captured`: a connection for each captured one, kept and closed as that one was; `pooled:N`: at most N, for
    /// whichever request comes next.
    #[arg(long, value_name = "WHICH", default_value = "captured")]
    pub(crate) connections: String,
    /// How long v2 may take to accept a connection, a TLS handshake included [default: 5s, at most --timeout].
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) timeout_connect: Option<Duration>,
    /// How long v2 may take, after a request is sent, to begin its answer [default: as --timeout].
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) timeout_first_byte: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClientArg {
    Exact,
    Reqwest,
}

impl TargetArgs {
    /// What was typed, with the limits for a whole answer, as the clients take it.
    pub(crate) fn resolve(&self, answer: Duration, keep: BodyKeep) -> Result<Connecting, ConfigError> {
        let identity = self.cert.clone().zip(self.key.clone());
        Ok(Connecting {
            client: match self.client {
                ClientArg::Exact => ClientKind::Exact,
                ClientArg::Reqwest => ClientKind::Reqwest,
            },
            limits: Limits {
                connect: self.timeout_connect.unwrap_or(CONNECT.min(answer)),
                first_byte: self.timeout_first_byte,
                answer,
                keep,
            },
            tls: TlsOptions {
                ca: self.ca.clone(),
                identity: identity.map(|(certificates, key)| Identity { certificates, key }),
                sni: self.sni.clone(),
                insecure: self.insecure,
            },
            via: match &self.proxy {
                Some(proxy) => Connecting::proxy(proxy)?,
                None if self.proxy_from_env => Via::Environment,
                None => Via::Direct,
            },
        })
    }

    /// Which connections are kept.
    pub(crate) fn connections(&self) -> Result<Connections, ConfigError> {
        config::parse("--connections", &self.connections)
    }

    /// What of it shapes the run, for the report; files and proxies are named without what is secret.
    pub(crate) fn options(&self) -> Vec<String> {
        let mut options = Vec::new();
        options.extend((self.client == ClientArg::Reqwest).then(|| "--client reqwest".to_owned()));
        options
            .extend((self.connections != "captured").then(|| format!("--connections {}", self.connections)));
        options.extend(self.proxy.as_ref().map(|_| "--proxy ...".to_owned()));
        options.extend(self.proxy_from_env.then(|| "--proxy-from-env".to_owned()));
        options.extend(self.ca.as_ref().map(|file| format!("--ca {}", file.display())));
        options.extend(self.cert.as_ref().map(|file| format!("--cert {}", file.display())));
        options.extend(self.sni.as_ref().map(|name| format!("--sni {name}")));
        options.extend(self.insecure.then(|| "--insecure".to_owned()));
        let duration = |name: &str, limit: Duration| format!("--{name} {}s", limit.as_secs_f64());
        options.extend(self.timeout_connect.map(|limit| duration("timeout-connect", limit)));
        options.extend(self.timeout_first_byte.map(|limit| duration("timeout-first-byte", limit)));
        options
    }
}
