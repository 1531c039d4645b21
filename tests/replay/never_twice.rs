//! No request reaches v2 twice, wherever in an exchange v2 drops the connection.

use std::collections::HashMap;

use shadowcap::replay::Outcome;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use crate::harness::Certificates;
use crate::second_client;
use crate::support::{LIMITS, Log, Peer, Sender, Server};
use crate::tls::{self, TlsPeer};

/// How often the first client tries, with what it sends by TCP alone.
const TRIES: usize = 10_000;
/// How often it is tried where an exchange costs more; `NEVER_TWICE_TRIES=10000` tries as often everywhere.
const FEWER: usize = 2_000;
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

/// Sends so many requests, eight at a time, and checks what v2 saw against what came back.
async fn no_request_arrives_twice(usual: usize, sender: impl Fn() -> Sender, seen: Log<String>) {
    let tries = std::env::var("NEVER_TWICE_TRIES").map_or(usual, |asked| asked.parse().unwrap());
    let senders = (0..SENDERS).map(|first| {
        let mut sender = sender();
        tokio::spawn(async move {
            let (mut answered, mut failed) = (Vec::new(), 0);
            for number in (first..tries).step_by(SENDERS) {
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
    let (answered, arrived) = (answered.len(), times.len());
    println!("{tries} tries: {arrived} arrived, {answered} answered, {failed} failed, none arrived twice");
    // The table of points has both ends, or this test shows nothing.
    assert!(answered > tries / 5 && failed > tries / 5, "{answered} {failed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_v2_drops_no_request_arrives_twice_and_no_answered_one_is_missing() {
    let seen = Log::default();
    let server = dropping(&seen).await;
    no_request_arrives_twice(TRIES, || Sender::to(server.address), seen).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_holds_of_the_second_client_which_keeps_its_connections_in_a_pool() {
    let seen = Log::default();
    let server = dropping(&seen).await;
    no_request_arrives_twice(FEWER, pooled(second_client::to(&server, LIMITS)), seen).await;
}

/// A v2 that drops connections at every point of an exchange.
async fn dropping(seen: &Log<String>) -> Server {
    let log = seen.clone();
    Server::start(move |number, mut peer: Peer| {
        let log = log.clone();
        async move {
            if serve(number, &mut peer, log).await {
                peer.reset();
            }
        }
    })
    .await
}

/// The same over TLS, closed with its own end and without.
async fn dropping_over_tls(certificates: &Certificates, seen: &Log<String>) -> Server {
    let log = seen.clone();
    let config = tls::config_of(certificates, "server", &["http/1.1"]);
    tls::serve(config, move |number, mut peer: TlsPeer| {
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
    .await
}

/// Senders that share one client, and its pool.
fn pooled(sender: Sender) -> impl Fn() -> Sender {
    move || Sender { client: sender.client.clone(), slot: None }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_holds_over_tls() {
    let certificates = or_skip!(Certificates::new());
    let seen = Log::default();
    let server = dropping_over_tls(&certificates, &seen).await;
    let endpoint = tls::endpoint(server.address, "localhost", &tls::trusting(&certificates));
    no_request_arrives_twice(FEWER, || Sender::with(endpoint.clone(), LIMITS), seen).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_holds_of_the_second_client_over_tls() {
    let certificates = or_skip!(Certificates::new());
    let seen = Log::default();
    let server = dropping_over_tls(&certificates, &seen).await;
    no_request_arrives_twice(FEWER, pooled(by_reqwest_over_tls(&certificates, server.address)), seen).await;
}

fn by_reqwest_over_tls(certificates: &Certificates, address: std::net::SocketAddr) -> Sender {
    let endpoint = tls::endpoint(address, "localhost", &tls::trusting(certificates));
    second_client::by_reqwest(&format!("https://localhost:{}", address.port()), &endpoint, LIMITS)
}

/// One connection of HTTP/2, on which each request meets another fate: answered, refused, reset before and after its
/// body, and the connection told to go away, with and without an error, or dropped.
async fn serve_in_h2(number: usize, peer: TlsPeer, seen: Log<String>) {
    let mut state = 0x9E37_79B9_7F4A_7C15 ^ (number as u64 + 1);
    let Ok(mut connection) = h2::server::handshake(peer.stream).await else { return };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        seen.note(request.uri().path()[1..].to_owned());
        let point = random(&mut state) % 50;
        match point {
            // Of these, RFC 9113 (sections 6.8 and 8.7) lets a client say that they were not processed. They were seen.
            0 => respond.send_reset(h2::Reason::REFUSED_STREAM),
            1 => connection.graceful_shutdown(),
            2 => connection.abrupt_shutdown(h2::Reason::NO_ERROR),
            3 => connection.abrupt_shutdown(h2::Reason::ENHANCE_YOUR_CALM),
            4 => respond.send_reset(h2::Reason::CANCEL),
            5 => return,
            _ => {
                let head = http::Response::builder().header("content-length", 8).body(()).unwrap();
                let Ok(mut body) = respond.send_response(head, false) else { continue };
                let said = if point == 6 { &b"answ"[..] } else { b"answered" };
                let _ = body.send_data(said.into(), point != 6);
                if point == 6 {
                    body.send_reset(h2::Reason::INTERNAL_ERROR);
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_holds_in_h2_whose_servers_refuse_streams_and_go_away() {
    let certificates = or_skip!(Certificates::new());
    let seen = Log::default();
    let log = seen.clone();
    let config = tls::config_of(&certificates, "server", &["h2"]);
    let server =
        tls::serve(config, move |number, peer: TlsPeer| serve_in_h2(number, peer, log.clone())).await;
    no_request_arrives_twice(FEWER, pooled(by_reqwest_over_tls(&certificates, server.address)), seen).await;
    assert!(server.accepted() > 50, "{} connections", server.accepted());
}
