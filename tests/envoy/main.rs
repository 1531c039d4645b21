//! The proof against Envoy itself: the same requests through it, configured as Istio would, and through the program.
//!
//! `cases` is the table of requests and rules, `mirroring` compares what arrives, and says where the program keeps by
//! design what Envoy changes; `README.md` beside it lists these.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what broke by panicking")]

#[macro_use]
#[path = "../support/mod.rs"]
mod support;

mod capture;
mod cases;
mod client;
mod gateway;
mod matching;
mod mirroring;
mod paths;
mod pilot;
mod request;
#[allow(dead_code, reason = "shared with the tests of rules, which use the rest")]
#[path = "../routes/cases.rs"]
mod route_cases;
mod shares;
