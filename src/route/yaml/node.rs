//! A YAML value and where in the file it stands.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Options, Spanned};

use crate::route::note::{Origin, RulesError};

/// A line of one of the files that are read together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::route) struct Line {
    /// Which file.
    pub(in crate::route) file: usize,
    /// From 1; 0 where it is the file as a whole.
    pub(in crate::route) number: u32,
}

/// A value and its place. Where it came by an alias or a merge key, the place is that of the original.
#[derive(Clone, Debug)]
pub(in crate::route) struct Node {
    pub(in crate::route) line: Line,
    pub(in crate::route) value: Value,
}

/// What a YAML value is by the rules of YAML 1.1, which Kubernetes goes by: `yes`, `on` and their kin are
/// booleans.
#[derive(Clone, Debug)]
pub(in crate::route) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping and its line.
#[derive(Clone, Debug)]
pub(in crate::route) struct Key {
    pub(in crate::route) line: Line,
    pub(in crate::route) name: String,
}

impl Node {
    pub(in crate::route) const fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    fn belongs_to(&mut self, file: usize) {
        self.line.file = file;
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|node| node.belongs_to(file)),
            Value::Map(entries) => entries.iter_mut().for_each(|(key, node)| {
                key.line.file = file;
                node.belongs_to(file);
            }),
            _ => {}
        }
    }

    /// How many values it holds, itself included.
    pub(in crate::route) fn size(&self) -> usize {
        match &self.value {
            Value::List(items) => 1 + items.iter().map(Self::size).sum::<usize>(),
            Value::Map(entries) => 1 + entries.iter().map(|(_, node)| 1 + node.size()).sum::<usize>(),
            _ => 1,
        }
    }

    pub(in crate::route) const fn is_number(&self) -> bool {
        matches!(self.value, Value::Int(_) | Value::Float(_))
    }
}

impl Value {
    /// What it is called in messages.
    pub(in crate::route) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

/// Nesting of a document. Rules need about a dozen levels.
const MOST_DEPTH: usize = 48;
/// Values in a file, those that aliases repeat included.
pub(in crate::route) const MOST_NODES: usize = 500_000;
/// Documents in a file.
const MOST_DOCUMENTS: usize = 50_000;

/// What a file may cost: more documents than the library's own bound, since a cluster's rules come in one
/// file, and less nesting and fewer repetitions by aliases.
fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MOST_DEPTH,
            flow_nesting_limit: MOST_DEPTH,
            max_documents: MOST_DOCUMENTS,
            max_nodes: MOST_NODES,
            max_events: 2 * MOST_NODES,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MOST_NODES,
            max_replay_stack_depth: 16,
        },
        with_snippet: false,
    }
}

/// The documents of a file, which is one of several by its number; empty ones are left out.
///
/// # Errors
/// When it is no YAML, or more than any rules file needs.
pub(in crate::route) fn read(number: usize, file: &str, text: &str) -> Result<Vec<Node>, RulesError> {
    let documents = serde_saphyr::from_multiple_with_options::<Spanned<Raw>>(text, options());
    let documents = documents.map_err(|error| {
        let line = error.location().map_or(0, |at| line_of(at).number);
        let reason = error.without_snippet().to_string();
        RulesError::new(Origin::new(file, line), format!("not YAML that can be read: {reason}"))
    })?;
    let mut documents: Vec<_> = documents.into_iter().map(node).collect();
    // The library builds them without knowing which file it is.
    if number > 0 {
        documents.iter_mut().for_each(|node| node.belongs_to(number));
    }
    Ok(documents)
}

/// The value without its place, as the library yields it.
struct Raw(Value);

fn node(spanned: Spanned<Raw>) -> Node {
    Node { line: line_of(spanned.defined), value: spanned.value.0 }
}

fn line_of(at: Location) -> Line {
    Line { file: 0, number: u32::try_from(at.line()).unwrap_or(u32::MAX) }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Builder).map(Self)
    }
}

struct Builder;

impl<'de> Visitor<'de> for Builder {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a number that large is refused wherever one is asked for"
    )]
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or(Value::Float(value as f64), Value::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Raw>>()? {
            list.push(node(item));
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<Spanned<String>>()? {
            let value = entries.next_value::<Spanned<Raw>>()?;
            map.push((Key { line: line_of(key.defined), name: key.value }, node(value)));
        }
        Ok(Value::Map(map))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(Self)
    }

    fn visit_bytes<E: de::Error>(self, _: &[u8]) -> Result<Value, E> {
        Err(E::custom("binary values have no place in rules"))
    }
}
