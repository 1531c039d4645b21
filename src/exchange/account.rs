//! What became of the bytes of all streams.

use crate::anomaly::AnomalyCounts;
use crate::http::Account;

use super::Protocol;

/// Connections and bytes of one protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProtocolAccount {
    /// Connections that speak it.
    pub connections: u64,
    /// Their bytes, both directions together, gaps not counted. For HTTP/1 they are broken down in
    /// [`ExchangeAccount::http`] instead, and this is zero.
    pub bytes: u64,
    /// Bytes missing from those.
    pub gap: u64,
}

/// What an [`ExchangeReader`](super::ExchangeReader) has seen. Open connections are in it only after
/// they have closed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExchangeAccount {
    /// Bytes of the HTTP/1 connections, both directions together.
    pub http: Account,
    /// By protocol, in the order of [`Protocol::ALL`].
    protocols: [ProtocolAccount; Protocol::ALL.len()],
    /// Connections that began with a SOCKS handshake; they also count under what followed it.
    pub socks_connections: u64,
    /// Bytes of those handshakes.
    pub socks: u64,
    /// Connections that began with a preface of the PROXY protocol; they also count under what followed it.
    pub proxy_connections: u64,
    /// Bytes of those prefaces.
    pub proxy: u64,
    /// Exchanges told.
    pub exchanges: u64,
    /// Those of them without a response.
    pub unanswered: u64,
    /// Responses that no captured request asked for; they are in no exchange.
    pub orphans: u64,
    /// What was odd and belongs to no exchange. (Exchanges and messages carry their own.)
    pub anomalies: AnomalyCounts,
}

impl ExchangeAccount {
    /// The account of one protocol.
    #[must_use]
    pub fn of(&self, protocol: Protocol) -> ProtocolAccount {
        self.protocols[protocol as usize]
    }

    pub(super) fn of_mut(&mut self, protocol: Protocol) -> &mut ProtocolAccount {
        &mut self.protocols[protocol as usize]
    }

    /// All bytes that were handed in, the missing ones included.
    #[must_use]
    pub fn total(&self) -> u64 {
        let others: u64 = self.protocols.iter().map(|account| account.bytes + account.gap).sum();
        self.http.total() + others + self.socks + self.proxy
    }

    /// Adds another account to this one.
    pub fn merge(&mut self, other: &Self) {
        self.http.merge(&other.http);
        for (mine, theirs) in self.protocols.iter_mut().zip(other.protocols) {
            mine.connections += theirs.connections;
            mine.bytes += theirs.bytes;
            mine.gap += theirs.gap;
        }
        self.socks_connections += other.socks_connections;
        self.socks += other.socks;
        self.proxy_connections += other.proxy_connections;
        self.proxy += other.proxy;
        self.exchanges += other.exchanges;
        self.unanswered += other.unanswered;
        self.orphans += other.orphans;
        self.anomalies.merge(&other.anomalies);
    }
}
