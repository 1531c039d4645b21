//! The fuzz targets without a fuzzer: every seed of the corpus, and many mutations of each, the same in every run.
//! `make fuzz` searches further.

#![allow(clippy::unwrap_used, clippy::panic, unreachable_pub, reason = "a test says what broke by panicking")]

#[path = "fuzz/targets.rs"]
mod targets;

use std::fs;
use std::panic::{RefUnwindSafe, catch_unwind};
use std::path::Path;

/// Mutations of each seed.
const MUTATIONS: u64 = 300;

#[test]
fn capture_files_of_any_bytes() {
    try_all("capture_file", targets::capture_file);
}

#[test]
fn packets_of_any_bytes() {
    try_all("wire_decode", targets::wire_decode);
}

#[test]
fn dialogues_of_any_course() {
    let exchanges = std::sync::atomic::AtomicU64::new(0);
    try_all("reading", |bytes| {
        exchanges.fetch_add(targets::reading(bytes), std::sync::atomic::Ordering::Relaxed);
    });
    // What is directed is HTTP, mostly.
    let inputs = 6 * (MUTATIONS + 1);
    assert!(exchanges.into_inner() > inputs / 2);
}

#[test]
fn streams_of_any_bytes() {
    try_all("streams", |bytes| _ = targets::streams(bytes));
}

fn try_all(name: &str, target: impl Fn(&[u8]) + RefUnwindSafe) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    let mut seeds: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    seeds.sort();
    assert!(!seeds.is_empty(), "no seeds in {}", folder.display());
    for (seed, path) in (0..).zip(seeds) {
        let bytes = fs::read(&path).unwrap();
        let mut random = Random(seed);
        for mutation in 0..=MUTATIONS {
            let input = if mutation == 0 { bytes.clone() } else { mutated(&bytes, &mut random) };
            if catch_unwind(|| target(&input)).is_err() {
                let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{seed}-{mutation}"));
                fs::write(&kept, &input).unwrap();
                panic!("{}, mutation {mutation}, kept as {}", path.display(), kept.display());
            }
        }
    }
}

/// A few changes: a byte set, a byte added, a piece taken out, repeated, or the end cut off.
fn mutated(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        let end = (at + random.below(32)).min(bytes.len());
        let byte = [0, 0xff, 0x7f, 0x80, random.below(256)][random.below(5)].to_le_bytes()[0];
        match random.below(6) {
            0 | 1 if at < bytes.len() => bytes[at] = byte,
            2 => bytes.insert(at, byte),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            _ => bytes.truncate(at.max(bytes.len() / 2)),
        }
    }
    bytes
}

/// xorshift64* (Marsaglia 2003, Vigna 2016): the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap_or_default() % bound
    }
}
