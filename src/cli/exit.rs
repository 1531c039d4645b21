//! How the process ends.

use std::io::{self, Write as _};
use std::process::{ExitCode, Termination};

use crate::capture::CaptureError;
use crate::config::{ConfigError, RulesFault};
use crate::pipeline::RunError;
use crate::record::RecordError;
use crate::record::redact::without_secrets;
use crate::report::{Judgement, visible, without_commands};

/// The exit statuses, each with one meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// No difference that counts.
    Pass = 0,
    /// v2 differs in a way that counts, or failed.
    Fail = 1,
    /// What was asked for makes no sense or cannot be set up.
    Usage = 2,
    /// It was not possible to judge.
    Inconclusive = 3,
    /// Ctrl-C; what was there is in the report.
    Interrupted = 130,
}

impl From<Judgement> for Exit {
    fn from(judgement: Judgement) -> Self {
        match judgement {
            Judgement::Pass => Self::Pass,
            Judgement::Fail => Self::Fail,
            Judgement::Inconclusive => Self::Inconclusive,
        }
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self as u8)
    }
}

/// Prints an error with its causes, and says how the process ends because of it.
pub(super) fn explain(error: &anyhow::Error) -> Exit {
    let mut message = String::new();
    for cause in error.chain().map(ToString::to_string) {
        // Many errors of libraries repeat their cause's text.
        if !message.contains(&cause) {
            message += if message.is_empty() { "" } else { ": " };
            message += &cause;
        }
    }
    complain(&message);
    status(error)
}

/// Says on stderr what went wrong, even where the program is told to be quiet.
pub(super) fn complain(message: &str) {
    // Where nobody reads stderr, the exit status still tells.
    let message = without_commands(&visible(&without_secrets(message))).into_owned();
    let _ = writeln!(io::stderr(), "error: {message}");
}

/// Says on stderr what the user has to know before the run, even where the program is told to be quiet.
pub(super) fn warn(message: &str) {
    let _ = writeln!(io::stderr(), "WARNING: {}", without_commands(&visible(&without_secrets(message))));
}

fn status(error: &anyhow::Error) -> Exit {
    if matches!(error.downcast_ref(), Some(RunError::Stopped)) {
        return Exit::Interrupted;
    }
    let usage = match error.downcast_ref::<RunError>() {
        Some(
            RunError::CapturedServer(_)
            | RunError::CapturedServerMet { .. }
            | RunError::Folder { .. }
            | RunError::OtherRun { .. }
            | RunError::Metrics { .. }
            | RunError::Record(RecordError::Exists(_)),
        ) => true,
        Some(_) => false,
        None if is_denied(error) => true,
        None => {
            error.is::<ConfigError>()
                || error.is::<RulesFault>()
                || error.downcast_ref().is_some_and(is_misnamed)
        }
    };
    if usage { Exit::Usage } else { Exit::Inconclusive }
}

/// Whether an interface cannot be captured on as things are set up.
#[cfg(feature = "live")]
fn is_denied(error: &anyhow::Error) -> bool {
    use crate::capture::live::LiveError;
    error.downcast_ref().is_some_and(|error| {
        matches!(error, LiveError::Permission { .. } | LiveError::NotFound { .. } | LiveError::Filter { .. })
    })
}

#[cfg(not(feature = "live"))]
fn is_denied(_: &anyhow::Error) -> bool {
    false
}

/// Whether the words that name a capture make no sense, whatever lies on the disk.
const fn is_misnamed(error: &CaptureError) -> bool {
    matches!(error, CaptureError::NothingNamed | CaptureError::StdinTwice | CaptureError::BadPattern { .. })
}
