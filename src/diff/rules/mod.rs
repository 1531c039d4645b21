//! The user's rules: which differences are meant, or do not matter.
//!
//! A rule says of which exchanges (route, method, host, status, content type) and of which place in the answer
//! it speaks, and what it allows there. Of several rules for a place the most exact one decides, also where it
//! does not allow what a broader one would; two that are equally exact for one place are refused. What rules
//! rule out stays in the report, with the rule's name.
//!
//! ```toml
//! [[rule]]
//! route = "/orders/{number}"
//! path = "$.updated_at"
//! time_tolerance = "5s"
//! reason = "set when the order is read"
//!
//! [[rule]]
//! status = 200
//! v2_status = 204
//! ignore = "deleting answers without content from now on"
//!
//! [[route]]
//! template = "/users/{user}/orders"
//! ```
//!
//! A `[[route]]` says which requests are one route, where what all of them show does not tell.

mod effect;
mod field;
mod file;
mod pattern;
mod selector;
mod suggest;

use jiff::civil::Date;

use super::routes::RouteTemplates;
use super::{Difference, Kind, Layer};
use crate::time::Timestamp;

use effect::Effect;
use field::Field;
use pattern::{Exactness, Pattern};
use selector::{Selector, StatusRange};

pub(super) use effect::Value;
pub use suggest::Allowing;

/// A rules file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct RulesError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, and what to do.
    pub message: String,
}

/// The rules of a file.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    templates: RouteTemplates,
}

#[derive(Clone, Debug)]
struct Rule {
    name: String,
    line: usize,
    selector: Selector,
    place: Place,
    kind: Option<Kind>,
    effect: Effect,
    reason: Option<String>,
    /// The last day on which it held, where that is over.
    expired: Option<Date>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// Another status than v1's, which is one of these.
    Status(StatusRange),
    Header(Field),
    Body(Pattern),
}

/// What is known about a rule without any answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleInfo<'r> {
    /// Its name: its own, or `line 12`.
    pub name: &'r str,
    /// The line it begins at.
    pub line: usize,
    /// Why the user wrote it.
    pub reason: Option<&'r str>,
    /// The last day on which it held, where that is over: it allows nothing any more.
    pub expired: Option<Date>,
}

/// What rules ask of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject<'e> {
    /// The route template of the request.
    pub route: &'e str,
    /// The method.
    pub method: &'e str,
    /// The host that the captured request was for, in lower case, without a port.
    pub host: &'e str,
    /// v1's status.
    pub status: u16,
    /// The media type of v1's answer in lower case, without parameters; empty where it declares none.
    pub content_type: &'e str,
}

impl Rules {
    /// Reads a rules file; `today` tells which rules have expired.
    ///
    /// # Errors
    /// Names the line and what is wrong there: the TOML, a pattern, a rule without a place or an effect, two
    /// rules that are equally exact for one place.
    pub fn parse(text: &str, today: Date) -> Result<Self, RulesError> {
        let (rules, templates) = file::parse(text, today)?;
        let rules = Self { rules, templates };
        rules.refuse_ties()?;
        Ok(rules)
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The user's templates of routes: `[[route]]`.
    #[must_use]
    pub const fn templates(&self) -> &RouteTemplates {
        &self.templates
    }

    /// The rules in the file's order, which is how [`Ruled`] counts them.
    pub fn iter(&self) -> impl Iterator<Item = RuleInfo<'_>> {
        self.rules.iter().map(|rule| RuleInfo {
            name: &rule.name,
            line: rule.line,
            reason: rule.reason.as_deref(),
            expired: rule.expired,
        })
    }

    /// The rules that speak of an exchange.
    #[must_use]
    pub fn applicable(&self, subject: &Subject<'_>) -> Applicable<'_> {
        let speaks = |rule: &&(usize, &Rule)| rule.1.expired.is_none() && rule.1.selector.fits(subject);
        let mut rules: Vec<_> = self.rules.iter().enumerate().collect::<Vec<_>>();
        rules.retain(|rule| speaks(&rule));
        // The most exact first.
        rules.sort_by_key(|(_, rule)| std::cmp::Reverse(rule.exactness()));
        Applicable(rules)
    }

    /// Two rules between which nothing decides, for a place that both speak of.
    fn refuse_ties(&self) -> Result<(), RulesError> {
        let live: Vec<_> = self.rules.iter().filter(|rule| rule.expired.is_none()).collect();
        let mut by_exactness: Vec<(_, &Rule)> = live.iter().map(|rule| (rule.exactness(), *rule)).collect();
        by_exactness.sort_by_key(|(exactness, _)| *exactness);
        for same in by_exactness.chunk_by(|a, b| a.0 == b.0) {
            for (i, (_, rule)) in same.iter().enumerate() {
                if let Some((_, other)) = same[..i].iter().find(|(_, other)| rule.ties_with(other)) {
                    let message = format!(
                        "the rule at line {} speaks of the same place, and neither is the more exact one; \
                         narrow one of them by route, method, host, status, content_type, kind or place",
                        other.line
                    );
                    return Err(RulesError { line: rule.line, message });
                }
            }
        }
        Ok(())
    }
}

impl Rule {
    fn exactness(&self) -> ((usize, usize), usize, Exactness) {
        let place = match &self.place {
            Place::Body(pattern) => pattern.exactness(),
            Place::Header(field) => field.exactness(),
            Place::Status(range) => range.exactness(),
        };
        (self.selector.exactness(), usize::from(self.kind.is_some()), place)
    }

    fn ties_with(&self, other: &Self) -> bool {
        let places = match (&self.place, &other.place) {
            (Place::Body(a), Place::Body(b)) => a.meets(b),
            (Place::Header(a), Place::Header(b)) => a.meets(b),
            (Place::Status(a), Place::Status(b)) => a.meets(*b),
            _ => false,
        };
        let kinds = self.kind.is_none() || other.kind.is_none() || self.kind == other.kind;
        let topics = self.effect.is_of_arrays() == other.effect.is_of_arrays();
        places && kinds && topics && self.selector.meets(&other.selector)
    }

    fn speaks_of(&self, difference: &Difference) -> bool {
        let place = match (&self.place, difference.layer) {
            (Place::Header(field), Layer::Header) => field.covers(&difference.path),
            (Place::Status(range), Layer::Status) => {
                let status = difference.v2.as_deref().and_then(|v2| v2.parse().ok());
                status.is_some_and(|status| range.holds(status))
            }
            (Place::Body(pattern), Layer::Body) if self.effect.is_of_arrays() => {
                difference.kind == Kind::Reordered && pattern.ends_at(&difference.path)
            }
            (Place::Body(pattern), Layer::Body) => pattern.covers(&difference.path),
            _ => false,
        };
        place && self.kind.is_none_or(|kind| kind == difference.kind)
    }
}

/// A difference that a rule allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ruled {
    /// Its place in the list of differences.
    pub difference: usize,
    /// The rule's place in the file.
    pub rule: usize,
}

/// The rules that speak of one exchange, the most exact first, each with its place in the file.
#[derive(Clone, Debug, Default)]
pub struct Applicable<'r>(Vec<(usize, &'r Rule)>);

/// How the elements of an array belong together, where a rule says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Elements<'r> {
    /// Equal ones, wherever they are.
    AnyOrder,
    /// Those with the same value of that member.
    ByKey(&'r str),
}

impl<'r> Applicable<'r> {
    /// The rule that allows a difference between these values, by its place in the file.
    pub(super) fn allowing(
        &self,
        difference: &Difference,
        values: [&Value<'_>; 2],
        answered: [Timestamp; 2],
    ) -> Option<usize> {
        let (place, rule) = self.0.iter().find(|(_, rule)| rule.speaks_of(difference))?;
        rule.effect.allows(difference.kind, values, answered).then_some(*place)
    }

    /// Whether some rule says how elements belong together.
    pub(super) fn speak_of_arrays(&self) -> bool {
        self.0.iter().any(|(_, rule)| rule.effect.is_of_arrays())
    }

    /// Whether no rule speaks of the exchange.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How the elements of the array at that path belong together.
    pub(super) fn elements(&self, path: &str) -> Option<Elements<'r>> {
        self.0.iter().find_map(|(_, rule)| match (&rule.place, &rule.effect) {
            (Place::Body(pattern), Effect::AnyOrder) if pattern.ends_at(path) => Some(Elements::AnyOrder),
            (Place::Body(pattern), Effect::ByKey(key)) if pattern.ends_at(path) => Some(Elements::ByKey(key)),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests;
