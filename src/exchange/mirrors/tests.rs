use std::net::SocketAddr;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::anomaly::AnomalySet;
use crate::exchange::ExchangeReader;
use crate::http::{BodyKeep, Options};
use crate::stream::{Application, Chunk, ConnectionId, ConnectionInfo, Direction, End, Roles};
use crate::time::Timestamp;

const V1: &str = "192.0.2.10:80";
const V2: &str = "192.0.2.20:80";
const V3: &str = "192.0.2.30:80";
const PROXY: &str = "192.0.2.1:40000";

/// One exchange of a story, and what is known of its side.
#[derive(Clone)]
struct Seen<'a> {
    at: u64,
    client: &'a str,
    server: &'a str,
    request: String,
    answer: &'a str,
    side: Side,
}

impl Seen<'_> {
    fn exchange(&self) -> Exchange {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let id = ConnectionId { client: address(self.client), server: address(self.server), instance: 1 };
        let info = ConnectionInfo {
            id,
            roles: Roles::Certain,
            from_start: true,
            opened: Timestamp::default(),
            anomalies: AnomalySet::EMPTY,
            closing: None,
        };
        let mut told = Vec::new();
        let keep = Options { keep: BodyKeep::UpTo(100), hash: false };
        let mut reader = ExchangeReader::new(keep, |exchange: Exchange| told.push(exchange));
        let mut state = reader.open(&info);
        let begin = Timestamp::from_nanos(0) + Duration::from_micros(self.at);
        for (direction, bytes) in
            [(Direction::ToServer, self.request.as_str()), (Direction::ToClient, self.answer)]
        {
            reader.chunk(
                &info,
                &mut state,
                direction,
                Chunk::Data { at: begin, bytes: bytes.as_bytes(), acked: Some(0) },
            );
        }
        for direction in [Direction::ToServer, Direction::ToClient] {
            reader.chunk(&info, &mut state, direction, Chunk::End(End::Fin));
        }
        reader.close(&info, state);
        told.remove(0)
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na";
const OTHER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb";

/// A request to v1 that began so many µs after the capture's beginning; `head` is its first line and what
/// follows the Host.
fn primary(at: u64, line: &str, fields: &str) -> Seen<'static> {
    let request = format!("{line} HTTP/1.1\r\nHost: shop:8000\r\n{fields}\r\n");
    Seen { at, client: PROXY, server: V1, request, answer: OK, side: Side::Primary }
}

/// Its copy to v2.
fn shadow(at: u64, line: &str, fields: &str) -> Seen<'static> {
    let request = format!("{line} HTTP/1.1\r\nHost: shop-shadow:8000\r\n{fields}\r\n");
    Seen { at, client: PROXY, server: V2, request, answer: OK, side: Side::Shadow(b"Shop:8000".to_vec()) }
}

fn id(id: &str) -> String {
    format!("x-request-id: {id}\r\n")
}

/// What is told of a story, a line for each: when both sides began, or one side and why it is alone.
fn told_within(limits: MirrorsLimits, story: &[Seen<'_>]) -> Vec<String> {
    let mut lines = Vec::new();
    let begin = |exchange: &Exchange| exchange.request.first_byte.as_nanos() / 1000;
    let mut mirrors = Mirrors::new(limits);
    let mut tell = |mirrored| {
        lines.push(match mirrored {
            Mirrored::Pair { primary, shadow, evidence } => {
                format!("{}+{} {evidence:?}", begin(&primary), begin(&shadow))
            }
            Mirrored::Alone(exchange, why) => format!("{} {why:?}", begin(&exchange)),
        });
    };
    for seen in story {
        mirrors.take(seen.exchange(), seen.side.clone(), &mut tell);
    }
    mirrors.finish(&mut tell);
    assert_eq!((mirrors.held(), mirrors.held_bytes()), (0, 0));
    lines
}

fn told(story: &[Seen<'_>]) -> Vec<String> {
    told_within(MirrorsLimits::default(), story)
}

#[test]
fn the_same_id_method_and_target_make_a_pair() {
    let story = [
        primary(0, "GET /a", &id("1")),
        shadow(70, "GET /a", &id("1")),
        primary(100, "GET /a", &id("2")),
        primary(120, "GET /b", &id("3")),
        shadow(190, "GET /b", &id("3")),
        shadow(200, "GET /a", &id("2")),
    ];
    assert_eq!(told(&story), ["0+70 RequestId", "100+200 RequestId", "120+190 RequestId"]);
}

#[test]
fn without_an_id_method_target_host_and_body_have_to_be_the_same() {
    let post = "Content-Length: 3\r\n";
    let with_body = |mut seen: Seen<'static>, body: &str| {
        seen.request.push_str(body);
        seen
    };
    let chunked =
        with_body(shadow(170, "POST /c", "Transfer-Encoding: chunked\r\n"), "3\r\nabc\r\n0\r\n\r\n");
    let other_host = Seen { side: Side::Shadow(b"cart:8000".to_vec()), ..shadow(60, "GET /a", "") };
    let story = [
        primary(0, "GET /a", ""),
        shadow(50, "PUT /a", ""),
        other_host,
        shadow(70, "GET /a", ""),
        shadow(80, "GET /a?", ""),
        with_body(primary(100, "POST /c", post), "abc"),
        with_body(shadow(150, "POST /c", post), "abd"),
        chunked,
    ];
    let expected = [
        "0+70 Likeness",
        "50 NoPrimary",
        "60 NoPrimary",
        "80 NoPrimary",
        "100+170 Likeness",
        "150 NoPrimary",
    ];
    assert_eq!(told(&story), expected);
}

#[test]
fn an_id_on_one_side_only_is_no_likeness() {
    let story = [primary(0, "GET /a", &id("1")), shadow(70, "GET /a", ""), shadow(80, "GET /a", &id("2"))];
    assert_eq!(told(&story), ["0 NoShadow", "70 NoPrimary", "80 NoPrimary"]);
}

#[test]
fn one_side_alone_says_why() {
    let cut = shadow(50, "POST /c", "Content-Length: 10\r\n");
    let late = 5_000_001;
    let story = [
        primary(0, "GET /a", &id("1")),
        cut,
        shadow(90, "GET /b", &id("9")),
        shadow(late, "GET /a", &id("1")),
    ];
    let expected = ["0 NoShadow", "50 IncompleteRequest", "90 NoPrimary", "5000001 OutsideWindow"];
    assert_eq!(told(&story), expected);
    let mut in_time = story;
    in_time[3].at = 5_000_000;
    assert_eq!(told(&in_time)[0], "0+5000000 RequestId");
}

#[test]
fn the_copy_may_be_captured_before_its_original() {
    assert_eq!(told(&[shadow(0, "GET /a", ""), primary(30, "GET /a", "")]), ["30+0 Likeness"]);
}

#[test]
fn the_nearest_of_several_alike_is_taken_if_it_is_clearly_nearer() {
    let ms = 1000;
    let later = |mut seen: Seen<'static>, answer: &'static str| {
        seen.answer = answer;
        seen
    };
    // Each copy follows its original after 70 µs; originals are 50 ms apart.
    let apart: Vec<_> = (0..4)
        .flat_map(|n| {
            let at = n * 50 * ms;
            [
                later(primary(at, "GET /t", ""), if n % 2 == 0 { OK } else { OTHER }),
                shadow(at + 70, "GET /t", ""),
            ]
        })
        .collect();
    assert_eq!(
        told(&apart),
        ["0+70 Likeness", "50000+50070 Likeness", "100000+100070 Likeness", "150000+150070 Likeness"]
    );

    // 60 µs apart they cannot be told from each other, which matters where the answers differ.
    let near = [
        primary(0, "GET /t", ""),
        later(primary(60, "GET /t", ""), OTHER),
        shadow(70, "GET /t", ""),
        shadow(75, "GET /t", ""),
    ];
    assert_eq!(told(&near), ["0 NoShadow", "60 NoShadow", "70 Ambiguous", "75 Ambiguous"]);
    let alike = near.map(|seen| later(seen, OK));
    assert_eq!(told(&alike), ["0+75 Likeness", "60+70 Likeness"]);
}

#[test]
fn a_primary_has_one_shadow_at_each_server() {
    let third = Seen { server: V3, ..shadow(80, "GET /a", &id("1")) };
    let twice = shadow(90, "GET /a", &id("1"));
    let story = [primary(0, "GET /a", &id("1")), shadow(70, "GET /a", &id("1")), third, twice];
    assert_eq!(told(&story), ["0+70 RequestId", "0+80 RequestId", "90 Ambiguous"]);
}

#[test]
fn of_the_hops_of_one_request_that_of_the_same_proxy_is_compared() {
    // The client's own hop, which the client gave an id; then the proxy's two.
    let first = Seen { client: "192.0.2.77:1", answer: OTHER, ..primary(0, "GET /a", &id("1")) };
    let story = [first, primary(4, "GET /a", &id("1")), shadow(5, "GET /a", &id("1"))];
    assert_eq!(told(&story), ["0 NoShadow", "4+5 RequestId"]);
}

#[test]
fn calls_that_hand_an_id_on_are_told_apart_by_host_where_the_shadow_has_one() {
    let other = |seen: Seen<'static>| Seen { request: seen.request.replace("shop", "cart"), ..seen };
    let cart = Seen { side: Side::Shadow(b"cart:8000".to_vec()), ..other(shadow(15, "GET /", &id("1"))) };
    let story = [
        primary(0, "GET /", &id("1")),
        other(primary(14, "GET /", &id("1"))),
        cart,
        shadow(16, "GET /", &id("1")),
    ];
    assert_eq!(told(&story), ["0+16 RequestId", "14+15 RequestId"]);
}

#[test]
fn a_shadow_known_by_its_server_may_carry_any_host() {
    let literal = |mut seen: Seen<'static>| {
        seen.request = seen.request.replace("shop-shadow:8000", "v2.test");
        seen.side = Side::ToShadowServer;
        seen
    };
    let story = [
        primary(0, "GET /a", &id("1")),
        literal(shadow(70, "GET /a", &id("1"))),
        literal(shadow(90, "GET /b", "")),
    ];
    assert_eq!(told(&story), ["0+70 RequestId", "90 NoPrimary"]);
}

#[test]
fn without_any_name_the_shadow_is_the_one_to_which_the_proxy_added_something() {
    let unmarked = |at, server, fields: &str| {
        let fields = format!("{}{fields}", id("1"));
        Seen { side: Side::Unmarked, server, ..primary(at, "GET /a", &fields) }
    };
    for (one, other, pairs) in [
        ("", "x-envoy-internal: true\r\nx-forwarded-for: 192.0.2.1\r\n", true),
        ("", "x-envoy-internal: true\r\n", true),
        (
            "x-forwarded-for: 10.0.0.1, 10.0.0.2\r\n",
            "x-forwarded-for: 10.0.0.1, 10.0.0.2,192.0.2.1\r\n",
            true,
        ),
        (
            "x-envoy-internal: true\r\nx-forwarded-for: a\r\n",
            "x-envoy-internal: true\r\nx-forwarded-for: a,b\r\n",
            true,
        ),
        ("", "", false),
        ("x-forwarded-for: a\r\n", "x-forwarded-for: b\r\n", false),
    ] {
        let expected = |pair: &str, alone: [&str; 2]| {
            if pairs { vec![pair.to_owned()] } else { alone.map(str::to_owned).to_vec() }
        };
        let alone = ["0 NoShadow", "70 NoShadow"];
        assert_eq!(
            told(&[unmarked(0, V1, one), unmarked(70, V2, other)]),
            expected("0+70 RequestId", alone),
            "{other}"
        );
        assert_eq!(
            told(&[unmarked(0, V2, other), unmarked(70, V1, one)]),
            expected("70+0 RequestId", alone),
            "{other}"
        );
    }
    let marks = "x-envoy-internal: true\r\n";
    let same_server = [unmarked(0, V1, ""), unmarked(70, V1, marks)];
    assert_eq!(
        told(&same_server),
        ["0 NoShadow", "70 NoShadow"],
        "both at one server are an attempt and the next"
    );
    let other_proxy = Seen { client: "192.0.2.3:1", ..unmarked(70, V2, marks) };
    assert_eq!(told(&[unmarked(0, V1, ""), other_proxy]), ["0 NoShadow", "70 NoShadow"]);
}

#[test]
fn what_waits_is_bounded_by_number_bytes_and_captured_time() {
    let limits = MirrorsLimits { exchanges: 10, ..MirrorsLimits::default() };
    let primaries: Vec<_> = (0..100).map(|n| primary(n, "GET /a", &id(&n.to_string()))).collect();
    for limits in [
        limits,
        MirrorsLimits {
            bytes: 10 * crate::exchange::sequencer::weigh(&primaries[10].exchange()) - 10,
            ..MirrorsLimits::default()
        },
    ] {
        let mut most = 0;
        let mut reasons = Vec::new();
        let mut mirrors = Mirrors::new(limits);
        let mut tell = |told| match told {
            Mirrored::Alone(_, why) => reasons.push(why),
            Mirrored::Pair { .. } => panic!("{told:?}"),
        };
        for seen in &primaries {
            mirrors.take(seen.exchange(), Side::Primary, &mut tell);
            most = most.max(mirrors.held());
        }
        mirrors.finish(&mut tell);
        assert!((9..=12).contains(&most), "{most}");
        assert_eq!(reasons.len(), 100);
        assert!(reasons.iter().filter(|why| **why == Alone::NoRoom).count() >= 85, "{reasons:?}");
    }
    let window = MirrorsLimits { window: Duration::from_micros(10), ..MirrorsLimits::default() };
    let mut mirrors = Mirrors::new(window);
    for seen in &primaries {
        mirrors.take(seen.exchange(), Side::Primary, &mut drop);
        assert!(mirrors.held() <= 21, "{}", mirrors.held());
    }
}

#[test]
fn shadows_count_against_the_bound_when_they_have_found_their_primary() {
    let limits = MirrorsLimits { exchanges: 4, ..MirrorsLimits::default() };
    let servers: Vec<String> = (0..9).map(|n| format!("192.0.2.{}:80", 100 + n)).collect();
    let mut mirrors = Mirrors::new(limits);
    mirrors.take(primary(0, "GET /a", &id("1")).exchange(), Side::Primary, &mut drop);
    for (server, at) in servers.iter().zip(1..) {
        let seen = Seen { server, ..shadow(at, "GET /a", &id("1")) };
        mirrors.take(seen.exchange(), seen.side.clone(), &mut drop);
        assert!(mirrors.held() <= 5, "{}", mirrors.held());
    }
}

proptest! {
    /// Whatever comes: each exchange is told, once where it is alone, and as often as it has shadows where not.
    #[test]
    fn every_exchange_is_told(
        story in prop::collection::vec((0_u64..200, 0..3_u8, 0..3_u8, 0..3_u8, any::<bool>()), 0..40),
        exchanges in 1_usize..20,
        window in 0_u64..100,
    ) {
        let limits = MirrorsLimits { exchanges, window: Duration::from_micros(window), ..MirrorsLimits::default() };
        let (mut alone, mut primaries, mut shadows) = (0, std::collections::HashSet::new(), 0);
        let mut mirrors = Mirrors::new(limits);
        let mut tell = |told| match told {
            Mirrored::Alone(..) => alone += 1,
            Mirrored::Pair { primary, .. } => {
                primaries.insert((primary.request.first_byte, primary.request.head.raw().clone()));
                shadows += 1;
            }
        };
        for (n, (at, target, name, side, late)) in story.iter().enumerate() {
            let line = format!("GET /{target}");
            // Each has a header of its own, so that it can be told from the others.
            let fields = format!("{}n: {n}\r\n", if *name == 0 { String::new() } else { id(&name.to_string()) });
            let at = if *late { *at } else { *at + 50 * u64::try_from(n).unwrap() };
            let seen = match side {
                0 => primary(at, &line, &fields),
                1 => shadow(at, &line, &fields),
                _ => Seen { side: Side::Unmarked, server: V3, ..shadow(at, &line, &fields) },
            };
            mirrors.take(seen.exchange(), seen.side, &mut tell);
        }
        mirrors.finish(&mut tell);
        prop_assert_eq!(alone + primaries.len() + shadows, story.len());
    }
}
