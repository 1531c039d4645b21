//! Which methods are sent.

use std::fmt;
use std::str::FromStr;

/// The methods whose requests are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Methods {
    /// Every method, as a mesh mirrors them.
    #[default]
    All,
    /// Those that ask for no change: see [`is_safe`].
    Safe,
    /// These alone; their case matters (RFC 9110, section 9.1).
    These(Vec<String>),
}

/// The text names no methods.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no methods: write all, safe, or a list such as GET,POST")]
pub struct MethodsError(String);

/// Whether a request with this method asks for no change of state at the server (RFC 9110, section
/// 9.2.1).
#[must_use]
pub fn is_safe(method: &[u8]) -> bool {
    [&b"GET"[..], b"HEAD", b"OPTIONS", b"TRACE"].contains(&method)
}

impl Methods {
    /// Whether requests with this method are sent.
    #[must_use]
    pub fn admit(&self, method: &[u8]) -> bool {
        match self {
            Self::All => true,
            Self::Safe => is_safe(method),
            Self::These(names) => names.iter().any(|name| name.as_bytes() == method),
        }
    }
}

impl FromStr for Methods {
    type Err = MethodsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "all" => return Ok(Self::All),
            "safe" => return Ok(Self::Safe),
            _ => {}
        }
        let names: Vec<_> = text.split(',').map(|name| name.trim().to_owned()).collect();
        // Methods in use are upper case, and case matters: lower case is a slip that would match nothing.
        let right = |name: &String| {
            let token = |b: u8| {
                b.is_ascii_graphic() && !b.is_ascii_lowercase() && !b"(),/:;<=>?@[\\]{}\"".contains(&b)
            };
            !name.is_empty() && name.bytes().all(token)
        };
        if names.iter().all(right) { Ok(Self::These(names)) } else { Err(MethodsError(text.to_owned())) }
    }
}

/// As it is read.
impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Safe => f.write_str("safe"),
            Self::These(names) => f.write_str(&names.join(",")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_all_the_safe_ones_or_a_list() {
        let asked = [&b"GET"[..], b"HEAD", b"OPTIONS", b"TRACE", b"POST", b"PUT", b"DELETE", b"get"];
        for (text, admitted) in [("all", 8), ("safe", 4), ("GET", 1), ("GET,POST", 2), ("PURGE", 0)] {
            let methods: Methods = text.parse().unwrap();
            assert_eq!(asked.iter().filter(|method| methods.admit(method)).count(), admitted, "{text}");
            assert_eq!(methods.to_string(), text);
        }
    }

    #[test]
    fn what_names_no_method_is_refused() {
        for text in ["", "get", "GET,,POST", "GET POST", "GET/", ","] {
            assert!(text.parse::<Methods>().is_err(), "{text}");
        }
    }
}
