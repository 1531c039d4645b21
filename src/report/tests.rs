//! Whole run folders: identities, schema, injection, secrets, and the same bytes twice.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::diff::{Context, Difference, Verdict, compare, judge};
use crate::exchange::ExchangeId;
use crate::http::RequestHead;
use crate::record::{CaptureTotals, Finished, Mode, Reader, Redactor, Row, Run, Writer, samples};
use crate::replay::{Failure, Outcome, SkipReason};
use crate::route::{ShareCount, Standing};

const FILES: [&str; 6] =
    ["report.html", "summary.json", "summary.md", "exchanges.csv", "differences.csv", "junit.xml"];

fn run() -> Run {
    Run {
        tool_version: "0.1.0".to_owned(),
        started: samples::NOON,
        seed: 42,
        mode: Mode::Replay,
        captures: vec!["httpbin-v1.pcap".to_owned()],
        targets: BTreeMap::from([("v2".to_owned(), "http://127.0.0.1:9000".to_owned())]),
        options: vec!["--speed".to_owned(), "max".to_owned()],
        digests: BTreeMap::new(),
    }
}

fn finished() -> Finished {
    Finished {
        finished: samples::NOON + std::time::Duration::from_secs(61),
        interrupted: false,
        capture: CaptureTotals {
            files: vec!["httpbin-v1.pcap".to_owned()],
            packets: 1234,
            bytes: 567_890,
            connections: 12,
            lost_bytes: 0,
            first_packet: Some(samples::NOON),
            last_packet: Some(samples::NOON),
        },
        without_row: std::collections::BTreeMap::new(),
        anomalies: BTreeMap::from([("obs-fold".to_owned(), 2), ("mid-connection".to_owned(), 1)]),
        broken_off: None,
        shares: vec![ShareCount {
            rule: "shop http[0]".to_owned(),
            standing: Standing::Shadow,
            destination: "shop/v2".to_owned(),
            expected: 0.25,
            requests: 120,
            picked: 31,
        }],
        gave_up: None,
    }
}

fn context(head: &RequestHead) -> Context<'_> {
    Context::new(head, b"shadow.invalid", Vec::new())
}

fn judged(row: &Row) -> Option<Judged> {
    if matches!(row.outcome, Outcome::Skipped(_)) {
        return None;
    }
    let v1 = row.exchange.response.as_ref();
    let v2 = match &row.outcome {
        Outcome::Answered { response, .. } => Some(&**response),
        _ => None,
    };
    let differences: Vec<Difference> =
        v1.zip(v2).map(|(v1, v2)| compare(v1, v2, &context(&row.exchange.request.head))).unwrap_or_default();
    Some(Judged { verdict: judge(v1, v2, &differences), differences })
}

fn report(folder: &Path, rows: &[Row]) -> Summary {
    let mut reporter = Reporter::create(folder, run()).unwrap();
    for row in rows {
        reporter.add(row, judged(row).as_ref()).unwrap();
    }
    reporter.finish(Some(&finished()), &[], &Gate::default()).unwrap()
}

fn file(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap()
}

/// Rows as of a small shop, with regressions of every kind.
fn shop() -> Vec<Row> {
    let mut rows = Vec::new();
    let ok = "HTTP/1.1 200 OK\r\nServer: shop/1\r\nContent-Type: application/json\r\n\r\n";
    for n in 0..120_u64 {
        let (line, v1, v2, left, right) = match n % 6 {
            0 => (
                format!("GET /items/{n}?page=1"),
                ok,
                ok,
                format!(
                    r#"{{"id":{n},"name":"lamp","price":12.50,"tags":["a","b"],"stock":{{"berlin":3,"paris":0}},"seller":{{"id":7,"name":"Ada & Co","rating":4.8}},"images":["/i/1.jpg","/i/2.jpg"]}}"#
                ),
                format!(
                    r#"{{"id":{n},"name":"lamp","price":"12.50","tags":["a","b"],"stock":{{"berlin":3,"paris":0}},"seller":{{"id":7,"name":"Ada & Co"}},"images":["/i/1.jpg","/i/2.jpg"]}}"#
                ),
            ),
            1 => (
                format!("POST /cart/{n}"),
                ok,
                "HTTP/1.1 500 Internal Server Error\r\nServer: shop/2\r\nContent-Type: application/json\r\n\r\n",
                r#"{"ok":true}"#.to_owned(),
                r#"{"error":"boom"}"#.to_owned(),
            ),
            2 => (
                format!("GET /pages/{n}"),
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nCache-Control: max-age=60\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nCache-Control: no-store\r\n\r\n",
                "<h1>Hello</h1>\n<p>one</p>\n<p>two</p>\n".repeat(6),
                "<h1>Hello</h1>\n<p>one</p>\n<p>two</p>\n".repeat(6),
            ),
            _ => (
                format!("GET /health/{}", n % 3),
                ok,
                ok,
                r#"{"up":true}"#.to_owned(),
                r#"{"up":true}"#.to_owned(),
            ),
        };
        let mut row =
            samples::row(&format!("{line} HTTP/1.1\r\nHost: shop.example\r\nAccept: */*\r\n\r\n"), v1, v2);
        row.exchange.id = ExchangeId(0xabc0_0000_0000 + n);
        samples::set_bodies(&mut row, b"", left.as_bytes(), right.as_bytes());
        if let Outcome::Answered { timing, response, .. } = &mut row.outcome {
            let slow = std::time::Duration::from_micros(n * n * 9 + 400 * (n % 7));
            timing.last_byte = timing.last_byte.map(|t| t + slow);
            response.last_byte = response.last_byte + slow;
        }
        if let Some(response) = &mut row.exchange.response {
            response.last_byte = response.last_byte + std::time::Duration::from_micros(n * 137);
        }
        match n {
            7 | 13 => row.outcome = Outcome::Skipped(SkipReason::AlreadyShadow),
            20 => row.exchange.response = None,
            31 => {
                row.outcome = Outcome::Failed {
                    failure: Failure::Timeout,
                    detail: "no answer within 30 s".to_owned(),
                    partial: None,
                    timing: crate::replay::Timing::default(),
                };
            }
            _ => {}
        }
        rows.push(row);
    }
    rows
}

#[test]
fn a_run_becomes_every_file_and_the_summary_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    let summary = report(folder.path(), &shop());
    assert_eq!(summary.verdict, Judgement::Fail);
    assert_eq!(summary.exchanges.captured, 120);
    assert_eq!(summary.exchanges.skipped, BTreeMap::from([("already-shadow".to_owned(), 2)]));
    assert_eq!(summary.verdicts.failed, 1);
    assert_eq!(summary.verdicts.not_comparable, 1);
    for name in FILES {
        assert!(!file(folder.path(), name).is_empty(), "{name}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), FILES.len());
    let schema = serde_json::from_str(SUMMARY_SCHEMA).unwrap();
    let instance: serde_json::Value = serde_json::from_str(&file(folder.path(), "summary.json")).unwrap();
    let errors: Vec<_> =
        jsonschema::validator_for(&schema).unwrap().iter_errors(&instance).map(|e| e.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(serde_json::from_value::<Summary>(instance).unwrap(), summary);
}

#[test]
fn exchanges_csv_has_the_documented_columns_and_a_line_for_each_row() {
    let folder = tempfile::tempdir().unwrap();
    report(folder.path(), &shop());
    let text = file(folder.path(), "exchanges.csv");
    let columns = "id,role,destination,time,client,method,host,target,route,v1_status,v2_status,verdict,\
                   differences,top_difference,v1_ms,v2_ms,v1_bytes,v2_bytes,late_ms,first_byte_ms,rule,match,reason,\
                   connect_ms";
    assert_eq!(text.lines().next(), Some(columns));
    let mut csv = ::csv::Reader::from_reader(text.as_bytes());
    assert_eq!(csv.records().map(Result::unwrap).count(), 120);
}

#[test]
fn the_same_recording_gives_the_same_bytes() {
    let (live, again) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let rows = shop();
    report(live.path(), &rows);
    let (mut writer, _) = Writer::create(&live.path().join("recording"), &run()).unwrap();
    for row in &rows {
        writer.row(row).unwrap();
    }
    writer.finish(&finished()).unwrap();

    let mut reader = Reader::open(&live.path().join("recording")).unwrap();
    let mut reporter = Reporter::create(again.path(), reader.run().clone()).unwrap();
    while let Some(row) = reader.next_row().unwrap() {
        reporter.add(&row, judged(&row).as_ref()).unwrap();
    }
    reporter.finish(reader.finished(), reader.losses(), &Gate::default()).unwrap();
    for name in FILES {
        assert!(file(live.path(), name) == file(again.path(), name), "{name} differs");
    }
}

/// Texts that some format would take for more than text.
const PAYLOADS: [&str; 26] = [
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "<!--<script>",
    "]]><x/>",
    "\"><img src=x onerror=alert(3)>",
    "' onmouseover='alert(4)",
    "<svg/onload=alert(5)>",
    "javascript:alert(6)",
    "{{7*7}}",
    "{% raw %}",
    "&lt;script&gt;alert(8)&lt;/script&gt;",
    "</textarea></style></title><script>alert(9)</script>",
    "=HYPERLINK(\"http://evil\",\"x\")",
    "+cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd",
    "-2+3+cmd",
    "@everyone ping #1 org/repo#2",
    "[click](javascript:alert(10))",
    "![x](http://evil/x.png)",
    "``` breaks `` out `",
    "a|b|c",
    "\u{202e}gnp.exe",
    "\u{1b}]0;title\u{7}\u{1b}[2J",
    "::error file=x::pwned",
    "\u{2028}alert(11)//",
    "<a href=\"http://evil\">x</a>",
];

fn hostile(payload: &str) -> Row {
    let target: String = payload.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect();
    let value: String = payload.chars().filter(|c| *c != '\u{7}' && *c != '\u{1b}').collect();
    let mut row = samples::row(
        &format!("GET /{target}?{target} HTTP/1.1\r\nHost: {target}\r\nX-Pay: {value}\r\n\r\n"),
        &format!("HTTP/1.1 200 {value}\r\nContent-Type: text/plain\r\nX-Pay: {value}\r\n\r\n"),
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Pay: other\r\n\r\n",
    );
    samples::set_bodies(&mut row, payload.as_bytes(), payload.as_bytes(), b"plain");
    row.destination = payload.into();
    row.route = payload.into();
    row
}

fn hostile_reports() -> (tempfile::TempDir, Summary) {
    let folder = tempfile::tempdir().unwrap();
    let mut rows: Vec<_> = PAYLOADS.iter().map(|payload| hostile(payload)).collect();
    let mut in_json = samples::row(
        "GET /json HTTP/1.1\r\nHost: h\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n",
    );
    let object: serde_json::Map<_, _> = PAYLOADS.iter().map(|p| ((*p).to_owned(), (*p).into())).collect();
    samples::set_bodies(&mut in_json, b"", serde_json::to_string(&object).unwrap().as_bytes(), b"{}");
    rows.push(in_json);
    let mut failed = hostile(PAYLOADS[0]);
    failed.outcome = Outcome::Failed {
        failure: Failure::Garbage,
        detail: PAYLOADS.join(" "),
        partial: None,
        timing: crate::replay::Timing::default(),
    };
    rows.push(failed);
    for (n, row) in rows.iter_mut().enumerate() {
        row.exchange.id = ExchangeId(n as u64);
    }
    let summary = report(folder.path(), &rows);
    assert!(summary.differences.len() > PAYLOADS.len());
    (folder, summary)
}

#[test]
fn nothing_from_the_wire_becomes_markup_in_the_html() {
    let (folder, _) = hostile_reports();
    let html = file(folder.path(), "report.html");
    let (own, benign) = (tempfile::tempdir().unwrap(), shop());
    report(own.path(), &benign);
    let clean = file(own.path(), "report.html");
    let count = |text: &str, tag: &str| text.to_ascii_lowercase().matches(tag).count();
    // Each exchange has an element of its own for its data.
    let elements = |text: &str| text.matches("<script type=\"application/json\" class=\"x\">").count();
    for tag in ["<script", "</script"] {
        assert_eq!(count(&html, tag) - elements(&html), count(&clean, tag) - elements(&clean), "{tag}");
    }
    for tag in ["<!--", "<img", "<svg/", "<a href=\"http", "<style", "<textarea"] {
        assert_eq!(count(&html, tag), count(&clean, tag), "{tag}");
    }
    assert!(!html.contains("\u{202e}") && !html.contains('\u{1b}'));
    let mut elements = html.split("<script type=\"application/json\"");
    assert!(!elements.next().unwrap().contains("' onmouseover='"));
    let data: Vec<_> = elements
        .map(|element| element.split_once('>').unwrap().1.split_once("</script>").unwrap().0)
        .collect();
    assert!(data.len() > PAYLOADS.len());
    for data in data {
        assert!(!data.contains(['<', '>', '&', '\u{2028}']));
        assert!(serde_json::from_str::<serde_json::Value>(data).is_ok());
    }
}

#[test]
fn the_policy_names_the_digests_of_what_stands_in_the_page() {
    use base64::Engine as _;
    use sha2::Digest as _;
    let folder = tempfile::tempdir().unwrap();
    report(folder.path(), &shop());
    let html = file(folder.path(), "report.html");
    for (tag, end) in [("<style>", "</style>"), ("<script>", "</script>")] {
        let text = html.split(tag).nth(1).unwrap().split(end).next().unwrap();
        let digest = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(text));
        // `+` is escaped in an attribute's value by some escapers, which a browser undoes.
        assert!(html.replace("&#43;", "+").contains(&format!("sha256-{digest}")), "{tag}");
    }
    assert!(!html.contains(" style=") && !html.contains(" onclick="));
    assert!(!html.contains("src=\"") && !html.contains("url("));
}

#[test]
fn no_cell_of_the_csv_files_is_a_formula() {
    let (folder, _) = hostile_reports();
    for name in ["exchanges.csv", "differences.csv"] {
        let text = file(folder.path(), name);
        let mut csv = ::csv::Reader::from_reader(text.as_bytes());
        for record in csv.records().map(Result::unwrap) {
            for cell in &record {
                assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{name}: {cell}");
            }
        }
    }
}

#[test]
fn markdown_and_terminal_and_xml_stay_what_they_are() {
    let (folder, summary) = hostile_reports();
    let markdown = file(folder.path(), "summary.md");
    // Outside of code spans, no payload's special characters are left.
    let mut outside = String::new();
    for line in markdown.lines() {
        let mut rest = line;
        while let Some(at) = rest.find('`') {
            outside.push_str(&rest[..at]);
            let fence: String = rest[at..].chars().take_while(|c| *c == '`').collect();
            let inside = &rest[at + fence.len()..];
            let end = inside
                .match_indices(&fence)
                .find(|(i, _)| !inside[i + fence.len()..].starts_with('`') && !inside[..*i].ends_with('`'))
                .unwrap_or_else(|| panic!("an unclosed span in {line}"));
            rest = &inside[end.0 + fence.len()..];
        }
        outside.push_str(rest);
        outside.push('\n');
    }
    for sign in ["<", "@", "](", "![", "javascript", "::error"] {
        assert!(!outside.contains(sign), "{sign} in {outside}");
    }
    for screen in [Screen::default(), Screen { color: true, width: 120, wraps: false }] {
        let text = terminal(&summary, "reports/\u{1b}[2J", screen);
        let plain = text.replace("\u{1b}[", "");
        assert!(!plain.contains(['\u{1b}', '\u{7}', '\u{202e}', '\r']), "{text}");
        assert!(!text.contains("[2J\u{1b}"));
    }
    let xml = file(folder.path(), "junit.xml");
    assert!(!xml.contains("<script") && !xml.contains("]]><x/>"));
    let illegal = |c: char| c < ' ' && !"\t\r\n".contains(c) || ('\u{fffe}'..='\u{ffff}').contains(&c);
    assert!(!xml.contains(illegal));
}

#[test]
fn a_summary_fits_a_screen() {
    let folder = tempfile::tempdir().unwrap();
    let summary = report(folder.path(), &shop());
    let text = terminal(&summary, "reports/x/report.html", Screen::default());
    assert!(text.lines().count() <= 40, "{text}");
    assert!(text.lines().next().unwrap().starts_with("FAIL"), "{text}");
    assert!(text.ends_with("report    reports/x/report.html\n"));
    assert!(!text.contains('\u{1b}'));
}

/// An account of which every part is as long and as often as it gets.
fn longest() -> Summary {
    let folder = tempfile::tempdir().unwrap();
    let mut summary = report(folder.path(), &shop());
    let long = |n: usize| format!("{n}{}", "`\u{1f980}".repeat(2000));
    let d = summary.differences.iter().find(|d| d.class.counts()).unwrap().clone();
    summary.differences = (0..400)
        .map(|n| DistinctDifference {
            class: if n % 2 == 0 { Class::Unverified } else { Class::Shadow },
            host: long(n),
            route: long(n),
            path: long(n),
            v1_example: Some(long(n)),
            v2_example: Some(long(n)),
            count: u64::MAX / 1000,
            ..d.clone()
        })
        .collect();
    let route = summary.routes[0].clone();
    summary.routes =
        (0..400).map(|n| RouteSummary { host: long(n), route: long(n), ..route.clone() }).collect();
    summary.notes = (0..2000).map(|n| format!("the rule `line {n}` matched nothing")).collect();
    summary.notes.extend((0..200).map(long));
    summary.reasons = vec![
        "1,000,000 of 1,000,000 compared exchanges differ in a way that counts".to_owned(),
        format!("the target is unreachable, not one request reached it: {}", "word ".repeat(500)),
    ];
    summary.reasons.extend((0..200).map(long));
    summary.exchanges.skipped = (0..100).map(|n| (long(n), 1)).collect();
    summary.anomalies.clone_from(&summary.exchanges.skipped);
    summary.failures.clone_from(&summary.exchanges.skipped);
    summary.not_comparable.clone_from(&summary.exchanges.skipped);
    let share = summary.shares[0].clone();
    summary.shares = vec![share; 20];
    (summary.exchanges.captured, summary.exchanges.replayed) = (1_234_567_890, 1_234_567_890);
    summary.verdicts = Verdicts {
        matching: 234_567_890,
        noise: 234_567_890,
        different: 234_567_890,
        failed: 234_567_890,
        not_comparable: 296_296_330,
    };
    summary
}

#[test]
fn a_job_summary_stays_below_its_limit() {
    let markdown = markdown::render(&longest());
    // What GitHub takes: https://docs.github.com/actions, job summaries.
    assert!(markdown.len() < 1 << 20, "{} bytes", markdown.len());
    assert!(markdown.len() > 1 << 18, "{} bytes: not near the limit", markdown.len());
    assert!(markdown.contains("more in the report"));
}

/// An account in which every part of the summary on a terminal occurs, each at its longest.
fn everything() -> Summary {
    const CLASSES: [Class; 7] = [
        Class::Confirmed,
        Class::Unverified,
        Class::Drift,
        Class::Volatile,
        Class::Shadow,
        Class::RuledOut,
        Class::NotCompared,
    ];
    let mut summary = longest();
    let quantiles = Quantiles { p50: 9_999.0, p90: 99_999.0, p95: 99_999.0, p99: 99_999.0, max: 999_999.0 };
    let evidence = crate::diff::Evidence {
        differing: 99_999,
        asked: 99_999,
        repeated: 99_999,
        v1_held: 99_999,
        v1_changed: 99_999,
        v2_changed: 99_999,
        v1_disagreed: 99_999,
        v2_disagreed: 99_999,
        p: Some(1e-99),
        significant: true,
        shapes: Vec::new(),
    };
    for (n, d) in summary.differences.iter_mut().enumerate() {
        d.class = CLASSES[n % CLASSES.len()];
        // Where values are single words, no line can be broken; here they are as the wire has them.
        d.v1_example = Some("\"a value of some words\" ".repeat(40));
        (d.standing, d.evidence) = (Some(super::Standing::New), Some(evidence.clone()));
    }
    for route in &mut summary.routes {
        let interval = [100.0, 1000.0];
        let quantile = "p90".to_owned();
        route.slower =
            Some(Slower { quantile, v1: 9_999.0, v2: 99_999.0, ratio: 999.9, interval, pairs: 512 });
    }
    for share in &mut summary.shares {
        share.within = false;
    }
    summary.options =
        ["--no-redact", "--speed 1", "--rate 100000/s", "--concurrency 4096"].map(str::to_owned).to_vec();
    summary.exchanges.replayed_unsafe = 1_234_567_890;
    summary.lateness = Some(Lateness { quantiles, distribution: Vec::new() });
    (summary.since_due, summary.connect) = (Some(quantiles), Some(quantiles));
    (summary.latency.v1, summary.latency.v2) = (Some(quantiles), Some(quantiles));
    let file = "reports/a folder with a long name ".repeat(20);
    let gone = summary.differences.clone();
    summary.against =
        Some(Against { run: file.clone(), started: samples::NOON, new: 99_999, known: 99_999, gone });
    let lines = vec![String::new(); 999];
    summary.accepted =
        Some(AcceptedSummary { file, new: 99_999, known: 99_999, gone: lines.clone(), lapsed: lines });
    summary
}

#[test]
fn the_worst_summary_fits_a_screen() {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let summary = everything();
    for width in [80, 81, 90, 100, 120, 160, 240] {
        let screen = |color| Screen { color, width, wraps: true };
        let text = terminal(&summary, "reports/x/report.html", screen(false));
        let long: Vec<_> = text.lines().filter(|line| line.chars().count() > usize::from(width)).collect();
        assert!(long.iter().all(|line| line.contains('\u{1f980}')), "{long:#?}");
        assert!(text.lines().count() <= 40, "{} lines at {width}\n{text}", text.lines().count());
        // What is always there.
        assert!(text.starts_with("FAIL  1,000,000 of 1,000,000 compared exchanges differ"), "{text}");
        assert!(text.ends_with("\nreport    reports/x/report.html\n"), "{text}");
        for part in [
            "SECRETS ARE KEPT",
            "captured 1234567890 = 1234567890 replayed + 100 skipped",
            "234567890 different",
            "1234567890 of them with a method",
            "outside of 99.9 %",
            "differences that count",
            "more in the report",
            "99999 new, 99999 known, 400 gone",
            "99999 known, 99999 new, 999 no longer accepted, 999 gone",
            "57 shadow",
            "latency p50 9999 ms → 9999 ms",
            "400 routes, in the report",
            "lateness p50",
            "from due p50",
            "connect p50",
            " notes in the report",
        ] {
            assert!(words(&text).contains(part), "{part} at {width}\n{text}");
        }
        let examples = text.matches("number against string: ").count();
        assert!(examples >= 3, "{examples} examples at {width}\n{text}");
        let colored = terminal(&summary, "reports/x/report.html", screen(true));
        assert_eq!(colored.lines().count(), text.lines().count(), "colours take no columns");
    }
    // Where lines are not broken, there is room for more of it.
    let text = terminal(&summary, "r", Screen::default());
    assert!(text.lines().count() <= 40, "{text}");
    // A screen of half the columns takes no more than twice the lines.
    let text = terminal(&summary, "r", Screen { color: false, width: 40, wraps: true });
    assert!(text.lines().count() <= 80, "{text}");
}

#[test]
fn seeded_secrets_are_in_no_file() {
    let secrets = [
        "QUERYSEC1",
        "HEADSEC22",
        "COOKSEC33",
        "BODYSEC44",
        "ANSWSEC55",
        "SETCSEC66",
        "USERSEC77",
        "ECHOSEC88",
    ];
    let folder = tempfile::tempdir().unwrap();
    let mut row = samples::row(
        "POST http://ann:USERSEC77@h/login?api_key=QUERYSEC1 HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer HEADSEC22\r\n\
         Cookie: s=COOKSEC33\r\nX-Auth-Token: ECHOSEC88\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nSet-Cookie: s=SETCSEC66; Path=/\r\n\r\n",
        "HTTP/1.1 302 Found\r\nContent-Type: text/plain\r\nSet-Cookie: s=other-cookie; Path=/\r\n\
         Location: /next?token=QUERYSEC1\r\n\r\n",
    );
    samples::set_bodies(
        &mut row,
        b"user=ann&password=BODYSEC44",
        br#"{"access_token":"ANSWSEC55","echo":"ECHOSEC88"}"#,
        b"denied for BODYSEC44 with ECHOSEC88 and HEADSEC22",
    );
    let mut failed = row.clone();
    failed.exchange.id = ExchangeId(9);
    failed.outcome = Outcome::Failed {
        failure: Failure::Garbage,
        detail: "got `ECHOSEC88 BODYSEC44` from http://u:USERSEC77@h/?token=QUERYSEC1".to_owned(),
        partial: None,
        timing: crate::replay::Timing::default(),
    };
    let redactor = Redactor::random().unwrap();
    let mut rows = [row, failed];
    for row in &mut rows {
        redactor.row(row);
    }
    let (mut writer, _) = Writer::create(&folder.path().join("recording"), &run()).unwrap();
    for row in &rows {
        writer.row(row).unwrap();
    }
    writer.finish(&finished()).unwrap();
    let summary = report(folder.path(), &rows);
    let segment = fs::read(folder.path().join("recording/segment-00001.ndjson.zst")).unwrap();
    let recording = zstd::stream::decode_all(segment.as_slice()).unwrap();
    let mut all: Vec<(String, String)> =
        FILES.iter().map(|name| ((*name).to_owned(), file(folder.path(), name))).collect();
    all.push(("recording".to_owned(), String::from_utf8(recording).unwrap()));
    all.push(("terminal".to_owned(), terminal(&summary, "x", Screen::default())));
    for (name, text) in &all {
        for secret in secrets {
            assert!(!text.contains(secret), "{secret} in {name}");
        }
    }
    assert!(all.iter().any(|(_, text)| text.contains("redacted:")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_two_identities_hold_for_any_rows(
        kinds in proptest::collection::vec((0..9_u8, 0..4_u8, any::<bool>()), 0..60),
    ) {
        let mut tally = Tally::new(run());
        let (mut skipped, mut ids) = (0, std::collections::HashSet::new());
        for (n, (kind, id, judge_it)) in kinds.iter().enumerate() {
            let answer = "HTTP/1.1 200 OK\r\n\r\n";
            let mut row = samples::row(&format!("GET /{kind} HTTP/1.1\r\nHost: h\r\n\r\n"), answer, answer);
            row.exchange.id = ExchangeId(u64::from(*id));
            // Where a request has several rows, each has its place among them.
            row.copy = u32::from(!ids.insert(*id));
            if *kind >= 6 {
                row.outcome = Outcome::Skipped(SkipReason::ALL[n % SkipReason::ALL.len()]);
                skipped += 1;
            }
            let verdict = Verdict::ALL[usize::from(*kind) % Verdict::ALL.len()];
            let judged = Judged { verdict, differences: vec![] };
            tally.add(&row, Some(&judged).filter(|_| *judge_it));
        }
        let summary = tally.finish(Some(&finished()), &[], &Gate::default(), None);
        let exchanges = &summary.exchanges;
        prop_assert_eq!(exchanges.captured, kinds.len() as u64);
        prop_assert_eq!(exchanges.skipped_in_all(), skipped);
        prop_assert_eq!(exchanges.captured, exchanges.replayed + exchanges.skipped_in_all());
        prop_assert_eq!(exchanges.replayed, summary.verdicts.in_all());
        prop_assert_eq!(summary.requests, ids.len() as u64);
        prop_assert_eq!(summary.routes.iter().map(|r| r.captured).sum::<u64>(), exchanges.captured);
        prop_assert_eq!(summary.not_comparable.values().sum::<u64>(), summary.verdicts.not_comparable);
        if kinds.is_empty() {
            prop_assert_eq!(summary.verdict, Judgement::Inconclusive);
        }
    }
}
