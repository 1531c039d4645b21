//! `shadowcap capture` and `shadowcap live` on real interfaces, in network namespaces of the tests' own: nginx as v1
//! and v2, curl and wrk as clients, tcpdump and tshark as witnesses.

#![cfg(all(feature = "live", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what broke by panicking")]

#[path = "../support/mod.rs"]
#[macro_use]
mod support;

mod capture;
mod endings;
mod guard;
mod lab;
mod load;
mod options;
mod overload;
mod privileges;
mod recipes;
mod screen;
mod secrets;
mod shadowing;
mod uploads;
