//! What happened, kept: the recording on disk, its reader, and the redaction of what must not be kept.
//!
//! A recording is a folder of append-only segments (`segment-00001.ndjson.zst`, ...) of
//! newline-delimited JSON in independent zstd frames, so that `zstd -dc segment-*.zst | jq` reads it
//! and a crash loses at most the frame that was being written. Its first line is the [`Run`], then one
//! line for each [`Row`], then, after an orderly end, the [`Finished`] line. A report made again from
//! these lines alone is the same report.

mod line;
mod reader;
pub mod redact;
mod run;
#[cfg(test)]
pub(crate) mod samples;
mod text;
mod writer;

use std::path::PathBuf;

pub use reader::{Loss, Reader};
pub use redact::Redactor;
pub use run::{CaptureTotals, Finished, Mode, Run};
pub use text::Text;
pub use writer::{RowKey, Writer};

use crate::exchange::Exchange;
use crate::replay::Outcome;
use crate::replay::client::ClientKind;
use crate::route::Role;

/// One request and what became of it at one destination: a line of the recording, and a row of every
/// report. Reports are made of rows alone, so that a report made again from the recording is the same.
#[derive(Clone, Debug)]
pub struct Row {
    /// What was captured.
    pub exchange: Exchange,
    /// The part that the destination plays.
    pub role: Role,
    /// The destination's name.
    pub destination: String,
    /// The rule that sent it there, or that sent it nowhere; empty where none matched.
    pub route: String,
    /// Which of the rule's matches was met, in words.
    pub matched: String,
    /// Why it was sent there, or nowhere, in words.
    pub reason: String,
    /// The head that was sent, where something was sent: the captured head with the edits.
    pub sent_head: Option<bytes::Bytes>,
    /// Which client sent it, where shadowcap did.
    pub client: Option<ClientKind>,
    /// What became of it.
    pub outcome: Outcome,
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
