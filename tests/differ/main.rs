//! Where JSON documents differ, by an independent differ: microdiff, from npm, over the documents of the JSON Patch test suite;
//! and which texts are JSON at all, by `JSONTestSuite`.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what broke by panicking")]

#[macro_use]
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::Value;
use shadowcap::anomaly::AnomalySet;
use shadowcap::diff::{Context, Difference, compare};
use shadowcap::http::{Body, Completeness, Framing, RequestHead, Response, ResponseHead, h1};
use shadowcap::time::Timestamp;

/// A whole answer with this body, which says that it is JSON.
fn answer(body: &str) -> Response {
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n";
    let head: ResponseHead = h1::parse_head(Bytes::from_static(head)).unwrap();
    let entity = Bytes::from(body.to_owned());
    Response {
        head,
        body: Body {
            framing: Framing::Length(entity.len() as u64),
            len: entity.len() as u64,
            lost: 0,
            wire: None,
            entity: Some(entity),
            sha256: None,
            elsewhere: shadowcap::http::Elsewhere::Nowhere,
        },
        first_byte: Timestamp::default(),
        last_byte: Timestamp::default(),
        completeness: Completeness::Complete,
        anomalies: AnomalySet::EMPTY,
    }
}

fn differences(a: &str, b: &str) -> Vec<Difference> {
    let request = Bytes::from_static(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let request: RequestHead = h1::parse_head(request).unwrap();
    compare(&answer(a), &answer(b), &Context::new(&request, b"a-shadow", Vec::new()))
}

/// What the script prints, by line.
fn outside() -> Result<Vec<Value>, support::Skip> {
    let output = support::node(&["tests/differ/differ.mjs"], "microdiff")?;
    Ok(output.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// A place as names from the top. Elements of arrays are known by their keys here and by their numbers there, so that an
/// array is one place, wherever in it the difference is.
type Place = Vec<String>;

/// The place of a difference of ours: a normalized path (RFC 9535, section 2.7), with the one escape that the documents need
/// undone.
fn ours(path: &str) -> Place {
    let inner = path.trim_start_matches('$').trim_start_matches('[').trim_end_matches(']');
    let steps = inner.split("][").take_while(|step| step.starts_with('\''));
    steps.map(|step| step.trim_matches('\'').replace("\\\\", "\\")).collect()
}

/// The place of one of theirs, where steps into arrays are numbers.
fn theirs(path: &Value) -> Place {
    let steps = path.as_array().unwrap().iter();
    steps.map_while(|step| step.as_str().map(str::to_owned)).collect()
}

#[test]
fn documents_differ_where_an_independent_differ_says() {
    let pairs: Vec<_> = or_skip!(outside()).into_iter().filter(|line| line["paths"].is_array()).collect();
    assert!(pairs.len() > 3000, "{} pairs", pairs.len());
    let mut differing = 0;
    for pair in &pairs {
        let (a, b) = (pair["a"].as_str().unwrap(), pair["b"].as_str().unwrap());
        let found = differences(a, b);
        let places: BTreeSet<_> = found.iter().map(|difference| ours(&difference.path)).collect();
        let expected: BTreeSet<_> = pair["paths"].as_array().unwrap().iter().map(theirs).collect();
        assert_eq!(places, expected, "{a}\n{b}\n{found:#?}");
        differing += usize::from(!expected.is_empty());
    }
    println!("{} pairs, {differing} differ", pairs.len());
}

#[test]
fn what_is_json_is_compared_as_such_and_what_is_not_is_not() {
    let texts: Vec<_> = or_skip!(outside()).into_iter().filter(|line| line["input"].is_string()).collect();
    assert!(texts.len() > 200, "{} texts", texts.len());
    for text in &texts {
        let (name, input) = (text["name"].as_str().unwrap(), text["input"].as_str().unwrap());
        // What a parser may take or leave, as here depth has a bound; and blank text, which is a list of no documents, one
        // on each line.
        if name.starts_with("i_") || input.trim_matches(['\u{feff}', ' ']).is_empty() {
            continue;
        }
        // Another document than all of them.
        let found = differences(r#"{"other":[1]}"#, input);
        let as_json = found.iter().any(|difference| difference.path.starts_with('$'));
        assert_eq!(as_json, text["valid"].as_bool().unwrap(), "{name}: {input:?}\n{found:#?}");
    }
}
