//! Runs the program that was built, and keeps all that it said for the message of a failure.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io::{PipeReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::{Namespace, PATIENCE, Process};

/// The program as cargo built it for this test; or another build of it, which the environment names where something is
/// measured.
pub fn program() -> String {
    std::env::var("SHADOWCAP_PROGRAM").unwrap_or_else(|_| env!("CARGO_BIN_EXE_shadowcap").to_owned())
}

/// What it reads from stdin.
enum Input {
    Bytes(Vec<u8>),
    Pipe(PipeReader),
}

/// A command line in the making, in a folder of its own.
pub struct Shadowcap {
    command: Command,
    stdin: Input,
    patience: Duration,
    folder: TempDir,
}

impl Shadowcap {
    /// `shadowcap` with these arguments, in an empty folder and without what the user's environment would change.
    pub fn new<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Self {
        Self::with(Command::new(program()), arguments)
    }

    /// The same inside a network namespace.
    pub fn new_in<A: AsRef<OsStr>>(namespace: &Namespace, arguments: impl IntoIterator<Item = A>) -> Self {
        // Where the tests themselves run under nohup, SIGHUP would mean nothing to what they start.
        let mut starter = namespace.command("env");
        starter.arg("--default-signal=HUP");
        Self::under(starter, arguments)
    }

    /// The same, started by another command, which gets the program's path and these as its last arguments.
    pub fn under<A: AsRef<OsStr>>(mut starter: Command, arguments: impl IntoIterator<Item = A>) -> Self {
        starter.arg(program());
        Self::with(starter, arguments)
    }

    fn with<A: AsRef<OsStr>>(mut command: Command, arguments: impl IntoIterator<Item = A>) -> Self {
        let folder = TempDir::new().unwrap();
        command.args(arguments).current_dir(&folder).env("NO_COLOR", "1");
        for name in ["RUST_LOG", "RUST_BACKTRACE", "http_proxy", "https_proxy", "all_proxy", "ALL_PROXY"] {
            command.env_remove(name);
        }
        Self { command, stdin: Input::Bytes(Vec::new()), patience: PATIENCE, folder }
    }

    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments);
        self
    }

    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Input::Bytes(bytes.into());
        self
    }

    /// Reads what another process writes.
    #[must_use]
    pub fn stdin_from(mut self, pipe: PipeReader) -> Self {
        self.stdin = Input::Pipe(pipe);
        self
    }

    /// How long it may run: [`PATIENCE`] unless told.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The folder in which it will run, to lay out files beforehand.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs it to its end; panics with all that it said when it does not come.
    pub fn run(self) -> Finished {
        self.spawn().wait()
    }

    /// Starts it and returns.
    pub fn spawn(mut self) -> Running {
        let title = format!("{:?}", self.command);
        let (bytes, stdin) = match self.stdin {
            Input::Bytes(bytes) => (Some(bytes), Stdio::piped()),
            Input::Pipe(pipe) => (None, Stdio::from(pipe)),
        };
        self.command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().unwrap_or_else(|error| panic!("{title}: {error}"));
        // The command would keep the pipe open.
        drop(self.command);
        if let Some(bytes) = bytes {
            feed(&mut child, bytes);
        }
        Running {
            process: Process::watch(child, title, "KILL"),
            patience: self.patience,
            folder: self.folder,
        }
    }
}

/// Writes the input from a thread, since the program may fill its output before it reads all of it.
fn feed(child: &mut Child, bytes: Vec<u8>) {
    let mut stdin = child.stdin.take().unwrap();
    std::thread::spawn(move || {
        // The program may well end before it has read everything.
        let _ = stdin.write_all(&bytes);
    });
}

/// The program while it runs.
pub struct Running {
    pub process: Process,
    patience: Duration,
    folder: TempDir,
}

impl Running {
    /// What Ctrl-C sends.
    pub fn interrupt(&self) {
        self.process.signal("INT");
    }

    /// The folder in which it runs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What an orchestrator sends.
    pub fn terminate(&self) {
        self.process.signal("TERM");
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Finished {
        let status = self.process.wait(self.patience);
        let Some(status) = status else {
            panic!("did not end within {:?} and was killed: {}", self.patience, self.process.describe());
        };
        Finished {
            code: status.code(),
            stdout: self.process.stdout.text(),
            stderr: self.process.stderr.text(),
            title: self.process.title().to_owned(),
            folder: self.folder,
        }
    }
}

/// How it ended. Every assertion fails with the command, both outputs and the files that it left.
pub struct Finished {
    /// `None` when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    title: String,
    folder: TempDir,
}

impl Finished {
    #[track_caller]
    fn check(&self, right: bool, what: &str) -> &Self {
        assert!(right, "\n{what}\n{self}");
        self
    }

    /// Asserts the exit status.
    #[track_caller]
    pub fn exits(&self, code: i32) -> &Self {
        self.check(self.code == Some(code), &format!("the exit status should be {code}"))
    }

    #[track_caller]
    pub fn stdout_has(&self, text: &str) -> &Self {
        self.check(self.stdout.contains(text), &format!("stdout should contain {text:?}"))
    }

    #[track_caller]
    pub fn stderr_has(&self, text: &str) -> &Self {
        self.check(self.stderr.contains(text), &format!("stderr should contain {text:?}"))
    }

    /// Stdout as one JSON document.
    #[track_caller]
    pub fn json(&self) -> Value {
        let value = serde_json::from_str(&self.stdout);
        self.check(value.is_ok(), "stdout should be one JSON document");
        value.unwrap()
    }

    /// Stdout as JSON, a document for each line.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<Value> {
        let parse = |line: &str| {
            let value = serde_json::from_str(line);
            self.check(value.is_ok(), &format!("this line should be JSON: {line}"));
            value.unwrap()
        };
        self.stdout.lines().map(parse).collect()
    }

    /// The folder in which it ran.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A file that it wrote, by its path in that folder.
    #[track_caller]
    pub fn file(&self, path: impl AsRef<Path>) -> String {
        let path = self.folder.path().join(path);
        let text = fs::read_to_string(&path);
        self.check(text.is_ok(), &format!("{} should be there and be text", path.display()));
        text.unwrap()
    }

    /// Every file below the folder, relative to it, sorted.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        let mut files: Vec<PathBuf> = files
            .iter()
            .filter_map(|path| path.strip_prefix(self.folder.path()).ok())
            .map(Path::to_owned)
            .collect();
        files.sort();
        files
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "command: {}", self.title)?;
        writeln!(f, "folder:  {}", self.folder.path().display())?;
        writeln!(f, "files:   {:?}", self.files())?;
        writeln!(f, "exit:    {:?}", self.code)?;
        writeln!(f, "--- stdout\n{}\n--- stderr\n{}\n---", self.stdout, self.stderr)
    }
}
