//! Rules: which one a request finds, what they decide, what is sent, and what is said about files that are broken.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what broke by panicking")]

#[macro_use]
#[path = "../support/mod.rs"]
mod support;

mod cases;
mod edits;
mod explain;
mod files;
mod http_route;
mod istio_task;
mod matching;
mod shares;
mod tls;
