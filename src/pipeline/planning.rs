//! From an exchange to what becomes of it: the user's choice, the rules, and the plan.

use std::time::Duration;

use super::feed::Pending;
use crate::exchange::Exchange;
use crate::replay::choice::Choice;
use crate::replay::guard::{CapturedServer, Guard};
use crate::replay::{Plan, Planner, ShadowRequest, SkipReason};
use crate::route::{Decision, Destination, Draws, Role, RouteTable, Sampling};
use crate::stream::ConnectionId;

/// How far apart the connections of two readings of a capture are numbered. A capture with more
/// connections between the same ports would have some of the next reading wait for those of this one.
const LAP: u32 = 1 << 20;

/// The request of a row with the place that it goes to, or why it is not sent.
pub(super) type Placed = Result<(usize, ShadowRequest), SkipReason>;

/// Says of each exchange what is sent where, or why nothing is.
#[derive(Debug)]
pub struct Planning {
    /// Which requests the user wants sent.
    pub choice: Choice,
    /// Where to; its endpoints are the settings' clients.
    pub table: RouteTable,
    /// How its percentages draw.
    pub sampling: Sampling,
    /// Chooses what a percentage contains.
    pub seed: u64,
    /// What is sent.
    pub planner: Planner,
    /// Watches for traffic that was captured on its way to the target; `None` where any is allowed.
    pub guard: Option<Guard>,
}

impl Planning {
    /// What the rules decided, and what becomes of the exchange.
    ///
    /// # Errors
    /// When it was captured on its way to the target: the run must not go on.
    pub(super) fn plan(&mut self, exchange: &Exchange) -> Result<(Decision, Plan), CapturedServer> {
        let obstacle = self.planner.obstacle(exchange);
        if let Some(guard) = &mut self.guard {
            guard.admit(exchange, obstacle)?;
        }
        let draws = Draws::new(self.seed, exchange.id, self.sampling);
        let decision = self.table.decide(&exchange.request.head, &draws);
        // Asked of every exchange, since it counts from the first.
        let left_out = self.choice.leaves_out(exchange);
        let plan = match obstacle.or(left_out) {
            Some(reason) => Plan::Skip(reason),
            None => self.planner.plan(exchange, &decision),
        };
        let sends =
            matches!(&plan, Plan::Send(requests) if requests.iter().any(|(_, request)| request.is_ok()));
        let plan = if sends && !self.choice.has_room() { Plan::Skip(SkipReason::BeyondLimit) } else { plan };
        Ok((decision, plan))
    }

    /// The rows that a plan comes to: each with the request and the place that it goes to, or with why it is
    /// not sent.
    pub(super) fn rows(
        &self,
        exchange: Exchange,
        lap: u32,
        decision: &Decision,
        plan: Plan,
    ) -> Vec<(Pending, Placed)> {
        let pending = |exchange, copy, role, destination: &str, reason| Pending {
            exchange,
            lap,
            copy,
            role,
            destination: destination.to_owned(),
            route: decision.rule.to_string(),
            matched: decision.matched.to_string(),
            reason,
        };
        match plan {
            Plan::Skip(reason) => {
                let why = decision.why_nothing.filter(|why| SkipReason::from(*why) == reason);
                let why = why.map_or_else(|| reason.words().to_owned(), |why| why.to_string());
                let (role, name) = self.table.meant(decision).unwrap_or((Role::Shadow, ""));
                vec![(pending(exchange, 0, role, name, why), Err(reason))]
            }
            Plan::Send(requests) => {
                let row = |(copy, (to, request)): (u32, (Destination, Result<ShadowRequest, SkipReason>))| {
                    let row = pending(exchange.clone(), copy, to.role, &to.name, to.why.to_string());
                    (row, request.and_then(|request| Ok((to.place.ok_or(SkipReason::NoEndpoint)?, request))))
                };
                (0..).zip(requests).map(row).collect()
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
