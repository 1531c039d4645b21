//! What can keep packets from being read: what, where, and what to do.

use std::io;
use std::sync::Arc;

use super::sniff::LooksLike;
use super::stats::{Compression, Format};

/// Why packets cannot be read.
///
/// `file` is a path, an address, or `standard input`. Offsets are in bytes of the uncompressed file,
/// and packets are counted from 1 within the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// Nothing was named.
    #[error("no capture was named; name a file, a folder, an http(s) address, or `-` for standard input")]
    NothingNamed,
    /// The file is not there.
    #[error("{file}: no such file or folder; check the path{}", pattern_hint(file))]
    NotFound {
        /// What was named.
        file: Arc<str>,
    },
    /// The user may not read the file.
    #[error(
        "{file}: permission denied; captures made by root are readable by root alone: change its owner or \
         mode, or read it as that user"
    )]
    PermissionDenied {
        /// What was named.
        file: Arc<str>,
    },
    /// Standard input was named twice.
    #[error("standard input (`-`) was named twice, and can be read only once")]
    StdinTwice,
    /// A pattern is malformed.
    #[error("{pattern}: not a valid pattern ({reason}); quote `[` as `[[]`")]
    BadPattern {
        /// The pattern.
        pattern: Arc<str>,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A folder or pattern holds no capture.
    #[error(
        "{file}: {}; folders within it are not searched (a pattern such as `dir/**/*.pcap` is)",
        no_captures(*files, example.as_deref())
    )]
    NoCaptures {
        /// The folder or pattern.
        file: Arc<str>,
        /// How many files it holds.
        files: usize,
        /// One of them, and why it is none.
        example: Option<String>,
    },
    /// The file has no bytes at all.
    #[error(
        "{file}: the file is empty (0 bytes); the capturing program wrote nothing, or had not flushed yet"
    )]
    Empty {
        /// The file.
        file: Arc<str>,
    },
    /// The file is something else.
    #[error("{file}: not a capture: {looks_like}; {}", looks_like.advice())]
    NotACapture {
        /// The file.
        file: Arc<str>,
        /// What it is instead.
        looks_like: LooksLike,
    },
    /// The file ends inside its header.
    #[error(
        "{file}: {format} file cut off at byte {length}, inside its header, so that it holds no packets; \
         capture again, or copy the file again"
    )]
    TruncatedHeader {
        /// The file.
        file: Arc<str>,
        /// The format that its magic number names.
        format: Format,
        /// How long the file is.
        length: u64,
    },
    /// A packet or block cannot be one.
    #[error(
        "{file}: damaged at byte {offset}, at packet {packet}: {what}; the {} packets before it were read, \
         those after it cannot be found",
        packet - 1
    )]
    Corrupt {
        /// The file.
        file: Arc<str>,
        /// Where the packet or block begins.
        offset: u64,
        /// The number of the packet that would have been next.
        packet: u64,
        /// What is wrong with it.
        what: Corruption,
    },
    /// The compressed stream is damaged.
    #[error(
        "{file}: damaged {compression} stream at uncompressed byte {offset}, at packet {packet} ({source}); \
         `{compression} -t` says more; copy the file again"
    )]
    Decompress {
        /// The file.
        file: Arc<str>,
        /// How it is compressed.
        compression: Compression,
        /// How many uncompressed bytes came before the damage.
        offset: u64,
        /// The number of the packet that would have been next.
        packet: u64,
        /// What the decompressor says.
        source: io::Error,
    },
    /// The file could not be opened or read.
    #[error("{file}: cannot be read at byte {offset}: {source}{}", io_hint(source))]
    Io {
        /// The file.
        file: Arc<str>,
        /// Where reading failed.
        offset: u64,
        /// What the system says.
        source: io::Error,
    },
    /// The server answered something else than the capture.
    #[error("{url}: the server answered {status}; check the address, and whether it wants credentials")]
    HttpStatus {
        /// The address, without credentials.
        url: Arc<str>,
        /// The status, with its reason.
        status: String,
    },
    /// The address could not be fetched.
    #[error("{url}: cannot be fetched: {reason}; check the address and the network (proxies are not used)")]
    Http {
        /// The address, without credentials.
        url: Arc<str>,
        /// What went wrong.
        reason: String,
    },
    /// This build reads files only.
    #[error("{url}: this build cannot fetch captures; download the file, or build with the feature `cli`")]
    NoHttp {
        /// The address.
        url: Arc<str>,
    },
}

/// What is wrong with a packet or block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Corruption {
    /// The captured length is beyond what the file can hold.
    #[error("a packet of {0} bytes, where at most {1} can be")]
    PacketLength(u32, u32),
    /// A record of zeros: what a crash leaves where blocks were reserved and not written.
    #[error("zeros in place of a packet")]
    Zeros,
    /// A block's length cannot be one.
    #[error("a block of type {0:#x} and {1} bytes")]
    BlockLength(u32, u32),
    /// The length behind a block is not the one before it.
    #[error("a block whose length is {0} before it and {1} behind it")]
    BlockLengths(u32, u32),
    /// A packet does not fit into its block.
    #[error("a packet of {0} bytes in a block that has room for {1}")]
    PacketInBlock(u32, usize),
    /// A packet of an interface that the section does not describe.
    #[error("a packet of interface {0}, where the section describes {1}")]
    UnknownInterface(u32, usize),
    /// More interfaces than there can be.
    #[error("more than {0} interfaces")]
    TooManyInterfaces(usize),
    /// The section header's byte-order magic is not one.
    #[error("a section header whose byte order is {0:02x?}")]
    SectionByteOrder([u8; 4]),
    /// A version of the format that is not known.
    #[error("version {0}.{1} of the format, which is not known")]
    Version(u16, u16),
}

fn pattern_hint(file: &str) -> &'static str {
    if cfg!(not(feature = "cli")) && file.contains(['*', '?', '[']) {
        " (this build does not expand patterns)"
    } else {
        ""
    }
}

fn no_captures(files: usize, example: Option<&str>) -> String {
    let example = example.map(|text| format!(" (for one, {text})")).unwrap_or_default();
    match files {
        0 => "there is no file".to_owned(),
        1 => format!("its one file is no capture{example}"),
        n => format!("none of its {n} files is a capture{example}"),
    }
}

fn io_hint(source: &io::Error) -> &'static str {
    const TOO_MANY_OPEN_FILES: [i32; 2] = [23, 24];
    match source.raw_os_error() {
        Some(code) if TOO_MANY_OPEN_FILES.contains(&code) => {
            "; too many captures overlap in time: raise `ulimit -n`, or merge some with mergecap first"
        }
        _ => "",
    }
}
