//! SOCKS handshakes: how many bytes of each direction they take, so that what follows can be read.

/// The handshake that is going on: the first bytes of both directions, until it is over.
#[derive(Debug)]
pub(super) struct Handshake {
    version: u8,
    client: Vec<u8>,
    server: Vec<u8>,
}

/// More than any handshake needs: names, user and password have at most 255 bytes each.
const LONGEST: usize = 2048;

/// Where a handshake stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// More is to come.
    Going,
    /// It is over, and takes so many bytes of the client's and of the server's.
    Over(usize, usize),
    /// It is none.
    Broken,
}

impl Handshake {
    pub(super) fn new(version: u8) -> Self {
        Self { version, client: Vec::new(), server: Vec::new() }
    }

    /// The next bytes of the client, or of the server.
    pub(super) fn push(&mut self, from_client: bool, bytes: &[u8]) -> Progress {
        let side = if from_client { &mut self.client } else { &mut self.server };
        side.extend_from_slice(bytes);
        let (client, server) = match self.version {
            4 => (client4(&self.client), server4(&self.server)),
            _ => (client5(&self.client, self.server.get(1).copied()), server5(&self.server)),
        };
        match (client, server) {
            (Some(client), Some(server)) => Progress::Over(client, server),
            _ if self.client.len() > LONGEST || self.server.len() > LONGEST => Progress::Broken,
            _ => Progress::Going,
        }
    }

    /// How many bytes it has taken.
    pub(super) fn len(&self) -> usize {
        self.client.len() + self.server.len()
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        self.client.capacity() + self.server.capacity()
    }

    /// What came of the client and of the server beyond the handshake's bytes.
    pub(super) fn rest(&self, client: usize, server: usize) -> (Vec<u8>, Vec<u8>) {
        let rest = |side: &[u8], from| side.get(from..).unwrap_or_default().to_vec();
        (rest(&self.client, client), rest(&self.server, server))
    }
}

/// Version, command, port, address, user ended by NUL; a name too where the address is 0.0.0.x.
fn client4(bytes: &[u8]) -> Option<usize> {
    let user = 8 + bytes.get(8..)?.iter().position(|&b| b == 0)? + 1;
    match bytes.get(4..8)? {
        [0, 0, 0, 1..=255] => Some(user + bytes.get(user..)?.iter().position(|&b| b == 0)? + 1),
        _ => Some(user),
    }
}

fn server4(bytes: &[u8]) -> Option<usize> {
    (bytes.len() >= 8).then_some(8)
}

/// Greeting, user and password where the server chose that (RFC 1929), request (RFC 1928).
fn client5(bytes: &[u8], chosen: Option<u8>) -> Option<usize> {
    let mut at = 2 + usize::from(*bytes.get(1)?);
    if chosen? == 2 {
        at += 2 + usize::from(*bytes.get(at + 1)?);
        at += 1 + usize::from(*bytes.get(at)?);
    }
    address5(bytes, at)
}

fn server5(bytes: &[u8]) -> Option<usize> {
    let at = if *bytes.get(1)? == 2 { 4 } else { 2 };
    address5(bytes, at)
}

/// Where a message that begins at `at` with three bytes and an address ends.
fn address5(bytes: &[u8], at: usize) -> Option<usize> {
    let length = match bytes.get(at + 3)? {
        1 => 4,
        3 => 1 + usize::from(*bytes.get(at + 4)?),
        4 => 16,
        _ => return None,
    };
    Some(at + 4 + length + 2).filter(|&end| end <= bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(version: u8, turns: &[(bool, &[u8])]) -> Vec<Progress> {
        let mut handshake = Handshake::new(version);
        turns.iter().map(|&(from_client, bytes)| handshake.push(from_client, bytes)).collect()
    }

    #[test]
    fn version_5_ends_with_the_servers_reply() {
        let turns: [(bool, &[u8]); 4] = [
            (true, b"\x05\x01\x00"),
            (false, b"\x05\x00"),
            (true, b"\x05\x01\x00\x03\x01a\x00\x50"),
            (false, b"\x05\x00\x00\x01\x7f\0\0\x01\x00\x50"),
        ];
        let over = Progress::Over(11, 12);
        assert_eq!(run(5, &turns), [Progress::Going, Progress::Going, Progress::Going, over]);
    }

    #[test]
    fn version_5_may_ask_for_a_password() {
        let turns: [(bool, &[u8]); 6] = [
            (true, b"\x05\x02\x00\x02"),
            (false, b"\x05\x02"),
            (true, b"\x01\x02me\x02pw"),
            (false, b"\x01\x00"),
            (true, b"\x05\x01\x00\x01\x7f\0\0\x01\x00\x50"),
            (false, b"\x05\x00\x00\x01\x7f\0\0\x01\x00\x50"),
        ];
        assert_eq!(run(5, &turns).last(), Some(&Progress::Over(4 + 7 + 10, 2 + 2 + 10)));
    }

    #[test]
    fn version_4_may_carry_a_name() {
        let plain: [(bool, &[u8]); 2] =
            [(true, b"\x04\x01\x00\x50\x7f\0\0\x01me\0"), (false, b"\0\x5a\0\0\0\0\0\0")];
        assert_eq!(run(4, &plain).last(), Some(&Progress::Over(11, 8)));
        let named: [(bool, &[u8]); 2] =
            [(true, b"\x04\x01\x00\x50\0\0\0\x01\0a.example\0"), (false, b"\0\x5a\0\0\0\0\0\0")];
        assert_eq!(run(4, &named).last(), Some(&Progress::Over(19, 8)));
    }

    #[test]
    fn what_never_ends_is_no_handshake() {
        assert_eq!(run(5, &[(true, &[5; 4000])]), [Progress::Broken]);
    }
}
