//! What can keep an interface from being captured on: what, where, and what to do.

use super::privileges;

/// Why an interface cannot be captured on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LiveError {
    /// The process may not.
    #[error("{interface}: no permission to capture ({reason}); {}", privileges::advice())]
    Permission {
        /// The interface.
        interface: String,
        /// What libpcap says.
        reason: String,
    },
    /// There is no such interface.
    #[error("{interface}: no such interface ({reason}); `shadowcap capture --list` names them")]
    NotFound {
        /// What was named.
        interface: String,
        /// What libpcap says.
        reason: String,
    },
    /// The interface is down.
    #[error("{interface}: the interface is down ({reason}); `ip link set {interface} up` takes it up")]
    Down {
        /// The interface.
        interface: String,
        /// What libpcap says.
        reason: String,
    },
    /// The filter is none, or none for the interface's link layer.
    #[error("{interface}: not a packet filter ({reason}); write one as for tcpdump, such as `tcp port 80`")]
    Filter {
        /// The interface.
        interface: String,
        /// What libpcap says.
        reason: String,
    },
    /// Something else went wrong.
    #[error("{interface}: cannot be captured on: {reason}")]
    Other {
        /// The interface.
        interface: String,
        /// What libpcap says.
        reason: String,
    },
    /// The interfaces cannot be told.
    #[error("the interfaces cannot be listed: {0}")]
    List(String),
}

impl LiveError {
    /// What libpcap's message says of opening an interface. It has no codes that the binding hands on.
    pub(super) fn of_opening(interface: &str, error: &pcap::Error) -> Self {
        let (interface, reason) = (interface.to_owned(), plain(error));
        let says = |texts: &[&str]| texts.iter().any(|text| reason.contains(text));
        if says(&["ermission", "not permitted"]) {
            Self::Permission { interface, reason }
        } else if says(&["No such device", "doesn't exist", "does not exist"]) {
            Self::NotFound { interface, reason }
        } else if says(&["is not up", "Network is down"]) {
            Self::Down { interface, reason }
        } else {
            Self::Other { interface, reason }
        }
    }
}

/// libpcap's own words.
pub(super) fn plain(error: &pcap::Error) -> String {
    match error {
        pcap::Error::PcapError(text) => text.clone(),
        other => other.to_string(),
    }
}
