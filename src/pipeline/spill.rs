//! Where request bodies go that are too large to be kept in memory: temporary files in the run's folder.
//!
//! A file has no name, so that it is gone when the last who needs its body lets go of it, or when the process
//! dies. It belongs to the exchange, and goes with it from reading through sending to judging; the recording
//! holds a digest. While such bodies wait to be sent they take disk and descriptors. Where a capture is read that can
//! wait, reading does where those that were handed on come to more than [`ROOM`]; where nothing waits, all files together
//! hold a [`Budget`] from their first byte to their end, and a body for which there is none left is let go.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::http::{BodyStore, BodyWriter, NoRoom, ReadAt};

/// Bytes of stored bodies that may wait to be sent, or be on their way; a single one may be larger.
const ROOM: u64 = 512 << 20;
/// A stored body takes as much of the room at least, so that descriptors stay few.
pub(super) const LEAST: u64 = 4 << 20;
/// Bytes of large messages in memory that may wait to be sent, or be on their way; a single one may be larger.
const MEMORY: u64 = 32 << 20;
/// From this many bytes on a message is large.
pub(super) const LARGE: u64 = 64 << 10;
/// How much is written at once.
const BUFFER: usize = 16 << 10;

/// Keeps bodies in files without a name in one folder.
#[derive(Debug)]
pub(super) struct Spill {
    folder: PathBuf,
    budget: Option<Budget>,
}

impl Spill {
    pub(super) fn in_folder(folder: PathBuf) -> Self {
        Self { folder, budget: None }
    }

    /// Files that together take no more than so many bytes.
    #[cfg_attr(not(feature = "live"), allow(dead_code, reason = "what reads a file waits instead"))]
    pub(super) fn within(folder: PathBuf, bytes: u64) -> Self {
        Self { folder, budget: Some(Budget::of(bytes)) }
    }
}

impl BodyStore for Spill {
    fn begin(&self) -> Result<Box<dyn BodyWriter>, NoRoom> {
        let share = self.budget.as_ref().map(Budget::share).transpose()?;
        let file = tempfile::tempfile_in(&self.folder)?;
        Ok(Box::new(Writing { file, at: 0, buffer: Vec::with_capacity(BUFFER), share }))
    }
}

/// Bytes of disk, in [`PARTS`]. A file takes one at least, so that they bound the descriptors as well.
#[derive(Clone, Debug)]
struct Budget {
    left: Arc<Semaphore>,
    part: u64,
}

/// How many parts a budget has.
#[cfg_attr(not(feature = "live"), allow(dead_code, reason = "what reads a file waits instead"))]
const PARTS: usize = 512;

impl Budget {
    #[cfg_attr(not(feature = "live"), allow(dead_code, reason = "what reads a file waits instead"))]
    fn of(bytes: u64) -> Self {
        Self { left: Arc::new(Semaphore::new(PARTS)), part: (bytes / PARTS as u64).max(1) }
    }

    /// One part of it.
    fn share(&self) -> Result<Share, NoRoom> {
        let parts = Arc::clone(&self.left).try_acquire_owned().map_err(|_| NoRoom::Spent)?;
        Ok(Share { budget: self.clone(), parts })
    }
}

/// What a file has of a budget; it is free when this is dropped.
struct Share {
    budget: Budget,
    parts: OwnedSemaphorePermit,
}

impl Share {
    /// Takes what is missing to so many bytes.
    fn reach(&mut self, bytes: u64) -> Result<(), NoRoom> {
        let needed = usize::try_from(bytes.div_ceil(self.budget.part)).unwrap_or(usize::MAX);
        let missing = needed.saturating_sub(self.parts.num_permits());
        if missing > 0 {
            let missing = u32::try_from(missing).map_err(|_| NoRoom::Spent)?;
            let more = Arc::clone(&self.budget.left).try_acquire_many_owned(missing);
            self.parts.merge(more.map_err(|_| NoRoom::Spent)?);
        }
        Ok(())
    }
}

/// A body that is being written.
struct Writing {
    file: File,
    at: u64,
    buffer: Vec<u8>,
    share: Option<Share>,
}

impl Writing {
    fn flush(&mut self) -> Result<(), NoRoom> {
        if let Some(share) = &mut self.share {
            share.reach(self.at + self.buffer.len() as u64)?;
        }
        std::os::unix::fs::FileExt::write_all_at(&self.file, &self.buffer, self.at)?;
        self.at += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

impl BodyWriter for Writing {
    fn write(&mut self, bytes: &[u8]) -> Result<(), NoRoom> {
        if self.buffer.len() + bytes.len() > BUFFER {
            self.flush()?;
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Arc<dyn ReadAt>, NoRoom> {
        self.flush()?;
        let Self { file, share, .. } = *self;
        Ok(Arc::new(Written { file, _share: share }))
    }
}

/// A body that is whole.
struct Written {
    file: File,
    _share: Option<Share>,
}

impl ReadAt for Written {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(&self.file, out, offset)
    }
}

/// Where bodies are counted alone, since nothing is sent.
#[derive(Debug)]
pub(super) struct Counted;

impl BodyStore for Counted {
    fn begin(&self) -> Result<Box<dyn BodyWriter>, NoRoom> {
        Ok(Box::new(Self))
    }
}

impl BodyWriter for Counted {
    fn write(&mut self, _: &[u8]) -> Result<(), NoRoom> {
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Arc<dyn ReadAt>, NoRoom> {
        Ok(Arc::new(Self))
    }
}

impl ReadAt for Counted {
    fn read_at(&self, _: u64, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// How much of a room is taken by what was handed on, and how large it is.
#[derive(Clone, Debug)]
pub(super) struct Room {
    size: u64,
    taken: Arc<Taken>,
}

/// How much of a room is taken, and who waits for less.
#[derive(Debug, Default)]
struct Taken {
    bytes: Mutex<u64>,
    freed: Condvar,
    freed_later: Notify,
}

impl Taken {
    fn bytes(&self) -> MutexGuard<'_, u64> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A part of the room; it is free when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    room: Room,
    bytes: u64,
}

impl Room {
    /// For stored bodies.
    pub(super) fn on_disk() -> Self {
        Self { size: ROOM, taken: Arc::default() }
    }

    /// For messages that are in memory and large: the channels between the stages count messages, not bytes.
    pub(super) fn in_memory() -> Self {
        Self { size: MEMORY, taken: Arc::default() }
    }

    /// Waits for room for so many bytes. What holds room are requests that were handed on, each of which ends
    /// by itself.
    pub(super) fn take(&self, bytes: u64) -> Place {
        let mut taken = self.taken.bytes();
        while *taken > 0 && *taken + bytes > self.size {
            taken = self.taken.freed.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        *taken += bytes;
        Place { room: self.clone(), bytes }
    }

    /// Takes room for so many bytes whether or not it is there. Who does so waits [until there is
    /// some](Self::has_some) before it goes on.
    pub(super) fn overfill(&self, bytes: u64) -> Place {
        *self.taken.bytes() += bytes;
        Place { room: self.clone(), bytes }
    }

    /// Whether all of it is taken.
    pub(super) fn is_full(&self) -> bool {
        *self.taken.bytes() >= self.size
    }

    /// Waits until not all of it is taken. Only one may wait so at a time.
    pub(super) async fn has_some(&self) {
        while self.is_full() {
            self.taken.freed_later.notified().await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let taken = &self.room.taken;
        *taken.bytes() -= self.bytes;
        taken.freed.notify_all();
        taken.freed_later.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_body_comes_back_as_it_went_and_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let store = Spill::in_folder(folder.path().to_owned());
        let bytes: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
        let mut writer = store.begin().unwrap();
        bytes.chunks(1447).for_each(|piece| writer.write(piece).unwrap());
        let stored = writer.finish().unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let mut back = vec![0; 100_001];
        assert_eq!(stored.read_at(0, &mut back).unwrap(), 100_000);
        assert!(back[..100_000] == bytes);
        assert_eq!(stored.read_at(99_990, &mut back).unwrap(), 10);
        assert_eq!(stored.read_at(100_000, &mut back).unwrap(), 0);
    }

    #[test]
    fn files_within_a_budget_take_no_more_than_it_and_give_it_back() {
        let folder = tempfile::tempdir().unwrap();
        let store = Spill::within(folder.path().to_owned(), 1 << 20);
        let body = |len: usize| {
            let mut writer = store.begin()?;
            (0..len / 1000).try_for_each(|_| writer.write(&[b'x'; 1000]))?;
            writer.finish()
        };
        let half = body(600_000).unwrap();
        assert_eq!(body(600_000).err(), Some(NoRoom::Spent));
        // One that found no room has left it to others.
        let other = body(400_000).unwrap();
        drop(half);
        let half = body(600_000).unwrap();
        drop((half, other));
        assert!(body(1_000_000).is_ok());
        assert_eq!(body(2_000_000).err(), Some(NoRoom::Spent));
        // However small, they are not more than so many.
        let small: Vec<_> = std::iter::from_fn(|| body(1000).ok()).collect();
        assert_eq!(small.len(), PARTS);
        assert_eq!(store.begin().err(), Some(NoRoom::Spent));
        drop(small);
        assert!(store.begin().is_ok());
    }

    #[test]
    fn one_waits_for_room_and_one_that_is_larger_than_all_of_it_for_all() {
        let room = Room::on_disk();
        let first = room.take(10 * ROOM);
        let (told, hears) = mpsc::channel();
        let waiting = {
            let room = room.clone();
            std::thread::spawn(move || {
                let second = room.take(LEAST);
                told.send(()).unwrap();
                second.bytes
            })
        };
        assert!(hears.try_recv().is_err());
        drop(first);
        hears.recv().unwrap();
        assert_eq!(waiting.join().unwrap(), LEAST);
        assert_eq!(*room.taken.bytes(), 0);
    }

    #[tokio::test]
    async fn one_that_cannot_wait_when_it_takes_room_waits_before_it_goes_on() {
        let room = Room::in_memory();
        let places = [MEMORY, 1].map(|bytes| room.overfill(bytes));
        let goes_on = room.clone();
        let goes_on = tokio::spawn(async move { goes_on.has_some().await });
        let [most, little] = places;
        drop(little);
        tokio::task::yield_now().await;
        assert!(room.is_full() && !goes_on.is_finished());
        std::thread::spawn(move || drop(most)).join().unwrap();
        goes_on.await.unwrap();
        assert_eq!(*room.taken.bytes(), 0);
    }
}
