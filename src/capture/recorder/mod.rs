//! Keeps captured packets in pcapng files that are readable at any moment.
//!
//! A file grows by whole blocks, and compressed by whole gzip members or zstd frames, at the latest a
//! second after a packet came. So whatever ends the program, what is on the disk is read by every tool up
//! to its last byte. When the disk is full, the block that found no room is taken back.

mod blocks;
mod names;

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::{Compression, InterfaceCounts, PcapngWriter};
use crate::packet::{LinkType, Packet};
use crate::time::Timestamp;
use blocks::WholeBlocks;
use names::Names;

/// How long a packet may wait in memory before it is written.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// What is written where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecorderOptions {
    /// The file, or the one that gives a rotated set its name; `None` is standard output.
    pub path: Option<PathBuf>,
    /// When a file is followed by another.
    pub rotation: Rotation,
    /// The interfaces, in the order of their numbers.
    pub interfaces: Vec<(String, LinkType)>,
    /// The filter under which they are captured on.
    pub filter: Option<String>,
    /// How many bytes of each packet are kept.
    pub snaplen: u32,
}

/// When a file is followed by another; never where nothing is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Before it grows beyond so many bytes. A compressed file may by what is written in a second.
    pub bytes: Option<u64>,
    /// When it is so old.
    pub every: Option<Duration>,
    /// When it holds so many packets.
    pub packets: Option<u64>,
    /// How many files are kept; the oldest are removed. All without it.
    pub keep: Option<usize>,
}

impl Rotation {
    /// Whether there can be more than one file.
    #[must_use]
    pub const fn is_set(&self) -> bool {
        self.bytes.is_some() || self.every.is_some() || self.packets.is_some()
    }
}

/// Why packets are not kept.
#[derive(Debug, thiserror::Error)]
pub enum RecorderError {
    /// The file cannot be made.
    #[error("cannot make {}: {source}; choose another with -w", path.display())]
    Create {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file cannot grow.
    #[error(
        "cannot write {}: {source}; the {packets} packets written to it before can be read, what came after is lost",
        path.display()
    )]
    Write {
        /// Which.
        path: PathBuf,
        /// Packets that it holds.
        packets: u64,
        /// What the system says.
        source: io::Error,
    },
}

impl RecorderError {
    /// Whether nobody is there any more who reads standard output, which is no failure of ours.
    #[must_use]
    pub fn is_unread(&self) -> bool {
        let (Self::Create { source, .. } | Self::Write { source, .. }) = self;
        source.kind() == io::ErrorKind::BrokenPipe
    }
}

/// What reads the counts of the interfaces, in their order, for the statistics blocks.
pub type Counts = Box<dyn Fn() -> Vec<InterfaceCounts> + Send>;

/// Writes packets to a file, or one after the other to the files of a rotated set.
pub struct Recorder {
    options: RecorderOptions,
    counts: Counts,
    began: Timestamp,
    names: Option<Names>,
    /// The files that there are, the oldest first, with the one that is being written.
    ring: VecDeque<PathBuf>,
    file: Current,
    /// Packets in all files.
    packets: u64,
}

/// The file that is being written.
struct Current {
    path: PathBuf,
    writer: PcapngWriter<WholeBlocks>,
    opened: Instant,
    /// When it last grew.
    grown: Instant,
    packets: u64,
    /// Of those, the ones that are on their way to the disk.
    kept: u64,
}

impl Recorder {
    /// Makes the (first) file, and the folder for it.
    ///
    /// # Errors
    /// When that cannot be done.
    pub fn create(options: RecorderOptions, counts: Counts) -> Result<Self, RecorderError> {
        let began = now();
        let names = match &options.path {
            Some(path) if options.rotation.is_set() => Some(Names::of(path)),
            _ => None,
        };
        let mut ring: VecDeque<_> = names.as_ref().map(Names::existing).unwrap_or_default().into();
        let file = Current::create(&options, names.as_ref(), began)?;
        ring.push_back(file.path.clone());
        let mut recorder = Self { options, counts, began, names, ring, file, packets: 0 };
        recorder.forget_oldest();
        Ok(recorder)
    }

    /// Writes one packet.
    ///
    /// # Errors
    /// When the disk takes no more.
    pub fn write(&mut self, packet: &Packet<'_>) -> Result<(), RecorderError> {
        if self.is_full(packet) {
            self.rotate()?;
        }
        self.file.packets += 1;
        self.packets += 1;
        let written = self.file.writer.write(packet);
        written.map_err(|source| self.file.error(0, source))?;
        let sink = self.file.writer.sink_mut();
        sink.end_packet();
        if sink.is_ready() { self.file.grow() } else { Ok(()) }
    }

    /// To be called now and then: what has waited for long is written, and an old file is followed by
    /// another.
    ///
    /// # Errors
    /// When the disk takes no more.
    pub fn tick(&mut self) -> Result<(), RecorderError> {
        if self.options.rotation.every.is_some_and(|every| self.file.opened.elapsed() >= every) {
            return self.rotate();
        }
        if self.file.grown.elapsed() >= LONGEST_WAIT { self.file.grow() } else { Ok(()) }
    }

    /// Packets written so far, to all files.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// The file that is being written.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// Completes the last file with the statistics of the interfaces, and says which files there are.
    ///
    /// # Errors
    /// When the disk takes no more.
    pub fn finish(mut self) -> Result<Vec<PathBuf>, RecorderError> {
        self.complete()?;
        Ok(self.ring.into())
    }

    /// Whether the file has no room for a further packet.
    fn is_full(&mut self, packet: &Packet<'_>) -> bool {
        let Rotation { bytes, packets, .. } = self.options.rotation;
        let file = &mut self.file;
        // A file has at least one packet, however small it should be.
        file.packets > 0
            && (packets.is_some_and(|most| file.packets >= most)
                || bytes.is_some_and(|most| {
                    file.writer.sink_mut().size() + blocks::of_packet(packet.data.len()) > most
                }))
    }

    fn rotate(&mut self) -> Result<(), RecorderError> {
        self.complete()?;
        self.file = Current::create(&self.options, self.names.as_ref(), now())?;
        self.ring.push_back(self.file.path.clone());
        self.forget_oldest();
        Ok(())
    }

    fn complete(&mut self) -> Result<(), RecorderError> {
        let interfaces = self.options.interfaces.iter();
        let numbered = (0..).zip(interfaces).map(|(number, (_, link))| (number, *link));
        for (interface, counts) in numbered.zip((self.counts)()) {
            let between = (self.began, now());
            let written = self.file.writer.statistics(interface, &counts, between);
            written.map_err(|source| self.file.error(0, source))?;
        }
        self.file.grow()
    }

    fn forget_oldest(&mut self) {
        let Some(keep) = self.options.rotation.keep else { return };
        while self.ring.len() > keep.max(1)
            && let Some(oldest) = self.ring.pop_front()
        {
            // What somebody else has removed is gone as it should be.
            let _ = fs::remove_file(oldest);
        }
    }
}

impl Current {
    fn create(
        options: &RecorderOptions,
        names: Option<&Names>,
        now: Timestamp,
    ) -> Result<Self, RecorderError> {
        let path = match (&options.path, names) {
            (_, Some(names)) => names.next(now),
            (Some(path), None) => path.clone(),
            (None, None) => PathBuf::from("standard output"),
        };
        let begun = || {
            let sink = match &options.path {
                Some(_) => WholeBlocks::create(&path, compression_of(&path))?,
                None => WholeBlocks::standard_output(),
            };
            let application = concat!("shadowcap ", env!("CARGO_PKG_VERSION"));
            let mut writer = PcapngWriter::by_application(sink, application)?;
            for (number, (name, link)) in (0..).zip(&options.interfaces) {
                writer.describe((number, *link), name, options.filter.as_deref(), options.snaplen)?;
            }
            writer.sink_mut().commit().map_err(|(_, error)| error)?;
            Ok(writer)
        };
        match begun() {
            Ok(writer) => {
                let opened = Instant::now();
                Ok(Self { path, writer, opened, grown: opened, packets: 0, kept: 0 })
            }
            Err(source) => Err(RecorderError::Create { path, source }),
        }
    }

    /// Writes what waits.
    fn grow(&mut self) -> Result<(), RecorderError> {
        let committed = self.writer.sink_mut().commit();
        committed.map_err(|(packets, source)| self.error(packets, source))?;
        (self.grown, self.kept) = (Instant::now(), self.packets);
        Ok(())
    }

    /// What kept it from growing by more than so many packets.
    fn error(&self, packets: u64, source: io::Error) -> RecorderError {
        RecorderError::Write { path: self.path.clone(), packets: self.kept + packets, source }
    }
}

/// The compression that a file's name promises.
fn compression_of(path: &Path) -> Compression {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => Compression::Gzip,
        Some("zst") => Compression::Zstd,
        _ => Compression::None,
    }
}

fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(0) + since_epoch
}

#[cfg(test)]
mod tests;
