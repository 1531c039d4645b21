//! `shadowcap report`: the reports of a recording, made again.

use anyhow::Context as _;

use super::args::{Global, Report};
use super::{Exit, terminal};
use crate::pipeline;
use crate::report::Gate;

pub(super) fn run(args: &Report, global: &Global) -> anyhow::Result<Exit> {
    let out = args.out.as_ref().unwrap_or(&args.run);
    let summary = pipeline::report(&args.run, out, &Gate::default())?;
    terminal::print_summary(&summary, &out.join("report.html"), global)
        .context("cannot write the summary to standard output")?;
    for loss in &summary.losses {
        terminal::say(global, format_args!("warning: {loss}"));
    }
    // A recording without an end is not that of a run that the user stopped.
    let stopped = summary.interrupted && summary.finished.is_some();
    Ok(if stopped { Exit::Interrupted } else { summary.verdict.into() })
}
