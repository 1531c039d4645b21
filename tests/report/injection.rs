//! Whatever a client or a server sends stays text, in every form of the report.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, OnceLock};

use regex::Regex;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::made::{Talk, answer, capture, replayed};
use crate::outside::{invalid, invalid_junit};
use crate::support::{Certificates, Finished, Shadowcap};

/// Texts that some reader would take for more than text.
pub(crate) const PAYLOADS: [&str; 68] = [
    // HTML and scripts.
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "<!--<script>",
    "--><img src=x onerror=alert(3)>",
    "\"><img src=x onerror=alert(4)>",
    "' onmouseover='alert(5)",
    "\" autofocus onfocus=\"alert(6)",
    "<svg/onload=alert(7)>",
    "<iframe src=javascript:alert(8)>",
    "javascript:alert(9)",
    "<a href=\"javascript:alert(10)\">x</a>",
    "<a href=\"http://evil.example/\">x</a>",
    "<base href=\"http://evil.example/\">",
    "<meta http-equiv=refresh content=\"0;url=http://evil.example/\">",
    "<style>*{display:none}</style>",
    "<link rel=stylesheet href=http://evil.example/x.css>",
    "<form action=http://evil.example/><input autofocus>",
    "<object data=http://evil.example/></object>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(11)>",
    "</textarea></style></title><script>alert(12)</script>",
    "</pre></code></div><script>alert(13)</script>",
    "<noscript><p title=\"</noscript><img src=x onerror=alert(14)>\">",
    "&lt;script&gt;alert(15)&lt;/script&gt;",
    "&#60;script&#62;alert(16)&#60;/script&#62;",
    "\\u003cscript\\u003ealert(17)\\u003c/script\\u003e",
    "\\\"};alert(18);//",
    "'-alert(19)-'",
    "${alert(20)}",
    "`${alert(21)}`",
    "{{7*7}}",
    "{% raw %}",
    "{{constructor.constructor('alert(22)')()}}",
    "__proto__",
    "constructor",
    "#exchanges&x=<img src=x onerror=alert(23)>",
    "%3Cscript%3Ealert(24)%3C/script%3E",
    "\u{2028}alert(25)//",
    "<\u{0}script>alert(26)</script>",
    // Spreadsheets.
    "=HYPERLINK(\"http://evil.example\",\"x\")",
    "=cmd|' /C calc'!A0",
    "+cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "\t=1+1",
    "  =1+1",
    "\u{ff1d}1+1",
    "\",\"=1+1",
    "a\",=1+1,\"b",
    // Markdown.
    "@everyone ping #1 GH-2 org/repo#3",
    "[click](javascript:alert(27))",
    "![x](http://evil.example/x.png)",
    "``` breaks `` out `",
    "a|b|c",
    "<details><summary>x</summary>",
    "http://evil.example/auto",
    "www.evil.example",
    // XML.
    "]]><x/>",
    "<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>",
    "&e;",
    // Terminals.
    "\u{202e}gnp.exe",
    "\u{1b}]0;title\u{7}\u{1b}[2J",
    "\u{9b}31mred",
    "\u{200b}hidden\u{200d}",
    // Pipelines' runners.
    "::error file=x::pwned",
    "::set-output name=x::y",
    "##[error]pwned",
    "##vso[task.setvariable variable=x]y",
    "##teamcity[buildProblem description='x']",
];

/// The payload where a line of a head can hold it.
fn in_line(payload: &str) -> String {
    payload.chars().filter(|c| *c != '\0' && *c != '\n' && *c != '\r').collect()
}

/// The payload where no white space can stand.
fn in_word(payload: &str) -> String {
    in_line(payload).chars().filter(|c| !c.is_whitespace()).collect()
}

fn talk(number: usize, payload: &str) -> Talk {
    let (line, word) = (in_line(payload), in_word(payload));
    let name: String = word.chars().filter(|c| *c != ':').collect();
    let body = serde_json::json!({ payload: payload, "n": number, "value": payload }).to_string();
    let request = format!(
        "POST /{word}?{word}={word} HTTP/1.1\r\nHost: {word}\r\nX-Case: {number}\r\nX-Pay: {line}\r\n{name}: x\r\n\
         Content-Length: {}\r\n\r\n{payload}",
        payload.len()
    );
    let head = |status: &str, kind: &str, extra: &str| {
        format!(
            "HTTP/1.1 {status} {line}\r\nContent-Type: {kind}\r\nX-Pay: {extra}{line}\r\nX-{name}: {extra}"
        )
    };
    let (kind, left, right) = match number % 3 {
        0 => ("application/json", body.clone().into_bytes(), body.replace("\"n\"", "\"m\"").into_bytes()),
        1 => ("text/plain", payload.as_bytes().to_vec(), format!("other\n{payload}").into_bytes()),
        _ => ("text/html", format!("<p>{payload}</p>").into_bytes(), b"<p>plain</p>".to_vec()),
    };
    let status = if number.is_multiple_of(7) { "500" } else { "200" };
    Talk {
        request: request.into_bytes(),
        v1: answer(&head("200", kind, ""), &left),
        v2: answer(&head(status, kind, "2"), &right),
    }
}

fn talks() -> Vec<Talk> {
    PAYLOADS.iter().enumerate().map(|(number, payload)| talk(number, payload)).collect()
}

/// A run of which every text is hostile, made once.
pub(crate) fn run() -> &'static Finished {
    static RUN: OnceLock<Finished> = OnceLock::new();
    RUN.get_or_init(|| {
        let finished = replayed(&talks(), &["-vv", "--annotations", "github"]);
        finished.exits(1);
        finished
    })
}

#[test]
fn every_payload_was_sent_compared_and_differs() {
    let summary: serde_json::Value = serde_json::from_str(&run().file("run/summary.json")).unwrap();
    let replayed = summary["exchanges"]["replayed"].as_u64().unwrap();
    assert!(replayed >= 60, "{}", run());
    assert!(summary["verdicts"]["different"].as_u64().unwrap() >= 60, "{}", run());
}

#[test]
fn no_spreadsheet_finds_a_formula() {
    for name in ["exchanges.csv", "differences.csv"] {
        let faults = or_skip!(invalid("csv", &run().folder().join("run").join(name), None));
        assert!(faults.is_empty(), "{name}: {faults:#?}");
    }
}

#[test]
fn markdown_has_neither_links_nor_mentions_nor_markup() {
    let faults = or_skip!(invalid("markdown", &run().folder().join("run/summary.md"), None));
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn xml_is_valid() {
    assert_eq!(or_skip!(invalid_junit(&run().folder().join("run/junit.xml"))), "");
}

/// A v2 whose certificate is made for those who read the report: each connection gets as far as that.
fn v2_in_tls(certificates: &Certificates, name: &str) -> SocketAddr {
    let chain = vec![CertificateDer::from_pem_file(certificates.certificate(name)).unwrap()];
    let key = PrivateKeyDer::from_pem_file(certificates.key(name)).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(builder.with_no_client_auth().with_single_cert(chain, key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            // The client is right to go.
            let _ = connection.complete_io(&mut stream.unwrap());
        }
    });
    address
}

#[test]
fn what_a_certificate_says_stays_text_in_the_reasons() {
    let certificates = or_skip!(Certificates::new());
    certificates.sign(
        "hostile",
        "subjectAltName=DNS:@everyone <img src=x onerror=alert(1)> [c](http://evil.example/)",
    );
    let to = format!("https://localhost:{}", v2_in_tls(&certificates, "hostile").port());
    let ca = certificates.certificate("ca").display().to_string();
    let program = Shadowcap::new(["replay", "made.pcap", "--out", "run", "--to", &to, "--ca", &ca]);
    std::fs::write(program.folder().join("made.pcap"), capture(&[talk(0, "plain")])).unwrap();
    let run = program.run();
    run.exits(3).stdout_has("@everyone");
    for name in ["summary.md", "report.html", "junit.xml"] {
        assert!(run.file(format!("run/{name}")).contains("everyone"), "{name} tells why: {run}");
    }
    assert!(!run.file("run/report.html").contains("<img"));
    assert_eq!(acting(&run.stdout, false), Vec::<String>::new());
    let faults = or_skip!(invalid("markdown", &run.folder().join("run/summary.md"), None));
    assert!(faults.is_empty(), "{faults:#?}");
    assert_eq!(or_skip!(invalid_junit(&run.folder().join("run/junit.xml"))), "");
}

/// What acts on a terminal or a runner in a text; lines that are meant to be commands begin with `::`.
fn acting(text: &str, commands: bool) -> Vec<String> {
    let control = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let command = Regex::new(r"^::(error|warning|notice) title=[^:,\r\n]*::[^\r\n]*$").unwrap();
    let obeyed = |line: &str| {
        let is_command = line.trim_start().starts_with("::");
        let wanted = commands && command.is_match(line);
        (is_command && !wanted) || ["##[", "##vso[", "##teamcity["].iter().any(|mark| line.contains(mark))
    };
    text.lines().filter(|line| line.contains(control) || obeyed(line)).map(str::to_owned).collect()
}

#[test]
fn terminals_and_runners_see_text() {
    let run = run();
    assert!(run.stderr.lines().count() > 100, "{run}");
    assert_eq!(acting(&run.stdout, true), Vec::<String>::new());
    assert_eq!(acting(&run.stderr, false), Vec::<String>::new());
    let commands = run.stdout.lines().filter(|line| line.starts_with("::")).count();
    assert!((2..=10).contains(&commands), "{run}");
}

#[test]
fn every_exchange_can_be_shown_safely() {
    let run = run();
    let folder = run.folder().join("run").display().to_string();
    let csv = run.file("run/exchanges.csv");
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let ids: Vec<_> = reader.records().map(|record| record.unwrap()[0].to_owned()).collect();
    let styles = Regex::new("\x1b\\[[0-9;]*m").unwrap();
    for id in ids.iter().step_by(3) {
        let shown = Shadowcap::new(["report", &folder, "--show", id]).run();
        shown.exits(0).stdout_has(id).stdout_has("v1, as captured");
        assert_eq!(acting(&shown.stdout, false), Vec::<String>::new(), "{shown}");
        let colored = Shadowcap::new(["--color", "always", "report", &folder, "--show", id]).run();
        assert!(styles.is_match(&colored.stdout), "{colored}");
        assert_eq!(styles.replace_all(&colored.stdout, ""), shown.stdout);
    }
}

#[test]
fn exports_are_what_they_claim_to_be() {
    let run = run();
    let folder = run.folder().join("run").display().to_string();
    for (form, kind, schema) in
        [("har", "har", None), ("ndjson", "ndjson", Some("exchange.schema.json")), ("csv", "csv", None)]
    {
        let exported = Shadowcap::new(["report", &folder, "--export", form]).run();
        exported.exits(0);
        let file = exported.folder().join("exported");
        std::fs::write(&file, &exported.stdout).unwrap();
        let faults = or_skip!(invalid(kind, &file, schema));
        assert!(faults.is_empty(), "{form}: {faults:#?}");
    }
}
