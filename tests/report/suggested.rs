//! Candidate rules: each covers what it was made of, and nothing that is not alike.

use std::fs;

use crate::made::{Talk, answer, replayed};
use crate::support::Shadowcap;

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json";

/// Twelve answers with a request id, tags in another order, a price that is wrong, and a number that is about the same.
fn talks() -> Vec<Talk> {
    let body = |n: u32, v2: bool| {
        let (id, tags, price) = if v2 { (n + 500, "\"b\",\"a\"", 13) } else { (n, "\"a\",\"b\"", 12) };
        let ratio = if v2 { "0.3000001" } else { "0.3" };
        format!(
            "{{\"id\":\"123e4567-e89b-42d3-a456-4266141{id:05}\",\"tags\":[{tags}],\"price\":\"{price} EUR\",\"ratio\":{ratio}}}"
        )
    };
    let talk = |n: u32| Talk {
        request: format!("GET /things/{n} HTTP/1.1\r\nHost: h\r\nX-Case: {n}\r\n\r\n").into_bytes(),
        v1: answer(HEAD, body(n, false).as_bytes()),
        v2: answer(HEAD, body(n, true).as_bytes()),
    };
    (0..12).map(talk).collect()
}

#[test]
fn rules_are_suggested_with_their_evidence_and_rule_out_what_they_were_made_of() {
    let run = replayed(&talks(), &[]);
    let folder = run.folder().join("run").display().to_string();
    let said = Shadowcap::new(["report", &folder, "--suggest-rules", "-"]).run();
    said.exits(0);
    for part in [
        "path = \"$['id']\"\nshape = \"uuid\"",
        "array = \"set\"",
        "path = \"$['ratio']\"\nrelative_tolerance = 0.000001",
        "# another value: in 12 exchanges, 100 % of those compared; v1 has 12 values, v2 12 values",
    ] {
        said.stdout_has(part);
    }
    assert!(!said.stdout.contains("price"), "what looks like no noise is not offered: {said}");

    let rules = run.folder().join("rules.toml");
    let rules_file = rules.to_str().unwrap();
    Shadowcap::new(["report", &folder, "--suggest-rules", rules_file]).run().exits(0);
    let again = Shadowcap::new(["report", &folder, "--suggest-rules", rules_file]).run();
    again.exits(2).stderr_has("may hold reasons of yours");
    let ruled = Shadowcap::new(["report", &folder, "--rules", rules_file]).run();
    ruled.exits(1);
    assert!(!ruled.stdout.contains("matched nothing"), "{ruled}");
    let summary: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(format!("{folder}/summary.json")).unwrap()).unwrap();
    let counted: Vec<_> = summary["differences"].as_array().unwrap().iter().collect();
    let of = |class: &str| {
        counted
            .iter()
            .filter(|d| d["class"] == class)
            .map(|d| d["path"].as_str().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(of("unverified"), ["$['price']"], "{ruled}");
    assert_eq!(of("ruled_out").len(), 3, "{ruled}");
}
