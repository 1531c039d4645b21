//! A file that grows by whole blocks.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use flate2::write::GzEncoder;

use crate::capture::Compression;

/// Bytes that are written at once, uncompressed.
const PLAIN: usize = 64 << 10;
/// Bytes that are compressed at once: a smaller frame compresses worse.
const FRAME: usize = 1 << 20;
/// The levels at which compression keeps up with a busy interface.
const GZIP_LEVEL: u32 = 1;
const ZSTD_LEVEL: i32 = 1;

/// The size of a packet's block.
pub(super) fn of_packet(length: usize) -> u64 {
    32 + length.next_multiple_of(4) as u64
}

/// Gathers what is written until it is [committed](Self::commit), which is to be done at the end of a
/// block. What is on the disk is whole at any moment.
#[derive(Debug)]
pub(super) struct WholeBlocks {
    output: Output,
    compression: Compression,
    waiting: Vec<u8>,
    /// Bytes in the file.
    size: u64,
}

#[derive(Debug)]
enum Output {
    File(File),
    StandardOutput,
}

impl WholeBlocks {
    /// Makes a file that only its owner may read: it holds whatever the traffic held.
    pub(super) fn create(path: &Path, compression: Compression) -> io::Result<Self> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder)?;
        }
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Self::onto(Output::File(options.open(path)?), compression))
    }

    pub(super) fn standard_output() -> Self {
        Self::onto(Output::StandardOutput, Compression::None)
    }

    fn onto(output: Output, compression: Compression) -> Self {
        Self { output, compression, waiting: Vec::with_capacity(PLAIN * 2), size: 0 }
    }

    /// Whether so much waits that it should be committed.
    pub(super) fn is_ready(&self) -> bool {
        let enough = match self.compression {
            Compression::None => PLAIN,
            Compression::Gzip | Compression::Zstd => FRAME,
        };
        self.waiting.len() >= enough
    }

    /// Bytes in the file, with those that wait where they will be as many there.
    pub(super) fn size(&self) -> u64 {
        match self.compression {
            Compression::None => self.size + self.waiting.len() as u64,
            Compression::Gzip | Compression::Zstd => self.size,
        }
    }

    /// Writes what waits. When that fails, the file is as it was before.
    pub(super) fn commit(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let packed = match self.compression {
            Compression::None => None,
            Compression::Gzip => Some(gzip(&self.waiting)?),
            Compression::Zstd => Some(zstd::bulk::compress(&self.waiting, ZSTD_LEVEL)?),
        };
        let bytes = packed.as_deref().unwrap_or(&self.waiting);
        let written = match &mut self.output {
            Output::File(file) => file.write_all(bytes),
            Output::StandardOutput => io::stdout().write_all(bytes).and_then(|()| io::stdout().flush()),
        };
        if let Err(error) = written {
            if let Output::File(file) = &self.output {
                // Where even that fails, the reader meets a file that is cut off.
                let _ = file.set_len(self.size);
            }
            return Err(error);
        }
        self.size += bytes.len() as u64;
        self.waiting.clear();
        Ok(())
    }
}

impl Write for WholeBlocks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.commit()
    }
}

/// One gzip member.
fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::new(GZIP_LEVEL));
    encoder.write_all(bytes)?;
    encoder.finish()
}
