//! The PROXY protocol (version 1 and 2, sections 2.1 and 2.2): a load balancer puts a preface before what the
//! client says, which names the client. How many bytes it takes, so that what follows can be read.

/// What the first bytes say of a preface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Preface {
    /// There is one, of so many bytes.
    Whole(usize),
    /// More bytes will tell.
    Perhaps,
    /// There is none.
    None,
}

/// The signature of version 2.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// What version 1 begins with, by the families that it knows.
const LINES: [&[u8]; 3] = [b"PROXY TCP4 ", b"PROXY TCP6 ", b"PROXY UNKNOWN"];
/// The longest line of version 1, its end included.
const LONGEST_LINE: usize = 107;

/// Tells by the first bytes of a client.
pub(super) fn preface(bytes: &[u8]) -> Preface {
    if bytes.starts_with(SIGNATURE) {
        return binary(bytes);
    }
    if LINES.iter().any(|line| bytes.starts_with(line)) {
        return text(bytes);
    }
    let begins = |whole: &[u8]| !bytes.is_empty() && whole.starts_with(bytes);
    if begins(SIGNATURE) || LINES.iter().any(|line| begins(line)) { Preface::Perhaps } else { Preface::None }
}

/// Version and command, family, and the length of the rest in two bytes.
fn binary(bytes: &[u8]) -> Preface {
    let Some(&[command, _, high, low]) = bytes.get(SIGNATURE.len()..SIGNATURE.len() + 4) else {
        return Preface::Perhaps;
    };
    let length = SIGNATURE.len() + 4 + usize::from(u16::from_be_bytes([high, low]));
    match command {
        0x20 | 0x21 if bytes.len() >= length => Preface::Whole(length),
        0x20 | 0x21 => Preface::Perhaps,
        _ => Preface::None,
    }
}

fn text(bytes: &[u8]) -> Preface {
    let line = bytes.get(..LONGEST_LINE).unwrap_or(bytes);
    match memchr::memchr(b'\n', line) {
        Some(lf) if line.get(..lf).is_some_and(|line| line.ends_with(b"\r")) => Preface::Whole(lf + 1),
        None if bytes.len() < LONGEST_LINE => Preface::Perhaps,
        Some(_) | None => Preface::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_told_by_their_first_bytes() {
        // The examples of the specification, and what is like them.
        let long = [&b"PROXY UNKNOWN "[..], &[b'f'; 100]].concat();
        for (bytes, expected) in [
            (&b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\nGET / HTTP/1.1\r\n"[..], Preface::Whole(47)),
            (b"PROXY UNKNOWN\r\n", Preface::Whole(15)),
            (b"PROXY TCP6 ", Preface::Perhaps),
            (b"PROX", Preface::Perhaps),
            (b"PROXY / HTTP/1.1\r\n", Preface::None),
            (b"PROXY TCP4 1.1.1.1\n", Preface::None),
            (&long, Preface::None),
            (b"\r\n\r\n\0\r\nQUIT\n\x20\x00\0\0GET", Preface::Whole(16)),
            (
                b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x01\x02\x03\x04\x05\x06\x07\x08\0\x01\0\x02G",
                Preface::Whole(28),
            ),
            (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x01", Preface::Perhaps),
            (b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0", Preface::None),
            (b"\r\n\r\n", Preface::Perhaps),
            (b"\r\n\r\nGET", Preface::None),
            (b"GET / HTTP/1.1\r\n", Preface::None),
        ] {
            assert_eq!(preface(bytes), expected, "{}", bytes.escape_ascii());
        }
    }
}
