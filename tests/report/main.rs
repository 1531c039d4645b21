//! The reports as their readers have them: browsers, spreadsheets, pipelines, terminals and shells.
//!
//! Parsers that know nothing of shadowcap judge the files: Chromium and axe, `SheetJS`, markdown-it, ajv, libxml2,
//! curl and the shells.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what broke by panicking")]

#[path = "../data/awkward_requests.rs"]
#[allow(dead_code, reason = "what arrives is judged by the tests of replay")]
mod awkward_requests;
#[macro_use]
#[path = "../support/mod.rs"]
mod support;

mod browser;
mod curl;
mod gates;
mod injection;
mod made;
mod many_runs;
mod outside;
mod pipelines;
mod ruled;
mod scale;
mod secrets;
mod secrets_of_commands;
mod suggested;
