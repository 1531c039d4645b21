//! Asking again: what differs is sent to v2 once more, and to v1 as it is now, to tell a regression from noise.
//!
//! ```text
//! judging ──ask──▶ at most N on the way, of their own connections ──answers──▶ judging
//! ```
//!
//! It happens promptly, since what a later request changed would look like noise, in a random order of the
//! two sides, and never in place of a request of the run. How many wait is bounded: a run without a
//! schedule takes no further outcome while they are too many; one with a schedule, or of live traffic,
//! leaves what finds no room unasked, and counts it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::judging::Ruling;
use super::wavering::Wavering;
use super::{Progress, RunError};
use crate::diff::{Side, Verdict};
use crate::exchange::Exchange;
use crate::record::{Again, NotAsked, Row, Secrets};
use crate::replay::client::{Client, Connection};
use crate::replay::engine::Settings;
use crate::replay::methods::is_safe;
use crate::replay::pace::{Arrivals, Rate};
use crate::replay::stop::{Stop, StopSignal};
use crate::replay::{Failure, Outcome, Planner, ShadowRequest};

/// How many rows may wait to be asked again, or be on their way.
const MOST_WAITING: usize = 1024;
/// What they and what came with them may hold, in bytes.
const MEMORY: usize = 64 << 20;

/// What is asked again.
#[derive(Clone, Debug)]
pub struct Verification {
    /// Whether v2 is asked again also with methods that may change state.
    pub unsafe_too: bool,
    /// The share, from 0 to 1, of the rows without a difference that counts.
    pub sample: f64,
    /// Chooses which those are.
    pub seed: u64,
    /// How often a side is asked at most for one row. The first round decides whether there are more.
    pub rounds: u32,
    /// v1 as it is now.
    pub baseline: Option<Baseline>,
    /// Whether the run has no schedule, so that it can wait for this.
    pub waits: bool,
}

/// How v1 is asked.
#[derive(Clone, Debug)]
pub struct Baseline {
    /// Sends to it.
    pub client: Client,
    /// Makes the requests: with the user's edits, and the captured Host.
    pub planner: Planner,
}

/// Decides what is sent again, and sends it. Holds all rows that are being asked.
pub(super) struct Verifying {
    verification: Verification,
    /// By which rows are looked at for that alone: the account of the rules is of those that are counted.
    ruling: Ruling,
    /// Where answers were met that disagree.
    wavering: Wavering,
    asking: Arc<Asking>,
    tasks: JoinSet<Asked>,
    weight: usize,
}

/// What a row is sent again with: taken before its secrets are taken out.
pub(super) struct Question {
    destination: usize,
    v2: ShadowRequest,
    v1: Option<ShadowRequest>,
    weight: usize,
}

/// A row that is asked again.
pub(super) struct Ask {
    /// The row, with its secrets taken out, and the answers so far.
    pub(super) row: Row,
    /// Those secrets, which answers may repeat.
    pub(super) secrets: Option<Secrets>,
    pub(super) question: Question,
    /// Rounds so far.
    pub(super) rounds: u32,
}

/// What came of it.
pub(super) struct Asked {
    pub(super) ask: Ask,
    /// The answers, as they came: with secrets.
    pub(super) answers: Vec<Again>,
    /// Whether the run was told to stop before it had all of them.
    pub(super) interrupted: bool,
}

/// What becomes of a row, as far as asking again is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    /// There is no reason to ask.
    Settled,
    /// There is, and it cannot be done.
    NotAsked(NotAsked),
    /// It is asked.
    Ask,
}

impl Verifying {
    /// Sends by the run's clients, at no more than the run's rate.
    pub(super) fn new(
        verification: Verification,
        settings: &Settings,
        ruling: Ruling,
        stop: StopSignal,
        progress: Arc<Progress>,
    ) -> Self {
        let asking = Asking {
            clients: settings.clients.clone(),
            baseline: verification.baseline.as_ref().map(|baseline| baseline.client.clone()),
            slots: Arc::new(Semaphore::new(settings.concurrency.max(1))),
            throttle: settings.rate.map(Throttle::new),
            parked: Mutex::default(),
            seed: verification.seed,
            stop,
            progress,
        };
        let (asking, tasks, wavering) = (Arc::new(asking), JoinSet::new(), Wavering::default());
        Self { verification, ruling, wavering, asking, tasks, weight: 0 }
    }

    /// Whether outcomes can be taken that may have to be asked again.
    pub(super) fn has_room(&self) -> bool {
        !self.verification.waits || self.is_free()
    }

    /// Whether no row is being asked.
    pub(super) fn is_idle(&self) -> bool {
        self.tasks.is_empty()
    }

    /// What this exchange would be asked again with; its request was just sent.
    pub(super) fn question(
        &self,
        exchange: &Exchange,
        destination: usize,
        request: &ShadowRequest,
        weight: usize,
    ) -> Question {
        let safe = is_safe(exchange.request.head.method());
        let baseline = self.verification.baseline.as_ref().filter(|_| safe);
        let v1 = baseline.map(|baseline| baseline.planner.as_captured(exchange));
        Question { destination, v2: request.clone(), v1, weight }
    }

    /// Whether a row is asked again, by its answers without their secrets; notes on it what is not asked, and why.
    pub(super) fn choose(&self, row: &mut Row, question: &Question) -> bool {
        let Some(judged) = self.ruling.judged(row) else { return false };
        let choice = self.choice(row, judged.verdict);
        match choice {
            Choice::Settled => {}
            Choice::NotAsked(why) => row.not_asked = Some(why),
            Choice::Ask => row.not_asked = self.why_not_v1(question),
        }
        choice == Choice::Ask
    }

    fn choice(&self, row: &Row, verdict: Verdict) -> Choice {
        let wanted = match verdict {
            Verdict::Different => true,
            Verdict::Match | Verdict::Noise => self.is_in_sample(row),
            Verdict::Failed | Verdict::NotComparable => false,
        };
        let safe = is_safe(row.exchange.request.head.method());
        if !wanted {
            Choice::Settled
        } else if !safe && !self.verification.unsafe_too {
            Choice::NotAsked(NotAsked::UnsafeMethod)
        } else if self.asking.stop.state() != Stop::Run {
            Choice::NotAsked(NotAsked::Interrupted)
        } else if !self.verification.waits && !self.is_free() {
            Choice::NotAsked(NotAsked::QueueFull)
        } else {
            Choice::Ask
        }
    }

    /// Why v1 is not asked about a row of which v2 is, where it should be.
    fn why_not_v1(&self, question: &Question) -> Option<NotAsked> {
        (self.verification.baseline.is_some() && question.v1.is_none()).then_some(NotAsked::UnsafeBaseline)
    }

    /// Asks so many rounds.
    pub(super) fn ask(&mut self, ask: Ask, rounds: u32) {
        self.weight += ask.question.weight;
        self.tasks.spawn(Arc::clone(&self.asking).all(ask, rounds));
    }

    /// Asks on where the answers to a row disagree, or those to others like it did; else gives it back.
    pub(super) fn ask_on(&mut self, ask: Ask) -> Option<Ask> {
        let left = self.verification.rounds.saturating_sub(ask.rounds);
        if left == 0 || !self.wavering.has_to_be_asked_on(&ask.row) {
            return Some(ask);
        }
        self.ask(ask, left);
        None
    }

    /// The next row of which all answers are there; for ever, where none is being asked.
    ///
    /// # Errors
    /// When asking fell over.
    pub(super) async fn next(&mut self) -> Result<Asked, RunError> {
        match self.tasks.join_next().await {
            None => std::future::pending().await,
            Some(Err(_)) => Err(RunError::Defect { stage: "asking again" }),
            Some(Ok(asked)) => {
                self.weight -= asked.ask.question.weight;
                Ok(asked)
            }
        }
    }

    fn is_free(&self) -> bool {
        self.tasks.len() < MOST_WAITING && self.weight < MEMORY
    }

    /// A share of the rows, which a row belongs to by its name alone.
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more digits")]
    fn is_in_sample(&self, row: &Row) -> bool {
        let place = xxh3_64_with_seed(row.name().to_string().as_bytes(), self.verification.seed);
        (place as f64) < self.verification.sample * 2f64.powi(64)
    }
}

/// What those who ask share.
struct Asking {
    clients: Vec<Client>,
    baseline: Option<Client>,
    slots: Arc<Semaphore>,
    throttle: Option<Throttle>,
    /// Connections that nobody uses at the moment.
    parked: Mutex<HashMap<Place, Vec<Connection>>>,
    seed: u64,
    stop: StopSignal,
    progress: Arc<Progress>,
}

/// Who is asked: v1, or which of v2's destinations.
type Place = (Side, usize);

/// The moments at which a rate lets something be sent.
struct Throttle {
    start: Instant,
    arrivals: Mutex<Arrivals>,
}

impl Throttle {
    fn new(rate: Rate) -> Self {
        Self { start: Instant::now(), arrivals: Mutex::new(Arrivals::new(rate)) }
    }

    async fn turn(&self) {
        let slot = lock(&self.arrivals).slot(self.start.elapsed());
        if let Some(at) = self.start.checked_add(slot) {
            tokio::time::sleep_until(at).await;
        }
    }
}

impl Asking {
    async fn all(self: Arc<Self>, mut ask: Ask, rounds: u32) -> Asked {
        let mut answers = Vec::new();
        for round in ask.rounds..ask.rounds + rounds {
            for side in self.order(&ask.row, round) {
                match self.one(&ask.question, side).await {
                    Ok(Some(outcome)) => answers.push(Again { side, round, outcome }),
                    Ok(None) => {}
                    Err(Interrupted) => return Asked { ask, answers, interrupted: true },
                }
            }
            ask.rounds += 1;
        }
        Asked { ask, answers, interrupted: false }
    }

    /// Which side is asked first, at random, so that no side always finds what the other has left.
    fn order(&self, row: &Row, round: u32) -> [Side; 2] {
        let seed = self.seed.wrapping_add(u64::from(round) + 1);
        let drawn = xxh3_64_with_seed(&row.exchange.id.0.to_le_bytes(), seed);
        if drawn & 1 == 0 { [Side::V1, Side::V2] } else { [Side::V2, Side::V1] }
    }

    /// Asks a side once; `None` for one that is not asked.
    async fn one(&self, question: &Question, side: Side) -> Result<Option<Outcome>, Interrupted> {
        let (client, request, place) = match side {
            Side::V1 => (self.baseline.as_ref(), question.v1.as_ref(), 0),
            Side::V2 => (self.clients.get(question.destination), Some(&question.v2), question.destination),
        };
        let Some((client, request)) = client.zip(request) else { return Ok(None) };
        let mut stop = self.stop.clone();
        let _slot = tokio::select! {
            biased;
            () = stop.reached(Stop::Finish) => return Err(Interrupted),
            slot = self.turn() => slot,
        };
        Progress::count(&self.progress.asked);
        let mut connection = self.parked(|parked| parked.entry((side, place)).or_default().pop());
        let due = client.clock().now();
        let outcome = client.send(&mut connection, request, due, &mut stop).await;
        if let Some(connection) = connection {
            self.parked(|parked| parked.entry((side, place)).or_default().push(connection));
        }
        match outcome {
            Outcome::Failed { failure: Failure::Interrupted, .. } => Err(Interrupted),
            outcome => Ok(Some(outcome)),
        }
    }

    /// Waits for a place among those on their way. There are never more connections than places.
    async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        let slot = Arc::clone(&self.slots).acquire_owned().await.ok();
        if let Some(throttle) = &self.throttle {
            throttle.turn().await;
        }
        slot
    }

    fn parked<T>(&self, with: impl FnOnce(&mut HashMap<Place, Vec<Connection>>) -> T) -> T {
        with(&mut lock(&self.parked))
    }
}

/// The run was told to stop.
struct Interrupted;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
