//! What the integration tests stand on: real servers, real captures, the real program.
//!
//! - servers: [`Httpbin`] under gunicorn, [`Nginx`], [`Envoy`], and [`RawServer`], which records every byte and
//!   answers by a script;
//! - the network: [`Namespace`] and [`Veth`], [`Tcpdump`], [`raw_exchange`];
//! - the program: [`Shadowcap`];
//! - truth: [`access_log`], [`captures`].
//!
//! Servers listen on a port that the kernel chose, tests wait for events and never sleep, and everything that was
//! started is stopped when its value is dropped. What cannot run here is [`Skip`]ped, loudly: see [`or_skip!`].
//!
//! A test file begins with `#![cfg(feature = "cli")]`, since without that feature there is no program, and with
//! `#[macro_use] mod support;`.

#![allow(
    dead_code,
    unused_imports,
    unused_macros,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "each test file is a crate of its own and uses a part of this; a test says what broke by panicking"
)]

/// Gives the value of an `Ok`; at a [`Skip`], says so and returns from the test.
macro_rules! or_skip {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(skip) => {
                let skip: $crate::support::Skip = skip;
                return skip.report();
            }
        }
    };
}

pub mod access_log;
pub mod captures;
mod certificates;
mod envoy;
pub mod framing;
mod httpbin;
mod lines;
mod namespace;
mod nginx;
mod node;
mod process;
mod proxy;
mod raw_client;
mod raw_server;
mod shadowcap;
mod skip;
mod tcpdump;
mod texts;

pub use access_log::AccessLine;
pub use certificates::Certificates;
pub use envoy::Envoy;
pub use httpbin::Httpbin;
pub use lines::Lines;
pub use namespace::{Namespace, Veth};
pub use nginx::Nginx;
pub use node::{node, node_packages};
pub use process::Process;
pub use proxy::Proxy;
pub use raw_client::{get, raw_exchange};
pub use raw_server::{RawServer, Received, Recorded, Reply, Script, Welcome, refusing_address};
pub use shadowcap::{Finished, Running, Shadowcap, program};
pub use skip::{Skip, is_root, require_privilege, require_tool, venv};
pub use tcpdump::{PacketCounts, Tcpdump};
pub use texts::texts;

use std::time::Duration;

/// How long an event is awaited before the test gives up. Events come in milliseconds; this is for a machine that is
/// busy with something else.
pub const PATIENCE: Duration = Duration::from_secs(30);
