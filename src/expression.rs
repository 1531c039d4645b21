//! Conditions in CEL, the Common Expression Language that Envoy, Istio and Kubernetes use for them: what `--filter` and
//! `--fail-on` are written in.
//!
//! An [`Expression`] is understood once and tried out, so that what cannot be meant is refused before anything is done;
//! then it is asked as often as needed. Its size and depth are bounded, and its regular expressions run in linear time.

use cel::{Context, ExecutionError, Program, Value};

/// Longer expressions are a mistake.
pub const LONGEST: usize = 4096;
/// Deeper ones, too; the parser descends by recursion.
const DEEPEST: usize = 64;

/// A condition on named values.
pub struct Expression {
    text: String,
    program: Program,
    root: Context<'static, 'static>,
    /// The variables that are named: the others need not be made.
    named: Vec<&'static str>,
}

/// The expression cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// It breaks the language's rules.
    #[error("column {column}: {problem}")]
    Syntax {
        /// Where, in characters from 1.
        column: usize,
        /// What is wrong.
        problem: String,
    },
    /// It names what there is not.
    #[error("there is no `{name}`; known are {known}")]
    Unknown {
        /// What it names.
        name: String,
        /// What there is.
        known: String,
    },
    /// It has no answer for values like any other.
    #[error("{0}")]
    Senseless(String),
    /// It is too long or too deep.
    #[error("it is longer than {LONGEST} bytes or nested deeper than {DEEPEST}")]
    TooLarge,
}

impl Expression {
    /// Understands an expression over these variables, and the functions that `root` has besides CEL's own.
    ///
    /// # Errors
    /// When it is none.
    pub fn new(
        text: &str,
        variables: &[&'static str],
        root: Context<'static, 'static>,
    ) -> Result<Self, ExpressionError> {
        if text.len() > LONGEST || depth(text) > DEEPEST {
            return Err(ExpressionError::TooLarge);
        }
        let program = Program::compile(text).map_err(|errors| syntax_error(text, &errors))?;
        let named = {
            let references = program.references();
            variables.iter().copied().filter(|name| references.has_variable(name)).collect()
        };
        Ok(Self { text: text.to_owned(), program, root, named })
    }

    /// Whether it holds for these values of the variables.
    ///
    /// # Errors
    /// When it says neither yes nor no.
    pub fn holds(&self, value: impl Fn(&str) -> Value) -> Result<bool, ExpressionError> {
        self.holds_as_far(|name| Some(value(name)))
    }

    /// The same where some values are not known: an answer that does not depend on them.
    ///
    /// # Errors
    /// When it says neither yes nor no, or needs one of them for that.
    pub fn holds_as_far(&self, value: impl Fn(&str) -> Option<Value>) -> Result<bool, ExpressionError> {
        let mut context = self.root.new_inner_scope();
        for name in &self.named {
            if let Some(value) = value(name) {
                context.add_variable_from_value(*name, value);
            }
        }
        match self.program.execute(&context) {
            Ok(Value::Bool(answer)) => Ok(answer),
            Ok(other) => {
                let kind = other.type_of();
                Err(ExpressionError::Senseless(format!(
                    "it gives a value of the type {kind}, not true or false"
                )))
            }
            Err(ExecutionError::UndeclaredReference(name)) => {
                Err(ExpressionError::Unknown { name: name.to_string(), known: String::new() })
            }
            Err(error) => {
                let lines = error.to_string();
                let lines: Vec<_> = lines.lines().map(str::trim).collect();
                Err(ExpressionError::Senseless(lines.join(" ")))
            }
        }
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl ExpressionError {
    /// Says what an expression could have named.
    #[must_use]
    pub fn knowing(self, all: &str) -> Self {
        match self {
            Self::Unknown { name, .. } => Self::Unknown { name, known: all.to_owned() },
            other => other,
        }
    }
}

impl std::fmt::Debug for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Expression").field(&self.text).finish()
    }
}

/// How deep brackets are nested, at most.
fn depth(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut deepest = 0;
    for b in text.bytes() {
        match b {
            // Signs and negations descend as well.
            b'(' | b'[' | b'{' | b'!' | b'-' | b'?' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// The first thing that the parser stumbled over, in one line.
fn syntax_error(text: &str, errors: &cel::ParseErrors) -> ExpressionError {
    let first = errors.errors.iter().min_by_key(|error| error.pos);
    let column = first.map_or(1, |error| usize::try_from(error.pos.1).unwrap_or(1).max(1));
    let said = first.map_or("it cannot be read", |error| error.msg.as_str());
    // What would have been right there is a list of half the language.
    let said = said.split(" expecting {").next().unwrap_or(said).trim_start_matches("Syntax error: ");
    let mut rest = text.chars().skip(column - 1);
    let hint = match (rest.next(), rest.next()) {
        (Some('='), Some('=')) => "",
        (Some('='), _) => "; == compares",
        (Some('&'), _) => "; && is and",
        (Some('|'), _) => "; || is or",
        _ => "",
    };
    ExpressionError::Syntax { column, problem: format!("{said}{hint}") }
}
