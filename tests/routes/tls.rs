//! What destination rules say of TLS: which of them counts, and what a replay says where its endpoints are otherwise.

use shadowcap::route::{Address, Rules, TlsMode};

use crate::support::{Certificates, Finished, Nginx, RawServer, Shadowcap, captures};

/// A mirror to v2, and what is said of v2.
fn rules(policy: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: httpbin}}\nspec:\n  hosts: [httpbin]\n  http:\n  - route: [{{destination: {{host: httpbin, subset: v1}}}}]\n    mirrors:\n    - destination: {{host: httpbin, subset: v2}}\n    - destination: {{host: httpbin, subset: v3, port: {{number: 8443}}}}\n---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: httpbin}}\nspec:\n{policy}"
    )
}

const SUBSETS: &str = "  subsets: [{name: v1}, {name: v2}, {name: v3}]\n";

fn mode(mode: &TlsMode) -> &'static str {
    match mode {
        TlsMode::Disable => "DISABLE",
        TlsMode::Simple(_) => "SIMPLE",
        TlsMode::Mutual(_) => "MUTUAL",
        TlsMode::IstioMutual => "ISTIO_MUTUAL",
    }
}

/// The order is that of Istio's `MergeTrafficPolicy`: the subset's port, the subset, the rule's port, the rule.
#[test]
fn the_closest_policy_counts() {
    let host = "  host: httpbin\n";
    let of_rule = "  trafficPolicy:\n    tls: {mode: SIMPLE}\n";
    let port = "    portLevelSettings: [{port: {number: 8443}, tls: {mode: MUTUAL}}]\n";
    let subset = |more: &str| {
        format!(
            "  subsets:\n  - name: v2\n    trafficPolicy:\n      tls: {{mode: ISTIO_MUTUAL}}\n{more}  - name: v3\n"
        )
    };
    let of_subset_port = "      portLevelSettings: [{port: {number: 9000}, tls: {mode: DISABLE}}]\n";
    let all = format!("{host}{of_rule}{port}{}", subset(of_subset_port));
    let wild = |name: &str, policy: &str| {
        format!("{SUBSETS}  host: '{name}'\n  trafficPolicy: {{tls: {{mode: {policy}}}}}\n")
    };
    let second = |name: &str, policy: &str| {
        format!(
            "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: w}}\nspec:\n{}",
            wild(name, policy)
        )
    };
    for (policy, subset, port, expected) in [
        (format!("{host}{SUBSETS}"), Some("v2"), None, None),
        (format!("{host}{of_rule}{SUBSETS}"), Some("v2"), None, Some("SIMPLE")),
        (all.clone(), None, None, Some("SIMPLE")),
        (all.clone(), None, Some(8443), Some("MUTUAL")),
        (all.clone(), Some("v3"), Some(8443), Some("MUTUAL")),
        (all.clone(), Some("v3"), Some(80), Some("SIMPLE")),
        (all.clone(), Some("v2"), Some(8443), Some("ISTIO_MUTUAL")),
        (all.clone(), Some("v2"), Some(9000), Some("DISABLE")),
        (all, Some("v2"), None, Some("ISTIO_MUTUAL")),
        // Hosts with a star, of which the longest counts, and none where the host has rules of its own.
        (wild("*.svc.cluster.local", "MUTUAL"), Some("v2"), None, Some("MUTUAL")),
        (wild("*.default.svc.cluster.local", "SIMPLE"), Some("v2"), None, Some("SIMPLE")),
        (wild("*", "SIMPLE"), Some("v2"), None, Some("SIMPLE")),
        (wild("*.other.svc.cluster.local", "SIMPLE"), Some("v2"), None, None),
        (
            wild("*.local", "MUTUAL") + &second("*.default.svc.cluster.local", "SIMPLE"),
            Some("v2"),
            None,
            Some("SIMPLE"),
        ),
        (format!("{host}{SUBSETS}") + &second("*.local", "MUTUAL"), Some("v2"), None, None),
        (wild("*.local", "MUTUAL") + &second("httpbin", "SIMPLE"), Some("v2"), None, Some("SIMPLE")),
    ] {
        let read = Rules::read(&[("r".to_owned(), rules(&policy))], "default").unwrap();
        let to = Address::new("httpbin", subset, port, "default");
        let found = read.tls(&to, None).map(|(_, found)| mode(found));
        assert_eq!(found, expected, "{policy} for {subset:?} at {port:?}");
        // Where the destination names no port, it is the one that the requests were sent to.
        let without = Address::new("httpbin", subset, None, "default");
        assert_eq!(read.tls(&without, port).map(|(_, found)| mode(found)), expected);
    }
}

#[test]
fn subsets_are_looked_for_in_the_rules_that_apply_to_the_host() {
    for (policy, is_told) in [
        (format!("  host: '*.svc.cluster.local'\n{SUBSETS}"), false),
        ("  host: '*.svc.cluster.local'\n  subsets: [{name: v1}]\n".to_owned(), true),
        ("  host: '*.other.svc.cluster.local'\n  subsets: [{name: v1}]\n".to_owned(), false),
    ] {
        let read = Rules::read(&[("r".to_owned(), rules(&policy))], "default").unwrap();
        let told = read.warnings.iter().any(|told| told.text.contains("has the subset `v2`"));
        assert_eq!(told, is_told, "{policy}: {:?}", read.warnings);
    }
}

/// A replay of one request under these rules.
fn replay(policy: &str, arguments: &[&str]) -> Finished {
    let capture = captures::bundled("istio-mirroring-task.pcap").display().to_string();
    let program =
        Shadowcap::new(["replay", &capture, "--routes", "r.yaml", "--out", "run"].iter().chain(arguments));
    std::fs::write(program.folder().join("r.yaml"), rules(policy)).unwrap();
    program.run()
}

#[test]
fn an_endpoint_that_is_spoken_to_otherwise_than_in_the_mesh_is_told_with_what_it_takes() {
    let v2 = RawServer::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let plain = format!("v2={}", v2.url());
    let https = format!("v2={}", v2.url().replace("http:", "https:"));
    let of = |policy: &str| format!("  host: httpbin\n{SUBSETS}  trafficPolicy: {policy}\n");
    let clear = "and this URL is in the clear";
    for (policy, endpoint, wanted) in [
        (
            of("{tls: {mode: SIMPLE, sni: v2.example, caCertificates: /ca.pem}}"),
            &plain,
            vec![
                "r.yaml:12: httpbin/v2, where v2 is http://",
                "SIMPLE: https, with a certificate of the server, checked against /ca.pem (--ca), asked for v2.example (--sni)",
                clear,
            ],
        ),
        (
            of("{tls: {mode: MUTUAL, clientCertificate: /me.pem}}"),
            &plain,
            vec!["and /me.pem for the client (--cert, --key)", clear],
        ),
        (of("{tls: {mode: ISTIO_MUTUAL}}"), &plain, vec!["(--ca, --cert, --key)", clear]),
        (
            of("{tls: {mode: MUTUAL, credentialName: mine}}"),
            &https,
            vec![
                "checked against the secret mine (--ca)",
                "and the secret mine for the client",
                "--cert and --key give none",
            ],
        ),
        (of("{tls: {mode: DISABLE}}"), &https, vec!["speaks to it in the clear, and this URL is https"]),
        (
            of(
                "{portLevelSettings: [{port: {number: 8000}, tls: {mode: SIMPLE, insecureSkipVerify: true}}]}",
            ),
            &plain,
            vec!["the mesh does not check it (--insecure)", clear],
        ),
    ] {
        let finished =
            replay(&policy, &["--endpoint", endpoint, "--service-port", "8000", "--timeout", "100ms"]);
        for text in wanted {
            finished.stderr_has(text);
        }
    }
    for policy in
        [of("{tls: {mode: DISABLE}}"), of("{portLevelSettings: [{port: {number: 1}, tls: {mode: SIMPLE}}]}")]
    {
        let finished = replay(&policy, &["--endpoint", &plain]);
        assert!(!finished.stderr.contains("the mesh speaks"), "{finished}");
    }
}

#[test]
fn certificates_are_for_the_endpoints_that_are_spoken_to_by_tls_and_others_go_without() {
    let certificates = or_skip!(Certificates::new());
    let path = |path: std::path::PathBuf| path.to_str().unwrap().to_owned();
    let (cert, key) = (path(certificates.certificate("server")), path(certificates.key("server")));
    let ca = path(certificates.certificate("ca"));
    let nginx = or_skip!(Nginx::start(&format!(
        "server {{ listen {{listen}} ssl; ssl_certificate {cert}; ssl_certificate_key {key}; ssl_client_certificate {ca}; ssl_verify_client on; location / {{ return 200 'v2'; }} }}"
    )));
    let v3 = RawServer::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nv3");
    let v2_endpoint = format!("v2=https://localhost:{}", nginx.address().port());
    let v3_endpoint = format!("v3={}", v3.url());
    let policy = "  host: httpbin\n  subsets:\n  - {name: v2, trafficPolicy: {tls: {mode: MUTUAL}}}\n  - {name: v3}\n  - {name: v1}\n";
    let (own, own_key) = (path(certificates.certificate("client")), path(certificates.key("client")));
    let endpoints = ["--endpoint", &v2_endpoint, "--endpoint", &v3_endpoint];
    let mine = ["--ca", &ca, "--cert", &own, "--key", &own_key];
    let finished = replay(policy, &[&endpoints[..], &mine[..]].concat());
    assert!(!finished.stderr.contains("the mesh"), "{finished}");
    let line = nginx.wait_for_requests(1).remove(0);
    assert_eq!((line.status, v3.requests().len()), (200, 1), "{finished}");

    // Options that no endpoint is for, and files that are none, are refused in the words of their options.
    let refused = replay(policy, &["--endpoint", &v3_endpoint, "--ca", &ca]);
    refused.exits(2).stderr_has("--ca `").stderr_has("TLS is spoken to https:// targets alone");
    let refused = replay(policy, &["--endpoint", &v2_endpoint, "--ca", "/no/such.pem"]);
    refused
        .exits(2)
        .stderr_has("--endpoint `https://localhost:")
        .stderr_has("/no/such.pem holds no certificate");
}
