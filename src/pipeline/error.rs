//! What can keep a run from having reports: what, where, and what to do.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::record::RecordError;
use crate::replay::guard::CapturedServer;
use crate::report::ReportError;

/// Why there are no reports.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The target is a server of the capture.
    #[error(transparent)]
    CapturedServer(#[from] CapturedServer),
    /// The recording could not be written or read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A report could not be written.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The run's folder could not be made.
    #[error("cannot make the run's folder {}: {source}; choose another with --out", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The target is a server of the capture, which was seen only after requests had been sent.
    #[error(
        "{refused}. Nothing more was sent, but {sent} requests that came before it in the capture had been sent before; \
         `shadowcap report {}` shows them",
        folder.display()
    )]
    CapturedServerMet {
        /// The first request to the target.
        refused: CapturedServer,
        /// How many requests had been sent.
        sent: u64,
        /// Where they are recorded.
        folder: PathBuf,
    },
    /// The recording or a report could not be written any more while requests were sent.
    #[error("{source}. Nothing more was sent{}", what_there_is(folder, *recorded, *resumable))]
    Unkept {
        /// What could not be written.
        source: Box<RunError>,
        /// The run's folder.
        folder: PathBuf,
        /// Whether there is a recording.
        recorded: bool,
        /// Whether the run can be gone on with.
        resumable: bool,
    },
    /// The run that is to be gone on with is another one.
    #[error(
        "{} cannot be resumed by this command: {what}. Repeat the command of that run, with --resume; or begin a new run",
        folder.display()
    )]
    OtherRun {
        /// The recorded run's folder.
        folder: PathBuf,
        /// What differs.
        what: String,
    },
    /// The target was not there in time.
    #[error("the target was not ready within {limit:?}, so nothing was sent: {why}")]
    NotReady {
        /// How long it was waited for.
        limit: Duration,
        /// What the last attempt came to.
        why: String,
    },
    /// The user stopped the run before it began.
    #[error("stopped before anything was sent")]
    Stopped,
    /// The metrics cannot be served.
    #[error("--metrics {address}: {source}; choose another address, or port 0 for a free one")]
    Metrics {
        /// Where they were to be.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A stage of the pipeline broke down.
    #[error("shadowcap broke down while {stage}, which is a defect of its own; please report it")]
    Defect {
        /// What it was doing.
        stage: &'static str,
    },
    /// The system gave no thread or no randomness.
    #[error("the system refused {what}: {source}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// What it said.
        source: io::Error,
    },
}

/// What can be done with what was kept.
fn what_there_is(folder: &Path, recorded: bool, resumable: bool) -> String {
    let folder = folder.display();
    match (recorded, resumable) {
        (false, _) => String::new(),
        (true, false) => format!("; `shadowcap report {folder}` shows what was recorded until then"),
        (true, true) => format!(
            "; `shadowcap report {folder}` shows what was recorded until then, and the same command with --resume \
             {folder} goes on"
        ),
    }
}
