//! The rows that no frame holds yet, as plain lines: what a killed process had taken and not compressed.
//!
//! Its first line says where the frame with these rows will stand. Once that frame is whole the journal
//! is stale, whether or not the process lived to empty it, and is passed over. The file is also the lock
//! that keeps a second process from writing the same recording.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::RecordError;

const NAME: &str = "journal.ndjson";

/// A place in the recording, at the end of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Place {
    /// The segment, counted from 1.
    pub(super) segment: u32,
    /// Bytes of it before this place.
    pub(super) offset: u64,
}

/// The journal of a recording that is being written.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// Bytes of the coming frame that it holds.
    held: usize,
}

impl Journal {
    /// An empty journal, locked against other processes.
    ///
    /// # Errors
    /// When another process has it, or it cannot be written.
    pub(super) fn open(folder: &Path) -> Result<Self, RecordError> {
        let path = folder.join(NAME);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(RecordError::io("create", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { path, file, held: 0 }),
            Err(TryLockError::WouldBlock) => Err(RecordError::Busy(folder.to_owned())),
            Err(TryLockError::Error(error)) => Err(RecordError::io("lock", path)(error)),
        }
    }

    /// Adds what it does not hold yet of the rows that will stand in the frame at `place`.
    ///
    /// # Errors
    /// When it cannot be written, as on a full disk; a later attempt writes the same bytes again.
    pub(super) fn keep(&mut self, rows: &[u8], place: Place) -> Result<(), RecordError> {
        let new = rows.get(self.held..).unwrap_or_default();
        if new.is_empty() {
            return Ok(());
        }
        let before = self.file.stream_position().map_err(RecordError::io("write", &self.path))?;
        let written = if self.held == 0 {
            let first = format!("{}\n", serde_json::json!(place));
            self.file.write_all(&[first.as_bytes(), new].concat())
        } else {
            self.file.write_all(new)
        };
        if let Err(error) = written {
            let _ = self.file.set_len(before).and_then(|()| self.file.seek(SeekFrom::Start(before)));
            return Err(RecordError::io("write", &self.path)(error));
        }
        self.held = rows.len();
        Ok(())
    }

    /// The frame is written.
    ///
    /// # Errors
    /// When the file cannot be cut.
    pub(super) fn empty(&mut self) -> Result<(), RecordError> {
        self.held = 0;
        self.file.set_len(0).and_then(|()| self.file.rewind()).map_err(RecordError::io("write", &self.path))
    }

    /// Whether the file is still where it was made: what is written into one that was removed is lost.
    ///
    /// # Errors
    /// When it is not.
    pub(super) fn is_in_place(&self) -> Result<(), RecordError> {
        let same = |here: &fs::Metadata, there: &fs::Metadata| {
            use std::os::unix::fs::MetadataExt as _;
            (here.dev(), here.ino()) == (there.dev(), there.ino())
        };
        match (self.file.metadata(), fs::metadata(&self.path)) {
            (Ok(here), Ok(there)) if same(&here, &there) => Ok(()),
            _ => Err(RecordError::Vanished(self.path.clone())),
        }
    }

    /// Takes the file away: the recording has ended.
    pub(super) fn remove(self) {
        // What cannot be removed is empty or stale, and does no harm.
        let _ = fs::remove_file(&self.path);
    }
}

/// The whole lines that a journal in this folder holds of the frame that would stand at `place`.
///
/// # Errors
/// When the file is there and cannot be read.
pub(super) fn left(folder: &Path, place: Place) -> Result<Vec<u8>, RecordError> {
    let path = folder.join(NAME);
    let mut text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(RecordError::io("read", path)(error)),
    };
    text.truncate(memchr::memrchr(b'\n', &text).map_or(0, |end| end + 1));
    let Some(first) = memchr::memchr(b'\n', &text) else { return Ok(Vec::new()) };
    let rows = text.split_off(first + 1);
    let right = serde_json::from_slice::<Place>(&text).is_ok_and(|written| written == place);
    Ok(if right { rows } else { Vec::new() })
}
