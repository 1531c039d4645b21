use super::*;
use crate::anomaly::AnomalySet;
use crate::exchange::ExchangeId;
use crate::http::{BodyKeep, Close, Completeness, Options, Parser, RequestHead, ResponseReader, Sink};
use crate::route::{Draws, HostEdit, Percent, RouteTable, Sampling, Why};
use crate::stream::ConnectionId;

const AT: Timestamp = Timestamp::from_nanos(7);
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

struct Requests(Vec<Request>);

impl Sink<RequestHead> for Requests {
    fn message(&mut self, request: Request) {
        self.0.push(request);
    }
}

fn exchange(raw: &str) -> Exchange {
    let mut requests = Requests(Vec::new());
    let mut parser = Parser::new(Options { keep: BodyKeep::UpTo(64), hash: false });
    parser.push(AT, raw.as_bytes(), &mut requests);
    parser.end(Close::Unknown, &mut requests);
    Exchange {
        id: ExchangeId(1),
        connection: ConnectionId {
            client: ([192, 0, 2, 7], 5000).into(),
            server: ([10, 0, 0, 1], 80).into(),
            instance: 1,
        },
        ordinal: 0,
        request: requests.0.remove(0),
        response: None,
        interim: Vec::new(),
        anomalies: AnomalySet::EMPTY,
    }
}

fn answered(raw: &str, answer: &str) -> Exchange {
    let mut reader = ResponseReader::new(Options::default());
    reader.expect(Asked::Other);
    reader.push(AT, answer.as_bytes());
    Exchange { response: reader.take().map(|answer| *answer), ..exchange(raw) }
}

fn everything() -> Decision {
    to_v2(Percent::ALL)
}

fn to_v2(percent: Percent) -> Decision {
    let draws = Draws::from_value(0, Sampling::Envoy);
    RouteTable::to_v2(percent).decide(&exchange(GET).request.head, &draws)
}

fn planned(raw: &str) -> ShadowRequest {
    match Planner::default().plan(&exchange(raw), &everything()) {
        Plan::Send(mut requests) => requests.remove(0).1.unwrap(),
        Plan::Skip(reason) => panic!("{reason}: {raw}"),
    }
}

#[test]
fn each_obstacle_has_its_reason() {
    let planner = Planner::new(HeadEdits::default(), vec!["[::ffff:10.0.0.1]:81".parse().unwrap()]);
    let too_large = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{}", "x".repeat(100));
    for (raw, reason) in [
        ("GET / HTTP/1.1\r\nHost: a-shadow:80\r\n\r\n", SkipReason::AlreadyShadow),
        ("GET http://a-shadow/ HTTP/1.1\r\nHost: b\r\n\r\n", SkipReason::AlreadyShadow),
        ("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", SkipReason::Connect),
        ("GET /\r\n", SkipReason::Http09),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", SkipReason::IncompleteRequest),
        (&too_large, SkipReason::BodyNotKept),
    ] {
        assert_eq!(planner.plan(&exchange(raw), &everything()), Plan::Skip(reason), "{raw}");
    }
    let mut lost = exchange(GET);
    lost.request.completeness = Completeness::Gap;
    assert_eq!(planner.obstacle(&lost), Some(SkipReason::IncompleteRequest));
}

#[test]
fn what_went_to_the_target_is_the_replays_own() {
    for (target, reason) in [
        ("10.0.0.1:80", Some(SkipReason::ToTarget)),
        ("[::ffff:10.0.0.1]:80", Some(SkipReason::ToTarget)),
        ("10.0.0.1:81", None),
        ("10.0.0.2:80", None),
    ] {
        let planner = Planner::new(HeadEdits::default(), vec![target.parse().unwrap()]);
        assert_eq!(planner.obstacle(&exchange(GET)), reason, "{target}");
    }
}

#[test]
fn only_an_upgrade_that_v1_made_is_an_obstacle() {
    let raw = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    let planner = Planner::default();
    let switched = answered(raw, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(planner.obstacle(&switched), Some(SkipReason::Upgrade));
    assert_eq!(planner.obstacle(&answered(raw, "HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n")), None);
    assert_eq!(planner.obstacle(&exchange(raw)), None);
}

#[test]
fn what_the_rules_left_out_is_not_sampled_unless_it_could_not_be_sent_at_all() {
    let nothing = to_v2(Percent::new(0.0).unwrap());
    let planner = Planner::default();
    assert_eq!(planner.plan(&exchange(GET), &nothing), Plan::Skip(SkipReason::NotSampled));
    let shadow = exchange("GET / HTTP/1.1\r\nHost: a-shadow\r\n\r\n");
    assert_eq!(planner.plan(&shadow, &nothing), Plan::Skip(SkipReason::AlreadyShadow));
}

#[test]
fn another_suffix_is_looked_for_beside_that_of_the_meshes() {
    let edits = HeadEdits { host: HostEdit::Suffix("-v2".into()), ..HeadEdits::default() };
    let planner = Planner::new(edits, Vec::new());
    let of = |host: &str| planner.obstacle(&exchange(&GET.replace(": a", &format!(": {host}"))));
    for (host, obstacle) in [
        ("a-v2", Some(SkipReason::AlreadyShadow)),
        ("a-shadow:80", Some(SkipReason::AlreadyShadow)),
        ("a", None),
        ("a-v3", None),
    ] {
        assert_eq!(of(host), obstacle, "{host}");
    }
}

#[test]
fn a_canary_keeps_its_host_beside_a_shadow_that_does_not() {
    let to = |role, name: &str| Destination { role, name: name.into(), place: Some(0), why: Why::Only };
    let decision =
        Decision { destinations: vec![to(Role::Canary, "v2"), to(Role::Shadow, "v3")], ..everything() };
    let Plan::Send(requests) = Planner::default().plan(&exchange(GET), &decision) else { panic!() };
    let heads: Vec<_> =
        requests.iter().map(|(to, request)| (&*to.name, request.as_ref().unwrap().head.to_vec())).collect();
    assert_eq!(
        heads,
        [("v2", GET.as_bytes().to_vec()), ("v3", b"GET / HTTP/1.1\r\nHost: a-shadow\r\n\r\n".to_vec())]
    );
}

#[test]
fn only_a_body_can_wait_for_100_continue_and_only_in_http_1_1() {
    for (version, expect, body, waits) in [
        ("1.1", "100-continue", "x", true),
        ("1.1", "100-Continue", "x", true),
        ("1.1", "100-continue", "", false),
        ("1.0", "100-continue", "x", false),
        ("1.1", "something", "x", false),
    ] {
        let length = body.len();
        let raw =
            format!("PUT / HTTP/{version}\r\nExpect: {expect}\r\nContent-Length: {length}\r\n\r\n{body}");
        assert_eq!(planned(&raw).manner.expects_continue, waits, "{raw}");
    }
    let mut edits = HeadEdits::default();
    edits.fields.remove("expect".parse().unwrap());
    let raw = "PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx";
    let Plan::Send(sent) = Planner::new(edits, Vec::new()).plan(&exchange(raw), &everything()) else {
        panic!()
    };
    assert!(!sent[0].1.as_ref().unwrap().manner.expects_continue, "what is not sent is not waited for");
}

#[test]
fn the_manner_follows_method_version_and_connection() {
    assert_eq!(planned("HEAD / HTTP/1.1\r\n\r\n").manner.asked, Asked::Head);
    for (raw, persistent) in [
        (GET, true),
        ("GET / HTTP/1.1\r\nConnection: Close\r\n\r\n", false),
        ("GET / HTTP/1.0\r\n\r\n", false),
        ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true),
    ] {
        assert_eq!(planned(raw).manner.persistent, persistent, "{raw}");
    }
    assert_eq!(planned(GET).captured, AT);
}
