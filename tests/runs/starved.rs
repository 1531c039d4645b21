use std::fs;
use std::ops::Deref;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{RawServer, Reply, Script, Shadowcap, Welcome, require_tool};
use crate::{ends, made, none_came_twice, replay, resume, rows, same_v2, summary, target, targets};

/// A v2 that answers so many requests of each connection and hangs at the next, until it is told otherwise.
pub(crate) struct Hanging {
    server: RawServer,
    answers: Arc<AtomicBool>,
}

pub(crate) fn hanging_after(count: usize) -> Hanging {
    let answers = Arc::new(AtomicBool::new(false));
    let may = Arc::clone(&answers);
    let server = RawServer::start(Script::new(move |request| {
        if request.ordinal < count || may.load(Ordering::Relaxed) { made::answer() } else { Reply::hang() }
    }));
    Hanging { server, answers }
}

impl Hanging {
    pub(crate) fn answer_from_now_on(&self) {
        self.answers.store(true, Ordering::Relaxed);
    }
}

impl Deref for Hanging {
    type Target = RawServer;

    fn deref(&self) -> &RawServer {
        &self.server
    }
}

#[test]
fn a_v2_that_hangs_costs_each_request_its_time_and_no_more() {
    let v2 = hanging_after(2);
    let finished =
        replay(&v2.url(), &made::exchanges(4, 5), &["--timeout", "300ms", "--concurrency", "8"]).run();
    ends(&finished, 1);
    let summary = summary(finished.folder());
    assert_eq!(summary["exchanges"]["replayed"], 20, "{summary:#}");
    assert_eq!(summary["failures"]["timeout"], 20 - summary["verdicts"]["match"].as_u64().unwrap());
    none_came_twice(&v2);
    assert_eq!(targets(&v2).len(), 20);
}

#[test]
fn a_v2_that_restarts_loses_what_was_under_way_and_nothing_else() {
    // Its third to sixth connections come while it starts: closed, reset, or cut within a request.
    let v2 = RawServer::start(Script::new(|_| made::answer()).welcome(|number| match number {
        2 => Welcome::Close,
        3 => Welcome::Reset,
        4 => Welcome::ResetAfter(30),
        5 => Welcome::CloseAfter(10),
        _ => Welcome::Serve,
    }));
    let finished = replay(&v2.url(), &made::exchanges(10, 4), &["--concurrency", "1"]).run();
    ends(&finished, 1);
    let summary = summary(finished.folder());
    assert_eq!(summary["exchanges"]["replayed"], 40, "{summary:#}");
    assert_eq!(summary["verdicts"]["failed"], 4, "{summary:#}");
    none_came_twice(&v2);
    let came = targets(&v2);
    for row in rows(finished.folder()) {
        assert_eq!(row["verdict"] == "match", came.contains(&row["target"]), "{row:?}");
    }
}

#[test]
fn a_v2_that_goes_and_comes_back_on_its_port_loses_what_was_due_meanwhile() {
    let first = same_v2();
    let url = first.url();
    let running = replay(&url, &made::exchanges(1, 300), &["--rate", "100", "-v"]).spawn();
    first.wait_for_requests(20);
    let (address, mut came) = (first.address(), Vec::new());
    drop_and_keep(first, &mut came);
    running.process.wait_for_stderr("failed, connect: cannot connect");
    let again = RawServer::on(std::net::TcpListener::bind(address).unwrap(), Script::new(|_| made::answer()));
    let finished = running.wait();
    ends(&finished, 1);
    came.extend(targets(&again));
    let distinct: std::collections::HashSet<_> = came.iter().collect();
    assert_eq!(distinct.len(), came.len(), "none came twice");
    let summary = summary(finished.folder());
    assert_eq!(summary["exchanges"]["replayed"], 300, "{summary:#}");
    assert!(
        summary["failures"]["connect"].as_u64().unwrap() > 0 && !targets(&again).is_empty(),
        "{summary:#}"
    );
    let answered = summary["verdicts"]["match"].as_u64().unwrap();
    assert_eq!(answered + summary["verdicts"]["failed"].as_u64().unwrap(), 300, "{summary:#}");
    for row in rows(finished.folder()) {
        assert!(row["verdict"] != "match" || came.contains(&row["target"]), "{row:?}");
    }
}

/// Stops a server and notes what had come to it.
fn drop_and_keep(server: RawServer, came: &mut Vec<String>) {
    came.extend(targets(&server));
    drop(server);
}

/// Starts the program with files limited to so many KiB. Where the signal is ignored, a write beyond fails, as on a
/// full disk.
fn with_small_files(kib: u32, url: &str) -> Shadowcap {
    let mut shell = Command::new("bash");
    shell.args(["-c", &format!("trap '' XFSZ; ulimit -f {kib}; exec \"$0\" \"$@\"")]);
    Shadowcap::under(shell, ["replay", "a.pcap", "--to", url, "--out", "run"])
}

#[test]
fn a_run_that_finds_no_more_room_says_so_and_goes_on_when_there_is_some() {
    let v2 = same_v2();
    let program = with_small_files(48, &v2.url());
    fs::write(program.folder().join("a.pcap"), made::exchanges(4, 500)).unwrap();
    let starved = program.run();
    ends(&starved, 3);
    starved.stderr_has("File too large").stderr_has("Nothing more was sent").stderr_has("--resume run");
    let sent = targets(&v2).len();
    assert!(sent > 0 && sent < 2000, "{sent}\n{starved}");

    let finished = resume(&v2.url(), starved.folder(), &[]).run();
    assert!(matches!(finished.code, Some(0 | 3)), "{finished}");
    none_came_twice(&v2);
    let summary = summary(starved.folder());
    assert_eq!(summary["exchanges"]["replayed"], 2000, "{summary:#}");
    let came = targets(&v2);
    for row in rows(starved.folder()) {
        let known = row["verdict"] == "match";
        assert!(!known || came.contains(&row["target"]), "{row:?}");
    }
    // What was under way when the disk was full is the one thing that is not known.
    let unknown = summary["verdicts"]["not_comparable"].as_u64().unwrap();
    assert!(unknown < 400, "{unknown}");
    assert_eq!(summary["verdicts"]["match"].as_u64().unwrap() + unknown, 2000, "{summary:#}");
}

#[test]
fn a_recording_that_is_removed_under_the_run_ends_it() {
    let v2 = same_v2();
    // A request every 50 ms: the run would take a minute.
    let running = replay(&v2.url(), &made::exchanges(1, 1200), &["--rate", "20"]).spawn();
    v2.wait_for_requests(5);
    fs::remove_dir_all(running.folder().join("run/recording")).unwrap();
    let finished = running.wait();
    ends(&finished, 3);
    finished
        .stderr_has("was removed or replaced while the run was writing it")
        .stderr_has("Nothing more was sent");
    assert!(targets(&v2).len() < 200);
    none_came_twice(&v2);
}

/// A library that, loaded first, steps the wall clock by so many seconds from the time on that a file is there. It
/// says on stderr when it is asked for the first time.
fn stepping_clock(folder: &Path) -> std::path::PathBuf {
    let source = folder.join("clock.c");
    fs::write(
        &source,
        r#"
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <stdlib.h>
        #include <time.h>
        #include <unistd.h>
        int clock_gettime(clockid_t clock, struct timespec *now) {
            static int (*real)(clockid_t, struct timespec *);
            if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
            int result = real(clock, now);
            static int said;
            if (clock == CLOCK_REALTIME && !said) {
                said = 1;
                if (write(2, "the clock is interposed\n", 24) < 0) _exit(9);
            }
            if (clock == CLOCK_REALTIME && access(getenv("STEP_WHEN"), F_OK) == 0) now->tv_sec += atol(getenv("STEP_BY"));
            return result;
        }
        "#,
    )
    .unwrap();
    let library = folder.join("clock.so");
    let built =
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl").status();
    assert!(built.unwrap().success());
    library
}

#[test]
fn a_step_of_the_clock_changes_neither_the_schedule_nor_a_time_that_is_recorded() {
    or_skip!(require_tool("cc", "--version"));
    let folder = tempfile::tempdir().unwrap();
    let library = stepping_clock(folder.path());
    for by in ["-3600", "3600"] {
        step_of_the_clock(&library, by);
    }
}

fn step_of_the_clock(library: &Path, by: &str) {
    let folder = tempfile::tempdir().unwrap();
    let step = folder.path().join("step");
    // The sixth answer comes after the clock was put back or forth.
    let (at, stepped) = (step.clone(), Arc::new(AtomicBool::new(false)));
    let saw = Arc::clone(&stepped);
    let v2 = RawServer::start(Script::new(move |request| {
        if target(&request.bytes) == "/0/5" {
            fs::write(&at, "").unwrap();
            saw.store(true, Ordering::Relaxed);
        }
        made::answer()
    }));
    let finished = replay(&v2.url(), &made::exchanges(1, 400), &["--speed", "1"])
        .env("LD_PRELOAD", library)
        .env("STEP_WHEN", &step)
        .env("STEP_BY", by)
        .run();
    ends(&finished, 0);
    finished.stderr_has("the clock is interposed");
    assert!(stepped.load(Ordering::Relaxed));
    let timings = crate::schedule::timings(&finished.folder().join("run"));
    assert_eq!(timings.len(), 400);
    for (n, timing) in (0_u64..).zip(&timings) {
        let due = timing.due.since(timings[0].due);
        assert_eq!(due.as_millis(), u128::from(n), "{timing:?}");
        let (sent, last) = (timing.sent.unwrap(), timing.last_byte.unwrap());
        assert!(timing.due <= sent && sent <= last, "{timing:?}");
        assert!(last.since(timing.due) < std::time::Duration::from_secs(1800), "{timing:?}");
    }
    let summary = summary(finished.folder());
    assert!(summary["started"].as_str().unwrap() < summary["finished"].as_str().unwrap(), "{summary:#}");
}
