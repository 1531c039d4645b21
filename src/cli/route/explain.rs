//! What the rules make of one request, told in full.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use serde::Serialize;

use crate::config::Routing;
use crate::http::RequestHead;
use crate::replay::{HeadEdits, RuleEdits};
use crate::report::visible;
use crate::route::{
    Action, Address, Decision, FieldEdits, Forward, Part, PathMatch, Primary, RequestFacts, Standing, TlsMode,
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
    /// The rule; `None` where no rules are for the host, or none matches.
    rule: Option<Found>,
    /// What becomes of the request, in words.
    outcome: String,
    destinations: Vec<Choice>,
    /// What was tried before, in order.
    not: Vec<Missed>,
}

#[derive(Debug, Serialize)]
struct Found {
    name: String,
    origin: String,
    matched: String,
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
    /// Where it is; `None` where no `--endpoint` says so, or where nothing is sent.
    endpoint: Option<String>,
    /// How a mesh speaks to it, where a destination rule says so.
    tls: Option<String>,
    /// The head that is sent, line by line; empty for the captured service.
    head: Vec<String>,
    /// The lines of it that are not in the captured head.
    changed: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Missed {
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
            None if search.known_host => ("no rule matches: a proxy would answer 404".to_owned(), Vec::new()),
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
                    (outcome, self.choices(head, forward, met.path()))
                }
            },
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Explanation {
            method: text(head.method()),
            host: text(request.authority),
            target: text(head.target()),
            rule: search.hit.as_ref().map(|(_, rule, met)| Found {
                name: rule.name.to_string(),
                origin: rule.origin.to_string(),
                matched: met.words().to_string(),
            }),
            outcome,
            destinations,
            not: search
                .misses
                .iter()
                .map(|miss| Missed {
                    rule: miss.rule.name.to_string(),
                    origin: miss.rule.origin.to_string(),
                    condition: miss.failed.to_string(),
                    observed: miss.observed.clone(),
                })
                .collect(),
        }
    }

    fn choices(&self, head: &RequestHead, forward: &Forward, path: Option<&PathMatch>) -> Vec<Choice> {
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
            choices.push(self.primary(head, forward, primary, path, when));
        }
        // Copies are of the request as its destination gets it: the captured one, where the rule has it.
        let captured = forward.primaries.iter().find(|primary| primary.part == Part::Captured);
        let source = captured.or(forward.primaries.first());
        for mirror in &forward.mirrors {
            let when = if mirror.share.fraction() >= 1.0 {
                "always".to_owned()
            } else {
                format!("R mod {} < {}", mirror.share.denominator, mirror.share.numerator)
            };
            let sent = self.head(head, forward, source, path, &mirror.to, &self.edits);
            choices.push(Choice {
                share: mirror.share.fraction(),
                when,
                endpoint: mirror.place.and_then(|place| self.url(place)),
                ..self.choice(Standing::Shadow, &mirror.to, head, &sent)
            });
        }
        choices
    }

    fn primary(
        &self,
        head: &RequestHead,
        forward: &Forward,
        primary: &Primary,
        path: Option<&PathMatch>,
        when: String,
    ) -> Choice {
        #[expect(clippy::cast_precision_loss, reason = "weights are numbers of 32 bits, and few")]
        let share = f64::from(primary.weight) / forward.total() as f64;
        let (standing, place) = match primary.part {
            Part::Captured => (Standing::Captured, None),
            Part::Other(place) => (Standing::Canary, place),
        };
        let sent = match primary.part {
            Part::Captured => Vec::new(),
            Part::Other(_) => {
                self.head(head, forward, Some(primary), path, &primary.to, &self.edits.for_canary())
            }
        };
        let choice = self.choice(standing, &primary.to, head, &sent);
        Choice { share, when, endpoint: place.and_then(|place| self.url(place)), ..choice }
    }

    fn choice(&self, standing: Standing, to: &Address, head: &RequestHead, sent: &[u8]) -> Choice {
        let (head, captured) = (lines(sent), lines(head.raw()));
        Choice {
            standing: standing.name(),
            destination: to.name.to_string(),
            share: 1.0,
            when: String::new(),
            endpoint: None,
            tls: self.routing.rules.tls(to).and_then(tls),
            changed: head.iter().filter(|line| !captured.contains(line)).cloned().collect(),
            head,
        }
    }

    /// The head as it is sent.
    fn head(
        &self,
        head: &RequestHead,
        forward: &Forward,
        primary: Option<&Primary>,
        path: Option<&PathMatch>,
        to: &Address,
        edits: &HeadEdits,
    ) -> Vec<u8> {
        let request = RequestFacts::new(head);
        let decision = Decision {
            edits: primary.map(|primary| Arc::clone(&primary.edits)).unwrap_or_default(),
            target: forward.path.as_ref().map(|rewrite| rewrite.apply(&request.target, path)),
            ..Decision::default()
        };
        let own = self.own.get(&to.name).map(|own| edits.fields.then(own));
        let edits = HeadEdits { fields: own.unwrap_or_else(|| edits.fields.clone()), ..edits.clone() };
        // Who the client is, only the capture tells.
        edits.apply(head, IpAddr::V4(Ipv4Addr::UNSPECIFIED), RuleEdits::of(&decision)).to_vec()
    }

    fn url(&self, place: usize) -> Option<String> {
        self.routing.endpoints.get(place).map(|(_, url)| url.clone())
    }
}

/// The lines of a head, without the empty one at its end.
fn lines(head: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(head).lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// What it takes to speak to a destination as the mesh does.
fn tls(mode: &TlsMode) -> Option<String> {
    let authority = |tls: &crate::route::Tls| match (&tls.ca_certificates, tls.insecure_skip_verify) {
        (_, true) => "; the mesh does not check it (--insecure)".to_owned(),
        (Some(ca), _) => format!(", checked against {ca} (--ca)"),
        (None, false) => String::new(),
    };
    let name = |tls: &crate::route::Tls| {
        tls.sni.as_ref().map_or(String::new(), |sni| format!(", asked for {sni} (--sni)"))
    };
    match mode {
        TlsMode::Disable => None,
        TlsMode::Simple(tls) => Some(format!("SIMPLE: https, with a certificate of the server{}{}", authority(tls), name(tls))),
        TlsMode::Mutual(tls) => {
            let own = tls.client_certificate.as_deref().unwrap_or("a certificate of the client");
            Some(format!(
                "MUTUAL: https, with a certificate of the server{}{}, and {own} for the client (--cert, --key)",
                authority(tls),
                name(tls)
            ))
        }
        TlsMode::IstioMutual => Some(
            "ISTIO_MUTUAL: https, with certificates of the mesh on both sides (--ca, --cert, --key), or a plain port that \
             the mesh does not guard"
                .to_owned(),
        ),
    }
}

/// For a person.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "request   {} {} for {:?}", visible(&self.method), visible(&self.target), self.host)?;
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
        Ok(())
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = super::percent(self.share);
        write!(f, "{:<9} {}  {share}  {}", self.standing, visible(&self.destination), self.when)?;
        let mut after = String::new();
        match (&self.endpoint, self.head.is_empty()) {
            (_, true) => after.write_str("; not sent, it has answered already")?,
            (Some(url), false) => write!(after, "; sent to {}", visible(url))?,
            (None, false) => after.write_str("; there is no --endpoint for it")?,
        }
        writeln!(f, "{after}")?;
        if let Some(tls) = &self.tls {
            writeln!(f, "{:10}{}", "", visible(tls))?;
        }
        for line in &self.changed {
            writeln!(f, "{:10}> {}", "", visible(line))?;
        }
        Ok(())
    }
}
