//! What happened, kept: the recording on disk and its reader.

use crate::exchange::Exchange;
use crate::replay::Outcome;
use crate::route::Role;

/// One request and what became of it at one destination: a line of the recording, and a row of every
/// report. Reports are made of rows alone, so that a report made again from the recording is the same.
#[derive(Clone, Debug)]
pub struct Row {
    /// What was captured.
    pub exchange: Exchange,
    /// The part that the destination plays.
    pub role: Role,
    /// The destination's name.
    pub destination: String,
    /// The rule that sent it there.
    pub route: String,
    /// The head that was sent, where something was sent: the captured head with the edits.
    pub sent_head: Option<bytes::Bytes>,
    /// What became of it.
    pub outcome: Outcome,
}
