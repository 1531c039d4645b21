//! What lies beneath a capture's bytes: the plain stream, or a decompressor.

use std::io::{self, BufReader, Chain, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::bufread::MultiGzDecoder;
use zstd::stream::read::Decoder as ZstdDecoder;

use super::pump::{Cancel, Pump};
use super::stats::Compression;

/// Compressed bytes are read in pieces of this size.
const INPUT_BUFFER: usize = 256 << 10;

/// The longest magic number.
const MAGIC: usize = 4;

/// The stream as it was handed over, its first bytes put back; remembers whether it failed, since a
/// decompressor passes its source's errors on as if they were its own.
#[derive(Debug)]
pub(super) struct Raw<R> {
    source: Chain<Cursor<Vec<u8>>, R>,
    failed: bool,
}

impl<R: Read> Read for Raw<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let result = self.source.read(buf);
        self.failed |= result.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::Interrupted);
        result
    }
}

/// The uncompressed stream.
pub(super) enum Decompressed<R> {
    Plain(Raw<R>),
    Gzip(Box<MultiGzDecoder<BufReader<Raw<R>>>>),
    Zstd(Box<ZstdDecoder<'static, BufReader<Raw<R>>>>),
    Ahead(Ahead),
}

/// What a thread of its own decompresses.
pub(super) struct Ahead {
    pump: Pump,
    compression: Compression,
    source_failed: Arc<AtomicBool>,
}

/// A decompressor that leaves behind what its errors were, for who gets them from another thread.
struct Telling<R> {
    stream: Decompressed<R>,
    source_failed: Arc<AtomicBool>,
}

impl<R: Read> Read for Telling<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let result = self.stream.read(buf);
        if result.is_err() {
            self.source_failed.store(self.stream.source_failed(), Ordering::Release);
        }
        result
    }
}

impl<R: Read + Send + 'static> Decompressed<R> {
    /// The same; a compressed stream is decompressed by a thread of its own, ahead of who reads it.
    pub(super) fn ahead(self) -> io::Result<Self> {
        let compression = self.compression();
        if compression == Compression::None {
            return Ok(self);
        }
        let source_failed = Arc::default();
        let telling = Telling { stream: self, source_failed: Arc::clone(&source_failed) };
        // What can stall lies beneath, and has a pump of its own.
        let pump = Pump::start(Box::new(telling), Cancel::default())?;
        Ok(Self::Ahead(Ahead { pump, compression, source_failed }))
    }
}

impl<R: Read> Decompressed<R> {
    /// Looks at the first bytes and decompresses accordingly.
    pub(super) fn new(mut source: R) -> io::Result<Self> {
        let mut magic = Vec::with_capacity(MAGIC);
        source.by_ref().take(MAGIC as u64).read_to_end(&mut magic)?;
        let compression = recognise(&magic);
        let raw = Raw { source: Cursor::new(magic).chain(source), failed: false };
        Ok(match compression {
            Compression::None => Self::Plain(raw),
            Compression::Gzip => {
                Self::Gzip(Box::new(MultiGzDecoder::new(BufReader::with_capacity(INPUT_BUFFER, raw))))
            }
            Compression::Zstd => {
                Self::Zstd(Box::new(ZstdDecoder::with_buffer(BufReader::with_capacity(INPUT_BUFFER, raw))?))
            }
        })
    }

    pub(super) fn compression(&self) -> Compression {
        match self {
            Self::Plain(_) => Compression::None,
            Self::Gzip(_) => Compression::Gzip,
            Self::Zstd(_) => Compression::Zstd,
            Self::Ahead(ahead) => ahead.compression,
        }
    }

    /// Whether an error came from the stream beneath rather than from the decompressor.
    pub(super) fn source_failed(&self) -> bool {
        match self {
            Self::Plain(raw) => raw.failed,
            Self::Gzip(decoder) => decoder.get_ref().get_ref().failed,
            Self::Zstd(decoder) => decoder.get_ref().get_ref().failed,
            Self::Ahead(ahead) => ahead.source_failed.load(Ordering::Acquire),
        }
    }
}

impl<R: Read> Read for Decompressed<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(raw) => raw.read(buf),
            Self::Gzip(decoder) => decoder.read(buf),
            Self::Zstd(decoder) => decoder.read(buf),
            Self::Ahead(ahead) => ahead.pump.read(buf),
        }
    }
}

impl<R> std::fmt::Debug for Decompressed<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Gzip(_) => "Gzip",
            Self::Zstd(_) => "Zstd",
            Self::Ahead(_) => "Ahead",
        })
    }
}

/// The compression that the first bytes name (RFC 1952, section 2.3.1; RFC 8878, section 3.1).
fn recognise(magic: &[u8]) -> Compression {
    match magic {
        [0x1f, 0x8b, 8, ..] => Compression::Gzip,
        // The second form is a skippable frame, with which some compressors begin.
        [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Compression::Zstd,
        _ => Compression::None,
    }
}
