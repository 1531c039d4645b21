//! No request reaches v2 twice, wherever in an exchange v2 drops the connection.

use std::collections::HashMap;

use shadowcap::replay::Outcome;
use shadowcap::replay::endpoint::Endpoint;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use crate::harness::Certificates;
use crate::support::{LIMITS, Log, Peer, Sender, Server};
use crate::tls::{self, TlsPeer};

const TRIES: usize = 10_000;
const SENDERS: usize = 8;
const BODY: usize = 600;
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nanswered";

/// The request whose name is this number; its first sixteen bytes tell it.
fn numbered(number: usize) -> Vec<u8> {
    let head = format!("POST /{number:08} HTTP/1.1\r\nHost: a.example\r\nContent-Length: {BODY}\r\n\r\n");
    [head.into_bytes(), vec![b'b'; BODY]].concat()
}

/// Numbers that look random and are the same in each run (xorshift).
fn random(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    usize::try_from(*state >> 33).unwrap()
}

/// Serves requests on one connection until it is to be dropped at some point of an exchange, and says whether by a
/// reset.
async fn serve<S>(number: usize, peer: &mut Peer<S>, seen: Log<String>) -> bool
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut state = 0x9E37_79B9_7F4A_7C15 ^ (number as u64 + 1);
    loop {
        let point = random(&mut state) % 10;
        if drops_within(point, peer, &seen).await.is_none() {
            break;
        }
    }
    random(&mut state).is_multiple_of(2)
}

/// One exchange; `None` where the connection is to be dropped now.
async fn drops_within<S>(point: usize, peer: &mut Peer<S>, seen: &Log<String>) -> Option<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if point == 0 {
        return None;
    }
    let start = peer.take(16).await?;
    seen.note(String::from_utf8_lossy(&start[6..14]).into_owned());
    if point == 1 {
        return None;
    }
    peer.head().await?;
    if point == 2 {
        return None;
    }
    peer.take(BODY / 2).await?;
    if point == 3 {
        return None;
    }
    peer.take(BODY - BODY / 2).await?;
    match point {
        4 => return None,
        5 => peer.say(&ANSWER[..9]).await,
        6 => peer.say(&ANSWER[..ANSWER.len() - 3]).await,
        _ => peer.say(ANSWER).await,
    }
    (point > 7).then_some(())
}

/// Sends `TRIES` requests over eight connections of ours at a time, and checks what v2 saw against what came back.
async fn no_request_arrives_twice(endpoint: Endpoint, seen: Log<String>) {
    let senders = (0..SENDERS).map(|first| {
        let mut sender = Sender::with(endpoint.clone(), LIMITS);
        tokio::spawn(async move {
            let (mut answered, mut failed) = (Vec::new(), 0);
            for number in (first..TRIES).step_by(SENDERS) {
                match sender.send(&numbered(number)).await {
                    Outcome::Answered { response, .. } => {
                        assert_eq!(response.body.entity.unwrap(), "answered");
                        answered.push(format!("{number:08}"));
                    }
                    Outcome::Failed { .. } => failed += 1,
                    Outcome::Skipped(reason) => panic!("{reason}"),
                }
            }
            (answered, failed)
        })
    });
    let (mut answered, mut failed) = (Vec::new(), 0);
    for sender in senders.collect::<Vec<_>>() {
        let (some, failures) = sender.await.unwrap();
        answered.extend(some);
        failed += failures;
    }
    let mut times = HashMap::new();
    seen.take().into_iter().for_each(|name| *times.entry(name).or_insert(0) += 1);
    assert!(times.values().all(|&count| count == 1), "{times:?}");
    assert!(answered.iter().all(|name| times.contains_key(name)));
    // The table of points has both ends, or this test shows nothing.
    assert!(answered.len() > TRIES / 5 && failed > TRIES / 5, "{} {failed}", answered.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_v2_drops_no_request_arrives_twice_and_no_answered_one_is_missing() {
    let seen = Log::default();
    let log = seen.clone();
    let server = Server::start(move |number, mut peer: Peer| {
        let log = log.clone();
        async move {
            if serve(number, &mut peer, log).await {
                peer.reset();
            }
        }
    })
    .await;
    no_request_arrives_twice(server.address.into(), seen).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_holds_over_tls() {
    let certificates = or_skip!(Certificates::new());
    let seen = Log::default();
    let log = seen.clone();
    let server = tls::serve(tls::config(&certificates, "server", false), move |number, mut peer: TlsPeer| {
        let log = log.clone();
        async move {
            let resets = serve(number, &mut peer, log).await;
            match (resets, number % 2) {
                (true, _) => peer.stream.get_ref().0.set_zero_linger().unwrap(),
                (false, 0) => drop(peer.stream.shutdown().await),
                // The end of TCP without that of TLS.
                (false, _) => {}
            }
        }
    })
    .await;
    let endpoint = tls::endpoint(server.address, "localhost", &tls::trusting(&certificates));
    no_request_arrives_twice(endpoint, seen).await;
}
