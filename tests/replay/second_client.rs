//! The second client, reqwest: what it keeps of the captured bytes, what it leaves alone, and the answers that it
//! hands over.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use reqwest::Url;
use shadowcap::http::Framing;
use shadowcap::replay::client::{Client, ClientKind, Limits};
use shadowcap::replay::clock::Clock;
use shadowcap::replay::endpoint::Endpoint;
use shadowcap::replay::reqwest_client::{ReqwestClient, Via};
use shadowcap::replay::{Failure, Outcome, SkipReason};

use crate::awkward_requests::{Awkward, awkward_requests};
use crate::harness::framing::request_length;
use crate::harness::{RawServer, Reply, Script};
use crate::support::{LIMITS, Peer, Sender, Server, answer, failure};

const GET: &[u8] = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/// The table that is shown in the documentation of `replay::reqwest_client`.
const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/replay/reqwest_client.md");

pub(crate) fn by_reqwest(url: &str, endpoint: &Endpoint, limits: Limits) -> Sender {
    let client = ReqwestClient::new(Url::parse(url).unwrap(), endpoint, Via::Direct, limits).unwrap();
    Sender { client: Client::with_reqwest(client, Clock::start()), slot: None }
}

pub(crate) fn to(server: &Server, limits: Limits) -> Sender {
    by_reqwest(&format!("http://{}", server.address), &server.address.into(), limits)
}

/// What a request's bytes say.
#[derive(Clone, Debug)]
struct Said {
    line: String,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Said {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
        let head = bytes[..end].escape_ascii().to_string();
        let mut lines = head.split("\\r\\n").filter(|line| !line.is_empty());
        let line = lines.next().unwrap_or_default().to_owned();
        let field = |line: &str| {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            (name.to_owned(), value.trim().to_owned())
        };
        Self { line, fields: lines.map(field).collect(), body: bytes[end..].to_vec() }
    }

    fn names(&self) -> Vec<String> {
        self.fields.iter().map(|(name, _)| name.to_ascii_lowercase()).collect()
    }
}

/// What became of a request on its way, in words.
fn changes(expected: &[u8], arrived: &[u8]) -> String {
    if expected == arrived {
        return "kept".to_owned();
    }
    let (expected, arrived) = (Said::parse(expected), Said::parse(arrived));
    let mut changes = Vec::new();
    if expected.line != arrived.line {
        changes.push("request line".to_owned());
    }
    let (before, after) = (expected.names(), arrived.names());
    let [old, new] = [&before, &after].map(|names| names.iter().cloned().collect::<BTreeSet<_>>());
    changes.extend(new.difference(&old).map(|name| format!("{name} added")));
    changes.extend(old.difference(&new).map(|name| format!("{name} lost")));
    let both = |names: &[String], other: &BTreeSet<String>| {
        names.iter().filter(|name| other.contains(*name)).cloned().collect::<Vec<_>>()
    };
    if both(&before, &new) != both(&after, &old) {
        changes.push("order of fields".to_owned());
    }
    let spelled = |said: &Said| said.fields.iter().map(|(name, _)| name.clone()).collect::<BTreeSet<_>>();
    if expected
        .fields
        .iter()
        .any(|(name, _)| new.contains(&name.to_ascii_lowercase()) && !spelled(&arrived).contains(name))
    {
        changes.push("case of names".to_owned());
    }
    let values = |said: &Said, other: &BTreeSet<String>| {
        let known = said.fields.iter().filter(|(name, _)| other.contains(&name.to_ascii_lowercase()));
        known.map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect::<BTreeSet<_>>()
    };
    if values(&expected, &new) != values(&arrived, &old) {
        changes.push("values".to_owned());
    }
    if expected.body != arrived.body {
        changes.push("framing of the body".to_owned());
    }
    if changes.is_empty() {
        changes.push("white space".to_owned());
    }
    changes.join(", ")
}

/// Sends the requests, each over a connection of its own, and says what became of each.
async fn measured(rows: &[Awkward], kind: ClientKind) -> Vec<String> {
    let lengths: Vec<Vec<u8>> = rows.iter().map(|row| row.expected.clone()).collect();
    let framing = move |bytes: &[u8]| match kind {
        ClientKind::Exact => lengths.iter().find(|row| bytes.starts_with(row)).map(Vec::len),
        ClientKind::Reqwest => request_length(bytes),
    };
    let gone = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
    let server = RawServer::start(Script::new(|_| Reply::AnswerThenClose(gone.to_vec())).framing(framing));
    let mut all = Vec::new();
    for row in rows {
        let before = server.connections().len();
        let mut sender = match kind {
            ClientKind::Exact => Sender::to(server.address()),
            ClientKind::Reqwest => by_reqwest(&server.url(), &server.address().into(), LIMITS),
        };
        assert_eq!(sender.client.kind(), kind);
        match sender.send(&row.captured).await {
            Outcome::Skipped(SkipReason::ClientCannot) => {
                assert_eq!(server.connections().len(), before, "{}", row.name);
                all.push("not sent".to_owned());
            }
            outcome => {
                assert_eq!(answer(&outcome).0, 204, "{}", row.name);
                let connections = server.connections();
                assert_eq!(connections.len(), before + 1, "{}", row.name);
                all.push(changes(&row.expected, &connections[before].bytes));
            }
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_each_client_keeps_of_the_captured_bytes_is_what_the_documentation_says() {
    let rows = awkward_requests();
    let exact = measured(&rows, ClientKind::Exact).await;
    let reqwest = measured(&rows, ClientKind::Reqwest).await;
    assert!(exact.iter().all(|what| what == "kept"), "{exact:?}");
    let mut table = "| captured | `exact` | `reqwest` |\n|---|---|---|\n".to_owned();
    for ((row, exact), reqwest) in rows.iter().zip(&exact).zip(&reqwest) {
        writeln!(table, "| {} | {exact} | {reqwest} |", row.name.replace('|', "\\|")).unwrap();
    }
    let shown = std::fs::read_to_string(TABLE).unwrap_or_default();
    // The file is what was measured; when a client changes, this is the new text.
    if shown != table && std::env::var_os("UPDATE_TABLE").is_some() {
        std::fs::write(TABLE, &table).unwrap();
        return;
    }
    assert!(shown == table, "{TABLE} is not what was measured (UPDATE_TABLE=1 writes it):\n{table}");
}

#[tokio::test]
async fn it_follows_no_redirect_keeps_no_cookie_and_unpacks_nothing() {
    let server = RawServer::start(Script::new(|request| {
        Reply::Answer(match request.ordinal {
            0 => {
                b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
                    .to_vec()
            }
            _ => b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00"
                .to_vec(),
        })
    }));
    let mut sender = by_reqwest(&server.url(), &server.address().into(), LIMITS);
    assert_eq!(answer(&sender.send(GET).await).0, 302);
    let outcome = sender.send(GET).await;
    let Outcome::Answered { response, timing, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(response.body.entity.unwrap(), &b"\x1f\x8b\x08\x00"[..]);
    assert_eq!(response.head.headers.get("content-encoding"), Some(&b"gzip"[..]));
    assert!(timing.due <= timing.sent.unwrap() && timing.sent <= timing.first_byte, "{timing:?}");
    let requests = server.requests();
    let heads: Vec<_> = requests.iter().map(|r| String::from_utf8_lossy(&r.bytes).into_owned()).collect();
    assert_eq!(heads.len(), 2);
    for head in heads {
        assert!(head.starts_with("GET /x HTTP/1.1\r\n") && head.contains("host: a-shadow\r\n"), "{head}");
        assert!(!head.contains("cookie") && !head.contains("accept-encoding"), "{head}");
    }
}

#[tokio::test]
async fn answers_of_every_framing_are_read_by_the_same_parser() {
    let head: &[u8] = b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
    for (request, said, entity, framing) in [
        (GET, OK, "ok", Framing::Length(2)),
        (GET, b"HTTP/1.0 200 OK\r\n\r\nuntil close", "until close", Framing::UntilClose),
        (
            GET,
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            "abc",
            Framing::Chunked,
        ),
        (GET, b"HTTP/1.1 204 No Content\r\n\r\n", "", Framing::None),
        (head, b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", "", Framing::None),
    ] {
        let server = Server::start(move |_, mut peer: Peer| async move {
            peer.head().await;
            peer.say(said).await;
        })
        .await;
        let outcome = to(&server, LIMITS).send(request).await;
        let Outcome::Answered { response, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(response.body.entity.unwrap(), entity);
        assert_eq!(response.body.framing, framing, "{}", said.escape_ascii());
    }
}

#[tokio::test]
async fn what_goes_wrong_has_the_names_that_it_has_with_the_exact_client() {
    for (said, kind) in [
        (&b""[..], Failure::ClosedBeforeAnswer),
        (b"SSH-2.0-OpenSSH_9.9\r\n", Failure::Garbage),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", Failure::ClosedInAnswer),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", Failure::ClosedInAnswer),
    ] {
        let server = Server::start(move |_, mut peer: Peer| async move {
            peer.head().await;
            peer.say(said).await;
        })
        .await;
        let outcome = to(&server, LIMITS).send(GET).await;
        assert_eq!(failure(&outcome).0, kind, "{outcome:?}");
        assert_eq!(server.accepted(), 1, "it is not sent again: {}", said.escape_ascii());
    }
    let silent = Server::start(|_, mut peer: Peer| async move { drop(peer.rest().await) }).await;
    let short = Duration::from_millis(100);
    for (limits, kind) in [
        (Limits { answer: short, ..LIMITS }, Failure::Timeout),
        (Limits { first_byte: Some(short), connect: short, ..LIMITS }, Failure::FirstByteTimeout),
    ] {
        let (failed, detail) = failure(&to(&silent, limits).send(GET).await);
        assert_eq!(failed, kind, "{detail}");
        assert!(detail.contains("within 100ms"), "{detail}");
    }
    let (refusing, _held) = crate::harness::refusing_address();
    let outcome = by_reqwest(&format!("http://{refusing}"), &refusing.into(), LIMITS).send(GET).await;
    assert_eq!(failure(&outcome).0, Failure::Connect);
    assert!(matches!(outcome, Outcome::Failed { timing, .. } if timing.sent.is_none()));
}

#[tokio::test]
async fn a_large_answer_is_counted_and_hashed_not_kept() {
    let server = Server::start(|_, mut peer: Peer| async move {
        peer.head().await;
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n").await;
        peer.say(&vec![b'x'; 5_000_000]).await;
    })
    .await;
    let outcome = to(&server, LIMITS).send(GET).await;
    let Outcome::Answered { response, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((response.body.len, response.body.entity), (5_000_000, None));
    assert!(response.body.sha256.is_some());
}
