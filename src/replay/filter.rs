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

use cel::{Context, Value};

use crate::exchange::Exchange;
use crate::expression::{Expression, ExpressionError};
use crate::http::RequestHead;

/// The variables that an expression may name.
const NAMES: [&str; 9] = ["method", "host", "target", "path", "query", "status", "client", "server", "time"];
/// All that it may name, in words.
const KNOWN: &str = "method, host, target, path, query, status, client, server, time and header(NAME)";

/// A condition on captured requests.
#[derive(Debug)]
pub struct Filter {
    expression: Expression,
    /// The head that `header()` looks into.
    head: Arc<Mutex<Option<RequestHead>>>,
}

/// A request that the expression has no yes or no for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unanswered;

impl Filter {
    /// Understands an expression.
    ///
    /// # Errors
    /// When it is none, names what is not known, or is not a condition.
    pub fn new(text: &str) -> Result<Self, ExpressionError> {
        let head = Arc::new(Mutex::new(None));
        let expression = Expression::new(text, &NAMES, root(&head))?;
        try_out(&expression).map_err(|error| error.knowing(KNOWN))?;
        Ok(Self { expression, head })
    }

    /// Whether it admits this request.
    ///
    /// # Errors
    /// When it says neither yes nor no, as where a number is compared with text.
    pub fn admits(&mut self, exchange: &Exchange) -> Result<bool, Unanswered> {
        self.look_at(exchange);
        self.expression.holds(|name| value(name, exchange)).map_err(|_| Unanswered)
    }

    /// Whether it may yet admit a request whose answer is not known: it does not say no already.
    pub fn may_admit(&mut self, begun: &Exchange) -> bool {
        self.look_at(begun);
        let known = |name: &str| (name != "status").then(|| value(name, begun));
        self.expression.holds_as_far(known).unwrap_or(true)
    }

    fn look_at(&mut self, exchange: &Exchange) {
        let head = exchange.request.head.clone();
        *self.head.lock().unwrap_or_else(PoisonError::into_inner) = Some(head);
    }
}

/// Asks it about requests that are unlike in everything, so that most of its branches are taken.
fn try_out(expression: &Expression) -> Result<(), ExpressionError> {
    for (text, status) in [("", 0), ("GET", 200), ("POST", 404), ("/", 503)] {
        expression.holds(|name| match name {
            "status" => Value::Int(status),
            _ => Value::String(Arc::new(text.to_owned())),
        })?;
    }
    Ok(())
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

#[cfg(test)]
mod tests;
