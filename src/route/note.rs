//! What is said of a rules file: where, and what.

use std::fmt;
use std::sync::Arc;

/// A place in a rules file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The file as the user named it.
    pub file: Arc<str>,
    /// The line, from 1; 0 where it is the file as a whole.
    pub line: u32,
}

impl Origin {
    /// A line of a file.
    #[must_use]
    pub fn new(file: &str, line: u32) -> Self {
        Self { file: file.into(), line }
    }
}

/// `routes.yaml:12`, as editors and compilers write it.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// A rules file that cannot be used: where, what is wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {problem}")]
pub struct RulesError {
    /// Where.
    pub origin: Origin,
    /// What is wrong.
    pub problem: String,
}

impl RulesError {
    /// A problem at a place.
    #[must_use]
    pub fn new(origin: Origin, problem: impl Into<String>) -> Self {
        Self { origin, problem: problem.into() }
    }
}

/// Something in a rules file that is not acted on, or not as a mesh would.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Where.
    pub origin: Origin,
    /// What, and what it means for the shadow.
    pub text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.text)
    }
}
