use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::capture::bound_by_modes;
use crate::made;
use crate::stopping::holding;
use crate::support::{RawServer, Reply, Script, Shadowcap, Skip, captures, is_root, require_tool};
use crate::{ends, reasons, refuses, replay, same_v2, summary_in, targets, with_file};

#[test]
fn a_folder_that_cannot_be_made_is_named_and_nothing_is_sent() {
    let v2 = same_v2();
    let bytes = made::exchanges(1, 2).bytes;
    let program = with_file(replay(&v2.url(), &["a.pcap"]), "a.pcap", &bytes);
    let finished = with_file(program, "run", b"a file in the way").run();
    ends(&finished, 2);
    finished.stderr_has("error: cannot make the run's folder run").stderr_has("--out");
    assert_eq!(finished.file("run"), "a file in the way");

    let arguments = ["replay", "a.pcap", "--to", &v2.url(), "--out", "locked/run"];
    let program = Shadowcap::under(or_skip!(bound_by_modes()), arguments);
    let program = with_file(program, "a.pcap", &bytes);
    let locked = program.folder().join("locked");
    fs::create_dir(&locked).unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o555)).unwrap();
    let finished = program.run();
    refuses(&finished, 2, &["cannot make the run's folder locked/run", "Permission denied", "--out"]);

    let arguments = ["replay", "a.pcap", "--to", &v2.url(), "--out", "locked"];
    let program = Shadowcap::under(or_skip!(bound_by_modes()), arguments);
    let program = with_file(program, "a.pcap", &bytes);
    let locked = program.folder().join("locked");
    fs::create_dir(&locked).unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o555)).unwrap();
    refuses(&program.run(), 2, &["cannot make the run's folder locked", "Permission denied", "--out"]);
    assert!(v2.connections().is_empty());
}

#[test]
fn a_recording_is_never_written_over() {
    let v2 = same_v2();
    let bytes = made::exchanges(1, 2).bytes;
    let first = with_file(replay(&v2.url(), &["a.pcap"]), "a.pcap", &bytes).run();
    ends(&first, 0);
    let before = (first.file("run/summary.json"), v2.requests().len());
    let again = Shadowcap::new(["replay", "--to", &v2.url(), "--out"])
        .arg(first.folder().join("run"))
        .arg(first.folder().join("a.pcap"))
        .run();
    ends(&again, 2);
    again.stderr_has("holds a recording already").stderr_has("--out").stderr_has("shadowcap report");
    assert_eq!((first.file("run/summary.json"), v2.requests().len()), before);
}

/// Starts the program with a file system of 256 KiB at `full` in the folder in which it runs.
fn with_little_room() -> Result<Command, Skip> {
    require_tool("unshare", "--version")?;
    if !is_root() {
        return Err(Skip::Unable("mounting a small file system takes root".into()));
    }
    let mount = "mount -t tmpfs -o size=256k tmpfs full";
    if !Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|status| status.success()) {
        return Err(Skip::Unable("mount namespaces are not allowed here".into()));
    }
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", &format!("{mount} && exec \"$0\" \"$@\"")]);
    Ok(command)
}

#[test]
fn a_full_disk_ends_the_run_and_nothing_more_is_sent() {
    let v2 = same_v2();
    let requests = 20_000;
    let arguments = ["replay", "a.pcap", "--to", &v2.url(), "--out", "full/run"];
    let program = Shadowcap::under(or_skip!(with_little_room()), arguments);
    fs::create_dir(program.folder().join("full")).unwrap();
    let bytes = made::exchanges(100, requests / 100).bytes;
    let finished = with_file(program, "a.pcap", &bytes).run();
    ends(&finished, 3);
    finished.stderr_has("error: cannot write full/run/").stderr_has("No space left on device");
    finished.stderr_has("free some space");
    let sent = targets(&v2).len();
    assert!(sent > 0 && sent < usize::from(requests), "{sent} were sent\n{finished}");
}

#[test]
fn output_that_cannot_be_written_is_an_error_and_output_that_nobody_reads_is_none() {
    let bytes = made::exchanges(300, 10).bytes;
    let shell = |script: &str| {
        let mut command = Command::new("bash");
        command.args(["-c", script]);
        command
    };
    for arguments in
        [&["inspect", "a.pcap"][..], &["inspect", "--format", "jsonl", "a.pcap"], &["man"], &["--help"]]
    {
        let full = Shadowcap::under(shell("\"$0\" \"$@\" > /dev/full"), arguments.iter());
        let full = with_file(full, "a.pcap", &bytes).run();
        if arguments[0] != "--help" {
            ends(&full, 3);
            full.stderr_has("cannot write to standard output").stderr_has("No space left");
        }
        let unread = Shadowcap::under(shell("set -o pipefail; \"$0\" \"$@\" | head -n 1"), arguments.iter());
        let unread = with_file(unread, "a.pcap", &bytes).run();
        assert!(unread.code == Some(0) || unread.code == Some(141), "{unread}");
        assert_eq!((unread.stderr.as_str(), unread.stdout.lines().count()), ("", 1), "{unread}");
    }
}

#[test]
fn a_person_who_reads_neither_output_costs_the_run_nothing() {
    let v2 = same_v2();
    for script in ["set -o pipefail; \"$0\" \"$@\" 2>&1 | true", "\"$0\" \"$@\" 2>&- >&-"] {
        let mut shell = Command::new("bash");
        shell.args(["-c", script]);
        let arguments = ["replay", "a.pcap", "--to", &v2.url(), "--out", "run", "--no-redact"];
        let program = Shadowcap::under(shell, arguments);
        let finished = with_file(program, "a.pcap", &made::exchanges(2, 2).bytes).run();
        ends(&finished, 0);
        crate::summary(&finished);
    }
}

#[test]
fn a_folder_without_a_recording_cannot_be_reported() {
    let finished = Shadowcap::new(["report", "nowhere"]).run();
    ends(&finished, 3);
    finished.stderr_has("error: nowhere").stderr_has("holds no recording");
    let program =
        with_file(Shadowcap::new(["report", "here"]), "here/recording/segment-00001.ndjson.zst", b"x");
    let finished = program.run();
    ends(&finished, 3);
    finished.stderr_has("here/recording holds no recording");
    let program = with_file(Shadowcap::new(["report", "file"]), "file", b"x");
    ends(&program.run(), 3);
}

#[test]
fn of_a_recording_with_a_torn_tail_all_is_reported_but_the_tail() {
    let v2 = same_v2();
    // More rows than go into one frame of the recording.
    let first = with_file(replay(&v2.url(), &["a.pcap"]), "a.pcap", &made::exchanges(50, 100).bytes).run();
    ends(&first, 0);
    let segment = first.folder().join("run/recording/segment-00001.ndjson.zst");
    let whole = fs::read(&segment).unwrap();
    fs::write(&segment, &whole[..whole.len() - 5]).unwrap();
    let again = Shadowcap::new(["report", "--out", "again"]).arg(first.folder().join("run")).run();
    ends(&again, 3);
    again.stderr_has("segment-00001.ndjson.zst").stderr_has("could not be read");
    let summary = summary_in(&again, Path::new("again"));
    assert_eq!(summary["verdict"], "inconclusive");
    let reported = summary["exchanges"]["captured"].as_u64().unwrap();
    assert!(reported > 0 && reported < 5000, "{summary:#}");
    assert!(reasons(&summary).contains("the recording lacks its end"), "{summary:#}");
    assert_eq!(summary["losses"].as_array().unwrap().len(), 1, "{summary:#}");
    assert!(reasons(&summary).contains("a part of the recording could not be read"), "{summary:#}");
}

#[test]
fn a_report_that_cannot_be_written_is_an_error_that_says_where() {
    let v2 = same_v2();
    let first = with_file(replay(&v2.url(), &["a.pcap"]), "a.pcap", &made::exchanges(1, 2).bytes).run();
    ends(&first, 0);
    let again = Shadowcap::new(["report", "--out", "taken"]).arg(first.folder().join("run"));
    let again = with_file(again, "taken", b"a file in the way").run();
    ends(&again, 2);
    again.stderr_has("cannot make the run's folder taken").stderr_has("--out");
}

#[test]
fn a_folder_that_vanishes_under_a_run_is_noticed() {
    let (v2, release) = holding();
    let program = replay(&v2.url(), &["a.pcap"]);
    let running = with_file(program, "a.pcap", &made::exchanges(1, 6).bytes).spawn();
    v2.wait_for_requests(4);
    fs::remove_dir_all(running.folder().join("run")).unwrap();
    release.send(()).unwrap();
    let finished = running.wait();
    ends(&finished, 3);
    finished
        .stderr_has("error: run/recording/")
        .stderr_has("was removed or replaced while the run was writing it");
}

#[test]
fn what_was_recorded_before_a_crash_can_be_reported() {
    // The recording reaches the disk at least each second: the third answer comes after that.
    let v2 = RawServer::start(Script::new(|request| match request.ordinal {
        0 | 1 => made::answer(),
        2 => Reply::After(Duration::from_millis(2500), Box::new(made::answer())),
        _ => Reply::hang(),
    }));
    let program = replay(&v2.url(), &["a.pcap"]);
    let running = with_file(program, "a.pcap", &made::exchanges(1, 6).bytes).spawn();
    v2.wait_for_requests(4);
    running.process.signal("KILL");
    let killed = running.wait();
    assert_eq!(killed.code, None, "{killed}");
    let again = Shadowcap::new(["report", "--out", "again"]).arg(killed.folder().join("run")).run();
    ends(&again, 3);
    let summary = summary_in(&again, Path::new("again"));
    assert!(summary["verdicts"]["match"].as_u64().unwrap() >= 2, "{summary:#}");
    assert!(reasons(&summary).contains("the recording lacks its end"), "{summary:#}");
}

#[test]
fn reasons_are_in_words_where_a_person_reads_them() {
    let v2 = same_v2();
    let capture = captures::bundled("istio-mirroring-task.pcap");
    let finished = replay(&v2.url(), &[]).arg(capture).run();
    finished.stdout_has("1 already shadow traffic");
    assert!(!finished.stdout.contains("already-shadow"), "{finished}");
    assert_eq!(crate::summary(&finished)["exchanges"]["skipped"]["already-shadow"], 1);
    for report in ["run/report.html", "run/summary.md"] {
        assert!(finished.file(report).contains("already shadow traffic"), "{report}");
    }
}
