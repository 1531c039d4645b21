//! Content codings undone (RFC 9110, section 8.4), within limits.
//!
//! Captured bodies can be hostile: a kilobyte of gzip can stand for a gigabyte of zeros. Decoding
//! stops at a size, and at a ratio, and says so.

use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

/// How far decoding goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes after decoding.
    pub size: usize,
    /// Bytes after decoding for each byte before, once there is more than a mebibyte of them.
    pub ratio: usize,
    /// Codings on top of each other.
    pub layers: usize,
}

impl Default for Limits {
    /// 64 MiB, 1000, 4.
    fn default() -> Self {
        Self { size: 64 << 20, ratio: 1000, layers: 4 }
    }
}

/// Below so many bytes no ratio is too high.
const SMALL: usize = 1 << 20;

/// Why a body could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodingError {
    /// The field names a coding that is not known here.
    #[error("the content coding `{0}` is not known")]
    Unknown(String),
    /// The bytes are not what the coding says, or end too early.
    #[error("the body is no valid {coding}: {reason}")]
    Invalid {
        /// The coding.
        coding: &'static str,
        /// What its decoder says.
        reason: String,
    },
    /// It would grow beyond the size.
    #[error("the {coding} body is larger than {limit} bytes when decoded")]
    TooLarge {
        /// The coding.
        coding: &'static str,
        /// The size.
        limit: usize,
    },
    /// It would grow beyond the ratio.
    #[error("the {coding} body is more than {limit} times as large when decoded")]
    TooDense {
        /// The coding.
        coding: &'static str,
        /// The ratio.
        limit: usize,
    },
    /// The fields name more codings than anybody stacks.
    #[error("the body has more than {0} content codings")]
    TooManyLayers(usize),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Coding {
    /// The coding of that name in the registry; identity is none.
    fn named(name: &[u8]) -> Result<Option<Self>, CodingError> {
        Ok(Some(match name.to_ascii_lowercase().as_slice() {
            b"" | b"identity" => return Ok(None),
            b"gzip" | b"x-gzip" => Self::Gzip,
            b"deflate" => Self::Deflate,
            b"br" => Self::Brotli,
            b"zstd" => Self::Zstd,
            _ => return Err(CodingError::Unknown(String::from_utf8_lossy(name).into_owned())),
        }))
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }
}

/// Undoes the codings that the Content-Encoding fields' `values` name, the last one first. `None`
/// where they name none, so that the body is `entity` itself.
pub fn decode<'v>(
    entity: &[u8],
    values: impl IntoIterator<Item = &'v [u8]>,
    limits: Limits,
) -> Result<Option<Vec<u8>>, CodingError> {
    let mut codings = Vec::new();
    for name in values.into_iter().flat_map(|value| value.split(|&b| b == b',')) {
        codings.extend(Coding::named(name.trim_ascii())?);
        if codings.len() > limits.layers {
            return Err(CodingError::TooManyLayers(limits.layers));
        }
    }
    let mut decoded = None;
    for coding in codings.into_iter().rev() {
        let bytes = decoded.as_deref().unwrap_or(entity);
        let room = limits.size.min(entity.len().saturating_mul(limits.ratio).max(SMALL));
        decoded = Some(undo(coding, bytes, room).map_err(|error| describe(&error, coding, room, limits))?);
    }
    Ok(decoded)
}

enum Failure {
    Full,
    Invalid(String),
}

fn describe(failure: &Failure, coding: Coding, room: usize, limits: Limits) -> CodingError {
    let coding = coding.name();
    match failure {
        Failure::Invalid(reason) => CodingError::Invalid { coding, reason: reason.clone() },
        Failure::Full if room < limits.size => CodingError::TooDense { coding, limit: limits.ratio },
        Failure::Full => CodingError::TooLarge { coding, limit: limits.size },
    }
}

/// Undoes one coding. An empty body stands for an empty one in every coding: answers to HEAD, and
/// servers that name a coding for nothing, have it.
fn undo(coding: Coding, bytes: &[u8], room: usize) -> Result<Vec<u8>, Failure> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    match coding {
        Coding::Gzip => read(MultiGzDecoder::new(bytes), room),
        Coding::Deflate => inflate(bytes, room),
        Coding::Brotli => read(brotli_decompressor::Decompressor::new(bytes, 4096), room),
        Coding::Zstd => {
            let decoder = zstd::Decoder::new(bytes).map_err(|error| Failure::Invalid(error.to_string()))?;
            read(decoder, room)
        }
    }
}

/// `deflate` means zlib's format (RFC 9110, section 8.4.1.2); some senders leave out its wrapping.
fn inflate(bytes: &[u8], room: usize) -> Result<Vec<u8>, Failure> {
    match read(ZlibDecoder::new(bytes), room) {
        Err(Failure::Invalid(wrapped)) => match read(DeflateDecoder::new(bytes), room) {
            Err(Failure::Invalid(_)) => Err(Failure::Invalid(wrapped)),
            other => other,
        },
        other => other,
    }
}

fn read(decoder: impl Read, room: usize) -> Result<Vec<u8>, Failure> {
    let mut decoded = Vec::new();
    let limit = u64::try_from(room).unwrap_or(u64::MAX).saturating_add(1);
    match decoder.take(limit).read_to_end(&mut decoded) {
        Err(error) => Err(Failure::Invalid(error.to_string())),
        Ok(_) if decoded.len() > room => Err(Failure::Full),
        Ok(_) => Ok(decoded),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn raw_deflate(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn all(entity: &[u8], field: &str) -> Result<Option<Vec<u8>>, CodingError> {
        decode(entity, [field.as_bytes()], Limits::default())
    }

    #[test]
    fn every_registered_coding_is_undone() {
        let text = b"the same again and again and again and again".repeat(50);
        let members = [gzip(&text[..700]), gzip(&text[700..])].concat();
        // "hello" in one uncompressed metablock (RFC 7932, section 9.2).
        let brotli = b"\x0b\x02\x80hello\x03";
        let zstd = zstd::encode_all(&text[..], 3).unwrap();
        for (entity, field, expected) in [
            (gzip(&text), "gzip", &text[..]),
            (gzip(&text), "X-GZIP", &text),
            (members, "gzip", &text),
            (zlib(&text), "deflate", &text),
            (raw_deflate(&text), "deflate", &text),
            (brotli.to_vec(), "br", b"hello"),
            (zstd, "zstd", &text),
            (gzip(&zlib(&text)), "deflate, identity , gzip", &text),
            (Vec::new(), "gzip", b""),
        ] {
            assert_eq!(all(&entity, field), Ok(Some(expected.to_vec())), "{field}");
        }
        assert_eq!(all(&text, "identity"), Ok(None));
        assert_eq!(decode(&text, [], Limits::default()), Ok(None));
    }

    #[test]
    fn what_cannot_be_decoded_says_why() {
        let zeros = gzip(&vec![0; 2 << 20]);
        let dense = Limits { ratio: 10, ..Limits::default() };
        let small = Limits { size: 1 << 20, ..Limits::default() };
        let short = gzip(b"cut short");
        let gzip = || [&b"gzip"[..]];
        assert!(matches!(decode(&zeros, gzip(), dense), Err(CodingError::TooDense { limit: 10, .. })));
        assert!(matches!(decode(&zeros, gzip(), small), Err(CodingError::TooLarge { .. })));
        assert_eq!(all(b"x", "exi"), Err(CodingError::Unknown("exi".into())));
        assert_eq!(all(b"x", "br,br,br,br,br"), Err(CodingError::TooManyLayers(4)));
        for (entity, field) in [
            (&short[..short.len() - 9], "gzip"),
            (b"not gzip at all", "gzip"),
            (b"\xff\xff\xff\xff", "deflate"),
            (b"no brotli either", "br"),
            (b"nor zstd", "zstd"),
        ] {
            assert!(matches!(all(entity, field), Err(CodingError::Invalid { .. })), "{field}");
        }
    }
}
