//! A file that grows by whole blocks.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

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
    /// Where in `waiting` the blocks of packets end.
    ends: Vec<usize>,
    /// Bytes in the file.
    size: u64,
    /// Where the file is, and where it will be as soon as it holds something.
    unseen: Option<(PathBuf, PathBuf)>,
}

#[derive(Debug)]
enum Output {
    File(File),
    StandardOutput,
}

impl WholeBlocks {
    /// Makes a file that only its owner may read: it holds whatever the traffic held. It gets its name with the first
    /// [commit](Self::commit), so that nobody ever finds it empty, whenever the program is killed.
    pub(super) fn create(path: &Path, compression: Compression) -> io::Result<Self> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder)?;
        }
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        // A pipe or a device is what its name says, and a link leads to where it leads.
        let replaceable = fs::symlink_metadata(path).map_or(true, |found| found.is_file());
        if replaceable
            && let Some(hidden) = hidden(path)
            && let Ok(file) = options.open(&hidden)
        {
            let mut blocks = Self::onto(Output::File(file), compression);
            blocks.unseen = Some((hidden, path.to_owned()));
            return Ok(blocks);
        }
        Ok(Self::onto(Output::File(options.open(path)?), compression))
    }

    pub(super) fn standard_output() -> Self {
        Self::onto(Output::StandardOutput, Compression::None)
    }

    fn onto(output: Output, compression: Compression) -> Self {
        Self {
            output,
            compression,
            waiting: Vec::with_capacity(PLAIN * 2),
            ends: Vec::new(),
            size: 0,
            unseen: None,
        }
    }

    /// A packet's block ends here.
    pub(super) fn end_packet(&mut self) {
        self.ends.push(self.waiting.len());
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

    /// Writes what waits. When that fails, the file holds as many whole blocks as there was room for, or
    /// where it is compressed is as it was before; and the error comes with how many packets were written.
    pub(super) fn commit(&mut self) -> Result<(), (u64, io::Error)> {
        let Err(error) = self.commit_all() else { return Ok(()) };
        let mut packets = 0;
        if let (Output::File(file), Compression::None) = (&mut self.output, self.compression) {
            let mut from = 0;
            for &end in &self.ends {
                if file.write_all(&self.waiting[from..end]).is_err() {
                    break;
                }
                self.size += (end - from) as u64;
                (packets, from) = (packets + 1, end);
            }
        }
        self.take_back();
        Err((packets, error))
    }

    fn commit_all(&mut self) -> io::Result<()> {
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
            self.take_back();
            return Err(error);
        }
        if let Some((hidden, path)) = &self.unseen {
            fs::rename(hidden, path)?;
            self.unseen = None;
        }
        self.size += bytes.len() as u64;
        self.waiting.clear();
        self.ends.clear();
        Ok(())
    }

    /// Cuts off what is not whole.
    fn take_back(&mut self) {
        if let Output::File(file) = &mut self.output {
            // Where even that fails, the reader meets a file that is cut off.
            let _ = file.set_len(self.size).and_then(|()| file.seek(SeekFrom::Start(self.size)));
        }
    }
}

/// What never got its name is taken away.
impl Drop for WholeBlocks {
    fn drop(&mut self) {
        if let Some((hidden, _)) = self.unseen.take() {
            let _ = fs::remove_file(hidden);
        }
    }
}

/// The name of a file beside it that nobody takes for a capture.
fn hidden(path: &Path) -> Option<PathBuf> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name()?);
    name.push(".part");
    Some(path.with_file_name(name))
}

impl Write for WholeBlocks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.commit().map_err(|(_, error)| error)
    }
}

/// One gzip member.
fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::new(GZIP_LEVEL));
    encoder.write_all(bytes)?;
    encoder.finish()
}
