//! `tests/setup/packages` on machines other than this one: what it finds, says, and asks apt-get to do.

#![allow(clippy::unwrap_used, reason = "a test says what broke by panicking")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A machine that has the basic commands of this one, and else only what the test puts there.
struct Machine {
    folder: TempDir,
}

impl Machine {
    fn bare() -> Self {
        let machine = Self { folder: TempDir::new().unwrap() };
        for command in ["sh", "cat", "grep", "env"] {
            symlink(real(command), machine.folder.path().join(command)).unwrap();
        }
        machine
    }

    fn with(self, command: &str, script: &str) -> Self {
        let path = self.folder.path().join(command);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    /// With apt-get and sudo that only write down how they were called, for a user with this id.
    fn debian(self, user: u32) -> Self {
        let log = self.log().display().to_string();
        self.with("apt-get", &format!("echo \"apt-get $*\" >> {log}"))
            .with("sudo", &format!("echo sudo >> {log}; exec \"$@\""))
            .with("id", &format!("echo {user}"))
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn set_up(&self, purposes: &[&str]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/setup/packages");
        // `nowhere` takes the place of the system's own folders, which the script adds to the path.
        Command::new("/bin/sh")
            .arg(script)
            .args(purposes)
            .env_clear()
            .env("PATH", self.folder.path())
            .env("SBIN", "nowhere")
            .output()
            .unwrap()
    }

    fn called(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }
}

fn real(command: &str) -> PathBuf {
    ["/usr/bin", "/bin"]
        .iter()
        .map(|folder| Path::new(folder).join(command))
        .find(|path| path.exists())
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn what_is_missing_is_named_and_then_installed() {
    let machine = Machine::bare().debian(0).with("cc", "exit 1").with("tcpdump", "exit 0");
    let output = machine.set_up(&["build", "test"]);
    assert!(output.status.success(), "{output:?}");
    let said = text(&output.stdout);
    assert!(said.starts_with("Missing on this machine: C compiler, libpcap, nginx, "), "{said}");
    assert!(said.contains("Installing Debian packages: gcc libc6-dev libpcap-dev nginx-light"), "{said}");
    let called = machine.called();
    let install = "apt-get install -q -y --no-install-recommends gcc libc6-dev libpcap-dev nginx-light";
    assert!(called.starts_with("apt-get update") && called.contains(install), "{called}");
    assert!(!called.contains("tcpdump") && !called.contains("sudo"), "{called}");
}

#[test]
fn sudo_is_used_by_those_who_are_not_root() {
    let machine = Machine::bare().debian(1000);
    let output = machine.set_up(&["build"]);
    assert!(output.status.success(), "{output:?}");
    assert!(text(&output.stdout).contains("Installing Debian packages with sudo: gcc"), "{output:?}");
    assert!(machine.called().starts_with("sudo\napt-get update"), "{}", machine.called());
}

#[test]
fn nothing_is_said_or_done_where_everything_is_there() {
    let machine = Machine::bare().debian(0).with("cc", "exit 0");
    let output = machine.set_up(&["build"]);
    assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
    assert_eq!(machine.called(), "");
}

#[test]
fn another_system_is_told_what_it_lacks() {
    let machine = Machine::bare().with("cc", "case \"$*\" in *pcap*) exit 1;; esac");
    let output = machine.set_up(&["build"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.starts_with("Missing on this machine: libpcap.\n"), "{said}");
    assert!(said.contains("no apt-get") && said.contains("libpcap-dev"), "{said}");
}

#[test]
fn without_root_and_sudo_the_command_is_named() {
    let machine = Machine::bare().with("apt-get", "exit 0").with("id", "echo 1000");
    let output = machine.set_up(&["build"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("as root: apt-get install gcc libc6-dev libpcap-dev"),
        "{output:?}"
    );
}

#[test]
fn a_failed_installation_fails() {
    let machine = Machine::bare().debian(0).with("apt-get", "exit 100");
    assert_eq!(machine.set_up(&["build"]).status.code(), Some(100));
}

/// The files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// A tool that happens to be here hides that nothing installs it: on a fresh machine its tests would fail.
#[test]
fn every_tool_that_a_test_requires_is_installed_by_the_set_up() {
    // Debian's util-linux, which no Debian machine is without, and the compiler that the build itself needs.
    let essential = ["setpriv", "unshare", "cc"];
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let list = fs::read_to_string(tests.join("setup/packages")).unwrap();
    let named: Vec<_> =
        list.lines().filter_map(|line| line.strip_prefix("test|")?.split('|').next()).collect();
    let required = regex::Regex::new(r#"require_tool\(\s*"([^"]+)""#).unwrap();
    let sources = files(&tests).into_iter().filter(|path| path.extension().is_some_and(|e| e == "rs"));
    let mut seen = 0;
    for path in sources {
        let source = fs::read_to_string(&path).unwrap();
        for (_, [tool]) in required.captures_iter(&source).map(|found| found.extract()) {
            seen += 1;
            let is_there = named.contains(&tool) || essential.contains(&tool);
            assert!(is_there, "{} requires {tool}, which tests/setup/packages does not name", path.display());
        }
    }
    assert!(seen > 5, "no test requires a tool any more, or this test looks for it in the wrong way");
}
