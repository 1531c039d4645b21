//! Annotations: what a pipeline's runner is told to show beside its log.

use std::fmt::Write as _;

use super::one_line;
use super::summary::{DistinctDifference, Judgement, Summary};
use super::visible::excerpt;

/// Distinct differences that are annotated; GitHub shows ten errors of a step.
const MOST_LISTED: usize = 9;

/// Workflow commands of GitHub's actions, a line for each: the verdict, and the first distinct differences that
/// count.
#[must_use]
pub fn github_annotations(summary: &Summary) -> String {
    let mut out = String::new();
    let (level, title) = match summary.verdict {
        Judgement::Pass => ("notice", "v2 answers as v1 did"),
        Judgement::Fail => ("error", "v2 does not answer as v1 did"),
        Judgement::Inconclusive => ("warning", "too little was compared to say"),
    };
    command(&mut out, level, title, &summary.reasons.join("; "));
    for d in summary.differences.iter().filter(|d| d.class.counts()).take(MOST_LISTED) {
        let title = format!("{}: {}", d.route, one_line(d.class, d.layer, &d.path, d.kind));
        command(&mut out, "error", &title, &message(d));
    }
    out
}

fn message(d: &DistinctDifference) -> String {
    let side = |value: &Option<String>| value.as_deref().map_or("absent".to_owned(), |v| excerpt(v, 200));
    let values = format!("v1 {}, v2 {}", side(&d.v1_example), side(&d.v2_example));
    let example = d.exchanges.first().map(|id| format!(", such as {id}")).unwrap_or_default();
    format!("{values}; {} exchanges{example}", d.count)
}

fn command(out: &mut String, level: &str, title: &str, message: &str) {
    let (title, message) = (excerpt(title, 300), excerpt(message, 4000));
    // A property ends at `,` and `::`, a command at the line's end; the runner undoes these escapes.
    let data = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = data(&title).replace(':', "%3A").replace(',', "%2C");
    // Writing to a string does not fail.
    let _ = writeln!(out, "::{level} title={property}::{}", data(&message));
}
