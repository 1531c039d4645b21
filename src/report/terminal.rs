//! The summary on a terminal: one screen, the verdict first.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use anstyle::{AnsiColor, Style};

use crate::diff::Class;
use crate::record::Mode;

use super::summary::{DistinctDifference, Judgement, Summary};
use super::visible::{excerpt, visible};
use super::words::{Reasons, replayed};
use super::{ms, percent};

/// Distinct differences that are shown; the others are counted.
const MOST_LISTED: usize = 8;

/// How to write for the terminal at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Screen {
    /// Whether colours may be used.
    pub color: bool,
    /// Columns; lines are laid out to fit.
    pub width: u16,
}

impl Default for Screen {
    /// Eighty columns without colours, as a file would have it.
    fn default() -> Self {
        Self { color: false, width: 80 }
    }
}

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const UNSURE: Style = AnsiColor::Yellow.on_default().bold();
const FAINT: Style = Style::new().dimmed();

/// The summary as text; `report` is where the full report lies.
#[must_use]
pub fn terminal(summary: &Summary, report: &str, screen: Screen) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut out, summary, report, screen);
    out
}

fn write(out: &mut String, summary: &Summary, report: &str, screen: Screen) -> fmt::Result {
    let (word, style) = match summary.verdict {
        Judgement::Pass => ("PASS", GOOD),
        Judgement::Fail => ("FAIL", BAD),
        Judgement::Inconclusive => ("INCONCLUSIVE", UNSURE),
    };
    writeln!(out, "{}  {}", screen.paint(style, word), reasons(summary))?;
    coverage(out, summary, screen)?;
    differences(out, summary, screen)?;
    latency(out, summary)?;
    writeln!(out, "\nreport    {}", excerpt(report, 1000))
}

/// The reasons; file names within them may hold anything.
fn reasons(summary: &Summary) -> String {
    let all: Vec<_> = summary.reasons.iter().map(|reason| visible(reason)).collect();
    all.join("; ")
}

impl Screen {
    fn paint(self, style: Style, text: &str) -> String {
        if self.color { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

fn coverage(out: &mut String, summary: &Summary, screen: Screen) -> fmt::Result {
    let (e, v) = (&summary.exchanges, &summary.verdicts);
    let replayed = replayed(summary.mode);
    let skipped = e.skipped_in_all();
    writeln!(out, "\ncaptured  {} = {} {replayed} + {skipped} skipped", e.captured, e.replayed)?;
    if !e.skipped.is_empty() {
        let causes = Reasons::Skipped.list(&e.skipped);
        writeln!(out, "          {}", screen.paint(FAINT, &excerpt(&causes, 400)))?;
    }
    let part = |n: u64, style: Style, word: &str| {
        let text = format!("{n} {word}");
        if n > 0 { screen.paint(style, &text) } else { text }
    };
    writeln!(
        out,
        "{replayed:<8}  {} = {} + {} + {} + {} + {}",
        e.replayed,
        part(v.matching, GOOD, "match"),
        part(v.noise, FAINT, "noise"),
        part(v.different, BAD, "different"),
        part(v.failed, BAD, "failed"),
        part(v.not_comparable, UNSURE, "not comparable"),
    )
}

/// Two lines for each of the first distinct differences: where and what, then the values.
fn differences(out: &mut String, summary: &Summary, screen: Screen) -> fmt::Result {
    let counted: Vec<_> = summary.differences.iter().filter(|d| d.class.counts()).collect();
    if !counted.is_empty() {
        writeln!(out, "\n{:>8}  {:>7}  differences that count", "in", "share")?;
    }
    for d in counted.iter().take(MOST_LISTED) {
        difference(out, d, screen)?;
    }
    if counted.len() > MOST_LISTED {
        writeln!(out, "{:>8}  more in the report", counted.len() - MOST_LISTED)?;
    }
    not_counted(out, summary, screen)
}

/// How many distinct differences of each class do not count, and why not.
fn not_counted(out: &mut String, summary: &Summary, screen: Screen) -> fmt::Result {
    let mut classes = BTreeMap::new();
    for d in summary.differences.iter().filter(|d| !d.class.counts()) {
        *classes.entry(d.class).or_insert(0_u64) += 1;
    }
    if !classes.is_empty() {
        writeln!(out, "\ndistinct differences that do not count")?;
    }
    for (class, n) in classes {
        let line = format!("{n:>8}  {}: {}", class.name(), why_not(class));
        writeln!(out, "{}", screen.paint(FAINT, &line))?;
    }
    Ok(())
}

const fn why_not(class: Class) -> &'static str {
    match class {
        Class::Confirmed | Class::Unverified => "counts",
        Class::Drift => "v1, asked now, answers like v2",
        Class::Volatile => "varies from one answer to the next",
        Class::Shadow => "made by the shadowing itself, as where the suffixed Host is echoed",
        Class::RuledOut => "your rules say so",
        Class::NotCompared => "could not be compared",
    }
}

fn difference(out: &mut String, d: &DistinctDifference, screen: Screen) -> fmt::Result {
    let room = usize::from(screen.width.max(40)).saturating_sub(20);
    let path = if d.path.is_empty() { String::new() } else { format!(" {}", d.path) };
    let what = format!("{}  {}{path}", d.route, d.layer.name());
    let count = screen.paint(BAD, &format!("{:>8}", d.count));
    writeln!(out, "{count}  {:>7}  {}", percent(d.share), excerpt(&what, room))?;
    let half = room.saturating_sub(24) / 2;
    let side = |value: &Option<String>| value.as_deref().map_or("absent".to_owned(), |v| excerpt(v, half));
    let values = format!("{} → {}", side(&d.v1_example), side(&d.v2_example));
    writeln!(out, "{:19}{} {values}", "", screen.paint(FAINT, &format!("{}:", d.kind.words())))
}

fn latency(out: &mut String, summary: &Summary) -> fmt::Result {
    let (Some(v1), Some(v2)) = (summary.latency.v1, summary.latency.v2) else { return Ok(()) };
    // Clients were slower than a replay without pauses is: what v2 owes to that must not look like its own.
    let pace = |option: &&String| option.starts_with("--speed") || option.starts_with("--concurrency");
    let pace: Vec<_> = summary.options.iter().filter(pace).map(String::as_str).collect();
    let pace = if pace.is_empty() { String::new() } else { format!(" with {}", pace.join(" ")) };
    let measured = match summary.mode {
        Mode::Compare => "v1 and v2 as captured".to_owned(),
        Mode::Replay | Mode::Live | Mode::Demo => format!("v1 as captured, v2{pace}"),
    };
    writeln!(
        out,
        "\nlatency   p50 {} → {}   p90 {} → {}   p99 {} → {}\n          {measured}",
        ms(v1.p50),
        ms(v2.p50),
        ms(v1.p90),
        ms(v2.p90),
        ms(v1.p99),
        ms(v2.p99)
    )
}
