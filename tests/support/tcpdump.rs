//! A real tcpdump.

use std::io::PipeWriter;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::skip::command;
use super::{Namespace, PATIENCE, Process, Skip, require_privilege, require_tool};

/// A capture in progress.
pub struct Tcpdump {
    process: Process,
    /// How often the kernel counts a packet: on loopback it leaves and arrives.
    sightings: Option<u64>,
}

/// tcpdump's own account at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketCounts {
    /// Written to the file.
    pub captured: u64,
    /// Seen by the kernel's filter; on loopback each packet is seen twice.
    pub received: u64,
    /// Lost for want of buffer.
    pub dropped: u64,
}

impl Tcpdump {
    /// Captures on an interface into `file`, and returns once it listens.
    pub fn start(interface: &str, filter: &str, file: &Path) -> Result<Self, Skip> {
        require_tool("tcpdump", "--version")?;
        require_privilege(false)?;
        Ok(Self::launch(command("tcpdump"), interface, filter, file, None))
    }

    /// The same inside a namespace.
    pub fn start_in(namespace: &Namespace, interface: &str, filter: &str, file: &Path) -> Result<Self, Skip> {
        require_tool("tcpdump", "--version")?;
        Ok(Self::launch(namespace.command("tcpdump"), interface, filter, file, None))
    }

    /// Captures into a pipe, as `tcpdump -w - | ...` does.
    pub fn into_pipe(interface: &str, filter: &str, pipe: PipeWriter) -> Result<Self, Skip> {
        require_tool("tcpdump", "--version")?;
        require_privilege(false)?;
        Ok(Self::launch(command("tcpdump"), interface, filter, Path::new("-"), Some(pipe)))
    }

    fn launch(
        mut command: Command,
        interface: &str,
        filter: &str,
        file: &Path,
        pipe: Option<PipeWriter>,
    ) -> Self {
        // A buffer of 64 MiB, so that a busy machine loses nothing. Root stays root, since the user `tcpdump` could
        // not write to the test's folder.
        command.args(["-n", "-U", "-B", "65536", "-Z", "root", "-i", interface, "-w"]).arg(file).arg(filter);
        command.stdin(Stdio::null());
        command.stdout(pipe.map_or_else(Stdio::piped, Stdio::from));
        let process = Process::spawn_with_stdout(command, "INT");
        process.wait_for_stderr("listening on ");
        let sightings = match interface {
            "lo" => Some(2),
            "any" => None,
            _ => Some(1),
        };
        Self { process, sightings }
    }

    /// Stops when all that was captured so far is in the file, and gives the account.
    pub fn stop(mut self) -> PacketCounts {
        self.wait_until_written();
        self.process.signal("INT");
        let status = self.process.wait(PATIENCE);
        assert!(status.is_some_and(|status| status.success()), "{}", self.process.describe());
        let lines = self.process.stderr.all();
        let account = lines.len().checked_sub(3).map(|start| lines[start..].join(", "));
        account
            .and_then(|account| PacketCounts::parse(&account))
            .unwrap_or_else(|| panic!("no account at the end of {}", self.process.describe()))
    }

    /// The kernel hands packets over in blocks, at the latest after a second, and an interrupt would leave the last
    /// block behind. Nothing tells when it came, so tcpdump is asked for its counts until they agree, or until they
    /// have stood still for longer than that second.
    fn wait_until_written(&self) {
        let (mut last, mut since) = (self.counts_now(), Instant::now());
        loop {
            let settled =
                last.dropped == 0 && self.sightings.is_some_and(|n| last.captured * n == last.received);
            if settled || since.elapsed() > Duration::from_secs(2) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
            let counts = self.counts_now();
            if counts != last {
                (last, since) = (counts, Instant::now());
            }
        }
    }

    /// Asks by a signal and waits for the answer.
    fn counts_now(&self) -> PacketCounts {
        let said = self.process.stderr.all().len();
        self.process.signal("USR1");
        let answer = self
            .process
            .stderr
            .wait_for(|lines| lines[said..].iter().find_map(|line| PacketCounts::parse(line)));
        answer.unwrap_or_else(|| panic!("no counts from {}", self.process.describe()))
    }
}

impl PacketCounts {
    /// `3000 packets captured, 6000 packets received by filter, 0 packets dropped by kernel`
    fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix("tcpdump: ").unwrap_or(text);
        let mut counts = text.split(", ").filter_map(|part| part.split_once(' ')?.0.parse().ok());
        Some(Self { captured: counts.next()?, received: counts.next()?, dropped: counts.next()? })
    }
}
