//! Servers that fail, each in its own way, and those that answer in ways that are rare but right.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use shadowcap::http::{Completeness, Framing};
use shadowcap::replay::client::Limits;
use shadowcap::replay::endpoint::{Endpoint, Place};
use shadowcap::replay::stop::stop_channel;
use shadowcap::replay::{Failure, Outcome};
use tokio::net::TcpListener;

use crate::support::{LIMITS, Log, Peer, Sender, Server, answer, failure, shadow};

const GET: &[u8] = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn impatient(millis: u64) -> Limits {
    Limits { answer: Duration::from_millis(millis), ..LIMITS }
}

/// A server that reads one request's head, says this on its connection and closes it.
async fn says(bytes: &'static [u8]) -> Server {
    Server::start(move |_, mut peer| async move {
        peer.head().await;
        peer.say(bytes).await;
    })
    .await
}

#[tokio::test]
async fn a_server_that_refuses() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let outcome = Sender::to(address).send(GET).await;
    let (kind, detail) = failure(&outcome);
    assert_eq!(kind, Failure::Connect);
    assert!(detail.contains(&address.to_string()) && detail.contains("refused"), "{detail}");
    assert!(matches!(outcome, Outcome::Failed { timing, .. } if timing.sent.is_none()));
}

/// An address at which connections are begun and never made, as behind a firewall that drops: bound, listening, and
/// with no room left.
fn swallowing_address() -> (SocketAddr, socket2::Socket, Vec<std::net::TcpStream>) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let connect = |_: usize| std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok();
    let held = (0..8).map_while(connect).collect();
    (address, socket, held)
}

#[tokio::test]
async fn a_server_that_is_behind_a_wall() {
    let (address, _socket, _held) = swallowing_address();
    let limits = Limits { connect: Duration::from_millis(150), ..LIMITS };
    let (kind, detail) = failure(&Sender::with(address, limits).send(GET).await);
    assert_eq!(kind, Failure::ConnectTimeout);
    assert!(kind.is_unconnected() && detail.contains("within 150ms"), "{detail}");
}

#[tokio::test]
async fn a_name_with_several_addresses_is_reached_at_the_one_that_answers() {
    let (refusing, _bound) = crate::harness::refusing_address();
    let (swallowing, _socket, _held) = swallowing_address();
    let server = says(OK).await;
    let addresses = Arc::from([refusing, swallowing, server.address]);
    let limits = Limits { connect: Duration::from_secs(1), ..LIMITS };
    let mut sender = Sender::with(Endpoint::new(Place::Tcp(addresses), None), limits);
    assert_eq!(answer(&sender.send(GET).await).1, "ok");
    let began = std::time::Instant::now();
    sender.slot = None;
    assert_eq!(answer(&sender.send(GET).await).1, "ok");
    assert!(began.elapsed() < Duration::from_millis(400), "the good one is tried first now");
    let (kind, detail) = failure(
        &Sender::with(Endpoint::new(Place::Tcp(Arc::from([refusing, refusing])), None), limits)
            .send(GET)
            .await,
    );
    assert_eq!(kind, Failure::Connect, "{detail}");
}

#[tokio::test]
async fn an_answer_that_does_not_begin_in_time_is_told_from_one_that_does_not_end() {
    let limits = Limits { first_byte: Some(Duration::from_millis(80)), ..impatient(400) };
    let silent = Server::start(|_, mut peer: Peer| async move { drop(peer.rest().await) }).await;
    let (kind, detail) = failure(&Sender::with(silent.address, limits).send(GET).await);
    assert_eq!(kind, Failure::FirstByteTimeout);
    assert!(detail.contains("got no answer within 80ms"), "{detail}");
    let slow = Server::start(|_, mut peer: Peer| async move {
        peer.head().await;
        peer.say(b"HTTP/1.1 200 OK\r\n").await;
        peer.rest().await;
    })
    .await;
    let (kind, detail) = failure(&Sender::with(slow.address, limits).send(GET).await);
    assert_eq!(kind, Failure::Timeout);
    assert!(detail.contains("within 400ms"), "{detail}");
}

#[tokio::test]
async fn a_server_that_never_answers() {
    let server = Server::start(|_, mut peer: Peer| async move { drop(peer.rest().await) }).await;
    let outcome = Sender::with(server.address, impatient(80)).send(GET).await;
    let (kind, detail) = failure(&outcome);
    assert_eq!(kind, Failure::Timeout);
    assert!(detail.contains("got no answer within 80ms"), "{detail}");
    assert!(matches!(outcome, Outcome::Failed { timing, .. } if timing.sent.is_some()));
}

#[tokio::test]
async fn servers_that_answer_garbage() {
    for (said, shown) in [
        (&b"SSH-2.0-OpenSSH_9.9\r\n"[..], "SSH-2.0-OpenSSH_9.9\\r\\n"),
        (b"\x15\x03\x01\0\x02\x02\x46", "\\x15\\x03\\x01\\x00\\x02\\x02F"),
        (b"<html>hello", "<html>hello"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "breaks the chunked coding"),
    ] {
        let server = says(said).await;
        let (kind, detail) = failure(&Sender::to(server.address).send(GET).await);
        assert_eq!(kind, Failure::Garbage, "{detail}");
        assert!(detail.contains(shown), "{detail}");
    }
}

#[tokio::test]
async fn a_head_without_end_and_interim_answers_without_end_are_bounded() {
    let endless_head = Server::start(|_, mut peer: Peer| async move {
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n").await;
        for _ in 0..40_000 {
            peer.say(b"X-Long: ................................\r\n").await;
        }
        peer.say(b"\r\n").await;
        peer.rest().await;
    })
    .await;
    let (kind, detail) = failure(&Sender::to(endless_head.address).send(GET).await);
    assert_eq!(kind, Failure::Garbage, "{detail}");
    let endless_interim = Server::start(|_, mut peer: Peer| async move {
        let many = b"HTTP/1.1 102 Processing\r\n\r\n".repeat(500);
        for _ in 0..10 {
            peer.say(&many).await;
        }
        peer.rest().await;
    })
    .await;
    let (kind, detail) = failure(&Sender::to(endless_interim.address).send(GET).await);
    assert_eq!(kind, Failure::Garbage, "{detail}");
    assert!(detail.contains("interim"), "{detail}");
}

#[tokio::test]
async fn a_server_that_talks_without_end_is_left_when_the_time_is_over() {
    let server = Server::start(|_, mut peer: Peer| async move {
        peer.say(b"HTTP/1.1 200 OK\r\n\r\n").await;
        let much = vec![b'x'; 1 << 16];
        while tokio::io::AsyncWriteExt::write_all(&mut peer.stream, &much).await.is_ok() {}
    })
    .await;
    let outcome = Sender::with(server.address, impatient(100)).send(GET).await;
    assert_eq!(failure(&outcome).0, Failure::Timeout);
    let Outcome::Failed { partial: Some(partial), .. } = outcome else { panic!("{outcome:?}") };
    assert!(partial.body.len > 0);
    assert!(partial.body.entity.is_none() || partial.body.len <= 1 << 20);
}

#[tokio::test]
async fn servers_that_close_too_early() {
    for (said, kind) in [
        (&b""[..], Failure::ClosedBeforeAnswer),
        (b"HTTP/1.1 100 Continue\r\n\r\n", Failure::ClosedBeforeAnswer),
        (b"HTTP/1.1 20", Failure::ClosedInAnswer),
        (b"HTTP/1.1 200 OK\r\nContent-Le", Failure::ClosedInAnswer),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", Failure::ClosedInAnswer),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", Failure::ClosedInAnswer),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", Failure::ClosedInAnswer),
    ] {
        let server = says(said).await;
        let outcome = Sender::to(server.address).send(GET).await;
        assert_eq!(failure(&outcome).0, kind, "{}", said.escape_ascii());
        assert_eq!(server.accepted(), 1, "it is not sent again: {}", said.escape_ascii());
    }
}

#[tokio::test]
async fn what_came_of_a_broken_answer_is_kept() {
    let server = says(b"HTTP/1.1 503 Busy\r\nContent-Length: 9\r\n\r\nabc").await;
    let outcome = Sender::to(server.address).send(GET).await;
    let Outcome::Failed { partial: Some(partial), timing, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((partial.head.status, partial.completeness), (503, Completeness::Aborted));
    assert_eq!(partial.body.entity.unwrap(), "abc");
    assert!(timing.sent <= timing.first_byte && timing.first_byte <= timing.last_byte);
}

#[tokio::test]
async fn answers_of_every_framing() {
    for (request, said, entity) in [
        (GET, OK, "ok"),
        (GET, b"HTTP/1.0 200 OK\r\n\r\nuntil close", "until close"),
        (
            GET,
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nX-T: 1\r\n\r\n",
            "abc",
        ),
        (GET, b"HTTP/1.1 204 No Content\r\n\r\n", ""),
        (GET, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", ""),
        (b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", ""),
        (
            GET,
            b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            "ok",
        ),
        (GET, b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", "ok"),
        (GET, b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok", "ok"),
    ] {
        let server = says(said).await;
        assert_eq!(
            answer(&Sender::to(server.address).send(request).await).1,
            entity,
            "{}",
            said.escape_ascii()
        );
    }
}

#[tokio::test]
async fn the_wire_form_of_a_chunked_answer_is_kept() {
    let server =
        says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;e\r\na\r\n0\r\nX-T: 1\r\n\r\n").await;
    let outcome = Sender::to(server.address).send(GET).await;
    let Outcome::Answered { response, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(response.body.framing, Framing::Chunked);
    assert_eq!(response.body.wire().unwrap(), &b"1;e\r\na\r\n0\r\nX-T: 1\r\n\r\n"[..]);
}

#[tokio::test]
async fn a_large_answer_is_counted_and_hashed_not_kept() {
    let server = Server::start(|_, mut peer: Peer| async move {
        peer.head().await;
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n").await;
        peer.say(&vec![b'x'; 5_000_000]).await;
    })
    .await;
    let outcome = Sender::to(server.address).send(GET).await;
    let Outcome::Answered { response, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((response.body.len, response.body.entity), (5_000_000, None));
    assert!(response.body.sha256.is_some());
}

#[tokio::test]
async fn a_server_that_closes_after_each_answer_gets_each_request_once() {
    let served = Log::default();
    let log = served.clone();
    let server = Server::start(move |_, mut peer: Peer| {
        let log = log.clone();
        async move {
            log.note(peer.head().await.unwrap());
            peer.say(OK).await;
            peer.stream.set_nodelay(true).unwrap();
        }
    })
    .await;
    let mut sender = Sender::to(server.address);
    for turn in 1..=20 {
        assert_eq!(answer(&sender.send(GET).await).1, "ok");
        if let Some(kept) = &sender.slot {
            kept.disturbed().await;
        }
        assert_eq!(server.accepted(), turn);
    }
    assert_eq!(served.take().len(), 20);
}

#[tokio::test]
async fn an_answer_before_the_body_is_read_is_kept() {
    let early = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig";
    let server = Server::start(move |_, mut peer: Peer| async move {
        peer.head().await;
        peer.say(early).await;
        // Closing with unread bytes makes a RST of it, as real servers do.
    })
    .await;
    let mut upload = b"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 30000000\r\n\r\n".to_vec();
    upload.resize(upload.len() + 30_000_000, b'u');
    let outcome = Sender::to(server.address).send(&upload).await;
    assert_eq!((answer(&outcome).0, answer(&outcome).1.as_str()), (413, "big"));
}

#[tokio::test]
async fn a_server_that_answers_and_never_reads_the_rest_does_not_hold_us() {
    let server = Server::start(move |_, mut peer: Peer| async move {
        peer.head().await;
        peer.say(OK).await;
        std::future::pending::<()>().await;
    })
    .await;
    let mut upload = b"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 30000000\r\n\r\n".to_vec();
    upload.resize(upload.len() + 30_000_000, b'u');
    let mut sender = Sender::to(server.address);
    assert_eq!(answer(&sender.send(&upload).await).1, "ok");
    assert!(sender.slot.is_none(), "half of a request is still owed on that connection");
}

#[tokio::test]
async fn a_server_that_stops_reading_times_out() {
    let server = Server::start(move |_, peer: Peer| async move {
        let _open = peer;
        std::future::pending::<()>().await;
    })
    .await;
    let mut upload = b"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 30000000\r\n\r\n".to_vec();
    upload.resize(upload.len() + 30_000_000, b'u');
    let (kind, detail) = failure(&Sender::with(server.address, impatient(100)).send(&upload).await);
    assert_eq!(kind, Failure::Timeout);
    assert!(detail.contains("of the request's 30000061 bytes"), "{detail}");
}

#[tokio::test]
async fn an_answer_that_is_as_large_as_its_request_does_not_block() {
    const SIZE: usize = 20_000_000;
    let server = Server::start(move |_, mut peer: Peer| async move {
        peer.head().await;
        peer.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n").as_bytes()).await;
        let (mut from, mut to) = peer.stream.split();
        let early = std::mem::take(&mut peer.pending);
        tokio::io::AsyncWriteExt::write_all(&mut to, &early).await.unwrap();
        tokio::io::copy(&mut from, &mut to).await.ok();
    })
    .await;
    let mut upload = format!("PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n").into_bytes();
    upload.resize(upload.len() + SIZE, b'u');
    let mut sender = Sender::to(server.address);
    let outcome = sender.send(&upload).await;
    let Outcome::Answered { response, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(response.body.len, SIZE as u64);
    assert!(sender.slot.is_some());
}

const EXPECTING: &[u8] =
    b"PUT /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody";

#[tokio::test]
async fn a_body_waits_for_100_continue() {
    let server = Server::start(move |_, mut peer: Peer| async move {
        peer.head().await;
        assert!(peer.pending.is_empty());
        peer.say(b"HTTP/1.1 100 Continue\r\n\r\n").await;
        let body = peer.take(4).await.unwrap();
        peer.say(&[b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", &body[..]].concat()).await;
        peer.rest().await;
    })
    .await;
    let mut sender = Sender::to(server.address);
    assert_eq!(answer(&sender.send(EXPECTING).await), (200, "body".into(), vec![100]));
    assert!(sender.slot.is_some());
}

#[tokio::test]
async fn a_final_answer_to_an_expectation_keeps_the_body_back() {
    let (log, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |_, mut peer: Peer| {
        let log = log.clone();
        async move {
            peer.head().await;
            peer.say(b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno").await;
            log.send(peer.rest().await).unwrap();
        }
    })
    .await;
    let mut sender = Sender::to(server.address);
    assert_eq!(answer(&sender.send(EXPECTING).await), (417, "no".into(), vec![]));
    assert!(sender.slot.is_none(), "v2 still waits for the body that was announced");
    drop(sender);
    assert_eq!(seen.recv().await.unwrap(), b"");
}

#[tokio::test]
async fn without_100_continue_the_body_goes_after_a_second() {
    let server = Server::start(move |_, mut peer: Peer| async move {
        peer.head().await;
        let waited = std::time::Instant::now();
        peer.take(4).await.unwrap();
        assert!(waited.elapsed() > Duration::from_millis(900), "{:?}", waited.elapsed());
        peer.say(OK).await;
    })
    .await;
    assert_eq!(answer(&Sender::to(server.address).send(EXPECTING).await), (200, "ok".into(), vec![]));
}

#[tokio::test]
async fn what_the_connection_header_says_is_done() {
    for (request, said, kept) in [
        (GET, OK, true),
        (GET, b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", false),
        (GET, b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false),
        (GET, b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", true),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", OK, false),
        (b"GET / HTTP/1.0\r\nHost: a\r\n\r\n", OK, false),
        (GET, b"HTTP/1.1 101 Switching Protocols\r\n\r\n", false),
        (GET, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokEXTRA", false),
    ] {
        let server = Server::start(move |_, mut peer: Peer| async move {
            peer.head().await;
            peer.say(said).await;
            peer.rest().await;
        })
        .await;
        let mut sender = Sender::to(server.address);
        answer(&sender.send(request).await);
        assert_eq!(sender.slot.is_some(), kept, "{}", said.escape_ascii());
    }
}

#[tokio::test]
async fn a_connection_on_which_v2_said_something_unasked_is_not_used_again() {
    let server = Server::start(|number, mut peer: Peer| async move {
        peer.head().await;
        peer.say(OK).await;
        if number == 0 {
            peer.say(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n").await;
        }
        peer.rest().await;
    })
    .await;
    let mut sender = Sender::to(server.address);
    assert_eq!(answer(&sender.send(GET).await).0, 200);
    if let Some(kept) = &sender.slot {
        kept.disturbed().await;
    }
    assert_eq!(answer(&sender.send(GET).await).0, 200);
    assert_eq!(server.accepted(), 2);
}

#[tokio::test]
async fn the_second_request_to_stop_ends_what_is_on_its_way() {
    let (handle, mut stop) = stop_channel();
    let handle = std::sync::Arc::new(handle);
    let raise = handle.clone();
    let server = Server::start(move |_, mut peer: Peer| {
        let raise = raise.clone();
        async move {
            peer.head().await;
            raise.raise();
            raise.raise();
            peer.rest().await;
        }
    })
    .await;
    let Sender { client, mut slot } = Sender::to(server.address);
    let outcome = client.send(&mut slot, &shadow(GET), client.clock().now(), &mut stop).await;
    assert_eq!(failure(&outcome).0, Failure::Interrupted);
    drop(handle);
}
