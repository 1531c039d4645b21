//! Reads a recording, frame by frame, and says what of it is lost.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use zstd::stream::read::Decoder;

use super::held::Held;
use super::journal::Place;
use super::line::{FORMAT, Line, Opening};
use super::writer::{never_began, segment_path};
use super::{Finished, RecordError, Row, Run, journal, resume};

/// Decompressed bytes of one frame; the writer stays far below, save for single bodies of that size.
const MAX_FRAME: u64 = 1 << 30;

/// A part of a segment that could not be read: a frame that was being written when the process died,
/// or damage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The segment.
    pub path: PathBuf,
    /// The byte at which the frame begins that could not be read.
    pub offset: u64,
    /// How many bytes of the segment lie behind that; what they held is unknown.
    pub bytes: u64,
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        write!(f, "{name}: {} bytes behind byte {} could not be read", self.bytes, self.offset)
    }
}

/// Reads the rows of a recording in their order.
pub struct Reader {
    folder: PathBuf,
    run: Run,
    finished: Option<Finished>,
    losses: Vec<Loss>,
    segment: Segment,
    lines: VecDeque<Line>,
    /// Where the run was resumed last: what had been put off before is void.
    resumed: Option<Place>,
    /// Rows whose requests were sent again, until what became of that is read.
    held: Held,
    /// The rows of the journal, once the segments are read.
    journalled: Option<Vec<u8>>,
}

impl Reader {
    /// Opens the recording in `folder` and reads its first line.
    ///
    /// # Errors
    /// When there is none, it cannot be read, or it is of another version.
    pub fn open(folder: &Path) -> Result<Self, RecordError> {
        let not = || RecordError::NotARecording(folder.to_owned());
        let path = segment_path(folder, 1);
        if never_began(&path)? {
            return Err(RecordError::NeverBegan(folder.to_owned()));
        }
        let mut segment = Segment::open(path, 1)?.ok_or_else(not)?;
        let Frame::Whole(text) = segment.text()? else { return Err(not()) };
        segment.is_known(&text)?;
        let mut lines = VecDeque::from(segment.lines(&text)?);
        let Some(Line::Run { run, .. }) = lines.pop_front() else { return Err(not()) };
        Ok(Self {
            folder: folder.to_owned(),
            run,
            finished: None,
            losses: Vec::new(),
            segment,
            lines,
            resumed: resume::marked(folder)?,
            held: Held::default(),
            journalled: None,
        })
    }

    /// The facts that were known when the run began.
    #[must_use]
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// The facts at the end; `None` until all rows were read, and where the run never ended in order.
    #[must_use]
    pub fn finished(&self) -> Option<&Finished> {
        self.finished.as_ref()
    }

    /// What could not be read so far.
    #[must_use]
    pub fn losses(&self) -> &[Loss] {
        &self.losses
    }

    /// The next row, or `None` at the end. A row whose request was sent again comes when what became of that
    /// has come, or, in a run that was killed, where the run was resumed or ends.
    ///
    /// # Errors
    /// When a file cannot be read or a whole line is not what shadowcap writes. A torn frame is no
    /// error: see [`losses`](Self::losses).
    pub fn next_row(&mut self) -> Result<Option<Row>, RecordError> {
        while let Some((row, holds)) = self.next_written()? {
            if holds {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    /// The next row as it was written, and whether it holds: what was put off before the run was resumed
    /// is void.
    pub(super) fn next_written(&mut self) -> Result<Option<(Row, bool)>, RecordError> {
        let Some(row) = self.next_complete()? else { return Ok(None) };
        let before = |resumed| self.journalled.is_none() && self.end() <= resumed;
        let void = row.is_put_off() && self.resumed.is_some_and(before);
        Ok(Some((row, !void)))
    }

    /// The end of the frame that was read last.
    pub(super) fn end(&self) -> Place {
        Place { segment: self.segment.number, offset: self.segment.good }
    }

    /// What the journal held that no frame does; behind the last row.
    pub(super) fn journalled(&self) -> Vec<u8> {
        self.journalled.clone().unwrap_or_default()
    }

    /// The next row with all that belongs to it.
    fn next_complete(&mut self) -> Result<Option<Row>, RecordError> {
        loop {
            if let Some(row) = self.held.released() {
                return Ok(Some(row));
            }
            let Some(line) = self.lines.pop_front() else {
                if self.refill()? {
                    continue;
                }
                self.held.give_up();
                return Ok(self.held.released());
            };
            let bad_line = |reason| self.segment.bad_line(reason);
            match line {
                Line::Row(line) => {
                    let is_asked = line.is_asked();
                    let row = line.into_row().map_err(bad_line)?;
                    if !is_asked {
                        return Ok(Some(row));
                    }
                    self.held.hold(row);
                }
                Line::Again(again) => self.held.complete(again).map_err(bad_line)?,
                Line::Finished(finished) => self.finished = Some(finished),
                Line::Resumed {} => {
                    self.finished = None;
                    self.held.give_up();
                }
                // A second first line adds nothing: the run is that which began.
                Line::Run { .. } => {}
            }
        }
    }

    /// Reads the next frame, in this segment or the next; `false` at the end of the recording.
    fn refill(&mut self) -> Result<bool, RecordError> {
        match self.segment.frame()? {
            Frame::Whole(lines) => {
                self.lines = lines.into();
                return Ok(true);
            }
            Frame::Torn(loss) => self.losses.push(loss),
            Frame::End => {}
        }
        let number = self.segment.number + 1;
        match Segment::open(segment_path(&self.folder, number), number)? {
            Some(next) => {
                self.segment = next;
                Ok(true)
            }
            None => self.read_journal(),
        }
    }

    /// Behind the last segment: the rows that the run had taken and not yet written as a frame.
    fn read_journal(&mut self) -> Result<bool, RecordError> {
        if self.journalled.is_some() {
            return Ok(false);
        }
        let text = journal::left(&self.folder, self.end())?;
        let lines = lines(&text).map_err(|error| self.segment.bad_line(error.to_string()))?;
        if !lines.is_empty() {
            // What was torn is the frame of these very rows.
            let torn = (&self.segment.path, self.segment.good);
            self.losses.retain(|loss| (&loss.path, loss.offset) != torn);
        }
        self.lines = lines.into();
        self.journalled = Some(text);
        Ok(!self.lines.is_empty())
    }
}

enum Frame<T> {
    Whole(T),
    Torn(Loss),
    End,
}

/// One segment while it is read. Invariant: `good` is the end of the last frame that was read whole.
struct Segment {
    path: PathBuf,
    number: u32,
    file: Counted<BufReader<File>>,
    good: u64,
    ended: bool,
}

impl Segment {
    fn open(path: PathBuf, number: u32) -> Result<Option<Self>, RecordError> {
        match File::open(&path) {
            Ok(file) => {
                let file = Counted { inner: BufReader::with_capacity(1 << 17, file), read: 0 };
                Ok(Some(Self { path, number, file, good: 0, ended: false }))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(RecordError::io("read", path)(error)),
        }
    }

    fn frame(&mut self) -> Result<Frame<Vec<Line>>, RecordError> {
        Ok(match self.text()? {
            Frame::Whole(text) => Frame::Whole(self.lines(&text)?),
            Frame::Torn(loss) => Frame::Torn(loss),
            Frame::End => Frame::End,
        })
    }

    /// The next frame's text, which is read whole when its [`lines`](Self::lines) are.
    fn text(&mut self) -> Result<Frame<Vec<u8>>, RecordError> {
        if self.ended || self.file.fill_buf().map_err(RecordError::io("read", &self.path))?.is_empty() {
            self.ended = true;
            return Ok(Frame::End);
        }
        let mut text = Vec::new();
        if self.decode(&mut text).is_err() || text.len() as u64 > MAX_FRAME {
            return self.tear().map(Frame::Torn);
        }
        Ok(Frame::Whole(text))
    }

    fn lines(&mut self, text: &[u8]) -> Result<Vec<Line>, RecordError> {
        let lines = lines(text).map_err(|error| self.bad_line(error.to_string()))?;
        self.good = self.file.read;
        Ok(lines)
    }

    /// Whether the recording that begins with this text is of a form that is known here: of another, no line is looked at.
    fn is_known(&self, text: &[u8]) -> Result<(), RecordError> {
        let first = text.split(|&b| b == b'\n').next().unwrap_or_default();
        // What is no such line is told as what it is when it is read.
        let Ok(Opening { format, tool_version: by }) = serde_json::from_slice(first) else { return Ok(()) };
        match format {
            1..=FORMAT => Ok(()),
            0 => Err(self.bad_line("there is no format 0".to_owned())),
            _ => Err(RecordError::Newer { path: self.path.clone(), format, known: FORMAT, by }),
        }
    }

    fn decode(&mut self, text: &mut Vec<u8>) -> io::Result<()> {
        let mut decoder = Decoder::with_buffer(&mut self.file)?.single_frame();
        decoder.by_ref().take(MAX_FRAME + 1).read_to_end(text)?;
        Ok(())
    }

    /// Gives the segment up behind its last whole frame.
    fn tear(&mut self) -> Result<Loss, RecordError> {
        self.ended = true;
        let size = std::fs::metadata(&self.path).map_err(RecordError::io("read", &self.path))?.len();
        Ok(Loss { path: self.path.clone(), offset: self.good, bytes: size.saturating_sub(self.good) })
    }

    fn bad_line(&self, reason: String) -> RecordError {
        RecordError::Line { path: self.path.clone(), offset: self.good, reason }
    }
}

/// The lines of a frame's text.
fn lines(text: &[u8]) -> serde_json::Result<Vec<Line>> {
    text.split(|&b| b == b'\n').filter(|line| !line.is_empty()).map(Line::read).collect()
}

/// Counts the bytes that were taken from a buffered reader.
struct Counted<R> {
    inner: R,
    read: u64,
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(out)?;
        self.read += n as u64;
        Ok(n)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, n: usize) {
        self.inner.consume(n);
        self.read += n as u64;
    }
}
