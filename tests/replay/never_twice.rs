//! No request reaches v2 twice, wherever in an exchange v2 drops the connection.

use std::collections::HashMap;

use shadowcap::replay::Outcome;

use crate::support::{Log, Peer, Sender, Server};

const TRIES: usize = 600;
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

/// Serves requests on one connection until it drops it at some point of an exchange.
async fn serve(number: usize, mut peer: Peer, seen: Log<String>) {
    let mut state = 0x9E37_79B9_7F4A_7C15 ^ (number as u64 + 1);
    loop {
        let point = random(&mut state) % 10;
        if drops_within(point, &mut peer, &seen).await.is_none() {
            break;
        }
    }
    if random(&mut state).is_multiple_of(2) {
        peer.reset();
    }
}

/// One exchange; `None` where the connection is to be dropped now.
async fn drops_within(point: usize, peer: &mut Peer, seen: &Log<String>) -> Option<()> {
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

#[tokio::test]
async fn whatever_v2_drops_no_request_arrives_twice_and_no_answered_one_is_missing() {
    let seen = Log::default();
    let log = seen.clone();
    let server = Server::start(move |number, peer| serve(number, peer, log.clone())).await;
    let mut sender = Sender::to(server.address);
    let mut answered = Vec::new();
    let mut failed = 0;
    for number in 0..TRIES {
        match sender.send(&numbered(number)).await {
            Outcome::Answered { response, .. } => {
                assert_eq!(response.body.entity.unwrap(), "answered");
                answered.push(format!("{number:08}"));
            }
            Outcome::Failed { .. } => failed += 1,
            Outcome::Skipped(reason) => panic!("{reason}"),
        }
    }
    let mut times = HashMap::new();
    seen.take().into_iter().for_each(|name| *times.entry(name).or_insert(0) += 1);
    assert!(times.values().all(|&count| count == 1), "{times:?}");
    assert!(answered.iter().all(|name| times.contains_key(name)));
    // The table of points has both ends, or this test shows nothing.
    assert!(answered.len() > TRIES / 5 && failed > TRIES / 5, "{} {failed}", answered.len());
}
