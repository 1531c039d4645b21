//! Route templates: requests for the same thing with other names in it.
//!
//! A segment of a path that can only be a name of one thing (a number, a UUID, a long digest or
//! token) becomes a placeholder; words stay. This looks at one target at a time.

use std::cell::RefCell;

use xxhash_rust::xxh3::xxh3_64;

use super::excerpt::truncate;

/// The template of a request target: the path with `{number}`, `{uuid}`, `{hex}`, `{token}`, `{date}`
/// in place of such segments, without authority and query. At most 256 characters.
#[must_use]
pub fn template(target: &[u8]) -> String {
    let mut template = String::new();
    push_template(&mut template, target);
    template
}

/// Puts the [`template`] of a request target behind a text.
pub(crate) fn push_template(out: &mut String, target: &[u8]) {
    let path = path_of(target);
    if path.len() > LONGEST_KNOWN {
        return push_path(out, path);
    }
    if LAST.with_borrow(|last| last.push_if_like(out, path)) {
        return;
    }
    let place = usize::try_from(xxh3_64(path) % PLACES as u64).unwrap_or(0);
    KNOWN.with_borrow_mut(|known| {
        if known.is_empty() {
            known.resize_with(PLACES, Default::default);
        }
        let Some((last, template)) = known.get_mut(place) else { return push_path(out, path) };
        if last != path {
            last.clear();
            last.extend_from_slice(path);
            template.clear();
            push_path(template, path);
            LAST.with_borrow_mut(|last| last.keep(path, template));
        }
        out.push_str(template);
    });
}

/// The path of which the template was made last: the next one mostly has other digits in it, in what is left open.
struct Last {
    path: Vec<u8>,
    /// Where what is left open begins at the earliest: digits before it are a part of the template.
    open: usize,
    template: String,
}

impl Last {
    /// Puts the template behind a text, if the path has the same.
    fn push_if_like(&self, out: &mut String, path: &[u8]) -> bool {
        let (Some((fixed, open)), Some((known, others))) =
            (path.split_at_checked(self.open), self.path.split_at_checked(self.open))
        else {
            return false;
        };
        // What a segment can be depends on which of its bytes are digits, and not on what digits they are.
        let same = |(a, b): (&u8, &u8)| (a == b) | (a.is_ascii_digit() & b.is_ascii_digit());
        let is_like = open.len() == others.len()
            && !path.is_empty()
            && fixed == known
            && open.iter().zip(others).fold(true, |all, pair| all & same(pair));
        if is_like {
            out.push_str(&self.template);
        }
        is_like
    }

    /// Takes the place of another.
    fn keep(&mut self, path: &[u8], template: &str) {
        path.clone_into(&mut self.path);
        template.clone_into(&mut self.template);
        self.open = 0;
        // A template that was cut may end in a part of a segment.
        if template.len() >= MAX_BYTES || !path.is_ascii() {
            self.open = path.len();
            return;
        }
        let mut end = 0;
        for (segment, part) in path.split(|&b| b == b'/').zip(template.split('/')) {
            end += segment.len();
            if part.bytes().any(|b| b.is_ascii_digit()) {
                self.open = end;
            }
            end += 1;
        }
    }
}

/// Paths that are remembered: of one row the template is asked for again and again, to learn, to count and to show, and
/// many requests have one path.
const PLACES: usize = 2048;
/// Bytes of the longest path that is.
const LONGEST_KNOWN: usize = 256;

thread_local! {
    /// Paths and their templates, each in its place by its digest.
    static KNOWN: RefCell<Vec<(Vec<u8>, String)>> = const { RefCell::new(Vec::new()) };
    static LAST: RefCell<Last> = const { RefCell::new(Last { path: Vec::new(), open: 0, template: String::new() }) };
}

fn push_path(out: &mut String, path: &[u8]) {
    let start = out.len();
    // What is not UTF-8 is replaced segment by segment as in the whole.
    let path = String::from_utf8_lossy(path);
    let mut rest = &*path;
    loop {
        let end = memchr::memchr(b'/', rest.as_bytes()).unwrap_or(rest.len());
        push_segment(out, &rest[..end]);
        if out.len() - start > MAX_BYTES || end == rest.len() {
            break;
        }
        out.push('/');
        rest = &rest[end + 1..];
    }
    if out.len() - start > MAX_BYTES {
        truncate(out, start + MAX_BYTES);
        out.push('…');
    }
}

const MAX_BYTES: usize = 256;

/// The path of a target in origin or absolute form (RFC 9112, section 3.2), without query and fragment.
pub(super) fn path_of(target: &[u8]) -> &[u8] {
    let path = match crate::http::head::absolute_authority(target) {
        // Behind `scheme://` and the authority.
        Some(authority) => {
            let scheme = memchr::memmem::find(target, b"://").unwrap_or(0);
            target.get(scheme + 3 + authority.len()..).unwrap_or_default()
        }
        None => target,
    };
    let end = memchr::memchr2(b'?', b'#', path).unwrap_or(path.len());
    match &path[..end] {
        [] => b"/",
        path => path,
    }
}

/// A segment, or the placeholder for it; an extension of a name stays (`17.jpg`).
pub(super) fn segment(segment: &str) -> String {
    let mut out = String::with_capacity(segment.len());
    push_segment(&mut out, segment);
    out
}

fn push_segment(out: &mut String, segment: &str) {
    let (mut any, mut all) = (false, true);
    for b in segment.bytes() {
        let is_digit = b.is_ascii_digit();
        (any, all) = (any | is_digit, all & is_digit);
    }
    // A word: only what has a digit can be a name of one thing.
    if !any {
        return out.push_str(segment);
    }
    if all {
        return out.push_str("{number}");
    }
    let bytes = segment.as_bytes();
    let dot = bytes.iter().rposition(|b| *b == b'.').filter(|&at| at > 0 && is_extension(&bytes[at + 1..]));
    let (stem, extension) = segment.split_at(dot.unwrap_or(segment.len()));
    match placeholder(stem.as_bytes()) {
        Some(name) => {
            out.push('{');
            out.push_str(name);
            out.push('}');
            out.push_str(extension);
        }
        None => out.push_str(segment),
    }
}

fn is_extension(text: &[u8]) -> bool {
    (1..=5).contains(&text.len())
        && text[0].is_ascii_alphabetic()
        && text.iter().all(u8::is_ascii_alphanumeric)
}

/// What a segment can only be.
fn placeholder(text: &[u8]) -> Option<&'static str> {
    let digits = text.iter().filter(|b| b.is_ascii_digit()).count();
    let signed = text.strip_prefix(b"-").unwrap_or(text);
    if digits == 0 {
        None
    } else if signed.iter().all(u8::is_ascii_digit) {
        Some("number")
    } else if is_pattern(text, &[8, 4, 4, 4, 12], u8::is_ascii_hexdigit) {
        Some("uuid")
    } else if is_pattern(text, &[4, 2, 2], u8::is_ascii_digit) {
        Some("date")
    } else if text.len() >= 16 && text.iter().all(u8::is_ascii_hexdigit) {
        Some("hex")
    } else if is_token(text, digits) {
        Some("token")
    } else {
        None
    }
}

/// Groups of these lengths, joined by hyphens.
fn is_pattern(text: &[u8], groups: &[usize], class: impl Fn(&u8) -> bool) -> bool {
    let mut parts = text.split(|&b| b == b'-');
    groups.iter().all(|&len| parts.next().is_some_and(|p| p.len() == len && p.iter().all(&class)))
        && parts.next().is_none()
}

/// Letters and digits mixed as no word has them: long, of the base64url alphabet, and either with both
/// cases within or with a fifth of digits.
fn is_token(text: &[u8], digits: usize) -> bool {
    let long = text.len() >= 20;
    let alphabet = text.iter().all(|b| b.is_ascii_alphanumeric() || b"-_=.~".contains(b));
    let words = text.split(|b| b"-_.".contains(b)).filter(|w| w.iter().all(u8::is_ascii_lowercase)).count();
    let both_cases = text.iter().any(u8::is_ascii_lowercase) && text.iter().any(u8::is_ascii_uppercase);
    long && alphabet && words < 3 && (both_cases || digits * 5 >= text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_thing_become_placeholders_and_words_stay() {
        for (target, expected) in [
            ("/", "/"),
            ("/users/42", "/users/{number}"),
            ("/users/42/orders/-7?page=2", "/users/{number}/orders/{number}"),
            ("/v1/items", "/v1/items"),
            ("/a/123e4567-e89b-12d3-a456-426614174000", "/a/{uuid}"),
            ("/blob/d41d8cd98f00b204e9800998ecf8427e", "/blob/{hex}"),
            ("/deadbeef", "/deadbeef"),
            ("/on/2024-05-01/x", "/on/{date}/x"),
            ("/t/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/t/{token}"),
            ("/t/dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "/t/{token}"),
            ("/posts/the-10-best-ways-to-cook-an-egg", "/posts/the-10-best-ways-to-cook-an-egg"),
            ("/img/17.jpg", "/img/{number}.jpg"),
            ("/1.5", "/1.5"),
            ("http://h:80/users/42?x", "/users/{number}"),
            ("http://h", "/"),
            ("*", "*"),
            ("//a//1/", "//a//{number}/"),
        ] {
            assert_eq!(template(target.as_bytes()), expected, "{target}");
        }
    }

    proptest::proptest! {
        /// One behind the other, with other digits in the same places.
        #[test]
        fn a_template_does_not_depend_on_the_path_before(
            path in "(/(api|v1|[0-9]{1,4}|a[0-9]\\.jpg|[0-9]{3}\\.mp[0-9]|\\{[0-9a-z]{1,3}\\}|[0-9a-f]{16}|-[0-9]|[0-9]{4}-[0-9]{2}-[0-9]{2}|[A-Z][0-9a-z]{20}|é[0-9])){0,5}",
            digits in proptest::collection::vec(("[0-9]{1,40}", 0_usize..8), 1..6),
        ) {
            for (digits, letters) in digits {
                let mut others = digits.bytes().cycle();
                let mut left = letters * 4;
                let other = |b: u8| {
                    left = left.saturating_sub(1);
                    if b.is_ascii_digit() && left == 0 { others.next().unwrap_or(b) } else { b }
                };
                let path: Vec<u8> = path.bytes().map(other).collect();
                let (mut expected, path) = (String::new(), if path.is_empty() { b"/".to_vec() } else { path });
                push_path(&mut expected, &path);
                proptest::prop_assert_eq!(template(&path), expected);
            }
        }
    }

    #[test]
    fn a_hostile_target_gives_a_bounded_template() {
        let target = ["/".repeat(70_000), "é".repeat(70_000)].concat();
        assert!(template(target.as_bytes()).len() <= 256 + 3);
        assert!(template(&target.as_bytes()[70_001..]).len() <= 256 + 3);
    }
}
