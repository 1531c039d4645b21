//! How often each destination of each rule was picked, beside how often it should have been.

use super::decision::{Decision, NotMirrored};
use super::rule::{Action, Part, Rule};
use super::table::RouteTable;

/// What a destination is to the requests of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// The captured service, which has answered already.
    Captured,
    /// Another weighted destination.
    Canary,
    /// A mirror.
    Shadow,
}

impl Standing {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Captured => "captured",
            Self::Canary => "canary",
            Self::Shadow => "shadow",
        }
    }
}

/// One destination's share of the requests of a rule.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ShareCount {
    /// The rule.
    pub rule: String,
    /// What the destination is.
    pub standing: Standing,
    /// Its name.
    pub destination: String,
    /// The share that the rule gives it, from 0 to 1.
    pub expected: f64,
    /// Requests that the rule forwarded.
    pub requests: u64,
    /// Those of them for which the destination was picked.
    pub picked: u64,
}

/// 3.29 standard deviations hold 99.9 % of a normal distribution.
const DEVIATIONS: f64 = 3.290_526_731_491_896;

impl ShareCount {
    /// The share that was met; `None` without requests.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
    pub fn observed(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.picked as f64 / self.requests as f64)
    }

    /// Where the share lies that the picks were drawn with, at 99.9 % confidence (Wilson's interval).
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
    pub fn interval(&self) -> Option<(f64, f64)> {
        let (p, n) = (self.observed()?, self.requests as f64);
        let z2 = DEVIATIONS * DEVIATIONS;
        let centre = p + z2 / (2.0 * n);
        let spread = DEVIATIONS * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
        let low = if self.picked == 0 { 0.0 } else { (centre - spread) / (1.0 + z2 / n) };
        let high = if self.picked == self.requests { 1.0 } else { (centre + spread) / (1.0 + z2 / n) };
        Some((low, high))
    }
}

/// Counts decisions.
#[derive(Clone, Debug, Default)]
pub struct Shares {
    rules: Vec<Counts>,
}

#[derive(Clone, Debug, Default)]
struct Counts {
    requests: u64,
    primaries: Vec<u64>,
    mirrors: Vec<u64>,
}

impl Shares {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(table: &RouteTable) -> Self {
        let counts = |rule: &Rule| match &rule.action {
            Action::Forward(forward) => Counts {
                requests: 0,
                primaries: vec![0; forward.primaries.len()],
                mirrors: vec![0; forward.mirrors.len()],
            },
            Action::Redirect | Action::Respond(_) => Counts::default(),
        };
        Self { rules: table.rules().map(counts).collect() }
    }

    /// Counts a decision; one that forwards nothing counts nowhere.
    pub fn count(&mut self, decision: &Decision) {
        debug_assert!(decision.picked.is_some() || decision.why_nothing != Some(NotMirrored::NotSampled));
        let Some(picked) = &decision.picked else { return };
        let Some(counts) = self.rules.get_mut(picked.rule) else { return };
        counts.requests += 1;
        picked.primary.and_then(|n| counts.primaries.get_mut(n)).into_iter().for_each(|n| *n += 1);
        for mirror in &picked.mirrors {
            counts.mirrors.get_mut(*mirror).into_iter().for_each(|n| *n += 1);
        }
    }

    /// What was counted, for each rule that had requests.
    #[must_use]
    pub fn told(&self, table: &RouteTable) -> Vec<ShareCount> {
        let with = table.rules().zip(&self.rules).filter(|(_, counts)| counts.requests > 0);
        with.flat_map(|(rule, counts)| of_rule(rule, counts)).collect()
    }

    /// What each rule gives to whom, whatever was counted.
    #[must_use]
    pub fn expected(table: &RouteTable) -> Vec<ShareCount> {
        let all = Self::new(table);
        table.rules().zip(&all.rules).flat_map(|(rule, counts)| of_rule(rule, counts)).collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "weights are numbers of 32 bits, and few")]
fn of_rule(rule: &Rule, counts: &Counts) -> Vec<ShareCount> {
    let Action::Forward(forward) = &rule.action else { return Vec::new() };
    let line = |standing, name: &str, expected, picked: Option<&u64>| ShareCount {
        rule: rule.name.to_string(),
        standing,
        destination: name.to_owned(),
        expected,
        requests: counts.requests,
        picked: picked.copied().unwrap_or_default(),
    };
    let total = forward.total() as f64;
    let mut lines = Vec::new();
    for (number, primary) in forward.primaries.iter().enumerate() {
        let standing = match primary.part {
            Part::Captured => Standing::Captured,
            Part::Other(_) => Standing::Canary,
        };
        let expected = f64::from(primary.weight) / total;
        lines.push(line(standing, &primary.to.name, expected, counts.primaries.get(number)));
    }
    for (number, mirror) in forward.mirrors.iter().enumerate() {
        let picked = counts.mirrors.get(number);
        lines.push(line(Standing::Shadow, &mirror.to.name, mirror.share.fraction(), picked));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(requests: u64, picked: u64) -> ShareCount {
        ShareCount {
            rule: "r".to_owned(),
            standing: Standing::Shadow,
            destination: "v2".to_owned(),
            expected: 0.1,
            requests,
            picked,
        }
    }

    /// The values were computed apart from this code, by the textbook's formula.
    #[test]
    fn the_interval_is_wilsons() {
        let (low, high) = count(20_000, 2_000).interval().unwrap();
        assert!((low - 0.093_235).abs() < 1e-5 && (high - 0.107_198).abs() < 1e-5, "{low} {high}");
        let (low, high) = count(10, 0).interval().unwrap();
        assert!(low.abs() < 1e-12 && (high - 0.519_867).abs() < 1e-5, "{low} {high}");
        assert!((count(10, 10).interval().unwrap().1 - 1.0).abs() < 1e-12);
        assert_eq!(count(0, 0).interval(), None);
    }
}
