//! A test that cannot run says so: nothing is skipped silently.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Why a test cannot run here.
#[derive(Debug)]
#[must_use = "a skip that is not reported is silent"]
pub enum Skip {
    /// The machine cannot, and no set-up would help: privileges, data that is not part of the repository.
    Unable(String),
    /// `make test` would have set it up. Where `CI` is set this is a failure.
    NotSetUp(String),
}

impl Skip {
    /// Tells the terminal (libtest does not hold back what is written to the stream itself) and the file from which
    /// `make test` lists the skips at its end.
    pub fn report(self) {
        let failure = self.is_failure(std::env::var_os("CI").is_some());
        let (Self::Unable(reason) | Self::NotSetUp(reason)) = self;
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        assert!(!failure, "{test} cannot run: {reason}. With CI set this is a failure, not a skip.");
        let line = format!("SKIPPED {test}: {reason}\n");
        let _ = std::io::stderr().write_all(line.as_bytes());
        let _ = append(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("skipped-tests"), &line);
    }

    /// Whether the test fails rather than being skipped.
    pub fn is_failure(&self, in_ci: bool) -> bool {
        in_ci && matches!(self, Self::NotSetUp(_))
    }
}

fn append(file: &Path, line: &str) -> std::io::Result<()> {
    OpenOptions::new().create(true).append(true).open(file)?.write_all(line.as_bytes())
}

/// Whether a program can be started; `version` is an argument at which it ends at once.
pub fn require_tool(program: &str, version: &str) -> Result<(), Skip> {
    match command(program).arg(version).stdin(Stdio::null()).output() {
        Ok(_) => Ok(()),
        Err(error) => Err(Skip::NotSetUp(format!(
            "{program} cannot be started ({error}); `make setup-test` installs it"
        ))),
    }
}

/// A command that also looks where Debian keeps servers, which is not on every user's `PATH`.
pub fn command(program: &str) -> Command {
    let found = ["/usr/sbin", "/sbin"]
        .iter()
        .map(|folder| Path::new(folder).join(program))
        .find(|path| path.exists());
    Command::new(found.unwrap_or_else(|| PathBuf::from(program)))
}

/// The Python environment of `make setup-test`.
pub fn venv() -> Result<PathBuf, Skip> {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv");
    if venv.join("bin/python").exists() {
        Ok(venv)
    } else {
        Err(Skip::NotSetUp("there is no target/venv; `make setup-test` makes it".into()))
    }
}

/// Linux capabilities by their bit in `/proc/self/status`.
const CAP_NET_ADMIN: u32 = 12;
const CAP_NET_RAW: u32 = 13;
const CAP_SYS_ADMIN: u32 = 21;

/// Whether this process may capture packets, and with `namespaces` make network namespaces.
pub fn require_privilege(namespaces: bool) -> Result<(), Skip> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    let needed: &[u32] =
        if namespaces { &[CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN] } else { &[CAP_NET_RAW] };
    if needed.iter().all(|bit| bits >> bit & 1 == 1) {
        return Ok(());
    }
    let what = if namespaces { "network namespaces" } else { "capturing packets" };
    Err(Skip::Unable(format!("{what} takes root or its capabilities, which this process has not")))
}

/// Whether this process runs as root.
pub fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"))
}
