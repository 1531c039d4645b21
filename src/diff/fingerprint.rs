//! When two differences are the same one.
//!
//! A regression shows in every exchange that it touches. What tells regressions apart is where they
//! are, not the values: the method, host and route template of the request, the place in the answer
//! with indices and names of single things left out, the kind, and for a status or type the pair.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;

use xxhash_rust::xxh3::xxh3_64;

use super::template::segment;
use super::{Difference, Kind, Layer};

/// The name of a distinct difference; the same in every run and on every machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub u64);

impl Fingerprint {
    /// The fingerprint of a difference in an answer to a request of that method and host, on that
    /// route (a template, see [`template`](super::template::template)).
    #[must_use]
    pub fn of(method: &[u8], host: &[u8], route: &str, difference: &Difference) -> Self {
        Self::at(method, host, route, &general_place_of(difference), difference)
    }

    /// The same where the place of all that are like it is known.
    pub(super) fn at(method: &[u8], host: &[u8], route: &str, place: &str, difference: &Difference) -> Self {
        let pair = pair(difference);
        let layer = difference.layer.name().as_bytes();
        let kind = difference.kind.name().as_bytes();
        let parts = [method, host, route.as_bytes(), layer, place.as_bytes(), kind, pair.as_bytes()];
        let len: usize = parts.iter().map(|part| size_of::<u64>() + part.len()).sum();
        let mut bytes = Vec::with_capacity(len);
        for part in parts {
            // Lengths keep the parts apart.
            bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
            bytes.extend_from_slice(part);
        }
        Self(xxh3_64(&bytes))
    }
}

/// Sixteen hexadecimal digits.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The text was not a fingerprint.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a fingerprint: sixteen hexadecimal digits, as in the reports")]
pub struct FingerprintError(String);

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let value = hex.then(|| u64::from_str_radix(text, 16).ok()).flatten();
        value.map(Self).ok_or_else(|| FingerprintError(text.to_owned()))
    }
}

impl serde::Serialize for Fingerprint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Fingerprint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The place of a difference for all that are like it: its [`general_path`], and for a line or a text in markup its words,
/// since there the place alone says nothing: with numbers, dates and the like, and what changed, left open.
pub(super) fn general_place_of(difference: &Difference) -> Cow<'_, str> {
    let path = general_path(difference.layer, &difference.path);
    let of_text = difference.layer == Layer::Body && (path.ends_with("line *") || path.ends_with("/text()"));
    if !of_text {
        return path;
    }
    let place = path.strip_suffix(" *").unwrap_or(&path);
    let (v1, v2) = (difference.v1.as_deref(), difference.v2.as_deref());
    LAST_WORDS.with_borrow_mut(|last| {
        let known = last.iter().find(|known| known.v1.as_deref() == v1 && known.v2.as_deref() == v2);
        if let Some(known) = known {
            return [place, " '", &known.words, "'"].concat().into();
        }
        let words = words(v1, v2);
        let general = format!("{place} '{words}'");
        last.truncate(MOST_LAST - 1);
        last.push_front(Asked { v1: v1.map(str::to_owned), v2: v2.map(str::to_owned), words });
        general.into()
    })
}

/// Two texts, and the words that tell them from others.
struct Asked {
    v1: Option<String>,
    v2: Option<String>,
    words: String,
}

/// Pairs of texts that are remembered.
const MOST_LAST: usize = 8;

thread_local! {
    /// Those that were asked for last: of one row they are asked for again and again, to learn, to count and to show.
    static LAST_WORDS: RefCell<VecDeque<Asked>> = const { RefCell::new(VecDeque::new()) };
}

/// Words of a text that tell it from others.
const MAX_WORDS: usize = 12;

/// The words of a text, in which what both values have before and behind a change stays.
fn words(v1: Option<&str>, v2: Option<&str>) -> String {
    let split = |value: Option<&str>| -> Vec<String> {
        value.unwrap_or_default().split_whitespace().take(MAX_WORDS).map(open_word).collect()
    };
    let (ours, theirs) = (split(v1), split(v2));
    let (Some(_), Some(_)) = (v1, v2) else { return [ours, theirs].concat().join(" ") };
    let head = ours.iter().zip(&theirs).take_while(|(a, b)| a == b).count();
    let (rest1, rest2) = (&ours[head..], &theirs[head..]);
    let tail = rest1.iter().rev().zip(rest2.iter().rev()).take_while(|(a, b)| a == b).count();
    let changed = rest1.len().max(rest2.len()) > tail;
    let middle = changed.then(|| "{…}".to_owned());
    ours[..head]
        .iter()
        .cloned()
        .chain(middle)
        .chain(rest1[rest1.len() - tail..].iter().cloned())
        .collect::<Vec<_>>()
        .join(" ")
}

/// A word with each part that only a single thing is called left open: times, numbers, hexadecimal digits, UUIDs.
fn open_word(word: &str) -> String {
    let outer = |c: char| !(c.is_alphanumeric() || c == '-');
    let inner = word.trim_matches(outer);
    let at = word.find(inner).unwrap_or(0);
    let (before, behind) = (&word[..at], &word[at + inner.len()..]);
    let number = |text: &str| super::json::is_number_text(text.as_bytes());
    let digits = inner.bytes().filter(u8::is_ascii_digit).count();
    let hex = digits > 0 && inner.len() >= 8 && inner.bytes().all(|b| b.is_ascii_hexdigit());
    let opened = if number(inner) {
        "{number}".to_owned()
    } else if hex {
        "{hex}".to_owned()
    } else if digits * 2 >= inner.len().max(1) && inner.contains([':', '-', '/', ',', '.']) && !is_uuid(inner)
    {
        "{date}".to_owned()
    } else {
        segment(inner)
    };
    format!("{before}{opened}{behind}")
}

fn is_uuid(text: &str) -> bool {
    super::shape::Shape::Uuid.fits(text)
}

/// A difference's path for all the places that are like it: `[*]` for each index, a placeholder for
/// each name that is the name of one thing, `line *` in text, no places among siblings in markup.
#[must_use]
pub fn general_path(layer: Layer, path: &str) -> Cow<'_, str> {
    match layer {
        Layer::Body => general_body_path(path),
        Layer::Status | Layer::Header => path.into(),
    }
}

fn general_body_path(path: &str) -> Cow<'_, str> {
    match path.as_bytes() {
        [b'l', ..] if path.starts_with("line ") => "line *".into(),
        [b'$', ..] => general_json_path(path).into(),
        // Content within other content: its place there, then its own path.
        [b'p' | b'/', ..] if let Some((place, inner)) = path.split_once(' ') => {
            format!("{} {}", general_place(place), general_body_path(inner)).into()
        }
        [b'p' | b'/', ..] => general_place(path).into(),
        _ => path.into(),
    }
}

/// The place of a node or a part: numbers in brackets are left out.
pub(super) fn general_place(place: &str) -> String {
    let mut out = String::with_capacity(place.len());
    let mut rest = place;
    while let Some((before, behind)) = rest.split_once('[') {
        out.push_str(before);
        let digits = behind.bytes().take_while(u8::is_ascii_digit).count();
        rest = match behind[digits..].strip_prefix(']') {
            Some(after) if digits > 0 => after,
            _ => {
                out.push('[');
                behind
            }
        };
    }
    out + rest
}

pub(super) fn general_json_path(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('[') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let (step, len) = match rest.strip_prefix("['") {
            Some(name) => general_name(name),
            None => ("[*]".to_owned(), rest.find(']').map_or(rest.len(), |end| end + 1)),
        };
        out.push_str(&step);
        rest = &rest[len..];
    }
    out + rest
}

/// The step for a quoted name, and the length of the step in the path; `name` begins behind the
/// opening quote.
fn general_name(name: &str) -> (String, usize) {
    let mut escaped = false;
    let end = name.bytes().position(|b| {
        let ends = b == b'\'' && !escaped;
        escaped = b == b'\\' && !escaped;
        ends
    });
    match end {
        Some(end) => (format!("['{}']", segment(&name[..end])), "['']".len() + end),
        None => (format!("['{name}"), "['".len() + name.len()),
    }
}

/// What tells differences of one kind and place apart: both codes of a status, both types of a value.
fn pair(difference: &Difference) -> String {
    let (v1, v2) =
        (difference.v1.as_deref().unwrap_or_default(), difference.v2.as_deref().unwrap_or_default());
    match (difference.layer, difference.kind) {
        (Layer::Status, _) => format!("{v1}>{v2}"),
        (Layer::Body, Kind::TypeChanged) => format!("{}>{}", json_type(v1), json_type(v2)),
        _ => String::new(),
    }
}

/// The type of a value by the first byte of its text.
fn json_type(text: &str) -> &'static str {
    match text.bytes().next() {
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        Some(b'-' | b'0'..=b'9') => "number",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::Class;

    fn difference(layer: Layer, path: &str, kind: Kind, v1: &str, v2: &str) -> Difference {
        let class = Class::Unverified;
        Difference { layer, path: path.into(), kind, v1: Some(v1.into()), v2: Some(v2.into()), class }
    }

    #[test]
    fn paths_lose_indices_and_names_of_single_things() {
        for (layer, path, general) in [
            (Layer::Body, "$['a'][0]['b'][12]", "$['a'][*]['b'][*]"),
            (Layer::Body, "$['a[0]']", "$['a[0]']"),
            (Layer::Body, "$['it\\'s'][3]", "$['it\\'s'][*]"),
            (Layer::Body, "$['users']['42']", "$['users']['{number}']"),
            (Layer::Body, "$['123e4567-e89b-12d3-a456-426614174000']['n']", "$['{uuid}']['n']"),
            (Layer::Body, "line 17", "line *"),
            (Layer::Body, "$", "$"),
            (Layer::Body, "", ""),
            (Layer::Body, "$['cut", "$['cut"),
            (Layer::Body, "$[1", "$[*]"),
            (Layer::Body, "/html/body/p[2]/@class", "/html/body/p/@class"),
            (Layer::Body, "/html/script[3] $['a'][0]", "/html/script $['a'][*]"),
            (Layer::Body, "part[2] line 3", "part line *"),
            (Layer::Body, "part[file] $[7]", "part[file] $[*]"),
            (Layer::Body, "part[a[1]]", "part[a]"),
            (Layer::Header, "set-cookie[a]", "set-cookie[a]"),
        ] {
            assert_eq!(general_path(layer, path), general, "{path}");
        }
    }

    #[test]
    fn lines_and_texts_are_told_apart_by_their_words() {
        for (path, v1, v2, place) in [
            ("line 3", "price 5", "price 6", "line 'price {number}'"),
            ("line 9", "price 7.50", "price 9", "line 'price {number}'"),
            ("line 1", "at 2026-01-02T03:04:05Z ok", "at 2026-01-02T03:04:09Z ok", "line 'at {date} ok'"),
            ("line 2", "state: open", "state: shut", "line 'state: {…}'"),
            ("/html/body/p[2]/text()", "total (12)", "total (13)", "/html/body/p/text() 'total ({number})'"),
        ] {
            let d = difference(Layer::Body, path, Kind::ValueChanged, v1, v2);
            assert_eq!(general_place_of(&d), place);
        }
        let of = |v1: &str, v2: &str| {
            let d = difference(Layer::Body, "line 1", Kind::ValueChanged, v1, v2);
            Fingerprint::of(b"GET", b"api", "/x", &d)
        };
        assert_ne!(of("time 1", "time 2"), of("price 1", "price 2"));
        assert_eq!(of("time 1", "time 2"), of("time 3", "time 99"));
    }

    #[test]
    fn the_same_regression_has_one_fingerprint_and_others_have_others() {
        let of = |route: &str, d: &Difference| Fingerprint::of(b"GET", b"api", route, d);
        let a = difference(Layer::Body, "$['items'][3]['price']", Kind::ValueChanged, "1", "2");
        let b = difference(Layer::Body, "$['items'][9]['price']", Kind::ValueChanged, "5", "6");
        assert_eq!(of("/x", &a), of("/x", &b));
        assert_ne!(of("/x", &a), of("/y", &a));
        let (s500, s404) = (
            difference(Layer::Status, "", Kind::ValueChanged, "200", "500"),
            difference(Layer::Status, "", Kind::ValueChanged, "200", "404"),
        );
        assert_ne!(of("/x", &s500), of("/x", &s404));
        let (to_string, to_null) = (
            difference(Layer::Body, "$['a']", Kind::TypeChanged, "1", "\"x\""),
            difference(Layer::Body, "$['a']", Kind::TypeChanged, "1", "null"),
        );
        assert_ne!(of("/x", &to_string), of("/x", &to_null));
    }

    #[test]
    fn a_fingerprint_is_read_as_it_is_written() {
        let fingerprint = Fingerprint(0x00ab);
        assert_eq!(fingerprint.to_string(), "00000000000000ab");
        assert_eq!("00000000000000ab".parse::<Fingerprint>().unwrap(), fingerprint);
        assert!("+0000000000000ab".parse::<Fingerprint>().is_err());
        assert!("ab".parse::<Fingerprint>().is_err());
    }
}
