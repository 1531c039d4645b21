//! Captures made to order, and runs of them.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use shadowcap::capture::PcapWriter;
use shadowcap::capture::synth::Conversation;
use shadowcap::packet::LinkType;
use shadowcap::time::Timestamp;

use crate::support::{Finished, RawServer, Reply, Script, Shadowcap};

/// A request, what v1 answered, and what v2 is going to answer.
#[derive(Clone, Debug)]
pub(crate) struct Talk {
    pub(crate) request: Vec<u8>,
    pub(crate) v1: Vec<u8>,
    pub(crate) v2: Vec<u8>,
}

/// A capture in which each talk has a connection of its own.
pub(crate) fn capture(talks: &[Talk]) -> Vec<u8> {
    let mut writer = PcapWriter::new(Vec::new(), LinkType::ETHERNET).unwrap();
    let mut number = 0;
    for (n, talk) in (0_u16..).zip(talks) {
        let client = SocketAddr::from(([192, 0, 2, 1], 30_000 + n));
        let start = Timestamp::from_parts(1_795_348_800, 0) + Duration::from_millis(u64::from(n) * 20);
        let mut conversation = Conversation::new(client, "192.0.2.80:80".parse().unwrap(), start);
        conversation.open();
        conversation.client_sends(&talk.request);
        conversation.server_sends(&talk.v1);
        conversation.close();
        for frame in conversation.take_frames() {
            number += 1;
            writer.write(&frame.packet(number)).unwrap();
        }
    }
    writer.finish().unwrap()
}

/// A v2 that answers a request, which it knows by its number in an `X-Case` field, as the talk says.
pub(crate) fn v2(talks: &[Talk]) -> RawServer {
    let answers: Vec<_> = talks.iter().map(|talk| talk.v2.clone()).collect();
    RawServer::start(Script::new(move |request| {
        let text = String::from_utf8_lossy(&request.bytes).into_owned();
        let number =
            text.split("X-Case: ").nth(1).and_then(|rest| rest.lines().next()?.parse::<usize>().ok());
        Reply::AnswerThenClose(answers[number.unwrap()].clone())
    }))
}

/// The talks captured and replayed into the folder `run` of the program's working folder, `run/capture` not
/// being among its files.
pub(crate) fn replayed(talks: &[Talk], more: &[&str]) -> Finished {
    let server = v2(talks);
    let program = Shadowcap::new(["replay", "made.pcap", "--out", "run", "--to", &server.url()]);
    std::fs::write(program.folder().join("made.pcap"), capture(talks)).unwrap();
    more.iter().fold(program, Shadowcap::arg).run()
}

/// A whole answer with this body.
pub(crate) fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    let mut answer = format!("{head}\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend_from_slice(body);
    answer
}

/// The demo's run in `folder`: a real replay, of which every kind of difference is known.
pub(crate) fn demo(folder: &Path) -> Finished {
    let run = folder.join("run").display().to_string();
    let finished = Shadowcap::new(["demo", "--out", &run]).run();
    finished.exits(0);
    finished
}

const JSON: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json";

/// A long document, in which one line in its midst tells v1 from v2.
fn long(price: u32) -> Vec<u8> {
    let member = |n: u32| format!("\"m{n:02}\":{}", if n == 15 { price } else { n });
    format!("{{{}}}", (0..30).map(member).collect::<Vec<_>>().join(",")).into_bytes()
}

/// Talks of which something came of every kind: same and different, ruled out, failed, skipped, not comparable, and
/// with an anomaly.
fn all_kinds(earlier: bool) -> Vec<Talk> {
    let get = |n: usize, path: &str, more: &str, v1: Vec<u8>, v2: Vec<u8>| Talk {
        request: format!("GET {path} HTTP/1.1\r\nHost: h\r\nX-Case: {n}\r\n{more}\r\n").into_bytes(),
        v1,
        v2,
    };
    let same = || answer(JSON, b"{\"a\":1}");
    let old = if earlier { b"{\"gone\":2}" } else { b"{\"gone\":1}" };
    vec![
        get(0, "/same", "", same(), same()),
        get(1, "/long", "", answer(JSON, &long(100)), answer(JSON, &long(101))),
        get(2, "/stamp", "", answer(JSON, b"{\"at\":1}"), answer(JSON, b"{\"at\":2}")),
        get(3, "/garbage", "", same(), b"what?\r\n\r\n".to_vec()),
        get(4, "/cut", "", b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nhalf".to_vec(), same()),
        get(5, "/folded", "X-Long: a\r\n b\r\n", same(), same()),
        get(6, "/gone", "", answer(JSON, b"{\"gone\":1}"), answer(JSON, old)),
        get(7, "/status", "", same(), answer("HTTP/1.1 500 Oops", b"no")),
        Talk {
            request: b"GET /again HTTP/1.1\r\nHost: h-shadow\r\nX-Case: 8\r\n\r\n".to_vec(),
            v1: same(),
            v2: same(),
        },
    ]
}

/// A run to two destinations in which something of every kind came, under rules and against an earlier run.
pub(crate) fn full(folder: &Path) -> Finished {
    const RULES: &str = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: h}\nspec:\n  hosts: [h]\n  \
                         http:\n  - route: [{destination: {host: h, subset: v1}}]\n    mirrors:\n    - destination: {host: h, \
                         subset: v2}\n    - destination: {host: h, subset: v3}\n";
    let write = |name: &str, bytes: &[u8]| {
        let file = folder.join(name);
        std::fs::write(&file, bytes).unwrap();
        file.display().to_string()
    };
    let at = |name: &str| folder.join(name).display().to_string();
    let routes = write("routes.yaml", RULES.as_bytes());
    for (name, earlier) in [("earlier", true), ("run", false)] {
        let talks = all_kinds(earlier);
        let servers = [v2(&talks), v2(&talks)];
        let [to2, to3] = [format!("v2={}", servers[0].url()), format!("v3={}", servers[1].url())];
        let file = write(&format!("{name}.pcap"), &capture(&talks));
        Shadowcap::new([
            "replay",
            &file,
            "--out",
            &at(name),
            "--routes",
            &routes,
            "--endpoint",
            &to2,
            "--endpoint",
            &to3,
        ])
        .run()
        .exits(1);
    }
    let rules = write("rules.toml", b"[[rule]]\nname = \"clock\"\npath = \"$.at\"\nignore = \"a clock\"\n");
    let finished =
        Shadowcap::new(["report", &at("run"), "--against", &at("earlier"), "--rules", &rules]).run();
    finished.exits(1);
    finished
}
