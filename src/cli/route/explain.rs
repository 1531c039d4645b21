//! What the rules make of one request, told in full.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use serde::Serialize;

use crate::config::{Routing, tls_words};
use crate::exchange::Exchange;
use crate::http::RequestHead;
use crate::replay::{HeadEdits, RuleEdits};
use crate::report::visible;
use crate::route::{
    Action, Address, Decision, Destination, FieldEdits, Forward, Match, Mirror, Miss, Part, Primary,
    RequestFacts, Role, Rule, Search, Standing,
};

/// What it takes to tell.
pub(super) struct Explainer {
    pub(super) routing: Routing,
    pub(super) edits: HeadEdits,
    /// Edits for one destination alone, by its name.
    pub(super) own: BTreeMap<Arc<str>, FieldEdits>,
}

/// A request and what becomes of it.
#[derive(Debug, Serialize)]
pub(super) struct Explanation {
    method: String,
    host: String,
    target: String,
    /// Which of the rules' hosts was found for the request's; `None` where no rules are for it.
    host_entry: Option<String>,
    /// The rule; `None` where no rules are for the host, or none matches.
    rule: Option<Found>,
    /// What becomes of the request, in words.
    outcome: String,
    destinations: Vec<Choice>,
    /// What was tried before, in order.
    not: Vec<Missed>,
    /// What would have been tried after that.
    not_reached: Vec<Found>,
}

#[derive(Debug, Serialize)]
struct Found {
    name: String,
    origin: String,
    matched: String,
}

impl Found {
    fn new(rule: &Rule, tried: &Match) -> Self {
        Self {
            name: rule.name.to_string(),
            origin: rule.origin.to_string(),
            matched: tried.words().to_string(),
        }
    }
}

/// A destination that the request may go to.
#[derive(Debug, Serialize)]
struct Choice {
    standing: &'static str,
    destination: String,
    /// From 0 to 1.
    share: f64,
    /// For which R it is picked.
    when: String,
    /// Of which weighted destinations' requests this describes the copy, where their copies differ.
    copies: Option<String>,
    /// Whether it is sent; the captured service has answered already.
    sent: bool,
    /// Where it is; `None` where no `--endpoint` says so, or where nothing is sent.
    endpoint: Option<String>,
    /// How a mesh speaks to it, where a destination rule says so.
    tls: Option<String>,
    /// The head that is sent, line by line; empty for the captured service.
    head: Vec<String>,
    /// The lines of it that are not in the captured head.
    changed: Vec<String>,
}

/// A match that was tried and not met.
#[derive(Debug, Serialize)]
pub(super) struct Missed {
    rule: String,
    origin: String,
    condition: String,
    observed: String,
}

impl Explainer {
    pub(super) fn explain(&self, head: &RequestHead) -> Explanation {
        let request = RequestFacts::new(head);
        let search = self.routing.table.search(&request);
        let (outcome, destinations) = match &search.hit {
            None if search.host.is_some() => {
                ("no rule matches: a proxy would answer 404".to_owned(), Vec::new())
            }
            None => ("no rules are for this host".to_owned(), Vec::new()),
            Some((_, rule, met)) => match &rule.action {
                Action::Redirect => ("answered by a redirect; nothing is sent".to_owned(), Vec::new()),
                Action::Respond(status) => {
                    (format!("answered by the proxy with {status}; nothing is sent"), Vec::new())
                }
                Action::Forward(forward) => {
                    let outcome = rule.abort.map_or("forwarded".to_owned(), |share| {
                        format!("forwarded, but for {share} that a fault answers: of these nothing is sent")
                    });
                    (outcome, self.choices(head, forward, met))
                }
            },
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Explanation {
            method: text(head.method()),
            host: text(request.authority),
            target: text(head.target()),
            host_entry: search.host.map(str::to_owned),
            rule: search.hit.as_ref().map(|(_, rule, met)| Found::new(rule, met)),
            outcome,
            destinations,
            not: missed(&search),
            not_reached: search.not_reached.iter().map(|(rule, tried)| Found::new(rule, tried)).collect(),
        }
    }

    fn choices(&self, head: &RequestHead, forward: &Forward, met: &Match) -> Vec<Choice> {
        let target = forward.path.as_ref().map(|rewrite| {
            let request = RequestFacts::new(head);
            rewrite.apply(&request.target, met.path())
        });
        let edited = |primary: Option<&Primary>| Decision {
            edits: primary.map(|primary| Arc::clone(&primary.edits)).unwrap_or_default(),
            target: target.clone(),
            ..Decision::default()
        };
        let total = forward.total();
        let mut from = 0;
        let mut choices = Vec::new();
        for primary in &forward.primaries {
            let to = from + u64::from(primary.weight);
            let when = match forward.primaries.len() {
                1 => "always: the rule's only destination".to_owned(),
                _ => format!("R mod {total} in {from}..{to}"),
            };
            from = to;
            #[expect(clippy::cast_precision_loss, reason = "weights are numbers of 32 bits, and few")]
            let share = f64::from(primary.weight) / total as f64;
            let choice = self.primary(head, primary, &edited(Some(primary)));
            choices.push(Choice { share, when, ..choice });
        }
        for mirror in &forward.mirrors {
            for (copied, names) in copied(forward) {
                let choice = self.mirror(head, mirror, &edited(copied));
                choices.push(Choice { copies: names, ..choice });
            }
        }
        choices
    }

    fn primary(&self, head: &RequestHead, primary: &Primary, decision: &Decision) -> Choice {
        match primary.part {
            Part::Captured => self.choice(Standing::Captured, &primary.to, None, head, &[]),
            Part::Other(place) => {
                let sent = self.head(head, decision, &primary.to.name, Role::Canary, UNKNOWN_CLIENT);
                self.choice(Standing::Canary, &primary.to, place, head, &sent)
            }
        }
    }

    fn mirror(&self, head: &RequestHead, mirror: &Mirror, decision: &Decision) -> Choice {
        let when = if mirror.share.fraction() >= 1.0 {
            "always".to_owned()
        } else {
            format!("R mod {} < {}", mirror.share.denominator, mirror.share.numerator)
        };
        let sent = self.head(head, decision, &mirror.to.name, Role::Shadow, UNKNOWN_CLIENT);
        let choice = self.choice(Standing::Shadow, &mirror.to, mirror.place, head, &sent);
        Choice { share: mirror.share.fraction(), when, ..choice }
    }

    fn choice(
        &self,
        standing: Standing,
        to: &Address,
        place: Option<usize>,
        captured: &RequestHead,
        sent: &[u8],
    ) -> Choice {
        let tls = self.routing.rules.tls(to, self.routing.service_port);
        Choice {
            standing: standing.name(),
            destination: to.name.to_string(),
            share: 1.0,
            when: String::new(),
            copies: None,
            sent: standing != Standing::Captured && place.is_some(),
            endpoint: place.and_then(|place| self.url(place)),
            tls: tls.and_then(|(_, mode)| tls_words(mode)),
            changed: changed(captured, sent),
            head: lines(sent),
        }
    }

    /// The head as it is sent to a destination by its name.
    fn head(&self, head: &RequestHead, decision: &Decision, to: &str, role: Role, client: IpAddr) -> Vec<u8> {
        let mut edits = match role {
            Role::Shadow => self.edits.clone(),
            Role::Canary => self.edits.for_canary(),
        };
        if let Some(own) = self.own.get(to) {
            edits.fields = edits.fields.then(own);
        }
        edits.apply(head, client, RuleEdits::of(decision)).to_vec()
    }

    /// The lines that a captured request's destination gets and that were not captured.
    pub(super) fn changes(&self, exchange: &Exchange, decision: &Decision, to: &Destination) -> Vec<String> {
        let client = exchange.connection.client.ip();
        let head = &exchange.request.head;
        changed(head, &self.head(head, decision, &to.name, to.role, client))
    }

    fn url(&self, place: usize) -> Option<String> {
        self.routing.endpoints.get(place).map(|(_, url)| url.clone())
    }
}

/// The weighted destinations whose requests are copied, one for each that has other edits, and their names
/// where there are several: a copy is of the request as its destination gets it.
fn copied(forward: &Forward) -> Vec<(Option<&Primary>, Option<String>)> {
    let mut all: Vec<(&Primary, Vec<&str>)> = Vec::new();
    for primary in &forward.primaries {
        match all.iter_mut().find(|(other, _)| other.edits == primary.edits) {
            Some((_, names)) => names.push(&primary.to.name),
            None => all.push((primary, vec![&primary.to.name])),
        }
    }
    match &all[..] {
        [] => vec![(None, None)],
        [(only, _)] => vec![(Some(only), None)],
        several => several.iter().map(|(one, names)| (Some(*one), Some(names.join(" or ")))).collect(),
    }
}

/// What was tried before the hit.
pub(super) fn missed(search: &Search<'_>) -> Vec<Missed> {
    let missed = |miss: &Miss<'_>| Missed {
        rule: miss.rule.name.to_string(),
        origin: miss.rule.origin.to_string(),
        condition: miss.failed.to_string(),
        observed: miss.observed.clone(),
    };
    search.misses.iter().map(missed).collect()
}

/// Who the client is, only a capture tells: an address that is nobody's (RFC 6666) stands for it.
const UNKNOWN_CLIENT: IpAddr = IpAddr::V6(Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0x5ad0));

/// The lines of a head, without the empty one at its end.
fn lines(head: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(head).replace(&UNKNOWN_CLIENT.to_string(), "<address of the client>");
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

fn changed(captured: &RequestHead, sent: &[u8]) -> Vec<String> {
    let captured = lines(captured.raw());
    lines(sent).into_iter().filter(|line| !captured.contains(line)).collect()
}

/// For a person.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "request   {} {} for {:?}", visible(&self.method), visible(&self.target), self.host)?;
        if let Some(host) = &self.host_entry {
            writeln!(f, "host      {}", visible(host))?;
        }
        if let Some(rule) = &self.rule {
            writeln!(f, "rule      {} ({})", visible(&rule.name), visible(&rule.origin))?;
            writeln!(f, "match     {}", visible(&rule.matched))?;
        }
        writeln!(f, "outcome   {}", self.outcome)?;
        for choice in &self.destinations {
            choice.fmt(f)?;
        }
        for (number, missed) in self.not.iter().enumerate() {
            let label = if number == 0 { "not" } else { "" };
            let (rule, origin) = (visible(&missed.rule), visible(&missed.origin));
            let (wants, has) = (visible(&missed.condition), visible(&missed.observed));
            writeln!(f, "{label:<9} {rule} ({origin}): it wants {wants}, which is {has}")?;
        }
        for rule in &self.not_reached {
            let (name, origin) = (visible(&rule.name), visible(&rule.origin));
            writeln!(f, "{:<9} {name} ({origin}): not reached", "")?;
        }
        Ok(())
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = super::percent(self.share);
        write!(f, "{:<9} {}  {share}  {}", self.standing, visible(&self.destination), self.when)?;
        if let Some(names) = &self.copies {
            write!(f, ", as a copy of what {} gets", visible(names))?;
        }
        match (&self.endpoint, self.standing == Standing::Captured.name()) {
            (_, true) => writeln!(f, "; not sent, it has answered already")?,
            (Some(url), false) => writeln!(f, "; sent to {}", visible(url))?,
            (None, false) => writeln!(f, "; there is no --endpoint for it")?,
        }
        if let Some(tls) = &self.tls {
            writeln!(f, "{:10}{}", "", visible(tls))?;
        }
        for line in &self.changed {
            writeln!(f, "{:10}> {}", "", visible(line))?;
        }
        Ok(())
    }
}
