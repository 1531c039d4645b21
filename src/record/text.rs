//! Bytes in JSON: as text where they are UTF-8, else in base64, and never ambiguous.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::put;

/// Bytes that are written as `{"text": "..."}` where they are UTF-8, else as `{"base64": "..."}`
/// (RFC 4648, section 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(pub Bytes);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Form<'a> {
    Text(#[serde(borrow)] Cow<'a, str>),
    Base64(#[serde(borrow)] Cow<'a, str>),
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => Form::Text(Cow::Borrowed(text)),
            Err(_) => Form::Base64(Cow::Owned(STANDARD.encode(&self.0))),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Form::deserialize(deserializer)? {
            Form::Text(text) => Bytes::from(text.into_owned()),
            Form::Base64(code) => Bytes::from(STANDARD.decode(code.as_bytes()).map_err(D::Error::custom)?),
        }))
    }
}

/// Puts bytes in the form of [`Text`].
pub(super) fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        out.extend_from_slice(b"{\"text\":");
        put::string(out, text);
    } else {
        out.extend_from_slice(b"{\"base64\":");
        put::string(out, &STANDARD.encode(bytes));
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_text_when_they_can_be() {
        for (bytes, json) in [
            (&b"a\"\r\n"[..], r#"{"text":"a\"\r\n"}"#),
            (b"", r#"{"text":""}"#),
            ("\u{fffd}".as_bytes(), "{\"text\":\"\u{fffd}\"}"),
            // RFC 4648, section 10: BASE64("foobar") = "Zm9vYmFy"; 0xff makes it no UTF-8.
            (b"\xfffoobar", r#"{"base64":"/2Zvb2Jhcg=="}"#),
        ] {
            let text = Text(Bytes::from_static(bytes));
            assert_eq!(serde_json::to_string(&text).unwrap(), json);
            assert_eq!(serde_json::from_str::<Text>(json).unwrap(), text);
        }
    }
}
