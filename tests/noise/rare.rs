//! The rarest faults that have to be found, where noise is strongest: five of a thousand requests, on fields of which three
//! tenths of the answers have a value of their own anyway.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::found::Found;
use crate::random::Random;
use crate::service::Version;
use crate::support::{RawServer, Reply, Script, Skip};
use crate::traffic::Captured;

const REQUESTS: u64 = 1000;

/// Each answer has three numbers, each of them usually the same: `stock`, which v2 sometimes gives as one wrong number,
/// `price`, as a wrong one of the item's own, and `views`, in which it makes no mistake.
fn service(version: Version) -> RawServer {
    let count = AtomicU64::new(0);
    RawServer::start(Script::new(move |request| {
        let text = String::from_utf8_lossy(&request.bytes);
        let target = text.split(' ').nth(1).unwrap_or_default();
        let item: u64 = target.rsplit('/').next().and_then(|n| n.parse().ok()).unwrap();
        let salt = if version == Version::V1 { 1 } else { 2 };
        let mut random = Random::new(salt + count.fetch_add(1, Ordering::Relaxed).wrapping_mul(1_000_003));
        let mut number = |usual: u64| if random.happens(30) { 1000 + random.below(1_000_000) } else { usual };
        let (mut stock, mut price, views) = (number(12), number(99), number(3));
        if version == Version::V2 && item % 200 == 37 {
            stock = 7;
        }
        if version == Version::V2 && item % 200 == 111 {
            price = 5_000_000 + item;
        }
        let body = format!(r#"{{"stock": {stock}, "price": {price}, "views": {views}}}"#);
        let length = body.len();
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ";
        Reply::Answer(format!("{head}{length}\r\n\r\n{body}").into_bytes())
    }))
}

fn run() -> Result<Found, Skip> {
    let (v1, v2) = (service(Version::V1), service(Version::V2));
    let captured = Captured::asking(&v1, |client, clients| {
        (0..REQUESTS).filter(|n| n % clients == client).map(|n| format!("/items/{n}")).collect()
    })?;
    Ok(Found::replayed(&captured, &v2, &["--baseline", &v1.url()]))
}

#[test]
fn five_of_a_thousand_are_found_where_three_tenths_are_noise() {
    let found = or_skip!(run());
    assert_eq!(found.compared, REQUESTS);
    let places = found.places();
    println!("{places:?}");
    let paths: Vec<_> = places.keys().map(|(_, path)| *path).collect();
    assert_eq!(paths, ["$['price']", "$['stock']"], "{found}");
    // One or two of the others insist on the usual number by chance where v1's recorded one was odd.
    assert!(places.values().all(|count| (5..=8).contains(count)), "{found}");
}
