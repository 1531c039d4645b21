//! What becomes of the credentials that a captured request carries.
//!
//! Credentials here are the header fields that authenticate a client to a server or a proxy. What stands
//! in targets and bodies is sent as captured.

use crate::route::Field;

/// What is done with the credentials of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Credentials {
    /// They are sent as captured.
    #[default]
    Pass,
    /// They are left out.
    Strip,
    /// Where a request has one of these fields it is sent with this value; other credentials are left
    /// out. A request without credentials gets none.
    Replace(Vec<Field>),
}

/// The file says nothing that could be meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// A line is no header field.
    #[error("line {line}: {problem}")]
    Line {
        /// Which, counted from 1.
        line: usize,
        /// What is wrong. The line itself may be a secret and is not shown.
        problem: &'static str,
    },
    /// There is no field in it.
    #[error("it names no header field; write lines such as `Authorization: Bearer ...`")]
    Empty,
}

/// Fields that authenticate (RFC 9110, sections 11.6.2 and 11.7.2; RFC 6265, section 5.4), and those that
/// do so by custom.
const NAMES: [&str; 9] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "cookie2",
    "x-api-key",
    "x-auth-token",
    "x-access-token",
    "x-csrf-token",
    "x-amz-security-token",
];

impl Credentials {
    /// Reads the file of `--credentials replace=FILE`: a header field on each line; empty lines and those
    /// that begin with `#` are passed over.
    ///
    /// # Errors
    /// When a line is no field, or there is none.
    pub fn replacing(text: &str) -> Result<Self, CredentialsError> {
        let mut fields = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let problem = "it is no header field; write `Name: value`";
            fields.push(line.parse().map_err(|_| CredentialsError::Line { line: number, problem })?);
        }
        if fields.is_empty() { Err(CredentialsError::Empty) } else { Ok(Self::Replace(fields)) }
    }

    /// What becomes of a field of that name; `None` where it is sent as captured.
    pub(super) fn fate(&self, name: &[u8]) -> Option<Fate<'_>> {
        let is_credential = || NAMES.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name));
        match self {
            Self::Pass => None,
            Self::Strip => is_credential().then_some(Fate::LeftOut),
            Self::Replace(fields) => match fields.iter().find(|field| field.name.is(name)) {
                Some(field) => Some(Fate::Replaced(field)),
                None => is_credential().then_some(Fate::LeftOut),
            },
        }
    }
}

/// What becomes of a credentials field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate<'c> {
    /// It is not sent.
    LeftOut,
    /// It is sent with the value of this one.
    Replaced(&'c Field),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_stripped_or_replaced_and_nothing_else_is_touched() {
        let replace =
            Credentials::replacing("# staging\n\nAuthorization: Bearer of-staging\nX-Team: 7\n").unwrap();
        let Credentials::Replace(fields) = &replace else { panic!("{replace:?}") };
        for (name, stripped, replaced) in [
            ("Authorization", Some(Fate::LeftOut), Some(Fate::Replaced(&fields[0]))),
            ("cookie", Some(Fate::LeftOut), Some(Fate::LeftOut)),
            ("x-team", None, Some(Fate::Replaced(&fields[1]))),
            ("Accept", None, None),
        ] {
            assert_eq!(Credentials::Pass.fate(name.as_bytes()), None, "{name}");
            assert_eq!(Credentials::Strip.fate(name.as_bytes()), stripped, "{name}");
            assert_eq!(replace.fate(name.as_bytes()), replaced, "{name}");
        }
    }

    #[test]
    fn a_file_that_says_nothing_is_refused_without_showing_what_it_says() {
        for (text, says) in
            [("", "no header field"), ("# none\n", "no header field"), ("a: b\nhunter2\n", "line 2")]
        {
            let error = Credentials::replacing(text).unwrap_err().to_string();
            assert!(error.contains(says) && !error.contains("hunter2"), "{error}");
        }
    }
}
