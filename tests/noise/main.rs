//! The benchmark of what is told of differences: a service with faults that can be switched on, in the midst of noise,
//! through the whole pipeline: asked by a client, captured by tcpdump, replayed to v2, v1 and v2 asked again, reported.
//!
//! - `service`: pages of several types, each with fields that change by themselves
//! - `faults`: what v2 can do wrong, one route for each
//! - `traffic`: the client, and tcpdump beside it
//! - `named`: what is named by data is told once
//! - `rare`: five of a thousand, where noise is strongest
//! - `found`: what the run's report says counts, against what was planted
//! - `diffy`: what the rule of Diffy says of the same answers
//!
//! `README.md` beside this has the table of a whole run; `NOISE_SEEDS` and `NOISE_REQUESTS` make one.

#![cfg(feature = "cli")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    reason = "a test says what broke by panicking"
)]

#[macro_use]
#[path = "../support/mod.rs"]
mod support;

mod diffy;
mod faults;
mod found;
mod named;
mod random;
mod rare;
mod service;
mod traffic;

use std::collections::BTreeSet;

use found::Found;
use service::{Service, Version};
use traffic::Captured;

/// Requests to each route of a run with faults: each fault meets a quarter of them, so that it occurs ten times in 2,000
/// requests, which is the least often that a fault has to be found.
const REQUESTS: u64 = 40;

/// A number from the environment, for a longer run than CI's.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap())
}

/// One run: v1 captured, replayed to a v2, with both asked again.
fn run(seed: u64, requests: u64, faulty: bool) -> Result<(Found, diffy::Verdicts), support::Skip> {
    let v1 = Service::start(Version::V1, seed, false);
    let v2 = Service::start(Version::V2, seed, faulty);
    let captured = Captured::of(&v1, requests)?;
    v1.next_round();
    let found = Found::replay(&captured, &v1, &v2);
    v2.next_round();
    let diffy = diffy::judge(&v1.answers(0), &v1.answers(1), &v2.answers(0));
    Ok((found, diffy))
}

#[test]
fn every_planted_fault_is_found_and_noise_is_not() {
    let requests = setting("NOISE_REQUESTS", REQUESTS);
    let (found, diffy) = or_skip!(run(1, requests, true));
    let planted: BTreeSet<_> = faults::ALL.iter().map(|fault| fault.name).collect();
    assert!(planted.len() >= 40, "{} faults", planted.len());
    assert!(service::NOISES.len() >= 15);
    let missed: Vec<_> = faults::ALL.iter().filter(|fault| !found.tells(fault)).map(|f| f.name).collect();
    let false_ones = found.beside(&faults::ALL);
    println!("planted {}, found {}", planted.len(), planted.len() - missed.len());
    println!("told beside them: {false_ones:#?}");
    let by_diffy = faults::ALL.iter().filter(|fault| diffy.tells(fault)).count();
    println!("Diffy's rule: found {by_diffy}, false {}", diffy.beside(&faults::ALL));
    assert!(missed.is_empty(), "missed {missed:?}\n{found}");
    assert!(false_ones.len() <= 1, "{false_ones:#?}\n{found}");
}

#[test]
fn without_a_fault_next_to_nothing_is_told_over_many_seeds() {
    let (seeds, requests) = (setting("NOISE_SEEDS", 20), setting("NOISE_QUIET_REQUESTS", 2));
    let (mut false_ones, mut by_diffy, mut fields) = (Vec::new(), 0, 0);
    for seed in 100..100 + seeds {
        let (found, diffy) = or_skip!(run(seed, requests, false));
        assert!(found.compared >= requests * faults::ALL.len() as u64, "{found}");
        false_ones.extend(found.beside(&[]));
        by_diffy += diffy.beside(&[]);
        fields += diffy.fields();
    }
    println!("{seeds} seeds: false {}, Diffy's rule {by_diffy} of {fields} fields", false_ones.len());
    assert!(false_ones.len() <= 1, "{false_ones:#?}");
    // The same answers must be able to mislead, or this shows nothing.
    assert!(by_diffy > false_ones.len(), "Diffy's rule is not misled");
}
