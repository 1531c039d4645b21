//! What `inspect` prints, as documents of fixed field names.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::anomaly::AnomalySet;
use crate::capture::CaptureStats;
use crate::exchange::{Exchange, Protocol};
use crate::http::Body;
use crate::pipeline::Account;
use crate::time::Timestamp;

/// One exchange: a line of `--format jsonl`.
#[derive(Debug, Serialize)]
pub(super) struct Line<'e> {
    pub(super) id: String,
    pub(super) connection: String,
    pub(super) ordinal: u32,
    /// The capture time of the request's first byte.
    pub(super) time: Timestamp,
    pub(super) client: String,
    pub(super) server: String,
    pub(super) version: String,
    pub(super) method: Cow<'e, str>,
    /// As on the wire, lossy where that is not UTF-8.
    pub(super) target: Cow<'e, str>,
    pub(super) host: Option<Cow<'e, str>>,
    pub(super) status: Option<u16>,
    /// Bytes of the entity, after de-chunking and before content-decoding.
    pub(super) request_body_bytes: u64,
    pub(super) response_body_bytes: Option<u64>,
    pub(super) request_complete: bool,
    pub(super) response_complete: bool,
    /// From the request's first byte to the response's last.
    pub(super) duration_ms: Option<f64>,
    pub(super) anomalies: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) request_body_sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response_body_sha256: Option<String>,
}

impl<'e> Line<'e> {
    pub(super) fn new(exchange: &'e Exchange) -> Self {
        let (request, response) = (&exchange.request, exchange.response.as_ref());
        let mut anomalies = exchange.anomalies;
        anomalies.extend(request.anomalies);
        anomalies.extend(response.map_or(AnomalySet::EMPTY, |r| r.anomalies));
        let duration = response.map(|r| r.last_byte.since(request.first_byte));
        Self {
            id: exchange.id.to_string(),
            connection: exchange.connection.to_string(),
            ordinal: exchange.ordinal,
            time: request.first_byte,
            client: exchange.connection.client.to_string(),
            server: exchange.connection.server.to_string(),
            version: request.head.version.to_string(),
            method: String::from_utf8_lossy(request.head.method()),
            target: String::from_utf8_lossy(request.head.target()),
            host: request.head.host().map(String::from_utf8_lossy),
            status: response.map(|r| r.head.status),
            request_body_bytes: request.body.len,
            response_body_bytes: response.map(|r| r.body.len),
            request_complete: request.completeness.is_complete(),
            response_complete: response.is_some_and(|r| r.completeness.is_complete()),
            duration_ms: duration.map(|d| d.as_secs_f64() * 1e3),
            anomalies: anomalies.iter().map(crate::anomaly::Anomaly::name).collect(),
            request_body_sha256: hex(&request.body),
            response_body_sha256: response.and_then(|r| hex(&r.body)),
        }
    }
}

fn hex(body: &Body) -> Option<String> {
    body.sha256.map(|digest| {
        digest.iter().fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    })
}

/// The capture's totals: what `--format json` adds to the exchanges, and the text form ends with.
#[derive(Debug, Serialize)]
pub(super) struct Document {
    pub(super) capture: Capture,
    pub(super) packets: BTreeMap<&'static str, u64>,
    pub(super) streams: Streams,
    pub(super) connections: BTreeMap<&'static str, u64>,
    pub(super) http: Http,
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
        let empty = ("empty", account.streams.empty_connections);
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
            connections: protocols.chain([empty]).filter(|&(_, n)| n > 0).collect(),
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
