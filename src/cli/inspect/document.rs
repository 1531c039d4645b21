//! The totals of a capture, as a document of fixed field names.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::capture::CaptureStats;
use crate::exchange::Protocol;
use crate::pipeline::Account;
use crate::time::Timestamp;

/// The capture's totals: what `--format json` adds to the exchanges, and the text form ends with.
#[derive(Debug, Serialize)]
pub(super) struct Document {
    pub(super) capture: Capture,
    pub(super) packets: BTreeMap<&'static str, u64>,
    pub(super) streams: Streams,
    pub(super) connections: BTreeMap<&'static str, u64>,
    pub(super) http: Http,
    /// Bytes of the streams that are not HTTP/1's, by what they are, those missing under `gap`. Together with the bytes
    /// of `http` they are what the streams delivered and lost.
    pub(super) other_bytes: BTreeMap<&'static str, u64>,
    pub(super) anomalies: BTreeMap<&'static str, u64>,
    /// Sums that do not come out even; empty where every packet and byte is accounted for.
    pub(super) imbalances: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Capture {
    pub(super) files: Vec<CaptureFile>,
    pub(super) skipped_files: Vec<SkippedFile>,
    pub(super) packets: u64,
    pub(super) bytes: u64,
    pub(super) first_packet: Option<Timestamp>,
    pub(super) last_packet: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
pub(super) struct CaptureFile {
    pub(super) name: String,
    pub(super) format: &'static str,
    pub(super) compression: &'static str,
    pub(super) packets: u64,
    /// Where the file breaks off, in bytes of the uncompressed file.
    pub(super) truncated_at: Option<u64>,
}

#[derive(Debug, Serialize)]
pub(super) struct SkippedFile {
    pub(super) name: String,
    pub(super) why: String,
}

/// Bytes of TCP payload: `payload` is the sum of those from `delivered` to `out_of_window`.
#[derive(Debug, Serialize)]
pub(super) struct Streams {
    pub(super) payload: u64,
    pub(super) delivered: u64,
    pub(super) retransmitted: u64,
    pub(super) conflicting: u64,
    pub(super) keep_alive: u64,
    pub(super) after_end: u64,
    pub(super) late: u64,
    pub(super) out_of_window: u64,
    /// Bytes that were on the wire and are not in the capture.
    pub(super) lost: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Http {
    pub(super) exchanges: u64,
    pub(super) unanswered: u64,
    pub(super) orphan_responses: u64,
    /// Bytes of the HTTP/1 streams, by what they are.
    pub(super) head_bytes: u64,
    pub(super) body_bytes: u64,
    pub(super) tunnel_bytes: u64,
    pub(super) headless_bytes: u64,
    pub(super) stray_bytes: u64,
    pub(super) torn_bytes: u64,
    pub(super) gap_bytes: u64,
}

impl Document {
    pub(super) fn new(capture: &CaptureStats, account: &Account) -> Self {
        let streams = account.streams.total();
        let exchanges = &account.exchanges;
        let mut anomalies = account.anomalies();
        anomalies.merge(&capture.anomalies());
        let protocols = Protocol::ALL.iter().map(|&p| (p.name(), exchanges.of(p).connections));
        let protocol_bytes = Protocol::ALL.iter().map(|&p| (p.name(), exchanges.of(p).bytes));
        let other_bytes = [
            ("socks", exchanges.socks),
            ("proxy-preface", exchanges.proxy),
            ("gap", Protocol::ALL.iter().map(|&p| exchanges.of(p).gap).sum()),
        ];
        let others = [
            ("empty", account.streams.empty_connections),
            ("behind-socks", exchanges.socks_connections),
            ("behind-proxy-preface", exchanges.proxy_connections),
        ];
        Self {
            capture: Capture::new(capture),
            packets: account.packets.iter().map(|(class, n)| (class.name(), n)).collect(),
            streams: Streams {
                payload: streams.payload,
                delivered: streams.delivered,
                retransmitted: streams.duplicate,
                conflicting: streams.conflicting,
                keep_alive: streams.keep_alive,
                after_end: streams.after_end,
                late: streams.late,
                out_of_window: streams.out_of_window,
                lost: streams.lost,
            },
            connections: protocols.chain(others).filter(|&(_, n)| n > 0).collect(),
            http: Http {
                exchanges: exchanges.exchanges,
                unanswered: exchanges.unanswered,
                orphan_responses: exchanges.orphans,
                head_bytes: exchanges.http.head,
                body_bytes: exchanges.http.body,
                tunnel_bytes: exchanges.http.tunnel,
                headless_bytes: exchanges.http.headless,
                stray_bytes: exchanges.http.stray,
                torn_bytes: exchanges.http.torn,
                gap_bytes: exchanges.http.gap,
            },
            other_bytes: protocol_bytes.chain(other_bytes).filter(|&(_, n)| n > 0).collect(),
            anomalies: anomalies.iter().map(|(anomaly, n)| (anomaly.name(), n)).collect(),
            imbalances: account.imbalances(),
        }
    }

    /// Where no exchange was found: what was there instead, and what to try.
    pub(super) fn why_nothing(&self) -> String {
        let seen = |map: &BTreeMap<&'static str, u64>| {
            let all: Vec<_> = map.iter().map(|(name, n)| format!("{name} {n}")).collect();
            if all.is_empty() { "none".to_owned() } else { all.join(", ") }
        };
        format!(
            "no HTTP exchange in {} packets (packets: {}; connections: {}). Was the capture taken where the traffic \
             is in clear text, and with the service's port?",
            self.capture.packets,
            seen(&self.packets),
            seen(&self.connections)
        )
    }
}

impl Capture {
    fn new(stats: &CaptureStats) -> Self {
        let file = |f: &crate::capture::FileStats| CaptureFile {
            name: f.name.to_string(),
            format: f.format.name(),
            compression: f.compression.name(),
            packets: f.packets,
            truncated_at: f.truncated.map(|t| t.offset),
        };
        let skipped =
            |s: &crate::capture::SkippedFile| SkippedFile { name: s.name.to_string(), why: s.why.clone() };
        Self {
            files: stats.files.iter().map(file).collect(),
            skipped_files: stats.skipped.iter().map(skipped).collect(),
            packets: stats.packets(),
            bytes: stats.bytes(),
            first_packet: stats.first_packet(),
            last_packet: stats.last_packet(),
        }
    }
}
