//! Which requests a percentage takes, as Envoy decides it.
//!
//! Each request has one 64-bit number R. Envoy draws it at random; here it is a keyed hash of the seed
//! and the request's stable identity, so that a run can be repeated, neither order nor threads matter,
//! and a higher percentage takes all that a lower one took. A share of N in D takes the request when
//! `R mod D < N`. Since all shares of a request ask the same R, a smaller one takes a part of what a larger
//! one takes: mirrors nest, and they follow the weights. [`Sampling::Independent`] draws anew for each.

use std::fmt;
use std::str::FromStr;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::exchange::ExchangeId;

/// The number R of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw(u64);

impl Draw {
    /// R for the request named `id`, under the run's `seed`.
    #[must_use]
    pub fn new(seed: u64, id: ExchangeId) -> Self {
        Self(xxh3_64_with_seed(&id.0.to_le_bytes(), seed))
    }

    /// A given R, for explaining what would happen to it.
    #[must_use]
    pub const fn from_value(r: u64) -> Self {
        Self(r)
    }

    /// R itself.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }
}

/// How the draws for the destinations of one request are related.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sampling {
    /// One R decides all of them, as in Envoy.
    #[default]
    Envoy,
    /// Each has its own.
    Independent,
}

impl Sampling {
    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Envoy => "envoy",
            Self::Independent => "independent",
        }
    }
}

/// What is drawn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The choice among weighted destinations.
    Primary,
    /// The mirror of this number, from 0.
    Mirror(usize),
    /// An injected fault, for which Envoy draws a number of its own.
    Fault,
}

/// All draws of one request.
#[derive(Clone, Copy, Debug)]
pub struct Draws {
    one: Draw,
    sampling: Sampling,
}

impl Draws {
    /// The draws for the request named `id`, under the run's `seed`.
    #[must_use]
    pub fn new(seed: u64, id: ExchangeId, sampling: Sampling) -> Self {
        Self { one: Draw::new(seed, id), sampling }
    }

    /// Draws that follow from a given R.
    #[must_use]
    pub const fn from_value(r: u64, sampling: Sampling) -> Self {
        Self { one: Draw::from_value(r), sampling }
    }

    /// R for this purpose.
    #[must_use]
    pub fn of(&self, purpose: Purpose) -> Draw {
        let name = match (self.sampling, purpose) {
            (_, Purpose::Fault) => u64::MAX,
            (Sampling::Envoy, _) | (_, Purpose::Primary) => return self.one,
            (Sampling::Independent, Purpose::Mirror(number)) => number as u64,
        };
        Draw(xxh3_64_with_seed(&name.to_le_bytes(), self.one.0))
    }
}

/// A share of the requests as Envoy holds it: N in D.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// N.
    pub numerator: u32,
    /// D; never zero.
    pub denominator: std::num::NonZeroU32,
}

impl Share {
    /// D of a percentage with decimals.
    const MILLION: std::num::NonZeroU32 = std::num::NonZeroU32::new(1_000_000).unwrap();
    /// D of a whole percentage, and where none is given.
    const HUNDRED: std::num::NonZeroU32 = std::num::NonZeroU32::new(100).unwrap();
    /// Every request.
    pub const ALL: Self = Self { numerator: 100, denominator: Self::HUNDRED };

    /// A whole percentage: N in a hundred.
    #[must_use]
    pub const fn whole(percent: u32) -> Self {
        Self { numerator: percent, denominator: Self::HUNDRED }
    }

    /// Whether it takes the request with this R.
    #[must_use]
    pub fn takes(self, draw: Draw) -> bool {
        draw.0 % u64::from(self.denominator.get()) < u64::from(self.numerator)
    }

    /// The share as a number from 0 to 1.
    #[must_use]
    pub fn fraction(self) -> f64 {
        (f64::from(self.numerator) / f64::from(self.denominator.get())).min(1.0)
    }
}

impl From<Percent> for Share {
    fn from(percent: Percent) -> Self {
        Self { numerator: percent.millionths, denominator: Self::MILLION }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", f64::from(self.numerator) * 100.0 / f64::from(self.denominator.get()))
    }
}

/// A share of the requests: N in a million, Envoy's reading of a percentage with decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent {
    millionths: u32,
}

/// The number was no percentage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a percentage: a number from 0 to 100 such as 5, 0.5 or 12.25")]
pub struct PercentError {
    text: String,
}

impl Percent {
    /// Every request.
    pub const ALL: Self = Self { millionths: 1_000_000 };

    /// A percentage as Istio's `mirrorPercentage.value`: N = trunc(value × 10,000), in the arithmetic of
    /// 64-bit floating point, as Istio computes it.
    ///
    /// # Errors
    /// When `value` is no number from 0 to 100.
    pub fn new(value: f64) -> Result<Self, PercentError> {
        if !(0.0..=100.0).contains(&value) {
            return Err(PercentError { text: value.to_string() });
        }
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 0 to 1,000,000 by the check above, and truncation is the rule"
        )]
        let millionths = (value * 10_000.0) as u32;
        Ok(Self { millionths })
    }

    /// N: how many in a million.
    #[must_use]
    pub const fn millionths(self) -> u32 {
        self.millionths
    }
}

impl Default for Percent {
    fn default() -> Self {
        Self::ALL
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", f64::from(self.millionths) / 10_000.0)
    }
}

/// Reads `5`, `0.5` or `12.25%`.
impl FromStr for Percent {
    type Err = PercentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || PercentError { text: text.to_owned() };
        let number = text.strip_suffix('%').unwrap_or(text).trim();
        let value: f64 = number.parse().map_err(|_| error())?;
        Self::new(value).map_err(|_| error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_truncated_to_millionths_in_floating_point() {
        for (text, millionths) in [
            ("0", 0),
            ("100", 1_000_000),
            ("50", 500_000),
            ("0.5", 5_000),
            ("0.0001", 1),
            ("0.00009", 0),
            ("33.333333", 333_333),
            // 1.13 × 10,000 is 11299.999999999998 in 64 bits: Envoy takes one in a million less.
            ("1.13", 11_299),
            ("0.0003", 2),
            ("12.25%", 122_500),
        ] {
            assert_eq!(text.parse::<Percent>().unwrap().millionths(), millionths, "{text}");
        }
    }

    #[test]
    fn what_is_no_percentage_is_refused() {
        for text in ["", "%", "-1", "100.1", "NaN", "inf", "half", "5%%", "1e3"] {
            let error = text.parse::<Percent>().unwrap_err();
            assert!(error.to_string().starts_with(&format!("`{text}` is not a percentage")), "{error}");
        }
    }

    #[test]
    fn a_request_is_taken_when_r_modulo_d_is_below_n() {
        let share = |percent| Share::from(Percent::new(percent).unwrap());
        let one = share(0.0001);
        for (r, taken) in [(0, true), (1, false), (999_999, false), (1_000_000, true), (u64::MAX, false)] {
            assert_eq!(one.takes(Draw::from_value(r)), taken, "{r}");
            assert!(share(100.0).takes(Draw::from_value(r)) && Share::ALL.takes(Draw::from_value(r)));
            assert!(!share(0.0).takes(Draw::from_value(r)));
        }
    }

    #[test]
    fn draws_depend_on_seed_and_identity_alone() {
        let draw = |seed, id| Draw::new(seed, ExchangeId(id)).value();
        assert_eq!(draw(1, 7), draw(1, 7));
        assert_ne!(draw(1, 7), draw(2, 7));
        assert_ne!(draw(1, 7), draw(1, 8));
    }

    /// 20,000 draws at p = 0.3 have a standard deviation of 65; 3.29 of them is the 99.9 % interval.
    #[test]
    fn the_share_taken_is_the_share_asked_for_and_shares_nest() {
        let share = |percent| Share::from(Percent::new(percent).unwrap());
        let (low, high) = (share(10.0), share(30.0));
        let draws: Vec<_> = (0..20_000).map(|id| Draw::new(42, ExchangeId(id))).collect();
        let taken = draws.iter().filter(|d| high.takes(**d)).count();
        assert!(taken.abs_diff(6_000) <= 214, "{taken}");
        assert!(draws.iter().all(|d| !low.takes(*d) || high.takes(*d)));
    }
}
