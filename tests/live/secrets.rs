//! Secrets that pass while `live` listens are in none of its files, nor in what it says.

use std::process::Stdio;

use crate::lab::{Lab, balance, summary};
use crate::support::texts;

/// Each is sent or answered once; none of them is a part of another text.
const SEEDS: [&str; 7] = [
    "AUTHZSEED01",
    "COOKIESEED02",
    "QUERYSEED03",
    "FORMSEED04",
    "SETCOOKIESEED05",
    "REDIRECTSEED06",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJzZWVkMDcifQ.c2lnbmF0dXJlMDc",
];

/// A site whose answers hold secrets, and which differ by the version.
fn site(version: &str) -> String {
    format!(
        "server {{ listen {{listen}}; location / {{ \
         add_header Set-Cookie 's={}; Path=/' always; add_header X-Version {version} always; \
         return 302 /next?token={}&by={}; }} }}",
        SEEDS[4], SEEDS[5], SEEDS[6]
    )
}

#[test]
fn none_is_kept_or_said() {
    let lab = or_skip!(Lab::with_site(&site("1")));
    let v2 = or_skip!(lab.v2_of_site(&site("2")));
    let listen = |more: &[&str]| {
        let common =
            ["live", "-i", "veth0", "-f", "tcp port 8000", "--to", &v2.url(), "--out", "run", "-vvv"];
        let running = lab.start(&[&common[..], more].concat());
        let before = v2.wait_for_requests(0).len();
        let mut command = lab.cable.a.command("curl");
        command.args(["-sS", "-o", "/dev/null", "-H", &format!("Authorization: Bearer {}", SEEDS[0])]);
        command.args(["-b", &format!("sid={}", SEEDS[1]), "-d", &format!("password={}", SEEDS[3])]);
        command.arg(format!("{}/login?api_key={}", lab.v1.url(), SEEDS[2])).stdin(Stdio::null());
        assert!(command.output().unwrap().status.success());
        v2.wait_for_requests(before + 1);
        running.interrupt();
        let finished = running.wait();
        finished.exits(1).stdout_has("differ");
        assert_eq!(balance(&summary(&finished.folder().join("run"))).1, 1);
        let mut all = texts(&finished.folder().join("run"));
        all.push(("stdout".to_owned(), finished.stdout.clone()));
        all.push(("stderr".to_owned(), finished.stderr.clone()));
        let mut found = Vec::new();
        for seed in SEEDS {
            found.extend(
                all.iter().filter(|(_, text)| text.contains(seed)).map(|(name, _)| (seed, name.clone())),
            );
        }
        found
    };
    let found = listen(&[]);
    assert!(found.is_empty(), "{found:#?}");
    let kept = listen(&["--no-redact"]);
    for seed in SEEDS {
        assert!(kept.iter().any(|(found, _)| *found == seed), "{seed} was not there: {kept:?}");
    }
}
