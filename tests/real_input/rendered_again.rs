//! A run's folder, read by others: reports made again, and the recording in plain tools.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::run::Run;
use crate::support::{Finished, Httpbin, Shadowcap, captures, require_tool};

/// Every file below a folder that is not of the recording, with its bytes.
pub(crate) fn reports(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

pub(crate) fn assert_same(again: &[(String, Vec<u8>)], first: &[(String, Vec<u8>)], finished: &Finished) {
    let names = |files: &[(String, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(again), names(first));
    for ((name, again), (_, first)) in again.iter().zip(first) {
        let at = again.iter().zip(first).position(|(a, b)| a != b).unwrap_or(again.len().min(first.len()));
        let near = |all: &[u8]| {
            all[at.saturating_sub(200).min(all.len())..].iter().take(400).copied().collect::<Vec<_>>()
        };
        assert!(
            again == first,
            "{name} from byte {at} on\nfirst {}\nagain {}\n{finished}",
            near(first).escape_ascii(),
            near(again).escape_ascii()
        );
    }
}

#[test]
fn reports_made_again_are_the_same_to_the_byte() {
    let httpbin = or_skip!(Httpbin::start());
    for capture in ["httpbin-v1.pcap", "istio-mirroring-task.pcap"] {
        let run = Run::replay(&captures::bundled(capture), &httpbin.url(), &[]);
        let folder = run.finished.folder().join("run");
        let first = reports(&folder);
        let names: Vec<_> = first.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            ["differences.csv", "exchanges.csv", "junit.xml", "report.html", "summary.json", "summary.md"]
        );
        let elsewhere = run.finished.folder().join("elsewhere");
        let (from, to) = (folder.to_str().unwrap(), elsewhere.to_str().unwrap());
        let again = Shadowcap::new(["report", from, "--out", to]).run();
        again.exits(1);
        assert_same(&reports(&elsewhere), &first, &again);
        let in_place = Shadowcap::new(["report", from]).run();
        in_place.exits(1);
        assert_same(&reports(&folder), &first, &in_place);
        let summary = |finished: &Finished| finished.stdout.split("\nreport ").next().unwrap().to_owned();
        assert_eq!(summary(&again), summary(&run.finished));
    }
}

#[test]
fn the_recording_is_read_by_zstd_and_jq() {
    or_skip!(require_tool("zstd", "--version"));
    or_skip!(require_tool("jq", "--version"));
    let httpbin = or_skip!(Httpbin::start());
    let run = Run::replay(&captures::bundled("envoy-mirror.pcap"), &httpbin.url(), &[]);
    let filter = r#"select(.type == "row") | [.id, .outcome.response.head.text[9:12] // "none"] | join(" ")"#;
    let output = Command::new("sh")
        .args(["-ec", r#"zstd -dc recording/*.zst | jq -r "$0""#, filter])
        .current_dir(run.finished.folder().join("run"))
        .output()
        .unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let mut recorded: Vec<String> =
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    let status = |row: &std::collections::HashMap<String, String>| match row["v2_status"].as_str() {
        "" => "none".to_owned(),
        status => status.to_owned(),
    };
    let mut reported: Vec<String> =
        run.rows().iter().map(|row| format!("{} {}", row["id"], status(row))).collect();
    recorded.sort();
    reported.sort();
    assert_eq!(reported.len(), 186);
    assert_eq!(recorded, reported);
}
