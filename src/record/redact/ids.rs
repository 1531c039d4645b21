//! Lines of heads that are the same but for ids, as the paths and the request ids of most rows are: where the one holds no
//! secret, the other holds none.

use super::patterns;
use crate::http::h1::agreement;

/// Bytes of the longest id that is taken for one.
const LONGEST: usize = 64;
/// More ids than this are not told from other differences.
const MOST: usize = 3;

/// Whether a part of a head differs from one that bears no sign and holds no secret in ids alone, which means that it bears
/// none and holds none either.
///
/// An id is made of hexadecimal digits and dashes, fills a segment of a path or the value of a field, and is no number of a
/// card, nor is one in it. No byte of it, nor it with what bounds it, is a part of a sign (a test sees to that); a name
/// ends before it; and the only secrets that digits and dashes make up are numbers of cards, which no boundary of it lets
/// begin before it or go on behind it. What is found by its length bears a sign. Of several ids each may be changed after
/// the other.
pub(super) fn differ_in_ids(known: &[u8], part: &[u8]) -> bool {
    let (mut known_at, mut at) = (0, 0);
    for _ in 0..=MOST {
        let (known_rest, rest) =
            (known.get(known_at..).unwrap_or_default(), part.get(at..).unwrap_or_default());
        let same = agreement(known_rest, rest);
        if same == rest.len() && same == known_rest.len() {
            return true;
        }
        let before = rest.get(..same).unwrap_or_default();
        let bounds = |b: &u8| !is_of_id(*b);
        let near = before.get(before.len().saturating_sub(LONGEST)..).unwrap_or_default();
        let back = near.iter().rposition(bounds).map_or(near.len(), |bound| near.len() - bound - 1);
        (known_at, at) = (known_at + same - back, at + same - back);
        let (one, other) = (id_len(known, known_at), id_len(part, at));
        let (id, behind) = part.get(at..).and_then(|rest| rest.split_at_checked(other)).unwrap_or_default();
        let is_id =
            one > 0 && other > 0 && is_bounded(part.get(..at).unwrap_or_default(), behind) && !holds_card(id);
        (known_at, at) = (known_at + one, at + other);
        // What bounds the one has to bound the other.
        if !is_id || known.get(known_at) != part.get(at) {
            return false;
        }
    }
    false
}

/// How many bytes there are of an id that begins at a place.
fn id_len(part: &[u8], at: usize) -> usize {
    let rest = part.get(at..).unwrap_or_default();
    let rest = rest.get(..rest.len().min(LONGEST)).unwrap_or_default();
    rest.iter().position(|b| !is_of_id(*b)).unwrap_or(rest.len())
}

fn is_of_id(b: u8) -> bool {
    OF_IDS[usize::from(b)]
}

/// The bytes that ids are made of.
static OF_IDS: [bool; 256] = {
    let mut all = [false; 256];
    let mut b = 0;
    while b < all.len() {
        all[b] = matches!(b.to_le_bytes()[0], b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F' | b'-');
        b += 1;
    }
    all
};

fn is_bounded(before: &[u8], behind: &[u8]) -> bool {
    match before {
        [.., b'/'] => matches!(behind, [b'/' | b'?', ..]) || behind.starts_with(b" HTTP/"),
        [.., b':', b' '] => behind == b"\r\n",
        _ => false,
    }
}

fn holds_card(id: &[u8]) -> bool {
    let mut found = false;
    if id.len() < patterns::SHORTEST {
        return false;
    }
    patterns::cards(id, |_| found = true);
    found
}

#[cfg(test)]
mod tests {
    use super::super::signs::{Signs, TEXTS};
    use super::super::{Part, Redactor};
    use super::*;

    #[test]
    fn a_line_is_like_another_where_an_id_alone_differs() {
        for (known, line, alike) in [
            ("GET /items/1/a HTTP/1.1\r\n", "GET /items/23/a HTTP/1.1\r\n", true),
            ("GET /items/12?a=b HTTP/1.1\r\n", "GET /items/13?a=b HTTP/1.1\r\n", true),
            ("GET /items/12 HTTP/1.1\r\n", "GET /items/c-d HTTP/1.1\r\n", true),
            ("X-Request-Id: 7f4c01\r\n", "X-Request-Id: 7f4d\r\n", true),
            ("GET /items/1 HTTP/1.1\r\n", "GET /items/4242424242424242 HTTP/1.1\r\n", false),
            ("X: 1\r\n", "X: 4242-4242-4242-4242\r\n", false),
            ("X: 1\r\n", "X: \r\n", false),
            ("X: 1\r\n", "X: 1\r\n 2\r\n", false),
            ("X: 4 1\r\n", "X: 4 2\r\n", false),
            ("GET /items/1 2 HTTP/1.1\r\n", "GET /items/3 2 HTTP/1.1\r\n", false),
            ("GET /items/x1 HTTP/1.1\r\n", "GET /items/x2 HTTP/1.1\r\n", false),
            ("GET /%3/1 HTTP/1.1\r\n", "GET /%4/1 HTTP/1.1\r\n", false),
            ("GET /1/a/1 HTTP/1.1\r\n", "GET /2/a/23 HTTP/1.1\r\n", true),
            ("GET /1/a/1 HTTP/1.1\r\n", "GET /2/b/2 HTTP/1.1\r\n", true),
            ("GET /1/x/1 HTTP/1.1\r\n", "GET /2/y/2 HTTP/1.1\r\n", false),
            ("GET /1/1/1/1/1 HTTP/1.1\r\n", "GET /2/2/2/2/2 HTTP/1.1\r\n", false),
        ] {
            assert_eq!(differ_in_ids(known.as_bytes(), line.as_bytes()), alike, "{known} {line}");
        }
    }

    #[test]
    fn no_sign_is_made_of_an_id_and_what_bounds_it() {
        for (text, _) in TEXTS {
            let bytes = text.as_bytes();
            for at in (0..bytes.len()).filter(|at| is_of_id(bytes[*at])) {
                // What stands beside the id that the byte would be in; nothing where that might go on.
                let left = bytes[..at].iter().rev().find(|b| !is_of_id(**b));
                let right = bytes[at..].iter().find(|b| !is_of_id(**b));
                let in_an_id =
                    left.is_none_or(|b| b"/ ".contains(b)) && right.is_none_or(|b| b"/? \r".contains(b));
                assert!(!in_an_id, "{text} at {at}");
            }
        }
    }

    /// Pieces of lines, of which some are ids and some almost secrets.
    fn piece() -> impl proptest::strategy::Strategy<Value = String> {
        use proptest::prelude::*;
        prop_oneof![
            3 => "[0-9a-f-]{1,20}",
            2 => "(4242-?){1,4}",
            3 => "[/?: =&%.]",
            1 => "(: |://| HTTP/1.1|\r\n)",
            1 => "(token|sid|Host|Cookie|Bearer |@|%3D|eyJ|AKIA|a@|\r\n |-----BEGIN PRIVATE KEY-----)",
            1 => "[ -~]{0,6}",
        ]
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(4096))]
        #[test]
        fn what_differs_in_an_id_from_a_line_without_a_secret_has_none(
            (start, end) in proptest::prelude::prop_oneof![
                proptest::prelude::Just(("GET /", " HTTP/1.1\r\n")),
                proptest::prelude::Just(("X-Request-Id: ", "\r\n")),
                proptest::prelude::Just(("CONNECT /", " HTTP/1.1\r\n")),
                proptest::prelude::Just(("", "")),
            ],
            before in proptest::collection::vec(piece(), 0..4),
            bound in "[/]|: |",
            ids in ("[0-9a-f-]{0,20}|(4242-?){3,4}", "[0-9a-f-]{0,20}|(4242-?){3,4}"),
            behind in proptest::collection::vec(piece(), 0..4),
            shut in "[/?]|\r\n|",
        ) {
            let line = |id: &str| [start, &before.concat(), &bound, id, &shut, &behind.concat(), end].concat();
            let (known, line) = (line(&ids.0), line(&ids.1));
            let redactor = Redactor::with_key([7; 32]);
            for part in [Part::Head, Part::Fields] {
                let look = |text: &str| {
                    let signs = Signs::of_head(text.as_bytes());
                    (signs, redactor.spans(text.as_bytes(), part, Signs::ALL))
                };
                if look(&known) == (Signs::NONE, Vec::new()) && differ_in_ids(known.as_bytes(), line.as_bytes()) {
                    proptest::prop_assert_eq!(look(&line), (Signs::NONE, Vec::new()), "{:?} {:?}", known, line);
                }
            }
        }
    }
}
