//! Whole answers, from the bytes up.

mod answers;
mod contents;
mod edits;
mod hostile;

use bytes::Bytes;

use super::*;
use crate::anomaly::AnomalySet;
use crate::http::{Body, Completeness, Framing, Headers, Response, ResponseHead, Version};
use crate::time::Timestamp;

/// A whole response with these header lines and this body.
pub(super) fn response(status: u16, lines: &[&str], body: impl Into<Bytes>) -> Response {
    let raw = Bytes::from(lines.concat());
    let mut fields = Vec::new();
    let mut at = 0u32;
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        let (name, value) = (u32::try_from(name.len()).unwrap(), u32::try_from(value.len()).unwrap());
        fields.push((at..at + name, at + name + 2..at + name + 2 + value));
        at += name + 2 + value;
    }
    let entity: Bytes = body.into();
    Response {
        head: ResponseHead {
            version: Version::Http11,
            status,
            headers: Headers::new(raw, fields),
            reason: 0..0,
        },
        body: Body {
            framing: Framing::Length(entity.len() as u64),
            len: entity.len() as u64,
            lost: 0,
            wire: None,
            entity: Some(entity),
            sha256: None,
            elsewhere: crate::http::Elsewhere::Nowhere,
        },
        first_byte: Timestamp::default(),
        last_byte: Timestamp::default(),
        completeness: Completeness::Complete,
        anomalies: AnomalySet::EMPTY,
    }
}

fn json(body: impl Into<Bytes>) -> Response {
    response(200, &["Content-Type: application/json"], body)
}

fn text(body: &str) -> Response {
    response(200, &["Content-Type: text/plain"], body.to_owned())
}

/// The context of a request for `httpbin:8000` that was mirrored.
pub(super) fn mirrored() -> Context<'static> {
    Context {
        method: b"GET".into(),
        host: b"httpbin:8000".into(),
        shadow_host: b"httpbin-shadow:8000".into(),
        ..Context::default()
    }
}

/// Path, kind and class of each difference.
pub(super) fn facts(v1: &Response, v2: &Response) -> Vec<(String, Kind, Class)> {
    compare(v1, v2, &mirrored()).into_iter().map(|d| (d.path, d.kind, d.class)).collect()
}

/// Path and kind of each difference of two JSON texts, in the order of paths.
fn json_facts(v1: &str, v2: &str) -> Vec<(String, Kind)> {
    let mut found: Vec<_> = facts(&json(v1.to_owned()), &json(v2.to_owned()))
        .into_iter()
        .map(|(path, kind, class)| {
            assert_eq!(class, Class::Unverified, "{path}");
            (path, kind)
        })
        .collect();
    found.sort();
    found
}
