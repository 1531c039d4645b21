//! From an exchange to what becomes of it: the user's choice, the rules, and the plan.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::exchange::Exchange;
#[cfg(feature = "live")]
use crate::replay::Plan;
use crate::replay::choice::Choice;
use crate::replay::guard::{CapturedServer, Guard};
use crate::replay::plan::nothing_to_send;
use crate::replay::{Planner, ShadowRequest, SkipReason};
use crate::route::{Decision, Destination, Draws, Role, RouteTable, Sampling, Shares, Why};
use crate::stream::ConnectionId;

/// How far apart the connections of two readings of a capture are numbered. A capture with more
/// connections between the same ports would have some of the next reading wait for those of this one.
const LAP: u32 = 1 << 20;

/// Says of each exchange what is sent where, or why nothing is.
#[derive(Debug)]
pub struct Planning {
    /// Which requests the user wants sent.
    pub choice: Choice,
    /// Which are sent where; its endpoints are the settings' clients.
    pub table: RouteTable,
    /// How often its destinations were picked.
    pub shares: Shares,
    /// How its percentages draw.
    pub sampling: Sampling,
    /// Chooses what a percentage contains.
    pub seed: u64,
    /// What is sent.
    pub planner: Planner,
    /// Watches for traffic that was captured on its way to the target; `None` where any is allowed.
    pub guard: Option<Guard>,
    /// Empty at first.
    pub why: InWords,
}

/// What becomes of an exchange at one destination.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) role: Role,
    pub(super) destination: Arc<str>,
    /// The rule that decided.
    pub(super) rule: Arc<str>,
    /// What of it the request met.
    pub(super) matched: Arc<str>,
    /// Why it is sent there, or why not.
    pub(super) reason: Arc<str>,
    /// What is sent to which of the endpoints, or why nothing is.
    pub(super) request: Result<(usize, ShadowRequest), SkipReason>,
}

impl Planning {
    /// What becomes of an exchange: at each of its destinations, or one thing where it has none.
    ///
    /// # Errors
    /// When it was captured on its way to the target: the run must not go on.
    pub(super) fn plan(&mut self, exchange: &Exchange) -> Result<Vec<Planned>, CapturedServer> {
        let obstacle = self.planner.obstacle(exchange);
        if let Some(guard) = &mut self.guard {
            guard.admit(exchange, obstacle)?;
        }
        let decide = || {
            let draws = Draws::new(self.seed, exchange.id, self.sampling);
            Cow::Owned(self.table.decide(&exchange.request.head, &draws))
        };
        let decision = self.table.decision_for_all().map_or_else(decide, Cow::Borrowed);
        // Asked of every exchange, since it counts from the first.
        let left_out = self.choice.leaves_out(exchange);
        // A share is of what the rules decide about, and not of what could not or should not be sent at all.
        if obstacle.or(left_out).is_none() {
            self.shares.count(&decision);
        }
        let nothing = obstacle.or(left_out).or_else(|| nothing_to_send(exchange, &decision));
        let reason = match nothing {
            None => {
                let (planner, why) = (&self.planner, &mut self.why);
                let planned =
                    |to| planned(&decision, to, why.text(to), planner.request(exchange, &decision, to));
                let planned: Vec<_> = decision.destinations.iter().map(planned).collect();
                if planned.iter().all(|one| one.request.is_err()) || self.choice.has_room() {
                    return Ok(planned);
                }
                SkipReason::BeyondLimit
            }
            // Its body was not wanted any more.
            Some(SkipReason::BodyNotKept) if self.choice.limit == Some(0) => SkipReason::BeyondLimit,
            Some(reason) => reason,
        };
        Ok(vec![self.skipped(&decision, reason)])
    }

    /// Whether a request may yet be sent, where of its exchange there is the request's head alone. Nothing is counted.
    #[cfg(feature = "live")]
    pub(super) fn may_send(&mut self, begun: &Exchange) -> bool {
        if !self.choice.may_take(begun) {
            return false;
        }
        let draws = Draws::new(self.seed, begun.id, self.sampling);
        match self.planner.plan(begun, &self.table.decide(&begun.request.head, &draws)) {
            Plan::Send(requests) => requests.iter().any(|(_, request)| request.is_ok()),
            Plan::Skip(_) => false,
        }
    }

    fn skipped(&self, decision: &Decision, skipped: SkipReason) -> Planned {
        let why = decision.why_nothing.filter(|why| SkipReason::from(*why) == skipped);
        let reason = why.map_or_else(|| skipped.words().to_owned(), |why| why.to_string());
        let (role, name) = self.table.meant(decision).unwrap_or((Role::Shadow, ""));
        Planned {
            role,
            destination: name.into(),
            rule: Arc::clone(&decision.rule),
            matched: Arc::clone(&decision.matched),
            reason: reason.into(),
            request: Err(skipped),
        }
    }
}

fn planned(
    decision: &Decision,
    to: &Destination,
    reason: Arc<str>,
    request: Result<ShadowRequest, SkipReason>,
) -> Planned {
    let place = to.place.ok_or(SkipReason::NoEndpoint);
    Planned {
        role: to.role,
        destination: Arc::clone(&to.name),
        rule: Arc::clone(&decision.rule),
        matched: Arc::clone(&decision.matched),
        reason,
        request: request.and_then(|request| Ok((place?, request))),
    }
}

/// Why a request goes to a destination, in words, which are mostly those of the request before.
#[derive(Debug, Default)]
pub struct InWords(Option<(Why, Arc<str>)>);

impl InWords {
    fn text(&mut self, to: &Destination) -> Arc<str> {
        match &self.0 {
            Some((why, text)) if *why == to.why => Arc::clone(text),
            _ => {
                let text: Arc<str> = to.why.to_string().into();
                self.0 = Some((to.why, Arc::clone(&text)));
                text
            }
        }
    }
}

/// How often the capture has been read before, and how much later everything is for it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lap {
    pub(super) number: u32,
    pub(super) shift: Duration,
}

impl Lap {
    /// The next reading of a capture that lasted so long.
    pub(super) fn next(self, lasted: Duration) -> Self {
        Self { number: self.number.saturating_add(1), shift: self.shift.saturating_add(lasted) }
    }

    /// A captured connection as that of this reading.
    pub(super) fn connection(self, connection: ConnectionId) -> ConnectionId {
        let instance = connection.instance.wrapping_add(self.number.wrapping_mul(LAP));
        ConnectionId { instance, ..connection }
    }
}
