//! From an exchange to what becomes of it: the user's choice, the rules, and the plan.

use std::time::Duration;

use crate::exchange::Exchange;
use crate::replay::choice::Choice;
use crate::replay::guard::{CapturedServer, Guard};
use crate::replay::{Plan, Planner, SkipReason};
use crate::route::{Draw, Mirror};
use crate::stream::ConnectionId;

/// How far apart the connections of two readings of a capture are numbered. A capture with more
/// connections between the same ports would have some of the next reading wait for those of this one.
const LAP: u32 = 1 << 20;

/// Says of each exchange what is sent where, or why nothing is.
#[derive(Debug)]
pub struct Planning {
    /// Which requests the user wants sent.
    pub choice: Choice,
    /// Where to.
    pub mirror: Mirror,
    /// Chooses what a percentage contains.
    pub seed: u64,
    /// What is sent.
    pub planner: Planner,
    /// Watches for traffic that was captured on its way to the target; `None` where any is allowed.
    pub guard: Option<Guard>,
}

impl Planning {
    /// The rule that decided, and what becomes of the exchange.
    ///
    /// # Errors
    /// When it was captured on its way to the target: the run must not go on.
    pub(super) fn plan(&mut self, exchange: &Exchange) -> Result<(String, Plan), CapturedServer> {
        let obstacle = self.planner.obstacle(exchange);
        if let Some(guard) = &mut self.guard {
            guard.admit(exchange, obstacle)?;
        }
        let decision = self.mirror.decide(Draw::new(self.seed, exchange.id));
        // Asked of every exchange, since it counts from the first.
        let left_out = self.choice.leaves_out(exchange);
        let plan = match obstacle.or(left_out) {
            Some(reason) => Plan::Skip(reason),
            None => self.planner.plan(exchange, &decision),
        };
        let plan = match plan {
            Plan::Send(_) if !self.choice.has_room() => Plan::Skip(SkipReason::BeyondLimit),
            plan => plan,
        };
        Ok((decision.rule.to_string(), plan))
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
