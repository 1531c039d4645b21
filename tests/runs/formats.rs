use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{Finished, Shadowcap};
use crate::{ends, summary};

/// The first line as the first version wrote it.
const RUN: &str = r#"{"type":"run","format":1,"tool_version":"0.1.0","started":"2026-11-22T18:46:41.359057467Z","seed":0,"mode":"replay","captures":["shop.pcap"],"targets":{"v2":"http://127.0.0.1:38489"},"options":[]}"#;
/// And its last one.
const FINISHED: &str = r#"{"type":"finished","finished":"2026-11-22T18:46:41.734744365Z","interrupted":false,"capture":{"files":["shop.pcap"],"packets":30,"bytes":3000,"connections":1,"lost_bytes":0,"first_packet":"2026-11-22T18:02:16.854201000Z","last_packet":"2026-11-22T18:02:17.289218000Z"},"anomalies":{}}"#;

/// A line of a row in the first version's words: none of laps, copies, matches, clients, or of what was asked again.
fn row(n: u32, outcome: &str) -> String {
    let request =
        message(&format!("GET /items/{n} HTTP/1.1\\r\\nHost: shop:8000\\r\\n\\r\\n"), r#""none""#, "");
    format!(
        r#"{{"type":"row","id":"24dc9f8dcd82052{n}","role":"shadow","destination":"v2","route":"--to","connection":{{"client":"127.0.0.1:33638","server":"127.0.0.1:40917","instance":1}},"ordinal":{n},"anomalies":[],"request":{request},"response":{},"interim":[],"sent_head":{{"text":"GET /items/{n} HTTP/1.1\r\nHost: shop-shadow:8000\r\n\r\n"}},"outcome":{outcome}}}"#,
        response("tea"),
    )
}

fn message(head: &str, framing: &str, body: &str) -> String {
    format!(
        r#"{{"first_byte":"2026-11-22T18:02:16.854371000Z","last_byte":"2026-11-22T18:02:16.854371000Z","completeness":"complete","anomalies":[],"head":{{"text":"{head}"}},"body":{{"framing":{framing},"len":{},"lost":0,"entity":{{"text":"{body}"}}}}}}"#,
        body.len()
    )
}

fn response(body: &str) -> String {
    let len = body.len();
    let head = format!(r"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len}\r\n\r\n");
    message(&head, &format!(r#"{{"length":{len}}}"#), body)
}

const TIMING: &str = r#""timing":{"due":"2026-11-22T18:46:41.375102402Z","sent":"2026-11-22T18:46:41.375517236Z","first_byte":"2026-11-22T18:46:41.385377903Z","last_byte":"2026-11-22T18:46:41.385377903Z"}"#;

fn answered(body: &str) -> String {
    format!(r#"{{"kind":"answered",{TIMING},"interim":[],"response":{}}}"#, response(body))
}

/// Reports of a recording of these lines, one frame for each half.
fn report(lines: &[String]) -> Finished {
    let program = Shadowcap::new(["report", "run", "--out", "run"]);
    write(&program.folder().join("run/recording"), lines);
    program.run()
}

fn write(recording: &Path, lines: &[String]) {
    fs::create_dir_all(recording).unwrap();
    let frame = |lines: &[String]| zstd::encode_all((lines.join("\n") + "\n").as_bytes(), 3).unwrap();
    let (head, tail) = lines.split_at(lines.len().div_ceil(2));
    fs::write(recording.join("segment-00001.ndjson.zst"), [frame(head), frame(tail)].concat()).unwrap();
}

fn first_version() -> Vec<String> {
    let failed =
        format!(r#"{{"kind":"failed",{TIMING},"failure":"timeout","detail":"none in 30 s","partial":null}}"#);
    let skipped = r#"{"kind":"skipped","reason":"already-shadow"}"#;
    [RUN.to_owned()]
        .into_iter()
        .chain([row(0, &answered("tea")), row(1, &answered("coffee")), row(2, &failed), row(3, skipped)])
        .chain([FINISHED.to_owned()])
        .collect()
}

#[test]
fn a_recording_of_the_first_format_is_read() {
    let finished = report(&first_version());
    ends(&finished, 1);
    let summary = summary(finished.folder());
    assert_eq!(summary["exchanges"]["captured"], 4, "{summary:#}");
    assert_eq!(summary["exchanges"]["replayed"], 3);
    assert_eq!(summary["verdicts"]["match"], 1);
    assert_eq!(summary["verdicts"]["different"], 1);
    assert_eq!(summary["verdicts"]["failed"], 1);
    assert_eq!(summary["losses"].as_array().map_or(0, Vec::len), 0, "{summary:#}");
    let difference = &summary["differences"][0];
    assert_eq!(
        (&difference["v1_example"], &difference["v2_example"]),
        (&Value::from("tea"), &Value::from("coffee"))
    );
    assert_eq!(summary["started"], "2026-11-22T18:46:41.359057467Z");
}

/// Whatever the other lines have become by then: only the first says which version it takes.
#[test]
fn a_recording_of_a_later_format_is_refused_in_clear_words() {
    let run =
        RUN.replace(r#""format":1"#, r#""format":7"#).replace("0.1.0", "9.4.2").replace(r#""seed":0,"#, "");
    let finished = report(&[run, r#"{"type":"thing","of":"tomorrow"}"#.to_owned(), String::new()]);
    ends(&finished, 3);
    finished
        .stderr_has("the recording has format 7, written by shadowcap 9.4.2")
        .stderr_has("reads formats up to 2; read it with that version or a later one")
        .stderr_has("segment-00001.ndjson.zst");
    assert!(!finished.folder().join("run/summary.json").exists());
}
