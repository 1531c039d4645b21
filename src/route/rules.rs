//! Reads rules files.

use std::collections::{HashMap, HashSet};

use super::document::{Document, objects};
use super::istio::{DestinationRule, TlsMode, VirtualService, destination_rule, rule_sets, virtual_service};
use super::note::{Origin, RulesError, Warning};
use super::rule::{Action, RuleSet};
use super::yaml::{Reader, read};
use super::{address::Address, gateway_api};

/// What rules files say.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Rules by hosts.
    pub sets: Vec<RuleSet>,
    /// Facts about destinations.
    pub destinations: Vec<DestinationRule>,
    /// What the files contain that is not acted on.
    pub warnings: Vec<Warning>,
}

/// The largest file that is read, in bytes. The rules of a large cluster take a few megabytes.
pub const MOST_BYTES: usize = 16 << 20;

impl Rules {
    /// Reads files, each with its name and its text, as one. Rules that name no namespace are in `home`.
    ///
    /// # Errors
    /// When a file is no YAML, or says something that a cluster would refuse, with the place.
    pub fn read(files: &[(String, String)], home: &str) -> Result<Self, RulesError> {
        let mut reader = Reader::new(files.iter().map(|(name, _)| name.as_str()));
        let reader = &mut reader;
        let mut rules = Self::default();
        let (mut services, mut http_routes) = (Vec::new(), Vec::new());
        for (file, (name, text)) in files.iter().enumerate() {
            if text.len() > MOST_BYTES {
                let problem = format!("{} bytes are more than any rules need ({MOST_BYTES})", text.len());
                return Err(RulesError::new(Origin::new(name, 0), problem));
            }
            for node in read(file, name, text)? {
                for object in objects(reader, &node, home)? {
                    match Kind::of(&object) {
                        Kind::VirtualService => services.push(virtual_service(reader, object)?),
                        Kind::DestinationRule => rules.destinations.push(destination_rule(reader, object)?),
                        Kind::HttpRoute => http_routes.push(gateway_api::http_route(reader, object, home)?),
                        Kind::Other(why) => reader.warn(object.line, why),
                    }
                }
            }
        }
        rules.sets = rule_sets(reader, &services, home)?;
        rules.sets.extend(gateway_api::by_age(http_routes));
        bounded(&rules.sets)?;
        rules.warnings = reader.take_warnings();
        rules.warnings.dedup();
        rules.check_subsets();
        if rules.sets.is_empty() {
            let what = if services_without_hosts(&services) { " with `hosts`" } else { "" };
            let file = files.first().map_or("--routes", |(name, _)| name);
            return Err(RulesError::new(
                Origin::new(file, 0),
                format!("no VirtualService{what} and no HTTPRoute is in these files, so there are no rules"),
            ));
        }
        Ok(rules)
    }

    /// How a destination is spoken to, and where that is said; `None` where no destination rule says it. The
    /// port is that of the destination, else `port`.
    #[must_use]
    pub fn tls(&self, to: &Address, port: Option<u16>) -> Option<(&Origin, &TlsMode)> {
        let port = to.port.or(port);
        let rules = self.of_host(&to.host);
        let by_subset = rules
            .iter()
            .find_map(|rule| Some((&rule.origin, rule.subset(to.subset.as_deref()?)?.tls.of_port(port)?)));
        by_subset.or_else(|| rules.iter().find_map(|rule| Some((&rule.origin, rule.tls.of_port(port)?))))
    }

    /// The destination rules for a host: those for its name, else those for the longest wildcard.
    fn of_host(&self, host: &str) -> Vec<&DestinationRule> {
        let closeness = |rule: &DestinationRule| match rule.host.strip_prefix('*') {
            None => (*rule.host == *host).then_some(usize::MAX),
            Some(suffix) => (host.len() > suffix.len() && host.ends_with(suffix)).then_some(suffix.len()),
        };
        let best = self.destinations.iter().filter_map(closeness).max();
        self.destinations.iter().filter(|rule| best.is_some() && closeness(rule) == best).collect()
    }

    /// Warns of subsets that rules name and no destination rule of the host has.
    fn check_subsets(&mut self) {
        let mut missing = Vec::new();
        // `None` where no destination rule for the host is in these files.
        let mut by_host: HashMap<&str, Option<HashSet<&str>>> = HashMap::new();
        for rule in self.sets.iter().flat_map(|set| &set.rules) {
            let Action::Forward(forward) = &rule.action else { continue };
            for to in forward.addresses() {
                let Some(subset) = to.subset.as_deref() else { continue };
                let known = by_host.entry(&to.host).or_insert_with(|| {
                    let rules = self.of_host(&to.host);
                    let names = rules.iter().flat_map(|rule| &rule.subsets).map(|subset| &*subset.name);
                    (!rules.is_empty()).then(|| names.collect())
                });
                if known.as_ref().is_some_and(|known| !known.contains(subset)) {
                    let text = format!(
                        "no DestinationRule for {} has the subset `{subset}`: a mesh would send nothing there",
                        to.host
                    );
                    missing.push(Warning { origin: rule.origin.clone(), text });
                }
            }
        }
        missing.dedup();
        self.warnings.extend(missing);
    }
}

/// Where several sets are for one host, what is tried for it is put together from all of them.
const MOST_TRIED: usize = 4_000_000;

/// Refuses sets whose rules would be put together for too many hosts.
fn bounded(sets: &[RuleSet]) -> Result<(), RulesError> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    sets.iter().flat_map(|set| &set.hosts).for_each(|host| *counts.entry(host).or_default() += 1);
    let mut tried = 0_usize;
    for set in sets {
        let shared =
            set.hosts.iter().filter(|host| counts.get(host.as_str()).is_some_and(|n| *n > 1)).count();
        let matches: usize = set.rules.iter().map(|rule| rule.matches.len()).sum();
        tried = tried.saturating_add(shared.saturating_mul(matches));
        if tried > MOST_TRIED {
            let problem = format!(
                "for hosts that several objects have rules for, up to here {tried} matches are to be tried, which is more than any rules need ({MOST_TRIED})"
            );
            return Err(RulesError::new(set.origin.clone(), problem));
        }
    }
    Ok(())
}

fn services_without_hosts(services: &[VirtualService]) -> bool {
    !services.is_empty()
}

/// What an object is to this program.
enum Kind {
    VirtualService,
    DestinationRule,
    HttpRoute,
    /// Nothing, and why.
    Other(String),
}

impl Kind {
    fn of(object: &Document<'_>) -> Self {
        let (group, version) = object.api_version.split_once('/').unwrap_or(("", &object.api_version));
        let known: &[&str] = match (group, object.kind.as_str()) {
            ("networking.istio.io", "VirtualService" | "DestinationRule") => &["v1alpha3", "v1beta1", "v1"],
            ("gateway.networking.k8s.io", "HTTPRoute") => &["v1alpha2", "v1beta1", "v1"],
            _ => &[],
        };
        match object.kind.as_str() {
            kind if known.is_empty() => Self::Other(format!(
                "{} {kind} is not acted on: it says nothing of where requests go",
                object.api_version
            )),
            kind if !known.contains(&version) => Self::Other(format!(
                "{kind} of version {version} is not known, so it is not acted on; known are {}",
                known.join(", ")
            )),
            "VirtualService" => Self::VirtualService,
            "DestinationRule" => Self::DestinationRule,
            _ => Self::HttpRoute,
        }
    }
}
