//! The built-in services of `shadowcap demo`: a small shop in two versions.
//!
//! v1 is what the bundled capture was taken from (`captures/README.md` says how); v2 answers as v1
//! does, save for the [`Planted`] changes that the demo is to find.

mod server;
mod shop;

pub use server::Server;
pub use shop::{Planted, Version};

/// The capture of v1's traffic that comes with the program.
pub const CAPTURE: &[u8] = include_bytes!("../../captures/demo-shop-v1.pcap");
