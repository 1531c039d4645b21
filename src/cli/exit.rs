//! How the process ends.

use std::process::{ExitCode, Termination};

use crate::config::ConfigError;
use crate::report::visible;

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
        if !message.ends_with(&cause) {
            message += if message.is_empty() { "" } else { ": " };
            message += &cause;
        }
    }
    eprintln!("error: {}", visible(&message));
    status(error)
}

fn status(error: &anyhow::Error) -> Exit {
    if error.is::<ConfigError>() { Exit::Usage } else { Exit::Inconclusive }
}
