//! The replay against servers that do what servers do, on loopback ports that the system picks.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

/// Real servers and the program.
#[macro_use]
#[path = "../support/mod.rs"]
mod harness;

#[allow(unreachable_pub, reason = "shared with other tests")]
#[path = "../data/awkward_requests.rs"]
mod awkward_requests;
mod bytes;
mod dying;
mod failures;
mod lanes;
mod never_twice;
mod real_servers;
mod second_client;
mod support;
mod tls;
