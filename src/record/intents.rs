//! What is on its way: the names of the rows whose sending was begun and that the recording does not hold
//! yet. After a kill these are the requests that may have reached their destination.
//!
//! A line for each, appended by one system call before the first byte of the request can leave. A file of
//! some size is replaced by one with the names that are still open, so it stays small however long a run
//! is.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::hash::Hash;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use foldhash::fast::RandomState;
use hashbrown::{Equivalent, HashSet};

use super::{RecordError, RowName};

/// Names of rows on their way.
pub(super) type Open = HashSet<RowName, RandomState>;

/// The file's name.
const NAME: &str = "intents";
/// Bytes after which the file is written anew.
const LARGE: usize = 1 << 20;

/// The names of the rows on their way, shared by those who send and the one who records.
#[derive(Debug)]
pub struct Intents(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    file: File,
    written: usize,
    open: Open,
    /// Room for lines.
    lines: Vec<u8>,
}

impl Intents {
    /// Begins the file of the recording in this folder, in place of another run's, with these rows on their
    /// way.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn create(folder: &Path, open: Open) -> Result<Self, RecordError> {
        let path = folder.join(NAME);
        let (file, written) = renewed(&path, &open)?;
        Ok(Self(Mutex::new(Inner { path, file, written, open, lines: Vec::new() })))
    }

    /// Notes that a row's request is about to be sent. When this returns, a kill cannot hide it any more.
    ///
    /// # Errors
    /// When it cannot be noted: the request must not be sent.
    pub fn begin(&self, name: RowName) -> Result<(), RecordError> {
        self.begin_many([name])
    }

    /// The same for rows whose requests are sent together: one system call notes them all.
    ///
    /// # Errors
    /// When they cannot be noted: none of the requests must be sent.
    pub fn begin_many(&self, names: impl IntoIterator<Item = RowName>) -> Result<(), RecordError> {
        let mut inner = self.lock();
        if inner.written >= LARGE {
            (inner.file, inner.written) = renewed(&inner.path, &inner.open)?;
        }
        let inner = &mut *inner;
        inner.lines.clear();
        for name in names {
            name.put(&mut inner.lines);
            inner.lines.push(b'\n');
            inner.open.insert(name);
        }
        inner.file.write_all(&inner.lines).map_err(RecordError::io("write", &inner.path))?;
        inner.written += inner.lines.len();
        Ok(())
    }

    /// The recording holds these rows: they are on their way no more.
    pub fn end(&self, names: impl IntoIterator<Item = impl Equivalent<RowName> + Hash>) {
        let mut inner = self.lock();
        for name in names {
            inner.open.remove(&name);
        }
    }

    /// The run has ended in order: the file goes, save where names are left that were on their way when an
    /// earlier part of the run was killed, and of which this part came to nothing.
    ///
    /// # Errors
    /// When what is left cannot be noted.
    pub fn close(&self) -> Result<(), RecordError> {
        let mut inner = self.lock();
        if inner.open.is_empty() {
            remove_file(&inner.path);
        } else {
            (inner.file, inner.written) = renewed(&inner.path, &inner.open)?;
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the place of the file by one with these names alone.
fn renewed(path: &Path, open: &Open) -> Result<(File, usize), RecordError> {
    let mut text = String::new();
    for name in open {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name}");
    }
    let new = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&new).map_err(RecordError::io("create", &new))?;
    file.write_all(text.as_bytes())
        .and_then(|()| fs::rename(&new, path))
        .map_err(RecordError::io("write", path))?;
    Ok((file, text.len()))
}

/// The names that a run left in this folder, with those that had been recorded since.
///
/// # Errors
/// When the file is there and cannot be read.
pub(super) fn left(folder: &Path) -> Result<Open, RecordError> {
    let path = folder.join(NAME);
    match fs::read_to_string(&path) {
        // A line without its end was never followed by a request: what it says was not yet noted.
        Ok(text) => {
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            Ok(whole.lines().filter_map(|line| line.parse().ok()).collect())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Open::default()),
        Err(error) => Err(RecordError::io("read", path)(error)),
    }
}

/// Takes the file away: nothing was begun.
pub(super) fn remove(folder: &Path) {
    remove_file(&folder.join(NAME));
}

fn remove_file(path: &Path) {
    // What cannot be removed names rows that the recording holds, and does no harm.
    let _ = fs::remove_file(path);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::ExchangeId;
    use crate::record::{RequestName, samples};
    use crate::route::Role;

    fn name(id: u64) -> RowName {
        let request = RequestName { id: ExchangeId(id), lap: 0 };
        RowName { request, copy: 0, role: Role::Shadow, destination: "v2".into() }
    }

    fn names(folder: &Path) -> Vec<u64> {
        let mut ids: Vec<_> = left(folder).unwrap().into_iter().map(|name| name.request.id.0).collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn what_was_begun_is_there_at_once_and_what_was_recorded_goes_with_the_next_file() {
        let folder = tempfile::tempdir().unwrap();
        let intents = Intents::create(folder.path(), Open::default()).unwrap();
        intents.begin(name(1)).unwrap();
        intents.begin(name(2)).unwrap();
        assert_eq!(names(folder.path()), [1, 2]);
        intents.begin_many([name(4), name(5)]).unwrap();
        assert_eq!(names(folder.path()), [1, 2, 4, 5]);
        intents.end([name(1), name(4), name(5)]);
        intents.lock().written = LARGE;
        intents.begin(name(3)).unwrap();
        assert_eq!(names(folder.path()), [2, 3]);
        remove(folder.path());
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn the_name_of_a_row_at_hand_ends_what_began() {
        let folder = tempfile::tempdir().unwrap();
        let intents = Intents::create(folder.path(), Open::default()).unwrap();
        let mut rows = Vec::new();
        for (lap, copy, destination) in [(0, 0, "v2"), (1, 0, "v2"), (0, 1, "v2"), (0, 0, "v3")] {
            let mut row =
                samples::row("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n");
            (row.lap, row.copy, row.destination) = (lap, copy, destination.into());
            intents.begin(row.name()).unwrap();
            rows.push(row);
        }
        for (left, row) in rows.iter().enumerate().rev() {
            intents.end([row.name_at_hand()]);
            assert_eq!(intents.lock().open.len(), left);
            assert!(!intents.lock().open.contains(&row.name()));
        }
    }

    #[test]
    fn at_an_orderly_end_the_file_goes_save_for_what_came_to_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let intents = Intents::create(folder.path(), Open::from_iter([name(1)])).unwrap();
        intents.begin(name(2)).unwrap();
        intents.end([name(2)]);
        intents.close().unwrap();
        assert_eq!(names(folder.path()), [1]);
        intents.end([name(1)]);
        intents.close().unwrap();
        assert!(!folder.path().join(NAME).exists());
    }

    #[test]
    fn the_file_stays_small() {
        let folder = tempfile::tempdir().unwrap();
        let intents = Intents::create(folder.path(), Open::default()).unwrap();
        for id in 0..100_000 {
            intents.begin(name(id)).unwrap();
            intents.end([name(id)]);
        }
        let size = fs::metadata(folder.path().join(NAME)).unwrap().len();
        assert!(size < 2 * LARGE as u64, "{size}");
    }

    #[test]
    fn half_a_line_names_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("{}\n{}", name(1), name(2));
        fs::write(folder.path().join(NAME), text).unwrap();
        assert_eq!(names(folder.path()), [1]);
    }
}
