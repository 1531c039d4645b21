//! The program against real servers and proxies, over whatever leads to them.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harness::{Certificates, Finished, Nginx, Proxy, Shadowcap, captures};

/// How many requests the capture has that can be sent.
const REQUESTS: usize = 94;
/// Says what it was asked, whatever that is.
const ECHO: &str =
    r#"location / { return 200 "$request_method $server_protocol $http_host $ssl_server_name\n"; }"#;

fn replay(to: &str, more: &[&str]) -> Shadowcap {
    let capture = captures::bundled("httpbin-v1.pcap");
    Shadowcap::new([&["replay", capture.to_str().unwrap(), "--to", to, "--out", "run"], more].concat())
}

fn summary(finished: &Finished) -> Value {
    serde_json::from_str(&finished.file("run/summary.json")).unwrap()
}

#[track_caller]
fn replayed(finished: &Finished) -> usize {
    count(&summary(finished)["exchanges"]["replayed"])
}

fn count(value: &Value) -> usize {
    value.as_u64().unwrap().try_into().unwrap()
}

/// The rows of the recording.
fn rows(finished: &Finished) -> Vec<Value> {
    let segment = finished.folder().join("run/recording/segment-00001.ndjson.zst");
    let text = zstd::stream::decode_all(std::fs::File::open(segment).unwrap()).unwrap();
    let lines = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let values = lines.map(|line| serde_json::from_slice::<Value>(line).unwrap());
    values.filter(|line| line["type"] == "row").collect()
}

/// What v2 was asked, by its own words: protocol, Host, and the name that TLS asked for.
fn asked(finished: &Finished) -> BTreeSet<String> {
    let text = |row: &Value| row["outcome"]["response"]["body"]["entity"]["text"].as_str().map(str::to_owned);
    let bodies = rows(finished).iter().filter_map(text).filter(|body| !body.is_empty()).collect::<Vec<_>>();
    let asked = bodies.iter().filter_map(|body| Some(body.trim_end().split_once(' ')?.1.to_owned()));
    // One of them was captured in HTTP/1.0, which the exact client keeps.
    asked.filter(|asked| !asked.starts_with("HTTP/1.0 ")).collect()
}

/// Asserts what v2 was asked, in all its answers.
#[track_caller]
fn all_asked(finished: &Finished, what: &str) {
    assert_eq!(asked(finished), BTreeSet::from([what.to_owned()]), "{finished}");
}

fn tls_server(certificates: &Certificates, more: &str) -> String {
    format!(
        "server {{ listen {{listen}} ssl {more}; ssl_certificate {}; ssl_certificate_key {}; ssl_client_certificate {}; \
         {ECHO}",
        certificates.certificate("server").display(),
        certificates.key("server").display(),
        certificates.certificate("ca").display(),
    )
}

fn https(nginx: &Nginx) -> String {
    format!("https://localhost:{}", nginx.address().port())
}

#[test]
fn nginx_over_tls_gets_each_request_once_and_only_from_who_trusts_it() {
    let certificates = or_skip!(Certificates::new());
    let nginx = or_skip!(Nginx::start(&(tls_server(&certificates, "") + "keepalive_requests 7; }")));
    let ca = certificates.certificate("ca");
    let finished = replay(&https(&nginx), &["--ca", ca.to_str().unwrap()]).run();
    assert_eq!(replayed(&finished), REQUESTS, "{finished}");
    assert_eq!(summary(&finished)["verdicts"]["failed"], 0, "{finished}");
    all_asked(&finished, "HTTP/1.1 httpbin-shadow:8000 localhost");
    assert_eq!(nginx.wait_for_requests(REQUESTS).len(), REQUESTS);

    let finished = replay(&https(&nginx), &[]).run();
    finished.exits(3).stdout_has("the target is unreachable").stdout_has("UnknownIssuer");
    assert_eq!(summary(&finished)["failures"]["tls"], REQUESTS, "{finished}");

    let finished = replay(&https(&nginx), &["--insecure", "--quiet"]).run();
    finished.stderr_has("WARNING: --insecure: v2's certificate is not checked");
    assert_eq!(summary(&finished)["verdicts"]["failed"], 0, "{finished}");

    // What the system trusts, which on Linux these say.
    for client in ["exact", "reqwest"] {
        let finished = replay(&https(&nginx), &["--client", client]).env("SSL_CERT_FILE", &ca).run();
        assert_eq!(summary(&finished)["verdicts"]["failed"], 0, "{finished}");
    }

    let other = ["--ca", ca.to_str().unwrap(), "--sni", "v2.example"];
    let finished = replay(&https(&nginx), &other).run();
    all_asked(&finished, "HTTP/1.1 httpbin-shadow:8000 v2.example");
}

#[test]
fn nginx_that_asks_for_a_certificate_gets_it() {
    let certificates = or_skip!(Certificates::new());
    let http = tls_server(&certificates, "") + "ssl_verify_client on; }";
    let nginx = or_skip!(Nginx::start(&http));
    let path = |path: std::path::PathBuf| path.to_str().unwrap().to_owned();
    let ca = path(certificates.certificate("ca"));
    let (cert, key) = (path(certificates.certificate("client")), path(certificates.key("client")));
    for client in ["exact", "reqwest"] {
        let mut arguments = vec!["--ca", &ca, "--client", client];
        let without = rows(&replay(&https(&nginx), &arguments).run());
        // nginx lets the handshake pass and says it in HTTP.
        assert!(
            without
                .iter()
                .all(|row| row["outcome"]["response"]["head"]["text"].as_str().unwrap().contains(" 400 "))
        );
        arguments.extend(["--cert", &cert, "--key", &key]);
        let with = rows(&replay(&https(&nginx), &arguments).run());
        let bodies = with
            .iter()
            .filter(|row| row["outcome"]["response"]["head"]["text"].as_str().unwrap().contains(" 200 "));
        assert_eq!(bodies.count(), REQUESTS);
    }
}

#[test]
fn sending_alone_counts_statuses_and_times_and_proves_nothing() {
    let nginx = or_skip!(Nginx::start(&format!("server {{ listen {{listen}}; {ECHO} }}")));
    let finished = replay(&nginx.url(), &["--record", "none", "--diff", "none"]).run();
    finished.exits(3).stdout_has("nothing was compared");
    let files = ["differences.csv", "junit.xml", "report.html", "summary.json", "summary.md"];
    let expected: Vec<_> = files.iter().map(|file| std::path::Path::new("run").join(file)).collect();
    assert_eq!(finished.files(), expected);
    let summary = summary(&finished);
    assert_eq!((&summary["verdict"], replayed(&finished)), (&"inconclusive".into(), REQUESTS));
    assert_eq!(count(&summary["verdicts"]["not_comparable"]), REQUESTS, "{finished}");
    assert_eq!(summary["not_comparable"], serde_json::json!({ "not-judged": REQUESTS }), "{finished}");
    assert!(!finished.stdout.contains("the capture lacks"), "nothing is wrong with it: {finished}");
    assert_eq!(count(&summary["latency"]["count"]), REQUESTS, "{finished}");
    let statuses =
        summary["routes"].as_array().unwrap().iter().flat_map(|route| route["statuses"].as_array().unwrap());
    let of_v2 =
        statuses.filter(|status| status["v2"] == 200).map(|status| count(&status["count"])).sum::<usize>();
    assert_eq!(of_v2, REQUESTS, "{finished}");

    // Each of the two for itself: what is recorded can be compared later.
    let finished = replay(&nginx.url(), &["--diff", "none"]).run();
    assert_eq!(rows(&finished).len(), REQUESTS);
    let finished = replay(&nginx.url(), &["--record", "none"]).run();
    assert!(!finished.folder().join("run/recording").exists());
    finished.exits(1);
}

#[test]
fn a_unix_socket_is_a_target_for_both_clients() {
    let folder = tempfile::TempDir::new().unwrap();
    let socket = folder.path().join("v2.sock");
    let http = format!("server {{ listen {{listen}}; listen unix:{}; {ECHO} }}", socket.display());
    let nginx = or_skip!(Nginx::start(&http));
    for (count, client) in [(1, "exact"), (2, "reqwest")] {
        let finished = replay(&format!("unix:{}", socket.display()), &["--client", client]).run();
        assert_eq!(summary(&finished)["verdicts"]["failed"], 0, "{finished}");
        all_asked(&finished, "HTTP/1.1 httpbin-shadow:8000");
        assert_eq!(nginx.wait_for_requests(REQUESTS * count).len(), REQUESTS * count);
    }
    let finished = replay("unix:/no/such.sock", &[]).run();
    finished.exits(3).stdout_has("cannot connect to unix:/no/such.sock: No such file");
}

#[test]
fn reqwest_speaks_http_2_where_the_server_does_and_every_row_says_that_it_was_reqwest() {
    let certificates = or_skip!(Certificates::new());
    let nginx = or_skip!(Nginx::start(&(tls_server(&certificates, "http2") + "}")));
    let ca = certificates.certificate("ca");
    let arguments = ["--client", "reqwest", "--ca", ca.to_str().unwrap()];
    let finished = replay(&https(&nginx), &arguments).run();
    let log = nginx.wait_for_requests(replayed(&finished));
    assert_eq!(log.len(), replayed(&finished), "{finished}");
    assert!(log.iter().all(|line| line.request.ends_with(" HTTP/2.0")), "{log:?}");
    assert_eq!(summary(&finished)["verdicts"]["failed"], 0, "{finished}");
    // nginx shows no Host where HTTP/2 has its `:authority`.
    let named = format!("HTTP/2.0 httpbin-shadow:{} httpbin-shadow", nginx.address().port());
    all_asked(&finished, &named);
    assert!(rows(&finished).iter().all(|row| row["client"] == "reqwest"), "{finished}");
    assert!(finished.file("run/report.html").contains(r#""by":"reqwest""#));

    let finished = replay(&https(&nginx), &["--ca", ca.to_str().unwrap()]).run();
    assert!(rows(&finished).iter().all(|row| row["client"] == "exact"), "{finished}");
    all_asked(&finished, "HTTP/1.1 httpbin-shadow:8000 localhost");
}

/// Asserts that answers came, the proxy's own included. It may close a connection just when the next request leaves.
#[track_caller]
fn mostly_answered(finished: &Finished) {
    assert!(count(&summary(finished)["verdicts"]["failed"]) <= REQUESTS / 4, "{finished}");
}

#[test]
fn proxies_lead_to_a_target_that_this_machine_cannot_name() {
    let certificates = or_skip!(Certificates::new());
    let plain = or_skip!(Nginx::start(&format!("server {{ listen {{listen}}; {ECHO} }}")));
    let tls = or_skip!(Nginx::start(&(tls_server(&certificates, "") + "}")));
    let (http, socks) = (or_skip!(Proxy::http()), or_skip!(Proxy::socks()));
    let ca = certificates.certificate("ca");
    let trusting = ["--ca", ca.to_str().unwrap()];
    // A proxy that forwards puts the target in the Host's place; one that tunnels does not see it.
    let forwarded = format!("HTTP/1.1 {}", plain.address());
    let (kept, kept_tls) = ("HTTP/1.1 httpbin-shadow:8000", "HTTP/1.1 httpbin-shadow:8000 localhost");
    for (proxy, target, more, heard) in [
        (&http, plain.url(), &[][..], forwarded.as_str()),
        (&socks, plain.url(), &[], kept),
        (&http, https(&tls), &trusting, kept_tls),
        (&socks, https(&tls), &trusting, kept_tls),
    ] {
        let url = proxy.url();
        let arguments = [&["--client", "reqwest", "--proxy", &url], more].concat();
        let finished = replay(&target, &arguments).run();
        mostly_answered(&finished);
        all_asked(&finished, heard);
    }
    // Who resolves the name is the proxy; nobody here knows it.
    let finished = replay("http://v2.invalid", &["--client", "reqwest", "--proxy", &http.url()]).run();
    mostly_answered(&finished);
    let finished = replay("http://v2.invalid", &["--client", "reqwest", "--proxy-from-env"])
        .env("http_proxy", http.url())
        .run();
    mostly_answered(&finished);
    let finished = replay(&plain.url(), &["--proxy", &http.url()]).run();
    finished.exits(2).stderr_has("a proxy takes --client reqwest");
    // The environment alone decides nothing.
    let finished = replay("http://v2.invalid", &["--client", "reqwest"]).env("http_proxy", http.url()).run();
    finished.exits(2).stderr_has("does not resolve");
}
