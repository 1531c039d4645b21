//! The terminal: colour, logging, and where messages go.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use anstream::ColorChoice;
use tracing_subscriber::filter::LevelFilter;

use super::args::{Color, Global};
use crate::report::{self, Screen, Summary};

/// Standard output that takes ANSI styles and drops them where they are not wanted.
pub(super) fn stdout(color: Color) -> anstream::AutoStream<io::Stdout> {
    anstream::AutoStream::new(io::stdout(), choice(color))
}

/// Standard error, the same way.
pub(super) fn stderr(color: Color) -> anstream::AutoStream<io::StderrLock<'static>> {
    anstream::AutoStream::new(io::stderr().lock(), choice(color))
}

fn choice(color: Color) -> ColorChoice {
    match color {
        Color::Auto => ColorChoice::Auto,
        Color::Always => ColorChoice::AlwaysAnsi,
        Color::Never => ColorChoice::Never,
    }
}

/// Says something to the person, unless told to be quiet.
pub(super) fn say(global: &Global, message: impl std::fmt::Display) {
    if !global.quiet {
        // The person may have closed stderr; that is no reason to stop.
        let _ = writeln!(stderr(global.color), "{message}");
    }
}

/// The same, from wherever there is a word on quietness alone.
#[cfg(feature = "live")]
pub(super) fn say_plainly(quiet: bool, message: &str) {
    if !quiet {
        let _ = writeln!(io::stderr(), "{message}");
    }
}

/// What the terminal behind standard output can show. Styles are dropped by the stream where they are not wanted.
pub(super) fn screen() -> Screen {
    let wraps = io::stdout().is_terminal();
    let width = if wraps { console_width() } else { Screen::default().width };
    Screen { color: true, width, wraps }
}

/// Prints the summary of a run, and where its report lies, to standard output.
pub(super) fn print_summary(summary: &Summary, report: &Path, global: &Global) -> io::Result<()> {
    let text = report::terminal(summary, &report.to_string_lossy(), screen());
    unless_unread(write!(stdout(global.color), "{text}"))
}

/// What came of writing to standard output, where it is no failure that the reader of a pipe has seen
/// enough.
pub(super) fn unless_unread(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

fn console_width() -> u16 {
    // indicatif draws the progress bar by the same measure.
    console::Term::stdout().size().1.clamp(40, 200)
}

/// Whether a progress bar can be drawn.
pub(super) fn is_interactive(global: &Global) -> bool {
    !global.quiet && io::stderr().is_terminal()
}

/// Sends the program's log to stderr: warnings by default.
pub(super) fn start_logging(global: &Global) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => LevelFilter::ERROR,
        (false, 0) => LevelFilter::WARN,
        (false, 1) => LevelFilter::INFO,
        (false, 2) => LevelFilter::DEBUG,
        (false, _) => LevelFilter::TRACE,
    };
    let ansi = match global.color {
        Color::Auto => {
            io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
        }
        Color::Always => true,
        Color::Never => false,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        .with_ansi(ansi)
        .with_target(false)
        .without_time()
        // Telling that the log cannot be written would panic where stderr is closed.
        .log_internal_errors(false)
        .init();
}
