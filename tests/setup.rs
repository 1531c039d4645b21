//! The scripts of the build on machines other than this one: what `tests/setup/packages` finds, says, and asks apt-get to
//! do; and how `deploy/build-by-profile` builds.

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

    /// With a compiler of LLVM 22, and a cargo that builds programs of which each says what it was built with.
    fn rust(self) -> Self {
        let (log, folder) = (self.log().display().to_string(), self.folder.path().display().to_string());
        for command in ["bash", "sed", "dirname", "realpath", "mkdir", "install", "rm", "touch"] {
            symlink(real(command), self.folder.path().join(command)).unwrap();
        }
        let cargo = r#"
            echo "cargo $* with ${RUSTFLAGS:-nothing}" >> LOG
            case $1 in
                build) mkdir -p "$CARGO_TARGET_DIR/here/release"
                    echo "${RUSTFLAGS:-nothing}" > "$CARGO_TARGET_DIR/here/release/shadowcap" ;;
                run) mkdir -p "${LLVM_PROFILE_FILE%/*}"; touch "${LLVM_PROFILE_FILE%/*}/1.profraw" ;;
            esac"#;
        let rustc = format!(
            "case $1 in -vV) printf 'host: here\\nLLVM version: 22.1.2\\n' ;; *) echo {folder} ;; esac"
        );
        self.with("rustc", &rustc).with("cargo", &cargo.replace("LOG", &log))
    }

    /// Builds the program by its profile, and gives what it said and what the program was built with.
    fn built_by_profile(&self) -> (Output, String) {
        let target = self.folder.path().join("target");
        let output = Command::new(real("bash"))
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/build-by-profile"))
            .env_clear()
            .env("PATH", self.folder.path())
            .env("CARGO_TARGET_DIR", &target)
            .output()
            .unwrap();
        let program = fs::read_to_string(target.join("by-profile/shadowcap")).unwrap_or_default();
        (output, program.trim_end().replace(&target.display().to_string(), "target"))
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

#[test]
fn the_released_program_is_built_by_what_a_first_one_counted() {
    let merge = r#"case $1 in
        --version) echo 'LLVM version 22.1.8' ;;
        merge) touch "$3" && echo "merge $4" >> LOG ;;
    esac"#;
    let machine = Machine::bare().rust();
    let log = machine.log().display().to_string();
    let machine = machine.with("llvm-profdata-22", &merge.replace("LOG", &log));
    let (output, program) = machine.built_by_profile();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(program, "-Cprofile-use=target/by-profile/profile.profdata");
    let called = machine.called();
    let steps: Vec<_> = called.lines().map(|line| line.split(' ').take(2).collect::<Vec<_>>()).collect();
    let counted = machine.folder.path().join("target/by-profile/counts/1.profraw").display().to_string();
    let expected = [["cargo", "build"], ["cargo", "run"], ["merge", &counted], ["cargo", "build"]];
    assert_eq!(steps, expected, "{called}");
    assert!(called.lines().next().unwrap().ends_with("with -Cprofile-generate"), "{called}");
}

#[test]
fn where_nothing_reads_what_was_counted_the_program_is_built_without_and_that_is_said() {
    // Another LLVM's cannot read it.
    let other = Machine::bare().rust().with("llvm-profdata-22", "echo 'LLVM version 14.0.6'");
    for machine in [other, Machine::bare().rust().with("rustup", "exit 1")] {
        let (output, program) = machine.built_by_profile();
        assert!(output.status.success() && program == "nothing", "{program}: {output:?}");
        assert!(
            text(&output.stderr).contains("WITHOUT A PROFILE: there is no llvm-profdata of LLVM 22"),
            "{output:?}"
        );
    }
}

#[test]
fn a_first_program_that_cannot_be_put_to_work_makes_no_second() {
    let machine = Machine::bare().rust().with("llvm-profdata-22", "echo 'LLVM version 22.1.8'");
    let path = machine.folder.path().join("cargo");
    let cargo = fs::read_to_string(&path).unwrap().replace("run) ", "run) exit 101 ;; *) ");
    fs::write(&path, cargo).unwrap();
    let (output, program) = machine.built_by_profile();
    assert_eq!((output.status.code(), program.as_str()), (Some(101), ""), "{output:?}");
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
