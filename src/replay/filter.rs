//! The language of `--filter`: expressions of CEL, the Common Expression Language that Envoy, Istio and
//! Kubernetes use for such conditions, over what is known of a captured request.
//!
//! | name | is |
//! |---|---|
//! | `method`, `host`, `target` | text, as captured |
//! | `path`, `query` | the target before and after its first `?` |
//! | `header(NAME)` | the values of that header, joined by `, `; empty where there is none |
//! | `status` | of v1's answer; 0 where the capture has none |
//! | `client`, `server` | addresses, without port |
//! | `time` | when the request's first byte was captured: RFC 3339 in UTC with nanoseconds, which compares as text |
//!
//! Bytes that are not UTF-8 stand as U+FFFD. Of CEL there are the operators (`==`, `!=`, `<`, `in`, `&&`,
//! `||`, `!`, `? :`, arithmetic), lists, and the methods `startsWith`, `endsWith`, `contains`, `matches`
//! (a regular expression in linear time), `size` and the macros `exists` and `all`.

use std::sync::{Arc, Mutex, PoisonError};

use cel::{Context, ExecutionError, Program, Value};

use crate::exchange::Exchange;
use crate::http::RequestHead;

/// Longer expressions are a mistake.
const LONGEST: usize = 4096;
/// Deeper ones, too; the parser descends by recursion.
const DEEPEST: usize = 64;

/// The variables that an expression may name.
const NAMES: [&str; 9] = ["method", "host", "target", "path", "query", "status", "client", "server", "time"];

/// A condition on captured requests.
pub struct Filter {
    text: String,
    program: Program,
    root: Context<'static, 'static>,
    /// The head that `header()` looks into.
    head: Arc<Mutex<Option<RequestHead>>>,
    /// The variables that are named: the others need not be made.
    named: Vec<&'static str>,
}

/// The expression cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// It breaks the language's rules.
    #[error("column {column}: {problem}")]
    Syntax {
        /// Where, in characters from 1.
        column: usize,
        /// What is wrong.
        problem: String,
    },
    /// It names what there is not.
    #[error(
        "there is no `{0}`; a filter knows method, host, target, path, query, status, client, server, time and header(NAME)"
    )]
    Unknown(String),
    /// It has no answer for a request like any other.
    #[error("{0}")]
    Senseless(String),
    /// It is too long or too deep.
    #[error("it is longer than {LONGEST} bytes or nested deeper than {DEEPEST}")]
    TooLarge,
}

/// A request that the expression has no yes or no for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unanswered;

impl Filter {
    /// Understands an expression.
    ///
    /// # Errors
    /// When it is none, names what is not known, or is not a condition.
    pub fn new(text: &str) -> Result<Self, FilterError> {
        if text.len() > LONGEST || depth(text) > DEEPEST {
            return Err(FilterError::TooLarge);
        }
        let program = Program::compile(text).map_err(|errors| syntax_error(text, &errors))?;
        let named: Vec<&'static str> = {
            let references = program.references();
            NAMES.into_iter().filter(|name| references.has_variable(name)).collect()
        };
        let head = Arc::new(Mutex::new(None));
        let mut filter = Self { text: text.to_owned(), program, root: root(&head), head, named };
        filter.try_out()?;
        Ok(filter)
    }

    /// Whether it admits this request.
    ///
    /// # Errors
    /// When it says neither yes nor no, as where a number is compared with text.
    pub fn admits(&mut self, exchange: &Exchange) -> Result<bool, Unanswered> {
        let head = &exchange.request.head;
        *self.head.lock().unwrap_or_else(PoisonError::into_inner) = Some(head.clone());
        let answer = self.evaluate(|name| value(name, exchange));
        answer.map_err(|_| Unanswered)
    }

    fn evaluate(&self, value: impl Fn(&str) -> Value) -> Result<bool, FilterError> {
        let mut context = self.root.new_inner_scope();
        for name in &self.named {
            context.add_variable_from_value(*name, value(name));
        }
        match self.program.execute(&context) {
            Ok(Value::Bool(answer)) => Ok(answer),
            Ok(other) => {
                let kind = other.type_of();
                Err(FilterError::Senseless(format!("it gives a value of the type {kind}, not true or false")))
            }
            Err(ExecutionError::UndeclaredReference(name)) => Err(FilterError::Unknown(name.to_string())),
            Err(error) => {
                let lines = error.to_string();
                let lines: Vec<_> = lines.lines().map(str::trim).collect();
                Err(FilterError::Senseless(lines.join(" ")))
            }
        }
    }

    /// Asks it about requests that are unlike in everything, so that most of its branches are taken.
    fn try_out(&mut self) -> Result<(), FilterError> {
        for (text, status) in [("", 0), ("GET", 200), ("POST", 404), ("/", 503)] {
            let value = |name: &str| match name {
                "status" => Value::Int(status),
                _ => Value::String(Arc::new(text.to_owned())),
            };
            self.evaluate(value)?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Filter").field(&self.text).finish()
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

/// What CEL has of itself, and `header()`.
fn root(head: &Arc<Mutex<Option<RequestHead>>>) -> Context<'static, 'static> {
    let mut root = Context::default();
    let head = Arc::clone(head);
    // It could only fail for a name that is taken.
    let _ = root.add_function("header", move |name: Arc<String>| -> String {
        let head = head.lock().unwrap_or_else(PoisonError::into_inner);
        let values = head.iter().flat_map(|head| head.headers.all(&name));
        values.map(String::from_utf8_lossy).collect::<Vec<_>>().join(", ")
    });
    root
}

fn value(name: &str, exchange: &Exchange) -> Value {
    let head = &exchange.request.head;
    let text = |bytes: &[u8]| Value::String(Arc::new(String::from_utf8_lossy(bytes).into_owned()));
    let target = head.target();
    let cut = memchr::memchr(b'?', target);
    match name {
        "method" => text(head.method()),
        "host" => text(head.host().unwrap_or_default()),
        "path" => text(cut.map_or(target, |cut| &target[..cut])),
        "query" => text(cut.map_or(&[][..], |cut| &target[cut + 1..])),
        "status" => Value::Int(exchange.response.as_ref().map_or(0, |answer| answer.head.status.into())),
        "client" => text(exchange.connection.client.ip().to_string().as_bytes()),
        "server" => text(exchange.connection.server.ip().to_string().as_bytes()),
        "time" => text(exchange.request.first_byte.text().as_str().as_bytes()),
        _ => text(target),
    }
}

/// The first thing that the parser stumbled over, in one line.
fn syntax_error(text: &str, errors: &cel::ParseErrors) -> FilterError {
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
    FilterError::Syntax { column, problem: format!("{said}{hint}") }
}

#[cfg(test)]
mod tests;
