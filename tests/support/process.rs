//! A process that a test started: its output as it comes, and its end, whatever happens to the test.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::Lines;

/// A running child. Dropping it asks it to stop, and after five seconds does not ask.
pub struct Process {
    child: Child,
    title: String,
    stop_signal: &'static str,
    pub stdout: Lines,
    pub stderr: Lines,
}

impl Process {
    /// Starts the command with both outputs followed. `stop_signal` is what ends it soonest (`TERM`, `QUIT`).
    ///
    /// Consumes the command, because a socket that it would hand down again must not stay open in this process.
    pub fn spawn(mut command: Command, stop_signal: &'static str) -> Self {
        command.stdout(Stdio::piped());
        Self::spawn_with_stdout(command, stop_signal)
    }

    /// The same for a command whose stdout goes where the test has sent it: only stderr is followed.
    pub fn spawn_with_stdout(mut command: Command, stop_signal: &'static str) -> Self {
        let title = format!("{command:?}");
        command.stderr(Stdio::piped());
        let child = command.spawn().unwrap_or_else(|error| panic!("{title} cannot be started: {error}"));
        Self::watch(child, title, stop_signal)
    }

    /// Takes over a child whose stderr is a pipe, and whose stdout may be one.
    pub fn watch(mut child: Child, title: String, stop_signal: &'static str) -> Self {
        let stdout = child.stdout.take().map_or_else(|| Lines::follow(std::io::empty()), Lines::follow);
        let stderr = Lines::follow(child.stderr.take().unwrap());
        Self { child, title, stop_signal, stdout, stderr }
    }

    /// Waits until a line of stderr contains `text`, and panics with all output when it does not come.
    pub fn wait_for_stderr(&self, text: &str) -> String {
        self.stderr
            .wait_for(|lines| lines.iter().find(|line| line.contains(text)).cloned())
            .unwrap_or_else(|| panic!("{text:?} was not said by {}", self.describe()))
    }

    /// Sends a signal by name (`INT`).
    pub fn signal(&self, name: &str) {
        let pid = self.child.id();
        let status =
            Command::new("sh").arg("-c").arg(format!("kill -{name} {pid}")).stderr(Stdio::null()).status();
        assert!(status.is_ok(), "no shell to send SIG{name} to {}", self.title);
    }

    /// Waits for the end, that is until both outputs are closed; kills at the deadline and gives `None`.
    pub fn wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + patience;
        let ended = self.stdout.wait_for_end(deadline) && self.stderr.wait_for_end(deadline);
        if !ended {
            let _ = self.child.kill();
        }
        let status = self.child.wait().unwrap();
        ended.then_some(status)
    }

    /// Its number; of the program that a starter became, where it became one.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The command line.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The command and all that it said, for a failure's message.
    pub fn describe(&self) -> String {
        let (stdout, stderr) = (self.stdout.text(), self.stderr.text());
        format!("{}\n--- stdout\n{stdout}\n--- stderr\n{stderr}\n---", self.title)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        self.signal(self.stop_signal);
        self.wait(Duration::from_secs(5));
    }
}
