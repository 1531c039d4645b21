//! What was read: the account of a file and of a set of files.

use std::fmt;
use std::sync::Arc;

use super::error::CaptureError;
use crate::anomaly::{Anomaly, AnomalyCounts};
use crate::time::Timestamp;

/// The format of a capture file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// pcap with microseconds.
    Pcap,
    /// pcap with nanoseconds.
    PcapNanos,
    /// pcap as patched by Alexey Kuznetsov, with a longer header for each packet.
    PcapModified,
    /// pcapng.
    Pcapng,
}

impl Format {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcap => "pcap",
            Self::PcapNanos => "pcap-ns",
            Self::PcapModified => "pcap-modified",
            Self::Pcapng => "pcapng",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip (RFC 1952), of one member or several.
    Gzip,
    /// Zstandard (RFC 8878), of one frame or several.
    Zstd,
}

impl Compression {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a file was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truncation {
    /// The offset of the packet or block that is not all there, in bytes of the uncompressed file.
    pub offset: u64,
    /// How many packets of the file lie before it.
    pub packets_before: u64,
}

/// The blocks of a pcapng file that hold no packets, and were passed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SkippedBlocks {
    /// Decryption secrets.
    pub secrets: u64,
    /// Name resolution.
    pub names: u64,
    /// Interface statistics.
    pub statistics: u64,
    /// Custom blocks, and those of a type that is not known.
    pub other: u64,
}

/// The account of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStats {
    /// The path, the address, or `standard input`.
    pub name: Arc<str>,
    /// The format, as its magic number says.
    pub format: Format,
    /// The compression, as its magic number says.
    pub compression: Compression,
    /// Packets read.
    pub packets: u64,
    /// Captured bytes in these packets.
    pub bytes: u64,
    /// The time of the earliest packet.
    pub first: Option<Timestamp>,
    /// The time of the latest packet.
    pub last: Option<Timestamp>,
    /// Packets whose time lies before that of the packet ahead of them.
    pub time_went_back: u64,
    /// Where the file was cut off, if it was.
    pub truncated: Option<Truncation>,
    /// Blocks that hold no packets.
    pub skipped_blocks: SkippedBlocks,
}

impl FileStats {
    pub(super) fn new(name: Arc<str>, format: Format, compression: Compression) -> Self {
        Self {
            name,
            format,
            compression,
            packets: 0,
            bytes: 0,
            first: None,
            last: None,
            time_went_back: 0,
            truncated: None,
            skipped_blocks: SkippedBlocks::default(),
        }
    }

    /// What was odd about the file.
    #[must_use]
    pub fn anomalies(&self) -> AnomalyCounts {
        let mut counts = AnomalyCounts::default();
        counts.add(Anomaly::TruncatedFile, u64::from(self.truncated.is_some()));
        counts.add(Anomaly::TimeWentBack, self.time_went_back);
        counts
    }
}

/// A file that a folder or a pattern named and that is not part of the capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedFile {
    /// Its path.
    pub name: Arc<str>,
    /// Why not, as a sentence without its end.
    pub why: String,
}

impl SkippedFile {
    pub(super) fn new(name: Arc<str>, error: &CaptureError) -> Self {
        let why = error.to_string();
        // The message begins with the name, which stands beside it here.
        let why = why.strip_prefix(&*name).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&why);
        Self { why: why.to_owned(), name }
    }
}

/// The account of a set of files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaptureStats {
    /// Each file, in the order in which they were named.
    pub files: Vec<FileStats>,
    /// Files of folders and patterns that are no captures.
    pub skipped: Vec<SkippedFile>,
}

impl CaptureStats {
    /// Packets read.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.files.iter().map(|file| file.packets).sum()
    }

    /// Captured bytes in these packets.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// The time of the earliest packet.
    #[must_use]
    pub fn first_packet(&self) -> Option<Timestamp> {
        self.files.iter().filter_map(|file| file.first).min()
    }

    /// The time of the latest packet.
    #[must_use]
    pub fn last_packet(&self) -> Option<Timestamp> {
        self.files.iter().filter_map(|file| file.last).max()
    }

    /// What was odd about the files.
    #[must_use]
    pub fn anomalies(&self) -> AnomalyCounts {
        let mut counts = AnomalyCounts::default();
        self.files.iter().for_each(|file| counts.merge(&file.anomalies()));
        counts
    }
}
