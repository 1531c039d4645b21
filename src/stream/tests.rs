//! The table as its users see it: dialogues are written, put through what a network and a capture do to
//! packets, and must come out as they went in.

mod dialogue;
mod properties;
mod stories;
