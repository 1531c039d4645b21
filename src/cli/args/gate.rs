//! What the verdict demands, as it can be typed.

use std::path::PathBuf;

use clap::Args;

use crate::config::{self, ConfigError};
use crate::pipeline::Ruling;
use crate::report::Gate;

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "The verdict")]
pub(in crate::cli) struct GateArgs {
    /// Judge by the rules of this file (TOML): which differences are meant, or do not matter.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) rules: Option<PathBuf>,
    /// Fail where this condition (CEL) holds, such as `confirmed > 0 || failed_share > 0.01` [default: any difference that
    /// counts and is not accepted, and any failure of v2].
    #[arg(long, value_name = "CONDITION")]
    pub(in crate::cli) fail_on: Option<String>,
    /// Differences that are accepted (TOML, as `report --accept` writes it): they are known, and do not fail the run.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) accepted: Option<PathBuf>,
    /// Fewer compared exchanges than this prove nothing.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(in crate::cli) min_compared: u64,
    /// The percentage of exchanges that may lack captured bytes before the run proves nothing.
    #[arg(long, value_name = "PERCENT", default_value = "10")]
    pub(in crate::cli) max_loss: String,
}

impl GateArgs {
    /// The rules, where a file is named.
    pub(in crate::cli) fn ruling(&self) -> Result<Ruling, ConfigError> {
        let rules = self.rules.as_deref().map(config::diff_rules).transpose()?;
        Ok(rules.map(|(rules, digest)| Ruling::new(rules, Some(digest))).unwrap_or_default())
    }

    /// What of it shapes what is said of the run, for the report.
    pub(in crate::cli) fn options(&self) -> Option<String> {
        self.rules.as_ref().map(|rules| format!("--rules {}", rules.display()))
    }

    /// What was typed, as the judgement takes it.
    pub(in crate::cli) fn resolve(&self) -> Result<Gate, ConfigError> {
        let percent: f64 = config::parse("--max-loss", &self.max_loss)?;
        if !(0.0..=100.0).contains(&percent) {
            return Err(ConfigError::new(
                "--max-loss",
                self.max_loss.clone(),
                "a percentage is from 0 to 100",
            ));
        }
        Ok(Gate {
            max_loss: percent / 100.0,
            min_compared: self.min_compared,
            fail_on: self.fail_on.as_deref().map(config::fail_on).transpose()?,
            accepted: self.accepted.as_deref().map(config::accepted).transpose()?,
        })
    }
}
