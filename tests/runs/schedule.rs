use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use shadowcap::record::Reader;
use shadowcap::replay::{Outcome, Timing};

use crate::made::{self, Asked};
use crate::support::{RawServer, Reply, Script};
use crate::{ends, replay, rows, same_v2, summary, target, targets};

/// The times of a run's requests, in the order of their due times.
pub(crate) fn timings(run: &Path) -> Vec<Timing> {
    let mut reader = Reader::open(&run.join("recording")).unwrap();
    let rows = std::iter::from_fn(|| reader.next_row().unwrap());
    let mut timings: Vec<_> = rows
        .map(|row| match row.outcome {
            Outcome::Answered { timing, .. } => timing,
            other => panic!("{other:?}"),
        })
        .collect();
    timings.sort_by_key(|timing| timing.due);
    timings
}

#[test]
fn due_times_are_those_of_the_capture_to_the_last_and_nothing_leaves_early() {
    let v2 = same_v2();
    // A second at 1,000 requests a second.
    let finished = replay(&v2.url(), &made::exchanges(20, 50), &["--speed", "1"]).run();
    ends(&finished, 0);
    let timings = timings(&finished.folder().join("run"));
    assert_eq!(timings.len(), 1000);
    for (n, timing) in (0..).zip(&timings) {
        let expected = Duration::from_millis(n);
        let error = timing.due.since(timings[0].due).abs_diff(expected);
        assert!(error < Duration::from_micros(1), "the {n}th is due {error:?} beside its time");
        assert!(timing.sent.unwrap() >= timing.due, "{timing:?}");
    }
    let summary = summary(finished.folder());
    finished.stdout_has("lateness").stdout_has("from due");
    let ms = |of: &str, quantile: &str| summary[of][quantile].as_f64().unwrap();
    assert!(ms("since_due", "p99") >= ms("lateness", "p99"), "{summary:#}");
}

#[test]
fn over_a_minute_the_error_of_the_schedule_does_not_grow() {
    let v2 = same_v2();
    // A minute at 50 requests a second.
    let finished = replay(&v2.url(), &made::exchanges(20, 150), &["--speed", "0.05"])
        .patience(Duration::from_secs(150))
        .run();
    ends(&finished, 0);
    let timings = timings(&finished.folder().join("run"));
    assert_eq!(timings.len(), 3000);
    let last = &timings[2999];
    let due = last.due.since(timings[0].due);
    assert!(due.abs_diff(Duration::from_millis(2999 * 20)) < Duration::from_micros(1), "{due:?}");
    let errors = |timings: &[Timing]| {
        let mut errors: Vec<_> =
            timings.iter().map(|timing| timing.sent.unwrap().since(timing.due)).collect();
        errors.sort();
        errors
    };
    let all = errors(&timings);
    println!("p50 {:?}, p99 {:?}, max {:?}", all[1500], all[2970], all[2999]);
    // The medians, which a machine with other things to do leaves alone. A millisecond for each request, or a
    // thousandth of the time, would be far above.
    let (first, last) = (errors(&timings[..300])[150], errors(&timings[2700..])[150]);
    assert!(last < first + Duration::from_millis(50), "{first:?} in the first tenth, {last:?} in the last");
}

#[test]
fn twice_the_speed_halves_the_time_between_due_times() {
    let v2 = same_v2();
    let finished = replay(&v2.url(), &made::exchanges(5, 20), &["--speed", "2"]).run();
    ends(&finished, 0);
    for (n, timing) in (0..).zip(timings(&finished.folder().join("run"))) {
        let first = timings(&finished.folder().join("run"))[0].due;
        let error = timing.due.since(first).abs_diff(Duration::from_micros(500 * n));
        assert!(error < Duration::from_micros(1), "the {n}th is due {error:?} beside its time");
        assert!(timing.sent.unwrap() >= timing.due);
    }
}

#[test]
fn a_slow_answer_makes_the_requests_behind_it_late_and_v2s_latency_no_longer() {
    let v2 = RawServer::start(Script::new(|request| match target(&request.bytes).as_str() {
        "/0/0" => Reply::After(Duration::from_millis(400), Box::new(made::answer())),
        _ => made::answer(),
    }));
    let finished = replay(&v2.url(), &made::exchanges(2, 20), &["--speed", "1"]).run();
    ends(&finished, 0);
    // Requests of connection 0 are due every two milliseconds from its start on, and wait for the first.
    let late = |row: &BTreeMap<String, String>| row["late_ms"].parse::<f64>().unwrap();
    for row in rows(finished.folder()) {
        let behind = row["target"].starts_with("/0/") && row["target"] != "/0/0";
        assert!(!behind || late(&row) > 300.0, "{row:?}");
        assert!(row["target"] == "/0/0" || row["v2_ms"].parse::<f64>().unwrap() < 399.0, "{row:?}");
    }
    let summary = summary(finished.folder());
    let of = |name: &str| summary[name]["p90"].as_f64().unwrap();
    assert!(of("since_due") > 300.0 && of("lateness") > 300.0, "{summary:#}");
}

#[test]
fn a_rate_with_a_ramp_is_a_schedule_from_zero_to_the_rate() {
    let v2 = same_v2();
    let finished = replay(&v2.url(), &made::exchanges(10, 10), &["--rate", "200/s", "--ramp", "500ms"]).run();
    ends(&finished, 0);
    let timings = timings(&finished.folder().join("run"));
    let due: Vec<_> = timings.iter().map(|timing| timing.due.since(timings[0].due).as_secs_f64()).collect();
    for (n, due) in (0_u32..).zip(due) {
        // Below a line that rises to 200 within half a second lie 200 t² requests; 50 of them on the ramp.
        let n = f64::from(n);
        let expected = if n < 50.0 { (n / 200.0).sqrt() } else { 0.5 + (n - 50.0) / 200.0 };
        assert!((due - expected).abs() < 1e-6, "the {n}th is due at {due} s, not {expected}");
    }
    assert!(timings.iter().all(|timing| timing.sent.unwrap() >= timing.due));
}

/// Two clients with two connections each, all at once.
fn crowd() -> Vec<u8> {
    let asked = (0..8_u16).map(|n| {
        let client = [192, 0, 2, if n % 4 < 2 { 1 } else { 2 }];
        Asked::new(40_000 + n % 4, u64::from(n), &format!("GET /{}/{n}", client[3]), "").by(client)
    });
    made::capture(&asked.collect::<Vec<_>>())
}

/// How many requests of each client were at v2 at once, at most.
fn most_at_once(order: &str) -> (usize, Vec<String>) {
    use std::sync::{Arc, Mutex};
    let now: Arc<Mutex<BTreeMap<char, usize>>> = Arc::default();
    let most = Arc::new(Mutex::new(0));
    let (seen, peak) = (Arc::clone(&now), Arc::clone(&most));
    let v2 = RawServer::start(Script::new(move |request| {
        let client = target(&request.bytes).chars().nth(1).unwrap();
        let count = {
            let mut seen = seen.lock().unwrap();
            let count = seen.entry(client).or_default();
            *count += 1;
            *count
        };
        let mut peak = peak.lock().unwrap();
        *peak = count.max(*peak);
        drop(peak);
        std::thread::sleep(Duration::from_millis(50));
        *seen.lock().unwrap().get_mut(&client).unwrap() -= 1;
        made::answer()
    }));
    let finished = replay(&v2.url(), &crowd(), &["--order", order, "--concurrency", "8"]).run();
    ends(&finished, 0);
    let most = *most.lock().unwrap();
    (most, targets(&v2))
}

#[test]
fn requests_wait_for_their_connection_for_their_client_or_for_nothing() {
    let (connection, _) = most_at_once("connection");
    assert_eq!(connection, 2, "a client has two connections");
    let (client, order) = most_at_once("client");
    assert_eq!(client, 1);
    let of_one: Vec<_> = order.iter().filter(|target| target.starts_with("/1/")).collect();
    assert_eq!(of_one, ["/1/0", "/1/1", "/1/4", "/1/5"]);
    let (none, _) = most_at_once("none");
    assert!(none > 2, "{none}");
}

#[test]
fn a_capture_replayed_three_times_gives_rows_that_are_told_apart() {
    let v2 = same_v2();
    let finished = replay(&v2.url(), &made::exchanges(2, 5), &["--loop", "3", "--speed", "1"]).run();
    ends(&finished, 0);
    let summary = summary(finished.folder());
    assert_eq!(
        (&summary["exchanges"]["replayed"], &summary["requests"]),
        (&30.into(), &10.into()),
        "{summary:#}"
    );
    let mut by_target: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in rows(finished.folder()) {
        by_target.entry(row["target"].clone()).or_default().push(row["id"].clone());
    }
    for (target, mut ids) in by_target {
        ids.sort();
        assert_eq!(ids.len(), 3, "{target}");
        assert_eq!(ids, [ids[0].clone(), format!("{}.2", ids[0]), format!("{}.3", ids[0])]);
    }
    // Each reading has connections of its own, and begins when the one before would have ended.
    assert_eq!(v2.connections().len(), 6);
    let dues = timings(&finished.folder().join("run"));
    let lap = dues[10].due.since(dues[0].due);
    assert!(lap >= Duration::from_millis(9) && dues[20].due.since(dues[10].due) == lap, "{lap:?}");
}

#[test]
fn a_loop_for_a_time_ends_with_it_and_accounts_for_all_of_the_capture() {
    let v2 = same_v2();
    let finished = replay(&v2.url(), &made::exchanges(2, 50), &["--loop", "1s", "--rate", "40"]).run();
    ends(&finished, 0);
    let summary = summary(finished.folder());
    // 40 are due within the second, the first at once.
    let replayed = summary["exchanges"]["replayed"].as_u64().unwrap();
    assert!((1..=41).contains(&replayed), "{summary:#}");
    assert_eq!(summary["exchanges"]["skipped"]["time-over"], 100 - replayed, "{summary:#}");

    let from_pipe = crate::Shadowcap::new(["replay", "-", "--to", &v2.url(), "--loop", "2"]);
    let from_pipe = from_pipe.stdin(made::exchanges(1, 2)).run();
    ends(&from_pipe, 2);
    from_pipe.stderr_has("can be read once only");
}
