//! The replay's own connections, by which its traffic is known again where it is captured.
//!
//! On an interface that carries v1's traffic and the shadows', a shadow would be captured, shadowed,
//! captured again, and so on without end. Names and hosts do not tell them apart for certain; the two
//! endpoints of a connection do, as long as nothing translates addresses between the socket and the
//! interface.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

/// How long a connection is known after it was closed: what was captured of it may wait in queues, and
/// its last packets come after the close. The system gives its port to no other for a minute.
const REMEMBERED: Duration = Duration::from_secs(30);

/// The connections that the replay has open, or had until just now; cloning gives the same ones.
#[derive(Clone, Debug, Default)]
pub struct OwnConnections(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// By local and remote address; with the time of its close, where it is closed.
    connections: HashMap<(SocketAddr, SocketAddr), Option<Instant>, RandomState>,
    /// When those that were closed long ago are looked for next.
    sweep: Option<Instant>,
}

/// Keeps a connection known until it is dropped, and a while longer.
#[derive(Debug)]
pub struct Registration {
    all: OwnConnections,
    key: (SocketAddr, SocketAddr),
}

impl OwnConnections {
    /// Makes a connection known. To be called before anything is sent over it.
    #[must_use]
    pub fn register(&self, local: SocketAddr, remote: SocketAddr) -> Registration {
        let key = (canonical(local), canonical(remote));
        let mut known = self.lock();
        known.forget(Instant::now());
        known.connections.insert(key, None);
        drop(known);
        Registration { all: self.clone(), key }
    }

    /// Makes a connection known whose close nobody tells: it stays known. There can be no more of them than a machine
    /// has ports for the servers that it speaks to.
    pub(super) fn register_for_good(&self, local: SocketAddr, remote: SocketAddr) {
        self.lock().connections.insert((canonical(local), canonical(remote)), None);
    }

    /// Makes a connected socket known. `None` where it is no longer connected.
    pub(super) fn register_stream(&self, stream: &tokio::net::TcpStream) -> Option<Registration> {
        Some(self.register(stream.local_addr().ok()?, stream.peer_addr().ok()?))
    }

    /// Whether what goes between these two endpoints, in either direction, is the replay's own.
    #[must_use]
    pub fn contains(&self, one: SocketAddr, other: SocketAddr) -> bool {
        let (one, other) = (canonical(one), canonical(other));
        let known = self.lock();
        known.connections.contains_key(&(one, other)) || known.connections.contains_key(&(other, one))
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Forgets what was closed long ago, now and then.
    fn forget(&mut self, now: Instant) {
        if self.sweep.is_some_and(|at| now < at) {
            return;
        }
        self.sweep = Some(now + REMEMBERED);
        self.connections.retain(|_, closed| closed.is_none_or(|at| now.duration_since(at) < REMEMBERED));
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(closed) = self.all.lock().connections.get_mut(&self.key) {
            *closed = Some(Instant::now());
        }
    }
}

/// A socket for both IP versions tells IPv4 addresses in the form of IPv6; packets do not.
fn canonical(at: SocketAddr) -> SocketAddr {
    SocketAddr::new(at.ip().to_canonical(), at.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_connection_is_known_in_both_directions_and_by_both_ends() {
        let own = OwnConnections::default();
        let _open = own.register(at("10.0.0.1:40000"), at("10.0.0.2:80"));
        assert!(own.contains(at("10.0.0.1:40000"), at("10.0.0.2:80")));
        assert!(own.contains(at("10.0.0.2:80"), at("10.0.0.1:40000")));
        assert!(!own.contains(at("10.0.0.1:40000"), at("10.0.0.3:80")), "another server");
        assert!(!own.contains(at("10.0.0.1:40001"), at("10.0.0.2:80")), "another client of v2");
    }

    #[test]
    fn an_ipv4_address_is_the_same_in_the_form_of_ipv6() {
        let own = OwnConnections::default();
        let _open = own.register(at("[::ffff:10.0.0.1]:40000"), at("[::ffff:10.0.0.2]:80"));
        assert!(own.contains(at("10.0.0.1:40000"), at("10.0.0.2:80")));
    }

    #[test]
    fn a_closed_connection_is_known_for_a_while() {
        let own = OwnConnections::default();
        drop(own.register(at("10.0.0.1:40000"), at("10.0.0.2:80")));
        assert!(own.contains(at("10.0.0.1:40000"), at("10.0.0.2:80")));
        own.lock().sweep = None;
        own.lock().forget(Instant::now() + REMEMBERED);
        assert!(!own.contains(at("10.0.0.1:40000"), at("10.0.0.2:80")));
    }
}
