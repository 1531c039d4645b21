//! Formats that are lists of names and values, transcribed as JSON: server-sent events and form fields.
//!
//! They are then compared as JSON is: by name, with arrays aligned, and with the JSON that a value holds looked
//! into.

use std::borrow::Cow;

/// The events of a stream (HTML, section 9.2.6) as an array of objects. Comments and empty events are
/// left out, as they are for a browser; so is an event that the stream ends in.
pub(super) fn events(text: &[u8]) -> Vec<u8> {
    let mut out = vec![b'['];
    let mut event = Event::default();
    let mut rest = text;
    while let Some((line, tail)) = next_line(rest) {
        rest = tail;
        if line.is_empty() {
            std::mem::take(&mut event).write(&mut out);
        } else {
            event.field(line);
        }
    }
    out.push(b']');
    out
}

#[derive(Default)]
struct Event {
    name: Vec<u8>,
    id: Option<Vec<u8>>,
    retry: Option<Vec<u8>>,
    data: Option<Vec<u8>>,
}

impl Event {
    fn field(&mut self, line: &[u8]) {
        let colon = memchr::memchr(b':', line).unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &line[..colon] {
            b"event" => self.name = value.to_vec(),
            b"id" if !value.contains(&0) => self.id = Some(value.to_vec()),
            b"retry" if value.iter().all(u8::is_ascii_digit) => self.retry = Some(value.to_vec()),
            b"data" => match &mut self.data {
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
                None => self.data = Some(value.to_vec()),
            },
            _ => {}
        }
    }

    /// What a browser acts on: an event with data, or a field that holds for the stream.
    fn write(self, out: &mut Vec<u8>) {
        let name =
            self.data.is_some().then(|| if self.name.is_empty() { b"message".to_vec() } else { self.name });
        let text = |value: Option<Vec<u8>>| value.map(|value| quoted(&value));
        let members = [
            ("event", text(name)),
            ("id", text(self.id)),
            ("retry", text(self.retry)),
            ("data", self.data.map(data)),
        ];
        if members.iter().all(|(_, value)| value.is_none()) {
            return;
        }
        out.extend_from_slice(if out.len() > 1 { b",{" } else { b"{" });
        let mut first = true;
        for (name, value) in members.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            out.extend_from_slice(&quoted(name.as_bytes()));
            out.push(b':');
            out.extend_from_slice(&value);
        }
        out.push(b'}');
    }
}

/// Data as JSON, which it mostly is, or as a string.
fn data(data: Vec<u8>) -> Vec<u8> {
    if super::media::looks_like_json(&data) && super::json::is_document(&data) { data } else { quoted(&data) }
}

/// A line and what follows it; lines end in CRLF, LF or CR. The last line counts only where it has an end.
fn next_line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr2(b'\r', b'\n', text)?;
    let rest = &text[end + 1..];
    let rest = if text[end] == b'\r' { rest.strip_prefix(b"\n").unwrap_or(rest) } else { rest };
    Some((&text[..end], rest))
}

/// The fields of a form (WHATWG URL, section 5.1) as an object; a name may be there several times.
pub(super) fn form(text: &[u8]) -> Vec<u8> {
    let decode = |part: &[u8]| {
        let spaced: Vec<u8> = part.iter().map(|&b| if b == b'+' { b' ' } else { b }).collect();
        quoted(&percent_decoded(&spaced))
    };
    let fields = text.split(|&b| b == b'&').filter(|field| !field.is_empty()).map(|field| {
        let at = memchr::memchr(b'=', field).unwrap_or(field.len());
        [decode(&field[..at]), decode(field.get(at + 1..).unwrap_or_default())].join(&b':')
    });
    [&b"{"[..], &fields.collect::<Vec<_>>().join(&b','), b"}"].concat()
}

fn percent_decoded(text: &[u8]) -> Cow<'_, [u8]> {
    percent_encoding::percent_decode(text).into()
}

/// A JSON string with these bytes, which need not be UTF-8.
fn quoted(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 2);
    out.push(b'"');
    for &b in bytes {
        match b {
            b'"' | b'\\' => out.extend([b'\\', b]),
            b'\n' => out.extend(b"\\n"),
            0x00..=0x1F => out.extend(format!("\\u{b:04x}").into_bytes()),
            _ => out.push(b),
        }
    }
    out.push(b'"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the HTML standard, section 9.2.6.
    #[test]
    fn events_are_those_that_a_browser_would_raise() {
        for (stream, expected) in [
            ("data: YHOO\ndata: +2\ndata: 10\n\n", r#"[{"event":"message","data":"YHOO\n+2\n10"}]"#),
            (
                ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
                r#"[{"event":"message","id":"1","data":"first event"},{"event":"message","id":"","data":"second event"},{"event":"message","data":" third event"}]"#,
            ),
            (
                "data\n\ndata\ndata\n\ndata:",
                r#"[{"event":"message","data":""},{"event":"message","data":"\n"}]"#,
            ),
            (
                "data:test\n\ndata: test\r\n\r\n",
                r#"[{"event":"message","data":"test"},{"event":"message","data":"test"}]"#,
            ),
            (
                "event: add\rdata: {\"a\":1}\r\rretry: 5\n\n",
                r#"[{"event":"add","data":{"a":1}},{"retry":"5"}]"#,
            ),
        ] {
            assert_eq!(String::from_utf8_lossy(&events(stream.as_bytes())), expected, "{stream}");
        }
    }

    #[test]
    fn fields_of_a_form_are_decoded() {
        for (text, expected) in [
            ("a=1&b=%C3%A9+x&a=2", r#"{"a":"1","b":"é x","a":"2"}"#),
            ("a&&=b%3D", r#"{"a":"","":"b="}"#),
            ("q=%22%0a%zz", r#"{"q":"\"\n%zz"}"#),
            ("", "{}"),
        ] {
            assert_eq!(String::from_utf8_lossy(&form(text.as_bytes())), expected, "{text}");
        }
    }
}
