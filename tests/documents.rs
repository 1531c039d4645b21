//! Every command that a document or a help text shows is run, and does what a reader may expect: it ends with 0 or 1,
//! and neither with a usage error nor in a panic.
//!
//! Commands run in a folder laid out as the documents assume. What cannot be had here is replaced: addresses by the
//! demo's own services, a port to capture on by the port of one, `kubectl exec` and `ssh` by scripts that run the
//! remote command here, and tcpdump by one that ends after some packets of traffic, which the test makes. What captures
//! itself does so on loopback, for two seconds of such traffic.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what broke by panicking")]

#[macro_use]
mod support;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use support::{Finished, Process, Running, Shadowcap, Skip, captures, get, require_privilege, require_tool};
use tempfile::TempDir;

/// The run that documents show.
const RUN: &str = "reports/httpbin-v1-20261122T120750Z";
/// The rules that documents name: those of Istio's mirroring task, for the demo's shop.
const ROUTES: &str = "\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [shop]
  http:
  - route:
    - destination: {host: shop, subset: v1}
    mirror: {host: shop, subset: v2}
";
/// How many packets tcpdump captures here before it ends.
const PACKETS: u32 = 40;
/// How long one command may take.
const LONGEST: Duration = Duration::from_secs(60);

/// A command as it is shown, and where.
#[derive(Clone, Debug)]
struct Shown {
    place: String,
    command: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The documents that people read: Markdown at the top and in the folders below it.
fn documents() -> Vec<PathBuf> {
    let folders = [".", "captures", ".github", "deploy", "tests", "docs"].map(|folder| root().join(folder));
    let entries = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    let mut files: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    files.sort();
    files
}

/// The lines of a document's fenced blocks, each with the fence's language.
fn fenced(document: &Path) -> Vec<(String, Shown)> {
    let text = fs::read_to_string(document).unwrap();
    let name = document.strip_prefix(root()).unwrap().display().to_string();
    let (mut language, mut lines) = (None, Vec::new());
    for (number, line) in (1..).zip(text.lines()) {
        match (line.strip_prefix("```"), &language) {
            (Some(_), Some(_)) => language = None,
            (Some(opened), None) => language = Some(opened.to_owned()),
            (None, Some(language)) => {
                let shown = Shown { place: format!("{name}:{number}"), command: line.to_owned() };
                lines.push((language.clone(), shown));
            }
            (None, None) => {}
        }
    }
    lines
}

/// What stands behind `$ ` in the documents' console blocks.
fn console_commands() -> Vec<Shown> {
    let lines = documents().into_iter().flat_map(|document| fenced(&document));
    let console = lines.filter(|(language, _)| language == "console").map(|(_, shown)| shown);
    let command = |shown: Shown| {
        let command = shown.command.strip_prefix("$ ")?.to_owned();
        Some(Shown { command, ..shown })
    };
    console.filter_map(command).collect()
}

fn help(arguments: &[&str]) -> String {
    let finished = Shadowcap::new([arguments, &["--help"]].concat()).run();
    finished.exits(0);
    finished.stdout
}

/// The lines beneath a heading of a help text, up to the next heading.
fn section<'t>(help: &'t str, heading: &'t str) -> impl Iterator<Item = &'t str> {
    let after = help.lines().skip_while(move |line| *line != heading).skip(1);
    after.take_while(|line| line.starts_with(' '))
}

/// The examples in the help of the program and of each of its commands.
fn examples() -> Vec<Shown> {
    let main = help(&[]);
    let names = section(&main, "Commands:").filter_map(|line| line.split_whitespace().next());
    let mut pages = vec![("shadowcap --help".to_owned(), main.clone())];
    pages.extend(
        names.filter(|name| *name != "help").map(|name| (format!("shadowcap {name} --help"), help(&[name]))),
    );
    pages.iter().flat_map(|(place, text)| examples_of(place, text)).collect()
}

fn examples_of(place: &str, text: &str) -> Vec<Shown> {
    let mut commands: Vec<Shown> = Vec::new();
    for line in section(text, "Examples:") {
        assert!(line.len() <= 80, "{place}: this breaks on a terminal of 80 columns: {line}");
        match commands.last_mut().filter(|shown| shown.command.ends_with('|')) {
            Some(shown) => shown.command = format!("{} {}", shown.command, line.trim()),
            None => commands.push(Shown { place: place.to_owned(), command: line.trim().to_owned() }),
        }
    }
    assert!(!commands.is_empty(), "{place} has no examples");
    commands
}

/// One of the demo's services, on a port of its own.
struct Service {
    _running: Running,
    address: SocketAddr,
}

impl Service {
    fn start(version: &str) -> Self {
        let running = Shadowcap::new(["demo", "--serve", version]).spawn();
        let line = running.process.stdout.wait_for(|lines| lines.first().cloned());
        let line = line.unwrap_or_else(|| panic!("no address from {}", running.process.describe()));
        Self { address: line.parse().unwrap(), _running: running }
    }
}

/// v1, which is captured, and v2, to which requests are replayed.
struct Services {
    v1: Service,
    v2: Service,
}

impl Services {
    fn start() -> Self {
        Self { v1: Service::start("v1"), v2: Service::start("v2") }
    }

    /// The command with what is to be had here in place of the document's examples.
    fn substitute(&self, command: &str, folder: &Path) -> String {
        let v2 = format!("http://{}", self.v2.address);
        let port = |command: &str| {
            let with = |name: &str| format!("tcp port {name}");
            let here = with(&self.v1.address.port().to_string());
            command.replace(&with("8000"), &here).replace(&format!("{}'", with("80")), &format!("{here}'"))
        };
        let command = command
            .replace("http://127.0.0.1:8080", &v2)
            .replace("http://v2.staging:8080", &v2)
            .replace("http://v1.staging:8080", &format!("http://{}", self.v1.address))
            .replace("--listen 127.0.0.1:8080", "--listen 127.0.0.1:0")
            .replace("/tmp/", &format!("{}/", folder.join("tmp").display()));
        let command = port(&command);
        if captures_itself(&command) { self.on_loopback(&command, folder) } else { command }
    }

    /// The same for a command that captures: on loopback, into a folder that may be written to, for a moment.
    fn on_loopback(&self, command: &str, folder: &Path) -> String {
        let command = command
            .replace("-i eth0", "-i lo")
            .replace("--port 80 ", &format!("--port {} ", self.v1.address.port()))
            .replace("captures/", &format!("{}/", folder.join("tmp").display()));
        // What else happens on loopback is none of the example's business.
        let narrowed = command.contains(" -f ") || command.contains(" --port ");
        let command = if command.contains("shadowcap live") && !narrowed {
            format!("{command} --port {}", self.v1.address.port())
        } else {
            command
        };
        match command.split_once("--duration ") {
            Some((before, after)) => {
                let rest = after.split_once(' ').map_or("", |(_, rest)| rest);
                format!("{before}--duration 2s {rest}")
            }
            None => format!("{command} --duration 2s"),
        }
    }
}

/// Whether a command captures by itself.
fn captures_itself(command: &str) -> bool {
    let capture = command.contains("shadowcap capture") && !command.contains("--list");
    capture || command.contains("shadowcap live")
}

/// A folder in which the documents' files are, and a `PATH` with the programs that they name.
fn lay_out(v2: SocketAddr) -> TempDir {
    let folder = TempDir::new().unwrap();
    let at = |path: &str| folder.path().join(path);
    for name in ["rotated", "reports", "tmp", "bin"] {
        fs::create_dir(at(name)).unwrap();
    }
    symlink(root().join("captures"), at("captures")).unwrap();
    let shop = captures::bundled("demo-shop-v1.pcap");
    fs::copy(&shop, at("yesterday.pcap")).unwrap();
    fs::copy(captures::bundled("istio-mirroring-task.pcap"), at("rotated/110000.pcap")).unwrap();
    fs::copy(&shop, at("day.pcap")).unwrap();
    for name in ["routes.yaml", "r.yaml"] {
        fs::write(at(name), ROUTES).unwrap();
    }
    fs::write(at("accepted.toml"), "# Nothing is accepted yet.\n").unwrap();
    let bytes = fs::read(&shop).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, &bytes).unwrap();
    fs::write(at("rotated/120000.pcap.gz"), gzip.finish().unwrap()).unwrap();
    let run = at(RUN).display().to_string();
    let shop = shop.display().to_string();
    Shadowcap::new(["replay", &shop, "--to", &format!("http://{v2}"), "--out", &run]).run().exits(1);

    symlink(env!("CARGO_BIN_EXE_shadowcap"), at("bin/shadowcap")).unwrap();
    script(
        &at("bin/kubectl"),
        r#"[ "$1" = get ] && exec cat routes.yaml; while [ "$1" != -- ]; do shift; done; shift; exec "$@""#,
    );
    // The remote shell is given the words, not what quoted them.
    script(&at("bin/ssh"), r#"shift; exec sh -c "$*""#);
    // Root stays root, since the user `tcpdump` could not write to this folder. Without an interface it would take
    // the first that is no loopback, on which nothing happens here.
    let interface = r#"case " $* " in *" -i "*) ;; *) set -- -i lo "$@" ;; esac"#;
    let real = r#"PATH="${PATH#*:}:/usr/sbin:/sbin""#;
    script(
        &at("bin/tcpdump"),
        &format!("{interface}\n{real}\nexec timeout 30 tcpdump -Z root -c {PACKETS} \"$@\""),
    );
    folder
}

fn script(path: &Path, body: &str) {
    fs::write(path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Starts a command as a reader's shell would, with a failure in a pipe being a failure.
fn start(command: &str, folder: &Path) -> Process {
    let path = format!("{}:{}", folder.join("bin").display(), std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("bash");
    shell.args(["-o", "pipefail", "-c", command]).current_dir(folder).env("PATH", path);
    for name in ["RUST_LOG", "http_proxy", "https_proxy", "all_proxy", "ALL_PROXY"] {
        shell.env_remove(name);
    }
    shell.stdin(Stdio::null());
    Process::spawn(shell, "TERM")
}

/// Runs a shown command to its end, and says what is wrong with how it ended.
fn run(shown: &Shown, services: &Services) -> Result<(), String> {
    let folder = lay_out(services.v2.address);
    let command = services.substitute(&shown.command, folder.path());
    // A service runs until it is interrupted, and so it must itself be what the signal reaches.
    let serves = command.contains("--serve");
    let mut process = start(&if serves { format!("exec {command}") } else { command }, folder.path());
    let ended = AtomicBool::new(false);
    let status = std::thread::scope(|scope| {
        if shown.command.contains("tcpdump") || captures_itself(&shown.command) {
            scope.spawn(|| make_traffic(services.v1.address, &ended));
        }
        if serves {
            let address = process.stdout.wait_for(|lines| lines.first()?.parse().ok());
            get(address.unwrap(), "/");
            process.signal("INT");
        }
        let status = process.wait(LONGEST);
        ended.store(true, Ordering::Relaxed);
        status
    });
    let code = status.and_then(|status| status.code());
    let panicked = process.stderr.text().contains("panicked at");
    if matches!(code, Some(0 | 1)) && !panicked {
        return Ok(());
    }
    Err(format!("{}: `{}` ended with {code:?}\n{}", shown.place, shown.command, process.describe()))
}

/// Asks v1 until the command has ended: tcpdump says on stderr when it listens, which a pipe may hide.
fn make_traffic(v1: SocketAddr, ended: &AtomicBool) {
    while !ended.load(Ordering::Relaxed) {
        get(v1, "/products/1");
    }
}

/// What a command needs that not every machine has.
fn requirements(command: &str) -> Result<(), Skip> {
    if command.contains("tcpdump") {
        require_tool("tcpdump", "--version")?;
        require_privilege(false)?;
    }
    if captures_itself(command) {
        if cfg!(not(feature = "live")) {
            return Err(Skip::Unable("this build cannot capture".into()));
        }
        require_privilege(false)?;
    }
    if command.contains("jq") { require_tool("jq", "--version") } else { Ok(()) }
}

/// Runs them all, each in a folder of its own, and reports all failures at once.
fn run_all(commands: &[Shown]) {
    let services = Services::start();
    let mut failures = Vec::new();
    for shown in commands {
        match requirements(&shown.command) {
            Ok(()) => failures.extend(run(shown, &services).err()),
            Err(skip) => skip.report(),
        }
    }
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), commands.len(), failures.join("\n"));
}

#[test]
fn every_command_of_the_documents_works() {
    let commands = console_commands();
    let of_readme = commands.iter().filter(|shown| shown.place.starts_with("README.md:")).count();
    assert!(of_readme >= 10, "only {of_readme} commands were found in the README");
    run_all(&commands);
}

#[test]
fn every_example_of_the_help_works() {
    run_all(&examples());
}

#[test]
fn every_make_target_of_the_documents_is_there() {
    let lines = documents().into_iter().flat_map(|document| fenced(&document)).map(|(_, shown)| shown);
    let targets: Vec<Shown> = lines.filter(|shown| shown.command.starts_with("make ")).collect();
    assert!(targets.len() >= 5, "{targets:?}");
    for shown in targets {
        let command = shown.command.split('#').next().unwrap().replacen("make ", "make --dry-run ", 1);
        let output = Command::new("sh").args(["-c", &command]).current_dir(root()).output().unwrap();
        assert!(output.status.success(), "{}: {command}: {output:?}", shown.place);
    }
}

#[test]
fn every_file_that_a_document_links_is_there() {
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        let folder = document.parent().unwrap();
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split([')', '#']).next().unwrap();
            if !target.is_empty() && !target.contains("://") {
                assert!(folder.join(target).exists(), "{}: {target}", document.display());
            }
        }
    }
}

#[test]
fn the_man_page_is_one() {
    let finished: Finished = Shadowcap::new(["man"]).run();
    finished.exits(0).stdout_has(".TH shadowcap");
}
