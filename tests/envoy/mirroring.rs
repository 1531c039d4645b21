//! The same requests through Envoy and through `replay --as-envoy`: the same shadows arrive.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use serde_json::Value;

use crate::capture;
use crate::cases::{Case, Kept, Rules, cases};
use crate::client::ask;
use crate::pilot::{Version, bootstrap, listener};
use crate::request::Arrived;
use crate::support::{Envoy, RawServer, Received, Reply, Script, Shadowcap, Skip};

/// The destinations of the rules, of which the first is the captured service.
const DESTINATIONS: [&str; 3] = ["httpbin/v1", "httpbin/v2", "httpbin/v3"];

/// A recording server for each destination.
struct Servers(BTreeMap<String, RawServer>);

impl Servers {
    fn start() -> Self {
        let server = |_: &&str| {
            RawServer::start(Script::new(|request| {
                let head = request.bytes.starts_with(b"HEAD ");
                Reply::Answer(
                    format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", if head { "" } else { "ok" })
                        .into_bytes(),
                )
            }))
        };
        Self(DESTINATIONS.iter().map(|name| ((*name).to_owned(), server(name))).collect())
    }

    fn addresses(&self) -> BTreeMap<String, SocketAddr> {
        self.0.iter().map(|(name, server)| (name.clone(), server.address())).collect()
    }

    /// What arrived: by the case and the destination.
    fn arrived(&self) -> BTreeMap<(usize, String), Vec<Arrived>> {
        let mut arrived: BTreeMap<(usize, String), Vec<Arrived>> = BTreeMap::new();
        for (name, server) in &self.0 {
            for request in server.requests() {
                let request = Arrived::parse(&request.bytes);
                let case = request.value("x-case").and_then(|case| case.parse().ok()).unwrap_or(usize::MAX);
                arrived.entry((case, name.clone())).or_default().push(request);
            }
        }
        arrived
    }

    /// Waits until a destination has had so many requests.
    fn wait(&self, name: &str, count: usize) -> Vec<Received> {
        self.0[name].wait_for_requests(count)
    }
}

/// The request with what tells its case, and with what a proxy gives every request unless the case is without it.
fn marked(number: usize, case: &Case) -> Vec<u8> {
    let end = case.request.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 2;
    let behind_proxy = "x-request-id: 6a6f1b1e-0000-4000-8000-000000000000\r\nx-forwarded-proto: http\r\nx-envoy-attempt-count: 1\r\n";
    let fields = format!("x-case: {number}\r\n{}", if case.bare { "" } else { behind_proxy });
    [&case.request[..end], fields.as_bytes(), &case.request[end..]].concat()
}

/// What Envoy made of the cases: its answers' status, and the shadows.
struct Mirrored {
    statuses: Vec<u16>,
    shadows: BTreeMap<(usize, String), Vec<Arrived>>,
    /// The address that it adds to `x-forwarded-for`: its own, which in a mesh is the client of the captured hop.
    address: IpAddr,
}

fn listener_of(number: usize, rules: &Rules) -> Value {
    listener(&format!("case {number}"), rules.version, &rules.services())
}

fn through_envoy(cases: &[Case]) -> Result<Mirrored, Skip> {
    let servers = Servers::start();
    let first = Case::plain("the address", "GET / HTTP/1.1\r\nHost: httpbin\r\n\r\n");
    let all: Vec<&Case> = cases.iter().chain([&first]).collect();
    let listeners: Vec<_> =
        all.iter().enumerate().map(|(number, case)| listener_of(number, &case.rules)).collect();
    let envoy = Envoy::start(&bootstrap(&listeners, &servers.addresses()))?;
    let addresses = envoy.listeners();
    let ask = |number: usize| ask(addresses[&format!("case {number}")], &marked(number, all[number])).status;
    let statuses = (0..cases.len()).map(ask).collect();
    for name in &DESTINATIONS[1..] {
        let expected = cases.iter().filter(|case| case.envoy_mirrors().contains(name)).count();
        servers.wait(name, expected);
    }
    // One worker serves all: when the shadow of the last request is there, none can be on its way.
    ask(cases.len());
    let before = cases.iter().filter(|case| case.envoy_mirrors().contains(&"httpbin/v2")).count();
    servers.wait("httpbin/v2", before + 1);
    let mut shadows = servers.arrived();
    let last = shadows.remove(&(cases.len(), "httpbin/v2".into())).unwrap();
    let address = last[0].value("x-forwarded-for").unwrap().parse().unwrap();
    shadows.retain(|(case, name), _| *case < cases.len() && name != DESTINATIONS[0]);
    Ok(Mirrored { statuses, shadows, address })
}

/// What the program makes of them: one run for all cases of the same rules.
fn through_shadowcap(cases: &[Case], client: IpAddr) -> BTreeMap<(usize, String), Vec<Arrived>> {
    let servers = Servers::start();
    let mut by_rules: BTreeMap<&Rules, Vec<usize>> = BTreeMap::new();
    for (number, case) in cases.iter().enumerate() {
        by_rules.entry(&case.rules).or_default().push(number);
    }
    for (rules, numbers) in by_rules {
        replay(rules, &numbers, cases, client, &servers);
    }
    servers.arrived()
}

fn replay(rules: &Rules, numbers: &[usize], cases: &[Case], client: IpAddr, servers: &Servers) {
    let mut arguments = vec!["replay".to_owned(), "cases.pcap".into(), "--as-envoy".into()];
    // An endpoint that the rules do not name is refused.
    for name in &DESTINATIONS[1..] {
        let Some(named) = rules.endpoint(name) else { continue };
        arguments.extend(["--endpoint".to_owned(), format!("{named}={}", servers.0[*name].url())]);
    }
    arguments.extend(["--routes".to_owned(), "rules.yaml".to_owned()]);
    if rules.version == Version::WithoutSuffix {
        arguments.extend(["--istio".to_owned(), "1.28".to_owned()]);
    }
    let program = Shadowcap::new(arguments);
    fs::write(program.folder().join("rules.yaml"), &rules.yaml).unwrap();
    write_capture(&program.folder().join("cases.pcap"), client, numbers, cases);
    let finished = program.run();
    let name = cases[numbers[0]].name;
    assert!(
        matches!(finished.code, Some(0 | 3)),
        "{name}
{}
{finished}",
        rules.yaml
    );
}

fn write_capture(file: &Path, client: IpAddr, numbers: &[usize], cases: &[Case]) {
    capture::write(file, client, numbers.iter().map(|&number| marked(number, &cases[number])));
}

#[test]
fn the_shadows_that_leave_are_those_of_envoy() {
    let cases = cases();
    assert!(cases.len() >= 40, "{}", cases.len());
    let envoy = or_skip!(through_envoy(&cases));
    let ours = through_shadowcap(&cases, envoy.address);
    let none = Vec::new();
    let mut wrong = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        for name in DESTINATIONS {
            let key = (number, name.to_owned());
            let (theirs, ours) = (envoy.shadows.get(&key).unwrap_or(&none), ours.get(&key).unwrap_or(&none));
            let found = judge(case, name, theirs, ours);
            wrong.extend(found.into_iter().map(|what| format!("{} to {name}: {what}", case.name)));
        }
        if case.kept.iter().any(|kept| kept.why == Kept::Refused)
            != (400..500).contains(&envoy.statuses[number])
            && !case.answers_itself
        {
            wrong.push(format!("{}: Envoy answered {}", case.name, envoy.statuses[number]));
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// What is not as the table says.
fn judge(case: &Case, name: &str, theirs: &[Arrived], ours: &[Arrived]) -> Vec<String> {
    let count = |mirrors: &[&str]| usize::from(mirrors.contains(&name));
    let mut wrong = Vec::new();
    if theirs.len() != count(case.envoy_mirrors()) {
        wrong.push(format!("{} shadows by Envoy", theirs.len()));
    }
    if ours.len() != count(case.mirrors) {
        wrong.push(format!("{} shadows by shadowcap", ours.len()));
    }
    if let ([theirs], [ours]) = (theirs, ours) {
        let found = Arrived::differences(theirs, ours);
        let mut expected: Vec<_> = case.kept.iter().map(|kept| kept.what.to_owned()).collect();
        expected.sort();
        if found != expected {
            wrong.push(format!("found {found:#?}, the table has {expected:#?}"));
        }
    }
    wrong
}

/// A row of the README's table.
fn row(case: &str, what: &str, why: Kept) -> String {
    format!("| {case} | `{what}` | {} |", why.name())
}

#[test]
fn the_readme_lists_all_that_is_kept_by_design_and_nothing_else() {
    let readme =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/envoy/README.md")).unwrap();
    let rows: Vec<String> = cases()
        .iter()
        .flat_map(|case| case.kept.iter().map(|kept| row(case.name, kept.what, kept.why)).collect::<Vec<_>>())
        .collect();
    let listed: Vec<&str> = readme.lines().filter(|line| line.contains(" | `")).collect();
    assert_eq!(listed, rows, "\n{}", rows.join("\n"));
    for why in Kept::ALL {
        assert!(readme.contains(&format!("- **{}**: ", why.name())), "{why:?} has no reason");
    }
}
