//! What the user's words about rules mean.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ConfigError;
use crate::replay::HeadEdits;
use crate::route::{
    Action, Address, DestinationRule, FieldEdits, HostEdit, MOST_BYTES, RouteTable, Rules, RulesError,
    Selector, Setup, Vantage, Warning,
};

/// Why rules cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum RulesFault {
    /// A file cannot be read.
    #[error("cannot read the rules file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is no text.
    #[error("the rules file {} is not UTF-8 text: byte {offset} breaks it", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// Where, in bytes from its start.
        offset: usize,
    },
    /// A file says what cannot be meant.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// The words beside the files do not fit.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// Rules files with what was said about them.
#[derive(Debug)]
pub struct Routing {
    /// What the files say.
    pub rules: Rules,
    /// Ready to decide.
    pub table: RouteTable,
    /// The endpoints' names and URLs as they were given, in the order of the table's places.
    pub endpoints: Vec<(String, String)>,
    /// The service's port that the requests were sent to, where it was said.
    pub service_port: Option<u16>,
    /// What of the files is not acted on, and what is missing.
    pub warnings: Vec<Warning>,
}

/// What was said beside the files, as typed.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    /// `NAME=URL`, each.
    pub endpoints: &'a [String],
    /// Which destination was captured.
    pub captured: Option<&'a str>,
    /// From where the requests came, but for the labels.
    pub vantage: &'a Vantage,
    /// `NAME=VALUE`, each.
    pub source_labels: &'a [String],
}

/// Reads rules files and fits them to what was said beside them.
///
/// # Errors
/// When a file cannot be read or understood, or a word names nothing that is in them.
pub fn routing(files: &[PathBuf], said: Said<'_>) -> Result<Routing, RulesFault> {
    let texts = files.iter().map(|path| Ok((path.display().to_string(), read(path)?)));
    let texts = texts.collect::<Result<Vec<_>, RulesFault>>()?;
    let rules = Rules::read(&texts, &said.vantage.namespace)?;
    let endpoints = said.endpoints.iter().map(|given| endpoint(given)).collect::<Result<Vec<_>, _>>()?;
    let setup = Setup {
        endpoints: endpoints.iter().map(|(name, _)| Selector::new(name)).collect(),
        captured: said.captured.map(Selector::new),
        vantage: Vantage { source_labels: labels(said.source_labels)?, ..said.vantage.clone() },
    };
    let (table, more) = RouteTable::new(rules.sets.clone(), &setup);
    let mut addresses = addresses(&table);
    addresses.extend(rules.destinations.iter().flat_map(DestinationRule::addresses));
    let named = setup.endpoints.iter().map(|name| ("--endpoint", name));
    for (option, name) in named.chain(setup.captured.iter().map(|name| ("--captured", name))) {
        if !addresses.iter().any(|to| name.closeness(to).is_some()) {
            return Err(nothing_named(option, name, &addresses).into());
        }
    }
    let mut warnings = rules.warnings.clone();
    warnings.extend(more);
    Ok(Routing { rules, table, endpoints, service_port: setup.vantage.port, warnings })
}

fn nothing_named(option: &'static str, name: &Selector, addresses: &[Address]) -> ConfigError {
    let known: BTreeSet<_> = addresses.iter().map(|to| to.name.to_string()).collect();
    let known: Vec<_> = known.into_iter().take(20).collect();
    let problem = format!("nothing in the rules is called that; they name {}", known.join(", "));
    ConfigError::new(option, name.to_string(), problem)
}

/// All that the rules send requests to.
fn addresses(table: &RouteTable) -> Vec<Address> {
    let forwards = table.rules().filter_map(|rule| match &rule.action {
        Action::Forward(forward) => Some(forward),
        Action::Redirect | Action::Respond(_) => None,
    });
    forwards.flat_map(|forward| forward.addresses().cloned()).collect()
}

/// A rules file's text, as long as it is no longer than rules can be.
fn read(path: &Path) -> Result<String, RulesFault> {
    let unreadable = |source| RulesFault::Unreadable { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let most = MOST_BYTES as u64 + 1;
    if path == Path::new("-") {
        std::io::stdin().lock().take(most).read_to_end(&mut bytes).map_err(unreadable)?;
    } else {
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(most).read_to_end(&mut bytes).map_err(unreadable)?;
    }
    String::from_utf8(bytes).map_err(|error| RulesFault::NotText {
        path: path.to_owned(),
        offset: error.utf8_error().valid_up_to(),
    })
}

/// The parts of `NAME=URL`.
fn endpoint(given: &str) -> Result<(String, String), ConfigError> {
    let hint = "write NAME=URL, such as v2=http://127.0.0.1:8080";
    let Some((name, url)) = given.split_once('=').filter(|(name, _)| !name.is_empty()) else {
        return Err(ConfigError::new("--endpoint", given, format!("it names no destination; {hint}")));
    };
    Ok((name.to_owned(), url.to_owned()))
}

fn labels(given: &[String]) -> Result<BTreeMap<String, String>, ConfigError> {
    let label = |text: &String| match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(ConfigError::new("--source-label", text.clone(), "write NAME=VALUE, such as app=sleep")),
    };
    given.iter().map(label).collect()
}

/// The edits that `--set-header` and `--remove-header` ask for: for all destinations, and for one each.
#[derive(Debug, Default)]
pub struct UserEdits {
    all: FieldEdits,
    own: Vec<(Selector, &'static str, FieldEdits)>,
}

/// What the words ask for. A destination stands before `=`, which no header name has in it.
///
/// # Errors
/// When a header field could not be sent as given.
pub fn user_edits(set: &[String], remove: &[String]) -> Result<UserEdits, ConfigError> {
    let mut edits = UserEdits::default();
    for given in remove {
        let (destination, name) = addressed(given);
        let name = super::parse("--remove-header", name)?;
        edits.of(destination, "--remove-header").remove(name);
    }
    for given in set {
        let (destination, field) = addressed(given);
        let field = super::parse("--set-header", field)?;
        edits.of(destination, "--set-header").set(field);
    }
    Ok(edits)
}

/// A destination, where one stands before the name of a field, and the rest.
fn addressed(given: &str) -> (Option<&str>, &str) {
    let name = given.split(':').next().unwrap_or(given);
    match name.split_once('=') {
        Some((destination, _)) => (Some(destination), &given[destination.len() + 1..]),
        None => (None, given),
    }
}

impl UserEdits {
    fn of(&mut self, destination: Option<&str>, option: &'static str) -> &mut FieldEdits {
        let Some(name) = destination else { return &mut self.all };
        let name = Selector::new(name);
        let at = self.own.iter().position(|(known, ..)| *known == name).unwrap_or_else(|| {
            self.own.push((name, option, FieldEdits::default()));
            self.own.len() - 1
        });
        &mut self.own[at].2
    }

    /// The edits for all destinations.
    #[must_use]
    pub fn head_edits(&self, host: HostEdit, as_envoy: bool) -> HeadEdits {
        HeadEdits { host, as_envoy, fields: self.all.clone(), ..HeadEdits::default() }
    }

    /// The edits for one destination each, by the names that reports have for them.
    ///
    /// # Errors
    /// When there are edits for a destination that no rule has.
    pub fn own(&self, table: &RouteTable) -> Result<BTreeMap<Arc<str>, FieldEdits>, ConfigError> {
        let addresses = addresses(table);
        let mut own: BTreeMap<Arc<str>, FieldEdits> = BTreeMap::new();
        for (name, option, edits) in &self.own {
            let mut meant = addresses.iter().filter(|to| name.closeness(to).is_some()).peekable();
            if meant.peek().is_none() {
                return Err(nothing_named(option, name, &addresses));
            }
            let names: BTreeSet<_> = meant.map(|to| Arc::clone(&to.name)).collect();
            for name in names {
                let sum = own.entry(name).or_default();
                *sum = sum.then(edits);
            }
        }
        Ok(own)
    }
}

/// What a version of Istio makes of a mirrored request's Host unless it is told otherwise: from 1.28 on
/// nothing, before it the suffix.
///
/// # Errors
/// When it is no version.
pub fn istio_host_edit(version: &str) -> Result<HostEdit, ConfigError> {
    let mut numbers = version.trim_start_matches('v').split('.').map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= (1, 28) => Ok(HostEdit::None),
        (Some(Ok(_)), Some(Ok(_))) => Ok(HostEdit::default()),
        _ => Err(ConfigError::new("--istio", version, "write a version of Istio, such as 1.28")),
    }
}
