//! Rules files as trees in which each value knows its place.
//!
//! [`read`] turns text into documents; anchors, merge keys and several documents are resolved there, and
//! what a hostile file can cost is bounded. [`Fields`] takes a mapping apart field by field, so that what
//! nobody asked for is told with its line.

mod fields;
mod node;

pub(in crate::route) use fields::{Fields, Reader};
pub(in crate::route) use node::{Key, Line, MOST_NODES, Node, Value, read};
