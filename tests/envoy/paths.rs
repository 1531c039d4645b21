//! The path that rules see: what Envoy makes of every character and of every escape.

use std::collections::BTreeMap;

use shadowcap::route::{Draws, RouteTable, Rules, Sampling, Setup};

use crate::client::ask;
use crate::pilot::{Version, bootstrap, listener};
use crate::route_cases::head;
use crate::support::{Envoy, RawServer};

/// A rewrite of the path to itself, so that what was matched is what is sent.
const RULES: &str = "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: s}
spec:
  hosts: [s]
  http:
  - match: [{uri: {prefix: /}}]
    rewrite: {uri: /}
    route: [{destination: {host: s}}]";

fn paths() -> Vec<String> {
    let characters = (b'!'..=b'~').filter(|b| !b"?#".contains(b)).map(|b| format!("/x{}y", char::from(b)));
    let escapes = (1..=255).flat_map(|n| [format!("/x%{n:02X}y"), format!("/%{n:02x}")]);
    let dots = [".", "..", "...", ".;a", "..;a", "%2e;a", "a..", "%2e", ".%2E", "", "a"];
    let segments = dots.iter().flat_map(|one| dots.iter().map(move |other| (one, other)));
    let segments = segments.flat_map(|(one, other)| {
        [format!("/{one}/{other}"), format!("/p/q/{one}/{other}/"), format!("/p\\{one}/{other}\\r")]
    });
    characters.chain(escapes).chain(segments).collect()
}

#[test]
fn a_path_is_normalised_as_envoy_normalises_it() {
    let server = RawServer::answering(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let service = serde_saphyr::from_str(RULES).unwrap();
    let clusters = BTreeMap::from([("s".to_owned(), server.address())]);
    let config = bootstrap(&[listener("paths", Version::WithSuffix, &[service])], &clusters);
    let envoy = or_skip!(Envoy::start(&config));
    let address = envoy.listener("paths");
    let rules = Rules::read(&[("rules.yaml".to_owned(), RULES.to_owned())], "default").unwrap();
    let (table, _) = RouteTable::new(rules.sets, &Setup::default());
    let (mut taken, mut wrong) = (0, Vec::new());
    let paths = paths();
    for path in &paths {
        let request = format!("GET {path}?/../%41 HTTP/1.1\r\nHost: s\r\n\r\n");
        if ask(address, request.as_bytes()).status != 200 {
            continue;
        }
        let theirs = server.wait_for_requests(taken + 1);
        let theirs = String::from_utf8_lossy(&theirs[taken].bytes).split(' ').nth(1).unwrap().to_owned();
        taken += 1;
        let decision = table.decide(&head(&request), &Draws::from_value(0, Sampling::Envoy));
        let ours = decision.target.map(|target| String::from_utf8_lossy(&target).into_owned());
        if ours.as_deref() != Some(&theirs) {
            wrong.push(format!("{path}: {theirs} by Envoy, {ours:?} by us"));
        }
    }
    assert!(taken > 800, "{taken} of {}", paths.len());
    assert!(wrong.is_empty(), "{} of {taken}\n{}", wrong.len(), wrong.join("\n"));
}
