//! Requests at an even rate, by wrk; and what shadowcap makes of them. How fast and how long is what the environment
//! says, so that the same driver runs for seconds in CI and for an hour where figures are wanted: see README.md.

#![allow(clippy::cast_precision_loss, reason = "a line through measured points needs no more")]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::lab::{Lab, balance, summary};
use crate::support::{Nginx, PATIENCE, Process, Running, Skip, require_tool};

/// What both versions answer where much is asked of them; the log is a file, which costs least.
const SITE: &str = "server { listen {listen} backlog=4096; keepalive_requests 100000000; access_log access.log with_port; \
                    location / { default_type application/json; \
                    return 200 '{\"item\":\"$uri\",\"page\":\"$arg_page\",\"list\":[1,2,3,{\"a\":\"b\"}]}\n'; } }";

/// How many requests a second, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) rate: u32,
    pub(crate) seconds: u32,
    pub(crate) connections: u32,
}

impl Default for Load {
    fn default() -> Self {
        Self { rate: 300, seconds: 10, connections: 50 }
    }
}

impl Load {
    /// This load, unless the environment asks for another: `NAME_RATE`, `NAME_SECONDS`.
    fn or_of_environment(self, name: &str) -> Self {
        let of = |what: &str, or: u32| {
            let given = std::env::var(format!("{name}_{what}"));
            given.map_or(or, |text| text.parse().unwrap())
        };
        Self { rate: of("RATE", self.rate), seconds: of("SECONDS", self.seconds), ..self }
    }

    /// Begins to ask v1. Each request has a target of its own, and a moment of its own: what is late is caught up.
    pub(crate) fn start(self, lab: &Lab) -> Driver {
        let Self { rate, seconds, connections } = self;
        let script = format!(
            "local ffi = require('ffi')\n\
             ffi.cdef[[ typedef struct {{ long s; long ns; }} moment; int clock_gettime(int, moment *); ]]\n\
             local moment = ffi.new('moment')\n\
             local function now()\n\
             \x20 ffi.C.clock_gettime(1, moment)\n\
             \x20 return tonumber(moment.s) * 1000 + tonumber(moment.ns) / 1e6\n\
             end\n\
             local begun, slots, asked = nil, 0, 0\n\
             function delay()\n\
             \x20 begun = begun or now()\n\
             \x20 slots = slots + 1\n\
             \x20 return math.max(0, begun + slots * 1000 / {rate} - now())\n\
             end\n\
             function request()\n\
             \x20 asked = asked + 1\n\
             \x20 return wrk.format('GET', '/item/' .. asked .. '?page=' .. asked % 17)\n\
             end\n"
        );
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("paced.lua");
        std::fs::write(&file, script).unwrap();
        let mut command = lab.cable.a.command("wrk");
        command.args([
            "-t",
            "1",
            "-c",
            &connections.to_string(),
            "-d",
            &format!("{seconds}s"),
            "--latency",
            "-s",
        ]);
        command.arg(file).arg(lab.v1.url()).stdin(Stdio::null());
        Driver { process: Process::spawn(command, "KILL"), seconds, _folder: folder }
    }
}

/// wrk while it runs.
pub(crate) struct Driver {
    process: Process,
    seconds: u32,
    _folder: tempfile::TempDir,
}

impl Driver {
    /// Ends it before its time; it must still have run.
    pub(crate) fn stop(mut self) {
        assert!(self.process.is_running(), "{}", self.process.describe());
        self.process.signal("INT");
        self.process.wait(PATIENCE);
    }

    /// Waits for its end, and gives requests a second and the time that 99 of 100 stayed below.
    pub(crate) fn wait(mut self) -> (f64, String) {
        let patience = Duration::from_secs(self.seconds.into()) + PATIENCE;
        let ended = self.process.wait(patience);
        assert!(ended.is_some_and(|status| status.success()), "{}", self.process.describe());
        let text = self.process.stdout.text();
        let after = |label: &str| {
            let line = text.lines().find_map(|line| line.trim().strip_prefix(label).map(str::trim));
            line.unwrap_or_else(|| panic!("no {label} in {text}")).to_owned()
        };
        assert!(!text.contains("Non-2xx") && !text.contains("Socket errors"), "{text}");
        (after("Requests/sec:").parse().unwrap(), after("99%"))
    }
}

/// v1 and v2, each with its log in a file.
fn pair() -> Result<(Lab, Nginx), Skip> {
    require_tool("wrk", "-v")?;
    let lab = Lab::with_site(SITE)?;
    let v2 = lab.v2_of_site(SITE)?;
    Ok((lab, v2))
}

fn log_of(nginx: &Nginx) -> PathBuf {
    nginx.folder().join("access.log")
}

/// The requests that a log tells, sorted.
fn requests(log: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let mut requests: Vec<_> =
        text.lines().filter_map(|line| Some(line.split('"').nth(1)?.to_owned())).collect();
    requests.sort_unstable();
    requests
}

/// Waits until v2 was asked as much as v1; where it never is, what follows says what is missing.
fn wait_until_shadowed(lab: &Lab, v2: &Nginx) -> (Vec<String>, Vec<String>) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (of_v1, of_v2) = (requests(&log_of(&lab.v1)), requests(&log_of(v2)));
        if of_v2.len() >= of_v1.len() || Instant::now() >= deadline {
            return (of_v1, of_v2);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A value of the process's status, in KiB (`proc_pid_status(5)`).
fn memory(running: &Running, what: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.trim_start_matches(':').split_whitespace().next().unwrap().parse().unwrap()
}

fn live(lab: &Lab, to: &str, further: &[&str]) -> Running {
    let arguments = ["live", "-i", "veth0", "-f", "tcp port 8000", "--to", to, "--out", "run"];
    lab.start(&[&arguments[..], further].concat())
}

/// That nothing was dropped or shed.
fn lossless(summary: &Value) {
    for drops in ["dropped-by-kernel", "dropped-by-interface"] {
        assert!(summary["anomalies"].get(drops).is_none(), "{}", summary["anomalies"]);
    }
    assert_eq!(summary["exchanges"]["skipped"], serde_json::json!({}), "{}", summary["exchanges"]);
}

#[test]
fn all_of_v1s_log_is_captured_and_shadowed_under_load() {
    let (lab, v2) = or_skip!(pair());
    let load = Load { rate: 100, seconds: 10, connections: 50 }.or_of_environment("LOAD");
    // The buffer bridges the moments in which a machine that is busy with other things lets nobody read.
    let running = live(&lab, &v2.url(), &["-B", "256MiB"]);
    let (throughput, p99) = load.start(&lab).wait();
    let (of_v1, of_v2) = wait_until_shadowed(&lab, &v2);
    running.interrupt();
    let finished = running.wait();
    let summary = summary(&finished.folder().join("run"));
    println!(
        "{throughput} requests/s, 99 of 100 answered within {p99}; {} in v1's log; {}; {} ms behind v1 (median), {} ms (99 of 100)",
        of_v1.len(),
        summary["exchanges"],
        summary["lateness"]["p50"],
        summary["lateness"]["p99"]
    );
    // Less would be no load: what is late is caught up.
    assert!(of_v1.len() >= (load.rate * load.seconds * 9 / 10) as usize, "{}", of_v1.len());
    lossless(&summary);
    assert!(of_v1 == of_v2, "{} requests in v1's log, {} in v2's", of_v1.len(), of_v2.len());
    let count = u64::try_from(of_v1.len()).unwrap();
    assert_eq!(balance(&summary), (count, count, 0));
    finished.exits(0);
}

#[test]
fn v1_is_served_as_well_without_shadows_with_them_and_with_a_v2_that_hangs() {
    let (lab, v2) = or_skip!(pair());
    let load = Load { rate: 200, seconds: 2, connections: 50 }.or_of_environment("TURNS");
    let rounds: usize = std::env::var("TURNS").map_or(1, |text| text.parse().unwrap());
    let url = v2.url();
    let (mut plain, mut good, mut hanging) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        plain.push(load.start(&lab).wait());
        let running = live(&lab, &url, &[]);
        good.push(load.start(&lab).wait());
        running.interrupt();
        lossless(&summary(&running.wait().exits(0).folder().join("run")));
        hanging.push(beside_a_hanging_v2(&lab, load));
    }
    for (what, turns) in [("without", plain), ("good v2", good), ("hanging v2", hanging)] {
        println!("{what}: {turns:?}");
    }
}

/// A turn with a v2 that takes connections and never answers.
fn beside_a_hanging_v2(lab: &Lab, load: Load) -> (f64, String) {
    let _hangs = lab.hanging_v2_at(9100);
    let further = ["--queue", "100", "--concurrency", "4", "--timeout", "1s"];
    let running = live(lab, "http://10.99.0.2:9100", &further);
    let turn = load.start(lab).wait();
    let most = memory(&running, "VmHWM");
    running.interrupt();
    let finished = running.wait();
    finished.exits(1);
    let summary = summary(&finished.folder().join("run"));
    let (captured, ..) = balance(&summary);
    for drops in ["dropped-by-kernel", "dropped-by-interface"] {
        assert!(summary["anomalies"].get(drops).is_none(), "{}", summary["anomalies"]);
    }
    let shed = summary["exchanges"]["skipped"]["queue-full"].as_u64().unwrap();
    println!("hanging v2: {captured} captured, {shed} shed, {most} KiB at most");
    assert!(captured >= u64::from(load.rate * load.seconds * 9 / 10) && shed >= captured / 2, "{summary}");
    assert!(most < 256 * 1024, "{most} KiB");
    turn
}

#[test]
fn large_bodies_that_wait_for_v2_hold_so_much_memory_and_no_more() {
    const LARGE: &str = "server { listen {listen}; location / { root .; } }";
    let lab = or_skip!(Lab::with_site(LARGE));
    let _hangs = lab.hanging_v2_at(9100);
    let body: Vec<u8> = (0..=250).cycle().take(4 << 20).collect();
    std::fs::write(lab.v1.folder().join("large"), body).unwrap();
    let further = ["-B", "256MiB", "--timeout", "60s", "--no-redact", "--record", "none"];
    let running = live(&lab, "http://10.99.0.2:9100", &further);
    // 256 MiB may wait: there is room for 64 rows with a body of 4 MiB, if they took nothing else.
    // Twelve of them a second, so that the ring holds what comes while a busy machine lets nobody read for a while.
    crate::lab::curl_with(&lab.cable.a, &["--rate", "12/s"], &format!("{}/large?[1-96]", lab.v1.url()));
    lab.v1.wait_for_requests(96);
    running.interrupt();
    // At the second, what is on its way is given up.
    running.process.wait_for_stderr("Stopping");
    running.interrupt();
    let most = memory(&running, "VmHWM");
    let finished = running.wait();
    let summary = summary(&finished.folder().join("run"));
    let (captured, ..) = balance(&summary);
    println!("{captured} captured, {}; {most} KiB at most", summary["exchanges"]);
    assert!(summary["anomalies"].get("dropped-by-kernel").is_none(), "{}", summary["anomalies"]);
    assert_eq!(captured, 96);
    let shed = summary["exchanges"]["skipped"]["queue-memory"].as_u64().unwrap();
    assert!((96 - 66..=96 - 50).contains(&shed), "{}", summary["exchanges"]);
    assert!(most < 900 * 1024, "{most} KiB");
}

/// The slope of the line that lies nearest to the points, by least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let above: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    above / points.iter().map(|point| (point.0 - x).powi(2)).sum::<f64>()
}

/// What a request may leave behind for good, in bytes: over an hour at 500 requests/s, 270 MB.
const LEFT_BEHIND: f64 = 150.0;

#[test]
fn memory_stays_flat() {
    let (lab, v2) = or_skip!(pair());
    let load = Load { rate: 500, seconds: 60, connections: 50 }.or_of_environment("SOAK");
    // On a machine that is busy with other things, what waits would grow, and nothing else is to be measured.
    let running = live(&lab, &v2.url(), &["--queue", "200", "-B", "256MiB"]);
    let driver = load.start(&lab);
    let (begun, mut points) = (Instant::now(), Vec::new());
    let end = Duration::from_secs(load.seconds.into());
    while begun.elapsed() < end {
        std::thread::sleep(Duration::from_millis(500));
        points.push((begun.elapsed().as_secs_f64(), memory(&running, "VmRSS") as f64 * 1024.0));
    }
    driver.wait();
    running.interrupt();
    let finished = running.wait();
    let summary = summary(&finished.folder().join("run"));
    let of_v1 = requests(&log_of(&lab.v1));
    // In a third of a minute tables and buffers have come to the size that they need.
    let warm: Vec<_> = points.iter().copied().filter(|(at, _)| *at >= 20.0).collect();
    let rate = of_v1.len() as f64 / f64::from(load.seconds);
    let left = slope(&warm) / rate;
    println!(
        "{left:.1} bytes a request from {:.0} bytes on; {} ms behind v1",
        warm[0].1, summary["lateness"]["p50"]
    );
    let (captured, replayed, _) = balance(&summary);
    let dropped = summary["anomalies"]["dropped-by-kernel"].as_u64().unwrap_or(0);
    println!(
        "{captured} captured, {replayed} replayed, {} in v1's log, {dropped} packets dropped",
        of_v1.len()
    );
    assert!(captured == u64::try_from(of_v1.len()).unwrap() || dropped > 0, "{summary}");
    assert_eq!(replayed, u64::try_from(requests(&log_of(&v2)).len()).unwrap());
    assert!(left < LEFT_BEHIND, "{left} bytes a request, {points:?}");
    // In the meantime it was told how it went, in a line each ten seconds.
    let lines = finished.stderr.lines().filter(|line| line.contains(" s: ") && line.contains(" requests: "));
    assert!(lines.count() >= (load.seconds / 10) as usize - 1, "{finished}");
}
