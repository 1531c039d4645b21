//! Weights and percentages: Envoy's shares and the program's, and that one number decides both.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::{SocketAddr, TcpStream};

use serde_json::{Value, json};
use shadowcap::exchange::ExchangeId;
use shadowcap::route::{Decision, Draws, RouteTable, Rules, Sampling, Setup};

use crate::client::{ask, read};
use crate::pilot::{Version, bootstrap, listener};
use crate::route_cases::head;
use crate::support::{Envoy, RawServer, Recorded, Reply, Script};

/// The destinations, by their numbers.
const NAMES: [&str; 3] = ["s/a", "s/b", "s/c"];

const WEIGHTS: &str = "
  - route:
    - {destination: {host: s, subset: a}, weight: 30}
    - {destination: {host: s, subset: b}, weight: 0}
    - {destination: {host: s, subset: b}, weight: 50}
    - {destination: {host: s, subset: c}, weight: 20}";

const MIRRORS: &str = "
  - match: [{uri: {prefix: /whole}}]
    route:
    - {destination: {host: s, subset: a}, weight: 25}
    - {destination: {host: s, subset: b}, weight: 75}
    mirror: {host: s, subset: c}
    mirrorPercent: 10
  - match: [{uri: {prefix: /decimals}}]
    route: [{destination: {host: s, subset: a}}]
    mirrors:
    - {destination: {host: s, subset: b}, percentage: {value: 10}}
    - {destination: {host: s, subset: c}, percentage: {value: 30.5}}
  - route: [{destination: {host: s, subset: a}}]
    mirrors:
    - {destination: {host: s, subset: b}}
    - {destination: {host: s, subset: c}}";

fn yaml(http: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: s}}\nspec:\n  hosts: [s]\n  http:{http}\n"
    )
}

fn service(http: &str) -> Value {
    serde_saphyr::from_str(&yaml(http)).unwrap()
}

fn table(http: &str) -> RouteTable {
    let rules = Rules::read(&[("rules.yaml".to_owned(), yaml(http))], "default").unwrap();
    RouteTable::new(rules.sets, &Setup::default()).0
}

/// A server for each destination, which answers with its number and keeps what it was asked.
fn servers() -> Vec<RawServer> {
    let server = |number: usize| {
        RawServer::start(Script::new(move |_| {
            Reply::Answer(format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{number}").into_bytes())
        }))
    };
    (0..NAMES.len()).map(server).collect()
}

fn addresses(servers: &[RawServer]) -> BTreeMap<String, SocketAddr> {
    NAMES.iter().zip(servers).map(|(name, server)| ((*name).to_owned(), server.address())).collect()
}

fn request(target: &str, fields: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: s\r\n{fields}\r\n")
}

/// Numbers around every edge of the intervals, and far beyond.
fn numbers() -> Vec<u64> {
    let large = [1 << 32, u64::MAX / 100 * 100, u64::MAX - 1, u64::MAX, 0x9e37_79b9_7f4a_7c15];
    (0..220).chain(large.into_iter().flat_map(|n| [n, n - 29, n - 30, n - 80])).collect()
}

#[test]
fn a_number_picks_the_weighted_destination_that_envoy_picks() {
    let servers = servers();
    let mut listener = listener("weights", Version::WithSuffix, &[service(WEIGHTS)]);
    let route = "/filter_chains/0/filters/0/typed_config/route_config/virtual_hosts/0/routes/0/route";
    // Envoy takes its number from here rather than at random.
    listener.pointer_mut(route).unwrap()["weighted_clusters"]["header_name"] = json!("x-number");
    let envoy = or_skip!(Envoy::start(&bootstrap(&[listener], &addresses(&servers))));
    let address = envoy.listener("weights");
    let table = table(WEIGHTS);
    for number in numbers() {
        let request = request("/", &format!("x-number: {number}\r\n"));
        let theirs = ask(address, request.as_bytes()).body;
        let decision = table.decide(&head(&request), &Draws::from_value(number, Sampling::Envoy));
        // The destination without weight is none.
        let ours = decision.picked.unwrap().primary.unwrap().to_string();
        assert_eq!(ours, theirs, "{number}");
    }
}

/// Whether a count of `all` is what a share leads to, `z` standard deviations allowed.
#[allow(clippy::cast_precision_loss, reason = "a few thousand")]
fn within(count: usize, all: usize, share: f64, z: f64) -> bool {
    let all = all as f64;
    (count as f64 - all * share).abs() <= z * (all * share * (1.0 - share)).sqrt() + 1.0
}

/// The requests that each destination had.
type Had = [BTreeSet<usize>; 3];

/// What holds of both rules of [`MIRRORS`].
fn assert_shares(whole: &Had, decimals: &Had, all: usize, z: f64) {
    let count = |had: &BTreeSet<usize>, share: f64, what: &str| {
        assert!(within(had.len(), all, share, z), "{what}: {} of {all}, expected {share}", had.len());
    };
    count(&whole[0], 0.25, "weight 25");
    count(&whole[1], 0.75, "weight 75");
    count(&whole[2], 0.1, "mirrorPercent 10");
    // One number decides both, so that the first tenth lies within the first quarter.
    assert!(whole[2].is_subset(&whole[0]), "weights and whole percentages are decided by one number");
    count(&decimals[1], 0.1, "percentage 10");
    count(&decimals[2], 0.305, "percentage 30.5");
    assert!(decimals[1].is_subset(&decimals[2]), "a higher percentage contains a lower one");
}

#[test]
fn envoys_shares_are_those_of_the_rules_and_nest() {
    const REQUESTS: usize = 3000;
    let servers = servers();
    let listener = listener("mirrors", Version::WithSuffix, &[service(MIRRORS)]);
    let envoy = or_skip!(Envoy::start(&bootstrap(&[listener], &addresses(&servers))));
    let mut stream = TcpStream::connect(envoy.listener("mirrors")).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut send = |target: String| {
        let request = request(&target, "");
        stream.write_all(request.as_bytes()).unwrap();
        read(&mut stream, request.as_bytes());
    };
    (0..REQUESTS).for_each(|n| send(format!("/whole/{n}")));
    (0..REQUESTS).for_each(|n| send(format!("/decimals/{n}")));
    // A worker sends in order: when the shadows of a request that goes to both mirrors have come, all before it have.
    let last = "GET /last";
    let has_last = |connections: &[Recorded]| {
        let mut requests = connections.iter().flat_map(|connection| &connection.requests);
        requests.any(|request| request.bytes.starts_with(last.as_bytes()))
    };
    send("/last".to_owned());
    servers[1..].iter().for_each(|server| server.wait_for("the last shadow", has_last));
    let had = |server: &RawServer, prefix: &str| -> BTreeSet<usize> {
        let number = |bytes: &[u8]| {
            let target = String::from_utf8_lossy(bytes).split(' ').nth(1)?.to_owned();
            target.strip_prefix(prefix)?.parse().ok()
        };
        server.requests().iter().filter_map(|request| number(&request.bytes)).collect()
    };
    let of = |prefix: &str| -> Had { std::array::from_fn(|number| had(&servers[number], prefix)) };
    // Envoy's numbers are other ones in each run: five standard deviations fail once in a million.
    assert_shares(&of("/whole/"), &of("/decimals/"), REQUESTS, 5.0);
}

#[test]
fn the_programs_shares_are_those_of_the_rules_and_nest() {
    const REQUESTS: usize = 20_000;
    let table = table(MIRRORS);
    let decide = |target: &str, seed: u64| {
        let head = head(&request(target, ""));
        let of = |number: usize| -> Decision {
            let id = ExchangeId(0x5851_f42d_4c95_7f2d_u64.wrapping_mul(number as u64 + 1));
            table.decide(&head, &Draws::new(seed, id, Sampling::Envoy))
        };
        let picked: Vec<_> = (0..REQUESTS).map(|number| of(number).picked.unwrap()).collect();
        let numbers =
            |chosen: &dyn Fn(usize) -> bool| (0..REQUESTS).filter(|n| chosen(*n)).collect::<BTreeSet<_>>();
        (
            picked.clone(),
            numbers(&|n| picked[n].primary == Some(0)),
            numbers(&|n| picked[n].primary == Some(1)),
        )
    };
    let mirrored = |picked: &[shadowcap::route::Picked], mirror: usize| -> BTreeSet<usize> {
        (0..REQUESTS).filter(|n| picked[*n].mirrors.contains(&mirror)).collect()
    };
    for seed in [0, 1, 77] {
        let (whole, first, second) = decide("/whole/x", seed);
        let (decimals, ..) = decide("/decimals/x", seed);
        let whole = [first, second, mirrored(&whole, 0)];
        let decimals = [BTreeSet::new(), mirrored(&decimals, 0), mirrored(&decimals, 1)];
        // 99.9 % of all seeds are within.
        assert_shares(&whole, &decimals, REQUESTS, 3.29);
    }
    assert_ne!(decide("/whole/x", 0).1, decide("/whole/x", 1).1);
}
