//! One exchange on a terminal: what was asked, and both answers with what differs between them.
//!
//! Every line from the wire stands behind a sign of our own, so that nothing a server sends begins a line.

use std::fmt::{self, Write as _};

use anstyle::{AnsiColor, Style};
use similar::{Algorithm, ChangeTag, TextDiff};

use super::exchange_view::{body_lines, head_lines, request_lines, why};
use super::facts::{v1_latency, v2_latency, v2_response};
use super::tally::Judged;
use super::terminal::Screen;
use super::visible::{excerpt, without_commands};
use super::{curl, ms, one_line};
use crate::diff::{Class, Difference};
use crate::http::Response;
use crate::record::Row;

const OLD: Style = AnsiColor::Red.on_default();
const NEW: Style = AnsiColor::Green.on_default();
const TITLE: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();
/// Equal lines that are kept around what differs.
const CONTEXT: usize = 3;

/// The exchange as text; `base` is the address of its destination, where that is known.
#[must_use]
pub fn show(row: &Row, judged: Option<&Judged>, base: Option<&str>, screen: Screen) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut out, row, judged, base, screen);
    without_commands(&out).into_owned()
}

fn write(
    out: &mut String,
    row: &Row,
    judged: Option<&Judged>,
    base: Option<&str>,
    screen: Screen,
) -> fmt::Result {
    title(out, row, judged, screen)?;
    for difference in judged.map(|j| j.differences.as_slice()).unwrap_or_default() {
        fact(out, difference, screen)?;
    }
    heading(out, "request, as it was sent", screen)?;
    for line in request_lines(row) {
        writeln!(out, "│ {line}")?;
    }
    let (v1, v2) = (row.exchange.response.as_ref(), v2_response(row));
    heading(out, "answer: - v1, as captured; + v2", screen)?;
    side_by_line(out, &head_lines(v1), &head_lines(v2), screen)?;
    if has_body(v1) || has_body(v2) {
        writeln!(out, "│")?;
        side_by_line(out, &body_lines(v1), &body_lines(v2), screen)?;
    }
    if let Some(Ok(line)) = base.map(|base| curl::line(row, base)) {
        heading(out, "again, by hand", screen)?;
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn has_body(response: Option<&Response>) -> bool {
    response.is_some_and(|response| response.body.len > 0)
}

fn title(out: &mut String, row: &Row, judged: Option<&Judged>, screen: Screen) -> fmt::Result {
    let head = &row.exchange.request.head;
    let text = |bytes: &[u8]| excerpt(&String::from_utf8_lossy(bytes), 2000);
    let what = format!("{} {}", text(head.method()), text(head.target()));
    writeln!(out, "{}  {}", row.request_name(), screen.paint(TITLE, &what))?;
    let verdict = judged.map_or("not sent", |judged| judged.verdict.name());
    let time = |time: Option<std::time::Duration>| {
        time.map_or("no answer".to_owned(), |time| ms(time.as_secs_f64() * 1e3))
    };
    writeln!(
        out,
        "{verdict} · {} · {} to {} · v1 {}, v2 {}",
        text(head.host().unwrap_or_default()),
        row.role.name(),
        excerpt(&row.destination, 200),
        time(v1_latency(row)),
        time(v2_latency(row)),
    )?;
    let why = why(row).map(|why| format!("{why}\n")).unwrap_or_default();
    write!(out, "{why}")
}

fn fact(out: &mut String, d: &Difference, screen: Screen) -> fmt::Result {
    let style = if d.class.counts() { OLD.bold() } else { FAINT };
    let line = excerpt(&one_line(d.class, d.layer, &d.path, d.kind), 1000);
    let reason = if d.class == Class::Shadow { " (made by the shadowing itself)" } else { "" };
    writeln!(out, "  {}{reason}", screen.paint(style, &line))?;
    let side = |value: &Option<String>| value.as_deref().map_or("absent".to_owned(), |v| excerpt(v, 400));
    writeln!(out, "    v1 {}", screen.paint(OLD, &side(&d.v1)))?;
    writeln!(out, "    v2 {}", screen.paint(NEW, &side(&d.v2)))
}

fn heading(out: &mut String, text: &str, screen: Screen) -> fmt::Result {
    writeln!(out, "\n{}", screen.paint(TITLE, text))
}

/// Both sides as one text: what differs with `-` and `+`, and some of what does not around it.
fn side_by_line(out: &mut String, v1: &[String], v2: &[String], screen: Screen) -> fmt::Result {
    let (left, right): (Vec<&str>, Vec<&str>) =
        (v1.iter().map(String::as_str).collect(), v2.iter().map(String::as_str).collect());
    let diff = TextDiff::configure().algorithm(Algorithm::Patience).diff_slices(&left, &right);
    let changes: Vec<_> = diff.iter_all_changes().map(|change| (change.tag(), change.value())).collect();
    let differs = |at: usize| changes.get(at).is_some_and(|(tag, _)| *tag != ChangeTag::Equal);
    let none = !(0..changes.len()).any(differs);
    let mut folded = 0;
    for (at, (tag, line)) in changes.iter().enumerate() {
        let near = none || (at.saturating_sub(CONTEXT)..=at + CONTEXT).any(differs);
        if !near {
            folded += 1;
            continue;
        }
        fold(out, &mut folded, screen)?;
        match tag {
            ChangeTag::Equal => writeln!(out, "│ {line}")?,
            ChangeTag::Delete => writeln!(out, "{}", screen.paint(OLD, &format!("- {line}")))?,
            ChangeTag::Insert => writeln!(out, "{}", screen.paint(NEW, &format!("+ {line}")))?,
        }
    }
    fold(out, &mut folded, screen)
}

fn fold(out: &mut String, folded: &mut usize, screen: Screen) -> fmt::Result {
    match std::mem::take(folded) {
        0 => Ok(()),
        n => writeln!(out, "{}", screen.paint(FAINT, &format!("⋮ {n} equal lines"))),
    }
}
