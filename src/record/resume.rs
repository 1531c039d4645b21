//! Going on with a recording whose run was killed, stopped, or ran out of disk.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use foldhash::fast::RandomState;

use super::journal::{Journal, Place};
use super::outstanding::{Gathering, Outstanding};
use super::{Digests, Intents, Reader, RecordError, Row, RowName, Run, Writer, intents};

const NAME: &str = "resumed.json";

/// A recording that is about to be gone on with: first its rows are read, then it is written on.
pub struct Resuming {
    folder: PathBuf,
    reader: Reader,
    journal: Journal,
    in_flight: intents::Open,
    put_off: Gathering,
}

/// Rows by the digests of their names.
pub type Names = HashSet<u64, RandomState>;

/// What a recording is gone on with.
pub struct Resumed {
    /// Appends to it.
    pub writer: Writer,
    /// Notes what is on its way.
    pub intents: Intents,
    /// The rows that were on their way when the process died: their requests may have reached v2.
    pub in_flight: Vec<RowName>,
    /// The rows that were put off and have had no outcome since: the capture has to have them again.
    pub put_off: Outstanding,
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
        let in_flight = intents::left(folder)?;
        let put_off = Gathering::in_folder(folder);
        Ok(Self { folder: folder.to_owned(), reader, journal, in_flight, put_off })
    }

    /// The run as it began.
    #[must_use]
    pub fn run(&self) -> &Run {
        self.reader.run()
    }

    /// The next row that holds: not one that was only put off, since its request is now sent after all.
    ///
    /// # Errors
    /// As [`Reader::next_row`], and when there is no room to note which were put off.
    pub fn next_row(&mut self) -> Result<Option<Row>, RecordError> {
        while let Some((row, _)) = self.reader.next_written()? {
            let name = row.name();
            self.in_flight.remove(&name);
            if !row.is_put_off() {
                return Ok(Some(row));
            }
            self.put_off.add(name.digest())?;
        }
        Ok(None)
    }

    /// Behind the last row: cuts off a torn last frame, moves what the journal held into a frame of its
    /// own, and marks what was put off as void. The rows that hold were `recorded`: of what was put off at some time, those
    /// that are among them have an outcome by now.
    ///
    /// # Errors
    /// When the recording cannot be written.
    pub fn go_on(self, recorded: &Digests) -> Result<Resumed, RecordError> {
        let Self { folder, reader, journal, in_flight, put_off } = self;
        let put_off = put_off.finish(|digest| recorded.contains(digest))?;
        let writer = Writer::behind(&folder, reader.end(), &reader.journalled(), journal)?;
        mark(&folder, writer.place())?;
        let names = in_flight.iter().cloned().collect();
        let intents = Intents::create(&folder, in_flight)?;
        Ok(Resumed { writer, intents, in_flight: names, put_off })
    }
}

/// Reads again the rows of a recording that were put off before the run was resumed last.
pub struct PutOff {
    reader: Reader,
    names: Outstanding,
}

impl PutOff {
    /// Stands before those of these names.
    ///
    /// # Errors
    /// When the recording cannot be read.
    pub fn open(folder: &Path, names: Outstanding) -> Result<Self, RecordError> {
        Ok(Self { reader: Reader::open(folder)?, names })
    }

    /// The next of them, each once; `None` when there is none before the place where the run was resumed.
    ///
    /// # Errors
    /// As [`Reader::next_row`].
    pub fn next_row(&mut self) -> Result<Option<Row>, RecordError> {
        while !self.names.is_empty() {
            let Some((row, holds)) = self.reader.next_written()? else { break };
            if !holds && self.names.cross_off(row.name().digest())? {
                return Ok(Some(row));
            }
        }
        Ok(None)
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
