//! Connections that end at the very moment at which they are given a request.

use shadowcap::replay::{Failure, Outcome};

use crate::harness::Certificates;
use crate::second_client;
use crate::support::{LIMITS, Log, Sender};
use crate::tls::{self, TlsPeer};

/// How often it is tried; `DYING_TRIES=100000` has time for more. On two cores, one in about ten thousand requests was
/// forgotten when reqwest ran on several threads, and with it all others that its connection had yet to take.
const TRIES: usize = 1000;
/// More than there are cores, so that they interrupt each other anywhere.
const SENDERS: usize = 64;

/// Answers a few requests in HTTP/2, and goes away: told, at once, or without a word.
async fn serve(number: usize, peer: TlsPeer, seen: Log<String>) {
    let Ok(mut connection) = h2::server::handshake(peer.stream).await else { return };
    let mut left = number % 13;
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        seen.note(request.uri().path()[1..].to_owned());
        let head = http::Response::builder().header("content-length", 8).body(()).unwrap();
        if let Ok(mut body) = respond.send_response(head, false) {
            let _ = body.send_data((&b"answered"[..]).into(), true);
        }
        match (left, number % 3) {
            (0, 0) => connection.graceful_shutdown(),
            (0, 1) => connection.abrupt_shutdown(h2::Reason::NO_ERROR),
            // With bytes that it has not read: by a reset.
            (0, _) => return,
            _ => {}
        }
        left = left.saturating_sub(1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn a_request_given_to_a_connection_that_ends_is_answered_or_fails_at_once() {
    let certificates = or_skip!(Certificates::new());
    let tries = std::env::var("DYING_TRIES").map_or(TRIES, |asked| asked.parse().unwrap());
    let seen = Log::default();
    let log = seen.clone();
    let config = tls::config_of(&certificates, "server", &["h2"]);
    let server = tls::serve(config, move |number, peer: TlsPeer| serve(number, peer, log.clone())).await;
    let endpoint = tls::endpoint(server.address, "localhost", &tls::trusting(&certificates));
    let url = format!("https://localhost:{}", server.address.port());
    let shared = second_client::by_reqwest(&url, &endpoint, LIMITS);
    let senders = (0..SENDERS).map(|first| {
        let mut sender = Sender { client: shared.client.clone(), slot: None };
        tokio::spawn(async move {
            let (mut answered, mut forgotten) = (Vec::new(), Vec::new());
            for number in (first..tries).step_by(SENDERS) {
                let name = format!("{number:08}");
                let request = format!("GET /{name} HTTP/1.1\r\nHost: a.example\r\n\r\n");
                match sender.send(request.as_bytes()).await {
                    Outcome::Answered { .. } => answered.push(name),
                    Outcome::Failed { failure: Failure::Timeout, .. } => forgotten.push(name),
                    Outcome::Failed { .. } => {}
                    Outcome::Skipped(reason) => panic!("{reason}"),
                }
            }
            (answered, forgotten)
        })
    });
    let (mut answered, mut forgotten) = (Vec::new(), Vec::new());
    for sender in senders.collect::<Vec<_>>() {
        let of_one = sender.await.unwrap();
        answered.extend(of_one.0);
        forgotten.extend(of_one.1);
    }
    let mut seen = seen.take();
    let arrived = seen.len();
    seen.sort_unstable();
    seen.dedup();
    println!(
        "{tries} tries, {} connections: {arrived} arrived, {} answered",
        server.accepted(),
        answered.len()
    );
    assert!(forgotten.is_empty(), "{forgotten:?}");
    assert_eq!(seen.len(), arrived, "some arrived twice");
    assert!(answered.iter().all(|name| seen.binary_search(name).is_ok()));
    // Otherwise this shows nothing.
    assert!(answered.len() > tries / 10 && server.accepted() > tries / 20, "{}", answered.len());
}
