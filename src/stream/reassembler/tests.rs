//! One direction, drawn: columns are places in the stream, rows are what arrives, one after the other, and
//! beside it stands what is handed on by that.
//!
//! ```text
//!   ab      bytes, at the column where they stand        ab  bytes
//!   ab##    with two more that the snaplen cut off       ~2  a gap
//!   ab.     with a FIN                                   .   the end
//!   ab @3   acknowledging 3 bytes of the other direction
//!     ^     the other side acknowledges all before this column
//!   <3      of the other direction 3 bytes were handed on
//!   wait    a while goes by
//!   end     the capture ends
//! ```

#![allow(clippy::cast_possible_truncation, reason = "columns are few")]

use super::*;

/// Numbers wrap within the first bytes.
const FIRST: SeqNumber = SeqNumber(u32::MAX - 1);
const OTHER: SeqNumber = SeqNumber(7000);

#[derive(Default)]
struct Told {
    text: Vec<String>,
    account: ByteAccount,
    noted: Vec<Anomaly>,
}

impl Output for Told {
    fn chunk(&mut self, chunk: Chunk<'_>) {
        self.text.push(match chunk {
            Chunk::Data { bytes, .. } => String::from_utf8_lossy(bytes).into_owned(),
            Chunk::Gap { len } => format!("~{len}"),
            Chunk::End(End::Fin) => ".".into(),
            Chunk::End(end) => format!(".{end:?}"),
        });
    }

    fn note(&mut self, anomaly: Anomaly) {
        self.noted.push(anomaly);
    }

    fn account(&mut self) -> &mut ByteAccount {
        &mut self.account
    }
}

struct Stage {
    own: Reassembler,
    other: Other,
    told: Told,
    now: Timestamp,
}

impl Stage {
    fn new() -> Self {
        let other = Other { seen: true, told: Some(OTHER), cleared: Some(OTHER), awaits: None };
        Self { own: Reassembler::from_start(FIRST), other, told: Told::default(), now: Timestamp::default() }
    }

    /// Plays one row; gives what was handed on.
    fn row(&mut self, row: &str) -> String {
        self.now = self.now + std::time::Duration::from_millis(if row == "wait" { 200 } else { 1 });
        let column = row.len() - row.trim_start().len();
        match row.trim() {
            "wait" => {}
            "end" => self.own.finish(End::Idle, self.other, &mut self.told),
            "^" => {
                self.own.acknowledge(FIRST.advance(column as u32));
            }
            text if text.starts_with('<') => {
                let told = Some(OTHER.advance(text[1..].parse().unwrap()));
                self.other = Other { told, cleared: told, ..self.other };
                self.own.drain(self.other, 0, &mut self.told);
            }
            text => self.arrive(column, text),
        }
        let onlooker = Onlooker { seen: true, holds: true };
        if self.own.is_overdue(self.now, onlooker) {
            self.own.give_up_waiting(self.other, &mut self.told);
        }
        self.own.keep_waiting(self.now, onlooker);
        std::mem::take(&mut self.told.text).join(" ")
    }

    fn arrive(&mut self, column: usize, text: &str) {
        let (text, acked) = text.split_once(" @").unwrap_or((text, "0"));
        let whole = text.trim_end_matches('.');
        let payload = whole.trim_end_matches('#');
        let arrival = Arrival {
            at: self.now,
            seq: FIRST.advance(column as u32),
            ack: Some(OTHER.advance(acked.parse().unwrap())),
            payload: payload.as_bytes(),
            cut: (whole.len() - payload.len()) as u32,
            fin: text.ends_with('.'),
        };
        self.own.push(&arrival, self.other, &mut self.told);
    }
}

#[track_caller]
fn assert_plays(rule: &str, rows: &[(&str, &str)]) -> Told {
    let mut stage = Stage::new();
    for (number, (row, expected)) in rows.iter().enumerate() {
        assert_eq!(stage.row(row), *expected, "{rule}: row {number} of {rows:#?}");
    }
    let account = stage.told.account;
    assert_eq!(account.payload, account.balance(), "{rule}: {account:?}");
    stage.told
}

#[test]
fn what_arrives_and_what_is_handed_on() {
    for (rule, rows) in [
        ("in order", &[("ab", "ab"), ("  cd", "cd"), ("    .", ".")][..]),
        (
            "a hole is filled when its bytes arrive",
            &[("ab", "ab"), ("    ef", ""), ("      gh", ""), ("  cd", "cd ef gh")],
        ),
        ("a repeat is told once", &[("abcd", "abcd"), ("ab", ""), ("  cdef", "ef"), ("abcdefg", "g")]),
        (
            "held bytes come once, however they overlap",
            &[("  cd", ""), (" bcde", ""), ("   defg", ""), ("a", "a b cd e fg")],
        ),
        (
            "a hole that is acknowledged is lost after a while",
            &[("ab", "ab"), ("    ef", ""), ("      ^", ""), ("wait", "~2 ef")],
        ),
        (
            "a hole that nobody acknowledged is waited for",
            &[("ab", "ab"), ("    ef", ""), ("wait", ""), ("  cd", "cd ef")],
        ),
        ("at the end every hole is lost", &[("ab", "ab"), ("    ef", ""), ("end", "~2 ef .Idle")]),
        (
            "what was declared lost comes too late",
            &[("  cd", ""), ("    ^", ""), ("wait", "~2 cd"), ("ab", ""), ("    e", "e")],
        ),
        ("a FIN ends the stream behind all bytes", &[("  cd.", ""), ("ab", "ab cd .")]),
        ("beyond the FIN there is nothing", &[("ab.", "ab ."), ("   d", "")]),
        (
            "one number that is missing at the end is a FIN's",
            &[("ab", "ab"), ("   ^", ""), ("wait", ""), ("end", ".")],
        ),
        ("bytes wait for what they acknowledge", &[("ab @3", ""), ("  cd @3", ""), ("<3", "ab cd")]),
        ("and wait no longer than for that", &[("ab @3", ""), ("  cd @5", ""), ("<4", "ab"), ("<5", "cd")]),
        (
            "of several copies the one that asks for least is believed",
            &[("abcd @5", ""), ("ab @0", "ab"), ("<5", "cd")],
        ),
        ("what comes before it was sent no later", &[("abcd @5", ""), (" bc @0", "abc"), ("<5", "d")]),
        (
            "what the snaplen cut off is a gap, unless a whole copy comes",
            &[("ab##", "ab ~2"), ("    ef##", "ef ~2"), ("          k", ""), ("        ij", "ij k")],
        ),
        ("a whole copy of a cut segment fills it in", &[("  cd##", ""), ("  cdef", ""), ("ab", "ab cd ef")]),
        ("a probe is no data", &[("abc", "abc"), ("  x", ""), ("   d", "d")]),
    ] {
        assert_plays(rule, rows);
    }
}

#[test]
fn what_is_handed_on_twice_is_told_from_what_is_new() {
    let told = assert_plays(
        "another copy with other bytes",
        &[("ab", "ab"), ("xy", ""), ("    ef", ""), ("    xf", ""), ("  cd", "cd ef")],
    );
    assert_eq!((told.account.conflicting, told.account.duplicate), (4, 4));
    assert_eq!(told.noted, [Anomaly::ConflictingOverlap; 2]);
}

#[test]
fn an_acknowledgement_that_nothing_waits_behind_declares_no_loss() {
    let mut stage = Stage::new();
    let alone = Onlooker { seen: true, holds: false };
    let out = &mut stage.told;
    stage.own.acknowledge(FIRST.advance(9));
    stage.own.keep_waiting(stage.now, alone);
    stage.now = stage.now + std::time::Duration::from_secs(60);
    assert!(!stage.own.is_overdue(stage.now, alone));
    assert_eq!((stage.own.keep_waiting(stage.now, alone), out.text.len()), (None, 0));
    assert_eq!(stage.row("abc"), "abc");
}
