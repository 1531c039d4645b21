//! `shadowcap report`: the reports of a recording, made again.

use super::args::{Global, Report};
use super::{Exit, terminal};
use crate::pipeline;
use crate::report::Gate;

pub(super) fn run(args: &Report, global: &Global) -> anyhow::Result<Exit> {
    let out = args.out.as_ref().unwrap_or(&args.run);
    let summary = pipeline::report(&args.run, out, &Gate::default())?;
    terminal::print_summary(&summary, &out.join("report.html"), global)?;
    for loss in &summary.losses {
        terminal::say(global, format_args!("warning: {loss}"));
    }
    Ok(if summary.interrupted { Exit::Interrupted } else { summary.verdict.into() })
}
