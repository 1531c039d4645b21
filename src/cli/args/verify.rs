//! What is asked again to tell regressions from noise, as it can be typed.

use clap::{Args, ValueEnum};

use super::{Extent, KeepArgs};
use crate::config::{self, ConfigError, Connecting, Target};
use crate::pipeline::{Baseline, Verification};
use crate::replay::Planner;
use crate::replay::clock::Clock;
use crate::replay::own::OwnConnections;

#[derive(Debug, Args)]
#[command(next_help_heading = "Noise")]
pub(in crate::cli) struct VerifyArgs {
    /// Send what differs to v2 once more, and a sample of what does not: `safe` methods, or `all`, which may change
    /// state twice. What v2 repeats is told from what it does not.
    #[arg(
        long,
        value_enum,
        value_name = "METHODS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "safe"
    )]
    pub(in crate::cli) verify: Option<VerifyMethods>,
    /// Ask again this percentage of the requests without a difference that counts.
    #[arg(long, value_name = "PERCENT", default_value = "1")]
    pub(in crate::cli) verify_sample: String,
    /// Ask a side at most so often about one request; a second time only where answers disagree.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=32))]
    pub(in crate::cli) verify_rounds: u32,
    /// Where v1 answers now: it is asked what --verify asks v2, with the captured Host and safe methods alone. What v1
    /// itself answers differently by now does not count against v2. Implies --verify.
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) baseline: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum VerifyMethods {
    Safe,
    All,
}

/// The run as far as asking again depends on it.
pub(in crate::cli) struct Asking<'a> {
    pub(in crate::cli) connecting: &'a Connecting,
    pub(in crate::cli) planner: &'a Planner,
    pub(in crate::cli) seed: u64,
    pub(in crate::cli) clock: Clock,
    /// Where the traffic of the interface tells own connections from others.
    pub(in crate::cli) own: Option<&'a OwnConnections>,
    /// Whether the run has no schedule.
    pub(in crate::cli) waits: bool,
}

impl VerifyArgs {
    /// What was typed, as the pipeline takes it; `None` where nothing is asked again.
    pub(in crate::cli) fn resolve(
        &self,
        keep: Option<&KeepArgs>,
        asking: &Asking<'_>,
    ) -> Result<Option<Verification>, ConfigError> {
        let Some(option) = self.option() else { return Ok(None) };
        let left_out = |extent| extent == Extent::None;
        if keep.is_some_and(|keep| left_out(keep.record) || left_out(keep.diff)) {
            let problem = "what is asked again is judged with the whole run, from its recording; leave out --record none and \
                 --diff none";
            return Err(ConfigError::new(option, self.given(), problem));
        }
        let percent: f64 = config::parse("--verify-sample", &self.verify_sample)?;
        if !(0.0..=100.0).contains(&percent) {
            let problem = "a percentage is from 0 to 100";
            return Err(ConfigError::new("--verify-sample", self.verify_sample.clone(), problem));
        }
        let baseline = self.baseline.as_deref().map(|url| baseline(url, asking)).transpose()?;
        Ok(Some(Verification {
            unsafe_too: self.verify == Some(VerifyMethods::All),
            sample: percent / 100.0,
            seed: asking.seed,
            rounds: self.verify_rounds,
            baseline,
            waits: asking.waits,
        }))
    }

    /// What of it shapes the run, for the report.
    pub(in crate::cli) fn options(&self) -> Vec<String> {
        if self.option().is_none() {
            return Vec::new();
        }
        let methods = if self.verify == Some(VerifyMethods::All) { "all" } else { "safe" };
        let mut options = vec![
            format!("--verify={methods}"),
            format!("--verify-sample {}", self.verify_sample),
            format!("--verify-rounds {}", self.verify_rounds),
        ];
        options.extend(self.baseline.iter().map(|url| format!("--baseline {url}")));
        options
    }

    const fn option(&self) -> Option<&'static str> {
        match (&self.verify, &self.baseline) {
            (Some(_), _) => Some("--verify"),
            (None, Some(_)) => Some("--baseline"),
            (None, None) => None,
        }
    }

    fn given(&self) -> String {
        let methods = |verify| if verify == VerifyMethods::All { "all" } else { "safe" };
        self.verify
            .map(|verify| methods(verify).to_owned())
            .or_else(|| self.baseline.clone())
            .unwrap_or_default()
    }
}

fn baseline(url: &str, asking: &Asking<'_>) -> Result<Baseline, ConfigError> {
    let target: Target = asking.connecting.target("--baseline", url)?;
    let client = match asking.own {
        Some(own) => asking.connecting.registering_client(&target, asking.clock, own)?,
        None => asking.connecting.client(&target, asking.clock)?,
    };
    Ok(Baseline { client, planner: asking.planner.clone() })
}
