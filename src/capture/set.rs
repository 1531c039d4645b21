//! Several files as one capture in time order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::PacketSource;
use super::digest;
use super::error::CaptureError;
use super::file::{self, CaptureFile};
use super::input::{self, Input, Origin, Place, Stream};
use super::progress::BytesRead;
use super::pump::Cancel;
use super::stats::{CaptureStats, FileStats, SkippedFile};
use crate::packet::Packet;
use crate::time::Timestamp;

/// How much is read to find the time of a file's first packet.
const PEEK_BUFFER: usize = 16 << 10;

/// From this many files open at once on, each has a smaller buffer, so that memory stays bounded.
const MANY_OPEN: usize = 16;

/// What a file's buffer is then.
const SMALL_BUFFER: usize = 64 << 10;

/// Interfaces of one file that are told apart; those beyond share the last number.
const MAX_INTERFACES: usize = 1 << 16;

/// Captures read as one, by time.
///
/// Files are ordered by the time of their first packet. Where they overlap, their packets are merged by
/// time; within a file the order is the file's own, and packets of equal time stay together with those
/// of the file that is being read. A file is open only while its packets are in turn, so that a rotated
/// set of any size needs few descriptors.
///
/// After an error the file that caused it is finished, and the next call goes on with the others.
#[derive(Debug)]
pub struct CaptureSet {
    members: Vec<Member>,
    /// Members that are not in turn, by the time of their next packet.
    queue: BinaryHeap<Reverse<(Timestamp, usize)>>,
    /// The member whose packet was lent last; it is read on when the next packet is asked for.
    current: Option<usize>,
    skipped: Vec<SkippedFile>,
    packets: u64,
    interfaces: u32,
    open: usize,
    cancel: Cancel,
    progress: BytesRead,
}

/// A file of the set.
#[derive(Debug)]
struct Member {
    origin: Origin,
    state: State,
    /// The numbers, in the set, of the file's interfaces; `None` until a packet of it was seen.
    interfaces: Vec<Option<u32>>,
}

#[derive(Debug)]
enum State {
    /// Known to hold packets, and closed; the statistics count none yet.
    Waiting(FileStats),
    /// Open, standing on the packet that is its next.
    Open(Box<CaptureFile<Stream>>),
    /// Read to its end.
    Finished(FileStats),
}

impl CaptureSet {
    /// Finds the files that the inputs stand for and the order in which they are to be read.
    ///
    /// It reads each file up to its first packet, so that what is no capture is known at once: an error
    /// where it was named itself, a note in [`CaptureStats::skipped`] where a folder or pattern led to
    /// it.
    pub fn open(inputs: &[Input]) -> Result<Self, CaptureError> {
        let places = input::expand(inputs)?;
        let files: usize = places.iter().map(|place| place.origins.len()).sum();
        let mut set = Self::empty(Cancel::default(), BytesRead::default());
        for place in places {
            set.add_place(place, files == 1)?;
        }
        set.progress.expect(set.members.iter().map(|member| member.origin.size()).sum());
        if set.members.is_empty() { Err(CaptureError::NothingNamed) } else { Ok(set) }
    }

    fn empty(cancel: Cancel, progress: BytesRead) -> Self {
        Self {
            members: Vec::new(),
            queue: BinaryHeap::new(),
            current: None,
            skipped: Vec::new(),
            packets: 0,
            interfaces: 0,
            open: 0,
            cancel,
            progress,
        }
    }

    /// The same files from their beginning, given up and counted together with these.
    ///
    /// # Errors
    /// When one of them cannot be read any more.
    pub fn rewound(&self) -> Result<Self, CaptureError> {
        let mut set = Self::empty(self.cancel.clone(), self.progress.clone());
        for member in &self.members {
            set.add(member.origin.clone(), self.members.len() == 1)?;
        }
        Ok(set)
    }

    /// Whether every stream of it can be read a second time.
    #[must_use]
    pub fn can_be_rewound(&self) -> bool {
        self.members.iter().all(|member| member.origin.reopens())
    }

    /// Whether all of it is in files, which give what they hold when they are asked for it.
    #[must_use]
    pub fn never_stalls(&self) -> bool {
        self.members.iter().all(|member| matches!(member.origin, Origin::File(_)))
    }

    /// A digest by which the same capture is known again: of what the files are, not of their names. It
    /// looks at samples of large files, and at the first packet of streams, so that it is to be asked for
    /// before any is read.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn digest(&self) -> std::io::Result<String> {
        digest::digest(self.members.iter().map(|member| (&member.origin, member.next())))
    }

    /// What gives the reading up from another thread, where it waits for bytes that may never come.
    #[must_use]
    pub fn canceller(&self) -> Cancel {
        self.cancel.clone()
    }

    /// What was read so far.
    #[must_use]
    pub fn stats(&self) -> CaptureStats {
        CaptureStats {
            files: self.members.iter().map(Member::stats).collect(),
            skipped: self.skipped.clone(),
        }
    }

    /// How far it has been read.
    #[must_use]
    pub fn progress(&self) -> BytesRead {
        self.progress.clone()
    }

    /// Adds the files of a place; a folder or pattern must have a capture among its files.
    fn add_place(&mut self, place: Place, alone: bool) -> Result<(), CaptureError> {
        let (members, skipped, files) = (self.members.len(), self.skipped.len(), place.origins.len());
        for origin in place.origins {
            match (self.add(origin.clone(), alone), &place.found_in) {
                (Err(error), Some(_)) if is_no_capture(&error) => {
                    self.skipped.push(SkippedFile::new(origin.name(), &error));
                }
                (result, _) => result?,
            }
        }
        match (place.found_in, self.skipped.get(skipped)) {
            (Some(file), Some(first)) if self.members.len() == members => Err(CaptureError::NoCaptures {
                file,
                files,
                example: Some(format!("{}: {}", first.name, first.why)),
            }),
            _ => Ok(()),
        }
    }

    /// Opens a file for its first packet, and keeps it open only where it must be.
    fn add(&mut self, origin: Origin, alone: bool) -> Result<(), CaptureError> {
        let keep = alone || !origin.reopens();
        let buffer = if keep { self.buffer() } else { PEEK_BUFFER };
        // What is only looked at is read again, and counts then.
        let progress = if keep { self.progress.clone() } else { BytesRead::default() };
        let ahead = keep && self.open == 0;
        let mut state = State::open(&origin, buffer, ahead, &self.cancel, &progress)?;
        if let State::Open(file) = &state {
            self.queue.push(Reverse((file.record().at, self.members.len())));
            if keep {
                self.open += 1;
            } else {
                let stats = file.stats();
                state = State::Waiting(FileStats::new(stats.name, stats.format, stats.compression));
            }
        }
        self.members.push(Member { origin, state, interfaces: Vec::new() });
        Ok(())
    }

    fn buffer(&self) -> usize {
        if self.open < MANY_OPEN { file::BUFFER } else { SMALL_BUFFER }
    }

    /// Finds the member whose packet is next, and stands on that packet.
    #[inline]
    fn select(&mut self) -> Result<Option<usize>, CaptureError> {
        let Some(current) = self.current.take() else { return self.select_other() };
        let Some(at) = self.read_on(current)? else { return self.select_other() };
        if self.queue.peek().is_none_or(|Reverse((next, _))| at <= *next) {
            self.current = Some(current);
            return Ok(self.current);
        }
        self.queue.push(Reverse((at, current)));
        self.select_other()
    }

    /// Reads a member's next packet, and gives its time; closes the member at its end.
    #[inline]
    fn read_on(&mut self, index: usize) -> Result<Option<Timestamp>, CaptureError> {
        let Some(Member { state: State::Open(file), .. }) = self.members.get_mut(index) else {
            return Ok(None);
        };
        match file.advance() {
            Ok(true) => Ok(Some(file.record().at)),
            end => {
                self.finish(index);
                end.map(|_| None)
            }
        }
    }

    /// Closes a member that was read to its end.
    #[cold]
    fn finish(&mut self, index: usize) {
        if let Some(member) = self.members.get_mut(index) {
            member.state = State::Finished(member.stats());
            self.open -= 1;
        }
    }

    #[cold]
    fn select_other(&mut self) -> Result<Option<usize>, CaptureError> {
        while let Some(Reverse((_, index))) = self.queue.pop() {
            let (buffer, ahead) = (self.buffer(), self.open == 0);
            let member = &mut self.members[index];
            if let State::Waiting(stats) = &member.state {
                let stats = stats.clone();
                match State::open(&member.origin, buffer, ahead, &self.cancel, &self.progress) {
                    Ok(state) => {
                        self.open += usize::from(matches!(state, State::Open(_)));
                        member.state = state;
                    }
                    Err(error) => {
                        member.state = State::Finished(stats);
                        return Err(error);
                    }
                }
            }
            if matches!(member.state, State::Open(_)) {
                self.current = Some(index);
                return Ok(self.current);
            }
        }
        Ok(None)
    }
}

impl PacketSource for CaptureSet {
    type Error = CaptureError;

    #[inline]
    fn next_packet(&mut self) -> Result<Option<Packet<'_>>, CaptureError> {
        let Some(index) = self.select()? else { return Ok(None) };
        let Some(Member { state: State::Open(file), interfaces, .. }) = self.members.get_mut(index) else {
            return Ok(None);
        };
        self.packets += 1;
        let interface = number_of(interfaces, file.record().interface, &mut self.interfaces);
        Ok(Some(file.lend(self.packets, interface)))
    }
}

impl Member {
    /// The packet that it stands on, where it is open; of the first of its interfaces, whichever it is of.
    fn next(&self) -> Option<Packet<'_>> {
        match &self.state {
            State::Open(file) => Some(file.lend(1, 0)),
            State::Waiting(_) | State::Finished(_) => None,
        }
    }

    fn stats(&self) -> FileStats {
        match &self.state {
            State::Waiting(stats) | State::Finished(stats) => stats.clone(),
            State::Open(file) => file.stats(),
        }
    }
}

impl State {
    /// Opens a file and reads to its first packet; a capture without packets is finished. It may be decompressed `ahead`,
    /// which takes a thread.
    fn open(
        origin: &Origin,
        buffer: usize,
        ahead: bool,
        cancel: &Cancel,
        progress: &BytesRead,
    ) -> Result<Self, CaptureError> {
        let stream: Stream = Box::new(progress.count(origin.open(cancel)?));
        let open = if ahead { CaptureFile::ahead } else { CaptureFile::with_buffer };
        let mut file = open(origin.name(), stream, buffer)?;
        Ok(if file.advance()? { Self::Open(Box::new(file)) } else { Self::Finished(file.stats()) })
    }
}

/// What a folder may hold beside captures: other files, and captures without a whole header.
fn is_no_capture(error: &CaptureError) -> bool {
    matches!(
        error,
        CaptureError::Empty { .. } | CaptureError::NotACapture { .. } | CaptureError::TruncatedHeader { .. }
    )
}

/// The number in the set of a file's interface, given on its first packet.
#[inline]
fn number_of(known: &mut Vec<Option<u32>>, local: u32, next: &mut u32) -> u32 {
    let local = (local as usize).min(MAX_INTERFACES - 1);
    if let Some(Some(number)) = known.get(local) {
        return *number;
    }
    if known.len() <= local {
        known.resize(local + 1, None);
    }
    let number = *next;
    *next = next.wrapping_add(1);
    known[local] = Some(number);
    number
}
