//! Two namespaces and a cable: clients on one side, v1 and shadowcap on the other.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Finished, Namespace, Nginx, Process, Running, Shadowcap, Skip, Veth, require_tool};

/// What both versions answer.
pub(crate) const SITE: &str = "server { listen {listen} backlog=4096; keepalive_requests 1000000; location / { return 200 'hello\n'; } }";

/// The clients' side is `cable.a`, the server's `cable.b`.
pub(crate) struct Lab {
    pub(crate) cable: Veth,
    pub(crate) v1: Nginx,
}

impl Lab {
    pub(crate) fn new() -> Result<Self, Skip> {
        Self::with_site(SITE)
    }

    /// One whose v1 is another site.
    pub(crate) fn with_site(site: &str) -> Result<Self, Skip> {
        require_tool("curl", "--version")?;
        require_tool("tshark", "--version")?;
        let cable = Veth::new()?;
        let v1 = Nginx::start_in(&cable.b, SocketAddr::new(Veth::ADDRESS_B, 8000), site)?;
        Ok(Self { cable, v1 })
    }

    /// A v2 that is v1's site, beside it.
    pub(crate) fn v2_of_site(&self, site: &str) -> Result<Nginx, Skip> {
        Nginx::start_in(&self.cable.b, SocketAddr::new(Veth::ADDRESS_B, 9000), site)
    }

    /// A v2 beside v1, so that what goes to it never passes the cable.
    pub(crate) fn v2_beside(&self) -> Result<Nginx, Skip> {
        Nginx::start_in(&self.cable.b, SocketAddr::new(Veth::ADDRESS_B, 9000), SITE)
    }

    /// A v2 at the clients' side, so that what goes to it passes the cable, too.
    pub(crate) fn v2_opposite(&self) -> Result<Nginx, Skip> {
        Nginx::start_in(&self.cable.a, SocketAddr::new(Veth::ADDRESS_A, 9000), SITE)
    }

    /// A v2 at the server's side that takes connections and never answers.
    pub(crate) fn hanging_v2(&self) -> Process {
        self.hanging_v2_at(9000)
    }

    pub(crate) fn hanging_v2_at(&self, port: u16) -> Process {
        let script = "import socket, sys\n\
                      s = socket.create_server(('0.0.0.0', int(sys.argv[1])), backlog=4096)\n\
                      print('ready', file=sys.stderr, flush=True)\n\
                      held = []\n\
                      while True: held.append(s.accept())\n";
        let mut command = self.cable.b.command("python3");
        command.args(["-c", script, &port.to_string()]).stdin(Stdio::null());
        let process = Process::spawn(command, "KILL");
        process.wait_for_stderr("ready");
        process
    }

    /// shadowcap at the server's side, once it captures.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        let running = Shadowcap::new_in(&self.cable.b, arguments).spawn();
        running.process.wait_for_stderr("Capturing on ");
        running
    }

    /// So many requests by curl, each with a target of its own, over one connection.
    pub(crate) fn curl(&self, prefix: &str, count: usize) {
        curl(&self.cable.a, &format!("{}/{prefix}/[1-{count}]", self.v1.url()));
    }

    /// The same over several connections at once.
    pub(crate) fn curls(&self, connections: usize, count: usize) {
        std::thread::scope(|scope| {
            for connection in 0..connections {
                scope.spawn(move || self.curl(&connection.to_string(), count));
            }
        });
    }
}

/// Gets a URL, or those of a range in brackets, and asserts that each was answered.
pub(crate) fn curl(from: &Namespace, url: &str) {
    curl_with(from, &[], url);
}

/// The same, with more of curl's options.
pub(crate) fn curl_with(from: &Namespace, options: &[&str], url: &str) {
    let mut command = from.command("curl");
    command.args(["-sS", "--fail", "-o", "/dev/null"]).args(options).arg(url);
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{url}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The summary of a run, as it stands in its folder.
pub(crate) fn summary(folder: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join("summary.json")).unwrap()).unwrap()
}

/// The sum of the numbers in an object.
pub(crate) fn sum(object: &Value) -> u64 {
    object.as_object().unwrap().values().map(|value| value.as_u64().unwrap()).sum()
}

/// Asserts the two identities of every account, and gives captured, replayed and skipped.
pub(crate) fn balance(summary: &Value) -> (u64, u64, u64) {
    let exchanges = &summary["exchanges"];
    let of = |name: &str| exchanges[name].as_u64().unwrap();
    let (captured, replayed, skipped) = (of("captured"), of("replayed"), sum(&exchanges["skipped"]));
    assert_eq!(captured, replayed + skipped, "{exchanges}");
    assert_eq!(replayed, sum(&summary["verdicts"]), "{summary}");
    (captured, replayed, skipped)
}

/// What tshark reads of a file: a line for each packet; it has to read the file to its end.
pub(crate) fn tshark(file: &Path, fields: &[&str]) -> Vec<String> {
    let mut command = Command::new("tshark");
    command
        .args(["-n", "-T", "fields"])
        .args(fields.iter().flat_map(|field| ["-e", field]))
        .arg("-r")
        .arg(file);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !errors.contains("cut short"), "{}: {errors}", file.display());
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// What shadowcap itself reads of a capture: the document of `inspect --format json`, without any damage.
pub(crate) fn inspect(captures: &[PathBuf]) -> Value {
    let mut inspect = Shadowcap::new(["inspect", "--format", "json"]);
    for capture in captures {
        inspect = inspect.arg(capture);
    }
    let finished: Finished = inspect.run();
    finished.exits(0);
    let document = finished.json();
    assert!(document["anomalies"].get("truncated-file").is_none(), "{document}");
    document
}

/// The captures in a folder, in the order of their names.
pub(crate) fn captures_in(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| {
        path.to_string_lossy().contains(".pcapng") && !path.to_string_lossy().ends_with(".part")
    });
    files.sort();
    files
}

/// A file system of its own, of a size as `mount` takes it.
pub(crate) struct SmallDisk(TempDir);

impl SmallDisk {
    pub(crate) fn mount(size: &str) -> Result<Self, Skip> {
        let at = TempDir::new().unwrap();
        let mut mount = Command::new("mount");
        let size = format!("size={size}");
        let status = mount.args(["-t", "tmpfs", "-o", &size, "shadowcap-test"]).arg(at.path()).status();
        if status.is_ok_and(|status| status.success()) {
            Ok(Self(at))
        } else {
            Err(Skip::Unable("no file system can be mounted here".into()))
        }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // It fails where a file is still open; then the machine keeps the memory, and the test says why elsewhere.
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}
