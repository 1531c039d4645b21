//! The language of `--fail-on`: a condition in CEL over what a run has counted; where it holds, the run fails.
//!
//! | name | is |
//! |---|---|
//! | `captured`, `replayed`, `skipped`, `compared` | rows: all, sent, not sent, with two whole answers side by side |
//! | `same`, `noise`, `different`, `failed`, `not_comparable` | rows by verdict |
//! | `confirmed`, `unverified`, `drift`, `volatile`, `ruled_out` | distinct differences by class |
//! | `new`, `known` | distinct differences that count, by whether `--accepted` or `--against` knows them |
//! | `slower` | routes that v2 answers more slowly |
//! | `different_share`, `failed_share` | `different` as a share of `compared`, `failed` of `replayed`, from 0.0 to 1.0 |
//!
//! All but the shares are whole numbers, which CEL does not compare with fractions: `different_share > 0.01`.

use std::sync::Arc;

use cel::{Context, Value};

use super::summary::{DistinctDifference, Exchanges, RouteSummary, Standing, Verdicts};
use crate::diff::Class;
use crate::expression::{Expression, ExpressionError};

/// The variables that an expression may name.
const NAMES: [&str; 19] = [
    "captured",
    "replayed",
    "skipped",
    "compared",
    "same",
    "noise",
    "different",
    "failed",
    "not_comparable",
    "confirmed",
    "unverified",
    "drift",
    "volatile",
    "ruled_out",
    "new",
    "known",
    "slower",
    "different_share",
    "failed_share",
];

/// When a run fails, where the user says so.
#[derive(Clone, Debug)]
pub struct FailOn(Arc<Expression>);

impl FailOn {
    /// Understands an expression.
    ///
    /// # Errors
    /// When it is none, names what is not known, or is not a condition.
    pub fn new(text: &str) -> Result<Self, ExpressionError> {
        let expression = Expression::new(text, &NAMES, Context::default())?;
        // Asked about runs that are unlike in everything, so that most of its branches are taken.
        for n in [0_u32, 1, 1000] {
            let value = |name: &str| match name {
                "different_share" | "failed_share" => Value::Float(f64::from(n) / 1000.0),
                _ => Value::Int(i64::from(n)),
            };
            match expression.holds(value) {
                // A run of nothing is judged by other means.
                Err(ExpressionError::Senseless(_)) if n == 0 => {}
                answer => _ = answer.map_err(|error| error.knowing(&NAMES.join(", ")))?,
            }
        }
        Ok(Self(Arc::new(expression)))
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.text()
    }

    /// Whether a run fails by it.
    ///
    /// # Errors
    /// When it has no answer for this run, in words.
    pub(super) fn holds(&self, counts: &Counts) -> Result<bool, String> {
        self.0.holds(|name| counts.value(name)).map_err(|error| error.to_string())
    }
}

/// What a run has counted, by the names of the language.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    captured: u64,
    replayed: u64,
    skipped: u64,
    verdicts: Verdicts,
    confirmed: u64,
    unverified: u64,
    drift: u64,
    volatile: u64,
    ruled_out: u64,
    pub(super) new: u64,
    pub(super) known: u64,
    slower: u64,
}

impl Counts {
    pub(super) fn new(
        exchanges: &Exchanges,
        verdicts: Verdicts,
        differences: &[DistinctDifference],
        routes: &[RouteSummary],
    ) -> Self {
        let of = |class: Class| differences.iter().filter(|d| d.class == class).count() as u64;
        let counting = |standing: Option<Standing>| {
            differences.iter().filter(|d| d.class.counts() && d.standing == standing).count() as u64
        };
        Self {
            captured: exchanges.captured,
            replayed: exchanges.replayed,
            skipped: exchanges.skipped_in_all(),
            verdicts,
            confirmed: of(Class::Confirmed),
            unverified: of(Class::Unverified),
            drift: of(Class::Drift),
            volatile: of(Class::Volatile),
            ruled_out: of(Class::RuledOut),
            // Where nothing is known, all is new.
            new: counting(Some(Standing::New)) + counting(None),
            known: counting(Some(Standing::Known)),
            slower: routes.iter().filter(|route| route.slower.is_some()).count() as u64,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a share of counts far below 2^53")]
    fn value(&self, name: &str) -> Value {
        let share = |part: u64, whole: u64| Value::Float(part as f64 / whole.max(1) as f64);
        let v = &self.verdicts;
        let count = match name {
            "different_share" => return share(v.different, v.compared()),
            "failed_share" => return share(v.failed, self.replayed),
            "captured" => self.captured,
            "replayed" => self.replayed,
            "skipped" => self.skipped,
            "compared" => v.compared(),
            "same" => v.matching,
            "noise" => v.noise,
            "different" => v.different,
            "failed" => v.failed,
            "not_comparable" => v.not_comparable,
            "confirmed" => self.confirmed,
            "unverified" => self.unverified,
            "drift" => self.drift,
            "volatile" => self.volatile,
            "ruled_out" => self.ruled_out,
            "new" => self.new,
            "known" => self.known,
            _ => self.slower,
        };
        Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_the_language_has_a_value_of_its_own() {
        let counts = Counts {
            captured: 100,
            replayed: 90,
            skipped: 10,
            verdicts: Verdicts { matching: 40, noise: 20, different: 15, failed: 9, not_comparable: 6 },
            confirmed: 1,
            unverified: 2,
            drift: 3,
            volatile: 4,
            ruled_out: 5,
            new: 7,
            known: 8,
            slower: 11,
        };
        let all = "captured == 100 && replayed == 90 && skipped == 10 && compared == 75 && same == 40 && noise == 20 \
            && different == 15 && failed == 9 && not_comparable == 6 && confirmed == 1 && unverified == 2 && drift == 3 \
            && volatile == 4 && ruled_out == 5 && new == 7 && known == 8 && slower == 11 && different_share == 0.2 \
            && failed_share == 0.1";
        assert_eq!(FailOn::new(all).unwrap().holds(&counts), Ok(true));
        assert!(NAMES.iter().all(|name| all.contains(name)), "each is named above");
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        for (text, says) in [
            ("different", "not true or false"),
            ("differing > 0", "there is no `differing`; known are captured,"),
            ("different_share > 1", ""),
            ("failed >", "column"),
        ] {
            let error = FailOn::new(text).err().map(|error| error.to_string());
            assert!(
                text.starts_with("different_share") || error.is_some_and(|error| error.contains(says)),
                "{text}"
            );
        }
    }

    #[test]
    fn a_condition_without_an_answer_says_so() {
        let condition = FailOn::new("different / compared > 0").unwrap();
        assert!(condition.holds(&Counts::default()).is_err());
    }
}
