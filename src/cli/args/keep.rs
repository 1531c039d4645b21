//! What is made of the answers, as it can be typed.

use clap::{Args, ValueEnum};

use crate::pipeline::Keep;

#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct KeepArgs {
    /// What is kept of each request and its answers; `none` leaves the recording, exchanges.csv and the exchanges of
    /// report.html out, and nothing can be reported again.
    #[arg(long, value_enum, default_value_t = Extent::Full, value_name = "WHAT")]
    pub(crate) record: Extent,
    /// Whether answers are compared; `none` counts statuses, failures and times alone, which proves nothing of v2.
    #[arg(long, value_enum, default_value_t = Extent::Full, value_name = "WHAT")]
    pub(crate) diff: Extent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Extent {
    Full,
    None,
}

impl KeepArgs {
    /// What was typed, as the pipeline takes it.
    pub(crate) fn resolve(&self) -> Keep {
        Keep { rows: self.record == Extent::Full, diff: self.diff == Extent::Full }
    }

    /// What of it shapes the run, for the report.
    pub(crate) fn options(&self) -> Vec<String> {
        let options = [(self.record, "--record none"), (self.diff, "--diff none")];
        options
            .into_iter()
            .filter(|(extent, _)| *extent == Extent::None)
            .map(|(_, option)| option.to_owned())
            .collect()
    }
}
