use std::fs;
use std::io::Write as _;

use crate::made::Asked;
use crate::support::{Finished, Shadowcap};
use crate::{ends, made, none_came_twice, replay, resume, same_v2, starved, summary, targets, timeless};

#[test]
fn a_run_that_was_stopped_and_gone_on_with_gives_the_report_of_one_that_was_not() {
    let capture = made::exchanges(1, 60);
    let undisturbed = {
        let v2 = same_v2();
        let finished = replay(&v2.url(), &capture, &[]).run();
        ends(&finished, 0);
        timeless(finished.folder())
    };

    let v2 = starved::hanging_after(7);
    let running = replay(&v2.url(), &capture, &["--timeout", "60s"]).spawn();
    v2.wait_for_requests(8);
    running.interrupt();
    running.process.wait_for_stderr("Stopping");
    running.process.signal("KILL");
    let stopped = running.wait();
    v2.answer_from_now_on();
    let finished = resume(&v2.url(), stopped.folder(), &["--resend-in-flight"]).run();
    ends(&finished, 0);
    let (mut summary, rows) = timeless(stopped.folder());
    // What it was asked to do: how long to wait, and nothing else.
    summary["options"] = undisturbed.0["options"].clone();
    assert_eq!(summary, undisturbed.0);
    assert_eq!(rows, undisturbed.1);

    let again = Shadowcap::new(["report"]).arg(stopped.folder().join("run")).run();
    ends(&again, 0);
    assert_eq!(timeless(stopped.folder()).1, undisturbed.1, "from the recording, the same");
}

#[test]
fn after_ctrl_c_the_rest_is_sent_when_the_run_is_resumed_and_no_row_counts_twice() {
    let v2 = starved::hanging_after(3);
    let running = replay(&v2.url(), &made::exchanges(1, 10), &["--timeout", "60s"]).spawn();
    v2.wait_for_requests(4);
    running.interrupt();
    running.process.wait_for_stderr("Stopping");
    running.interrupt();
    let stopped = running.wait();
    ends(&stopped, 130);
    stopped.stderr_has("--resume run goes on where this run was stopped");

    v2.answer_from_now_on();
    let finished = resume(&v2.url(), stopped.folder(), &[]).run();
    // The one that the stop cut off was sent, and is not sent again.
    ends(&finished, 0);
    none_came_twice(&v2);
    assert_eq!(targets(&v2).len(), 10);
    let after = summary(stopped.folder());
    assert_eq!(after["exchanges"]["replayed"], 10, "{after:#}");
    assert_eq!(after["exchanges"]["skipped"], serde_json::json!({}), "{after:#}");
    assert_eq!(after["interrupted"], false);

    let again = Shadowcap::new(["report"]).arg(stopped.folder().join("run")).run();
    ends(&again, 0);
    assert_eq!(summary(stopped.folder())["exchanges"], after["exchanges"]);
}

#[test]
fn a_run_that_is_complete_has_nothing_to_go_on_with() {
    let v2 = same_v2();
    let first = replay(&v2.url(), &made::exchanges(2, 5), &[]).run();
    ends(&first, 0);
    let before = timeless(first.folder());
    let again = resume(&v2.url(), first.folder(), &[]).run();
    ends(&again, 0);
    assert_eq!(targets(&v2).len(), 10);
    assert_eq!(timeless(first.folder()), before);
}

#[test]
fn another_capture_other_options_and_another_process_are_refused_and_send_nothing() {
    let v2 = starved::hanging_after(3);
    let running = replay(&v2.url(), &made::exchanges(1, 10), &["--timeout", "60s"]).spawn();
    v2.wait_for_requests(4);
    let busy = resume(&v2.url(), running.folder(), &[]).run();
    ends(&busy, 3);
    busy.stderr_has("is being written by another shadowcap");
    running.process.signal("KILL");
    let killed = running.wait();
    v2.answer_from_now_on();
    let refused = |arguments: &[&str], says: &[&str]| {
        let refused = resume(&v2.url(), killed.folder(), arguments).run();
        ends(&refused, 2);
        for text in says {
            refused.stderr_has(text);
        }
    };
    refused(&["--methods", "safe"], &["its options are `", "--methods safe", "begin a new run"]);
    refused(&["--seed", "7"], &["its seed is 0, not 7"]);
    refused(&["--host", "v2"], &["its options are"]);
    let capture = killed.folder().join("a.pcap");
    let right = fs::read(&capture).unwrap();
    fs::write(&capture, made::exchanges(1, 11)).unwrap();
    refused(&[], &["the capture is not the one that it replayed"]);
    fs::write(&capture, right).unwrap();
    assert_eq!(targets(&v2).len(), 4, "nothing was sent");

    let nothing = Shadowcap::new(["replay", "--to", &v2.url(), "--resume", "nowhere"]).arg(&capture).run();
    ends(&nothing, 3);
    nothing.stderr_has("holds no recording");
    assert!(!nothing.folder().join("nowhere").exists());

    // How fast it is sent is not what the run is.
    let other_pace = ["--concurrency", "2", "--timeout", "5s", "--rate", "1000"];
    let finished = resume(&v2.url(), killed.folder(), &other_pace).run();
    ends(&finished, 0);
    assert_eq!(targets(&v2).len(), 10);
}

/// `replay -`, or its resumption, with this capture on its standard input.
fn from_stdin(capture: &[u8], url: &str, arguments: &[&str]) -> Shadowcap {
    Shadowcap::new([&["replay", "-", "--to", url, "--timeout", "60s"], arguments].concat())
        .stdin(capture.to_vec())
}

/// A run of a stream of ten requests that was stopped when its fourth was on its way.
fn stopped_stream(v2: &starved::Hanging, capture: &[u8]) -> Finished {
    let running = from_stdin(capture, &v2.url(), &["--out", "run"]).spawn();
    v2.wait_for_requests(4);
    running.interrupt();
    running.process.wait_for_stderr("Stopping");
    running.interrupt();
    let stopped = running.wait();
    ends(&stopped, 130);
    v2.answer_from_now_on();
    stopped
}

#[test]
fn a_run_of_a_stream_goes_on_with_the_same_stream_and_refuses_another() {
    let v2 = starved::hanging_after(3);
    let capture = made::exchanges(1, 10);
    let stopped = stopped_stream(&v2, &capture);
    let run = stopped.folder().join("run");
    let other = made::capture(&[Asked::new(40_000, 7, "GET /other", "")]);
    let refused = from_stdin(&other, &v2.url(), &["--resume"]).arg(&run).run();
    ends(&refused, 2);
    refused.stderr_has("the capture is not the one that it replayed");
    assert_eq!(targets(&v2).len(), 4, "nothing was sent");

    ends(&from_stdin(&capture, &v2.url(), &["--resume"]).arg(&run).run(), 0);
    none_came_twice(&v2);
    assert_eq!(targets(&v2).len(), 10);
    assert_eq!(summary(stopped.folder())["exchanges"]["replayed"], 10);
}

#[test]
fn what_was_put_off_and_is_not_met_again_is_counted_and_nothing_passes() {
    let v2 = starved::hanging_after(3);
    let capture = made::exchanges(1, 10);
    let stopped = stopped_stream(&v2, &capture);
    let run = stopped.folder().join("run");
    // It begins with the same packet, and has six of the ten requests.
    let shorter = made::exchanges(1, 6);
    let finished = from_stdin(&shorter, &v2.url(), &["--resume"]).arg(&run).run();
    ends(&finished, 3);
    none_came_twice(&v2);
    let after = summary(stopped.folder());
    assert_eq!(after["exchanges"]["captured"], 10, "{after:#}");
    assert_eq!(after["exchanges"]["skipped"], serde_json::json!({"not-met-again": 4}), "{after:#}");
    let reason = after["reasons"][0].as_str().unwrap();
    assert!(reason.starts_with("4 requests that had been put off were not met again"), "{after:#}");
    ends(&Shadowcap::new(["report"]).arg(&run).run(), 3);
    assert_eq!(summary(stopped.folder())["exchanges"], after["exchanges"]);

    // They are put off still: the whole stream has them.
    ends(&from_stdin(&capture, &v2.url(), &["--resume"]).arg(&run).run(), 0);
    none_came_twice(&v2);
    let whole = summary(stopped.folder());
    assert_eq!(
        (&whole["exchanges"]["replayed"], &whole["exchanges"]["skipped"]),
        (&10.into(), &serde_json::json!({}))
    );
}

#[test]
fn what_a_kill_left_unknown_stays_so_when_the_run_is_resumed_and_stopped_before_it_is_met() {
    let v2 = starved::hanging_after(3);
    let capture = made::exchanges(1, 10);
    let running = from_stdin(&capture, &v2.url(), &["--out", "run", "--concurrency", "1"]).spawn();
    v2.wait_for_requests(4);
    running.process.signal("KILL");
    let killed = running.wait();
    let run = killed.folder().join("run");

    // A stream that stalls behind its first packets, so that nothing is met before the stop.
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(&capture[..400]).unwrap();
    let resuming = Shadowcap::new(["replay", "-", "--to", &v2.url(), "--timeout", "60s", "--resume"])
        .arg(&run)
        .stdin_from(reader)
        .spawn();
    crate::wait_for_file(&run.join("recording/resumed.json"));
    resuming.interrupt();
    let stopped = resuming.wait();
    ends(&stopped, 130);
    stopped.stderr_has("1 request was on its way when the run was killed");

    v2.answer_from_now_on();
    let finished = from_stdin(&capture, &v2.url(), &["--resume"]).arg(&run).run();
    ends(&finished, 0);
    finished.stderr_has("1 request was on its way when the run was killed");
    none_came_twice(&v2);
    assert_eq!(summary(killed.folder())["not_comparable"]["killed"], 1);
}
