//! A request as a line for a shell: what was sent, once more, by curl.
//!
//! Every word from the wire stands in single quotes, in which a POSIX shell sees nothing but text; bytes
//! that a terminal would act on or that are no UTF-8 come from `printf` as octal digits. The request is
//! that of the recording, so its secrets are redacted and have to be put in again by hand.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::http::{RequestHead, Version, h1};
use crate::record::Row;

/// Longer bodies are not put on a line.
const MOST_BODY: usize = 8 * 1024;
/// Longer heads are not either.
const MOST_HEAD: usize = 16 * 1024;
/// Fields that curl makes by itself from what it is given.
const MADE_BY_CURL: [&str; 1] = ["content-length"];

/// The line, or why there is none.
pub(super) fn line(row: &Row, base: &str) -> Result<String, &'static str> {
    let captured = &row.exchange.request.head;
    let parsed = row.sent_head.as_ref().and_then(|head| h1::parse_head::<RequestHead>(head.clone()));
    let head = parsed.as_ref().unwrap_or(captured);
    let body = row.exchange.request.body.entity.as_deref();
    if head.raw().len() > MOST_HEAD {
        return Err("the head is too long for a line");
    }
    let Some(body) = body else { return Err("the body was not kept") };
    if body.len() > MOST_BODY {
        return Err("the body is too long for a line");
    }
    if head.method().is_empty() || !head.method().iter().all(|&b| is_token(b)) {
        return Err("curl cannot send such a method");
    }
    if head.raw().contains(&0) {
        return Err("no command line can hold its NUL byte");
    }
    let mut ends = memchr::memchr_iter(b'\n', head.raw());
    if ends.any(|end| matches!(head.raw().get(end + 1), Some(b' ' | b'\t'))) {
        return Err("curl cannot send a folded field");
    }
    // A line that begins with a colon names nothing: the next one counts.
    let spaced = |line: &[u8]| {
        let colon = line.get(1..).and_then(|line| memchr::memchr(b':', line));
        colon.and_then(|before| line.get(before)).is_some_and(u8::is_ascii_whitespace)
    };
    if head.raw().split(|&b| b == b'\n').skip(1).any(spaced) {
        return Err("curl cannot send a space before a colon");
    }
    if head.headers.all("host").count() > 1 {
        return Err("curl sends one Host alone");
    }
    // Of several targets, which runs that were put together may have, the first.
    let base = base.split(", ").next().unwrap_or_default();
    Ok(Line { head, body, base }.text())
}

struct Line<'r> {
    head: &'r RequestHead,
    body: &'r [u8],
    base: &'r str,
}

impl Line<'_> {
    /// Whether curl has to be given a body. An empty one, too, where the request says that there is one: with a
    /// Transfer-Encoding and no body, curl would never send the last chunk.
    fn has_body(&self) -> bool {
        let says = |name| self.head.headers.get(name).is_some();
        !self.body.is_empty() || says("content-length") || says("transfer-encoding")
    }

    fn text(&self) -> String {
        let version = if self.head.version == Version::Http10 { "--http1.0" } else { "--http1.1" };
        // -q first: the reader's own ~/.curlrc must not add to what was sent.
        let mut out = format!("curl -q -sS -i {version}");
        let has_body = self.has_body();
        match self.head.method() {
            b"GET" if !has_body => {}
            b"HEAD" if !has_body => out.push_str(" --head"),
            method => Self::option(&mut out, "-X", method),
        }
        let url = self.url(&mut out);
        self.fields(&mut out);
        let printable = std::str::from_utf8(self.body).is_ok_and(is_pasted_as_it_is);
        match (has_body, printable) {
            (false, _) => {}
            // --data-raw takes a leading @ for itself and no file's name.
            (true, true) => Self::option(&mut out, "--data-raw", self.body),
            (true, false) => {
                out.push_str(" --data-binary @-");
                // A text that begins with a hyphen would be an option of printf's.
                out = format!("printf '{}' | {out}", octal(self.body).replacen('-', "\\055", 1));
            }
        }
        out.push(' ');
        out.push_str(&url);
        out
    }

    fn option(out: &mut String, name: &str, value: &[u8]) {
        // Writing to a string does not fail.
        let _ = write!(out, " {name} {}", quoted(value));
    }

    /// The URL; a target that curl would read otherwise than as it stands is given apart.
    fn url(&self, out: &mut String) -> String {
        let target = self.head.target();
        let plain = |b: &u8| b.is_ascii_alphanumeric() || b"/._~?&=%:,;@!$()*+-'".contains(b);
        if target.first() == Some(&b'/') && target.iter().all(plain) {
            out.push_str(" --path-as-is -g");
            return quoted(format!("{}{}", self.base, String::from_utf8_lossy(target)).as_bytes());
        }
        Self::option(out, "--request-target", target);
        quoted(format!("{}/", self.base).as_bytes())
    }

    fn fields(&self, out: &mut String) {
        let headers = &self.head.headers;
        for (name, value) in headers.iter() {
            let made = MADE_BY_CURL.iter().any(|made| name.eq_ignore_ascii_case(made.as_bytes()));
            // A name that is no token could be an option of curl's own, as `@file` is.
            if made || name.is_empty() || !name.iter().all(|&b| is_token(b)) {
                continue;
            }
            let empty = value.is_empty();
            let field = [name, if empty { &b";"[..] } else { b": " }, value].concat();
            Self::option(out, "-H", &field);
        }
        let own = ["User-Agent", "Accept"].into_iter();
        let of_body = ["Content-Type", "Expect"].into_iter().filter(|_| self.has_body());
        for name in own.chain(of_body).chain(["Host"]) {
            if headers.get(name).is_none() {
                let _ = write!(out, " -H '{name}:'");
            }
        }
    }
}

/// Whether a byte may stand in a token (RFC 9110, section 5.6.2).
fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

/// A word of a POSIX shell (Shell Command Language, section 2.2.2) that stands for these bytes, which do not
/// end with a line's end.
pub(super) fn quoted(word: &[u8]) -> String {
    let text = std::str::from_utf8(word).ok().filter(|text| is_pasted_as_it_is(text));
    match text {
        Some(text) => format!("'{}'", text.replace('\'', r"'\''")),
        None => format!("\"$(printf '{}')\"", octal(word)),
    }
}

/// Whether nothing in the text acts on a terminal or hides from a reader.
fn is_pasted_as_it_is(text: &str) -> bool {
    // A runner of a pipeline finds its commands in whatever is printed.
    matches!((super::visible(text), super::without_commands(text)), (Cow::Borrowed(_), Cow::Borrowed(_)))
}

/// The bytes as `printf` of POSIX reads them: octal digits, plain letters as themselves.
fn octal(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for &b in bytes {
        if b.is_ascii_alphanumeric() || b" ./:=&?_,{}[]\"+-".contains(&b) {
            out.push(char::from(b));
        } else {
            let _ = write!(out, "\\{b:03o}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::samples;

    #[test]
    fn a_word_is_what_a_shell_makes_of_it() {
        for word in [
            &b"plain"[..],
            b"it's $HOME `id` $(id) \\ \"x\" !! ~ * #",
            b"''' -n",
            b"",
            "\u{fc} \u{202e} \u{1b}[31m".as_bytes(),
            b"\xff\xfe\x01%s\\n%%",
            b"a\tb",
        ] {
            for shell in ["sh", "bash"] {
                let script = format!("printf '%s' {}", quoted(word));
                let output = std::process::Command::new(shell).args(["-c", &script]).output().unwrap();
                assert_eq!(output.stdout, word, "{shell}: {script}");
                assert!(output.stderr.is_empty(), "{output:?}");
            }
        }
    }

    #[test]
    fn what_curl_would_take_for_its_own_is_not_given_to_it() {
        let answer = "HTTP/1.1 200 OK\r\n\r\n";
        let row =
            samples::row("GET //a/../b?x={1}#f HTTP/1.1\r\nHost: h\r\nX-Empty:\r\n\r\n", answer, answer);
        let line = line(&row, "http://127.0.0.1:9").unwrap();
        assert_eq!(
            line,
            "curl -q -sS -i --http1.1 --request-target '//a/../b?x={1}#f' -H 'Host: h' -H 'X-Empty;' \
             -H 'User-Agent:' -H 'Accept:' 'http://127.0.0.1:9/'"
        );
    }
}
