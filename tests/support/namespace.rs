//! Network namespaces and the cables between them.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::Command;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use super::skip::command;
use super::{Skip, require_privilege, require_tool};

/// A network namespace of the test's own, with its loopback up; dropping it takes its interfaces along.
pub struct Namespace {
    name: String,
}

impl Namespace {
    pub fn new() -> Result<Self, Skip> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        require_tool("ip", "-V")?;
        require_privilege(true)?;
        sweep();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let namespace = Self { name: format!("shadowcap-{}-{number}", std::process::id()) };
        ip(&["netns", "add", &namespace.name]);
        namespace.ip(&["link", "set", "lo", "up"]);
        Ok(namespace)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// A command that will run inside. `ip netns exec` becomes the program, so signals reach it.
    pub fn command(&self, program: &str) -> Command {
        let mut command = command("ip");
        command.args(["netns", "exec", &self.name]).arg(super::skip::command(program).get_program());
        command
    }

    /// Runs `ip` inside.
    pub fn ip(&self, arguments: &[&str]) {
        let mut all = vec!["-n", &self.name];
        all.extend(arguments);
        ip(&all);
    }
}

/// Takes away what test processes left behind that were killed.
fn sweep() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let names = fs::read_dir("/run/netns").into_iter().flatten().flatten().map(|entry| entry.file_name());
        for name in names.filter_map(|name| name.into_string().ok()) {
            let owner = name.strip_prefix("shadowcap-").and_then(|rest| rest.split('-').next());
            if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
                let _ = command("ip").args(["netns", "del", &name]).output();
            }
        }
    });
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = command("ip").args(["netns", "del", &self.name]).output();
    }
}

/// A cable between two namespaces, up at both ends.
pub struct Veth {
    pub a: Namespace,
    pub b: Namespace,
}

impl Veth {
    /// The interface is called this in both.
    pub const INTERFACE: &'static str = "veth0";
    pub const ADDRESS_A: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 99, 0, 1));
    pub const ADDRESS_B: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 99, 0, 2));

    /// Two new namespaces and the cable. The addresses are always the same: nothing outside can see them.
    pub fn new() -> Result<Self, Skip> {
        let cable = Self { a: Namespace::new()?, b: Namespace::new()? };
        cable.connect();
        Ok(cable)
    }

    /// Lays a new cable, where the former was taken away.
    pub fn connect(&self) {
        let (name, Self { a, b }) = (Self::INTERFACE, self);
        a.ip(&["link", "add", name, "type", "veth", "peer", "name", name, "netns", &b.name]);
        for (end, address) in [(a, Self::ADDRESS_A), (b, Self::ADDRESS_B)] {
            end.ip(&["addr", "add", &format!("{address}/24"), "dev", name]);
            end.ip(&["link", "set", name, "up"]);
        }
    }
}

fn ip(arguments: &[&str]) {
    let output = command("ip").args(arguments).output().unwrap();
    assert!(output.status.success(), "ip {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}
