//! The interfaces that can be captured on.

use std::fmt;
use std::net::IpAddr;

use super::LiveError;
use super::error::plain;

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// What `-i` takes.
    pub name: String,
    /// What libpcap says that it is.
    pub description: Option<String>,
    /// Whether it is up.
    pub up: bool,
    /// Whether it carries only the machine's talk with itself.
    pub loopback: bool,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// All interfaces that this process may capture on, as libpcap orders them.
///
/// # Errors
/// When the system does not tell them.
pub fn list() -> Result<Vec<Interface>, LiveError> {
    let devices = pcap::Device::list().map_err(|error| LiveError::List(plain(&error)))?;
    Ok(devices.into_iter().filter(carries_packets).map(Interface::from).collect())
}

/// Some of libpcap's devices are no interfaces: they carry USB or D-Bus messages.
fn carries_packets(device: &pcap::Device) -> bool {
    !["bluetooth", "usbmon", "dbus"].iter().any(|prefix| device.name.starts_with(prefix))
}

impl From<pcap::Device> for Interface {
    fn from(device: pcap::Device) -> Self {
        Self {
            up: device.flags.is_up(),
            loopback: device.flags.is_loopback(),
            name: device.name,
            description: device.desc,
            addresses: device.addresses.into_iter().map(|address| address.addr).collect(),
        }
    }
}

/// A line of a list: name, state, addresses, description.
impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.up { "up" } else { "down" };
        write!(f, "{:<16} {state:<5}", self.name)?;
        for address in &self.addresses {
            write!(f, " {address}")?;
        }
        self.description.as_ref().map_or(Ok(()), |text| write!(f, " ({text})"))
    }
}
