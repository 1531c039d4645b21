use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{RawServer, Reply, Running, Script, Shadowcap};
use crate::{ends, made, none_came_twice, replay, resume, rows, same_v2, summary, target, timeless};

/// What was captured, by target.
const CONNECTIONS: u16 = 6;
const REQUESTS: u64 = 12;

/// The same numbers in each run (a linear congruential generator, Numerical Recipes).
struct Random(u32);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) % limit
    }
}

/// Kills a run once so many requests have arrived, and some microseconds later.
fn kill(running: Running, v2: &RawServer, arrived: usize, later: Duration) -> crate::support::Finished {
    v2.wait_for_requests(arrived);
    // The moment is what varies here: there is no event to wait for.
    std::thread::sleep(later);
    running.process.signal("KILL");
    running.wait()
}

/// Kills a run of one connection whose sixth request is on its way: the five before it are recorded, since it could
/// not be sent before the fifth was.
fn kill_when_recorded(running: Running, v2: &RawServer) -> crate::support::Finished {
    v2.wait_for_requests(6);
    running.process.signal("KILL");
    running.wait()
}

/// The verdicts of the run's rows by request target.
fn verdicts(folder: &Path) -> BTreeMap<String, String> {
    let rows = rows(folder);
    let count = rows.len();
    let verdicts: BTreeMap<_, _> =
        rows.into_iter().map(|row| (row["target"].clone(), row["verdict"].clone())).collect();
    assert_eq!(verdicts.len(), count, "a request has two rows");
    verdicts
}

/// Asserts what holds of a run that was killed and gone on with: all that was captured has an outcome, nothing came
/// twice, and what has no verdict was on its way at the kill, and is named.
fn whole(folder: &Path, v2: &RawServer, stderr: &str, in_flight: usize) {
    none_came_twice(v2);
    let verdicts = verdicts(folder);
    assert_eq!(verdicts.len() as u64, u64::from(CONNECTIONS) * REQUESTS, "{verdicts:?}");
    let came: HashSet<_> = v2.requests().iter().map(|request| target(&request.bytes)).collect();
    let mut unknown = 0;
    for row in rows(folder) {
        match row["verdict"].as_str() {
            "match" => assert!(came.contains(&row["target"]), "{row:?}"),
            "not_comparable" => {
                unknown += 1;
                assert!(stderr.contains(&row["id"]), "{} is not named in {stderr}", row["id"]);
            }
            other => panic!("{other}: {row:?}"),
        }
    }
    assert!(unknown <= in_flight, "{unknown} were on their way\n{stderr}");
    let summary = summary(folder);
    let killed = summary["not_comparable"].get("killed").and_then(serde_json::Value::as_u64).unwrap_or(0);
    assert_eq!(killed, unknown as u64, "{summary:#}");
}

#[test]
fn a_run_killed_at_any_of_100_moments_is_gone_on_with_and_sends_nothing_twice() {
    let capture = made::exchanges(CONNECTIONS, REQUESTS);
    let all = u32::from(CONNECTIONS) * u32::try_from(REQUESTS).unwrap();
    let arguments = ["--concurrency", "4"];
    let undisturbed = {
        let v2 = same_v2();
        let finished = replay(&v2.url(), &capture, &arguments).run();
        ends(&finished, 0);
        timeless(finished.folder())
    };
    let mut random = Random(1);
    let (mut kills, mut unknown, mut equal) = (0, 0, 0);
    for run in 0..300 {
        if kills >= 100 {
            break;
        }
        let v2 = same_v2();
        let running = replay(&v2.url(), &capture, &arguments).spawn();
        // Also before anything has arrived, and behind all that will.
        let arrived = match run % 10 {
            0 => 0,
            1 => all,
            _ => random.below(all),
        };
        let later = Duration::from_micros(random.below(if arrived == 0 { 30_000 } else { 1500 }).into());
        let mut killed = vec![kill(running, &v2, arrived as usize, later)];
        if killed[0].code.is_some() {
            // It was faster than the signal: no kill.
            continue;
        }
        kills += 1;
        let folder = killed[0].folder().to_owned();
        if kills % 2 == 0
            && !v2.requests().is_empty()
            && folder.join("run/recording/segment-00001.ndjson.zst").exists()
        {
            // Killed while it goes on, too.
            let running = resume(&v2.url(), &folder, &arguments).spawn();
            let arrived = v2.requests().len() + random.below(all / 4) as usize;
            let later = Duration::from_micros(random.below(20_000).into());
            let again =
                kill(running, &v2, arrived.min((all as usize).saturating_sub(4 * killed.len())), later);
            kills += usize::from(again.code.is_none());
            killed.push(again);
        }
        let mut finished = resume(&v2.url(), &folder, &arguments).run();
        if ["holds no recording", "killed before it sent anything"]
            .iter()
            .any(|no| finished.stderr.contains(no))
        {
            assert!(v2.requests().is_empty(), "{finished}");
            finished = Shadowcap::new(["replay", "--to", &v2.url()])
                .arg(folder.join("a.pcap"))
                .arg("--out")
                .arg(folder.join("run"))
                .args(arguments)
                .run();
        }
        assert!(matches!(finished.code, Some(0 | 3)), "{finished}");
        let said: Vec<_> =
            killed.iter().map(|one| one.stderr.as_str()).chain([finished.stderr.as_str()]).collect();
        whole(&folder, &v2, &said.join("\n"), killed.len() * 4);
        let lost = verdicts(&folder).values().filter(|verdict| *verdict == "not_comparable").count();
        if lost == 0 {
            // The report is that of a run that nobody disturbed.
            assert_eq!(timeless(&folder), undisturbed, "{finished}");
            equal += 1;
        }
        unknown += lost;
    }
    println!(
        "{unknown} requests were on their way at {kills} kills, {equal} runs came out as if undisturbed"
    );
    assert!(kills >= 100 && equal > 0, "{kills} kills, {equal} equal");
}

#[test]
fn a_run_killed_before_its_recording_had_a_first_line_is_begun_anew() {
    let v2 = same_v2();
    for left in [&b""[..], b"\x28\xb5\x2f\xfd\x04"] {
        let begun = replay(&v2.url(), &made::exchanges(1, 3), &[]);
        let recording = begun.folder().join("run/recording");
        std::fs::create_dir_all(&recording).unwrap();
        std::fs::write(recording.join("segment-00001.ndjson.zst"), left).unwrap();
        let resumed = resume(&v2.url(), begun.folder(), &[]).run();
        ends(&resumed, 3);
        resumed.stderr_has("killed before it sent anything").stderr_has("--out in place of --resume");
        let finished = begun.run();
        ends(&finished, 0);
        assert_eq!(summary(finished.folder())["exchanges"]["replayed"], 3);
    }
    assert_eq!(v2.requests().len(), 6);
}

#[test]
fn what_was_on_its_way_is_sent_again_when_that_is_asked_for() {
    let v2 = crate::starved::hanging_after(5);
    let running =
        replay(&v2.url(), &made::exchanges(1, 10), &["--timeout", "60s", "--concurrency", "1"]).spawn();
    let killed = kill_when_recorded(running, &v2);
    let again = same_v2();
    // Another address is another target.
    let refused = resume(&again.url(), killed.folder(), &[]).run();
    ends(&refused, 2);
    refused.stderr_has("its target is v2 at");
    drop(again);
    let sixth = target(&v2.requests()[5].bytes);
    v2.answer_from_now_on();
    let finished = resume(&v2.url(), killed.folder(), &["--resend-in-flight"]).run();
    ends(&finished, 0);
    let twice: Vec<_> =
        v2.requests().iter().filter(|request| target(&request.bytes) == sixth).cloned().collect();
    assert_eq!(twice.len(), 2, "{twice:?}");
    assert_eq!(v2.requests().len(), 11);
    assert_eq!(summary(killed.folder())["verdicts"]["match"], 10);
}

#[test]
fn what_was_on_its_way_is_named_and_not_sent_again() {
    let v2 = crate::starved::hanging_after(5);
    let running =
        replay(&v2.url(), &made::exchanges(1, 10), &["--timeout", "60s", "--concurrency", "1"]).spawn();
    let killed = kill_when_recorded(running, &v2);
    v2.answer_from_now_on();
    let finished = resume(&v2.url(), killed.folder(), &[]).run();
    // One in ten was not compared, which the gate allows.
    ends(&finished, 0);
    finished.stderr_has("1 request was on its way when the run was killed").stderr_has("--resend-in-flight");
    none_came_twice(&v2);
    let summary = summary(killed.folder());
    assert_eq!(summary["not_comparable"]["killed"], 1, "{summary:#}");
    assert_eq!(summary["verdicts"]["match"], 9, "{summary:#}");
    let row = rows(killed.folder()).into_iter().find(|row| row["verdict"] == "not_comparable").unwrap();
    assert_eq!((row["target"].as_str(), row["v2_status"].as_str()), ("/0/5", ""));
    finished.stderr_has(&row["id"]);

    let report = crate::support::Shadowcap::new(["report"]).arg(killed.folder().join("run")).run();
    ends(&report, 0);
    assert_eq!(self::summary(killed.folder())["not_comparable"]["killed"], 1);
}

#[test]
fn what_rules_send_to_one_destination_twice_is_told_apart_when_the_run_is_gone_on_with() {
    const RULES: &str = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: shop}\nspec:\n  hosts: [shop]\n  \
                         http:\n  - route: [{destination: {host: shop, subset: v1}}]\n    mirrors:\n    - destination: {host: shop, \
                         subset: v2}\n    - destination: {host: shop, subset: v2}\n";
    let (came, hangs) = (AtomicUsize::new(0), Arc::new(AtomicBool::new(true)));
    let may = Arc::clone(&hangs);
    let v2 = RawServer::start(Script::new(move |_| {
        let first = came.fetch_add(1, Ordering::Relaxed) < 3;
        if first || !may.load(Ordering::Relaxed) { made::answer() } else { Reply::hang() }
    }));
    let endpoint = format!("v2={}", v2.url());
    let routes = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&routes, RULES).unwrap();
    let routes = routes.path().display().to_string();
    let rules = ["--routes", &routes, "--endpoint", &endpoint, "--concurrency", "1", "--timeout", "60s"];
    let begun = Shadowcap::new(["replay", "a.pcap", "--out", "run"]).args(rules);
    std::fs::write(begun.folder().join("a.pcap"), made::exchanges(1, 4)).unwrap();
    let running = begun.spawn();
    // The second copy of the second request is on its way, and the three rows before it are recorded.
    v2.wait_for_requests(4);
    running.process.signal("KILL");
    let killed = running.wait();
    hangs.store(false, Ordering::Relaxed);
    let finished = Shadowcap::new(["replay", "--resume"])
        .arg(killed.folder().join("run"))
        .arg(killed.folder().join("a.pcap"))
        .args(rules)
        .run();
    finished.stderr_has("1 request was on its way when the run was killed");
    let summary = summary(killed.folder());
    assert_eq!(summary["requests"], 4, "{summary:#}");
    assert_eq!(summary["exchanges"]["replayed"], 8, "{summary:#}\n{finished}");
    assert_eq!(summary["not_comparable"]["killed"], 1, "{summary:#}");
    let mut times = BTreeMap::new();
    v2.requests().iter().for_each(|request| *times.entry(target(&request.bytes)).or_insert(0) += 1);
    assert_eq!(times.into_values().collect::<Vec<_>>(), [2, 2, 2, 2]);
}
