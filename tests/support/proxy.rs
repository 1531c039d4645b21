//! Real proxies, which reach what a client asks them to.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Instant;

use tempfile::TempDir;

use super::skip::command;
use super::{PATIENCE, Process, Skip, require_tool};

/// A proxy on loopback.
pub struct Proxy {
    _process: Process,
    address: SocketAddr,
    scheme: &'static str,
    _folder: TempDir,
}

impl Proxy {
    /// tinyproxy, for HTTP: it tunnels what is asked for by CONNECT and forwards all else in its own words.
    pub fn http() -> Result<Self, Skip> {
        require_tool("tinyproxy", "-v")?;
        Ok(Self::start("http", |folder, address| {
            let (ip, port) = (address.ip(), address.port());
            let file = folder.path().join("tinyproxy.conf");
            fs::write(&file, format!("Port {port}\nListen {ip}\nAllow {ip}\nLogLevel Connect\n")).unwrap();
            let mut command = command("tinyproxy");
            command.arg("-d").arg("-c").arg(file);
            command
        }))
    }

    /// microsocks, for SOCKS5.
    pub fn socks() -> Result<Self, Skip> {
        require_tool("microsocks", "-h")?;
        Ok(Self::start("socks5h", |_, address| {
            let mut command = command("microsocks");
            command.args(["-i", &address.ip().to_string(), "-p", &address.port().to_string()]);
            command
        }))
    }

    /// Neither can be told to take a port that the kernel chooses: it gets one that was free a moment ago, and another
    /// one where somebody was quicker.
    fn start(scheme: &'static str, command: impl Fn(&TempDir, SocketAddr) -> Command) -> Self {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let folder = TempDir::new().unwrap();
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let address = free.local_addr().unwrap();
            drop(free);
            let mut command = command(&folder, address);
            command.stdin(Stdio::null());
            let mut process = Process::spawn(command, "TERM");
            while process.is_running() && Instant::now() < deadline {
                if TcpStream::connect(address).is_ok() {
                    return Self { _process: process, address, scheme, _folder: folder };
                }
                std::thread::yield_now();
            }
        }
        panic!("no {scheme} proxy would start within {PATIENCE:?}");
    }

    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }
}
