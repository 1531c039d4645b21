//! Content codings undone, as far as a body can be compared.

use std::borrow::Cow;

use crate::http::Headers;

/// Why a body's content coding could not be undone.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Undecoded {
    /// The bytes are not what the message says they are.
    Malformed(String),
    /// The coding is not known, or the content goes beyond the limits; nothing is said about the bytes.
    OutOfReach(String),
}

impl std::fmt::Display for Undecoded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Malformed(why) | Self::OutOfReach(why)) = self;
        f.write_str(why)
    }
}

/// The content of an entity (RFC 9110, section 8.4). No bytes are no content in any coding, as in the
/// answer to HEAD.
pub(super) fn decode<'b>(headers: &Headers, entity: &'b [u8]) -> Result<Cow<'b, [u8]>, Undecoded> {
    match headers.all("content-encoding").find(|value| !value.eq_ignore_ascii_case(b"identity")) {
        Some(coding) if !entity.is_empty() => {
            Err(Undecoded::OutOfReach(format!("unknown content coding {}", String::from_utf8_lossy(coding))))
        }
        _ => Ok(Cow::Borrowed(entity)),
    }
}
