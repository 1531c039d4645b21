//! The proof on real input: captures of real traffic through the real program to real servers, judged by those
//! servers' own logs.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what broke by panicking")]

#[macro_use]
#[path = "../support/mod.rs"]
mod support;

#[allow(unreachable_pub, reason = "shared with other tests")]
#[path = "../data/awkward_requests.rs"]
mod awkward_requests;
mod bytes_as_captured;
mod compare;
mod from_tcpdump;
mod httpbin;
mod line;
mod mesh;
mod rendered_again;
mod run;
