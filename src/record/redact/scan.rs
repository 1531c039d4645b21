//! Finding secrets in bytes: where in a text, a JSON document or a field value they lie.
//!
//! The finders are lenient on purpose. A body that breaks its grammar half-way still has its secrets
//! found, since what goes unfound would be written to disk. Each runs once over the bytes.

use std::borrow::Cow;
use std::ops::Range;

use super::names::Names;

/// Calls `found` with the span of each value of `name=value` whose name is a secret's, as in queries,
/// forms and cookies, wherever in a text they stand.
pub(super) fn pairs(text: &[u8], names: &Names, mut found: impl FnMut(Range<usize>)) {
    let mut floor = 0;
    for equals in memchr::memchr_iter(b'=', text) {
        if equals < floor {
            continue;
        }
        let before = text.get(floor..equals).unwrap_or_default();
        let name_len = before.iter().rev().take(129).take_while(|b| is_name_byte(**b)).count();
        let name = before.get(before.len() - name_len..).unwrap_or_default();
        let after = text.get(equals + 1..).unwrap_or_default();
        if names.is_secret(&plainly(name)) {
            let quote = usize::from(after.first() == Some(&b'"'));
            let value = after.get(quote..).unwrap_or_default();
            let len = match quote {
                0 => value.iter().take_while(|b| !ends_value(**b)).count(),
                _ => memchr::memchr3(b'"', b'\r', b'\n', value).unwrap_or(value.len()),
            };
            let start = equals + 1 + quote;
            floor = start + len;
            if len > 0 {
                found(start..floor);
            }
        }
    }
}

/// The lines of a text with their ends.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        let (line, after) = rest.split_at(end);
        rest = after;
        (!line.is_empty()).then_some(line)
    })
}

const fn is_name_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'[' | b']' | b'%')
}

const fn ends_value(b: u8) -> bool {
    b.is_ascii_whitespace()
        || matches!(b, b'&' | b';' | b'"' | b'\'' | b'<' | b'>' | b'#' | b'\\' | b',' | b'`')
}

/// The same with `%xx` resolved, where there is any.
fn plainly(name: &[u8]) -> Cow<'_, [u8]> {
    match memchr::memchr(b'%', name) {
        Some(_) => Cow::Owned(percent_decoded(name)),
        None => Cow::Borrowed(name),
    }
}

/// With `%xx` resolved (RFC 3986, section 2.1) where two hexadecimal digits follow.
pub(super) fn percent_decoded(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name;
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = code.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    out
}

/// Calls `found` with the span of each userinfo of a URL (RFC 3986, section 3.2.1), without the `@`.
pub(super) fn userinfo(text: &[u8], mut found: impl FnMut(Range<usize>)) {
    for at in memchr::memmem::find_iter(text, b"://") {
        let start = at + 3;
        let rest = text.get(start..).unwrap_or_default();
        let ends = |b: &u8| b.is_ascii_whitespace() || b"/?#\"'<>\\".contains(b);
        let authority = rest.iter().take(1024).take_while(|b| !ends(b)).count();
        if let Some(len) = rest.get(..authority).and_then(|a| memchr::memrchr(b'@', a)).filter(|&len| len > 0)
        {
            found(start..start + len);
        }
    }
}

/// Calls `found` with the span of each value of a cookie list `a=1; b=2` (RFC 6265, section 4.2.1).
/// Of a Set-Cookie field, `first_only` is the cookie and what follows are its attributes.
pub(super) fn cookies(value: &[u8], first_only: bool, mut found: impl FnMut(Range<usize>)) {
    let mut start = 0;
    for part in value.split(|&b| b == b';').take(if first_only { 1 } else { usize::MAX }) {
        // A part without a name is all value.
        let from = memchr::memchr(b'=', part).map_or(0, |equals| equals + 1);
        let blank = |b: &&u8| b.is_ascii_whitespace();
        let bytes = part.get(from..).unwrap_or_default();
        let lead = if from == 0 { bytes.iter().take_while(blank).count() } else { 0 };
        let trail = bytes.iter().rev().take_while(blank).count();
        if lead + trail < bytes.len() {
            found(start + from + lead..start + part.len() - trail);
        }
        start += part.len() + 1;
    }
}

/// How many bytes the scheme of credentials takes, its space included (RFC 9110, section 11.4): it is no
/// secret, and worth seeing.
pub(super) fn scheme_len(credentials: &[u8]) -> usize {
    const SCHEMES: [&[u8]; 6] = [b"bearer ", b"basic ", b"digest ", b"token ", b"negotiate ", b"apikey "];
    let begins = |scheme: &&&[u8]| {
        credentials.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    SCHEMES.iter().find(begins).map_or(0, |scheme| scheme.len()).min(credentials.len().saturating_sub(1))
}

/// Calls `found` with the span of each field of a multipart form whose name is a secret's (RFC 7578).
pub(super) fn multipart(text: &[u8], names: &Names, mut found: impl FnMut(Range<usize>)) {
    let mut floor = 0;
    for at in memchr::memmem::find_iter(text, b" name=\"") {
        let start = at + b" name=\"".len();
        let rest = text.get(start.max(floor)..).unwrap_or_default();
        let name_len = rest.iter().take(129).take_while(|b| !b"\"\r\n".contains(b)).count();
        let head = rest.get(..rest.len().min(1024)).unwrap_or_default();
        let blank = memchr::memmem::find(head, b"\r\n\r\n");
        let (true, Some(blank)) =
            (start >= floor && names.is_secret(head.get(..name_len).unwrap_or_default()), blank)
        else {
            continue;
        };
        let from = start + blank + 4;
        let value = text.get(from..).unwrap_or_default();
        floor = from + memchr::memmem::find(value, b"\r\n--").unwrap_or(value.len());
        if floor > from {
            found(from..floor);
        }
    }
}

/// Calls `found` with the span of each JSON Web Token (RFC 7519).
pub(super) fn tokens(text: &[u8], mut found: impl FnMut(Range<usize>)) {
    let mut floor = 0;
    for at in memchr::memmem::find_iter(text, b"eyJ") {
        if at < floor {
            continue;
        }
        floor = credentials_end(text, at);
        let dots = memchr::memchr_iter(b'.', text.get(at..floor).unwrap_or_default()).count();
        if dots >= 2 && floor - at >= 24 {
            found(at..floor);
        }
    }
}

/// Calls `found` with the span of the credentials behind each `Bearer` or `Basic`.
pub(super) fn schemes(text: &[u8], mut found: impl FnMut(Range<usize>)) {
    for scheme in [&b"Bearer "[..], b"bearer ", b"Basic "] {
        // A word of its own: `GET /bearer HTTP/1.1` holds no credentials.
        let begins = |at: &usize| {
            let before = at.checked_sub(1).and_then(|before| text.get(before));
            before.is_none_or(|b| b.is_ascii_whitespace() || b"\"':=,;>([{".contains(b))
        };
        for at in memchr::memmem::find_iter(text, scheme).filter(begins) {
            let start = at + scheme.len();
            let end = credentials_end(text, start);
            if end - start >= 8 {
                found(start..end);
            }
        }
    }
}

/// Where the characters end that credentials are made of (RFC 9110, section 11.2).
fn credentials_end(text: &[u8], from: usize) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    from + rest.iter().take_while(|b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(b)).count()
}

/// Calls `found` with the span of what each marker of a private key begins (RFC 7468, section 10 and 11; RFC 9580,
/// section 6.2), be it written in a form (`+` or `%20` for a space). It ends before the marker of its end; within
/// JSON not later than its string does, and without that marker where no line of a key goes on.
pub(super) fn private_keys(text: &[u8], json: bool, mut found: impl FnMut(Range<usize>)) {
    let mut floor = 0;
    for at in memchr::memmem::find_iter(text, BEGIN) {
        let label = at + BEGIN.len();
        let rest = text.get(label..text.len().min(label + LONGEST_LABEL)).unwrap_or_default();
        let Some(len) = memchr::memmem::find(rest, b"-----").filter(|_| at >= floor) else { continue };
        if !is_private_key(rest.get(..len).unwrap_or_default()) {
            continue;
        }
        let start = label + len + b"-----".len();
        let rest = text.get(start..).unwrap_or_default();
        let end = memchr::memmem::find(rest, b"-----END");
        let quote = (json || end.is_none()).then(|| closing_quote(rest)).flatten();
        let open = end.is_none().then(|| memchr::memchr3(b'&', b'<', b'\'', rest)).flatten();
        floor = start + [end, quote, open].into_iter().flatten().min().unwrap_or(rest.len());
        if floor > start {
            found(start..floor);
        }
    }
}

/// How the marker of a key begins.
const BEGIN: &[u8] = b"-----BEGIN";
/// Bytes within which a marker ends; labels in use have less.
const LONGEST_LABEL: usize = 64;

/// Whether a label, with what stands before it for a space, is that of a private key.
fn is_private_key(label: &[u8]) -> bool {
    let plain: Vec<u8> = percent_decoded(label).iter().map(|&b| if b == b'+' { b' ' } else { b }).collect();
    plain.ends_with(b" PRIVATE KEY") || plain == b" PGP PRIVATE KEY BLOCK"
}

/// Where a string ends that has begun before: at a quote that no backslash escapes.
fn closing_quote(text: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'"', text).find(|&at| {
        let slashes = text.get(..at).unwrap_or_default().iter().rev().take_while(|b| **b == b'\\').count();
        slashes.is_multiple_of(2)
    })
}

/// A scalar in a JSON text that a secret's name announces.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct JsonSecret {
    /// The scalar as written, quotes included.
    pub(super) span: Range<usize>,
    /// Whether it is a string.
    pub(super) string: bool,
}

/// Whether bytes begin as a JSON object or array does.
pub(super) fn looks_like_json(bytes: &[u8]) -> bool {
    bytes.iter().find(|b| !b.is_ascii_whitespace()).is_some_and(|b| b"{[".contains(b))
}

/// Calls `found` with each string and number beneath a member whose name is a secret's. `null`, `true`,
/// `false` and the empty string are no secrets, and worth seeing in a report.
pub(super) fn json(text: &[u8], names: &Names, mut found: impl FnMut(JsonSecret)) {
    let mut scan = JsonScan { names, stack: vec![Level { object: false, secret: false }], pending: false };
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let end = token_end(text, at);
        scan.token(text, byte, at..end, &mut found);
        at = end;
    }
}

struct Level {
    object: bool,
    secret: bool,
}

/// Invariant: `stack` is never empty; `pending` says that the name before the next value is a secret's.
struct JsonScan<'n> {
    names: &'n Names,
    stack: Vec<Level>,
    pending: bool,
}

/// Levels of nesting that are told apart; deeper ones count as the deepest.
const MAX_DEPTH: usize = 4096;

impl JsonScan<'_> {
    fn token(&mut self, text: &[u8], byte: u8, span: Range<usize>, found: &mut impl FnMut(JsonSecret)) {
        let inherited = self.stack.last().is_some_and(|level| level.secret);
        match byte {
            b'{' | b'[' => {
                if self.stack.len() < MAX_DEPTH {
                    self.stack.push(Level { object: byte == b'{', secret: inherited || self.pending });
                }
                self.pending = false;
            }
            b'}' | b']' => {
                if self.stack.len() > 1 {
                    self.stack.pop();
                }
                self.pending = false;
            }
            b',' => self.pending = false,
            b'"' => self.string(text, span, inherited, found),
            b'0'..=b'9' | b'-' if inherited || self.pending => found(JsonSecret { span, string: false }),
            _ => {}
        }
    }

    fn string(
        &mut self,
        text: &[u8],
        span: Range<usize>,
        inherited: bool,
        found: &mut impl FnMut(JsonSecret),
    ) {
        if self.stack.last().is_some_and(|level| level.object) && colon_follows(text, span.end) {
            self.pending = self.names.is_secret(&unescaped(text.get(span).unwrap_or_default()));
        } else if (inherited || self.pending) && span.len() > 2 {
            found(JsonSecret { span, string: true });
        }
    }
}

fn colon_follows(text: &[u8], at: usize) -> bool {
    text.get(at..).unwrap_or_default().iter().find(|b| !b.is_ascii_whitespace()) == Some(&b':')
}

/// A member's name without quotes; escapes such as `\u0070` are resolved where they can be.
fn unescaped(quoted: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', quoted).is_some()
        && let Ok(name) = serde_json::from_slice::<String>(quoted)
    {
        return Cow::Owned(name.into_bytes());
    }
    Cow::Borrowed(quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default())
}

/// Where the token that begins at `at` ends: a string behind its quote, a number behind its digits,
/// anything else after one byte.
fn token_end(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let len = match rest.first() {
        Some(b'"') => {
            let mut from = 1;
            loop {
                match rest.get(from..).and_then(|r| memchr::memchr2(b'"', b'\\', r)) {
                    Some(n) if rest.get(from + n) == Some(&b'\\') => from += n + 2,
                    Some(n) => break from + n + 1,
                    None => break rest.len(),
                }
            }
        }
        Some(b'-' | b'0'..=b'9') => {
            rest.iter().take_while(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b)).count()
        }
        _ => 1,
    };
    at + len
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
    fn secrets_among_parameters() {
        for (text, expected) in [
            ("/get?token=abc&x=1&api_key=d%20e#f", &["abc", "d%20e"][..]),
            ("password=p&user[password]=q&user%5Bpassword%5D=r", &["p", "q", "r"]),
            ("access%5ftoken=zz", &["zz"]),
            ("<a href=\"http://h/?sig=s1\">x=y</a>", &["s1"]),
            ("Digest response=\"r\", token=\"t u\"", &["t u"]),
            ("tokens=1&token_count=2&token=", &[]),
            ("token==a=b&c=d", &["=a=b"]),
        ] {
            assert_eq!(spans(text, |t, f| pairs(t, &Names::default(), f)), expected, "{text}");
        }
    }

    #[test]
    fn userinfo_ends_at_the_last_at_sign_of_the_authority() {
        for (text, expected) in [
            ("http://u:p@h/x", &["u:p"][..]),
            ("see https://a@b@c/ and ftp://k@l", &["a@b", "k"]),
            ("http://h/@x", &[]),
            ("http://@h/", &[]),
        ] {
            assert_eq!(spans(text, |t, f| userinfo(t, f)), expected, "{text}");
        }
    }

    #[test]
    fn cookies_keep_their_names_and_attributes() {
        assert_eq!(spans("a=1; b=\"2\" ;c; d=", |t, f| cookies(t, false, f)), ["1", "\"2\"", "c"]);
        assert_eq!(spans("id=x=y; Path=/; HttpOnly", |t, f| cookies(t, true, f)), ["x=y"]);
    }

    #[test]
    fn fields_of_multipart_forms() {
        let form = "--b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nhunter2\r\n--b\r\n\
                    Content-Disposition: form-data; name=\"note\"\r\n\r\nx\r\n--b--\r\n";
        assert_eq!(spans(form, |t, f| multipart(t, &Names::default(), f)), ["hunter2"]);
        assert_eq!(spans(&form[..60], |t, f| multipart(t, &Names::default(), f)), ["hunt"]);
    }

    #[test]
    fn secrets_known_by_their_form() {
        let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";
        for (text, expected) in [
            (format!("a {jwt}, b"), vec![jwt]),
            ("x Bearer abcdefgh12 y".to_owned(), vec!["abcdefgh12"]),
            ("eyJ is short; Bearer up".to_owned(), vec![]),
            ("-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----".to_owned(), vec!["\nMII\n"]),
            (
                "k=-----BEGIN+RSA+PRIVATE+KEY-----%0AMII%0A-----END+RSA+PRIVATE+KEY-----%0A&price=12"
                    .to_owned(),
                vec!["%0AMII%0A"],
            ),
            ("-----BEGIN%20EC%20PRIVATE%20KEY-----%0AMII&price=12".to_owned(), vec!["%0AMII"]),
            (
                "-----BEGIN PGP PRIVATE KEY BLOCK-----\nlQ\n-----END PGP PRIVATE KEY BLOCK-----\nprice"
                    .to_owned(),
                vec!["\nlQ\n"],
            ),
            (
                "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\nA PRIVATE KEY-----x".to_owned(),
                vec![],
            ),
        ] {
            let forms = |t: &[u8], f: &mut dyn FnMut(Range<usize>)| {
                tokens(t, &mut *f);
                schemes(t, &mut *f);
                private_keys(t, false, f);
            };
            assert_eq!(spans(&text, forms), expected, "{text}");
        }
    }

    #[test]
    fn secrets_in_json() {
        for (text, expected) in [
            (r#"{"token": "a", "x": "b"}"#, &[r#""a""#][..]),
            (r#"{"password":12.5e3,"n":1}"#, &["12.5e3"]),
            (r#"{"cookies":{"a":"1","b":["2",{"c":3}]},"d":"4"}"#, &["\"1\"", "\"2\"", "3"]),
            (r#"{"token":null,"secret":"","jwt":true}"#, &[]),
            (r#"[{"a":["token"]},{"api\u005fkey":"k\"k"}]"#, &[r#""k\"k""#]),
            (r#"{"token" : "cut off"#, &["\"cut off"]),
            (r#"}}]{"token":"odd"}"#, &["\"odd\""]),
            (r#"["token","x"]"#, &[]),
        ] {
            let found = spans(text, |t, f| json(t, &Names::default(), |secret| f(secret.span)));
            assert_eq!(found, expected, "{text}");
        }
    }
}
