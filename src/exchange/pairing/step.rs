//! Whether requests and responses can be counted off against each other, and what is known where not.
//!
//! **In step** the next response answers the next request (RFC 9112, section 9.3.2). A hole that may have
//! swallowed whole messages ends that, since nobody knows how many. What is left then are the numbers.
//!
//! **By the numbers.** Most clients take turns: they send a request when they have the whole answer to the
//! one before it. So when a server has received part of a request, its client had received all answers to
//! earlier ones, and sends no later one before this one is answered. Hence a response whose first segment
//! acknowledges (RFC 9293, section 3.4) up to a place within a request answers that request, whatever was
//! lost before it; and the request acknowledged just the bytes before the response:
//!
//! ```text
//!                     ┌ up to here the response acknowledges ─┐
//!   client  ──▒▒▒▒▒▒▒▒[ request ]─────────────────────────────┤
//!   server  ──▒▒▒▒▒──────────────[ response ]─────────────────┘
//!                    └ up to here the request acknowledges
//! ```
//!
//! Where both hold the pair is **exact**. Once the next request follows without a hole and acknowledges
//! just the response, nothing is left over of what was lost, and the count is in step again.
//!
//! **Doubt.** A client that pipelines gives itself away by a request that it sent without the answer to
//! the one before it. From then on numbers tell nothing behind a hole, and what is paired there is marked.
//! Where both directions have holes, it may have pipelined in these for the first time: pairs behind them
//! are marked until the client has taken [`TURNS`] turns. A capture that comes into the middle of a connection may
//! lack the beginning of its first request, and the requests that its first answers are to: pairs are marked until
//! the client has taken a turn.

use crate::time::Timestamp;

/// A client that has taken so many turns, and was not seen to pipeline, takes turns.
const TURNS: u32 = 6;

/// When bytes were captured, and where they stand in the dialogue.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::exchange) struct Moment {
    /// When the packet that brought them was captured.
    pub(in crate::exchange) at: Timestamp,
    /// How many bytes of their direction came before them.
    pub(in crate::exchange) position: u64,
    /// How many bytes of the other direction their sender had received.
    pub(in crate::exchange) acked: Option<u64>,
}

impl Moment {
    /// The bytes of the same packet behind the first `n`.
    #[inline]
    pub(in crate::exchange) fn behind(self, n: usize) -> Self {
        Self { position: self.position + n as u64, ..self }
    }

    /// The last `n` bytes before those of the packet.
    #[inline]
    pub(in crate::exchange) fn ahead(self, n: usize) -> Self {
        Self { position: self.position.saturating_sub(n as u64), ..self }
    }
}

/// What is known of the latest request when the next one begins.
#[derive(Clone, Copy, Debug)]
struct Latest {
    /// What it acknowledged.
    acked: Option<u64>,
    /// Where its answer ended.
    answered: Option<u64>,
    /// It and its answer are an exact pair.
    exact: bool,
    /// All of it was read.
    whole: bool,
    /// There is a hole behind it.
    holed: bool,
}

impl Latest {
    fn new(acked: Option<u64>) -> Self {
        Self { acked, answered: None, exact: false, whole: true, holed: false }
    }
}

impl Default for Latest {
    /// Before the first request everything is answered.
    fn default() -> Self {
        Self { answered: Some(0), ..Self::new(Some(0)) }
    }
}

/// How sure the pairing of one connection stands.
#[derive(Debug)]
pub(super) struct Step {
    /// Requests may be missing.
    requests_lost: bool,
    /// Responses may be missing behind this place.
    responses_lost: Option<u64>,
    /// The latest request, or what came before the first; `None` where nobody knows what that was.
    latest: Option<Latest>,
    turns: u32,
    pipelines: bool,
    /// The capture came into the middle of the connection, and the client has taken no turn since.
    in_middle: bool,
}

impl Default for Step {
    fn default() -> Self {
        Self::new(false)
    }
}

impl Step {
    /// How sure the first pair is: `in_middle` of a connection, or at its beginning.
    pub(super) fn new(in_middle: bool) -> Self {
        Self {
            requests_lost: false,
            responses_lost: None,
            latest: (!in_middle).then(Latest::default),
            turns: 0,
            pipelines: false,
            in_middle,
        }
    }

    /// Whether what came before the capture may be answered yet.
    #[inline]
    pub(super) fn is_in_middle(&self) -> bool {
        self.in_middle
    }

    /// Nothing came before the first request that could be answered.
    pub(super) fn leave_middle(&mut self) {
        self.in_middle = false;
        self.latest.get_or_insert(Latest { holed: self.requests_lost, ..Latest::default() });
    }

    /// Whether counting is enough.
    #[inline]
    pub(super) fn is_kept(&self) -> bool {
        !self.requests_lost && self.responses_lost.is_none()
    }

    /// Whether the client was seen to send a request without the answer to the one before it.
    pub(super) fn is_pipelined(&self) -> bool {
        self.pipelines
    }

    /// Whether an exact pair is beyond doubt.
    pub(super) fn is_sure(&self) -> bool {
        let both = self.requests_lost && self.responses_lost.is_some();
        !self.pipelines && !self.in_middle && (!both || self.turns >= TURNS)
    }

    /// Requests may be missing from here on.
    pub(super) fn lose_requests(&mut self) {
        self.requests_lost = true;
        if let Some(latest) = &mut self.latest {
            latest.holed = true;
        }
    }

    /// A response came that no request asked for.
    pub(super) fn lose_count(&mut self) {
        self.requests_lost = true;
    }

    /// Responses may be missing behind `position`.
    pub(super) fn lose_responses(&mut self, position: u64) {
        self.responses_lost = self.responses_lost.max(Some(position));
    }

    /// The client does not take turns.
    pub(super) fn give_up_turns(&mut self) {
        self.pipelines = true;
    }

    /// A request begins; the responses are read up to `heard`.
    #[inline]
    pub(super) fn begin(&mut self, began: Moment, heard: Moment) {
        let latest = self.latest.replace(Latest::new(began.acked));
        if let (Some(latest), Some(acked)) = (latest, began.acked) {
            self.compare(latest, acked, heard.position);
            if latest.holed {
                self.look_into_hole(began.position, acked, heard);
            }
        }
    }

    /// Learns from what came before a request behind a hole: when the server sent the last bytes that the client
    /// had, it knew of all requests in the hole.
    fn look_into_hole(&mut self, began: u64, acked: u64, heard: Moment) {
        match heard.acked {
            Some(_) if acked < heard.position => self.pipelines = true,
            Some(knew) if acked == heard.position => self.pipelines |= knew < began,
            Some(_) | None => self.lose_responses(heard.position),
        }
    }

    /// Learns from what the next request acknowledged.
    #[inline]
    fn compare(&mut self, latest: Latest, acked: u64, heard: u64) {
        // A hole behind a whole request holds another one, which had no answer either.
        let other_between = latest.holed && latest.whole;
        let silent = latest.acked.is_some_and(|known| acked <= known);
        let unanswered = !latest.holed && self.is_kept() && acked <= heard;
        match latest.answered {
            Some(end) if acked < end || (acked == end && other_between) => self.pipelines = true,
            Some(end) if acked == end && !latest.holed => {
                self.turns = self.turns.saturating_add(1);
                self.in_middle = false;
                if latest.exact && self.is_sure() {
                    self.requests_lost = false;
                    self.responses_lost = self.responses_lost.filter(|&place| place >= end);
                }
            }
            Some(_) => {}
            None => self.pipelines |= silent || unanswered,
        }
    }

    /// The latest request was read, all of it or not.
    pub(super) fn note_request(&mut self, whole: bool) {
        if let Some(latest) = &mut self.latest {
            latest.whole = whole;
        }
    }

    /// The latest request is that of an exact pair.
    pub(super) fn note_exact(&mut self) {
        if let Some(latest) = &mut self.latest {
            latest.exact = true;
        }
    }

    /// The answer to the latest request ended.
    pub(super) fn note_answer(&mut self, end: u64) {
        if let Some(latest) = &mut self.latest {
            latest.answered = Some(end);
        }
    }
}
