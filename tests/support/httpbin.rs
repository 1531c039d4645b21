//! A real httpbin under gunicorn, with its access log.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::{AccessLine, Namespace, Process, Skip, venv};

/// One worker with threads, which keeps connections alive.
const CONFIG: &str = r#"
workers = 1
worker_class = "gthread"
threads = 64
keepalive = 75
accesslog = "-"
access_log_format = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s" "%({REMOTE_PORT}e)s"'

def post_worker_init(worker):
    worker.log.info("the worker is ready")
"#;

/// `httpbin` in a server of its own.
pub struct Httpbin {
    process: Process,
    address: SocketAddr,
    _folder: TempDir,
}

impl Httpbin {
    /// Starts one on a loopback port and waits until it has loaded.
    ///
    /// It inherits its listening socket as fd 0, so that its port is known before it runs and nobody else can take
    /// it.
    pub fn start() -> Result<Self, Skip> {
        let python = venv()?.join("bin/python");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let mut command = Command::new(python);
        command.stdin(Stdio::from(OwnedFd::from(listener)));
        Ok(Self::launch(command, "fd://0", address))
    }

    /// Starts one inside a namespace, where no one else has a port: it binds `address` itself.
    pub fn start_in(namespace: &Namespace, address: SocketAddr) -> Result<Self, Skip> {
        let python = venv()?.join("bin/python");
        let mut command = namespace.command(&python.display().to_string());
        command.stdin(Stdio::null());
        Ok(Self::launch(command, &address.to_string(), address))
    }

    /// The same server with another application in place of httpbin: Python's text, which calls it `app`.
    pub fn start_app_in(namespace: &Namespace, address: SocketAddr, text: &str) -> Result<Self, Skip> {
        let python = venv()?.join("bin/python");
        let mut command = namespace.command(&python.display().to_string());
        command.stdin(Stdio::null());
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("own.py"), text).unwrap();
        Ok(Self::launch_app(command, &address.to_string(), address, "own:app", folder))
    }

    /// Waits until a line of what it says besides its log contains `text`.
    pub fn wait_for_stderr(&self, text: &str) -> String {
        self.process.wait_for_stderr(text)
    }

    fn launch(command: Command, bind: &str, address: SocketAddr) -> Self {
        Self::launch_app(command, bind, address, "httpbin:app", TempDir::new().unwrap())
    }

    fn launch_app(mut command: Command, bind: &str, address: SocketAddr, app: &str, folder: TempDir) -> Self {
        fs::write(folder.path().join("config.py"), CONFIG).unwrap();
        command.args(["-m", "gunicorn", "--config", "config.py", "--bind", bind, app]).current_dir(&folder);
        let process = Process::spawn(command, "QUIT");
        process.wait_for_stderr("the worker is ready");
        Self { process, address, _folder: folder }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until the log has `count` lines, and gives all that it has. A line is written after its answer, so it
    /// may be late.
    pub fn wait_for_requests(&self, count: usize) -> Vec<AccessLine> {
        wait_for_requests(&self.process, count)
    }
}

/// Of a process that writes its access log to stdout.
pub(super) fn wait_for_requests(process: &Process, count: usize) -> Vec<AccessLine> {
    let lines = process.stdout.wait_for(|lines| (lines.len() >= count).then(|| lines.to_vec()));
    let lines =
        lines.unwrap_or_else(|| panic!("fewer than {count} requests were logged by {}", process.describe()));
    lines
        .iter()
        .map(|line| AccessLine::parse(line).unwrap_or_else(|| panic!("no log line: {line:?}")))
        .collect()
}
