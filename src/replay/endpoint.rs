//! Where v2 is, as a socket reaches it: addresses or a path, with or without TLS.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::outcome::Failure;
use super::own::OwnConnections;
use super::stream::{Socket, Stream};
use super::tls::Tls;

/// Where v2 is. Cloning is cheap, and clones share what they learn of the addresses.
#[derive(Clone, Debug)]
pub struct Endpoint {
    place: Place,
    tls: Option<Tls>,
    /// The address that took the last connection, by its place in the list.
    good: Arc<AtomicUsize>,
    /// Where connections are made known, where somebody wants to know them.
    own: Option<OwnConnections>,
}

/// What a socket is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A port of a host: the addresses that its name has, in the resolver's order; never empty.
    Tcp(Arc<[SocketAddr]>),
    /// A Unix socket.
    Unix(PathBuf),
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) struct Unconnected {
    pub(super) failure: Failure,
    /// The particulars, for a person.
    pub(super) detail: String,
}

impl Endpoint {
    /// An endpoint; with `tls` each connection begins with a handshake.
    #[must_use]
    pub fn new(place: Place, tls: Option<Tls>) -> Self {
        Self { place, tls, good: Arc::default(), own: None }
    }

    /// The same, which makes each of its connections known before anything is sent over it.
    #[must_use]
    pub fn registering(self, own: &OwnConnections) -> Self {
        Self { own: Some(own.clone()), ..self }
    }

    /// Where its connections are made known, if they are.
    pub(super) fn own(&self) -> Option<&OwnConnections> {
        self.own.as_ref()
    }

    /// What a socket is connected to.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// How TLS is spoken there, if it is.
    #[must_use]
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// A new connection, handshake included, within `limit`.
    pub(super) async fn connect(&self, limit: Duration) -> Result<Stream, Unconnected> {
        let deadline = Instant::now() + limit;
        let socket = self.reach(deadline, limit).await?;
        let Some(tls) = &self.tls else { return Ok(Stream::Plain(socket)) };
        match timeout_at(deadline, tls.handshake(socket)).await {
            Ok(Ok(stream)) => Ok(Stream::Tls(Box::new(stream))),
            Ok(Err(error)) => {
                let detail = format!("no TLS session with {self} ({}): {error}", tls.server());
                Err(Unconnected { failure: Failure::Tls, detail })
            }
            Err(_) => {
                let detail = format!("no TLS session with {self} within {limit:?}");
                Err(Unconnected { failure: Failure::ConnectTimeout, detail })
            }
        }
    }

    async fn reach(&self, deadline: Instant, limit: Duration) -> Result<Socket, Unconnected> {
        let addresses = match &self.place {
            Place::Tcp(addresses) => addresses,
            Place::Unix(path) => return self.reach_path(path, deadline, limit).await,
        };
        let first = self.good.load(Ordering::Relaxed);
        let mut last = None;
        for turn in 0..addresses.len() {
            let index = (first + turn) % addresses.len();
            let Some(&address) = addresses.get(index) else { break };
            // An address that swallows what is sent to it leaves the others their share of the time.
            let left = u32::try_from(addresses.len() - turn).unwrap_or(u32::MAX);
            let share = Instant::now() + deadline.saturating_duration_since(Instant::now()) / left;
            match timeout_at(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    self.good.store(index, Ordering::Relaxed);
                    let registration = self.own.as_ref().and_then(|own| own.register_stream(&stream));
                    return Ok(Socket::tcp(stream, registration));
                }
                Ok(Err(error)) => last = Some(refused(&address, &error)),
                Err(_) => last = Some(too_late(&address, limit)),
            }
        }
        Err(last.unwrap_or_else(|| refused(self, &io::Error::other("it has no address"))))
    }

    #[cfg(unix)]
    async fn reach_path(
        &self,
        path: &Path,
        deadline: Instant,
        limit: Duration,
    ) -> Result<Socket, Unconnected> {
        match timeout_at(deadline, tokio::net::UnixStream::connect(path)).await {
            Ok(Ok(stream)) => Ok(Socket::unix(stream)),
            Ok(Err(error)) => Err(refused(self, &error)),
            Err(_) => Err(too_late(self, limit)),
        }
    }

    #[cfg(not(unix))]
    async fn reach_path(&self, _: &Path, _: Instant, _: Duration) -> Result<Socket, Unconnected> {
        Err(refused(self, &io::ErrorKind::Unsupported.into()))
    }
}

/// A host with one address, without TLS.
impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self::new(Place::Tcp(Arc::new([address])), None)
    }
}

/// The address that took the last connection, or will be tried first; or the path.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Tcp(addresses) => match addresses.get(self.good.load(Ordering::Relaxed)) {
                Some(address) => address.fmt(f),
                None => f.write_str("nowhere"),
            },
            Place::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

fn refused(place: &dyn fmt::Display, error: &io::Error) -> Unconnected {
    Unconnected { failure: Failure::Connect, detail: format!("cannot connect to {place}: {error}") }
}

fn too_late(place: &dyn fmt::Display, limit: Duration) -> Unconnected {
    let detail = format!("no connection to {place} within {limit:?}");
    Unconnected { failure: Failure::ConnectTimeout, detail }
}
