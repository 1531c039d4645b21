//! All rules together, ready to decide.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::address::{Selector, names};
use super::condition::{Condition, Match, same_gateway};
use super::decision::{Decision, Destination, NotMirrored, Picked, Role, Why};
use super::hosts::Hosts;
use super::note::{Origin, Warning};
use super::request::{MESH, RequestFacts, Vantage};
use super::rule::{Action, Forward, Mirror, Order, Part, Rule, RuleSet};
use super::sampling::{Draws, Percent, Purpose, Sampling, Share};
use super::{address::Address, precedence};
use crate::http::RequestHead;

/// What the user says beside the rules.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// Destinations that there is an endpoint for, in the order of the endpoints.
    pub endpoints: Vec<Selector>,
    /// The service that was captured; `None` finds it by [`RouteTable::new`]'s rule.
    pub captured: Option<Selector>,
    /// From where the requests came.
    pub vantage: Vantage,
}

/// The rules, what each destination is to the replay, and from where the requests come.
#[derive(Clone, Debug)]
pub struct RouteTable {
    /// Each set of rules that applies, with the gateway under which it does.
    sets: Vec<(RuleSet, String)>,
    /// The rules of all sets, by number: the set and the place in it.
    rules: Vec<(usize, usize)>,
    hosts: Hosts<Listed>,
    vantage: Vantage,
    /// The decision about every request, where it is the same for all.
    fixed: Option<Decision>,
}

/// A host of rules.
#[derive(Clone, Debug)]
struct Listed {
    /// As it is listed: a name, `*.suffix`, or `*`.
    host: Arc<str>,
    /// What is tried for it, in order; hosts with the same rules share it.
    candidates: Arc<[Candidate]>,
}

/// A match that may be met by a request for a host.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    rule: usize,
    /// Which of the rule's matches.
    of: usize,
}

/// A match that was tried and not met.
#[derive(Debug)]
pub struct Miss<'t> {
    /// The rule.
    pub rule: &'t Rule,
    /// Its match.
    pub tried: &'t Match,
    /// The first condition of it that was not met.
    pub failed: &'t Condition,
    /// What the request has instead.
    pub observed: String,
}

/// How a request finds its rule.
#[derive(Debug, Default)]
pub struct Search<'t> {
    /// What was tried before, in order.
    pub misses: Vec<Miss<'t>>,
    /// The host of the rules that was found for the request's; `None` where no rules are for it.
    pub host: Option<&'t str>,
    /// The rule, its number, and the match that was met.
    pub hit: Option<(usize, &'t Rule, &'t Match)>,
    /// What would have been tried after that, in order.
    pub not_reached: Vec<(&'t Rule, &'t Match)>,
}

impl RouteTable {
    /// A table of one rule: a share of all requests, whatever their host, goes to one mirror, as `--to URL
    /// --percent P` asks.
    #[must_use]
    pub fn to_v2(percent: Percent) -> Self {
        let to = Address { host: "v2".into(), subset: None, port: None, name: "v2".into() };
        let mirror = Mirror { to, share: share_of(percent), place: Some(0) };
        let origin = Origin::new("--to", 0);
        let rule = Rule {
            name: "--to".into(),
            origin: origin.clone(),
            matches: vec![Match::new(None, Vec::new())],
            abort: None,
            action: Action::Forward(Forward { mirrors: vec![mirror], ..Forward::default() }),
        };
        let set = RuleSet {
            name: "--to".into(),
            origin,
            hosts: vec!["*".to_owned()],
            gateways: vec![MESH.to_owned()],
            order: Order::Declared,
            rules: vec![rule],
        };
        Self::build(vec![(set, MESH.to_owned())], Vantage::default(), &mut Vec::new())
    }

    /// The table of these sets of rules, and what there is to say about how they fit the setup.
    ///
    /// In each rule, the captured service is the destination that [`Setup::captured`] names. Without it, it
    /// is the subset called `v1`, be it without weight; else, of the weighted destinations without an
    /// endpoint, the heaviest, and of equals the first; else none, and every request of the rule is sent
    /// again.
    #[must_use]
    pub fn new(sets: Vec<RuleSet>, setup: &Setup) -> (Self, Vec<Warning>) {
        let mut warnings = Vec::new();
        let mut used = Vec::new();
        for mut set in sets {
            let gateway = gateway_of(&set, &setup.vantage);
            if !set.gateways.iter().any(|bound| same_gateway(bound, &gateway))
                && !names_gateway(&set, &gateway)
            {
                let text = format!(
                    "{} is bound to the gateway {}, and so does not apply to traffic through {gateway} (--gateway)",
                    set.name,
                    set.gateways.join(" or ")
                );
                warnings.push(Warning { origin: set.origin.clone(), text });
                continue;
            }
            for rule in &mut set.rules {
                cast(rule, setup, &mut warnings);
            }
            used.push((set, gateway));
        }
        (Self::build(used, setup.vantage.clone(), &mut warnings), warnings)
    }

    fn build(sets: Vec<(RuleSet, String)>, vantage: Vantage, warnings: &mut Vec<Warning>) -> Self {
        let mut table = Self { sets, rules: Vec::new(), hosts: Hosts::default(), vantage, fixed: None };
        let mut first_rules = Vec::new();
        for (number, (set, _)) in table.sets.iter().enumerate() {
            first_rules.push(table.rules.len());
            table.rules.extend((0..set.rules.len()).map(|place| (number, place)));
        }
        let mut owners: Hosts<Vec<usize>> = Hosts::default();
        let mut all_hosts: Vec<Cow<'_, str>> = Vec::new();
        for (number, (set, gateway)) in table.sets.iter().enumerate() {
            for host in set.hosts.iter().flat_map(|host| names(host)) {
                let sharing = owners.entry(host, Vec::new);
                match sharing.first().map(|first| &table.sets[*first]) {
                    None => all_hosts.push(host.into()),
                    Some(_) if sharing.contains(&number) => continue,
                    Some((first, _)) if set.order == Order::Declared && gateway == MESH => {
                        let text = format!(
                            "{} is for {host:?}, too, for which {} at {} comes first: a sidecar takes one of them, here the first",
                            set.name, first.name, first.origin
                        );
                        warnings.push(Warning { origin: set.origin.clone(), text });
                        continue;
                    }
                    Some(_) => {}
                }
                sharing.push(number);
            }
        }
        let mut hosts = Hosts::default();
        let mut made: HashMap<Vec<usize>, Arc<[Candidate]>> = HashMap::new();
        for host in all_hosts {
            let sharing = owners.entry(&host, Vec::new);
            let candidates =
                made.entry(sharing.clone()).or_insert_with_key(|sets| table.candidates(sets, &first_rules));
            hosts.entry(&host, || Listed { host: host.as_ref().into(), candidates: Arc::clone(candidates) });
        }
        table.hosts = hosts;
        table.fixed = table.decide_for_all();
        table
    }

    /// What is tried for a host for which these sets are, in order.
    fn candidates(&self, sets: &[usize], first_rules: &[usize]) -> Arc<[Candidate]> {
        let of_set = |number: &usize| {
            let (set, _) = &self.sets[*number];
            let first = first_rules[*number];
            set.rules.iter().enumerate().flat_map(move |(place, rule)| {
                (0..rule.matches.len()).map(move |of| Candidate { rule: first + place, of })
            })
        };
        let mut all: Vec<_> = sets.iter().flat_map(of_set).collect();
        let ranked = sets.iter().any(|number| self.sets[*number].0.order == Order::Specific);
        if ranked {
            all.sort_by_cached_key(|candidate| precedence::rank(self.tried(*candidate).1));
        } else if sets.len() > 1 {
            // A gateway merges the sets, and what matches anything goes to the end.
            all.sort_by_key(|candidate| self.tried(*candidate).1.is_any());
        }
        all.into()
    }

    fn tried(&self, candidate: Candidate) -> (&Rule, &Match, &str) {
        let (set, place) = self.rules[candidate.rule];
        let (set, gateway) = &self.sets[set];
        let rule = &set.rules[place];
        (rule, &rule.matches[candidate.of], gateway)
    }

    /// All rules by their numbers.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().map(|(set, place)| &self.sets[*set].0.rules[*place])
    }

    /// The rule of that number.
    #[must_use]
    pub fn rule(&self, number: usize) -> Option<&Rule> {
        let (set, place) = *self.rules.get(number)?;
        self.sets.get(set)?.0.rules.get(place)
    }

    /// The sets of rules that apply.
    pub fn sets(&self) -> impl Iterator<Item = &RuleSet> {
        self.sets.iter().map(|(set, _)| set)
    }

    /// The destinations that there is an endpoint for, each with the endpoint's place.
    pub fn placed(&self) -> impl Iterator<Item = (&Address, usize)> {
        let forwards = self.rules().filter_map(|rule| match &rule.action {
            Action::Forward(forward) => Some(forward),
            Action::Redirect | Action::Respond(_) => None,
        });
        forwards.flat_map(|forward| {
            let primaries = forward.primaries.iter().filter_map(|primary| match primary.part {
                Part::Other(place) => Some((&primary.to, place?)),
                Part::Captured => None,
            });
            primaries.chain(forward.mirrors.iter().filter_map(|mirror| Some((&mirror.to, mirror.place?))))
        })
    }

    /// The destination that a decision was about, where it sends nothing: the first mirror of the rule, in
    /// the name of all. `None` where there is none.
    #[must_use]
    pub fn meant<'t>(&'t self, decision: &'t Decision) -> Option<(Role, &'t str)> {
        if let Some(first) = decision.destinations.first() {
            return Some((first.role, &first.name));
        }
        match &self.rule(decision.picked.as_ref()?.rule)?.action {
            Action::Forward(forward) => Some((Role::Shadow, &*forward.mirrors.first()?.to.name)),
            Action::Redirect | Action::Respond(_) => None,
        }
    }

    /// Finds the rule for a request, with all that was tried before it.
    #[must_use]
    pub fn search(&self, request: &RequestFacts<'_>) -> Search<'_> {
        let mut search = Search::default();
        let Some(listed) = self.hosts.find(request.host()) else { return search };
        search.host = Some(&listed.host);
        for candidate in listed.candidates.iter() {
            let (rule, tried, gateway) = self.tried(*candidate);
            if search.hit.is_some() {
                search.not_reached.push((rule, tried));
                continue;
            }
            match tried.failing(request, &self.vantage, gateway) {
                None => search.hit = Some((candidate.rule, rule, tried)),
                Some(failed) => {
                    let observed = failed.observed(request, &self.vantage, gateway);
                    search.misses.push(Miss { rule, tried, failed, observed });
                }
            }
        }
        search
    }

    /// The rule for a request, and whether there are rules for its host.
    fn hit(&self, request: &RequestFacts<'_>) -> Result<(usize, &Rule, &Match), NotMirrored> {
        let listed = self.hosts.find(request.host()).ok_or(NotMirrored::NoHost)?;
        let met = listed.candidates.iter().find_map(|candidate| {
            let (rule, tried, gateway) = self.tried(*candidate);
            tried.failing(request, &self.vantage, gateway).is_none().then_some((candidate.rule, rule, tried))
        });
        met.ok_or(NotMirrored::NoRoute)
    }

    /// What becomes of every request, where it is the same for all: where nothing is looked at and nothing drawn. The
    /// draw that [`Why::Mirror`] holds is then that of none.
    #[must_use]
    pub const fn decision_for_all(&self) -> Option<&Decision> {
        self.fixed.as_ref()
    }

    fn decide_for_all(&self) -> Option<Decision> {
        let first = *self.hosts.for_all()?.candidates.first()?;
        let (rule, met, _) = self.tried(first);
        let Action::Forward(forward) = &rule.action else { return None };
        let is_fixed = met.conditions().is_empty()
            && rule.abort.is_none()
            && forward.path.is_none()
            && forward.primaries.len() < 2
            && forward.mirrors.iter().all(|mirror| mirror.share.fraction() >= 1.0);
        is_fixed.then(|| {
            let mut decision = Decision::by(rule, met);
            forward.decide(&mut decision, first.rule, &Draws::from_value(0, Sampling::default()));
            decision
        })
    }

    /// What becomes of a request.
    #[must_use]
    pub fn decide(&self, head: &RequestHead, draws: &Draws) -> Decision {
        let request = RequestFacts::new(head);
        let (number, rule, met) = match self.hit(&request) {
            Ok(hit) => hit,
            Err(nothing) => return Decision::nothing(nothing),
        };
        let decision = Decision::by(rule, met);
        let nothing = |why| Decision { why_nothing: Some(why), ..decision.clone() };
        match &rule.action {
            _ if rule.abort.is_some_and(|share| share.takes(draws.of(Purpose::Fault))) => {
                nothing(NotMirrored::Fault)
            }
            Action::Redirect => nothing(NotMirrored::Redirect),
            Action::Respond(status) => nothing(NotMirrored::Respond(*status)),
            Action::Forward(forward) => {
                let mut decision = decision;
                forward.decide(&mut decision, number, draws);
                decision.target = forward.path.as_ref().map(|path| path.apply(&request.target, met.path()));
                decision
            }
        }
    }
}

fn share_of(percent: Percent) -> Share {
    if percent == Percent::ALL { Share::ALL } else { percent.into() }
}

/// The gateway under which a set is looked at.
fn gateway_of(set: &RuleSet, vantage: &Vantage) -> String {
    let own = || set.gateways.iter().find(|name| *name == MESH).or(set.gateways.first());
    vantage.gateway.as_ref().or_else(own).map_or(MESH, String::as_str).to_owned()
}

/// Whether a match names the gateway, which overrides what the set is bound to.
fn names_gateway(set: &RuleSet, gateway: &str) -> bool {
    let names = |condition: &Condition| matches!(condition, Condition::Gateways(names) if names.iter().any(|name| same_gateway(name, gateway)));
    set.rules.iter().flat_map(|rule| &rule.matches).any(|tried| tried.conditions().iter().any(names))
}

/// Says what each of a rule's destinations is to the replay.
fn cast(rule: &mut Rule, setup: &Setup, warnings: &mut Vec<Warning>) {
    let Action::Forward(forward) = &mut rule.action else { return };
    let place = |to: &Address| {
        let close =
            setup.endpoints.iter().enumerate().filter_map(|(n, named)| Some((named.closeness(to)?, n)));
        close.max_by_key(|(closeness, n)| (*closeness, std::cmp::Reverse(*n))).map(|(_, n)| n)
    };
    for mirror in &mut forward.mirrors {
        mirror.place = place(&mirror.to);
    }
    let captured = captured(forward, setup, place);
    for (number, primary) in forward.primaries.iter_mut().enumerate() {
        primary.part =
            if captured == Some(number) { Part::Captured } else { Part::Other(place(&primary.to)) };
    }
    let unnamed = forward.primaries.iter().filter(|primary| primary.part == Part::Other(None)).map(|p| &p.to);
    let unnamed =
        unnamed.chain(forward.mirrors.iter().filter(|mirror| mirror.place.is_none()).map(|m| &m.to));
    for to in unnamed {
        let text = format!(
            "there is no --endpoint for {}, so what `{}` sends there is counted and not sent",
            to.name, rule.name
        );
        warnings.push(Warning { origin: rule.origin.clone(), text });
    }
}

/// Which of the weighted destinations is the captured service.
fn captured(forward: &Forward, setup: &Setup, place: impl Fn(&Address) -> Option<usize>) -> Option<usize> {
    let heaviest = |among: &dyn Fn(&Address) -> bool| {
        let chosen = forward.primaries.iter().enumerate().filter(|(_, primary)| among(&primary.to));
        chosen.max_by_key(|(number, primary)| (primary.weight, std::cmp::Reverse(*number))).map(|(n, _)| n)
    };
    if let Some(named) = &setup.captured {
        return heaviest(&|to| named.closeness(to).is_some());
    }
    let is_v1 = |to: &Address| to.subset.as_deref() == Some("v1");
    if forward.idle.iter().any(is_v1) {
        return heaviest(&is_v1);
    }
    heaviest(&is_v1).or_else(|| heaviest(&|to| place(to).is_none()))
}

impl Forward {
    /// Fills in where the request goes.
    fn decide(&self, decision: &mut Decision, rule: usize, draws: &Draws) {
        let mut picked = Picked { rule, ..Picked::default() };
        if let Some((number, why)) = self.primary(draws) {
            let primary = &self.primaries[number];
            picked.primary = Some(number);
            decision.edits = Arc::clone(&primary.edits);
            if let Part::Other(place) = primary.part {
                let name = Arc::clone(&primary.to.name);
                decision.destinations.push(Destination { role: Role::Canary, name, place, why });
            }
        }
        for (number, mirror) in self.mirrors.iter().enumerate() {
            let draw = draws.of(Purpose::Mirror(number));
            if mirror.share.takes(draw) {
                picked.mirrors.push(number);
                decision.destinations.push(Destination {
                    role: Role::Shadow,
                    name: Arc::clone(&mirror.to.name),
                    place: mirror.place,
                    why: Why::Mirror { draw, share: mirror.share },
                });
            }
        }
        if decision.destinations.is_empty() {
            let none = if self.mirrors.is_empty() { NotMirrored::NoMirror } else { NotMirrored::NotSampled };
            decision.why_nothing = Some(none);
        }
        decision.picked = Some(picked);
    }

    /// The weighted destination that R falls on.
    fn primary(&self, draws: &Draws) -> Option<(usize, Why)> {
        if let [_] = &self.primaries[..] {
            return Some((0, Why::Only));
        }
        let (total, draw) = (self.total(), draws.of(Purpose::Primary));
        let rest = draw.value().checked_rem(total)?;
        let mut from = 0;
        for (number, primary) in self.primaries.iter().enumerate() {
            let to = from + u64::from(primary.weight);
            if rest < to {
                return Some((number, Why::Weight { draw, total, from, to }));
            }
            from = to;
        }
        None
    }
}

impl Decision {
    /// One of a rule, of which one match was met.
    fn by(rule: &Rule, met: &Match) -> Self {
        let (rule, matched) = (Arc::clone(&rule.name), met.words());
        Self { rule, matched, ..Self::default() }
    }

    /// Nothing is sent, and no rule said so.
    fn nothing(why: NotMirrored) -> Self {
        Self { why_nothing: Some(why), ..Self::default() }
    }
}
