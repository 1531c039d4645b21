//! The summary on a terminal: one screen, the verdict first.

use std::fmt::{self, Write as _};

use anstyle::{AnsiColor, Style};
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use super::summary::{DistinctDifference, Judgement, Summary};
use super::visible::excerpt;
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
    writeln!(out, "{}  {}", screen.paint(style, word), summary.reasons.join("; "))?;
    coverage(out, summary, screen)?;
    differences(out, summary, screen)?;
    latency(out, summary)?;
    writeln!(out, "\nreport    {}", excerpt(report, 1000))
}

impl Screen {
    fn paint(self, style: Style, text: &str) -> String {
        if self.color { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

fn coverage(out: &mut String, summary: &Summary, screen: Screen) -> fmt::Result {
    let (e, v) = (&summary.exchanges, &summary.verdicts);
    writeln!(out, "\ncaptured  {} = {} replayed + {} skipped", e.captured, e.replayed, e.skipped_in_all())?;
    if !e.skipped.is_empty() {
        let causes: Vec<_> = e.skipped.iter().map(|(name, n)| format!("{name} {n}")).collect();
        writeln!(out, "          {}", screen.paint(FAINT, &excerpt(&causes.join(", "), 200)))?;
    }
    let part = |n: u64, style: Style, word: &str| {
        let text = format!("{n} {word}");
        if n > 0 { screen.paint(style, &text) } else { text }
    };
    writeln!(
        out,
        "replayed  {} = {} + {} + {} + {} + {}",
        e.replayed,
        part(v.matching, GOOD, "match"),
        part(v.noise, FAINT, "noise"),
        part(v.different, BAD, "different"),
        part(v.failed, BAD, "failed"),
        part(v.not_comparable, UNSURE, "not comparable"),
    )
}

fn differences(out: &mut String, summary: &Summary, screen: Screen) -> fmt::Result {
    let counted: Vec<_> = summary.differences.iter().filter(|d| d.class.counts()).collect();
    let explained = summary.differences.len() - counted.len();
    if !counted.is_empty() {
        let mut table = Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(screen.width.max(40))
            .set_header(["differ", "share", "where", "what", "v1", "v2"]);
        for d in counted.iter().take(MOST_LISTED) {
            table.add_row(line(d));
        }
        for column in [0, 1] {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        writeln!(out, "\n{}", table.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n"))?;
    }
    if counted.len() > MOST_LISTED {
        writeln!(out, "and {} more distinct differences in the report", counted.len() - MOST_LISTED)?;
    }
    if explained > 0 {
        let note = format!(
            "{explained} distinct differences are explained (noise, shadowing, rules) and do not count"
        );
        writeln!(out, "{}", screen.paint(FAINT, &note))?;
    }
    Ok(())
}

fn line(d: &DistinctDifference) -> Vec<Cell> {
    let side = |value: &Option<String>| value.as_deref().map_or("absent".to_owned(), |v| excerpt(v, 32));
    vec![
        Cell::new(d.count),
        Cell::new(percent(d.share)),
        Cell::new(excerpt(&d.route, 40)),
        Cell::new(match d.path.as_str() {
            "" => format!("{} {}", d.layer.name(), d.kind.name()),
            path => format!("{} {} {}", d.layer.name(), excerpt(path, 40), d.kind.name()),
        }),
        Cell::new(side(&d.v1_example)),
        Cell::new(format!("{}{}", side(&d.v2_example), unsure(d))),
    ]
}

fn unsure(d: &DistinctDifference) -> String {
    if d.class == crate::diff::Class::Confirmed { format!(" ({})", d.class.name()) } else { String::new() }
}

fn latency(out: &mut String, summary: &Summary) -> fmt::Result {
    let (Some(v1), Some(v2)) = (summary.latency.v1, summary.latency.v2) else { return Ok(()) };
    writeln!(
        out,
        "\nlatency   p50 {} -> {}   p90 {} -> {}   p99 {} -> {}   (v1 -> v2)",
        ms(v1.p50),
        ms(v2.p50),
        ms(v1.p90),
        ms(v2.p90),
        ms(v1.p99),
        ms(v2.p99)
    )
}
