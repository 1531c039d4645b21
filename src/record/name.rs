//! What names a row among all rows of a run.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::put;
use crate::exchange::ExchangeId;
use crate::route::Role;

/// The exchange, and which reading of the capture it comes from: how reports name the request of a row.
/// Printed as the exchange's id; from the second reading on with its number behind a dot, as in
/// `0123456789abcdef.2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestName {
    /// The exchange.
    pub id: ExchangeId,
    /// How often the capture had been read before, in a run that reads it again and again.
    pub lap: u32,
}

/// What names a row: the request, its place among the rows of the request, the part that its destination plays,
/// and the destination. Printed as these words with blanks between them; from the second row on the request's name
/// has the place behind a plus sign, as in `0123456789abcdef+1 shadow v2`. The place tells apart what rules send to
/// one destination twice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RowName {
    /// The request.
    pub request: RequestName,
    /// The row's place among those of the request, from zero.
    pub copy: u32,
    /// The part that the destination plays.
    pub role: Role,
    /// The destination's name.
    pub destination: Arc<str>,
}

/// The same of a row that is at hand, for finding it among names.
#[derive(Clone, Copy, Debug, Hash)]
pub struct NameOfRow<'r> {
    pub(super) request: RequestName,
    pub(super) copy: u32,
    pub(super) role: Role,
    pub(super) destination: &'r str,
}

impl hashbrown::Equivalent<RowName> for NameOfRow<'_> {
    fn equivalent(&self, name: &RowName) -> bool {
        let RowName { request, copy, role, destination } = name;
        (self.request, self.copy, self.role, self.destination) == (*request, *copy, *role, destination)
    }
}

/// The text names no row.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no row: an exchange's id, a role and a destination")]
pub struct RowNameError(String);

impl RowName {
    /// A number that stands for the name in sets of millions of them.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let mut name = Vec::with_capacity(64);
        self.put(&mut name);
        xxh3_64(&name)
    }

    /// Puts it as it is printed.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        self.request.put(out);
        if self.copy > 0 {
            out.push(b'+');
            put::number(out, self.copy.into());
        }
        out.push(b' ');
        out.extend_from_slice(self.role.name().as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.destination.as_bytes());
    }
}

impl RequestName {
    /// Puts it as it is printed.
    pub(crate) fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&put::hexadecimal(self.id.0));
        if self.lap > 0 {
            out.push(b'.');
            put::number(out, u64::from(self.lap) + 1);
        }
    }
}

impl fmt::Display for RequestName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.lap {
            0 => self.id.fmt(f),
            lap => write!(f, "{}.{}", self.id, u64::from(lap) + 1),
        }
    }
}

impl FromStr for RequestName {
    type Err = RowNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || RowNameError(text.to_owned());
        let (id, reading) = text.split_once('.').unwrap_or((text, "1"));
        let lap = reading.parse::<u32>().ok().and_then(|reading| reading.checked_sub(1));
        Ok(Self { id: id.parse().map_err(|_| error())?, lap: lap.ok_or_else(error)? })
    }
}

impl fmt::Display for RowName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { request, copy, role, destination } = self;
        let place = if *copy == 0 { String::new() } else { format!("+{copy}") };
        write!(f, "{request}{place} {} {destination}", role.name())
    }
}

impl FromStr for RowName {
    type Err = RowNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || RowNameError(text.to_owned());
        let mut words = text.splitn(3, ' ');
        let mut word = || words.next().ok_or_else(error);
        let (request, role, destination) = (word()?, word()?, word()?);
        let role = Role::ALL.into_iter().find(|known| known.name() == role).ok_or_else(error)?;
        let (request, copy) = request.split_once('+').unwrap_or((request, "0"));
        let copy = copy.parse().map_err(|_| error())?;
        Ok(Self { request: request.parse()?, copy, role, destination: destination.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_was_written() {
        let id = ExchangeId(0x0123_4567_89ab_cdef);
        for (lap, copy, text) in [
            (0, 0, "0123456789abcdef canary the v2"),
            (1, 0, "0123456789abcdef.2 canary the v2"),
            (0, 1, "0123456789abcdef+1 canary the v2"),
            (2, 7, "0123456789abcdef.3+7 canary the v2"),
        ] {
            let request = RequestName { id, lap };
            let name = RowName { request, copy, role: Role::Canary, destination: "the v2".into() };
            let mut put = Vec::new();
            name.put(&mut put);
            assert_eq!(put, text.as_bytes());
            assert_eq!((name.to_string().as_str(), text.parse()), (text, Ok(name)));
        }
        for text in [
            "",
            "0123456789abcdef",
            "0123456789abcdef shadow",
            "x shadow v2",
            "0123456789abcdef x v2",
            "0123456789abcdef+ shadow v2",
            "0123456789abcdef+-1 shadow v2",
        ] {
            assert!(text.parse::<RowName>().is_err(), "{text}");
        }
        for text in ["0123456789abcdef.0", "0123456789abcdef.", "0123456789abcdef.-1"] {
            assert!(text.parse::<RequestName>().is_err(), "{text}");
        }
    }
}
