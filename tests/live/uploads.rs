//! Requests with bodies that are not kept in memory.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use sha2::{Digest as _, Sha256};
use shadowcap::record::Reader;

use crate::lab::{Lab, SmallDisk, balance, summary};
use crate::support::{Finished, Httpbin, Process, Running, Skip, Veth};

/// What the tests keep in memory of a body.
const KEPT: &str = "64KiB";

/// A service that says which bytes it got: in its answer, and aloud.
const DIGESTING: &str = r#"
import hashlib

def app(environ, start_response):
    digest, length = hashlib.sha256(), 0
    while piece := environ["wsgi.input"].read(65536):
        digest.update(piece)
        length += len(piece)
    framing = environ.get("HTTP_TRANSFER_ENCODING", "length")
    got = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} {framing} {length} {digest.hexdigest()}"
    print(got, file=environ["wsgi.errors"], flush=True)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(got)))])
    return [got.encode()]
"#;

/// v1 and v2 beside each other.
struct Services {
    lab: Lab,
    v1: Httpbin,
    v2: Httpbin,
}

impl Services {
    fn new() -> Result<Self, Skip> {
        let lab = Lab::new()?;
        let at = |port| SocketAddr::new(Veth::ADDRESS_B, port);
        let v1 = Httpbin::start_app_in(&lab.cable.b, at(8080), DIGESTING)?;
        let v2 = Httpbin::start_app_in(&lab.cable.b, at(9080), DIGESTING)?;
        Ok(Self { lab, v1, v2 })
    }

    fn start(&self, further: &[&str]) -> Running {
        self.lab.start(&[&live(&self.v2.url())[..], further].concat())
    }

    /// Uploads so many bytes to v1, and says how a service calls what it got.
    fn upload(&self, path: &str, framing: &str, len: usize) -> String {
        let body = filling(len);
        let mut got = format!("PUT {path} {framing} {len} ");
        for byte in Sha256::digest(&body) {
            write!(got, "{byte:02x}").unwrap();
        }
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&body).unwrap();
        let mut curl = self.lab.cable.a.command("curl");
        curl.args(["-sS", "--fail", "-H", "Expect:", "-T", file.path().to_str().unwrap()]);
        if framing == "chunked" {
            curl.args(["-H", "Transfer-Encoding: chunked"]);
        }
        let output = curl.arg(format!("{}{path}", self.v1.url())).stdin(Stdio::null()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), got, "{output:?}");
        got
    }
}

/// The command line, for a v2.
fn live(v2: &str) -> [&str; 11] {
    ["live", "-i", "veth0", "-f", "tcp port 8080", "--to", v2, "--out", "run", "--max-body", KEPT]
}

/// Bytes that repeat nowhere near.
fn filling(len: usize) -> Vec<u8> {
    (0..len).map(|n| u8::try_from((n * n / 7 + n) % 251).unwrap()).collect()
}

fn ended(running: Running) -> (Finished, serde_json::Value) {
    running.interrupt();
    let finished = running.wait();
    let summary = summary(&finished.folder().join("run"));
    (finished, summary)
}

#[test]
fn they_reach_v2_whole_by_either_client() {
    let services = or_skip!(Services::new());
    for client in ["exact", "reqwest"] {
        let running = services.start(&["--client", client]);
        let path = |name: &str| format!("/{client}/{name}");
        services.v2.wait_for_stderr(&services.upload(&path("long"), "length", 3_000_000));
        let chunked = services.upload(&path("chunked"), "chunked", 2_000_000);
        // The second client knows the length, and says it.
        let of_v2 = if client == "exact" { chunked } else { chunked.replace(" chunked ", " length ") };
        services.v2.wait_for_stderr(&of_v2);
        services.v2.wait_for_stderr(&services.upload(&path("small"), "length", 1000));
        let (finished, summary) = ended(running);
        assert_eq!(balance(&summary), (3, 3, 0), "{summary:#}");
        assert_eq!(summary["verdicts"]["failed"], 0, "{summary:#}");
        if client == "exact" {
            finished.exits(0);
            assert_eq!(summary["verdicts"]["match"], 3, "{summary:#}");
        }
        // Of a large one a digest is recorded.
        let mut reader = Reader::open(&finished.folder().join("run/recording")).unwrap();
        let rows: Vec<_> = std::iter::from_fn(|| reader.next_row().unwrap()).collect();
        let bodies = rows.iter().map(|row| &row.exchange.request.body);
        let mut kept: Vec<_> = bodies.map(|body| (body.len, body.entity.is_some())).collect();
        kept.sort_unstable();
        assert_eq!(kept, [(1000, true), (2_000_000, false), (3_000_000, false)]);
    }
}

/// Sends a part of an upload to v1 and goes no further, until it is dropped.
fn half_an_upload(lab: &Lab, path: &str, len: usize) -> Process {
    let script = "import socket, sys\n\
                  s = socket.create_connection(('10.99.0.2', 8080))\n\
                  path, length = sys.argv[1], int(sys.argv[2])\n\
                  s.sendall(f'PUT {path} HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: {length + 1}\\r\\n\\r\\n'.encode())\n\
                  s.sendall(b'x' * length)\n\
                  print('sent', file=sys.stderr, flush=True)\n\
                  sys.stdin.readline()\n";
    let mut client = lab.cable.a.command("python3");
    client.args(["-c", script, path, &len.to_string()]).stdin(Stdio::piped());
    client.stdout(Stdio::piped()).stderr(Stdio::piped());
    let process = Process::watch(client.spawn().unwrap(), "half an upload".into(), "KILL");
    process.wait_for_stderr("sent");
    process
}

#[test]
fn what_will_not_be_sent_takes_no_disk_from_what_will() {
    let services = or_skip!(Services::new());
    let rules = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: shop}\nspec:\n  hosts: ['*']\n  \
                 http:\n  - match: [{uri: {prefix: /left}}]\n    route: [{destination: {host: shop, subset: v1}}]\n  \
                 - route: [{destination: {host: shop, subset: v1}}]\n    mirror: {host: shop, subset: v2}\n";
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, rules).unwrap();
    let (rules, endpoint) = (file.path().to_str().unwrap(), format!("v2={}", services.v2.url()));
    let common = ["live", "-i", "veth0", "-f", "tcp port 8080", "--out", "run", "--max-body", KEPT];
    let common = [&common[..], &["--disk", "4MiB", "--max-loss", "50"]].concat();
    let to = services.v2.url();
    let by_filter = ["--to", &to, "--filter", "!path.startsWith(\"/left\")"];
    let by_rules = ["--routes", rules, "--endpoint", &endpoint];
    for (further, reason) in [(by_filter, "filtered"), (by_rules, "no-mirror")] {
        let running = services.lab.start(&[&common[..], &further].concat());
        // Were this one stored, the next would find no room.
        let half = half_an_upload(&services.lab, "/left", 3_000_000);
        services.v2.wait_for_stderr(&services.upload(&format!("/{reason}"), "length", 3_000_000));
        services.upload("/left/whole", "chunked", 5_000_000);
        let (finished, summary) = ended(running);
        drop(half);
        finished.exits(0);
        let skipped = &summary["exchanges"]["skipped"];
        assert_eq!(skipped[reason], 1, "{skipped}");
        assert!(skipped.get("queue-disk").is_none(), "{skipped}");
        assert_eq!(summary["verdicts"]["match"], 1, "{summary:#}");
    }
}

#[test]
fn what_is_beyond_the_limit_is_not_stored_and_called_so() {
    let services = or_skip!(Services::new());
    let running = services.start(&["--limit", "1"]);
    services.v2.wait_for_stderr(&services.upload("/first", "length", 100_000));
    services.upload("/second", "chunked", 500_000);
    let (finished, summary) = ended(running);
    finished.exits(0);
    assert_eq!(summary["exchanges"]["skipped"], serde_json::json!({"beyond-limit": 1}));
}

/// Files that a process has open in a folder and that never had a name: this is how the kernel calls them.
fn nameless(process: &Process, folder: &Path) -> Vec<PathBuf> {
    let open = fs::read_dir(format!("/proc/{}/fd", process.id())).unwrap();
    let open = open.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    open.filter(|file| file.parent() == Some(folder) && file.to_string_lossy().contains("/#")).collect()
}

#[test]
fn those_that_wait_for_a_v2_that_hangs_take_no_more_disk_than_they_may_and_leave_nothing() {
    let services = or_skip!(Services::new());
    let _v2 = services.lab.hanging_v2();
    let hanging = live("http://10.99.0.2:9000");
    let further = ["--disk", "4MiB", "--concurrency", "1", "--timeout", "60s"];
    let running = services.lab.start(&[&hanging[..], &further].concat());
    let folder = fs::canonicalize(running.folder()).unwrap().join("run");
    for n in 0..4 {
        services.upload(&format!("/{n}"), "length", 1_900_000);
    }
    // Which have come is seen by the reports on the way.
    let shed = (0..1000).find_map(|asked| {
        running.process.signal("USR1");
        let lines = |lines: &[String]| {
            lines.iter().filter(|line| line.starts_with("Reports of what there is so far")).count()
        };
        running.process.stderr.wait_for(|all| (lines(all) > asked).then_some(()))?;
        summary(&folder)["exchanges"]["skipped"]["queue-disk"].as_u64().filter(|shed| *shed == 2)
    });
    assert_eq!(shed, Some(2));
    // Two wait, in files that nobody has to take away.
    let waiting = nameless(&running.process, &folder);
    assert_eq!(waiting.len(), 2, "{waiting:?}");
    running.process.signal("KILL");
    let killed = running.wait();
    assert_eq!(killed.code, None);
    let files = killed.files();
    assert!(!files.iter().any(|file| file.to_string_lossy().contains("/.tmp")), "{files:?}");
}

#[test]
fn one_that_is_larger_than_the_disk_it_may_take_is_shed_alone() {
    let services = or_skip!(Services::new());
    let running = services.start(&["--disk", "1MiB"]);
    services.upload("/larger", "chunked", 3_000_000);
    services.v2.wait_for_stderr(&services.upload("/smaller", "chunked", 900_000));
    let (finished, summary) = ended(running);
    assert_eq!(summary["exchanges"]["skipped"], serde_json::json!({"queue-disk": 1}));
    assert_eq!(balance(&summary), (2, 1, 1));
    // Half of the requests is more than may be lost.
    finished.exits(3).stdout_has("--disk");
}

#[test]
fn a_full_disk_is_said_and_costs_those_requests_alone() {
    let services = or_skip!(Services::new());
    let disk = or_skip!(SmallDisk::mount("6m"));
    let (to, out) = (services.v2.url(), disk.file("run"));
    let common = ["live", "-i", "veth0", "-f", "tcp port 8080", "--max-body", KEPT, "--to", &to];
    let running = services.lab.start(&[&common[..], &["--out", out.to_str().unwrap()]].concat());
    services.upload("/larger", "length", 8_000_000);
    services.v2.wait_for_stderr(&services.upload("/smaller", "length", 2_000_000));
    running.interrupt();
    let finished = running.wait();
    let summary = summary(&out);
    assert_eq!(summary["exchanges"]["skipped"], serde_json::json!({"no-room-for-body": 1}));
    assert_eq!(balance(&summary), (2, 1, 1));
    assert_eq!(summary["verdicts"]["match"], 1, "{summary:#}");
    finished.exits(3).stderr_has("No space left").stdout_has("the disk had no room for these");
    assert!(!finished.stdout.contains("--resume"), "{finished}");
}
