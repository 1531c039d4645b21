//! Which connections to v2 a replay keeps.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

/// Which connections to v2 there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Connections {
    /// One for each captured connection, kept and closed as that one was.
    #[default]
    Captured,
    /// So many at most for each destination, whichever request comes next. Requests of one captured connection still
    /// wait for each other.
    Pooled(NonZeroUsize),
}

/// The text says neither.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write `captured`, or `pooled:N` with a number of connections above zero, such as pooled:16")]
pub struct ConnectionsError;

/// Reads `captured`, or `pooled:N`.
impl FromStr for Connections {
    type Err = ConnectionsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("pooled:") {
            None if text == "captured" => Ok(Self::Captured),
            Some(count) => count.parse().map(Self::Pooled).map_err(|_| ConnectionsError),
            None => Err(ConnectionsError),
        }
    }
}

impl fmt::Display for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Captured => f.write_str("captured"),
            Self::Pooled(count) => write!(f, "pooled:{count}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_captured_or_so_many() {
        for text in ["captured", "pooled:1", "pooled:128"] {
            assert_eq!(text.parse::<Connections>().unwrap().to_string(), text);
        }
        for text in ["", "pooled", "pooled:", "pooled:0", "pooled:-1", "pooled:many", "Captured"] {
            assert_eq!(text.parse::<Connections>(), Err(ConnectionsError), "{text}");
        }
    }
}
