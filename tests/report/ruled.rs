//! A run judged again under rules of the user's own.

use serde_json::{Value, json};

use crate::made::{Talk, answer, replayed};
use crate::support::Shadowcap;

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json";

fn talk(n: usize, v1: &str, v2: &str) -> Talk {
    Talk {
        request: format!("GET /orders/{n} HTTP/1.1\r\nHost: shop:80\r\nX-Case: {n}\r\n\r\n").into_bytes(),
        v1: answer(HEAD, v1.as_bytes()),
        v2: answer(HEAD, v2.as_bytes()),
    }
}

#[test]
fn what_a_rule_allows_does_not_count_and_is_told() {
    let talks = [
        talk(0, r#"{"at":"2026-01-01T00:00:00Z","price":1}"#, r#"{"at":"2026-01-01T00:00:03Z","price":1}"#),
        talk(1, r#"{"at":"2026-01-01T00:00:00Z","price":1}"#, r#"{"at":"2026-01-01T00:00:01Z","price":2}"#),
    ];
    let run = replayed(&talks, &[]);
    run.exits(1);
    let folder = run.folder().join("run").display().to_string();
    let judged = |rules: &str| {
        let program = Shadowcap::new(["report", &folder, "--rules", "rules.toml", "--out", "again"]);
        std::fs::write(program.folder().join("rules.toml"), rules).unwrap();
        let finished = program.run();
        let summary = std::fs::read(finished.folder().join("again/summary.json")).unwrap_or_default();
        (serde_json::from_slice::<Value>(&summary).unwrap_or_default(), finished)
    };
    let clock = "[[rule]]\nname = \"clock\"\nroute = \"/orders/{number}\"\nhost = \"shop\"\npath = \"$.at\"\n\
                 time_tolerance = \"5s\"\nreason = \"written when it is read\"\n";
    let (summary, finished) = judged(clock);
    finished.exits(1);
    assert_eq!(summary["verdicts"]["noise"], 1);
    assert_eq!(summary["verdicts"]["different"], 1);
    let classes: Vec<_> = summary["differences"].as_array().unwrap().iter().map(|d| &d["class"]).collect();
    assert!(classes.contains(&&json!("ruled_out")) && classes.contains(&&json!("unverified")), "{summary:#}");
    let notes = &summary["notes"];
    assert_eq!(notes, &json!(["the rule `clock` ruled out 2 differences (written when it is read)"]));

    let both = format!(
        "{clock}\n[[rule]]\npath = \"$.price\"\ntolerance = 1\n[[rule]]\nheader = \"x-none\"\nignore = true\n"
    );
    let (summary, finished) = judged(&both);
    finished.exits(0);
    assert_eq!(summary["verdicts"]["noise"], 2);
    assert!(summary["notes"].to_string().contains("`line 12` matched nothing"), "{}", summary["notes"]);

    let (_, finished) = judged("[[rule]]\npath = \"$.at\"\n\nignored = true\n");
    finished.exits(2).stderr_has("rules.toml").stderr_has("line 4: unknown field `ignored`");
    let (_, finished) = judged("[[rule]]\npath = \"$.at\"\nignore = true\nexpires = 2020-01-01\n");
    finished.exits(1);
}

/// The rules that a page offers to copy.
fn offered(page: &str) -> Vec<String> {
    let text = |html: &str| {
        let entities = [
            ("&quot;", "\""),
            ("&#34;", "\""),
            ("&#39;", "'"),
            ("&#x27;", "'"),
            ("&lt;", "<"),
            ("&#60;", "<"),
        ];
        let text = entities.iter().fold(html.to_owned(), |text, (entity, c)| text.replace(entity, c));
        text.replace("&gt;", ">").replace("&#62;", ">").replace("&#38;", "&").replace("&amp;", "&")
    };
    let rules = page.split("<pre class=\"rule\">").skip(1);
    rules.map(|rest| text(rest.split("</pre>").next().unwrap())).collect()
}

#[test]
fn the_rules_to_copy_work_together_and_each_meets_its_difference() {
    let get = |n: usize, host: &str, path: &str, v1: Vec<u8>, v2: Vec<u8>| Talk {
        request: format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Case: {n}\r\n\r\n").into_bytes(),
        v1,
        v2,
    };
    let json = |body: &str| answer(HEAD, body.as_bytes());
    let headed = |extra: &str, body: &str| answer(&format!("HTTP/1.1 200 OK\r\n{extra}"), body.as_bytes());
    let long = "x".repeat(400);
    let talks = [
        // Three kinds at one path, one of them between different types.
        get(0, "Shop:80", "/a/1", json(r#"{"p":1}"#), json(r#"{"p":2}"#)),
        get(1, "Shop:80", "/a/2", json(r#"{"p":1}"#), json(r#"{"p":[1]}"#)),
        get(2, "Shop:80", "/a/3", json(r#"{"p":1}"#), json(r#"{"p":true}"#)),
        get(3, "shop:80", "/a/4", json(r#"{"p":1}"#), json("{}")),
        // The same at another host.
        get(4, "other", "/a/5", json(r#"{"p":1}"#), json(r#"{"p":3}"#)),
        // The suffixed Host, echoed: explained by the shadowing.
        get(5, "shop", "/echo", json(r#"{"host":"shop"}"#), json(r#"{"host":"shop-shadow"}"#)),
        // Names with quotes, of single things, and too long to be told.
        get(
            6,
            "shop",
            "/n",
            json(r#"{"it's \"x\"":1,"7":{"b":1}}"#),
            json(r#"{"it's \"x\"":2,"7":{"b":2}}"#),
        ),
        get(7, "shop", "/l", json(&format!("{{\"{long}\":1}}")), json(&format!("{{\"{long}\":2}}"))),
        get(
            8,
            "shop",
            "/h",
            headed("Set-Cookie: SID=1; Path=/\r\nX-V: 1\r\nContent-Type: text/plain", "one\ntwo\nthree\n"),
            headed("Set-Cookie: SID=1; Path=/x\r\nX-V: 2\r\nContent-Type: text/plain", "one\n2\nthree\n"),
        ),
        get(
            9,
            "shop",
            "/m",
            headed("Content-Type: text/html", "<html><body><p class=a>x</p></body></html>"),
            headed("Content-Type: text/html", "<html><body><p class=b>y</p></body></html>"),
        ),
        get(10, "shop", "/s", answer("HTTP/1.1 200 OK", b"same"), answer("HTTP/1.1 500 Oops", b"same")),
        get(11, "shop", "/s", answer("HTTP/1.1 200 OK", b"same"), answer("HTTP/1.1 404 No", b"same")),
    ];
    let run = replayed(&talks, &[]);
    run.exits(1);
    let rules = offered(&run.file("run/report.html"));
    assert!(rules.len() >= 10, "{rules:#?}");
    assert!(run.file("run/report.html").contains("too long, or too odd, to be named in a rule"));
    let folder = run.folder().join("run").display().to_string();
    let program = Shadowcap::new(["report", &folder, "--rules", "rules.toml", "--out", "again"]);
    std::fs::write(program.folder().join("rules.toml"), rules.concat()).unwrap();
    let judged = program.run();
    judged.exits(1);
    let summary: Value = serde_json::from_str(&judged.file("again/summary.json")).unwrap();
    let notes = summary["notes"].as_array().unwrap();
    assert_eq!(notes.len(), rules.len());
    for note in notes {
        assert!(note.as_str().unwrap().contains("ruled out"), "{note}: {rules:#?}");
    }
    // What is left is what no rule can name: the name that is too long.
    let left = summary["differences"].as_array().unwrap().iter();
    let left: Vec<_> =
        left.filter(|d| d["class"] == "unverified").map(|d| d["route"].as_str().unwrap()).collect();
    assert_eq!(left, ["GET /l"], "{rules:#?}");
}
