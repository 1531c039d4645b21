//! How a run begins, goes on, gives up, and is watched.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::parse_duration;

#[derive(Debug, Args)]
#[command(next_help_heading = "The run")]
pub(in crate::cli) struct Care {
    /// Print what would be sent, and send nothing.
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "text",
        conflicts_with_all = ["resume", "out"]
    )]
    pub(in crate::cli) dry_run: Option<PreviewFormat>,
    /// Go on with this run, which was stopped or killed: send what has no outcome yet. The capture and the
    /// options must be those of the run.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["out", "record", "diff"])]
    pub(in crate::cli) resume: Option<PathBuf>,
    /// Send also what was on its way when the run was killed; it may have reached v2 already.
    #[arg(long, requires = "resume")]
    pub(in crate::cli) resend_in_flight: bool,
    #[command(flatten)]
    pub(in crate::cli) tending: Tending,
}

/// What every run that sends can be told.
#[derive(Debug, Args)]
#[command(next_help_heading = "The run")]
pub(in crate::cli) struct Tending {
    /// Wait up to so long for v2 to accept a connection, before anything is sent.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(in crate::cli) wait_ready: Option<Duration>,
    /// Wait also for an answer 2xx to GET of this path.
    #[arg(long, value_name = "PATH", requires = "wait_ready")]
    pub(in crate::cli) ready_path: Option<String>,
    /// Give up after so many attempts in a row that came to no connection; the rest is counted as not sent.
    #[arg(long, value_name = "N")]
    pub(in crate::cli) abort_after: Option<NonZeroU32>,
    /// Serve the run's counters at this address under /metrics, in Prometheus' format; port 0 takes a free one. The
    /// address is printed.
    #[arg(long, value_name = "ADDRESS")]
    pub(in crate::cli) metrics: Option<SocketAddr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum PreviewFormat {
    Text,
    Jsonl,
}
