//! When requests leave, besides the speed.

use std::time::Duration;

use clap::Args;

use super::parse_duration;

#[derive(Debug, Args)]
#[command(next_help_heading = "When it is sent")]
pub(in crate::cli) struct Limited {
    /// At most so many requests per second; what v2 delays is caught up at a tenth more.
    #[arg(long, value_name = "N/s")]
    pub(in crate::cli) rate: Option<String>,
    /// Reach the rate evenly within this time.
    #[arg(long, value_name = "DURATION", requires = "rate", value_parser = parse_duration)]
    pub(in crate::cli) ramp: Option<Duration>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "When it is sent")]
pub(in crate::cli) struct Schedule {
    #[command(flatten)]
    pub(in crate::cli) limited: Limited,
    /// What a request waits for: the answer before it on its connection, the one before it of its client's
    /// address (connection, client), or nothing but its time (none).
    #[arg(long, value_name = "ORDER", default_value = "connection")]
    pub(in crate::cli) order: String,
    /// Replay the capture so many times (3), or again and again for so long (10m): the same requests are sent
    /// again, because you ask for it.
    #[arg(long = "loop", value_name = "N|DURATION")]
    pub(in crate::cli) repeat: Option<String>,
}
