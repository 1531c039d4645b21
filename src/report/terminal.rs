//! The summary on a terminal: one screen, the verdict first.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use anstyle::{AnsiColor, Style};

use crate::diff::Class;
use crate::record::Mode;

use super::summary::{Against, DistinctDifference, Judgement, Standing, Summary};
use super::visible::{excerpt, without_commands};
use super::words::{Reasons, replayed};
use super::{exact_percent, ms, percent};

/// Distinct differences that are shown; the others are counted.
const MOST_LISTED: usize = 5;
/// Slower routes that are listed.
const MOST_SLOWER: usize = 3;
/// Characters of a reason.
const MOST_REASON: usize = 400;
/// Notes that are shown.
const MOST_NOTES: usize = 3;

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
    without_commands(&fitted(&out, screen.columns())).into_owned()
}

/// The text with long lines broken between words; what follows stands below the first column's words. A word that is
/// longer than a line, as the path of the report may be, stays whole.
fn fitted(text: &str, columns: usize) -> String {
    const HANGING: usize = 10;
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        if columns_of(line) <= columns {
            out.push_str(line);
            continue;
        }
        let lead = line.len() - line.trim_start_matches(' ').len();
        let (mut at, mut first) = (0, true);
        for word in line.split(' ') {
            let width = columns_of(word);
            let fits = at + 1 + width <= columns || at <= lead.max(HANGING);
            match (first, fits) {
                (true, _) => {}
                (false, true) => {
                    out.push(' ');
                    at += 1;
                }
                (false, false) => {
                    out.extend(["\n", &" ".repeat(lead.max(HANGING))]);
                    at = lead.max(HANGING);
                }
            }
            out.push_str(word);
            (at, first) = (at + width, false);
        }
    }
    out
}

/// How many columns a text takes, colours taking none.
fn columns_of(text: &str) -> usize {
    let mut columns = 0;
    let mut styled = false;
    for c in text.chars() {
        match c {
            '\x1b' => styled = true,
            'm' if styled => styled = false,
            '\n' => {}
            _ => columns += usize::from(!styled),
        }
    }
    columns
}

fn write(out: &mut String, summary: &Summary, report: &str, screen: Screen) -> fmt::Result {
    let (word, style) = match summary.verdict {
        Judgement::Pass => ("PASS", GOOD),
        Judgement::Fail => ("FAIL", BAD),
        Judgement::Inconclusive => ("INCONCLUSIVE", UNSURE),
    };
    writeln!(out, "{}  {}", screen.paint(style, word), reasons(summary))?;
    if summary.keeps_secrets() {
        let line = "SECRETS ARE KEPT in the recording and the reports (--no-redact)";
        writeln!(out, "{}", screen.paint(BAD, line))?;
    }
    notes(out, summary, screen)?;
    coverage(out, summary, screen)?;
    shares(out, summary, screen)?;
    differences(out, summary, screen)?;
    latency(out, summary)?;
    writeln!(out, "\nreport    {}", excerpt(report, 1000))
}

/// The first notes, a line each.
fn notes(out: &mut String, summary: &Summary, screen: Screen) -> fmt::Result {
    for note in summary.notes.iter().take(MOST_NOTES) {
        writeln!(out, "{}", screen.paint(FAINT, &excerpt(note, screen.columns())))?;
    }
    match summary.notes.len().saturating_sub(MOST_NOTES) {
        0 => Ok(()),
        more => writeln!(out, "{}", screen.paint(FAINT, &format!("{more} more notes in the report"))),
    }
}

/// The reasons; file names within them may hold anything.
fn reasons(summary: &Summary) -> String {
    let all: Vec<_> = summary.reasons.iter().map(|reason| excerpt(reason, MOST_REASON)).collect();
    all.join("; ")
}

impl Screen {
    /// Columns that lines are laid out for.
    fn columns(self) -> usize {
        usize::from(self.width.max(40))
    }

    pub(super) fn paint(self, style: Style, text: &str) -> String {
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
    )?;
    if e.replayed_unsafe > 0 {
        let line = format!("{} of them with a method that may change state", e.replayed_unsafe);
        writeln!(out, "          {}", screen.paint(FAINT, &line))?;
    }
    Ok(())
}

/// What each rule gives to whom, beside what it gave; nothing where there was no choice.
fn shares(out: &mut String, summary: &Summary, screen: Screen) -> fmt::Result {
    if summary.shares.iter().all(|share| share.count.rule == "--to" && share.count.expected >= 1.0) {
        return Ok(());
    }
    writeln!(out, "\n{:>8}  {:>9}  {:>9}  destinations of the rules", "picked", "share", "expected")?;
    for share in summary.shares.iter().take(MOST_LISTED) {
        let count = &share.count;
        let room = usize::from(screen.width.max(40)).saturating_sub(32);
        let what = format!("{} {}  {}", count.standing.name(), count.destination, count.rule);
        let (observed, expected) = (exact_percent(share.observed), exact_percent(count.expected));
        let off = if share.within { String::new() } else { screen.paint(UNSURE, "  outside of 99.9 %") };
        writeln!(out, "{:>8}  {observed:>9}  {expected:>9}  {}{off}", count.picked, excerpt(&what, room))?;
    }
    if summary.shares.len() > MOST_LISTED {
        writeln!(out, "{:>8}  more in the report", summary.shares.len() - MOST_LISTED)?;
    }
    Ok(())
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
    if let Some(against) = &summary.against {
        let Against { run, new, known, gone, .. } = against;
        writeln!(
            out,
            "          against {}: {new} new, {known} known, {} gone",
            excerpt(run, 200),
            gone.len()
        )?;
    }
    if let Some(accepted) = &summary.accepted {
        writeln!(out, "          {}", excerpt(&accepted.words(), 400))?;
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

pub(super) const fn why_not(class: Class) -> &'static str {
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
    let new = if d.standing == Some(Standing::New) { "NEW  " } else { "" };
    let what = format!("{new}{}  {}{path}", d.route, d.layer.name());
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
    )?;
    slower(out, summary)?;
    let is_paced = |option: &String| option.starts_with("--rate") || is_slowed(option);
    match (summary.lateness.as_ref().map(|lateness| lateness.quantiles), summary.since_due) {
        // Without a schedule nothing is late.
        (Some(late), Some(due)) if summary.options.iter().any(is_paced) => writeln!(
            out,
            "lateness  p50 {}   p99 {}   max {}: ours, not v2's\nfrom due  p50 {}   p90 {}   p99 {}: what clients on schedule \
             would have waited",
            ms(late.p50),
            ms(late.p99),
            ms(late.max),
            ms(due.p50),
            ms(due.p90),
            ms(due.p99)
        )?,
        _ => return Ok(()),
    }
    match summary.connect {
        Some(connect) => writeln!(
            out,
            "connect   p50 {}   p99 {}   max {}: to make connections, in neither of these but in from due",
            ms(connect.p50),
            ms(connect.p99),
            ms(connect.max)
        ),
        None => Ok(()),
    }
}

/// Routes that v2 answers more slowly; reasons to look, which count for nothing.
fn slower(out: &mut String, summary: &Summary) -> fmt::Result {
    let flagged = || summary.routes.iter().filter_map(|route| Some((&route.route, route.slower.as_ref()?)));
    for (n, (route, slower)) in flagged().take(MOST_SLOWER).enumerate() {
        let title = if n == 0 { "slower" } else { "" };
        writeln!(out, "{title:<8}  {}\n          {}", excerpt(route, 68), slower.words())?;
    }
    match flagged().count().saturating_sub(MOST_SLOWER) {
        0 => Ok(()),
        more => writeln!(out, "          and {more} more routes"),
    }
}

/// Whether an option sets a speed other than that of v2's answers.
fn is_slowed(option: &str) -> bool {
    option.strip_prefix("--speed ").is_some_and(|speed| speed != "max")
}
