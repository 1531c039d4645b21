//! Groups requests that a person would call the same: method and path, with what varies left open.
//!
//! A rules file names few routes, and `--to` none; a report that lists `/users/1`, `/users/2`, ... as
//! many is of no use. So a path segment that looks like an identifier becomes a placeholder.

use crate::http::RequestHead;
use crate::http::head::absolute_authority;

/// Segments that are kept of a path; what follows becomes `...`.
const SEGMENTS: usize = 12;
/// Characters that are kept of a segment.
const SEGMENT_CHARS: usize = 48;

/// The route of a request as the reports name it: `GET /users/{id}/orders`.
#[must_use]
pub fn route_of(head: &RequestHead) -> String {
    let target = head.target();
    let path = match absolute_authority(target) {
        Some(authority) => behind(target, authority),
        None => target,
    };
    let path = path.split(|b| b"?#".contains(b)).next().unwrap_or_default();
    let mut route = shown(head.method());
    route.push(' ');
    for (n, segment) in path.split(|&b| b == b'/').enumerate() {
        if n > SEGMENTS {
            route.push_str("/...");
            break;
        }
        if n > 0 {
            route.push('/');
        }
        route.push_str(&placeholder(segment).map_or_else(|| shown(segment), str::to_owned));
    }
    if path.is_empty() {
        route.push('/');
    }
    route
}

/// What follows `authority` in the target that it is a part of.
fn behind<'t>(target: &'t [u8], authority: &[u8]) -> &'t [u8] {
    let scheme = memchr::memmem::find(target, b"://").map_or(0, |at| at + 3);
    target.get(scheme + authority.len()..).unwrap_or_default()
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(SEGMENT_CHARS).collect()
}

/// The placeholder for a segment that is an identifier rather than a name.
fn placeholder(segment: &[u8]) -> Option<&'static str> {
    let digits = segment.iter().filter(|b| b.is_ascii_digit()).count();
    let hex = segment.iter().all(|b| b.is_ascii_hexdigit() || *b == b'-');
    match segment.len() {
        0 => None,
        len if digits == len => Some("{id}"),
        36 if hex && segment.iter().filter(|b| **b == b'-').count() == 4 => Some("{uuid}"),
        len if len >= 8 && hex && digits > 0 => Some("{hex}"),
        len if len >= 20
            && digits >= 3
            && segment.iter().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(b)) =>
        {
            Some("{token}")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::samples;

    #[test]
    fn identifiers_become_placeholders_and_names_stay() {
        for (line, route) in [
            ("GET /users/17/orders?x=/1", "GET /users/{id}/orders"),
            ("DELETE /u/123e4567-e89b-12d3-a456-426614174000", "DELETE /u/{uuid}"),
            ("GET /blob/deadbeef01", "GET /blob/{hex}"),
            ("GET /deadbeef/facade", "GET /deadbeef/facade"),
            ("GET /v1/base64/SFRUUEJJTiBpcyBhd2Vzb21l", "GET /v1/base64/{token}"),
            ("GET /t/a1b2c3d4e5f6g7h8i9j0k", "GET /t/{token}"),
            ("GET http://h:80/a/2#f", "GET /a/{id}"),
            ("GET http://h?q", "GET /"),
            ("OPTIONS *", "OPTIONS *"),
            ("GET /", "GET /"),
        ] {
            let row = samples::row(
                &format!("{line} HTTP/1.1\r\n\r\n"),
                "HTTP/1.1 200 OK\r\n\r\n",
                "HTTP/1.1 200 OK\r\n\r\n",
            );
            assert_eq!(route_of(&row.exchange.request.head), route);
        }
    }

    #[test]
    fn long_paths_are_cut() {
        let line = format!("GET {} HTTP/1.1\r\n\r\n", "/a".repeat(100));
        let row = samples::row(&line, "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n");
        assert_eq!(route_of(&row.exchange.request.head), format!("GET {}/...", "/a".repeat(12)));
    }
}
