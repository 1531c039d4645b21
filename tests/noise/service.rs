//! A service whose every answer has something that changes by itself, and which can have faults.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

use crate::faults;
use crate::random::Random;
use crate::support::{RawServer, Received, Reply, Script};

/// What changes by itself in every answer, by the name under which reports would show it. Each stands for a kind that
/// real services have.
pub(crate) const NOISES: [&str; 20] = [
    "at",
    "millis",
    "request_id",
    "traceparent",
    "nonce",
    "sequence",
    "tags",
    "queue_depth",
    "took_ms",
    "experiment",
    "banner",
    "variant",
    "ulid",
    "session",
    "etag",
    "served_by",
    "score",
    "download",
    "cursor",
    "age",
];

/// The type of a route's pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    Json,
    Html,
    Text,
    Xml,
    Ndjson,
    Events,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V1,
    V2,
}

/// An answer in the making.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) delay: Duration,
}

/// Answers by target, in the order in which they were given.
pub(crate) type Answers = BTreeMap<String, Vec<Answer>>;

/// The service while it runs, and what it has answered in each round.
pub(crate) struct Service {
    server: RawServer,
    state: Arc<State>,
}

struct State {
    version: Version,
    seed: u64,
    faulty: bool,
    /// How many answers were given: each has noise of its own.
    count: AtomicU64,
    rounds: Mutex<Vec<Answers>>,
}

impl Service {
    pub(crate) fn start(version: Version, seed: u64, faulty: bool) -> Self {
        let rounds = Mutex::new(vec![Answers::new()]);
        let state = Arc::new(State { version, seed, faulty, count: AtomicU64::new(0), rounds });
        let answering = Arc::clone(&state);
        Self { server: RawServer::start(Script::new(move |request| answering.reply(request))), state }
    }

    pub(crate) fn server(&self) -> &RawServer {
        &self.server
    }

    /// What is answered from now on belongs to the next round.
    pub(crate) fn next_round(&self) {
        self.state.rounds.lock().unwrap().push(Answers::new());
    }

    pub(crate) fn answers(&self, round: usize) -> Answers {
        self.state.rounds.lock().unwrap()[round].clone()
    }
}

impl State {
    fn reply(&self, request: &Received) -> Reply {
        let text = String::from_utf8_lossy(&request.bytes);
        let target = text.split(' ').nth(1).unwrap_or_default().to_owned();
        let answer = self.answer(&target);
        let mut rounds = self.rounds.lock().unwrap();
        rounds.last_mut().unwrap().entry(target).or_default().push(answer.clone());
        drop(rounds);
        let reply = Reply::Answer(answer.bytes());
        if answer.delay.is_zero() { reply } else { Reply::After(answer.delay, Box::new(reply)) }
    }

    fn answer(&self, target: &str) -> Answer {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let salt = if self.version == Version::V1 { 1 } else { 2 };
        let mut random = Random::new(self.seed.wrapping_mul(1000) + salt + count.wrapping_mul(1_000_003));
        let mut parts = target.split('/').skip(2);
        let fault = faults::ALL.iter().find(|fault| Some(fault.name) == parts.clone().next());
        let Some((fault, n)) = fault.zip(parts.nth(1).and_then(|n| n.parse().ok())) else {
            return Answer { status: 404, fields: vec![], body: vec![], delay: Duration::ZERO };
        };
        let mut answer = page(fault.page, n, count, &mut random);
        let struck = match fault.when {
            faults::When::Every(nth) => n % nth == 0,
            faults::When::Randomly(percent) => random.happens(percent),
        };
        if self.faulty && struck {
            let before = answer.clone();
            (fault.apply)(&mut answer, &mut random);
            assert!(
                before.bytes() != answer.bytes() || before.delay != answer.delay,
                "{} changes nothing",
                fault.name
            );
        }
        answer
    }
}

impl Answer {
    fn bytes(&self) -> Vec<u8> {
        let fields: Vec<_> = self.fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let has_length = !matches!(self.status, 204 | 304);
        let length =
            if has_length { format!("Content-Length: {}\r\n", self.body.len()) } else { String::new() };
        let head = format!("HTTP/1.1 {} Status\r\n{}{length}\r\n", self.status, fields.concat());
        [head.as_bytes(), &self.body].concat()
    }

    /// Puts something else into the body; what is replaced has to be there.
    pub(crate) fn replace(&mut self, from: &str, to: &str) {
        let body = String::from_utf8(std::mem::take(&mut self.body)).unwrap();
        assert!(body.contains(from), "no {from} in {body}");
        self.body = body.replace(from, to).into_bytes();
    }

    /// Replaces what stands between two texts, which stay.
    pub(crate) fn replace_between(&mut self, from: &str, until: &str, to: &str) {
        let body = String::from_utf8(std::mem::take(&mut self.body)).unwrap();
        let start = body.find(from).unwrap_or_else(|| panic!("no {from} in {body}")) + from.len();
        let end = start + body[start..].find(until).unwrap();
        self.body = [&body[..start], to, &body[end..]].concat().into_bytes();
    }

    /// The value of a header field.
    pub(crate) fn field(&mut self, name: &str) -> &mut String {
        let field = self.fields.iter_mut().find(|(other, _)| other.eq_ignore_ascii_case(name));
        &mut field.unwrap_or_else(|| panic!("no {name}")).1
    }

    pub(crate) fn remove(&mut self, name: &str) {
        let before = self.fields.len();
        self.fields.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        assert!(self.fields.len() < before, "no {name}");
    }
}

/// Now, as a service tells it.
fn now() -> Timestamp {
    Timestamp::now()
}

fn millis() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()
}

fn page(page: Page, n: u64, count: u64, random: &mut Random) -> Answer {
    let mut fields = vec![
        ("Date".to_owned(), now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()),
        ("Server".to_owned(), "shop".to_owned()),
        ("Cache-Control".to_owned(), "private, max-age=60".to_owned()),
        ("Vary".to_owned(), "Accept-Encoding, Accept-Language".to_owned()),
        ("X-Request-Id".to_owned(), random.uuid()),
        ("Traceparent".to_owned(), format!("00-{}-{}-01", random.hex(32), random.hex(16))),
        ("X-Served-By".to_owned(), format!("shop-7d9f6c5b8-{}", random.of(b"abcde", 5))),
        ("Age".to_owned(), random.below(30).to_string()),
        ("ETag".to_owned(), format!("W/\"{}\"", random.hex(16))),
        (
            "Set-Cookie".to_owned(),
            format!("session={}; Path=/; HttpOnly; Secure; SameSite=Lax", random.hex(32)),
        ),
        ("X-Frame-Options".to_owned(), "DENY".to_owned()),
        ("Link".to_owned(), format!("</r/next/{}>; rel=\"next\"", n + 1)),
    ];
    let (media, body) = match page {
        Page::Json => ("application/json", json(n, count, random)),
        Page::Html => {
            let nonce = random.of(b"ABCDEFabcdef0123456789", 22);
            let policy = format!("default-src 'self'; script-src 'nonce-{nonce}'");
            fields.push(("Content-Security-Policy".to_owned(), policy));
            ("text/html; charset=utf-8", html(n, &nonce, random))
        }
        Page::Text => ("text/plain; charset=utf-8", text(n, count, random)),
        Page::Xml => ("application/xml", xml(n, random)),
        Page::Ndjson => ("application/x-ndjson", ndjson(n, random)),
        Page::Events => ("text/event-stream", events(n, random)),
    };
    fields.push(("Content-Type".to_owned(), media.to_owned()));
    Answer { status: 200, fields, body: body.into_bytes(), delay: Duration::ZERO }
}

/// A document of an item, that is the same for each `n`, beside what changes.
fn json(n: u64, count: u64, random: &mut Random) -> String {
    let id = 1000 + n;
    let data = format!(
        r#"{{"id": {id}, "name": "Item {n}", "price": 12.35, "total": 24.70, "big": 9007199254740993, "ratio": 0.1,
  "stock": 7, "active": true, "note": null, "city": "Zürich", "label": "R&D <b>", "currency": "EUR",
  "created": "2024-01-02T03:04:05Z", "owner": {{"id": 7, "email": "owner{n}@shop.example", "roles": ["admin", "buyer"]}},
  "items": [{{"id": 1, "sku": "A-1", "qty": 2}}, {{"id": 2, "sku": "B-2", "qty": 1}}, {{"id": 3, "sku": "C-3", "qty": 5}}],
  "steps": ["packed", "sent", "arrived"], "size": {{"w": 3, "h": 4}}, "state": "open", "link": "https://shop.example/i/{id}"}}"#
    );
    let tags = random.shuffled(vec!["\"red\"", "\"new\"", "\"sale\"", "\"gift\""]).join(", ");
    let banner = if random.happens(10) { r#" "banner": "Sale","# } else { "" };
    let variant = if random.happens(30) { "green" } else { "blue" };
    let crockford = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    format!(
        r#"{{"data": {data}, "meta": {{"at": "{}", "millis": {}, "request_id": "{}", "sequence": {}, "tags": [{tags}],
  "queue_depth": {}, "took_ms": {}.{},{banner} "experiment": {}, "variant": "{variant}", "ulid": "01{}",
  "score": 0.5{}, "download": "https://cdn.example/f?expires={}&sig={}", "cursor": "{}", "served_by": "shop-{}"}}}}"#,
        now(),
        millis(),
        random.uuid(),
        100_000 + count,
        random.below(20),
        random.below(90),
        random.below(10),
        random.happens(1),
        random.of(crockford, 24),
        random.below(1_000_000),
        millis() / 1000 + 3600,
        random.hex(40),
        random.of(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", 24),
        random.below(3),
    )
}

fn html(n: u64, nonce: &str, random: &mut Random) -> String {
    format!(
        r#"<!doctype html><html lang="en"><head><title>Item {n}</title><script nonce="{nonce}">var item = {n};</script></head>
<body><h1>Item {n}</h1><p class="price">12.35 EUR</p><ul class="parts"><li>A-1</li><li>B-2</li></ul>
<form action="/buy" method="post"><input type="hidden" name="csrf" value="{}"><button type="submit">Buy</button></form>
<footer>Rendered at {} by shop-{}</footer></body></html>"#,
        random.hex(40),
        now(),
        random.below(3)
    )
}

fn text(n: u64, count: u64, random: &mut Random) -> String {
    format!(
        "Item {n}\nprice 12.35 EUR\nstock 7\ngenerated {} request {}\nserved {} answers\nshipping free\n",
        now(),
        random.uuid(),
        100_000 + count
    )
}

fn xml(n: u64, random: &mut Random) -> String {
    format!(
        r#"<?xml version="1.0"?><item id="{n}"><name>Item {n}</name><price currency="EUR">12.35</price><stock>7</stock><meta at="{}" request="{}"/></item>"#,
        now(),
        random.uuid()
    )
}

fn ndjson(n: u64, random: &mut Random) -> String {
    let line = |part: u64, random: &mut Random| {
        format!(r#"{{"item": {n}, "part": {part}, "qty": {}, "request_id": "{}"}}"#, part + 1, random.uuid())
    };
    (1..=3).map(|part| line(part, random) + "\n").collect()
}

fn events(n: u64, random: &mut Random) -> String {
    format!(
        "event: item\nid: 1\ndata: {{\"item\": {n}, \"state\": \"open\", \"at\": \"{}\"}}\n\nevent: done\nid: 2\ndata: {{\"request_id\": \"{}\"}}\n\n",
        now(),
        random.uuid()
    )
}
