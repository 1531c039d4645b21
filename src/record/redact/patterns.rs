//! Secrets known by their own form, wherever they stand: keys of cloud services, numbers of payment cards,
//! and what the user's patterns match.

use std::ops::Range;
use std::sync::LazyLock;

use regex::bytes::Regex;

/// Keys that begin with their issuer's mark: AWS, GitHub, GitLab, Slack, Google, Stripe, npm, `PyPI`, `SendGrid`,
/// `DigitalOcean`, Vault, Anthropic and `OpenAI`.
static KEYS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?x-u) \b(?:
            A(?:KI|SI)A[A-Z0-9]{16}
          | gh[pousr]_[A-Za-z0-9]{36,}
          | github_pat_[A-Za-z0-9_]{22,}
          | glpat-[A-Za-z0-9_-]{20,}
          | xox[abeoprs]-[A-Za-z0-9-]{10,}
          | AIza[A-Za-z0-9_-]{35}
          | ya29\.[A-Za-z0-9_-]{20,}
          | [rs]k_(?:live|test)_[A-Za-z0-9]{16,}
          | npm_[A-Za-z0-9]{36}
          | pypi-[A-Za-z0-9_-]{50,}
          | SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}
          | do[opr]_v1_[a-f0-9]{64}
          | hvs\.[A-Za-z0-9_-]{20,}
          | sk-(?:ant|proj)-[A-Za-z0-9_-]{20,}
        )",
    )
    .ok()
});

/// Calls `found` with the span of each key of a cloud service.
pub(super) fn keys(text: &[u8], mut found: impl FnMut(Range<usize>)) {
    let keys = KEYS.iter().flat_map(|pattern| pattern.find_iter(text));
    keys.for_each(|key| found(key.range()));
}

/// Calls `found` with the span of each number of a payment card: digits, in groups or not, of a length and
/// beginning that issuers use, whose check digit is right (ISO/IEC 7812-1, annex B).
pub(super) fn cards(text: &[u8], mut found: impl FnMut(Range<usize>)) {
    // A line has mostly fewer digits than a number.
    if text.len() <= LINE && usize::from(digits(text)) < SHORTEST {
        return;
    }
    let mut at = 0;
    while let Some(crowd) = crowd(text, at) {
        at = cards_in(text, crowd, &mut found);
    }
}

/// Texts up to this length are counted first.
const LINE: usize = 255;
/// Bytes that are looked at together.
const BLOCK: usize = 16;
/// So many digits of a card's number, of which no two are more than four bytes apart, are in some block: of its
/// fourteen at least a third, where it lies in three blocks or fewer, and else a block that it fills.
const CROWD: u8 = 4;

/// The first block behind `at` that can be a part of a number, with the block before it: there it is either too
/// thin for a number or begins where no number goes on.
fn crowd(text: &[u8], at: usize) -> Option<Range<usize>> {
    let rest = text.get(at..).filter(|rest| rest.len() >= SHORTEST)?;
    let (blocks, last) = rest.as_chunks::<BLOCK>();
    let crowded = blocks.iter().position(|block| digits(block) >= CROWD);
    let crowded = crowded.or_else(|| (digits(last) >= CROWD).then_some(blocks.len()))?;
    let start = at + crowded * BLOCK;
    Some(start.saturating_sub(BLOCK).max(at)..text.len().min(start + BLOCK))
}

/// How many digits a text has, of which no longer one than a [`LINE`] is asked for.
fn digits(text: &[u8]) -> u8 {
    text.iter().fold(0, |sum: u8, b| sum.wrapping_add(b.is_ascii_digit().into()))
}

/// Looks for numbers that begin within a part of a text, before which none goes on; says where it ended looking.
fn cards_in(text: &[u8], part: Range<usize>, found: &mut impl FnMut(Range<usize>)) -> usize {
    let mut at = part.start;
    while let Some(start) = text.get(at..part.end).and_then(|rest| rest.iter().position(u8::is_ascii_digit)) {
        at = card_at(text, at + start, found);
    }
    at.max(part.end)
}

/// Looks at the digits that begin at `start`; says where they end.
fn card_at(text: &[u8], start: usize, found: &mut impl FnMut(Range<usize>)) -> usize {
    // The digits of an escaped byte, as in `pan%3D4242`, are none of a number.
    let escape = [1, 2]
        .into_iter()
        .filter_map(|back| start.checked_sub(back))
        .find(|&sign| text.get(sign..).is_some_and(is_escape));
    if let Some(sign) = escape {
        return sign + 3;
    }
    let run = run_of_digits(text, start);
    let end = start + run.len;
    if !is_card(run.digits()) {
        return end;
    }
    let before = start.checked_sub(1).and_then(|before| text.get(before));
    let after = text.get(end);
    // Part of a word or of a fraction: no card.
    let escaped = start.checked_sub(3).and_then(|sign| text.get(sign..start)).is_some_and(is_escape);
    let bound = |b: Option<&u8>| b.is_none_or(|b| !(b.is_ascii_alphanumeric() || b"_.".contains(b)));
    let ends_sentence = after == Some(&b'.') && !text.get(end + 1).is_some_and(u8::is_ascii_digit);
    if (escaped || bound(before)) && (bound(after) || ends_sentence) {
        found(start..end);
    }
    end
}

/// The fewest digits that a card's number has.
pub(super) const SHORTEST: usize = 14;
/// The most digits that a card's number has.
const LONGEST: usize = 19;

/// Whether a text begins with an escaped byte (RFC 3986, section 2.1).
fn is_escape(text: &[u8]) -> bool {
    matches!(text, [b'%', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

/// What stands between the groups of a number, once: a space or a dash, or what a form or a query has for them.
const JOINTS: [&[u8]; 5] = [b" ", b"-", b"+", b"%20", b"%2D"];

/// Digits with single joints between them.
struct Run {
    digits: [u8; LONGEST + 1],
    count: usize,
    /// Bytes from the first digit to behind the last.
    len: usize,
}

impl Run {
    fn digits(&self) -> &[u8] {
        self.digits.get(..self.count).unwrap_or_default()
    }
}

/// The run that begins at `start`. Of a longer one, all digits belong to it, and no more are kept than tell
/// that it is too long.
fn run_of_digits(text: &[u8], start: usize) -> Run {
    let mut run = Run { digits: [0; LONGEST + 1], count: 0, len: 0 };
    let mut used = None;
    let mut at = 0;
    let text = text.get(start..).unwrap_or_default();
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if let [b @ b'0'..=b'9', ..] = rest {
            if let Some(place) = run.digits.get_mut(run.count) {
                *place = b - b'0';
                run.count += 1;
            }
            at += 1;
            run.len = at;
            continue;
        }
        if !matches!(rest, [b' ' | b'-' | b'+' | b'%', ..]) {
            break;
        }
        let joint = JOINTS.into_iter().find(|joint| rest.starts_with(joint));
        let digit_follows = |joint: &&[u8]| rest.get(joint.len()).is_some_and(u8::is_ascii_digit);
        let Some(joint) = joint.filter(digit_follows).filter(|joint| used.is_none_or(|used| used == *joint))
        else {
            break;
        };
        used = Some(joint);
        at += joint.len();
    }
    run
}

/// Whether issuers use numbers of this length and beginning, and the check digit is right.
fn is_card(digits: &[u8]) -> bool {
    let lead = |n: usize| {
        digits.get(..n).unwrap_or_default().iter().fold(0_u32, |value, digit| value * 10 + u32::from(*digit))
    };
    let issued = match digits.len() {
        14 => matches!(lead(2), 36 | 38 | 39) || matches!(lead(3), 300..=305),
        15 => matches!(lead(2), 34 | 37),
        16 => {
            lead(1) == 4
                || matches!(lead(2), 51..=55 | 62 | 65)
                || matches!(lead(4), 2221..=2720 | 3528..=3589 | 6011)
                || matches!(lead(3), 644..=649)
        }
        17..=19 => lead(2) == 62 || (digits.len() == LONGEST && lead(1) == 4),
        _ => false,
    };
    issued && luhn(digits)
}

fn luhn(digits: &[u8]) -> bool {
    let weighed = digits.iter().rev().enumerate().map(|(place, &digit)| {
        let doubled = u32::from(digit) * if place % 2 == 1 { 2 } else { 1 };
        doubled / 10 + doubled % 10
    });
    weighed.sum::<u32>() % 10 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(text: &str, scan: impl Fn(&[u8], &mut dyn FnMut(Range<usize>))) -> Vec<String> {
        let mut out = Vec::new();
        scan(text.as_bytes(), &mut |span| out.push(text[span].to_owned()));
        out
    }

    #[test]
    fn numbers_of_cards_are_told_from_other_numbers() {
        // The issuers' own numbers for tests.
        for card in [
            "4242424242424242",
            "4111 1111 1111 1111",
            "5555-5555-5555-4444",
            "378282246310005",
            "3782 822463 10005",
            "6011111111111117",
            "2223003122003222",
            "30569309025904",
            "3530111333300000",
            "4242+4242+4242+4242",
            "4242%204242%204242%204242",
        ] {
            for text in [
                card.to_owned(),
                format!("\"{card}\""),
                format!("pan%3D{card}%26x"),
                format!("pan={card}&x"),
                format!("is {card}."),
            ] {
                assert_eq!(spans(&text, |t, f| cards(t, f)), [card], "{text}");
            }
        }
        for other in [
            "4242424242424241",
            "1795348800000000000",
            "0.4242424242424242",
            "x4242424242424242",
            "42424242424242424242424242424242",
            "4242 4242-4242 4242",
            "2026-11-22 12:07:50",
            "",
        ] {
            assert!(spans(other, |t, f| cards(t, f)).is_empty(), "{other}");
        }
    }

    /// The numbers of a text of which every digit is looked at.
    fn all_cards(text: &[u8]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        cards_in(text, 0..text.len(), &mut |span| found.push(span));
        found
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(512))]
        #[test]
        fn passing_over_blocks_without_digits_overlooks_no_number(
            parts in proptest::collection::vec(
                proptest::prop_oneof![
                    "[a-z%: .]{0,40}",
                    "[0-9 %2D.+-]{0,24}",
                    "4242([ +-]|%20|%2D)?4242([ +-]|%20)?4242([ +-]|%20)?424[0-9]",
                    "4(-2-4|%202%204){7}-2",
                ],
                0..8,
            ),
        ) {
            let text = parts.concat();
            let mut found = Vec::new();
            cards(text.as_bytes(), |span| found.push(span));
            proptest::prop_assert_eq!(found, all_cards(text.as_bytes()), "{}", text);
        }
    }

    #[test]
    fn keys_of_cloud_services_are_known_by_their_marks() {
        let tail = "0123456789abcdefghijABCDEFGHIJ0123456789";
        for key in [
            "AKIAIOSFODNN7EXAMPLE".to_owned(),
            "ASIAIOSFODNN7EXAMPLE".to_owned(),
            format!("ghp_{tail}"),
            format!("github_pat_{tail}"),
            format!("glpat-{tail}"),
            format!("xoxb-{tail}"),
            format!("AIza{}", &tail[..35]),
            format!("sk_live_{tail}"),
            format!("SG.{tail}.{tail}"),
        ] {
            assert_eq!(spans(&format!("id={key}, x"), |t, f| keys(t, f)), [key.as_str()]);
        }
        for other in ["AKIA", "xAKIAIOSFODNN7EXAMPLE", "ghp_short", "AIzaNo", "sk_livestock"] {
            assert!(spans(other, |t, f| keys(t, f)).is_empty(), "{other}");
        }
    }
}
