//! Bodies in content codings (RFC 9110, section 8.4), opened for redaction and closed again.

use std::io::Write as _;

use bytes::Bytes;

use crate::http::coding::{self, Limits};
use crate::http::{Body, Headers};

/// The entity without its content codings; `None` where it was not kept or cannot be decoded.
pub(crate) fn decoded(headers: &Headers, body: &Body) -> Option<Bytes> {
    let entity = body.entity.as_ref()?;
    match coding::decode(entity, headers.all("content-encoding"), Limits::default()) {
        Ok(Some(text)) => Some(Bytes::from(text)),
        Ok(None) => Some(entity.clone()),
        Err(_) => None,
    }
}

/// Text in the content codings that the head names, in their order; `None` where that fails.
pub(super) fn encoded(headers: &Headers, text: Bytes) -> Option<Bytes> {
    let mut body = text;
    for name in headers.all("content-encoding").flat_map(|value| value.split(|&b| b == b',')) {
        body = match name.trim_ascii().to_ascii_lowercase().as_slice() {
            b"" | b"identity" => continue,
            b"gzip" | b"x-gzip" => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(&body).ok()?;
                encoder.finish().ok()?
            }
            b"deflate" => {
                let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(&body).ok()?;
                encoder.finish().ok()?
            }
            b"br" => stored_brotli(&body),
            b"zstd" => zstd::bulk::compress(&body, 1).ok()?,
            _ => return None,
        }
        .into();
    }
    Some(body)
}

/// A Brotli stream of uncompressed meta-blocks (RFC 7932, section 9.2): valid, and no smaller than the
/// text, for want of an encoder that is worth its weight here.
fn stored_brotli(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 20_000 + 8);
    // The stream's header is the one bit 0: a window of 64 KiB. It shares a byte with the first block.
    let mut header_bits = 1;
    for block in text.chunks(1 << 16) {
        let len = u32::try_from(block.len() - 1).unwrap_or(0xffff);
        // From the low bit: ISLAST 0, MNIBBLES 00 (four), MLEN - 1 in sixteen bits, ISUNCOMPRESSED 1.
        let bits = (len << 3 | 1 << 19) << header_bits;
        out.extend_from_slice(bits.to_le_bytes().get(..3).unwrap_or_default());
        out.extend_from_slice(block);
        header_bits = 0;
    }
    // ISLAST 1, ISLASTEMPTY 1; of no text at all, behind the header.
    out.push(0b11 << header_bits);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::ResponseHead;
    use crate::http::h1::parse_head;
    use crate::record::samples::body_of;

    #[test]
    fn what_is_coded_again_decodes_to_the_text() {
        for value in ["gzip", "x-gzip", "deflate", "br", "zstd", "gzip, br", "identity", "deflate,zstd"] {
            for len in [0, 1, 300, 65_535, 65_536, 65_537, 200_000] {
                let raw = format!("HTTP/1.1 200 OK\r\nContent-Encoding: {value}\r\n\r\n");
                let head: ResponseHead = parse_head(Bytes::from(raw)).unwrap();
                let text: Vec<u8> = (0..len).map(|n| b"secret text "[n % 12]).collect();
                let coded = encoded(&head.headers, Bytes::from(text.clone())).unwrap();
                let back = decoded(&head.headers, &body_of(&coded)).unwrap();
                assert!(back == text, "{value} {len}");
            }
        }
    }
}
