mod holes;

use std::cell::RefCell;
use std::rc::Rc;

use proptest::prelude::*;

use super::*;
use crate::anomaly::Anomaly;
use crate::http::{BodyKeep, Completeness, Options};
use crate::stream::{Application, Chunk, ConnectionInfo, Direction, End, Roles};

use Direction::{ToClient, ToServer};

const KEEP: Options = Options { keep: BodyKeep::UpTo(1 << 20), hash: false };

/// What a test's connection does next.
#[derive(Clone, Debug)]
enum Step<'a> {
    Client(&'a str),
    Server(&'a str),
    ClientGap(u64),
    ServerGap(u64),
    /// The server, when it had not received so many of the bytes that were seen.
    Unknowing(&'a str, i32),
}
use Step::{Client, ClientGap, Server, ServerGap, Unknowing};

fn connection() -> ConnectionInfo {
    let id = ConnectionId {
        client: "192.0.2.1:40000".parse().unwrap(),
        server: "192.0.2.2:80".parse().unwrap(),
        instance: 1,
    };
    ConnectionInfo {
        id,
        roles: Roles::Certain,
        from_start: true,
        opened: Timestamp::default(),
        anomalies: AnomalySet::EMPTY,
        closing: None,
    }
}

/// Plays a connection, one nanosecond a step, and checks that every byte is accounted for.
fn play(steps: &[Step<'_>], end: End) -> (Vec<Exchange>, ExchangeAccount) {
    play_in(&connection(), steps, end)
}

/// The same of a connection whose handshake is not in the capture.
fn play_from_middle(steps: &[Step<'_>]) -> (Vec<Exchange>, ExchangeAccount) {
    play_in(&ConnectionInfo { from_start: false, ..connection() }, steps, End::Fin)
}

fn play_in(info: &ConnectionInfo, steps: &[Step<'_>], end: End) -> (Vec<Exchange>, ExchangeAccount) {
    let told = Rc::new(RefCell::new(Vec::new()));
    let sink = Rc::clone(&told);
    let mut reader = ExchangeReader::new(KEEP, move |exchange| sink.borrow_mut().push(exchange));
    let mut state = reader.open(info);
    let mut total = 0;
    for (step, nanos) in steps.iter().zip(1..) {
        let at = Timestamp::from_nanos(nanos);
        let (direction, chunk) = match step {
            Client(text) => (ToServer, Chunk::Data { at, bytes: text.as_bytes(), acked: Some(0) }),
            Server(text) => (ToClient, Chunk::Data { at, bytes: text.as_bytes(), acked: Some(0) }),
            Unknowing(text, unseen) => {
                (ToClient, Chunk::Data { at, bytes: text.as_bytes(), acked: Some(-unseen) })
            }
            ClientGap(len) => (ToServer, Chunk::Gap { len: *len }),
            ServerGap(len) => (ToClient, Chunk::Gap { len: *len }),
        };
        total += match chunk {
            Chunk::Data { bytes, .. } => bytes.len() as u64,
            Chunk::Gap { len } => len,
            Chunk::End(_) => 0,
        };
        reader.chunk(info, &mut state, direction, chunk);
    }
    reader.chunk(info, &mut state, ToServer, Chunk::End(end));
    reader.chunk(info, &mut state, ToClient, Chunk::End(end));
    reader.close(info, state);
    let account = reader.account().clone();
    assert_eq!(account.total(), total, "{account:?}");
    drop(reader);
    (Rc::into_inner(told).unwrap().into_inner(), account)
}

/// Target, status and body of each exchange.
fn summary(exchanges: &[Exchange]) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let one = |exchange: &Exchange| {
        let target = text(exchange.request.head.target());
        let answer = exchange.response.as_ref().map_or_else(
            || "-".to_owned(),
            |r| format!("{} {}", r.head.status, text(r.body.entity.as_deref().unwrap_or_default())),
        );
        format!("{target} {answer}").trim_end().to_owned()
    };
    exchanges.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n")
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn responses_answer_requests_in_order() {
    let head = "HEAD /h HTTP/1.1\r\n\r\n";
    let no_body = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n";
    let continues = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n";
    let (exchanges, account) = play(
        &[
            Client(&get("/a")),
            Server(&ok("A")),
            Client(&(get("/b") + head + &get("/c"))),
            Server(&(ok("B") + no_body + continues + &ok("C"))),
            Client(&get("/d")),
        ],
        End::Fin,
    );
    assert_eq!(summary(&exchanges), "/a 200 A, /b 200 B, /h 200, /c 200 C, /d -");
    assert_eq!(exchanges[3].interim, [100, 103]);
    assert_eq!(exchanges.iter().map(|e| e.ordinal).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert_eq!((account.exchanges, account.unanswered, account.orphans), (5, 1, 0));
    assert!(exchanges.iter().all(|e| e.anomalies.is_empty()));
}

#[test]
fn names_are_stable_and_tell_requests_of_one_packet_apart() {
    let both = get("/a") + &get("/b");
    let (exchanges, _) = play(&[Client(&both)], End::Fin);
    let (again, _) = play(&[Client(&both), Server(&ok(""))], End::Idle);
    assert_ne!(exchanges[0].id, exchanges[1].id);
    assert_eq!(
        exchanges.iter().map(|e| e.id).collect::<Vec<_>>(),
        again.iter().map(|e| e.id).collect::<Vec<_>>()
    );
    let other = ExchangeId::new(connection().id.reversed(), Timestamp::from_nanos(1), 0);
    assert_ne!(exchanges[0].id, other);
}

#[test]
fn a_response_may_come_before_its_request_is_complete() {
    let (exchanges, _) = play(
        &[
            Client("POST /up HTTP/1.1\r\nContent-Length: 6\r\n\r\nabc"),
            Server("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"),
            Client("def"),
            Client(&get("/next")),
            Server(&ok("N")),
        ],
        End::Fin,
    );
    assert_eq!(summary(&exchanges), "/up 413, /next 200 N");
    assert!(exchanges[0].anomalies.contains(Anomaly::EarlyResponse));
    assert_eq!(exchanges[0].request.body.len, 6);
}

#[test]
fn what_no_request_asked_for_is_an_orphan_and_no_exchange() {
    let (exchanges, account) =
        play(&[Server(&ok("lost")), Client(&get("/a")), Server(&(ok("A") + &ok("twice")))], End::Fin);
    assert_eq!(summary(&exchanges), "/a 200 A");
    assert_eq!((account.orphans, account.anomalies.of(Anomaly::OrphanResponse)), (2, 2));
}

#[test]
fn a_lost_request_leaves_its_response_alone() {
    let (exchanges, account) = play(
        &[
            Client(&get("/a")),
            Server(&ok("A")),
            ClientGap(40),
            Server(&ok("of the lost one")),
            Client(&get("/c")),
            Server(&ok("C")),
        ],
        End::Fin,
    );
    assert_eq!((summary(&exchanges).as_str(), account.orphans), ("/a 200 A, /c 200 C", 1));
}

#[test]
fn a_lost_response_leaves_its_request_alone() {
    let (exchanges, _) = play(
        &[
            Client(&get("/a")),
            Server(&ok("A")),
            Client(&get("/b")),
            ServerGap(40),
            Client(&get("/c")),
            Server(&ok("C")),
        ],
        End::Fin,
    );
    assert_eq!(summary(&exchanges), "/a 200 A, /b -, /c 200 C");
    assert!(exchanges[1].anomalies.contains(Anomaly::StreamGap));
}

#[test]
fn a_hole_in_both_directions_loses_exchanges_and_shifts_none() {
    let (exchanges, account) = play(
        &[
            Client(&get("/a")),
            Server(&ok("A")),
            ClientGap(90),
            ServerGap(90),
            Client(&get("/d")),
            Server(&ok("D")),
        ],
        End::Fin,
    );
    assert_eq!((summary(&exchanges).as_str(), account.orphans), ("/a 200 A, /d 200 D", 0));
}

#[test]
fn among_pipelined_messages_a_hole_is_counted_by_size_and_marked() {
    let requests: String = ["/a", "/b", "/c", "/d", "/e"].map(get).concat();
    let lost = (ok("B") + &ok("C")).len() as u64;
    let (exchanges, _) = play(
        &[Client(&requests), Server(&ok("A")), ServerGap(lost), Server(&ok("D")), Server(&ok("E"))],
        End::Fin,
    );
    assert_eq!(summary(&exchanges), "/a 200 A, /b -, /c -, /d 200 D, /e 200 E");
    assert!(exchanges[1..].iter().all(|e| e.anomalies.contains(Anomaly::StreamGap)));

    let two = get("/a") + &get("/b");
    let all = ["A", "B", "C", "D"].map(ok).concat();
    let (exchanges, account) =
        play(&[Client(&two), ClientGap(30), Client(&get("/d")), Server(&all)], End::Fin);
    assert_eq!((summary(&exchanges).as_str(), account.orphans), ("/a 200 A, /b 200 B, /d 200 D", 1));
    assert!(exchanges[2].anomalies.contains(Anomaly::StreamGap));
}

#[test]
fn the_bytes_say_who_is_the_client() {
    let (exchanges, _) = play(&[Server(&get("/a")), Client(&ok("A"))], End::Fin);
    assert_eq!(
        (summary(&exchanges).as_str(), exchanges[0].connection),
        ("/a 200 A", connection().id.reversed())
    );
    let (exchanges, _) = play(&[Client("HTTP/1.1 200 OK\r\n\r\nrest"), Server(&get("/b"))], End::Fin);
    assert_eq!((summary(&exchanges).as_str(), exchanges[0].connection), ("/b -", connection().id.reversed()));
}

#[test]
fn one_direction_alone_is_read() {
    let (exchanges, account) = play(&[Client(&get("/a")), Client(&get("/b"))], End::Idle);
    assert_eq!((summary(&exchanges).as_str(), account.unanswered), ("/a -, /b -", 2));
    let (exchanges, account) = play(&[Server(&ok("A")), Server(&ok("B"))], End::Idle);
    assert_eq!((exchanges.len(), account.orphans), (0, 2));
}

#[test]
fn requests_that_are_never_answered_do_not_pile_up() {
    let request = get("/a");
    let steps: Vec<_> = (0..3000).map(|_| Client(&request)).collect();
    let (exchanges, _) = play(&steps, End::Idle);
    assert_eq!(exchanges.len(), 3000);
    assert!(exchanges[0].anomalies.contains(Anomaly::OneDirection));
}

#[test]
fn what_is_not_http_is_named_and_never_parsed() {
    let hello = "\u{16}\u{3}\u{1}\0\u{5}\u{1}\0\0\u{1}\0";
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for (first, then, protocol) in [
        (hello, get("/x"), Protocol::Tls),
        (preface, get("/x"), Protocol::Http2),
        ("EHLO a\r\n", "MAIL FROM:<a@b>\r\n".to_owned(), Protocol::Unknown),
        ("G", String::new(), Protocol::Unknown),
    ] {
        let (exchanges, account) = play(&[Client(first), Server("?"), ClientGap(3), Client(&then)], End::Fin);
        assert!(exchanges.is_empty(), "{protocol:?}");
        let of = account.of(protocol);
        assert_eq!((of.connections, of.bytes), (1, (first.len() + then.len() + 1) as u64), "{protocol:?}");
        assert_eq!((of.gap, account.http.total()), (3, 0), "{protocol:?}");
    }
}

#[test]
fn first_bytes_may_come_one_by_one() {
    let request = get("/slow");
    let pieces: Vec<_> = (0..request.len()).map(|at| &request[at..=at]).collect();
    let mut steps: Vec<_> = pieces.into_iter().map(Client).collect();
    let answer = ok("S");
    steps.push(Server(&answer));
    let (exchanges, _) = play(&steps, End::Fin);
    assert_eq!(summary(&exchanges), "/slow 200 S");
    assert_eq!(exchanges[0].request.first_byte, Timestamp::from_nanos(1));
}

#[test]
fn http_is_found_behind_socks_and_in_the_middle_of_a_stream() {
    let (exchanges, account) = play(
        &[
            Client("\u{5}\u{1}\0"),
            Server("\u{5}\0"),
            Client("\u{5}\u{1}\0\u{3}\u{1}h\0P"),
            Server("\u{5}\0\0\u{1}\0\0\0\0\0\0"),
            Client(&get("/s")),
            Server(&ok("S")),
        ],
        End::Fin,
    );
    assert_eq!((summary(&exchanges).as_str(), account.socks, account.socks_connections), ("/s 200 S", 23, 1));
    let (exchanges, account) = play(
        &[Client("rest of a body}"), Server("{\"rest\": 1}"), Client(&get("/m")), Server(&ok("M"))],
        End::Fin,
    );
    assert_eq!((summary(&exchanges).as_str(), account.http.torn), ("/m 200 M", 26));
}

#[test]
fn http_is_read_behind_a_preface_of_the_proxy_protocol() {
    let line = "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n";
    let binary = "\r\n\r\n\0\r\nQUIT\n\u{21}\u{11}\0\u{c}aaaabbbbccdd";
    let (a, to_a) = (get("/a"), ok("A"));
    for (prefaces, bytes) in [(vec![line], 47), (vec![binary], 28), (vec![binary, line], 75)] {
        let preface = prefaces.concat();
        let glued = preface.clone() + &a;
        let (front, back) = preface.split_at(9);
        for pieces in [vec![glued.as_str()], vec![&preface, &a], vec![front, back, &a]] {
            let mut steps: Vec<_> = pieces.iter().map(|piece| Client(piece)).collect();
            steps.push(Server(&to_a));
            let (exchanges, account) = play(&steps, End::Fin);
            assert_eq!(summary(&exchanges), "/a 200 A", "{pieces:?}");
            assert_eq!((account.proxy, account.proxy_connections, account.http.torn), (bytes, 1, 0));
        }
    }
    // A health check of the load balancer.
    let (exchanges, account) = play(&[Client(line)], End::Fin);
    assert_eq!((exchanges.len(), account.proxy), (0, 47));
}

/// Runs in a thread whose stack holds no recursion that input can drive.
fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(256 << 10).spawn(test).unwrap().join().unwrap();
}

#[test]
fn prefaces_without_end_are_something_unknown() {
    for preface in ["PROXY UNKNOWN\r\n", "\r\n\r\n\0\r\nQUIT\n\u{21}\0\0\0"] {
        on_a_small_stack(move || {
            let glued = preface.repeat((64 << 10) / preface.len());
            let (front, back) = glued.split_at(100);
            for steps in [vec![Client(&glued)], vec![Client(front), Client(back)]] {
                let (exchanges, account) = play(&steps, End::Fin);
                let unknown = account.of(Protocol::Unknown);
                assert_eq!((exchanges.len(), unknown.connections), (0, 1));
                assert_eq!(account.proxy, 2 * preface.len() as u64);
                assert_eq!(unknown.bytes, (glued.len() - 2 * preface.len()) as u64);
            }
        });
    }
}

#[test]
fn a_preface_leaves_alone_what_the_server_said_meanwhile() {
    let line = "PROXY UNKNOWN\r\n";
    let glued = line.to_owned() + &get("/a");
    let (exchanges, account) = play(
        &[Server("HT"), Client(&glued[..5]), Client(&glued[5..]), Server("TP/1.1 204 No\r\n\r\n")],
        End::Fin,
    );
    assert_eq!((exchanges.len(), account.proxy, account.http.torn + account.http.stray), (1, 15, 0));
}

#[test]
fn handshakes_without_end_are_something_unknown() {
    on_a_small_stack(|| {
        // Version 4: the client's nine bytes and the server's eight.
        let (asks, answers) =
            ("\u{4}\u{1}\0\u{50}\u{7f}\0\0\u{1}\0".repeat(200), "\0Z\0\0\0\0\0\0".repeat(200));
        let (exchanges, account) = play(&[Client(&asks), Server(&answers)], End::Fin);
        assert_eq!((exchanges.len(), account.of(Protocol::Unknown).connections), (0, 1));
        assert_eq!(account.socks, u64::from(8_u8) * 17);
    });
}

#[test]
fn http_is_read_behind_a_handshake_of_socks_4() {
    // A name behind the address 0.0.0.1 (version 4a), and the request glued to neither.
    let plain = "\u{4}\u{1}\0\u{50}\u{7f}\0\0\u{1}me\0";
    let named = "\u{4}\u{1}\0\u{50}\0\0\0\u{1}\0a.example\0";
    for greeting in [plain, named] {
        let granted = "\0Z\0\0\0\0\0\0";
        let (request, answer) = (get("/4"), ok("A"));
        let (front, back) = greeting.split_at(3);
        let (exchanges, account) = play(
            &[Client(front), Client(back), Server(granted), Client(&request), Server(&answer)],
            End::Fin,
        );
        assert_eq!(summary(&exchanges), "/4 200 A");
        assert_eq!((account.socks, account.socks_connections), ((greeting.len() + 8) as u64, 1));
        assert!(exchanges[0].anomalies.is_empty());
    }
}

#[test]
fn doubt_without_a_hole_is_not_called_one() {
    // RFC 9112, section 6.1: no server knows this coding, so what follows is no body.
    let odd =
        "POST /odd HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \u{b}chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let (next, refused) = (get("/next"), "HTTP/1.1 501 No\r\nContent-Length: 0\r\n\r\n");
    let (exchanges, _) = play(&[Client(odd), Server(refused), Client(&next), Server(&ok("N"))], End::Fin);
    assert_eq!(summary(&exchanges), "/odd 501, /next 200 N");
    assert!(exchanges.iter().all(|e| !e.anomalies.contains(Anomaly::StreamGap)), "{exchanges:#?}");
    assert!(exchanges[1].anomalies.contains(Anomaly::UncertainPairing));
    assert!(exchanges[0].request.anomalies.contains(Anomaly::UnknownTransferEncoding));
}

#[test]
fn interim_responses_without_end_are_counted_off() {
    let request = get("/slow");
    let interim = "HTTP/1.1 102 Processing\r\n\r\n".repeat(3000);
    let (exchanges, _) = play(&[Client(&request), Server(&interim), Server(&ok("A"))], End::Fin);
    assert_eq!(summary(&exchanges), "/slow 200 A");
    assert_eq!(exchanges[0].interim.len(), 1000);
    assert!(exchanges[0].anomalies.contains(Anomaly::InterimLeftOut));
}

#[test]
fn what_waits_to_be_told_apart_weighs_what_it_takes() {
    let mut reader = ExchangeReader::new(KEEP, |_| ());
    let info = connection();
    let mut state = reader.open(&info);
    for nanos in 0..10_000 {
        let at = Timestamp::from_nanos(nanos);
        reader.chunk(&info, &mut state, ToServer, Chunk::Data { at, bytes: b"\n", acked: None });
    }
    assert!(reader.memory(&state) > 10_000 * 40, "{}", reader.memory(&state));
}

#[test]
fn a_refused_expectation_is_answered_before_the_body_that_may_not_come() {
    let post = "POST /big HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    let refusal = "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n";
    let (next, answer) = (get("/next"), ok("N"));
    // RFC 9110, section 10.1.1: the client may send the body all the same, leave it out, or close.
    for (body, completeness) in [(&["hello"][..], Completeness::Complete), (&[], Completeness::Aborted)] {
        let mut steps = vec![Client(post), Server(refusal)];
        steps.extend(body.iter().map(|body| Client(body)));
        steps.extend([Client(&next), Server(&answer)]);
        let (exchanges, account) = play(&steps, End::Fin);
        assert_eq!(summary(&exchanges), "/big 417, /next 200 N");
        assert_eq!(exchanges[0].request.completeness, completeness);
        assert_eq!(account.orphans, 0);
    }
    let (exchanges, account) = play(&[Client(post), Server(refusal)], End::Fin);
    assert_eq!(summary(&exchanges), "/big 417");
    assert_eq!(exchanges[0].request.completeness, Completeness::Aborted);
    assert_eq!(account.unanswered, 0);
}

#[test]
fn a_tunnel_is_counted_in_both_directions() {
    let connect = "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n";
    for (request, answer) in [
        (connect, "HTTP/1.1 200 Connected\r\n\r\n"),
        ("GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\n\r\n"),
    ] {
        let inside = get("/inside");
        let (exchanges, account) =
            play(&[Client(request), Server(answer), Client(&inside), Server("bytes")], End::Fin);
        assert_eq!((exchanges.len(), account.http.tunnel), (1, inside.len() as u64 + 5), "{request}");
    }
    let upgrade = "GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n";
    let switch = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n";
    let (_, account) = play(&[Client(upgrade), Server(switch), Server("frames")], End::Fin);
    assert_eq!((account.of(Protocol::Http2).bytes, account.http.tunnel), (6, 0));
}

#[test]
fn an_answer_to_a_lost_head_request_swallows_no_other() {
    let to_head = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n";
    for (text, orphans) in [(to_head.to_owned(), 1), (format!("{to_head}{:50}", "body"), 1)] {
        let (second, answer) = (get("/2"), ok("B"));
        let (exchanges, account) =
            play(&[ClientGap(40), Server(&text), Client(&second), Server(&answer)], End::Fin);
        assert_eq!((summary(&exchanges).as_str(), account.orphans), ("/2 200 B", orphans), "{text}");
    }
}

#[test]
fn http_0_9_has_answers_without_head() {
    let (exchanges, account) = play(&[Client("GET /old\r\n"), Server("<html>old</html>")], End::Fin);
    assert_eq!((summary(&exchanges).as_str(), account.http.headless), ("/old -", 16));
}

#[test]
fn ends_make_messages_aborted_or_cut() {
    for (end, completeness) in [
        (End::Fin, Completeness::Aborted),
        (End::Reset, Completeness::Aborted),
        (End::Idle, Completeness::Cut),
    ] {
        let (exchanges, _) =
            play(&[Client(&get("/")), Server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")], end);
        assert_eq!(exchanges[0].response.as_ref().unwrap().completeness, completeness);
    }
}

/// The order in which a sequencer tells requests with these first bytes and ends.
fn sequence(limit: usize, events: &[(i64, bool)]) -> (Vec<i64>, u64) {
    let (mut exchanges, _) = play(&[Client(&get("/"))], End::Fin);
    let exchange = exchanges.remove(0);
    let mut told = Vec::new();
    let limits = SequencerLimits { exchanges: limit, ..SequencerLimits::default() };
    let early = {
        let mut sequencer = Sequencer::new(limits, |next| {
            if let Told::Exchange(exchange) = next {
                told.push(exchange.request.first_byte.as_nanos());
            }
        });
        let mut open = std::collections::HashMap::new();
        for &(at, begins) in events {
            if begins {
                open.insert(at, sequencer.began(Timestamp::from_nanos(at)));
            } else {
                let mut exchange = exchange.clone();
                exchange.request.first_byte = Timestamp::from_nanos(at);
                sequencer.finished(open[&at], Some(Box::new(exchange)));
            }
        }
        sequencer.finish();
        sequencer.early()
    };
    (told, early)
}

#[test]
fn the_sequencer_tells_in_the_order_of_requests_within_its_limits() {
    let (b, e) = (true, false);
    assert_eq!(sequence(9, &[(1, b), (2, b), (3, b), (3, e), (2, e), (1, e)]), (vec![1, 2, 3], 0));
    assert_eq!(sequence(9, &[(2, b), (1, b), (2, e), (1, e)]), (vec![1, 2], 0));
    assert_eq!(sequence(1, &[(1, b), (2, b), (3, b), (2, e), (3, e), (1, e)]), (vec![2, 1, 3], 1));
    assert_eq!(sequence(9, &[(1, b), (2, b), (2, e)]), (vec![2], 0));
}

#[test]
fn a_request_that_thousands_overtake_is_still_told_in_its_place() {
    let (mut exchanges, _) = play(&[Client(&get("/"))], End::Fin);
    let exchange = exchanges.remove(0);
    let mut told = Vec::new();
    let limits = SequencerLimits { exchanges: 1, ..SequencerLimits::default() };
    let mut sequencer = Sequencer::new(limits, |next| {
        if let Told::Exchange(exchange) = next {
            told.push(exchange.ordinal);
        }
    });
    let finish = |sequencer: &mut Sequencer<_>, start, ordinal| {
        sequencer.finished(start, Some(Box::new(Exchange { ordinal, ..exchange.clone() })));
    };
    let slow = sequencer.began(Timestamp::from_nanos(0));
    for n in 1..5000 {
        let none = sequencer.began(Timestamp::from_nanos(n));
        sequencer.finished(none, None);
    }
    let last = sequencer.began(Timestamp::from_nanos(5000));
    finish(&mut sequencer, last, 2);
    finish(&mut sequencer, slow, 1);
    assert_eq!(sequencer.early(), 0);
    drop(sequencer);
    assert_eq!(told, [1, 2]);
}

#[test]
fn a_connection_is_told_closed_after_its_exchanges_and_not_before() {
    let (exchanges, _) = play(&[Client(&get("/"))], End::Fin);
    let (id, exchange) = (exchanges[0].connection, Box::new(exchanges[0].clone()));
    let mut told = Vec::new();
    let mut sequencer = Sequencer::new(SequencerLimits::default(), |next| {
        told.push(matches!(next, Told::Closed(closed, _) if closed == id));
    });
    let slow = sequencer.began(Timestamp::from_nanos(1));
    let quick = sequencer.began(Timestamp::from_nanos(2));
    sequencer.finished(quick, Some(exchange.clone()));
    sequencer.closed(id, None);
    sequencer.finished(slow, Some(exchange));
    assert_eq!(told, [false, false, true]);
}

/// What a sequencer is to tell, by looking through everything each time: of these requests, known by their
/// starts, `open` and `complete`.
struct Model {
    open: Vec<(i64, usize)>,
    complete: Vec<(i64, usize)>,
    told: Vec<i64>,
    limit: usize,
}

impl Model {
    fn advance(&mut self) {
        while let Some(first) = self.complete.iter().min().copied() {
            let waits = self.open.iter().any(|open| *open < first);
            if waits && self.complete.len() <= self.limit {
                return;
            }
            self.complete.retain(|other| *other != first);
            self.told.push(first.0);
        }
    }
}

proptest! {
    #[test]
    fn the_sequencer_tells_what_a_look_through_everything_would(
        // Times go up, now and then back; of what is open, any may end next.
        steps in proptest::collection::vec((0i64..20, 0usize..40), 1..120), limit in 0usize..5, line in 0usize..60,
    ) {
        let (mut events, mut open, mut last) = (Vec::new(), Vec::new(), 0);
        let mut model = Model { open: Vec::new(), complete: Vec::new(), told: Vec::new(), limit };
        for (number, (step, which)) in steps.into_iter().enumerate() {
            if which >= open.len() || open.len() < line / 10 {
                // Each time is another one, so that it names its request.
                let at = (last + step - 4) * 1000 + i64::try_from(number).unwrap();
                last += step - 4;
                open.push((at, number));
                model.open.push((at, number));
                events.push((at, true));
            } else {
                let ended = open.remove(which);
                model.open.retain(|other| *other != ended);
                model.complete.push(ended);
                model.advance();
                events.push((ended.0, false));
            }
        }
        model.limit = 0;
        model.advance();
        prop_assert_eq!(sequence(limit, &events).0, model.told);
    }

    #[test]
    fn anything_at_all_is_accounted_for(
        steps in proptest::collection::vec((0u8..12, 0usize..80, 0usize..80, 0u64..200), 0..24),
    ) {
        let texts = [get("/a"), get("/b") + &get("/c"), "POST / HTTP/1.1\r\nContent-Length: 30\r\n\r\nabc".into(),
            ok("A"), ok("B") + &ok("C"), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab".into(),
            "HTTP/1.1 101 x\r\n\r\n".into(), "noise\r\n".into(), "\u{5}\u{1}\0".into()];
        let steps: Vec<_> = steps.iter().map(|&(kind, which, from, len)| {
            let text = &texts[which % texts.len()];
            let text = if kind % 3 == 0 { &text[from % text.len()..] } else { text.as_str() };
            match kind {
                0..=4 => Client(text),
                5..=9 => Server(text),
                10 => ClientGap(len),
                _ => ServerGap(len),
            }
        }).collect();
        let (exchanges, account) = play(&steps, End::Reset);
        prop_assert_eq!(exchanges.len() as u64, account.exchanges);
        prop_assert!(exchanges.iter().zip(0..).all(|(e, ordinal)| e.ordinal == ordinal));
    }
}
