//! A real nginx, with its access log.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::httpbin::wait_for_requests;
use super::skip::{command, is_root};
use super::{AccessLine, Namespace, Process, Skip, require_tool};

/// nginx in the foreground, with a folder of its own.
pub struct Nginx {
    process: Process,
    address: SocketAddr,
    folder: TempDir,
}

impl Nginx {
    /// Starts one on a loopback port. `http` goes into the `http` block; `{listen}` in it becomes the address.
    ///
    /// The listening socket is handed down as fd 0, in the way in which nginx hands its own to a new binary.
    pub fn start(http: &str) -> Result<Self, Skip> {
        require_tool("nginx", "-v")?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let mut command = command("nginx");
        command.env("NGINX", "0;").stdin(Stdio::from(OwnedFd::from(listener)));
        Ok(Self::launch(command, http, address))
    }

    /// Starts one inside a namespace, where no one else has a port: it binds `address` itself.
    pub fn start_in(namespace: &Namespace, address: SocketAddr, http: &str) -> Result<Self, Skip> {
        require_tool("nginx", "-v")?;
        let mut command = namespace.command("nginx");
        command.stdin(Stdio::null());
        Ok(Self::launch(command, http, address))
    }

    fn launch(mut command: Command, http: &str, address: SocketAddr) -> Self {
        let folder = TempDir::new().unwrap();
        let text = config(&http.replace("{listen}", &address.to_string()));
        fs::write(folder.path().join("nginx.conf"), &text).unwrap();
        command.arg("-p").arg(folder.path()).args(["-c", "nginx.conf", "-e", "stderr"]);
        let process = Process::spawn(command, "QUIT");
        process.wait_for_stderr("start worker process ");
        Self { process, address, folder }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its folder, to which relative paths in the configuration refer.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Waits until the log has `count` lines, and gives all that it has.
    pub fn wait_for_requests(&self, count: usize) -> Vec<AccessLine> {
        wait_for_requests(&self.process, count)
    }
}

fn config(http: &str) -> String {
    // The worker would else become `nobody`, who cannot enter the folder.
    let user = if is_root() { "user root;" } else { "" };
    format!(
        r#"{user}
daemon off;
pid nginx.pid;
worker_processes 1;
error_log stderr notice;
events {{ worker_connections 2048; }}
http {{
    log_format with_port '$remote_addr - - [$time_local] "$request" $status $body_bytes_sent '
                         '"$http_referer" "$http_user_agent" "$remote_port"';
    access_log /dev/stdout with_port;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    {http}
}}
"#
    )
}
