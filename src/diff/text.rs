//! Text bodies by lines.

use xxhash_rust::xxh3::xxh3_64;

use super::align::{Run, align};
use super::findings::Findings;
use super::{Class, Kind, Layer};

/// Larger texts are compared as opaque bytes.
pub(super) const MAX_BYTES: usize = 16 << 20;

/// Finds the differences of two texts. The path of a line is its number in v1, from 1; that of an
/// added one, in v2.
pub(super) fn compare(v1: &[u8], v2: &[u8], findings: &mut Findings<'_>) {
    let (lines1, lines2) = (lines(v1), lines(v2));
    let digests = |lines: &[&[u8]]| lines.iter().map(|line| xxh3_64(line)).collect::<Vec<_>>();
    for run in align(&digests(&lines1), &digests(&lines2)) {
        let (a, b) = match run {
            Run::Same { a, b, len } => (a..a + len, b..b + len),
            Run::Changed(a, b) => (a, b),
        };
        let both = a.len().min(b.len());
        for (i, j) in a.clone().zip(b.clone()) {
            line(i, Some(lines1[i]), Some(lines2[j]), findings);
        }
        a.skip(both).for_each(|i| line(i, Some(lines1[i]), None, findings));
        b.skip(both).for_each(|j| line(j, None, Some(lines2[j]), findings));
    }
}

/// The lines, without their LF. A text that ends in one ends with an empty line, so that a missing
/// newline at the end shows.
fn lines(text: &[u8]) -> Vec<&[u8]> {
    text.split(|&b| b == b'\n').collect()
}

fn line(index: usize, v1: Option<&[u8]>, v2: Option<&[u8]>, findings: &mut Findings<'_>) {
    let kind = match (v1, v2) {
        (Some(a), Some(b)) if a == b => return,
        (Some(_), Some(_)) => Kind::ValueChanged,
        (_, None) => Kind::Missing,
        (None, _) => Kind::Added,
    };
    let echo = match (v1, v2) {
        (Some(a), Some(b)) => findings.echo.explains(a, b),
        (None, Some(b)) => findings.echo.is_edited_line(b),
        _ => false,
    };
    let class = if echo { Class::Shadow } else { Class::Unverified };
    findings.push((Layer::Body, kind, class), || format!("line {}", index + 1), (v1, v2));
}
