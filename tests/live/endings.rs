//! However capturing ends, what was written can be read.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::lab::{Lab, SmallDisk, balance, captures_in, inspect, summary, tshark};
use crate::load::Load;
use crate::support::{PATIENCE, Process, Running};

/// Waits until a run has begun so many files.
pub(crate) fn wait_for_files(running: &Running, count: usize) {
    let deadline = Instant::now() + PATIENCE;
    while captures_in(running.folder()).len() < count {
        assert!(Instant::now() < deadline, "too few files: {}", running.process.describe());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Ends a command by a signal while requests go on, when it has begun so many files; every file must be whole.
fn ended_under_load(lab: &Lab, arguments: &[&str], signal: &str) {
    let load = Load { rate: 300, seconds: 120, ..Load::default() }.start(lab);
    let running = lab.start(arguments);
    wait_for_files(&running, 3);
    running.process.signal(signal);
    let finished = running.wait();
    // It still went on: nothing has waited for the signal.
    load.stop();
    assert_eq!(finished.code.is_none(), signal == "KILL", "{finished}");
    let files = captures_in(finished.folder());
    assert!(files.len() >= 3, "{files:?}");
    for file in &files {
        assert!(
            !tshark(file, &["frame.number"]).is_empty() || Some(file) == files.last(),
            "{}",
            file.display()
        );
    }
    assert!(inspect(&files)["exchanges"].as_array().unwrap().len() > 20);
    if signal != "KILL" && arguments[0] == "live" {
        balance(&summary(&finished.folder().join("run")));
    }
}

#[test]
fn ended_in_the_midst_of_load_with_rotation_every_file_is_whole() {
    let lab = or_skip!(Lab::new());
    let rotated = ["-i", "veth0", "-f", "tcp port 8000", "--rotate-packets", "200", "-w"];
    for name in ["x.pcapng", "x.pcapng.gz", "x.pcapng.zst"] {
        ended_under_load(&lab, &[&["capture"][..], &rotated, &[name]].concat(), "KILL");
    }
    for signal in ["INT", "TERM"] {
        ended_under_load(&lab, &[&["capture"][..], &rotated, &["x.pcapng"]].concat(), signal);
    }
}

#[test]
fn ended_in_the_midst_of_shadowing_with_rotation_every_file_is_whole() {
    let lab = or_skip!(Lab::new());
    let v2 = or_skip!(lab.v2_beside());
    let rotated = ["-i", "veth0", "-f", "tcp port 8000", "--rotate-packets", "200", "-w", "x.pcapng"];
    for signal in ["KILL", "INT", "TERM"] {
        let to = ["--to", &v2.url(), "--out", "run"];
        ended_under_load(&lab, &[&["live"][..], &rotated, &to].concat(), signal);
    }
}

#[test]
fn a_hang_up_that_is_to_be_ignored_is() {
    let lab = or_skip!(Lab::new());
    let folder = tempfile::TempDir::new().unwrap();
    let mut command = lab.cable.b.command("sh");
    let program = env!("CARGO_BIN_EXE_shadowcap");
    let line = format!("trap '' HUP; exec {program} capture -i veth0 -f tcp -w x.pcapng");
    command.args(["-c", &line]).current_dir(folder.path()).stdin(Stdio::null());
    let mut process = Process::spawn(command, "KILL");
    process.wait_for_stderr("Capturing on ");
    process.signal("HUP");
    lab.curl("on", 5);
    process.signal("INT");
    assert!(process.wait(PATIENCE).is_some_and(|status| status.success()), "{}", process.describe());
    assert_eq!(inspect(&captures_in(folder.path()))["exchanges"].as_array().unwrap().len(), 5);
}

#[test]
fn ctrl_c_sigterm_and_sighup_lose_nothing_that_was_on_the_wire() {
    let lab = or_skip!(Lab::new());
    for signal in ["INT", "TERM", "HUP"] {
        let running = lab.start(&["capture", "-i", "veth0", "-f", "tcp", "-w", "x.pcapng"]);
        lab.curl("end", 30);
        // At once: the kernel still holds what came last.
        running.process.signal(signal);
        let finished = running.wait();
        finished.exits(0);
        let files = captures_in(finished.folder());
        assert_eq!(inspect(&files)["exchanges"].as_array().unwrap().len(), 30, "{signal}");
    }
}

#[test]
fn an_interface_that_goes_away_ends_it_with_a_readable_file() {
    let lab = or_skip!(Lab::new());
    let running = lab.start(&["capture", "-i", "veth0", "-f", "tcp", "-w", "x.pcapng"]);
    lab.curl("gone", 10);
    lab.cable.b.ip(&["link", "del", "veth0"]);
    let finished = running.wait();
    finished.exits(3).stderr_has("capturing ended before it was told to: veth0: ");
    let files = captures_in(finished.folder());
    tshark(&files[0], &["frame.number"]);
    assert_eq!(inspect(&files)["exchanges"].as_array().unwrap().len(), 10);
}

#[test]
fn an_interface_that_goes_down_ends_it_with_a_readable_file() {
    let lab = or_skip!(Lab::new());
    let running = lab.start(&["capture", "-i", "veth0", "-f", "tcp", "-w", "x.pcapng"]);
    lab.curl("down", 10);
    lab.cable.b.ip(&["link", "set", "veth0", "down"]);
    let finished = running.wait();
    finished.exits(3).stderr_has("veth0: ");
    assert_eq!(inspect(&captures_in(finished.folder()))["exchanges"].as_array().unwrap().len(), 10);
}

#[test]
fn an_interface_that_comes_back_is_captured_on_again() {
    let lab = or_skip!(Lab::new());
    let running = lab.start(&["capture", "-i", "veth0", "-f", "tcp", "-w", "x.pcapng", "--reopen"]);
    lab.curl("before", 10);
    lab.cable.b.ip(&["link", "del", "veth0"]);
    running.process.wait_for_stderr("veth0: gone");
    lab.cable.connect();
    running.process.wait_for_stderr("veth0: back");
    lab.curl("after", 10);
    running.interrupt();
    let finished = running.wait();
    finished.exits(0);
    assert_eq!(inspect(&captures_in(finished.folder()))["exchanges"].as_array().unwrap().len(), 20);
}

#[test]
fn a_full_disk_ends_it_with_a_readable_file() {
    let lab = or_skip!(Lab::new());
    let disk = or_skip!(SmallDisk::mount("64k"));
    let file = disk.file("x.pcapng");
    let running = lab.start(&["capture", "-i", "veth0", "-f", "tcp", "-w", file.to_str().unwrap()]);
    lab.curls(4, 100);
    let finished = running.wait();
    let packets = tshark(&file, &["frame.number"]).len();
    let read = inspect(&[file]);
    finished.exits(3).stderr_has("No space left").stderr_has(&format!("the {packets} packets written"));
    assert!(packets > 0 && !read["exchanges"].as_array().unwrap().is_empty());
}

#[test]
fn a_disk_that_is_full_of_packets_does_not_end_shadowing() {
    let lab = or_skip!(Lab::new());
    let v2 = or_skip!(lab.v2_beside());
    let disk = or_skip!(SmallDisk::mount("64k"));
    let file = disk.file("x.pcapng");
    let keep = ["-w", file.to_str().unwrap(), "--out", "run"];
    let common = ["live", "-i", "veth0", "-f", "tcp port 8000", "--to", &v2.url()];
    let running = lab.start(&[&common[..], &keep].concat());
    lab.curls(4, 100);
    v2.wait_for_requests(400);
    lab.curl("afterwards", 10);
    v2.wait_for_requests(410);
    running.interrupt();
    let finished = running.wait();
    finished.stderr_has("No space left").stderr_has("shadowing went on");
    assert_eq!(balance(&summary(&finished.folder().join("run"))), (410, 410, 0));
    let packets = tshark(&file, &["frame.number"]).len();
    let kept = inspect(&[file])["exchanges"].as_array().unwrap().len();
    finished.stderr_has(&format!("the {packets} packets written"));
    assert!(kept > 0 && kept < 410, "{kept}");
}
