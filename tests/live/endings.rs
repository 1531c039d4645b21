//! However capturing ends, what was written can be read.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::lab::{Lab, captures_in, inspect, tshark};
use crate::support::{PATIENCE, Running, Skip, Veth};

/// Waits until a run has begun so many files.
fn wait_for_files(running: &Running, count: usize) {
    let deadline = Instant::now() + PATIENCE;
    while captures_in(running.folder()).len() < count {
        assert!(Instant::now() < deadline, "too few files: {}", running.process.describe());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn killed_in_the_midst_of_it_with_rotation_every_file_is_whole() {
    let lab = or_skip!(Lab::new());
    for name in ["x.pcapng", "x.pcapng.gz", "x.pcapng.zst"] {
        let arguments = ["capture", "-i", "veth0", "-f", "tcp", "-w", name, "--rotate-packets", "200"];
        let running = lab.start(&arguments);
        lab.curls(4, 100);
        wait_for_files(&running, 3);
        running.process.signal("KILL");
        let finished = running.wait();
        assert_eq!(finished.code, None, "{finished}");
        let files = captures_in(finished.folder());
        assert!(files.len() >= 3, "{files:?}");
        for file in &files {
            tshark(file, &["frame.number"]);
        }
        assert!(inspect(&files)["exchanges"].as_array().unwrap().len() > 100);
    }
}

#[test]
fn ctrl_c_and_sigterm_lose_nothing_that_was_on_the_wire() {
    let lab = or_skip!(Lab::new());
    for signal in ["INT", "TERM"] {
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
    let (name, a, b) = (Veth::INTERFACE, &lab.cable.a, &lab.cable.b);
    a.ip(&["link", "add", name, "type", "veth", "peer", "name", name, "netns", b.name()]);
    for (end, address) in [(a, Veth::ADDRESS_A), (b, Veth::ADDRESS_B)] {
        end.ip(&["addr", "add", &format!("{address}/24"), "dev", name]);
        end.ip(&["link", "set", name, "up"]);
    }
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
    let disk = tempfile::TempDir::new().unwrap();
    let at = disk.path().to_str().unwrap();
    let mount =
        |arguments: &[&str]| Command::new("mount").args(arguments).status().is_ok_and(|s| s.success());
    if !mount(&["-t", "tmpfs", "-o", "size=64k", "shadowcap-test", at]) {
        return Skip::Unable("no file system can be mounted here".into()).report();
    }
    let file = disk.path().join("x.pcapng");
    let running = lab.start(&["capture", "-i", "veth0", "-f", "tcp", "-w", file.to_str().unwrap()]);
    lab.curls(4, 100);
    let finished = running.wait();
    let packets = tshark(&file, &["frame.number"]).len();
    let read = inspect(&[file]);
    let unmounted = Command::new("umount").arg(at).status().unwrap();
    assert!(unmounted.success());
    finished.exits(3).stderr_has("No space left").stderr_has(&format!("the {packets} packets written"));
    assert!(packets > 0 && !read["exchanges"].as_array().unwrap().is_empty());
}
