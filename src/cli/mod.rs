//! The command line: what can be typed, and one file for each command.
//!
//! Nothing here decides what an option means: the commands hand what was typed to
//! [`config`](crate::config), and what that yields to [`pipeline`](crate::pipeline).

mod args;
#[cfg(feature = "live")]
mod capture;
#[cfg(feature = "live")]
mod capturing;
mod compare;
mod demo;
mod exit;
mod inspect;
#[cfg(feature = "live")]
mod live;
#[cfg(feature = "live")]
mod live_status;
#[cfg(feature = "live")]
mod live_view;
mod metrics;
mod preview;
mod progress;
mod replay;
mod report;
mod route;
mod running;
mod signals;
mod terminal;

use std::io::Write;

use anyhow::Context as _;
use clap::{CommandFactory, Parser};

pub use args::Cli;
pub use exit::Exit;

use args::Command;

/// Parses the process's arguments, runs the command, and says how the process should end.
#[must_use]
pub fn run() -> Exit {
    let cli = Cli::parse();
    terminal::start_logging(&cli.global);
    let result = match cli.command {
        Command::Inspect(args) => inspect::run(&args, &cli.global),
        Command::Demo(args) => demo::run(&args, &cli.global),
        Command::Replay(args) => replay::run(&args, &cli.global),
        Command::Compare(args) => compare::run(&args, &cli.global),
        #[cfg(feature = "live")]
        Command::Live(args) => live::run(&args, &cli.global),
        #[cfg(feature = "live")]
        Command::Capture(args) => capture::run(&args, &cli.global),
        #[cfg(not(feature = "live"))]
        Command::Live(_) | Command::Capture(_) => {
            Err(not_built(&std::env::args().nth(1).unwrap_or_default()).into())
        }
        Command::Route(args) => route::run(&args, &cli.global),
        Command::Report(args) => report::run(&args, &cli.global),
        Command::Man => print_man_page(),
    };
    result.unwrap_or_else(|error| exit::explain(&error))
}

/// What the commands say that need libpcap where there is none.
#[cfg(any(test, not(feature = "live")))]
fn not_built(command: &str) -> crate::config::ConfigError {
    crate::config::ConfigError::new(
        "the command",
        command,
        "this build cannot capture: it was made without the feature `live`; build with it, or let tcpdump capture: \
         `tcpdump -U -w - | shadowcap replay - --to URL`",
    )
}

/// The man page, made from the same definitions as `--help`.
fn print_man_page() -> anyhow::Result<Exit> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    let written = terminal::unless_unread(std::io::stdout().write_all(&page));
    written.context("cannot write to standard output")?;
    Ok(Exit::Pass)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_that_cannot_capture_says_so_and_what_to_do() {
        for command in ["live", "capture"] {
            let told = not_built(command).to_string();
            for part in
                [command, "without the feature `live`", "tcpdump -U -w - | shadowcap replay - --to URL"]
            {
                assert!(told.contains(part), "{part} in {told}");
            }
        }
    }
}
