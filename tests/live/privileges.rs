//! A normal user, with and without the capabilities.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::lab::{Lab, balance, captures_in, inspect, summary};
use crate::support::{Process, Skip, require_tool};

/// `nobody`, who has no rights at all.
const NOBODY: &str = "65534";

/// A copy of the program that anyone may run, in a folder that anyone may write to.
fn copy() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let program = folder.path().join("shadowcap");
    // By another process: what another test starts at this moment would hold the file open, and a file that is open for
    // writing cannot be run.
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_shadowcap")).arg(&program).status();
    assert!(copied.unwrap().success());
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    (folder, program)
}

fn set_capabilities(program: &Path, capabilities: &str) -> Result<(), Skip> {
    require_tool("setcap", "-h")?;
    let mut command = Command::new("/usr/sbin/setcap");
    let status = command.arg(capabilities).arg(program).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        _ => Err(Skip::Unable("capabilities cannot be given to files here".into())),
    }
}

/// Runs the program as `nobody` beside v1.
fn as_nobody(lab: &Lab, program: &Path, arguments: &[&str]) -> Process {
    let mut command = lab.cable.b.command("setpriv");
    command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--inh-caps=-all", "--"]);
    command.arg(program).args(arguments).current_dir(program.parent().unwrap()).stdin(Stdio::null());
    Process::spawn(command, "TERM")
}

#[test]
fn a_user_with_the_capabilities_captures_and_keeps_none_of_them() {
    let lab = or_skip!(Lab::new());
    let (folder, program) = copy();
    or_skip!(set_capabilities(&program, "cap_net_raw,cap_net_admin+ep"));
    let mut process = as_nobody(&lab, &program, &["capture", "-i", "veth0", "-f", "tcp", "-w", "x.pcapng"]);
    process.wait_for_stderr("Capturing on ");
    // `setpriv` and `ip` become the program, so the process that was started is it.
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let threads = fs::read_dir(format!("/proc/{}/task", process.id())).unwrap();
    for thread in threads {
        let status = fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        for set in ["CapEff:\t0000000000000000", "CapPrm:\t0000000000000000", "NoNewPrivs:\t1"] {
            assert!(status.contains(set), "{set} in {status}");
        }
    }
    assert!(status.contains(&format!("Uid:\t{NOBODY}")), "{status}");
    lab.curl("user", 10);
    process.signal("INT");
    let ended = process.wait(crate::support::PATIENCE);
    assert!(ended.is_some_and(|status| status.success()), "{}", process.describe());
    assert_eq!(inspect(&captures_in(folder.path()))["exchanges"].as_array().unwrap().len(), 10);
}

#[test]
fn a_user_without_them_is_told_precisely_what_to_do() {
    let lab = or_skip!(Lab::new());
    let (_folder, program) = copy();
    for arguments in [
        &["capture", "-i", "veth0", "-w", "x.pcapng"][..],
        &["live", "-i", "veth0", "--to", "http://127.0.0.1:9"],
    ] {
        let mut process = as_nobody(&lab, &program, arguments);
        let ended = process.wait(crate::support::PATIENCE);
        assert_eq!(ended.and_then(|status| status.code()), Some(2), "{}", process.describe());
        let advice = format!("sudo setcap cap_net_raw,cap_net_admin+ep {}", program.display());
        assert!(process.stderr.text().contains(&advice), "{}", process.describe());
    }
}

#[test]
fn in_a_container_with_net_raw_alone_it_captures() {
    let lab = or_skip!(Lab::new());
    let (folder, program) = copy();
    // As in deploy/Dockerfile, and as `--cap-drop ALL --cap-add NET_RAW` leaves it.
    or_skip!(set_capabilities(&program, "cap_net_raw+ep"));
    let mut command = lab.cable.b.command("setpriv");
    command.args([
        "--bounding-set",
        "-all,+net_raw",
        "--reuid",
        NOBODY,
        "--regid",
        NOBODY,
        "--clear-groups",
        "--",
    ]);
    command.arg(&program).args(["capture", "-i", "any", "-f", "tcp", "-w", "x.pcapng"]);
    let mut process = Process::spawn(
        {
            command.current_dir(folder.path()).stdin(Stdio::null());
            command
        },
        "TERM",
    );
    process.wait_for_stderr("Capturing on ");
    lab.curl("container", 10);
    process.signal("TERM");
    let ended = process.wait(crate::support::PATIENCE);
    assert!(ended.is_some_and(|status| status.success()), "{}", process.describe());
    assert_eq!(inspect(&captures_in(folder.path()))["exchanges"].as_array().unwrap().len(), 10);
}

#[test]
fn a_user_with_the_capabilities_shadows_also_in_a_container_with_net_raw_alone() {
    let lab = or_skip!(Lab::new());
    let v2 = or_skip!(lab.v2_beside());
    for (capabilities, bounds) in
        [("cap_net_raw,cap_net_admin+ep", "+all"), ("cap_net_raw+ep", "-all,+net_raw")]
    {
        let (folder, program) = copy();
        or_skip!(set_capabilities(&program, capabilities));
        let before = v2.wait_for_requests(0).len();
        let mut command = lab.cable.b.command("setpriv");
        command.args([
            "--bounding-set",
            bounds,
            "--reuid",
            NOBODY,
            "--regid",
            NOBODY,
            "--clear-groups",
            "--",
        ]);
        command.arg(&program).args([
            "live",
            "-i",
            "veth0",
            "-f",
            "tcp port 8000",
            "--to",
            &v2.url(),
            "--out",
            "run",
        ]);
        command.current_dir(folder.path()).stdin(Stdio::null());
        let mut process = Process::spawn(command, "TERM");
        process.wait_for_stderr("Capturing on ");
        for thread in fs::read_dir(format!("/proc/{}/task", process.id())).unwrap() {
            let status = fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
            assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
        }
        lab.curl("user", 10);
        v2.wait_for_requests(before + 10);
        process.signal("TERM");
        let ended = process.wait(crate::support::PATIENCE);
        assert!(ended.is_some_and(|status| status.success()), "{}", process.describe());
        assert_eq!(balance(&summary(&folder.path().join("run"))), (10, 10, 0));
    }
}
