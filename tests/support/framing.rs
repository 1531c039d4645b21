//! Where a request ends, as a plain server sees it. Not the program's own parser: the tests check that one.

/// The length of the complete request that `bytes` begin with (RFC 9112, section 6.3, for requests).
pub fn request_length(bytes: &[u8]) -> Option<usize> {
    let head_end = find(bytes, b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..head_end]).to_ascii_lowercase();
    let field = |name: &str| {
        head.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim).map(str::to_owned))
    };
    let body = &bytes[head_end..];
    let body_length = if field("transfer-encoding").is_some_and(|coding| coding.ends_with("chunked")) {
        chunked_length(body)?
    } else {
        field("content-length").and_then(|length| length.parse().ok()).unwrap_or(0)
    };
    (body.len() >= body_length).then_some(head_end + body_length)
}

/// The length of a complete chunked body (section 7.1), trailers included.
fn chunked_length(body: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let line_end = at + find(&body[at..], b"\r\n")?;
        let line = std::str::from_utf8(&body[at..line_end]).ok()?;
        let size = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
        at = line_end + 2;
        if size == 0 {
            break;
        }
        at = at.checked_add(size)?.checked_add(2)?;
        if at > body.len() {
            return None;
        }
    }
    loop {
        let line = find(&body[at..], b"\r\n")?;
        at += line + 2;
        if line == 0 {
            return Some(at);
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
