//! The summary on a terminal: one screen, the verdict first.

mod fitted;
mod room;

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use anstyle::{AnsiColor, Style};

use crate::diff::Class;
use crate::record::Mode;

use super::summary::{Against, DistinctDifference, Judgement, Standing, Summary};
use super::visible::{excerpt, without_commands};
use super::words::{Reasons, replayed};
use super::{exact_percent, ms, percent};
use fitted::{HANGING, fitted};
use room::{ROOMS, Room, SCREEN};

/// Characters of a reason.
const MOST_REASON: usize = 400;

/// How to write for the terminal at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Screen {
    /// Whether colours may be used.
    pub color: bool,
    /// Columns; lines are laid out to fit.
    pub width: u16,
    /// Whether lines that are longer all the same are broken, as a person wants it and a program that reads does not.
    pub wraps: bool,
}

impl Default for Screen {
    /// Eighty columns without colours, as a file would have it.
    fn default() -> Self {
        Self { color: false, width: 80, wraps: false }
    }
}

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const UNSURE: Style = AnsiColor::Yellow.on_default().bold();
const FAINT: Style = Style::new().dimmed();

/// The summary as text, of at most forty lines where they have eighty columns; `report` is where the full report lies.
///
/// Where there is more to say than fits, lists get shorter first and explanations go next. The verdict, the coverage, the
/// first differences with an example each, the latencies and the place of the report are always there.
#[must_use]
pub fn terminal(summary: &Summary, report: &str, screen: Screen) -> String {
    let mut text = String::new();
    for room in ROOMS {
        text.clear();
        // Writing to a string does not fail.
        let _ = write(&mut text, summary, report, Page { screen, room });
        if screen.wraps {
            text = fitted(&text, screen.columns());
        }
        if text.lines().count() <= SCREEN {
            break;
        }
    }
    without_commands(&text).into_owned()
}

/// A screen, and the room that the parts have on it.
#[derive(Clone, Copy)]
struct Page {
    screen: Screen,
    room: Room,
}

impl Page {
    fn paint(self, style: Style, text: &str) -> String {
        self.screen.paint(style, text)
    }

    /// The text as far as it goes into so many lines below the first column's words, or nearly so: words do not fill lines.
    fn in_lines(self, text: &str, lines: usize) -> String {
        excerpt(text, lines * (self.screen.columns() - HANGING))
    }

    /// Counts beside the file that they are against, of whose name what there is room for is shown.
    fn counts_beside(self, words: &str, file: &str, counts: &str) -> String {
        const LEAST: usize = 12;
        let in_all = self.room.standing * (self.screen.columns() - HANGING);
        let room = in_all.saturating_sub(words.len() + counts.len() + 3).max(LEAST);
        format!("{words} {}: {counts}", excerpt(file, room))
    }
}

fn write(out: &mut String, summary: &Summary, report: &str, page: Page) -> fmt::Result {
    let (word, style) = match summary.verdict {
        Judgement::Pass => ("PASS", GOOD),
        Judgement::Fail => ("FAIL", BAD),
        Judgement::Inconclusive => ("INCONCLUSIVE", UNSURE),
    };
    writeln!(out, "{}  {}", page.paint(style, word), reasons(summary, page))?;
    if summary.keeps_secrets() {
        let line = "SECRETS ARE KEPT in the recording and the reports (--no-redact)";
        writeln!(out, "{}", page.paint(BAD, line))?;
    }
    notes(out, summary, page)?;
    coverage(out, summary, page)?;
    shares(out, summary, page)?;
    differences(out, summary, page)?;
    latency(out, summary, page)?;
    writeln!(out, "\nreport    {}", excerpt(report, 1000))
}

/// The first notes, a line each.
fn notes(out: &mut String, summary: &Summary, page: Page) -> fmt::Result {
    let shown = page.room.notes;
    for note in summary.notes.iter().take(shown) {
        writeln!(out, "{}", page.paint(FAINT, &excerpt(note, page.screen.columns())))?;
    }
    match summary.notes.len().saturating_sub(shown) {
        0 => Ok(()),
        n => writeln!(out, "{}", page.paint(FAINT, &format!("{n}{} notes in the report", more(shown)))),
    }
}

/// What stands behind a count of things of which so many are listed.
const fn more(listed: usize) -> &'static str {
    if listed == 0 { "" } else { " more" }
}

/// The reasons; file names within them may hold anything.
fn reasons(summary: &Summary, page: Page) -> String {
    let all: Vec<_> = summary.reasons.iter().map(|reason| excerpt(reason, MOST_REASON)).collect();
    page.in_lines(&all.join("; "), page.room.reasons)
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

fn coverage(out: &mut String, summary: &Summary, page: Page) -> fmt::Result {
    let (e, v) = (&summary.exchanges, &summary.verdicts);
    let replayed = replayed(summary.mode);
    let skipped = e.skipped_in_all();
    writeln!(out, "\ncaptured  {} = {} {replayed} + {skipped} skipped", e.captured, e.replayed)?;
    if !e.skipped.is_empty() {
        let causes = Reasons::Skipped.list(&e.skipped);
        writeln!(out, "          {}", page.paint(FAINT, &page.in_lines(&causes, page.room.causes)))?;
    }
    let part = |n: u64, style: Style, word: &str| {
        let text = format!("{n} {word}");
        if n > 0 { page.paint(style, &text) } else { text }
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
        writeln!(out, "          {}", page.paint(FAINT, &line))?;
    }
    Ok(())
}

/// What each rule gives to whom, beside what it gave; nothing where there was no choice.
fn shares(out: &mut String, summary: &Summary, page: Page) -> fmt::Result {
    if summary.shares.iter().all(|share| share.count.rule == "--to" && share.count.expected >= 1.0) {
        return Ok(());
    }
    let listed = page.room.shares;
    if listed == 0 {
        return shares_in_short(out, summary, page);
    }
    writeln!(out, "\n{:>8}  {:>9}  {:>9}  destinations of the rules", "picked", "share", "expected")?;
    for share in summary.shares.iter().take(listed) {
        let count = &share.count;
        let room = page.screen.columns().saturating_sub(32);
        let what = format!("{} {}  {}", count.standing.name(), count.destination, count.rule);
        let (observed, expected) = (exact_percent(share.observed), exact_percent(count.expected));
        let off = if share.within { String::new() } else { page.paint(UNSURE, "  outside of 99.9 %") };
        writeln!(out, "{:>8}  {observed:>9}  {expected:>9}  {}{off}", count.picked, excerpt(&what, room))?;
    }
    if summary.shares.len() > listed {
        writeln!(out, "{:>8}  more in the report", summary.shares.len() - listed)?;
    }
    Ok(())
}

/// How many shares there are, and how many of them are not as they should be.
fn shares_in_short(out: &mut String, summary: &Summary, page: Page) -> fmt::Result {
    let outside = summary.shares.iter().filter(|share| !share.within).count();
    let off = if outside == 0 { String::new() } else { format!(", {outside} outside of 99.9 %") };
    writeln!(
        out,
        "\n{:>8}  destinations of the rules, in the report{}",
        summary.shares.len(),
        page.paint(UNSURE, &off)
    )
}

/// Two lines for each of the first distinct differences: where and what, then the values.
fn differences(out: &mut String, summary: &Summary, page: Page) -> fmt::Result {
    let counted: Vec<_> = summary.differences.iter().filter(|d| d.class.counts()).collect();
    if !counted.is_empty() {
        writeln!(out, "\n{:>8}  {:>7}  differences that count", "in", "share")?;
    }
    let listed = page.room.differences;
    for d in counted.iter().take(listed) {
        difference(out, d, page)?;
    }
    if let Some(against) = &summary.against {
        let Against { run, new, known, gone, .. } = against;
        let counts = format!("{new} new, {known} known, {} gone", gone.len());
        writeln!(out, "          {}", page.counts_beside("against", run, &counts))?;
    }
    if let Some(accepted) = &summary.accepted {
        writeln!(out, "          {}", page.counts_beside("accepted by", &accepted.file, &accepted.counts()))?;
    }
    if counted.len() > listed {
        writeln!(out, "{:>8}  more in the report", counted.len() - listed)?;
    }
    not_counted(out, summary, page)
}

/// How many distinct differences of each class do not count, and why not.
fn not_counted(out: &mut String, summary: &Summary, page: Page) -> fmt::Result {
    let mut classes = BTreeMap::new();
    for d in summary.differences.iter().filter(|d| !d.class.counts()) {
        *classes.entry(d.class).or_insert(0_u64) += 1;
    }
    if classes.is_empty() {
        return Ok(());
    }
    if !page.room.classes {
        let all: Vec<_> = classes.iter().map(|(class, n)| format!("{n} {}", class.name())).collect();
        let line = format!("          distinct ones that do not count: {}", all.join(", "));
        return writeln!(out, "{}", page.paint(FAINT, &line));
    }
    writeln!(out, "\ndistinct differences that do not count")?;
    for (class, n) in classes {
        let line = format!("{n:>8}  {}: {}", class.name(), why_not(class));
        writeln!(out, "{}", page.paint(FAINT, &line))?;
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

fn difference(out: &mut String, d: &DistinctDifference, page: Page) -> fmt::Result {
    let room = page.screen.columns().saturating_sub(20);
    let path = if d.path.is_empty() { String::new() } else { format!(" {}", d.path) };
    let new = if d.standing == Some(Standing::New) { "NEW  " } else { "" };
    let what = format!("{new}{}  {}{path}", d.route, d.layer.name());
    let count = page.paint(BAD, &format!("{:>8}", d.count));
    writeln!(out, "{count}  {:>7}  {}", percent(d.share), excerpt(&what, room))?;
    let half = room.saturating_sub(24) / 2;
    let side = |value: &Option<String>| value.as_deref().map_or("absent".to_owned(), |v| excerpt(v, half));
    let values = format!("{} → {}", side(&d.v1_example), side(&d.v2_example));
    writeln!(out, "{:19}{} {values}", "", page.paint(FAINT, &format!("{}:", d.kind.words())))?;
    match d.measured().filter(|_| page.room.evidence) {
        Some(measured) => writeln!(out, "{:19}{}", "", page.paint(FAINT, &measured)),
        None => Ok(()),
    }
}

/// How long both took, and which routes v2 answers more slowly.
fn latency(out: &mut String, summary: &Summary, page: Page) -> fmt::Result {
    let (Some(v1), Some(v2)) = (summary.latency.v1, summary.latency.v2) else { return Ok(()) };
    writeln!(
        out,
        "\nlatency   p50 {} → {}   p90 {} → {}   p99 {} → {}",
        ms(v1.p50),
        ms(v2.p50),
        ms(v1.p90),
        ms(v2.p90),
        ms(v1.p99),
        ms(v2.p99)
    )?;
    if page.room.explained {
        writeln!(out, "          {}", measured(summary))?;
    }
    slower(out, summary, page)?;
    lateness(out, summary, page)
}

/// Which times the latencies are.
fn measured(summary: &Summary) -> String {
    // Clients were slower than a replay without pauses is: what v2 owes to that must not look like its own.
    let pace = |option: &&String| option.starts_with("--speed") || option.starts_with("--concurrency");
    let pace: Vec<_> = summary.options.iter().filter(pace).map(String::as_str).collect();
    let pace = if pace.is_empty() { String::new() } else { format!(" with {}", pace.join(" ")) };
    match summary.mode {
        Mode::Compare => "v1 and v2 as captured".to_owned(),
        Mode::Replay | Mode::Live | Mode::Demo => format!("v1 as captured, v2{pace}"),
    }
}

/// What the sender owes; without a schedule nothing is late.
fn lateness(out: &mut String, summary: &Summary, page: Page) -> fmt::Result {
    let is_paced = |option: &String| option.starts_with("--rate") || is_slowed(option);
    let late = summary.lateness.as_ref().map(|lateness| lateness.quantiles);
    let (Some(late), Some(due)) = (late, summary.since_due) else { return Ok(()) };
    if !summary.options.iter().any(is_paced) {
        return Ok(());
    }
    let says = |words: &'static str| if page.room.explained { words } else { "" };
    let ours = says(": ours, not v2's");
    writeln!(out, "lateness  p50 {}   p99 {}   max {}{ours}", ms(late.p50), ms(late.p99), ms(late.max))?;
    let waited = says(": what clients on schedule would have waited");
    writeln!(out, "from due  p50 {}   p90 {}   p99 {}{waited}", ms(due.p50), ms(due.p90), ms(due.p99))?;
    let Some(connect) = summary.connect else { return Ok(()) };
    let within = says(": to make connections, in neither of these but in from due");
    let [p50, p99, max] = [connect.p50, connect.p99, connect.max].map(ms);
    writeln!(out, "connect   p50 {p50}   p99 {p99}   max {max}{within}")
}

/// Routes that v2 answers more slowly; reasons to look, which count for nothing.
fn slower(out: &mut String, summary: &Summary, page: Page) -> fmt::Result {
    let flagged = || summary.routes.iter().filter_map(|route| Some((&route.route, route.slower.as_ref()?)));
    let listed = page.room.slower;
    for (n, (route, slower)) in flagged().take(listed).enumerate() {
        let title = if n == 0 { "slower" } else { "" };
        writeln!(out, "{title:<8}  {}\n          {}", excerpt(route, 68), slower.words())?;
    }
    match flagged().count().saturating_sub(listed) {
        0 => Ok(()),
        n if listed == 0 => writeln!(out, "slower    {n} routes, in the report"),
        n => writeln!(out, "          and {n} more routes, in the report"),
    }
}

/// Whether an option sets a speed other than that of v2's answers.
fn is_slowed(option: &str) -> bool {
    option.strip_prefix("--speed ").is_some_and(|speed| speed != "max")
}
