//! The table as its users see it: dialogues are written, put through what a network and a capture do to
//! packets, and must come out as they went in.
#![allow(clippy::cast_possible_truncation, reason = "test dialogues are a few thousand bytes long")]

mod bounds;
mod dialogue;
mod properties;
mod stories;
