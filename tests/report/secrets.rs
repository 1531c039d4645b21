//! Secrets of every kind, seeded wherever a message has room: none is in any file, name or line of output.

use std::fs;
use std::io::Read as _;

use base64::Engine as _;

use crate::made::{self, Talk, answer, replayed};
use crate::support::{Finished, RawServer, Reply, Script, Shadowcap, texts};

/// Each kind, and a secret of it that is nothing else's text.
const SEEDS: [(&str, &str); 30] = [
    ("an Authorization field", "AUTHZSEED0001"),
    ("Basic credentials, decoded", "basicpw0002"),
    ("a Proxy-Authorization field", "PROXYSEED0003"),
    ("an API key's field", "APIKEYSEED0004"),
    ("a cookie", "COOKIESEED0005"),
    ("a Set-Cookie of v1", "SETCOOKIE0006"),
    ("a Set-Cookie of v2", "SETCOOKIE0007"),
    ("userinfo in a target", "USERINFO0008"),
    ("userinfo in a redirect", "USERINFO0009"),
    ("a query by name", "QUERYSEED0010"),
    ("a query within a query", "NESTEDQUERY0011"),
    ("a redirect's query", "REDIRECT0012"),
    ("a redirect's fragment", "FRAGMENT0013"),
    ("a form field", "FORMSEED0014"),
    ("a field of a multipart form", "MULTIPART0015"),
    ("a JSON member", "JSONSEED0016"),
    ("a JSON member in a string", "NESTEDJSON0017"),
    ("a JSON Web Token", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJzZWVkMDAxOCJ9.c2lnbmF0dXJlMDAxOA"),
    ("a key of AWS", "AKIASEEDSEEDSEED0019"),
    ("a token of GitHub", "ghp_seedseedseedseedseedseedseedseed0020"),
    ("a private key", "MIIseed0021seed0021seed0021"),
    ("a card's number", "4242424242424242"),
    ("a name of the user's", "CUSTOMER0023"),
    ("a pattern of the user's", "acct-00240024"),
    ("Basic credentials", "YW5uOmJhc2ljcHcwMDAy"),
    ("a JSON member in a coded body", "GZIPSEED0026"),
    ("a private key in a form", "MIIseed0027seed0027seed0027"),
    ("a PGP key", "lQseed0028seed0028seed0028"),
    ("a card's number in a form", "5555+5555+5555+4444"),
    ("a card's number in a query", "4111%201111%201111%201111"),
];

pub(crate) fn seed(kind: &str) -> &'static str {
    SEEDS.iter().find(|(name, _)| *name == kind).unwrap_or_else(|| panic!("no seed: {kind}")).1
}

fn with_body(head: &str, body: &str) -> Vec<u8> {
    format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

const OK_JSON: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json";
const OK_TEXT: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain";

/// Requests with their secrets in head, target and body; answers that differ, echo, redirect and fail.
pub(crate) fn talks() -> Vec<Talk> {
    // base64 of `ann:basicpw0002`.
    let basic = seed("Basic credentials");
    let [authz, proxy, key, cookie] =
        ["an Authorization field", "a Proxy-Authorization field", "an API key's field", "a cookie"].map(seed);
    let credentials = Talk {
        request: format!(
            "GET /a HTTP/1.1\r\nHost: h\r\nX-Case: 0\r\nAuthorization: Bearer {authz}\r\nProxy-Authorization: Digest {proxy}\r\n\
             X-Api-Key: {key}\r\nCookie: theme=dark; sid={cookie}\r\nX-Customer: {}\r\n\r\n",
            seed("a name of the user's")
        )
        .into_bytes(),
        v1: answer(&format!("{OK_JSON}\r\nSet-Cookie: s={}; Path=/", seed("a Set-Cookie of v1")), b"{\"a\":1}"),
        v2: answer(
            &format!("HTTP/1.1 500 Oops\r\nContent-Type: text/html\r\nSet-Cookie: s={}", seed("a Set-Cookie of v2")),
            format!("<pre>Authorization: Bearer {authz}\nsid={cookie} key {key} {proxy}</pre>").as_bytes(),
        ),
    };
    let basic = Talk {
        request: format!("GET /b HTTP/1.1\r\nHost: h\r\nX-Case: 1\r\nAuthorization: Basic {basic}\r\n\r\n")
            .into_bytes(),
        v1: answer(OK_TEXT, b"hello ann"),
        v2: answer(OK_TEXT, format!("wrong: {}", seed("Basic credentials, decoded")).as_bytes()),
    };
    let [info, query, nested] =
        ["userinfo in a target", "a query by name", "a query within a query"].map(seed);
    let redirected = Talk {
        request: format!(
            "GET http://ann:{info}@h/c?access_token={query}&next=%2Fcb%3Ftoken%3D{nested}%26x%3D1 HTTP/1.1\r\nHost: h\r\n\
             X-Case: 2\r\n\r\n"
        )
        .into_bytes(),
        v1: answer(
            &format!("HTTP/1.1 302 Found\r\nLocation: /d?token={}#id_token={}", seed("a redirect's query"), seed("a redirect's fragment")),
            b"",
        ),
        v2: answer(
            &format!("HTTP/1.1 302 Found\r\nLocation: http://bob:{}@h/d", seed("userinfo in a redirect")),
            b"",
        ),
    };
    let forms = Talk {
        request: with_body(
            "POST /e HTTP/1.1\r\nHost: h\r\nX-Case: 3\r\nContent-Type: application/x-www-form-urlencoded",
            &format!("user=ann&password={}", seed("a form field")),
        ),
        v1: answer(OK_JSON, format!("{{\"access_token\":\"{}\",\"n\":1}}", seed("a JSON member")).as_bytes()),
        v2: answer(
            OK_JSON,
            format!(
                "{{\"data\":\"{{\\\"password\\\": \\\"{}\\\"}}\",\"n\":2}}",
                seed("a JSON member in a string")
            )
            .as_bytes(),
        ),
    };
    let part = format!(
        "--b\r\nContent-Disposition: form-data; name=\"secret\"\r\n\r\n{}\r\n--b--\r\n",
        seed("a field of a multipart form")
    );
    let multipart = Talk {
        request: with_body(
            "POST /f HTTP/1.1\r\nHost: h\r\nX-Case: 4\r\nContent-Type: multipart/form-data; boundary=b",
            &part,
        ),
        v1: answer(OK_TEXT, format!("the card {} is kept", seed("a card's number")).as_bytes()),
        v2: answer(
            OK_JSON,
            format!(
                "{{\"card\":{},\"id\":\"{}\",\"log\":\"{} {}\"}}",
                seed("a card's number"),
                seed("a key of AWS"),
                seed("a JSON Web Token"),
                seed("a token of GitHub")
            )
            .as_bytes(),
        ),
    };
    // Not HTTP: the failure's own words quote what came.
    let garbage = Talk {
        request: format!(
            "GET /g?account={} HTTP/1.1\r\nHost: h\r\nX-Case: 5\r\nX-Auth-Token: {authz}\r\n\r\n",
            seed("a pattern of the user's")
        )
        .into_bytes(),
        v1: answer(
            OK_TEXT,
            format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", seed("a private key"))
                .as_bytes(),
        ),
        v2: format!("password={query} {authz} {}\r\n\r\n", seed("a pattern of the user's")).into_bytes(),
    };
    [vec![credentials, basic, redirected, forms, multipart, garbage], coded_talks().into()].concat()
}

/// Secrets in a content coding, and in the spellings of forms and queries.
fn coded_talks() -> [Talk; 2] {
    let gzipped = |member: &str| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::Write::write_all(
            &mut gzip,
            format!("{{\"{member}\":\"{}\"}}", seed("a JSON member in a coded body")).as_bytes(),
        )
        .unwrap();
        answer(&format!("{OK_JSON}\r\nContent-Encoding: gzip"), &gzip.finish().unwrap())
    };
    let coded = Talk {
        request: b"GET /h HTTP/1.1\r\nHost: h\r\nX-Case: 6\r\n\r\n".to_vec(),
        v1: gzipped("token"),
        v2: gzipped("secret"),
    };
    let keys = Talk {
        request: with_body(
            &format!(
                "POST /i?pan={} HTTP/1.1\r\nHost: h\r\nX-Case: 7\r\nContent-Type: application/x-www-form-urlencoded",
                seed("a card's number in a query")
            ),
            &format!(
                "k=-----BEGIN+PRIVATE+KEY-----%0A{}%0A-----END+PRIVATE+KEY-----%0A&pan={}",
                seed("a private key in a form"),
                seed("a card's number in a form")
            ),
        ),
        v1: answer(
            OK_TEXT,
            format!(
                "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n{}\n-----END PGP PRIVATE KEY BLOCK-----\n",
                seed("a PGP key")
            )
            .as_bytes(),
        ),
        v2: answer(OK_TEXT, b"another"),
    };
    [coded, keys]
}

/// Bodies as they were sent stand in a recording in base64; they are read in the clear, and without their coding.
pub(crate) fn opened(text: &str) -> String {
    let words = text.split('"').filter(|word| word.len() >= 16);
    let decoded = words.filter_map(|word| base64::engine::general_purpose::STANDARD.decode(word).ok());
    let mut opened = String::new();
    for bytes in decoded {
        let mut plain = Vec::new();
        let gunzipped = flate2::read::GzDecoder::new(bytes.as_slice()).read_to_end(&mut plain).is_ok();
        opened += &String::from_utf8_lossy(if gunzipped { &plain } else { &bytes });
    }
    opened
}

/// Which seeds stand where, in the run's folder and what was said.
pub(crate) fn found(run: &Finished, others: &[&Finished]) -> Vec<String> {
    found_of(&SEEDS, run, others)
}

/// Which of these secrets stand where.
pub(crate) fn found_of(seeds: &[(&str, &str)], run: &Finished, others: &[&Finished]) -> Vec<String> {
    let mut texts = texts(&run.folder().join("run"));
    for (_, text) in &mut texts {
        *text += &opened(text);
    }
    for (n, finished) in [&[run], others].concat().into_iter().enumerate() {
        texts.push((format!("stdout of command {n}"), finished.stdout.clone()));
        texts.push((format!("stderr of command {n}"), finished.stderr.clone()));
    }
    let mut found = Vec::new();
    for (name, text) in &texts {
        for (kind, seed) in seeds {
            // Names are searched as well; JSON writes no escapes into these.
            if text.contains(seed) || name.contains(seed) {
                found.push(format!("{kind} in {name}"));
            }
        }
    }
    found
}

pub(crate) const ALSO: [&str; 5] = ["-vvv", "--redact-also", "x-customer", "--redact-also", r"acct-\d{8}"];

/// What else is made of a run: exports, and each exchange on its own.
fn others(run: &Finished) -> Vec<Finished> {
    let folder = run.folder().join("run").display().to_string();
    let mut all: Vec<_> = ["har", "ndjson", "csv"]
        .into_iter()
        .map(|form| Shadowcap::new(["report", &folder, "--export", form]).run())
        .collect();
    let mut csv = csv::Reader::from_path(run.folder().join("run/exchanges.csv")).unwrap();
    for record in csv.records() {
        let id = record.unwrap()[0].to_owned();
        all.push(Shadowcap::new(["report", &folder, "--show", &id]).run());
    }
    for finished in &all {
        finished.exits(0);
    }
    assert_eq!(all.len(), 3 + talks().len(), "{run}");
    all
}

#[test]
fn no_seeded_secret_is_in_any_file_or_line_of_output() {
    let run = replayed(&talks(), &[&ALSO[..], &["--annotations", "github"]].concat());
    run.exits(1);
    let others = others(&run);
    let found = found(&run, &others.iter().collect::<Vec<_>>());
    assert!(found.is_empty(), "{found:#?}\n{run}");
    let page = run.file("run/report.html");
    assert!(page.contains("redacted:") && page.contains(":jwt"), "shapes are told");
}

#[test]
fn with_no_redact_every_secret_is_there_and_it_is_said_loudly() {
    let run = replayed(&talks(), &["--no-redact", "--quiet"]);
    run.exits(1).stderr_has("SECRETS WILL BE KEPT").stdout_has("SECRETS ARE KEPT");
    let found = found(&run, &others(&run).iter().collect::<Vec<_>>());
    for (kind, _) in SEEDS {
        // The capture holds these as base64 and in gzip; the pages decode the latter.
        let coded = kind == "Basic credentials, decoded";
        assert!(coded || found.iter().any(|found| found.starts_with(kind)), "{kind} was not seeded: {run}");
    }
    assert!(run.file("run/report.html").contains("made with --no-redact"));
    assert!(run.file("run/summary.md").contains("Secrets are kept"));
}

#[test]
fn a_recording_with_secrets_can_be_shown_without_some() {
    let run = replayed(&talks(), &["--no-redact"]);
    let folder = run.folder().join("run").display().to_string();
    let again = Shadowcap::new(["report", &folder, "--out", "run", "--redact-also", "x-customer"]).run();
    again.exits(1);
    let text = again.file("run/report.html");
    for kind in ["a name of the user's", "a cookie", "a form field"] {
        assert!(!text.contains(seed(kind)), "{kind}");
    }
}

#[test]
fn what_has_gone_since_an_earlier_run_loses_its_secrets_too() {
    let talk = |v2: &str| Talk {
        request: b"GET /a HTTP/1.1\r\nHost: h\r\nX-Case: 0\r\n\r\n".to_vec(),
        v1: answer(OK_JSON, br#"{"customer":"ada","n":1}"#),
        v2: answer(OK_JSON, v2.as_bytes()),
    };
    let earlier = replayed(&[talk(r#"{"customer":"GONESEED01","n":1}"#)], &[]);
    let later = replayed(&[talk(r#"{"customer":"ada","n":2}"#)], &[]);
    let at = |run: &Finished| run.folder().join("run").display().to_string();
    let arguments = ["report", &at(&later), "--against", &at(&earlier), "--redact-also", "customer"];
    let report = Shadowcap::new(arguments).run();
    report.exits(1).stdout_has("1 gone");
    for (name, text) in texts(&later.folder().join("run")) {
        assert!(!text.contains("GONESEED01"), "{name}");
    }
}

#[test]
fn what_the_user_typed_loses_its_secrets_too() {
    let typed = "http://me:TYPEDSEED1@127.0.0.1:1/x.pcap?token=TYPEDSEED2";
    let run = Shadowcap::new(["replay", typed, "--to", "http://127.0.0.1:1"]).run();
    assert!(run.code != Some(0) && !run.stderr.contains("TYPEDSEED"), "{run}");
    assert!(run.files().iter().all(|file| !file.display().to_string().contains("TYPEDSEED")), "{run}");
    for word in ["(", "a*"] {
        let run = Shadowcap::new(["replay", "x", "--to", "http://127.0.0.1:1", "--redact-also", word]).run();
        run.exits(2).stderr_has("--redact-also");
    }
}

/// Kills a run whose last request is without an answer, those before it having been answered one after the other.
fn killed(more: &[&str]) -> Finished {
    let mut talks = talks();
    let last = talks.len();
    let authz = seed("an Authorization field");
    talks.push(Talk {
        request: format!(
            "GET /hang HTTP/1.1\r\nHost: h\r\nX-Case: {last}\r\nAuthorization: Bearer {authz}\r\n\r\n"
        )
        .into_bytes(),
        v1: answer(OK_TEXT, b"never"),
        v2: Vec::new(),
    });
    let answers: Vec<_> = talks.iter().map(|talk| talk.v2.clone()).collect();
    let server = RawServer::start(Script::new(move |request| match number(&request.bytes) {
        n if n == last => Reply::hang(),
        n => Reply::AnswerThenClose(answers[n].clone()),
    }));
    let program = Shadowcap::new(["replay", "made.pcap", "--out", "run", "--to", &server.url()]);
    fs::write(program.folder().join("made.pcap"), made::capture(&talks)).unwrap();
    let running = more.iter().fold(program.arg("-vvv"), Shadowcap::arg).spawn();
    server.wait_for("the last request", |connections| {
        connections.iter().any(|c| c.requests.iter().any(|request| number(&request.bytes) == last))
    });
    running.process.wait_for_stderr("GET /b: ");
    running.process.signal("KILL");
    let finished = running.wait();
    assert_eq!(finished.code, None, "{finished}");
    finished
}

/// The number that a request has in its `X-Case` field.
fn number(request: &[u8]) -> usize {
    let text = String::from_utf8_lossy(request);
    text.split("X-Case: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok()).unwrap()
}

#[test]
fn a_killed_run_leaves_no_secret_behind() {
    let run = killed(&ALSO[1..]);
    assert_eq!(found(&run, &[]), Vec::<String>::new(), "{run}");
    let kept = found(&killed(&["--no-redact"]), &[]);
    assert!(kept.iter().any(|found| found.contains("recording")), "the search finds what is there: {kept:?}");
}

#[test]
fn neither_does_a_comparison_of_what_a_mesh_mirrored() {
    // Each shadow has a connection of its own in the same capture, and v2's answer.
    let shadow = |talk: &Talk| {
        let request = String::from_utf8(talk.request.clone()).unwrap();
        let request = request.replace("Host: h\r\n", "Host: h-shadow\r\n").replace("@h/", "@h-shadow/");
        Talk { request: request.into_bytes(), v1: talk.v2.clone(), v2: Vec::new() }
    };
    let mut all = talks();
    all.extend(talks().iter().map(shadow));
    let compare = |more: &[&str]| {
        let program = Shadowcap::new(["compare", "made.pcap", "--out", "run"]);
        fs::write(program.folder().join("made.pcap"), made::capture(&all)).unwrap();
        let run = more.iter().fold(program, Shadowcap::arg).run();
        run.exits(1);
        run
    };
    let run = compare(&ALSO);
    assert_eq!(found(&run, &[]), Vec::<String>::new(), "{run}");
    assert!(found(&compare(&["--no-redact"]), &[]).len() > SEEDS.len(), "the search finds what is there");
}

#[test]
fn answers_to_what_was_asked_again_lose_their_secrets_too() {
    const AGAIN: [&str; 2] = ["AGAINSEED0031", "NOWSEED0032"];
    let request = b"GET /a HTTP/1.1\r\nHost: h\r\nX-Case: 0\r\n\r\n".to_vec();
    let token = |token: &str, n: usize| {
        let body = format!("{{\"access_token\":\"{token}\",\"n\":{n}}}");
        answer(&format!("{OK_JSON}\r\nSet-Cookie: s={token}"), body.as_bytes())
    };
    let talks = [Talk { request, v1: token("first", 1), v2: token("second", 2) }];
    let run = |more: &[&str]| {
        let asked = std::sync::atomic::AtomicUsize::new(0);
        let v2 = RawServer::start(Script::new(move |_| {
            let before = asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Reply::AnswerThenClose(token(if before == 0 { "second" } else { AGAIN[0] }, 2 + before))
        }));
        let v1 = RawServer::start(Script::new(move |_| Reply::AnswerThenClose(token(AGAIN[1], 9))));
        let program = Shadowcap::new(["replay", "made.pcap", "--out", "run", "--verify", "--to", &v2.url()]);
        fs::write(program.folder().join("made.pcap"), made::capture(&talks)).unwrap();
        let finished = more.iter().fold(program.args(["--baseline", &v1.url()]), Shadowcap::arg).run();
        assert!(v2.requests().len() > 1 && !v1.requests().is_empty(), "nothing was asked again: {finished}");
        let mut all = texts(&finished.folder().join("run"));
        for (_, text) in &mut all {
            *text += &opened(text);
        }
        all.push(("what was said".to_owned(), format!("{}{}", finished.stdout, finished.stderr)));
        all.retain(|(_, text)| AGAIN.iter().any(|seed| text.contains(seed)));
        all.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(run(&["-vvv"]), Vec::<String>::new());
    assert!(!run(&["--no-redact"]).is_empty(), "the search finds what is there");
}
