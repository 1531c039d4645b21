//! Where a request goes: which destinations, in which role, and why.
//!
//! It does not know that a replay exists: a request's head and its stable identity in, a
//! [`Decision`] out.
//!
//! ```text
//! rules files ─Rules::read─▶ RuleSets ─RouteTable::new─▶ RouteTable
//!                                                             │ decide(head, draws)
//!                            host ─▶ first match that is met ─▶ fault? ─▶ weights, mirrors ─▶ Decision
//! ```

mod address;
mod condition;
mod decision;
mod document;
mod edit;
mod gateway_api;
pub mod host;
mod hosts;
mod istio;
mod note;
mod operations;
mod path;
mod pattern;
mod precedence;
mod re2;
mod request;
mod rule;
mod rules;
pub mod sampling;
mod shares;
mod table;
mod yaml;

pub use address::{Address, Selector};
pub use condition::{Condition, Match, PathKind, PathMatch, TextMatch};
pub use decision::{Decision, Destination, NotMirrored, Picked, Role, Why};
pub use edit::{
    Field, FieldEdit, FieldEdits, FieldError, FieldName, PathRewrite, Replaced, RequestEdits, Substitution,
};
pub use host::{HostEdit, SHADOW_SUFFIX};
pub use istio::{DestinationRule, Subset, Tls, TlsMode, TlsPolicy};
pub use note::{Origin, RulesError, Warning};
pub use pattern::Pattern;
pub use request::{RequestFacts, Target, Vantage};
pub use rule::{Action, Forward, Mirror, Order, Part, Primary, Rule, RuleSet};
pub use rules::{MOST_BYTES, Rules};
pub use sampling::{Draw, Draws, Percent, PercentError, Purpose, Sampling, Share};
pub use shares::{ShareCount, Shares, Standing};
pub use table::{Miss, RouteTable, Search, Setup};
