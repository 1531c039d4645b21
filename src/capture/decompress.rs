//! What lies beneath a capture's bytes: the plain stream, or a decompressor.

use std::io::{self, BufReader, Chain, Cursor, Read};

use flate2::bufread::MultiGzDecoder;
use zstd::stream::read::Decoder as ZstdDecoder;

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
        }
    }

    /// Whether an error came from the stream beneath rather than from the decompressor.
    pub(super) fn source_failed(&self) -> bool {
        match self {
            Self::Plain(raw) => raw.failed,
            Self::Gzip(decoder) => decoder.get_ref().get_ref().failed,
            Self::Zstd(decoder) => decoder.get_ref().get_ref().failed,
        }
    }
}

impl<R: Read> Read for Decompressed<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(raw) => raw.read(buf),
            Self::Gzip(decoder) => decoder.read(buf),
            Self::Zstd(decoder) => decoder.read(buf),
        }
    }
}

impl<R> std::fmt::Debug for Decompressed<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Gzip(_) => "Gzip",
            Self::Zstd(_) => "Zstd",
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
