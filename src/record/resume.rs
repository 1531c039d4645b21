//! Going on with a recording whose run was killed, stopped, or ran out of disk.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use foldhash::fast::RandomState;

use super::journal::{Journal, Place};
use super::{Intents, Reader, RecordError, Row, RowName, Run, Writer, intents};

const NAME: &str = "resumed.json";

/// A recording that is about to be gone on with: first its rows are read, then it is written on.
pub struct Resuming {
    folder: PathBuf,
    reader: Reader,
    journal: Journal,
    in_flight: HashSet<RowName, RandomState>,
}

/// What a recording is gone on with.
pub struct Resumed {
    /// Appends to it.
    pub writer: Writer,
    /// Notes what is on its way.
    pub intents: Intents,
    /// The rows that were on their way when the process died: their requests may have reached v2.
    pub in_flight: Vec<RowName>,
}

impl Resuming {
    /// Opens the recording in `folder`, and keeps other processes from writing it.
    ///
    /// # Errors
    /// When there is none, another process writes it, or it cannot be read.
    pub fn open(folder: &Path) -> Result<Self, RecordError> {
        // Before the journal, which opening would make.
        let reader = Reader::open(folder)?;
        let journal = Journal::open(folder)?;
        Ok(Self { folder: folder.to_owned(), reader, journal, in_flight: intents::left(folder)? })
    }

    /// The run as it began.
    #[must_use]
    pub fn run(&self) -> &Run {
        self.reader.run()
    }

    /// Whether the run ended in order and all that was to be sent has an outcome; known when all rows
    /// were read.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.reader.finished().is_some_and(|finished| !finished.interrupted && finished.gave_up.is_none())
    }

    /// The next row that holds: not one that was only put off, since its request is now sent after all.
    ///
    /// # Errors
    /// As [`Reader::next_row`].
    pub fn next_row(&mut self) -> Result<Option<Row>, RecordError> {
        while let Some(row) = self.reader.next_row()? {
            self.in_flight.remove(&row.name());
            if !row.is_put_off() {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    /// Behind the last row: cuts off a torn last frame, moves what the journal held into a frame of its
    /// own, and marks what was put off as void.
    ///
    /// # Errors
    /// When the recording cannot be written.
    pub fn go_on(self) -> Result<Resumed, RecordError> {
        let Self { folder, reader, journal, in_flight } = self;
        let writer = Writer::behind(&folder, reader.end(), &reader.journalled(), journal)?;
        mark(&folder, writer.place())?;
        let names = in_flight.iter().cloned().collect();
        Ok(Resumed { writer, intents: Intents::create(&folder, in_flight)?, in_flight: names })
    }
}

/// Rows before this place that were only put off are void.
pub(super) fn marked(folder: &Path) -> Result<Option<Place>, RecordError> {
    let path = folder.join(NAME);
    match fs::read(&path) {
        Ok(text) => Ok(serde_json::from_slice(&text).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(RecordError::io("read", path)(error)),
    }
}

fn mark(folder: &Path, place: Place) -> Result<(), RecordError> {
    let (path, new) = (folder.join(NAME), folder.join(format!("{NAME}.new")));
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&new).map_err(RecordError::io("create", &new))?;
    serde_json::to_writer(file, &place)
        .map_err(io::Error::from)
        .and_then(|()| fs::rename(&new, &path))
        .map_err(RecordError::io("write", &path))
}

/// Takes the mark away.
pub(super) fn remove(folder: &Path) {
    let _ = fs::remove_file(folder.join(NAME));
}
