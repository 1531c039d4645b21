//! Writes a recording: lines gather in memory, and leave as one zstd frame at a time.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

use super::Again;
use super::journal::{Journal, Place};
use super::line::{FORMAT, Line};
use super::lines::Lines;
use super::{Finished, Intents, NotAsked, RecordError, Row, RowName, Run, intents, resume};

/// Uncompressed bytes after which a frame is written without being asked for.
const FRAME_BYTES: usize = 1 << 20;
/// Rows after which a frame is written without being asked for.
const FRAME_ROWS: usize = 4096;
/// Compressed bytes after which another segment is begun.
const SEGMENT_BYTES: u64 = 256 << 20;
/// zstd's fastest regular level; the recording must not slow the replay.
const LEVEL: i32 = 1;

/// Appends to a recording. Whatever was kept or flushed survives the death of the process.
pub struct Writer {
    folder: PathBuf,
    path: PathBuf,
    file: File,
    place: Place,
    pending: Vec<u8>,
    pending_rows: usize,
    lines: Lines,
    compressor: Compressor<'static>,
    /// Room for a frame.
    frame: Vec<u8>,
    journal: Journal,
}

impl Writer {
    /// Begins a recording in `folder`, which is made (mode 0700) where it is missing. The first line is
    /// on disk when this returns.
    ///
    /// # Errors
    /// When the folder cannot be written, or holds a recording already.
    pub fn create(folder: &Path, run: &Run) -> Result<(Self, Intents), RecordError> {
        make_private_folder(folder)?;
        let path = segment_path(folder, 1);
        let (file, journal) = if never_began(&path)? {
            // A run that was killed before its first line left it. What another process has just made is
            // locked, or the other one finds it locked by us.
            let journal = Journal::open(folder)?;
            fs::remove_file(&path).map_err(RecordError::io("replace", &path))?;
            (create_segment(folder, 1)?.1, journal)
        } else {
            (create_segment(folder, 1)?.1, Journal::open(folder)?)
        };
        let mut writer = Self::at(folder, path, file, Place { segment: 1, offset: 0 }, journal)?;
        let first = Line::Run { format: FORMAT, run: run.clone().without_secrets() };
        let begun = writer.line(&first).and_then(|()| writer.flush());
        match begun.and_then(|()| Intents::create(folder, intents::Open::default())) {
            Ok(intents) => Ok((writer, intents)),
            Err(error) => {
                writer.discard();
                Err(error)
            }
        }
    }

    /// Goes on behind `place`, where the last whole frame ends: what lies behind it is cut off, and the
    /// rows that the journal held become the next frame.
    pub(super) fn behind(
        folder: &Path,
        place: Place,
        journalled: &[u8],
        journal: Journal,
    ) -> Result<Self, RecordError> {
        let path = segment_path(folder, place.segment);
        let file =
            OpenOptions::new().append(true).open(&path).map_err(RecordError::io("go on writing", &path))?;
        file.set_len(place.offset).map_err(RecordError::io("cut the torn end of", &path))?;
        let mut writer = Self::at(folder, path, file, place, journal)?;
        writer.pending.extend_from_slice(journalled);
        writer.line(&Line::Resumed {})?;
        writer.flush()?;
        Ok(writer)
    }

    fn at(
        folder: &Path,
        path: PathBuf,
        file: File,
        place: Place,
        journal: Journal,
    ) -> Result<Self, RecordError> {
        let compressor = compressor().map_err(RecordError::io("compress", &path))?;
        let folder = folder.to_owned();
        let (pending, pending_rows, lines) = (Vec::new(), 0, Lines::default());
        let frame = Vec::new();
        Ok(Self { folder, path, file, place, pending, pending_rows, lines, compressor, frame, journal })
    }

    /// Where the next frame will stand.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// Appends a row. It is safe after the next [`keep`](Self::keep) or [`flush`](Self::flush), and in any
    /// case when so much has gathered that a frame is due.
    ///
    /// # Errors
    /// When a frame was due and could not be written.
    pub fn row(&mut self, row: &Row) -> Result<(), RecordError> {
        self.row_line(row, false)
    }

    /// The same for a row whose request is sent again, so that [`again`](Self::again) follows.
    ///
    /// # Errors
    /// As for [`row`](Self::row).
    pub fn asked_row(&mut self, row: &Row) -> Result<(), RecordError> {
        self.row_line(row, true)
    }

    /// Appends what became of the request of such a row; as safe as a row.
    ///
    /// # Errors
    /// As for [`row`](Self::row).
    pub fn again(
        &mut self,
        row: &RowName,
        again: &[Again],
        not_asked: Option<NotAsked>,
    ) -> Result<(), RecordError> {
        self.lines.again(&mut self.pending, row, again, not_asked);
        self.flush_if_due()
    }

    fn row_line(&mut self, row: &Row, asked: bool) -> Result<(), RecordError> {
        self.lines.row(&mut self.pending, row, asked);
        self.flush_if_due()
    }

    fn flush_if_due(&mut self) -> Result<(), RecordError> {
        self.pending_rows += 1;
        if self.pending.len() >= FRAME_BYTES || self.pending_rows >= FRAME_ROWS {
            self.flush()?;
        }
        Ok(())
    }

    /// Hands to the system, uncompressed, what has gathered since the last frame: the death of the
    /// process loses none of it.
    ///
    /// # Errors
    /// When it cannot be written, as on a full disk.
    pub fn keep(&mut self) -> Result<(), RecordError> {
        self.journal.keep(&self.pending, self.place)
    }

    /// Writes what has gathered as one frame and hands it to the system.
    ///
    /// # Errors
    /// When it cannot be written, as on a full disk. What had gathered is kept, so that the next flush
    /// tries again behind the last whole frame.
    pub fn flush(&mut self) -> Result<(), RecordError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.frame.clear();
        self.frame.reserve(zstd::zstd_safe::compress_bound(self.pending.len()));
        self.compressor
            .compress_to_buffer(&self.pending, &mut self.frame)
            .map_err(RecordError::io("compress for", &self.path))?;
        if let Err(source) = self.file.write_all(&self.frame) {
            // Half a frame would hide all that follows it. If even this fails, the reader reports the tear.
            let _ = self.file.set_len(self.place.offset);
            return Err(RecordError::io("write", &self.path)(source));
        }
        self.place.offset += self.frame.len() as u64;
        self.pending.clear();
        self.pending_rows = 0;
        self.journal.empty()?;
        self.begin_segment()
    }

    /// Whether what is written still goes to where it was begun.
    ///
    /// # Errors
    /// When the folder was removed or replaced: nothing more can be recorded.
    pub fn is_in_place(&self) -> Result<(), RecordError> {
        self.journal.is_in_place()
    }

    /// Begins another segment where this one is large, with the frame that is written next.
    fn begin_segment(&mut self) -> Result<(), RecordError> {
        if self.place.offset < SEGMENT_BYTES {
            return Ok(());
        }
        let segment = self.place.segment + 1;
        (self.path, self.file) = create_segment(&self.folder, segment)?;
        self.place = Place { segment, offset: 0 };
        Ok(())
    }

    /// Takes the recording away again, as if it had never been begun. What else lies in its folder stays.
    pub fn discard(self) {
        for number in 1..=self.place.segment {
            // What cannot be removed stays, and does no harm.
            let _ = fs::remove_file(segment_path(&self.folder, number));
        }
        self.journal.remove();
        intents::remove(&self.folder);
        resume::remove(&self.folder);
        let _ = fs::remove_dir(&self.folder);
    }

    /// Ends the recording in order: the last line, and everything on the disk itself. What was on its way
    /// is closed by [`Intents::close`].
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self, finished: &Finished) -> Result<(), RecordError> {
        self.is_in_place()?;
        self.line(&Line::Finished(finished.clone().without_secrets()))?;
        self.flush()?;
        self.file.sync_all().map_err(RecordError::io("write", &self.path))?;
        self.journal.remove();
        Ok(())
    }

    fn line(&mut self, line: &Line) -> Result<(), RecordError> {
        serde_json::to_writer(&mut self.pending, line)
            .map_err(|error| RecordError::io("write", &self.path)(error.into()))?;
        self.pending.push(b'\n');
        Ok(())
    }
}

fn compressor() -> io::Result<Compressor<'static>> {
    let mut compressor = Compressor::new(LEVEL)?;
    compressor.set_parameter(CParameter::ChecksumFlag(true))?;
    Ok(compressor)
}

/// The most that a first line can take, compressed.
const LARGEST_FIRST_FRAME: u64 = 1 << 20;

/// Whether a first segment is there and ends before its first frame does: nothing was ever sent behind it.
pub(super) fn never_began(path: &Path) -> Result<bool, RecordError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(RecordError::io("read", path)(error)),
    };
    let size = file.metadata().map_err(RecordError::io("read", path))?.len();
    if size == 0 || size > LARGEST_FIRST_FRAME {
        return Ok(size == 0);
    }
    let read = zstd::stream::read::Decoder::new(file)
        .and_then(|decoder| io::copy(&mut decoder.single_frame(), &mut io::sink()));
    Ok(read.is_err_and(|error| error.kind() == io::ErrorKind::UnexpectedEof))
}

/// Where the `number`th segment is, counted from 1.
pub(super) fn segment_path(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("segment-{number:05}.ndjson.zst"))
}

fn make_private_folder(folder: &Path) -> Result<(), RecordError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(RecordError::io("create", folder))
}

fn create_segment(folder: &Path, number: u32) -> Result<(PathBuf, File), RecordError> {
    let path = segment_path(folder, number);
    let mut options = OpenOptions::new();
    // Appending, so that cutting off half a frame also moves where the next one goes.
    options.append(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(&path) {
        Ok(file) => Ok((path, file)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(RecordError::Exists(folder.to_owned()))
        }
        Err(error) => Err(RecordError::io("create", path)(error)),
    }
}
