//! One stream of bytes as a capture.

use std::fmt;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use super::PacketSource;
use super::decompress::Decompressed;
use super::error::CaptureError;
use super::pcap::{self, PcapReader};
use super::pcapng::{self, PcapngReader};
use super::sniff::{self, LooksLike};
use super::stats::{Compression, FileStats, Format, Truncation};
use super::window::{Stop, Window};
use crate::packet::{LinkType, Packet};
use crate::time::Timestamp;

/// How much is read at once: little enough to be in the second cache still when it is looked at.
pub(super) const BUFFER: usize = 256 << 10;

/// A packet's facts, and where in the window its bytes lie until the next is read.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) at: Timestamp,
    pub(super) link: LinkType,
    pub(super) interface: u32,
    pub(super) original_len: u32,
    pub(super) data: Range<usize>,
}

impl Record {
    /// That of no packet.
    const NONE: Self = Self {
        at: Timestamp::from_nanos(0),
        link: LinkType::NULL,
        interface: 0,
        original_len: 0,
        data: 0..0,
    };
}

#[derive(Debug)]
enum Reader {
    Pcap(PcapReader),
    Pcapng(PcapngReader),
}

/// A capture read from any stream: pcap or pcapng, plain or compressed.
///
/// Packets are numbered from 1. After an error, and after the end, there is no further packet.
pub struct CaptureFile<R> {
    window: Window<Decompressed<R>>,
    reader: Reader,
    stats: FileStats,
    /// What was read last.
    record: Record,
    finished: bool,
}

impl<R: Read> CaptureFile<R> {
    /// Reads the header of a capture; `name` stands for the stream in messages.
    pub fn new(name: impl Into<Arc<str>>, source: R) -> Result<Self, CaptureError> {
        Self::with_buffer(name.into(), source, BUFFER)
    }

    pub(super) fn with_buffer(name: Arc<str>, source: R, buffer: usize) -> Result<Self, CaptureError> {
        Self::of(name, Decompressed::new(source), buffer)
    }

    fn of(
        name: Arc<str>,
        decompressed: io::Result<Decompressed<R>>,
        buffer: usize,
    ) -> Result<Self, CaptureError> {
        let decompressed = match decompressed {
            Ok(decompressed) => decompressed,
            Err(source) => return Err(CaptureError::Io { file: name, offset: 0, source }),
        };
        let compression = decompressed.compression();
        let mut window = Window::new(decompressed, buffer);
        match open_reader(&mut window, compression) {
            Ok((reader, format)) => {
                let stats = FileStats::new(name, format, compression);
                Ok(Self { window, reader, stats, record: Record::NONE, finished: false })
            }
            Err(NotOpened::Empty) => Err(CaptureError::Empty { file: name }),
            Err(NotOpened::NotACapture(looks_like)) => {
                Err(CaptureError::NotACapture { file: name, looks_like })
            }
            Err(NotOpened::TruncatedHeader(format)) => {
                let length = window.offset() + window.unread().len() as u64;
                Err(CaptureError::TruncatedHeader { file: name, format, length })
            }
            Err(NotOpened::Stopped(stop)) => Err(failure(stop, &window, &name, 1)),
        }
    }

    /// What was read so far.
    #[must_use]
    pub fn stats(&self) -> FileStats {
        let mut stats = self.stats.clone();
        if let Reader::Pcapng(reader) = &self.reader {
            stats.skipped_blocks = reader.skipped();
        }
        stats
    }

    /// Reads the next packet into the window; says whether there is one.
    #[inline]
    pub(super) fn advance(&mut self) -> Result<bool, CaptureError> {
        if self.finished {
            return Ok(false);
        }
        match &mut self.reader {
            Reader::Pcap(reader) => {
                let next = reader.next(&mut self.window);
                self.take(next)
            }
            Reader::Pcapng(_) => self.advance_by_blocks(),
        }
    }

    /// As [`Self::advance`]; apart, so that the shorter way of the simpler format has no share in its length.
    #[inline(never)]
    fn advance_by_blocks(&mut self) -> Result<bool, CaptureError> {
        let Reader::Pcapng(reader) = &mut self.reader else { return Ok(false) };
        let next = reader.next(&mut self.window);
        self.take(next)
    }

    #[inline]
    fn take(&mut self, next: Result<Record, Stop>) -> Result<bool, CaptureError> {
        match next {
            Ok(record) => {
                self.account(&record);
                self.record = record;
                Ok(true)
            }
            Err(stop) => self.stop(stop),
        }
    }

    /// What is known of the packet that was read last.
    #[inline]
    pub(super) fn record(&self) -> &Record {
        &self.record
    }

    /// Lends the packet that was read last.
    #[inline]
    pub(super) fn lend(&self, number: u64, interface: u32) -> Packet<'_> {
        let record = &self.record;
        Packet {
            at: record.at,
            link: record.link,
            number,
            interface,
            original_len: record.original_len,
            data: self.window.slice(record.data.clone()),
        }
    }

    #[inline]
    fn account(&mut self, record: &Record) {
        let stats = &mut self.stats;
        stats.packets += 1;
        stats.bytes += record.data.len() as u64;
        match &mut stats.last {
            // The packet ahead of it was no later, and the first is known.
            Some(last) if *last <= record.at => *last = record.at,
            _ => self.account_back(record.at),
        }
    }

    /// Takes account of a packet that is the first, or earlier than the latest: not many are.
    #[cold]
    fn account_back(&mut self, at: Timestamp) {
        let stats = &mut self.stats;
        stats.time_went_back += u64::from(stats.packets > 1 && at < self.record.at);
        stats.first = Some(stats.first.map_or(at, |first| first.min(at)));
        stats.last = Some(stats.last.map_or(at, |last| last.max(at)));
    }

    #[cold]
    fn stop(&mut self, stop: Stop) -> Result<bool, CaptureError> {
        self.finished = true;
        match stop {
            Stop::End => Ok(false),
            Stop::Truncated(offset) => {
                self.stats.truncated = Some(Truncation { offset, packets_before: self.stats.packets });
                Ok(false)
            }
            stop => Err(failure(stop, &self.window, &self.stats.name, self.stats.packets + 1)),
        }
    }
}

impl<R: Read + Send + 'static> CaptureFile<R> {
    /// As [`CaptureFile::with_buffer`]; what is compressed is decompressed by a thread of its own, ahead of the reading.
    pub(super) fn ahead(name: Arc<str>, source: R, buffer: usize) -> Result<Self, CaptureError> {
        Self::of(name, Decompressed::new(source).and_then(Decompressed::ahead), buffer)
    }
}

impl<R> fmt::Debug for CaptureFile<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaptureFile").field("stats", &self.stats).finish_non_exhaustive()
    }
}

impl<R: Read> PacketSource for CaptureFile<R> {
    type Error = CaptureError;

    #[inline]
    fn next_packet(&mut self) -> Result<Option<Packet<'_>>, CaptureError> {
        let read = self.advance()?;
        Ok(read.then(|| self.lend(self.stats.packets, self.record.interface)))
    }
}

/// Why a stream cannot be opened as a capture.
enum NotOpened {
    Empty,
    NotACapture(LooksLike),
    TruncatedHeader(Format),
    Stopped(Stop),
}

fn open_reader<R: Read>(
    window: &mut Window<Decompressed<R>>,
    compression: Compression,
) -> Result<(Reader, Format), NotOpened> {
    let stopped_in = |format| {
        move |stop| match stop {
            Stop::Truncated(_) | Stop::End => NotOpened::TruncatedHeader(format),
            stop => NotOpened::Stopped(stop),
        }
    };
    // No more than the magic number is demanded, since a live pipe may give no more for a while.
    window.fill(4).map_err(NotOpened::Stopped)?;
    let Some(&magic) = window.unread().first_chunk() else {
        return Err(too_short(window.unread(), compression));
    };
    if magic == pcapng::SECTION_HEADER {
        let reader = PcapngReader::open(window).map_err(stopped_in(Format::Pcapng))?;
        return Ok((Reader::Pcapng(reader), Format::Pcapng));
    }
    if let Some((format, order)) = pcap::recognise(magic) {
        let reader = PcapReader::open(window, format, order).map_err(stopped_in(format))?;
        return Ok((Reader::Pcap(reader), format));
    }
    window.fill(sniff::SAMPLE).map_err(NotOpened::Stopped)?;
    Err(NotOpened::NotACapture(LooksLike::of(window.unread(), compression)))
}

/// A stream of less than four bytes: nothing, the start of a magic number, or something else.
fn too_short(bytes: &[u8], compression: Compression) -> NotOpened {
    if bytes.is_empty() && compression == Compression::None {
        return NotOpened::Empty;
    }
    match sniff::format_of_prefix(bytes) {
        Some(format) if !bytes.is_empty() => NotOpened::TruncatedHeader(format),
        _ => NotOpened::NotACapture(LooksLike::of(bytes, compression)),
    }
}

/// The error for a stop that is neither the end nor a truncation.
fn failure<R: Read>(
    stop: Stop,
    window: &Window<Decompressed<R>>,
    name: &Arc<str>,
    packet: u64,
) -> CaptureError {
    let file = Arc::clone(name);
    match stop {
        Stop::Corrupt(offset, what) => CaptureError::Corrupt { file, offset, packet, what },
        Stop::Io(offset, source) => match window.source().compression() {
            compression if compression != Compression::None && !window.source().source_failed() => {
                CaptureError::Decompress { file, compression, offset, packet, source }
            }
            _ => CaptureError::Io { file, offset, source },
        },
        Stop::End | Stop::Truncated(_) => {
            CaptureError::Io { file, offset: window.offset(), source: io::ErrorKind::UnexpectedEof.into() }
        }
    }
}
