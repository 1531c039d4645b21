//! What happened, kept: the recording on disk, its reader, and the redaction of what must not be kept.
//!
//! A recording is a folder of append-only segments (`segment-00001.ndjson.zst`, ...) of
//! newline-delimited JSON in independent zstd frames, so that `zstd -dc segment-*.zst | jq` reads it
//! and a crash loses at most the frame that was being written. Its first line is the [`Run`], then one
//! line for each [`Row`], with what came of its request where it was sent again on a line that follows
//! some time later, then, after an orderly end, the [`Finished`] line. A report made again from
//! these lines alone is the same report.
//!
//! While a run goes on, two more files lie beside the segments, so that a process that is killed at any
//! moment neither loses an answer that it has taken nor forgets what it was sending: `journal.ndjson`
//! with the rows that no frame holds yet, and `intents` with the names of the rows that were begun and
//! have none. Both outlive the process, not the machine: they are handed to the system, not synced.

mod again;
mod digests;
mod fetch;
mod held;
mod intents;
mod journal;
mod line;
mod lines;
mod name;
mod outstanding;
pub(crate) mod put;
mod reader;
mod recordings;
pub mod redact;
mod resume;
mod run;
#[cfg(test)]
pub(crate) mod samples;
mod text;
mod way;
mod writer;
mod written;

use std::path::PathBuf;
use std::sync::Arc;

pub use again::{Again, NotAsked};
pub use digests::{Digests, Gathering};
pub use intents::Intents;
pub use name::{NameOfRow, RequestName, RowName, RowNameError};
pub use outstanding::Outstanding;
pub use reader::{Loss, Reader};
pub use recordings::Recordings;
pub use redact::{Also, AlsoError, Redactor, Secrets};
pub use resume::{Names, PutOff, Resumed, Resuming};
pub use run::{CAPTURE, CaptureTotals, Finished, Mode, OPTIONS, ROUTES, Run};
pub use text::Text;
pub use writer::Writer;

use crate::exchange::Exchange;
use crate::replay::Outcome;
use crate::replay::client::ClientKind;
use crate::route::Role;

/// One request and what became of it at one destination: a line of the recording, and a row of every
/// report. Reports are made of rows alone, so that a report made again from the recording is the same.
#[derive(Clone, Debug)]
pub struct Row {
    /// What was captured. It stays where it is while the row is handed on.
    pub exchange: Box<Exchange>,
    /// How often the capture had been read before, in a run that reads it again and again.
    pub lap: u32,
    /// Its place, from 0, among the rows of one request: there is one for each destination.
    pub copy: u32,
    /// The part that the destination plays.
    pub role: Role,
    /// The destination's name. This and the texts below are the same in many rows, which share them.
    pub destination: Arc<str>,
    /// The rule that sent it there, or that sent it nowhere; empty where none matched.
    pub route: Arc<str>,
    /// Which of the rule's matches was met, in words.
    pub matched: Arc<str>,
    /// Why it was sent there, or nowhere, in words.
    pub reason: Arc<str>,
    /// The head that was sent, where something was sent: the captured head with the edits.
    pub sent_head: Option<bytes::Bytes>,
    /// Which client sent it, where shadowcap did.
    pub client: Option<ClientKind>,
    /// What became of it.
    pub outcome: Outcome,
    /// What became of it where it was sent again, to either side, in the order of sending.
    pub again: Vec<Again>,
    /// Why it was not sent again, or not as often as it should have been.
    pub not_asked: Option<NotAsked>,
}

impl Row {
    /// What reports call its request.
    #[must_use]
    pub fn request_name(&self) -> RequestName {
        RequestName { id: self.exchange.id, lap: self.lap }
    }

    /// What names it among all rows of the run.
    #[must_use]
    pub fn name(&self) -> RowName {
        let (request, copy) = (self.request_name(), self.copy);
        RowName { request, copy, role: self.role, destination: Arc::clone(&self.destination) }
    }

    /// The same without a copy of the destination's name.
    #[must_use]
    pub fn name_at_hand(&self) -> NameOfRow<'_> {
        let (request, copy) = (self.request_name(), self.copy);
        NameOfRow { request, copy, role: self.role, destination: &self.destination }
    }

    /// Bytes of memory that its bodies take.
    pub(crate) fn body_memory(&self) -> usize {
        let answer = match &self.outcome {
            Outcome::Answered { response, .. } => Some(&**response),
            Outcome::Failed { partial, .. } => partial.as_deref(),
            Outcome::Skipped(_) => None,
        };
        let answers = self.exchange.response.iter().chain(answer);
        self.exchange.request.body.memory() + answers.map(|answer| answer.body.memory()).sum::<usize>()
    }

    /// Whether a run that is resumed sends its request after all, so that this row is void.
    #[must_use]
    pub fn is_put_off(&self) -> bool {
        matches!(&self.outcome, Outcome::Skipped(reason) if reason.is_put_off())
    }
}

/// Why a recording could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file system refused.
    #[error("cannot {action} {}: {source}{}", path.display(), advice(source))]
    Io {
        /// What was tried: "create", "write", "read", ...
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The folder holds a recording already, and would have been overwritten.
    #[error("{} holds a recording already; choose another folder with --out, or show it again with `shadowcap report`", .0.display())]
    Exists(PathBuf),
    /// The folder holds no segment that could be read.
    #[error(
        "{} holds no recording (no segment-00001.ndjson.zst with a readable first line); name the folder of a run, such \
         as reports/CAPTURE-TIME",
        .0.display()
    )]
    NotARecording(PathBuf),
    /// The run was killed before the first line of its recording was written.
    #[error(
        "{} holds a recording without its first line: the run was killed before it sent anything. Begin it anew, with \
         --out in place of --resume",
        .0.display()
    )]
    NeverBegan(PathBuf),
    /// Another process writes it.
    #[error("{} is being written by another shadowcap: wait for its end, or stop it", .0.display())]
    Busy(PathBuf),
    /// The folder, or a file in it, has been removed or replaced under the run that writes it.
    #[error(
        "{} was removed or replaced while the run was writing it. Nothing more was sent; what had been sent is recorded \
         there, if anywhere",
        .0.display()
    )]
    Vanished(PathBuf),
    /// A later version wrote it, in another form.
    #[error(
        "{}: the recording has format {format}, written by shadowcap {by}, and this version ({}) reads formats up to \
         {known}; read it with that version or a later one",
        path.display(), env!("CARGO_PKG_VERSION")
    )]
    Newer {
        /// The segment.
        path: PathBuf,
        /// Its format.
        format: u32,
        /// The last format that is known here.
        known: u32,
        /// The version that wrote it, as far as it says so.
        by: String,
    },
    /// A line is whole, and yet not what this version writes.
    #[error("{}, frame at byte {offset}: {reason}; was it written by another version?", path.display())]
    Line {
        /// The segment.
        path: PathBuf,
        /// Where the frame begins in it, in bytes.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
}

/// What to do where the file system refuses.
pub(crate) fn advice(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            "; free some space, or choose a folder elsewhere with --out"
        }
        _ => "",
    }
}

impl RecordError {
    fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}

#[cfg(test)]
mod tests;
