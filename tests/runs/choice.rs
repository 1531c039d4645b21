use serde_json::{Value, json};

use crate::made::{self, Asked};
use crate::support::Finished;
use crate::{ends, replay, same_v2, summary, targets};

/// Two minutes of a shop: a request every ten seconds, by two clients.
fn shop() -> Vec<u8> {
    let asked = |n: u64, line: &str, headers: &str| {
        let client = [192, 0, 2, if n.is_multiple_of(2) { 1 } else { 2 }];
        Asked::new(40_000 + u16::try_from(n % 4).unwrap(), n * 10_000, line, headers).by(client)
    };
    made::capture(&[
        asked(0, "GET /", ""),
        asked(1, "GET /products?page=2", "X-Team: blue\r\n"),
        asked(2, "POST /carts", "Content-Length: 0\r\nAuthorization: Bearer of-v1\r\n"),
        asked(3, "GET /products/7", "Cookie: session=of-v1; theme=dark\r\n"),
        asked(4, "DELETE /carts/1", "Authorization: Bearer of-v1\r\n"),
        asked(5, "HEAD /", ""),
        asked(6, "GET /admin", "X-Team: red\r\n"),
        asked(7, "PUT /carts/2", "Content-Length: 0\r\n"),
    ])
}

/// Replays the shop with these options; gives what arrived and the summary.
fn chosen(arguments: &[&str]) -> (Vec<String>, Value, Finished) {
    let v2 = same_v2();
    let finished = replay(&v2.url(), &shop(), arguments).run();
    let summary = summary(finished.folder());
    assert_eq!(summary["exchanges"]["captured"], 8, "{summary:#}");
    (targets(&v2), summary, finished)
}

#[test]
fn windows_methods_filters_samples_and_limits_leave_out_what_they_say() {
    for (arguments, sent, skipped) in [
        (&[][..], 8, json!({})),
        (&["--methods", "safe"], 5, json!({ "method": 3 })),
        (&["--methods", "DELETE,PUT"], 2, json!({ "method": 6 })),
        (&["--from", "25s"], 5, json!({ "outside-time": 3 })),
        (&["--from", "10s", "--to-time", "0.5m"], 2, json!({ "outside-time": 6 })),
        (&["--to-time", "2026-11-22T12:00:30Z"], 3, json!({ "outside-time": 5 })),
        (&["--filter", "path.startsWith('/products')"], 2, json!({ "filtered": 6 })),
        (&["--filter", "header('x-team') != '' && status == 200"], 2, json!({ "filtered": 6 })),
        (&["--filter", "client == '192.0.2.2'"], 4, json!({ "filtered": 4 })),
        (&["--filter", "status == 404 || time < '2026-11-22T12:00:10'"], 1, json!({ "filtered": 7 })),
        (&["--filter", "method == 'HEAD' ? status : true"], 7, json!({ "filter-failed": 1 })),
        (&["--limit", "3"], 3, json!({ "beyond-limit": 5 })),
        (&["--methods", "safe", "--limit", "2"], 2, json!({ "method": 3, "beyond-limit": 3 })),
        (&["--sample", "0"], 0, json!({ "not-in-sample": 8 })),
        (&["--percent", "0", "--limit", "1"], 0, json!({ "not-sampled": 8 })),
    ] {
        let (arrived, summary, finished) = chosen(arguments);
        assert_eq!(arrived.len(), sent, "{arguments:?}: {arrived:?}");
        assert_eq!(summary["exchanges"]["skipped"], skipped, "{arguments:?}");
        ends(&finished, if sent == 0 { 3 } else { 0 });
    }
}

#[test]
fn unsafe_requests_that_were_sent_are_counted() {
    let (_, summary, finished) = chosen(&[]);
    assert_eq!(summary["exchanges"]["replayed_unsafe"], 3, "{summary:#}");
    finished.stdout_has("3 of them with a method that may change state");
    assert_eq!(chosen(&["--methods", "safe"]).1["exchanges"]["replayed_unsafe"], 0);
}

#[test]
fn a_sample_of_clients_takes_all_of_one_or_nothing() {
    let mut whole = 0;
    for seed in 0..8 {
        let (arrived, ..) = chosen(&["--sample", "50:client", "--seed", &seed.to_string()]);
        // The first client asked for /, the second for /products/7.
        let (first, second) =
            (arrived.contains(&"/admin".to_owned()), arrived.contains(&"/products/7".to_owned()));
        assert_eq!(arrived.len(), 4 * (usize::from(first) + usize::from(second)), "{arrived:?}");
        whole += arrived.len();
    }
    assert!(whole > 0 && whole < 64, "{whole}");
}

#[test]
fn credentials_pass_are_stripped_or_become_others() {
    let credentials = |arguments: &[&str]| {
        let v2 = same_v2();
        let program = replay(&v2.url(), &shop(), arguments);
        std::fs::write(program.folder().join("staging"), "# of staging\nAuthorization: Bearer of-v2\n")
            .unwrap();
        let finished = program.run();
        ends(&finished, 0);
        let all: Vec<String> =
            v2.requests().iter().map(|request| String::from_utf8(request.bytes.clone()).unwrap()).collect();
        for name in ["summary.json", "exchanges.csv", "report.html"] {
            let text = finished.file(format!("run/{name}"));
            assert!(!text.contains("of-v2") && !text.contains("of-v1"), "{name}");
        }
        let count = |text: &str| all.iter().filter(|request| request.contains(text)).count();
        (count("Bearer of-v1"), count("session=of-v1"), count("Bearer of-v2"), count("Authorization"))
    };
    assert_eq!(credentials(&[]), (2, 1, 0, 2));
    assert_eq!(credentials(&["--credentials", "strip"]), (0, 0, 0, 0));
    assert_eq!(credentials(&["--credentials", "replace=staging"]), (0, 0, 2, 2));
}

#[test]
fn choices_that_make_no_sense_are_refused_with_the_remedy() {
    let v2 = same_v2();
    for (arguments, says) in [
        (&["--filter", "method = 'GET'"][..], &["--filter", "column 8", "== compares"][..]),
        (&["--filter", "verb == 'GET'"], &["there is no `verb`", "header(NAME)"]),
        (&["--methods", "get"], &["--methods", "safe, or a list such as GET,POST"]),
        (&["--from", "yesterday"], &["--from", "RFC 3339", "90s"][..1]),
        (&["--sample", "10:host"], &["--sample", "10:client"]),
        (&["--credentials", "drop"], &["pass, strip, or replace=FILE"]),
        (&["--credentials", "replace=nowhere"], &["cannot read nowhere"]),
        (&["--rate", "0"], &["--rate", "above zero"]),
        (&["--ramp", "1s"], &["--rate"]),
        (&["--order", "time"], &["connection, client or none"]),
        (&["--loop", "0"], &["--loop"]),
        (&["--ready-path", "health", "--wait-ready", "1s"], &["begins with /"]),
    ] {
        let finished = replay(&v2.url(), &shop(), arguments).run();
        ends(&finished, 2);
        for text in says {
            finished.stderr_has(text);
        }
        assert!(!finished.folder().join("run").exists(), "{finished}");
    }
    assert!(v2.connections().is_empty());
}
