//! Where packets come from.
//!
//! [`CaptureFile`] reads one stream of bytes: pcap or pcapng, plain or compressed, told apart by their
//! magic numbers. [`CaptureSet`] reads what a user names (files, folders, patterns, addresses, standard
//! input) as one capture in time order. Both lend their packets from the buffer that they were read
//! into. [`PcapWriter`] and [`PcapngWriter`] go the other way, and [`synth`] makes conversations to
//! write. `live` captures on interfaces, and [`recorder`] keeps what it captures in files.
//!
//! A file that ends inside a packet is no error: what came before is read, and the statistics say where
//! it was cut. Everything else that keeps a packet from being read is a [`CaptureError`] with file,
//! offset and packet number.

mod byte_order;
mod decompress;
mod digest;
mod error;
mod file;
mod filter;
mod input;
#[cfg(feature = "live")]
pub mod live;
mod pcap;
mod pcap_writer;
mod pcapng;
mod pcapng_options;
mod pcapng_writer;
mod progress;
mod pump;
pub mod recorder;
#[cfg(feature = "cli")]
mod remote;
mod set;
mod sniff;
mod stats;
mod window;

pub mod synth;

pub use byte_order::ByteOrder;
pub use error::{CaptureError, Corruption};
pub use file::CaptureFile;
pub use filter::{FilterError, PacketFilter};
pub use input::Input;
pub use pcap_writer::{PcapWriter, Precision};
pub use pcapng_writer::{InterfaceCounts, PcapngWriter};
pub use progress::BytesRead;
pub use pump::Cancel;
pub use set::CaptureSet;
pub use sniff::LooksLike;
pub use stats::{CaptureStats, Compression, FileStats, Format, SkippedBlocks, SkippedFile, Truncation};

use crate::packet::Packet;

/// A source of packets, in the order of the capture.
///
/// Sources lend: a packet's bytes live in the source's buffer until the next call, so that reading a
/// file copies nothing.
pub trait PacketSource {
    /// What can go wrong, with file and offset in its message.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The next packet, or `None` at the end.
    fn next_packet(&mut self) -> Result<Option<Packet<'_>>, Self::Error>;
}

#[cfg(test)]
mod tests;
