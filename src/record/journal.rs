//! The rows that no frame holds yet, as plain lines: what a killed process had taken and not compressed.
//!
//! Its first line says where the frame with these rows will stand, and how many bytes they are. Once that frame is
//! whole the journal is stale and is passed over: the rows of the next frame are written over it, which costs a tenth of
//! what it costs to empty the file and have it grow again. Rows hold once the first line counts them, which is written
//! after them. The file is also the lock that keeps a second process from writing the same recording.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{RecordError, put};

const NAME: &str = "journal.ndjson";
/// Bytes of the first line, its end included: it is filled up with spaces.
const FIRST: usize = 96;
/// Bytes of rows beyond which the file is emptied, so that what one large body took is given back.
const LARGE: usize = 8 << 20;

/// A place in the recording, at the end of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Place {
    /// The segment, counted from 1.
    pub(super) segment: u32,
    /// Bytes of it before this place.
    pub(super) offset: u64,
}

/// The first line.
#[derive(Deserialize)]
struct First {
    #[serde(flatten)]
    place: Place,
    /// Bytes of rows behind it; absent where an earlier version wrote it, and all are.
    #[serde(default)]
    bytes: Option<u64>,
}

/// The journal of a recording that is being written.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// Bytes of the coming frame that it holds.
    held: usize,
    /// Room for the first line.
    first: Vec<u8>,
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
            Ok(()) => Ok(Self { path, file, held: 0, first: Vec::with_capacity(FIRST) }),
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
        // Whoever reads meanwhile sees by the place that the rows of the frame before are written over.
        let opened = if self.held == 0 { self.count(place, 0) } else { Ok(()) };
        let written = opened.and_then(|()| self.file.write_all_at(new, (FIRST + self.held) as u64));
        let counted = written.and_then(|()| self.count(place, rows.len()));
        counted.map_err(RecordError::io("write", &self.path))?;
        self.held = rows.len();
        Ok(())
    }

    /// Writes the first line, which there is for every few rows.
    fn count(&mut self, place: Place, bytes: usize) -> io::Result<()> {
        let line = &mut self.first;
        line.clear();
        for (name, value) in [
            (&b"{\"bytes\":"[..], bytes as u64),
            (b",\"offset\":", place.offset),
            (b",\"segment\":", place.segment.into()),
        ] {
            line.extend_from_slice(name);
            put::number(line, value);
        }
        line.push(b'}');
        // Three numbers of at most twenty digits leave room.
        line.resize(FIRST - 1, b' ');
        line.push(b'\n');
        self.file.write_all_at(line, 0)
    }

    /// The frame is written: what the file holds is stale.
    ///
    /// # Errors
    /// When a large file cannot be cut.
    pub(super) fn empty(&mut self) -> Result<(), RecordError> {
        if self.held > LARGE {
            self.file.set_len(0).map_err(RecordError::io("write", &self.path))?;
        }
        self.held = 0;
        Ok(())
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
    let text = match held(&path, place) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(RecordError::io("read", path)(error)),
    };
    let Some(counted) = first(&text).filter(|first| first.place == place) else { return Ok(Vec::new()) };
    let mut rows = text;
    rows.drain(..memchr::memchr(b'\n', &rows).map_or(rows.len(), |end| end + 1));
    let counted = counted.bytes.and_then(|bytes| usize::try_from(bytes).ok());
    rows.truncate(counted.unwrap_or(rows.len()));
    rows.truncate(memchr::memrchr(b'\n', &rows).map_or(0, |end| end + 1));
    Ok(rows)
}

/// A journal; nothing where its rows were written over, while it was read, by a run that goes on.
fn held(path: &Path, place: Place) -> io::Result<Vec<u8>> {
    let (text, mut again) = (fs::read(path)?, [0; FIRST]);
    let read = File::open(path)?.read_at(&mut again, 0)?;
    let is_same = first(again.get(..read).unwrap_or_default()).is_some_and(|first| first.place == place);
    Ok(if is_same { text } else { Vec::new() })
}

/// The first line of a journal, where that is whole.
fn first(text: &[u8]) -> Option<First> {
    let end = memchr::memchr(b'\n', text)?;
    serde_json::from_slice(text.get(..end)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Place = Place { segment: 1, offset: 12 };
    const BEHIND: Place = Place { segment: 1, offset: 99 };

    fn text(folder: &Path, place: Place) -> String {
        String::from_utf8(left(folder, place).unwrap()).unwrap()
    }

    #[test]
    fn rows_hold_until_their_frame_is_written_and_those_of_the_next_take_their_place() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(folder.path()).unwrap();
        assert_eq!(text(folder.path(), AT), "");
        journal.keep(b"one\n", AT).unwrap();
        journal.keep(b"one\ntwo and more\n", AT).unwrap();
        assert_eq!(
            (text(folder.path(), AT), text(folder.path(), BEHIND)),
            ("one\ntwo and more\n".into(), String::new())
        );
        journal.empty().unwrap();
        // The process may die here: its rows are in the frame.
        assert_eq!(text(folder.path(), BEHIND), "");
        journal.keep(b"3\n", BEHIND).unwrap();
        assert_eq!((text(folder.path(), AT), text(folder.path(), BEHIND)), (String::new(), "3\n".into()));
    }

    #[test]
    fn the_first_line_is_read_whatever_it_counts() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(folder.path()).unwrap();
        for (place, bytes) in [
            (Place { segment: 1, offset: 0 }, 0),
            (Place { segment: 12_345, offset: 1 << 28 }, 1 << 20),
            (Place { segment: u32::MAX, offset: u64::MAX }, usize::MAX),
        ] {
            journal.count(place, bytes).unwrap();
            let text = fs::read(folder.path().join(NAME)).unwrap();
            let read = first(&text).unwrap();
            assert_eq!((read.place, read.bytes, text.len()), (place, Some(bytes as u64), FIRST));
        }
    }

    #[test]
    fn what_a_kill_leaves_half_written_does_not_hold() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(folder.path()).unwrap();
        journal.keep(b"one\n", AT).unwrap();
        // Rows, and not yet their count.
        journal.file.write_all_at(b"two\nthr", (FIRST + 4) as u64).unwrap();
        assert_eq!(text(folder.path(), AT), "one\n");
        // Half a count.
        journal.file.write_all_at(b"{\"segm   ", 0).unwrap();
        assert_eq!(text(folder.path(), AT), "");
    }

    #[test]
    fn the_journal_of_an_earlier_version_counts_nothing_and_is_read_to_its_last_line() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(NAME), "{\"offset\":12,\"segment\":1}\none\ntwo\nthr").unwrap();
        assert_eq!(
            (text(folder.path(), AT), text(folder.path(), BEHIND)),
            ("one\ntwo\n".into(), String::new())
        );
    }

    #[test]
    fn what_a_large_body_took_is_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(folder.path()).unwrap();
        journal.keep(&vec![b'x'; LARGE + 1], AT).unwrap();
        journal.empty().unwrap();
        journal.keep(b"one\n", BEHIND).unwrap();
        assert_eq!(journal.file.metadata().unwrap().len(), (FIRST + 4) as u64);
        assert_eq!(text(folder.path(), BEHIND), "one\n");
    }
}
