//! `summary.md`, for a pull request or a job's summary.
//!
//! Whatever comes from the wire stands in code spans, whose text Markdown does not interpret: no
//! mention, link, image or HTML comes of it. The document stays below the 1 MiB that job summaries take.

use std::fmt::Write as _;

use super::summary::{DistinctDifference, Judgement, Summary};
use super::visible::excerpt;
use super::words::{Reasons, replayed};
use super::{ms, percent};
use crate::record::Mode;

/// Distinct differences and routes that are listed each.
const MOST_LISTED: usize = 50;
/// Characters of a value, a path or a route.
const MOST_CHARS: usize = 160;
/// Characters of a reason or a note.
const MOST_REASON: usize = 1000;
/// Bytes of all reasons, and of all notes.
const MOST_SAID: usize = 64 << 10;

/// The document.
pub(super) fn render(summary: &Summary) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut out, summary);
    out
}

fn write(out: &mut String, summary: &Summary) -> std::fmt::Result {
    let mark = match summary.verdict {
        Judgement::Pass => "✅ Pass",
        Judgement::Fail => "❌ Fail",
        Judgement::Inconclusive => "⚠️ Inconclusive",
    };
    writeln!(out, "## {mark}: v2 against recorded traffic\n")?;
    said(out, &summary.reasons, sentence)?;
    if summary.keeps_secrets() {
        writeln!(out, "- **Secrets are kept in the recording and the reports (`--no-redact`).**")?;
    }
    said(out, &summary.notes, |note| code_of(note, MOST_REASON))?;
    if let Some(a) = &summary.against {
        let (run, gone) = (code_of(&a.run, 200), a.gone.len());
        writeln!(out, "- Against {run}: {} new, {} known, {gone} gone", a.new, a.known)?;
    }
    if let Some(accepted) = &summary.accepted {
        writeln!(out, "- {}", code_of(&accepted.words(), 400))?;
        for lapsed in accepted.lapsed.iter().take(MOST_LISTED) {
            writeln!(out, "- no longer accepted: {}", code_of(lapsed, 400))?;
        }
    }
    coverage(out, summary)?;
    differences(out, "Differences that count", summary, |d| d.class.counts())?;
    differences(out, "Explained differences", summary, |d| !d.class.counts())?;
    routes(out, summary)?;
    latency(out, summary)?;
    writeln!(
        out,
        "\nshadowcap {}, started {}, seed {}",
        code(&summary.tool_version),
        summary.started,
        summary.seed
    )
}

/// Sentences as a list, as far as there is room for them.
fn said(out: &mut String, sentences: &[String], write: impl Fn(&str) -> String) -> std::fmt::Result {
    let from = out.len();
    for (n, sentence) in sentences.iter().enumerate() {
        if out.len() - from > MOST_SAID {
            return writeln!(out, "- {} more in the report", sentences.len() - n);
        }
        writeln!(out, "- {}", write(sentence))?;
    }
    Ok(())
}

/// A reason as text. Whatever might not be our own wording, names of files and what a system or a peer said, stands
/// in a code span: it begins behind the first colon, where causes stand, as soon as one word is not plain prose.
fn sentence(reason: &str) -> String {
    let ours = reason.replace("`shadowcap inspect`", "inspect");
    if ours.split(' ').all(is_prose) {
        return excerpt(reason, MOST_REASON);
    }
    match reason.split_once(": ").filter(|(ours, _)| ours.split(' ').all(is_prose)) {
        Some((ours, foreign)) => format!("{ours}: {}", code_of(foreign, MOST_REASON)),
        None => code_of(reason, MOST_REASON),
    }
}

/// Whether a word is one in which no reader of Markdown finds a mention, a link, a reference or markup: letters and
/// digits with dashes, apostrophes and a decimal point between them, and the punctuation of a sentence around them.
fn is_prose(word: &str) -> bool {
    let core = word.trim_start_matches('(').trim_end_matches([')', '"', ',', ';', ':', '.', '%', '?']);
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '\'';
    let number = |c: char| c.is_ascii_digit() || c == '.';
    // `GH-12` refers to an issue; so does a long run of hexadecimal digits to a commit.
    let refers = core.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("gh-"))
        || (core.len() >= 7
            && core.chars().all(|c| c.is_ascii_hexdigit())
            && core.chars().any(char::is_alphabetic));
    (core.chars().all(plain) || core.chars().all(number)) && !refers
}

fn coverage(out: &mut String, summary: &Summary) -> std::fmt::Result {
    let (e, v) = (&summary.exchanges, &summary.verdicts);
    let replayed = replayed(summary.mode);
    writeln!(
        out,
        "\n| captured | {replayed} | match | noise | different | failed | not comparable | skipped |"
    )?;
    writeln!(out, "|---:|---:|---:|---:|---:|---:|---:|---:|")?;
    writeln!(
        out,
        "| {} | {} | {} | {} | {} | {} | {} | {} |",
        e.captured,
        e.replayed,
        v.matching,
        v.noise,
        v.different,
        v.failed,
        v.not_comparable,
        e.skipped_in_all()
    )?;
    for (title, reasons, causes) in [
        ("Skipped", Some(Reasons::Skipped), &e.skipped),
        ("Failed", Some(Reasons::Failed), &summary.failures),
        ("Not comparable", Some(Reasons::NotComparable), &summary.not_comparable),
        ("Anomalies", None, &summary.anomalies),
    ] {
        if !causes.is_empty() {
            let words = |name| reasons.map_or(name, |reasons| reasons.words(name));
            // Names come from the recording, and could be anything there: a code span holds them.
            let list: Vec<_> = causes
                .iter()
                .take(MOST_LISTED)
                .map(|(name, n)| format!("{n} {}", code(words(name))))
                .collect();
            writeln!(out, "\n{title}: {}", list.join(", "))?;
        }
    }
    Ok(())
}

fn differences(
    out: &mut String,
    title: &str,
    summary: &Summary,
    which: impl Fn(&DistinctDifference) -> bool,
) -> std::fmt::Result {
    let chosen: Vec<_> = summary.differences.iter().filter(|d| which(d)).collect();
    if chosen.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "\n### {title}\n\n| exchanges | class | where | what | v1 | v2 |\n|---:|---|---|---|---|---|"
    )?;
    for d in chosen.iter().take(MOST_LISTED) {
        writeln!(
            out,
            "| {} ({}) | {} | {} | {} {} {} | {} | {} |",
            d.count,
            percent(d.share),
            d.class.name(),
            code(&d.route),
            d.layer.name(),
            code(&d.path),
            d.kind.name(),
            value(d.v1_example.as_deref()),
            value(d.v2_example.as_deref()),
        )?;
    }
    beyond(out, chosen.len())
}

fn routes(out: &mut String, summary: &Summary) -> std::fmt::Result {
    if summary.routes.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n### Routes\n\n| host | route | replayed | different | failed | p99 v1 | p99 v2 |")?;
    writeln!(out, "|---|---|---:|---:|---:|---:|---:|")?;
    for r in summary.routes.iter().take(MOST_LISTED) {
        let p99 = |q: Option<super::Quantiles>| q.map_or("-".to_owned(), |q| ms(q.p99));
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} |",
            code(&r.host),
            code(&r.route),
            r.replayed,
            r.verdicts.different,
            r.verdicts.failed,
            p99(r.latency.v1),
            p99(r.latency.v2),
        )?;
    }
    beyond(out, summary.routes.len())
}

fn beyond(out: &mut String, all: usize) -> std::fmt::Result {
    if all > MOST_LISTED {
        writeln!(out, "\n{} more are in the report.", all - MOST_LISTED)?;
    }
    Ok(())
}

fn latency(out: &mut String, summary: &Summary) -> std::fmt::Result {
    let (Some(v1), Some(v2)) = (summary.latency.v1, summary.latency.v2) else { return Ok(()) };
    writeln!(out, "\n| latency | p50 | p90 | p99 | max |\n|---|---:|---:|---:|---:|")?;
    let v2_name = if summary.mode == Mode::Compare { "v2, as captured" } else { "v2, as measured" };
    for (name, q) in [("v1, as captured", v1), (v2_name, v2)] {
        writeln!(out, "| {name} | {} | {} | {} | {} |", ms(q.p50), ms(q.p90), ms(q.p99), ms(q.max))?;
    }
    let slower = summary.routes.iter().filter_map(|route| Some((route, route.slower.as_ref()?)));
    for (n, (route, slower)) in slower.take(MOST_LISTED).enumerate() {
        let gap = if n == 0 { "\n" } else { "" };
        writeln!(
            out,
            "{gap}- slower, though it counts for nothing: {} {}",
            code(&route.route),
            slower.words()
        )?;
    }
    Ok(())
}

fn value(text: Option<&str>) -> String {
    text.map_or_else(|| "*absent*".to_owned(), code)
}

/// A code span within a table cell: the fence is longer than any run of backticks inside, and a `|`
/// would end the cell even here, so that it becomes its look-alike.
fn code(text: &str) -> String {
    code_of(text, MOST_CHARS)
}

fn code_of(text: &str, most: usize) -> String {
    let text = excerpt(text, most).replace('|', "¦");
    if text.trim().is_empty() {
        return if text.is_empty() { String::new() } else { "`· ·`".to_owned() };
    }
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    // A space keeps a backtick at the edge apart from the fence, and is not shown.
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_span_cannot_be_left() {
        // CommonMark 0.31.2, section 6.1: a span ends at a run of backticks as long as that which began it.
        for (text, span) in [
            ("@everyone", "`@everyone`"),
            ("a`b", "``a`b``"),
            ("``", "``` `` ```"),
            ("a|b\nc", "`a¦b\\nc`"),
            ("", ""),
        ] {
            assert_eq!(code(text), span);
        }
    }
}
