//! One rule: what it matches and what becomes of the request then.

use std::sync::Arc;

use super::address::Address;
use super::condition::Match;
use super::edit::{PathRewrite, RequestEdits};
use super::note::Origin;
use super::sampling::Share;

/// Rules for some hosts, from one document.
#[derive(Clone, Debug)]
pub struct RuleSet {
    /// Kind, namespace and name: `VirtualService default/httpbin`.
    pub name: Arc<str>,
    /// Where it stands.
    pub origin: Origin,
    /// The hosts that it is for, resolved: names, `*.suffix`, or `*`.
    pub hosts: Vec<String>,
    /// The gateways that it is bound to; never empty.
    pub gateways: Vec<String>,
    /// In which order its matches are tried.
    pub order: Order,
    /// The rules, in declared order.
    pub rules: Vec<Rule>,
}

/// In which order the matches for one host are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As declared (Istio).
    Declared,
    /// The most specific first (Gateway API).
    Specific,
}

/// A rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name in reports: that of its document and its place in it.
    pub name: Arc<str>,
    /// Where it stands.
    pub origin: Origin,
    /// It applies where one of these is met; never empty.
    pub matches: Vec<Match>,
    /// The share of requests that an injected fault answers instead.
    pub abort: Option<Share>,
    /// What becomes of the others.
    pub action: Action,
}

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Action {
    /// It goes to one of the destinations, and copies of it to mirrors.
    Forward(Forward),
    /// The proxy answers with a redirect.
    Redirect,
    /// The proxy answers with this status.
    Respond(u16),
}

/// Where requests go.
#[derive(Clone, Debug, Default)]
pub struct Forward {
    /// Of these, one gets the request.
    pub primaries: Vec<Primary>,
    /// Each of these may get a copy.
    pub mirrors: Vec<Mirror>,
    /// Destinations that the rule names and that get nothing: those of weight or share zero.
    pub idle: Vec<Address>,
    /// What becomes of the path.
    pub path: Option<PathRewrite>,
}

/// A weighted destination.
#[derive(Clone, Debug)]
pub struct Primary {
    /// Where.
    pub to: Address,
    /// Its weight; not zero where there are others.
    pub weight: u32,
    /// What is changed in a request that it gets, and in the copies of that request.
    pub edits: Arc<RequestEdits>,
    /// Whether it is sent there.
    pub part: Part,
}

/// A mirror.
#[derive(Clone, Debug)]
pub struct Mirror {
    /// Where.
    pub to: Address,
    /// Of how many requests it gets a copy.
    pub share: Share,
    /// Which of the endpoints it is; `None` where the user named none for it.
    pub place: Option<usize>,
}

/// What a weighted destination is to a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The service that was captured: it has answered already.
    Captured,
    /// Another one; which of the endpoints it is, or `None` where the user named none for it.
    Other(Option<usize>),
}

impl Forward {
    /// The sum of the weights.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.primaries.iter().map(|primary| u64::from(primary.weight)).sum()
    }

    /// All that it names.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        let primaries = self.primaries.iter().map(|primary| &primary.to);
        primaries.chain(self.mirrors.iter().map(|mirror| &mirror.to)).chain(&self.idle)
    }
}
