//! The conditions of rules, and whether a request meets them.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::pattern::Pattern;
use super::request::{MESH, RequestFacts, Vantage};

/// How a value is compared.
#[derive(Clone, Debug, PartialEq)]
pub enum TextMatch {
    /// It is there.
    Present,
    /// It is this.
    Exact(String),
    /// It begins with this.
    Prefix(String),
    /// The whole of it matches.
    Regex(Pattern),
}

impl TextMatch {
    /// Whether a value that is there meets it.
    #[must_use]
    pub fn meets(&self, value: &[u8]) -> bool {
        match self {
            Self::Present => true,
            Self::Exact(text) => value == text.as_bytes(),
            Self::Prefix(text) => value.starts_with(text.as_bytes()),
            Self::Regex(pattern) => pattern.matches(value),
        }
    }
}

impl fmt::Display for TextMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Present => f.write_str("present"),
            Self::Exact(text) => write!(f, "exact {text:?}"),
            Self::Prefix(text) => write!(f, "prefix {text:?}"),
            Self::Regex(pattern) => write!(f, "regex {:?}", pattern.source()),
        }
    }
}

/// How a path is compared.
#[derive(Clone, Debug, PartialEq)]
pub struct PathMatch {
    /// In which way.
    pub kind: PathKind,
    /// Without regard to the case of ASCII letters; means nothing to a pattern.
    pub ignore_case: bool,
}

/// In which way a path is compared.
#[derive(Clone, Debug, PartialEq)]
pub enum PathKind {
    /// It is this.
    Exact(String),
    /// It begins with this.
    Prefix(String),
    /// Its first elements are these (Gateway API's `PathPrefix`); without the trailing slash.
    Elements(String),
    /// The whole of it matches.
    Regex(Pattern),
}

impl PathMatch {
    /// A path that begins with a slash, which is what a rule without a path asks for: `*` does not.
    #[must_use]
    pub fn any() -> Self {
        Self { kind: PathKind::Prefix("/".to_owned()), ignore_case: false }
    }

    /// How much of the path is what the rule names, where it is met: all of it but for prefixes.
    #[must_use]
    pub fn matched(&self, path: &[u8]) -> Option<usize> {
        let begins = |text: &str| {
            let start = path.get(..text.len())?;
            let same = if self.ignore_case {
                start.eq_ignore_ascii_case(text.as_bytes())
            } else {
                start == text.as_bytes()
            };
            same.then_some(text.len())
        };
        match &self.kind {
            PathKind::Exact(text) => begins(text).filter(|length| *length == path.len()),
            PathKind::Prefix(text) => begins(text),
            PathKind::Elements(text) => {
                begins(text).filter(|length| matches!(path.get(*length), None | Some(b'/')))
            }
            PathKind::Regex(pattern) => pattern.matches(path).then_some(path.len()),
        }
    }
}

impl fmt::Display for PathMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            PathKind::Exact(text) => write!(f, "path exact {text:?}")?,
            PathKind::Prefix(text) if text == "/" => return f.write_str("any path"),
            PathKind::Prefix(text) => write!(f, "path prefix {text:?}")?,
            PathKind::Elements(text) if text.is_empty() => return f.write_str("any path"),
            PathKind::Elements(text) => write!(f, "path elements {text:?}")?,
            PathKind::Regex(pattern) => write!(f, "path regex {:?}", pattern.source())?,
        }
        f.write_str(if self.ignore_case { " in any case" } else { "" })
    }
}

/// One condition.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// The path, without query.
    Path(PathMatch),
    /// The scheme.
    Scheme(TextMatch),
    /// The method.
    Method(TextMatch),
    /// The authority, with its port where it has one.
    Authority(TextMatch),
    /// The value of a field; of several of one name, that of any, or of all joined with commas where Envoy
    /// joins them.
    Header(String, TextMatch),
    /// The opposite of [`Self::Header`]; a field that is missing counts as empty, unless it is its presence
    /// that is asked for.
    WithoutHeader(String, TextMatch),
    /// The value of the first query parameter of that name.
    Query(String, TextMatch),
    /// The port that the request was addressed to.
    Port(u16),
    /// The gateway is among these.
    Gateways(Vec<String>),
    /// The workload that sent it has these labels.
    SourceLabels(Vec<(String, String)>),
    /// The workload that sent it is in this namespace.
    SourceNamespace(String),
    /// What a capture cannot tell, such as a claim of a token that a mesh has checked: never met.
    Unknowable(String),
}

impl Condition {
    /// Whether a request meets it, seen from `vantage` through `gateway`.
    #[must_use]
    pub fn holds(&self, request: &RequestFacts<'_>, vantage: &Vantage, gateway: &str) -> bool {
        match self {
            Self::Path(path) => path.matched(&request.target.matched_path()).is_some(),
            Self::Scheme(text) => text.meets(request.scheme),
            Self::Method(text) => text.meets(request.head.method()),
            Self::Authority(text) => text.meets(request.authority),
            Self::Header(name, text) => text.meets_any(&header(request, name)),
            Self::WithoutHeader(name, text) => match &header(request, name)[..] {
                [] => *text == TextMatch::Present || !text.meets(b""),
                values => !text.meets_any(values),
            },
            Self::Query(name, text) => {
                request.target.parameter(name.as_bytes()).is_some_and(|value| text.meets(value))
            }
            Self::Port(port) => vantage.port.unwrap_or_else(|| request.port()) == *port,
            Self::Gateways(names) => names.iter().any(|name| same_gateway(name, gateway)),
            Self::SourceLabels(labels) => {
                labels.iter().all(|(name, value)| vantage.source_labels.get(name) == Some(value))
            }
            Self::SourceNamespace(name) => vantage.source_namespace.as_ref() == Some(name),
            Self::Unknowable(_) => false,
        }
    }

    /// What the request has in place of what the condition wants.
    #[must_use]
    pub fn observed(&self, request: &RequestFacts<'_>, vantage: &Vantage, gateway: &str) -> String {
        let text = |value: &[u8]| format!("{:?}", String::from_utf8_lossy(value));
        let all = |values: Vec<Cow<'_, [u8]>>| match &values[..] {
            [] => "absent".to_owned(),
            values => values.iter().map(|value| text(value)).collect::<Vec<_>>().join(" and "),
        };
        match self {
            Self::Path(_) => text(&request.target.matched_path()),
            Self::Scheme(_) => text(request.scheme),
            Self::Method(_) => text(request.head.method()),
            Self::Authority(_) => text(request.authority),
            Self::Header(name, _) | Self::WithoutHeader(name, _) => all(header(request, name)),
            Self::Query(name, _) => {
                all(request.target.parameter(name.as_bytes()).map(Cow::Borrowed).into_iter().collect())
            }
            Self::Port(_) => vantage.port.unwrap_or_else(|| request.port()).to_string(),
            Self::Gateways(_) => gateway.to_owned(),
            Self::SourceLabels(_) if vantage.source_labels.is_empty() => {
                "not told (--source-label)".to_owned()
            }
            Self::SourceLabels(_) => {
                let all = vantage.source_labels.iter().map(|(name, value)| format!("{name}={value}"));
                all.collect::<Vec<_>>().join(",")
            }
            Self::SourceNamespace(_) => {
                vantage.source_namespace.clone().unwrap_or_else(|| "not told (--source-namespace)".to_owned())
            }
            Self::Unknowable(_) => "nothing that a capture could tell".to_owned(),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.fmt(f),
            Self::Scheme(text) => write!(f, "scheme {text}"),
            Self::Method(text) => write!(f, "method {text}"),
            Self::Authority(text) => write!(f, "authority {text}"),
            Self::Header(name, text) => write!(f, "header {name} {text}"),
            Self::WithoutHeader(name, text) => write!(f, "without header {name} {text}"),
            Self::Query(name, text) => write!(f, "query {name} {text}"),
            Self::Port(port) => write!(f, "port {port}"),
            Self::Gateways(names) => write!(f, "gateway {}", names.join(" or ")),
            Self::SourceLabels(labels) => {
                let all: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
                write!(f, "source labels {}", all.join(","))
            }
            Self::SourceNamespace(name) => write!(f, "source namespace {name}"),
            Self::Unknowable(what) => f.write_str(what),
        }
    }
}

/// Fields whose values Envoy joins with commas when it reads a request, so that it matches them as one: those
/// that it has a place of its own for, measured on version 1.40.
const JOINED: &[&str] = &[
    "accept",
    "accept-encoding",
    "access-control-request-headers",
    "access-control-request-method",
    "access-control-request-private-network",
    "authorization",
    "cache-control",
    "content-encoding",
    "content-type",
    "expect",
    "grpc-accept-encoding",
    "grpc-timeout",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "origin",
    "pragma",
    "referer",
    "user-agent",
    "via",
    "x-client-trace-id",
    "x-envoy-attempt-count",
    "x-envoy-decorator-operation",
    "x-envoy-downstream-service-cluster",
    "x-envoy-external-address",
    "x-envoy-original-path",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-request-id",
];

/// The values of a field as Envoy matches them: each by itself, or joined to one. Names that begin with a
/// colon are those of HTTP/2, and `host` is the authority (RFC 9113, section 8.3.1).
fn header<'r>(request: &RequestFacts<'r>, name: &str) -> Vec<Cow<'r, [u8]>> {
    match name {
        ":method" => return vec![request.head.method().into()],
        ":scheme" => return vec![request.scheme.into()],
        ":authority" | "host" => return vec![request.authority.into()],
        ":path" => return vec![[&request.target.matched_path(), request.target.rest].concat().into()],
        _ => {}
    }
    let fields = request.head.headers.iter();
    let values =
        fields.filter(|(field, _)| field.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value);
    let values: Vec<&[u8]> = values.collect();
    if values.len() > 1 && JOINED.iter().any(|joined| joined.eq_ignore_ascii_case(name)) {
        return vec![values.join(&b","[..]).into()];
    }
    values.into_iter().map(Cow::Borrowed).collect()
}

impl TextMatch {
    fn meets_any(&self, values: &[Cow<'_, [u8]>]) -> bool {
        values.iter().any(|value| self.meets(value))
    }
}

/// Whether two names of gateways mean the same one: `mesh`, or one that may go without its namespace.
pub(super) fn same_gateway(one: &str, other: &str) -> bool {
    let bare = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
    match (one.contains('/'), other.contains('/')) {
        (true, true) | (false, false) => one == other,
        _ if one == MESH || other == MESH => false,
        _ => bare(one) == bare(other),
    }
}

/// Conditions of which all have to hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Match {
    /// Its name in the rules, where it has one.
    name: Option<String>,
    conditions: Vec<Condition>,
    words: Arc<str>,
}

impl Match {
    /// A match of that name, where it has one; without conditions, it is always met.
    #[must_use]
    pub fn new(name: Option<String>, conditions: Vec<Condition>) -> Self {
        let mut one = Self { name, conditions, words: Arc::default() };
        one.words = one.describe().into();
        one
    }

    /// The conditions.
    #[must_use]
    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// Its conditions in words, joined by commas.
    #[must_use]
    pub fn words(&self) -> Arc<str> {
        Arc::clone(&self.words)
    }

    /// Both have to hold. Where both say something of the path, a rewrite goes by `other`.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let name = [&self.name, &other.name].into_iter().flatten().cloned().reduce(|a, b| format!("{a}-{b}"));
        let mut conditions = self.conditions.clone();
        for condition in &other.conditions {
            if !conditions.contains(condition) {
                conditions.push(condition.clone());
            }
        }
        Self::new(name, conditions)
    }

    /// Whether any request meets it whose path begins with a slash.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.conditions.iter().all(|condition| *condition == Condition::Path(PathMatch::any()))
    }

    fn describe(&self) -> String {
        let any = Condition::Path(PathMatch::any());
        let told: Vec<_> = self.conditions.iter().filter(|c| **c != any).map(ToString::to_string).collect();
        let told = if told.is_empty() { "any request".to_owned() } else { told.join(", ") };
        self.name.as_ref().map_or(told.clone(), |name| format!("{name}: {told}"))
    }

    /// The first condition that a request does not meet; `None` where it meets all.
    #[must_use]
    pub fn failing(
        &self,
        request: &RequestFacts<'_>,
        vantage: &Vantage,
        gateway: &str,
    ) -> Option<&Condition> {
        self.conditions.iter().find(|condition| !condition.holds(request, vantage, gateway))
    }

    /// The condition on the path that says which part a rewrite replaces: the last.
    #[must_use]
    pub fn path(&self) -> Option<&PathMatch> {
        self.conditions.iter().rev().find_map(|condition| match condition {
            Condition::Path(path) => Some(path),
            _ => None,
        })
    }
}
