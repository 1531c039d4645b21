//! Where request bodies go that are too large to be kept in memory: temporary files in the run's folder.
//!
//! A file has no name, so that it is gone when the last who needs its body lets go of it, or when the process
//! dies. It belongs to the exchange, and goes with it from reading through sending to judging; the recording
//! holds a digest. While such bodies wait to be sent they take disk and descriptors: reading waits where those
//! that were handed on come to more than [`ROOM`].

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::http::{BodyStore, BodyWriter, ReadAt};

/// Bytes of stored bodies that may wait to be sent, or be on their way; a single one may be larger.
const ROOM: u64 = 512 << 20;
/// A stored body takes as much of the room at least, so that descriptors stay few.
const LEAST: u64 = 4 << 20;
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
}

impl Spill {
    pub(super) fn in_folder(folder: PathBuf) -> Self {
        Self { folder }
    }
}

impl BodyStore for Spill {
    fn begin(&self) -> io::Result<Box<dyn BodyWriter>> {
        let file = tempfile::tempfile_in(&self.folder)?;
        Ok(Box::new(Writing { file, at: 0, buffer: Vec::with_capacity(BUFFER) }))
    }
}

/// A body that is being written.
struct Writing {
    file: File,
    at: u64,
    buffer: Vec<u8>,
}

impl Writing {
    fn flush(&mut self) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.file, &self.buffer, self.at)?;
        self.at += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

impl BodyWriter for Writing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.buffer.len() + bytes.len() > BUFFER {
            self.flush()?;
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> io::Result<Arc<dyn ReadAt>> {
        self.flush()?;
        Ok(Arc::new(Written(self.file)))
    }
}

/// A body that is whole.
struct Written(File);

impl ReadAt for Written {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(&self.0, out, offset)
    }
}

/// Where bodies are counted alone, since nothing is sent.
#[derive(Debug)]
pub(super) struct Counted;

impl BodyStore for Counted {
    fn begin(&self) -> io::Result<Box<dyn BodyWriter>> {
        Ok(Box::new(Self))
    }
}

impl BodyWriter for Counted {
    fn write(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn finish(self: Box<Self>) -> io::Result<Arc<dyn ReadAt>> {
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
    taken: Arc<(Mutex<u64>, Condvar)>,
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

    /// Waits for room for a stored body of so many bytes.
    pub(super) fn take_stored(&self, len: u64) -> Place {
        self.take(len.max(LEAST))
    }

    /// Waits for room for so many bytes. What holds room are requests that were handed on, each of which ends
    /// by itself.
    pub(super) fn take(&self, bytes: u64) -> Place {
        let (taken, freed) = &*self.taken;
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        while *taken > 0 && *taken + bytes > self.size {
            taken = freed.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        *taken += bytes;
        Place { room: self.clone(), bytes }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let (taken, freed) = &*self.room.taken;
        *taken.lock().unwrap_or_else(PoisonError::into_inner) -= self.bytes;
        freed.notify_all();
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
    fn one_waits_for_room_and_one_that_is_larger_than_all_of_it_for_all() {
        let room = Room::on_disk();
        let first = room.take_stored(10 * ROOM);
        let (told, hears) = mpsc::channel();
        let waiting = {
            let room = room.clone();
            std::thread::spawn(move || {
                let second = room.take_stored(1);
                told.send(()).unwrap();
                second.bytes
            })
        };
        assert!(hears.try_recv().is_err());
        drop(first);
        hears.recv().unwrap();
        assert_eq!(waiting.join().unwrap(), LEAST);
        assert_eq!(*room.taken.0.lock().unwrap(), 0);
    }
}
