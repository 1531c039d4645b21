//! Where a request goes: which destinations, in which role, and why.
//!
//! It does not know that a replay exists: a request's head and its stable identity in, a
//! [`Decision`] out.

pub mod host;
pub mod sampling;

use std::sync::Arc;

pub use host::{HostEdit, SHADOW_SUFFIX};
pub use sampling::{Draw, Percent, PercentError};

/// The part that a destination plays for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A copy, with the shadow's Host; the client never sees the answer.
    Shadow,
    /// The weighted choice of the rule fell on another subset than the captured one: the request
    /// itself, its Host unchanged.
    Canary,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Shadow, Self::Canary];

    /// The name in recordings and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shadow => "shadow",
            Self::Canary => "canary",
        }
    }
}

/// One place that a request is sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// In which role.
    pub role: Role,
    /// The destination's name in the rules (a subset or host), or `v2` for `--to`.
    pub name: Arc<str>,
}

/// What the rules say about one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The rule that matched, as the report names it.
    pub rule: Arc<str>,
    /// Where the request goes, and why it goes nowhere else.
    pub destinations: Vec<Destination>,
    /// Why nothing is sent, when `destinations` is empty.
    pub why_nothing: Option<NotMirrored>,
}

/// Why the rules send a request nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NotMirrored {
    /// The sampled percentage left it out.
    NotSampled,
}

/// A rule book of one line: a share of all requests goes to one mirror, as `--to URL --percent P` asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// The share.
    pub percent: Percent,
    /// Where it goes.
    pub destination: Destination,
    rule: Arc<str>,
}

impl Mirror {
    /// Mirrors `percent` of the requests to the one destination of `--to`, named `v2`.
    #[must_use]
    pub fn to_v2(percent: Percent) -> Self {
        let destination = Destination { role: Role::Shadow, name: "v2".into() };
        Self { percent, destination, rule: "--to".into() }
    }

    /// What becomes of the request with this draw.
    #[must_use]
    pub fn decide(&self, draw: Draw) -> Decision {
        let taken = self.percent.takes(draw);
        Decision {
            rule: self.rule.clone(),
            destinations: if taken { vec![self.destination.clone()] } else { Vec::new() },
            why_nothing: (!taken).then_some(NotMirrored::NotSampled),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_form_sends_what_the_percentage_takes_and_says_why_not() {
        let mirror = Mirror::to_v2(Percent::new(50.0).unwrap());
        let taken = mirror.decide(Draw::from_value(499_999));
        assert_eq!(taken.destinations, [Destination { role: Role::Shadow, name: "v2".into() }]);
        assert_eq!((&*taken.rule, taken.why_nothing), ("--to", None));
        let left = mirror.decide(Draw::from_value(500_000));
        assert!(left.destinations.is_empty());
        assert_eq!(left.why_nothing, Some(NotMirrored::NotSampled));
    }
}
