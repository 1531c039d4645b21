//! Rows for the tests of the recording and of the reports.

use std::time::Duration;

use bytes::Bytes;

use super::Row;
use crate::anomaly::AnomalySet;
use crate::exchange::{Exchange, ExchangeId};
use crate::http::h1::parse_head;
use crate::http::{Body, Completeness, Framing, Message, RequestHead, ResponseHead};
use crate::replay::client::ClientKind;
use crate::replay::{Outcome, Timing};
use crate::route::Role;
use crate::stream::ConnectionId;
use crate::time::Timestamp;

/// 2026-11-22T12:00:00Z.
pub(crate) const NOON: Timestamp = Timestamp::from_parts(1_795_348_800, 0);

fn message<H>(head: H, body: &[u8], start: Timestamp, millis: u64) -> Message<H> {
    Message {
        head,
        body: body_of(body),
        first_byte: start,
        last_byte: start + Duration::from_millis(millis),
        completeness: Completeness::Complete,
        anomalies: AnomalySet::EMPTY,
    }
}

pub(crate) fn body_of(bytes: &[u8]) -> Body {
    let entity = Bytes::copy_from_slice(bytes);
    Body {
        framing: if bytes.is_empty() { Framing::None } else { Framing::Length(bytes.len() as u64) },
        len: bytes.len() as u64,
        lost: 0,
        entity: Some(entity),
        wire: None,
        sha256: None,
        elsewhere: crate::http::Elsewhere::Nowhere,
    }
}

/// A row whose request was answered by both; v1 took 12 ms, v2 20 ms.
pub(crate) fn row(request: &str, v1: &str, v2: &str) -> Row {
    let request = parse_head::<RequestHead>(Bytes::from(request.to_owned())).expect("a request's head");
    let answer =
        |text: &str| parse_head::<ResponseHead>(Bytes::from(text.to_owned())).expect("a response's head");
    let sent = Timestamp::from_parts(1_795_400_000, 0);
    Row {
        sent_head: Some(request.raw().clone()),
        exchange: Box::new(Exchange {
            id: ExchangeId(0x1234),
            connection: ConnectionId {
                client: "10.0.0.1:50000".parse().expect("an address"),
                server: "10.0.0.2:80".parse().expect("an address"),
                instance: 1,
            },
            ordinal: 0,
            request: message(request, b"", NOON, 0),
            response: Some(message(answer(v1), b"", NOON + Duration::from_millis(10), 2)),
            interim: vec![],
            anomalies: AnomalySet::EMPTY,
        }),
        lap: 0,
        copy: 0,
        role: Role::Shadow,
        destination: "v2".into(),
        route: "all".into(),
        client: Some(ClientKind::Exact),
        matched: "any request".into(),
        reason: "mirror of all requests".into(),
        outcome: Outcome::Answered {
            response: Box::new(message(answer(v2), b"", sent + Duration::from_millis(18), 2)),
            interim: vec![100],
            timing: Timing {
                connecting: None,
                due: sent,
                sent: Some(sent),
                first_byte: Some(sent + Duration::from_millis(18)),
                last_byte: Some(sent + Duration::from_millis(20)),
            },
        },
        again: vec![],
        not_asked: None,
    }
}

/// Sets the bodies of the request, of v1's answer, and of v2's.
pub(crate) fn set_bodies(row: &mut Row, request: &[u8], v1: &[u8], v2: &[u8]) {
    row.exchange.request.body = body_of(request);
    if let Some(response) = &mut row.exchange.response {
        response.body = body_of(v1);
    }
    if let Outcome::Answered { response, .. } = &mut row.outcome {
        response.body = body_of(v2);
    }
}
