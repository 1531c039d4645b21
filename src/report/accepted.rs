//! Differences that somebody has looked at and accepted: a file beside the code, which says what is known, so that a run
//! tells what is new.
//!
//! An entry names a distinct difference by its place, and by its fingerprint; it holds no value of the wire. It is met by the
//! difference of that fingerprint, and by one of the same place whose route is the same but for segments that one of the two
//! leaves open, since how far routes are left open follows from what was captured.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::ignore_rule::basic_string;
use super::summary::{DistinctDifference, Standing};
use crate::diff::{Fingerprint, Kind, Layer};

/// More entries than anybody reads.
const MOST: usize = 10_000;

/// What a file accepts.
#[derive(Clone, Debug, Default)]
pub struct Accepted {
    /// The file, as the user named it.
    name: String,
    entries: Vec<Entry>,
}

/// The file cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct AcceptedError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub message: String,
}

/// What a run shows of accepted differences.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AcceptedSummary {
    /// The file, as the user named it.
    pub file: String,
    /// Distinct differences that count and are not accepted.
    pub new: u64,
    /// Those that count and are.
    pub known: u64,
    /// Accepted ones that the run does not show, each in a line.
    pub gone: Vec<String>,
    /// Accepted ones whose day is over, or of which there is more than was accepted: they are new again.
    pub lapsed: Vec<String>,
}

impl AcceptedSummary {
    /// In words.
    pub(super) fn words(&self) -> String {
        format!("accepted by {}: {}", self.file, self.counts())
    }

    /// What the run shows of the file, without the file's name.
    pub(super) fn counts(&self) -> String {
        let Self { new, known, gone, lapsed, .. } = self;
        let lapsed = match lapsed.len() {
            0 => String::new(),
            n => format!(", {n} no longer accepted"),
        };
        format!("{known} known, {new} new{lapsed}, {} gone", gone.len())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    accepted: Vec<toml::Spanned<Written>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    fingerprint: Fingerprint,
    host: Option<String>,
    route: String,
    layer: Layer,
    #[serde(default)]
    path: String,
    kind: Kind,
    reason: Option<String>,
    expires: Option<toml::value::Datetime>,
    max_share: Option<f64>,
}

/// One accepted difference.
#[derive(Clone, Debug)]
struct Entry {
    fingerprint: Fingerprint,
    host: Option<String>,
    route: String,
    layer: Layer,
    path: String,
    kind: Kind,
    /// Accepted up to this day, which is over.
    expired: Option<Date>,
    /// Accepted in this share of the compared exchanges, at most.
    max_share: Option<f64>,
}

impl Accepted {
    /// Reads the text of a file; `today` tells which entries have expired.
    ///
    /// # Errors
    /// When it is no list of accepted differences.
    pub fn parse(name: &str, text: &str, today: Date) -> Result<Self, AcceptedError> {
        let line = |start: usize| {
            memchr::memchr_iter(b'\n', text.as_bytes().get(..start).unwrap_or_default()).count() + 1
        };
        let file: File = toml::from_str(text).map_err(|error| AcceptedError {
            line: line(error.span().unwrap_or_default().start),
            message: error.message().trim().to_owned(),
        })?;
        if file.accepted.len() > MOST {
            return Err(AcceptedError { line: 1, message: format!("more than {MOST} differences") });
        }
        let entry = |written: toml::Spanned<Written>| {
            let line = line(written.span().start);
            Entry::new(written.into_inner(), today).map_err(|message| AcceptedError { line, message })
        };
        let entries = file.accepted.into_iter().map(entry).collect::<Result<_, _>>()?;
        Ok(Self { name: name.to_owned(), entries })
    }

    /// The text of a file that accepts these as well: what is to be put behind the text that it has.
    #[must_use]
    pub fn addition(&self, differences: &[DistinctDifference]) -> String {
        let mut seen = Vec::new();
        let mut out = String::new();
        for d in differences.iter().filter(|d| d.class.counts()) {
            if seen.contains(&d.fingerprint) || self.entries.iter().any(|entry| entry.meets(d)) {
                continue;
            }
            seen.push(d.fingerprint);
            out.push_str("\n[[accepted]]\n");
            let fingerprint = d.fingerprint.to_string();
            for (key, value) in [
                ("fingerprint", fingerprint.as_str()),
                ("host", &d.host),
                ("route", &d.route),
                ("layer", d.layer.name()),
                ("path", &d.path),
                ("kind", d.kind.name()),
                ("reason", "say why this is accepted"),
            ] {
                // Writing to a string does not fail.
                let _ = writeln!(out, "{key} = {}", basic_string(value));
            }
        }
        out
    }

    /// Says of each difference that counts whether it is accepted.
    pub(super) fn compare(&self, differences: &mut [DistinctDifference]) -> AcceptedSummary {
        let mut met = vec![false; self.entries.len()];
        let mut lapsed: BTreeMap<usize, String> = BTreeMap::new();
        let mut standings: BTreeMap<Fingerprint, Standing> = BTreeMap::new();
        for d in differences.iter_mut().filter(|d| d.class.counts()) {
            let entry = self.entries.iter().position(|entry| entry.meets(d));
            let standing = match entry.map(|at| (at, &self.entries[at])) {
                None => Standing::New,
                Some((at, entry)) => {
                    met[at] = true;
                    match entry.lapsed(d) {
                        None => Standing::Known,
                        Some(why) => {
                            lapsed.entry(at).or_insert(why);
                            Standing::New
                        }
                    }
                }
            };
            // What another run showed is known as well.
            let standing = if d.standing == Some(Standing::Known) { Standing::Known } else { standing };
            d.standing = Some(standing);
            standings.insert(d.fingerprint, standing);
        }
        let count = |wanted: Standing| standings.values().filter(|one| **one == wanted).count() as u64;
        let gone = self.entries.iter().zip(&met).filter(|(_, met)| !**met);
        AcceptedSummary {
            file: self.name.clone(),
            new: count(Standing::New),
            known: count(Standing::Known),
            gone: gone.map(|(entry, _)| entry.to_string()).collect(),
            lapsed: lapsed.into_values().collect(),
        }
    }
}

impl Entry {
    fn new(written: Written, today: Date) -> Result<Self, String> {
        let max_share = written.max_share;
        if max_share.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
            return Err("max_share is a share of the compared exchanges, from 0 to 1".to_owned());
        }
        let expires = written.expires.as_ref().map(day).transpose()?;
        if written.reason.as_deref().is_some_and(|reason| reason.trim().is_empty()) {
            return Err("an empty reason is none; say why, or leave it out".to_owned());
        }
        Ok(Self {
            fingerprint: written.fingerprint,
            host: written.host,
            route: written.route,
            layer: written.layer,
            path: written.path,
            kind: written.kind,
            expired: expires.filter(|expires| *expires < today),
            max_share,
        })
    }

    fn meets(&self, d: &DistinctDifference) -> bool {
        self.fingerprint == d.fingerprint
            || (self.layer, self.kind) == (d.layer, d.kind)
                && self.path == d.path
                && self.host.as_ref().is_none_or(|host| *host == d.host)
                && are_one_route(&self.route, &d.route)
    }

    /// Why the entry does not hold for a difference that it meets.
    fn lapsed(&self, d: &DistinctDifference) -> Option<String> {
        if let Some(day) = self.expired {
            return Some(format!("{self}: accepted until {day}"));
        }
        let most = self.max_share.filter(|most| d.share > *most)?;
        Some(format!(
            "{self}: in {} of the exchanges, accepted in {}",
            super::percent(d.share),
            super::percent(most)
        ))
    }
}

impl std::fmt::Display for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let gap = if self.path.is_empty() { "" } else { " " };
        write!(f, "{} {}{gap}{} {}", self.route, self.layer.name(), self.path, self.kind.name())
    }
}

/// Whether two routes are the same but for segments that one of them leaves open.
fn are_one_route(a: &str, b: &str) -> bool {
    let is_open = |segment: &str| segment.starts_with('{') && segment.ends_with('}');
    let (mut a, mut b) = (a.split('/'), b.split('/'));
    loop {
        match (a.next(), b.next()) {
            (None, None) => return true,
            (Some(one), Some(other)) if one == other || is_open(one) || is_open(other) => {}
            _ => return false,
        }
    }
}

/// The last day on which an entry holds.
fn day(written: &toml::value::Datetime) -> Result<Date, String> {
    let wrong = || format!("expires = {written}: a date is expected, as 2027-01-31");
    written.date.and_then(|_| written.to_string().get(..10)?.parse().ok()).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::Class;

    fn difference(route: &str, path: &str, share: f64) -> DistinctDifference {
        DistinctDifference {
            fingerprint: Fingerprint(xxhash_rust::xxh3::xxh3_64(format!("{route}{path}").as_bytes())),
            class: Class::Confirmed,
            host: "shop".into(),
            route: route.into(),
            layer: Layer::Body,
            path: path.into(),
            kind: Kind::ValueChanged,
            count: 3,
            share,
            v1_example: None,
            v2_example: None,
            exchanges: vec![],
            examples: vec![],
            values: vec![],
            evidence: None,
            standing: None,
        }
    }

    fn today() -> Date {
        Date::constant(2026, 11, 28)
    }

    #[test]
    fn what_was_accepted_is_known_and_the_rest_is_new() {
        let mut differences =
            [difference("GET /a/{number}", "$['x\"y']", 0.1), difference("GET /b", "", 0.1)];
        let text = Accepted::default().addition(&differences[..1]);
        let accepted = Accepted::parse("accepted.toml", &text, today()).unwrap();
        let summary = accepted.compare(&mut differences);
        assert_eq!((summary.new, summary.known), (1, 1));
        assert_eq!(differences[0].standing, Some(Standing::Known));
        assert_eq!(differences[1].standing, Some(Standing::New));
        assert_eq!(accepted.addition(&differences[..1]), "", "what is accepted is not written twice");
        let gone = accepted.compare(&mut []);
        assert_eq!(gone.gone, ["GET /a/{number} body $['x\"y'] value_changed"]);
    }

    #[test]
    fn an_entry_is_met_by_the_same_place_on_a_route_left_open_elsewhere() {
        let text = Accepted::default().addition(&[difference("GET /users/{name}/cart", "$['n']", 0.1)]);
        let accepted = Accepted::parse("a", &text, today()).unwrap();
        for (route, path, standing) in [
            ("GET /users/alice/cart", "$['n']", Standing::Known),
            ("GET /users/alice/cart/2", "$['n']", Standing::New),
            ("GET /users/alice/orders", "$['n']", Standing::New),
            ("POST /users/alice/cart", "$['n']", Standing::New),
            ("GET /users/alice/cart", "$['m']", Standing::New),
        ] {
            let mut differences = [difference(route, path, 0.1)];
            accepted.compare(&mut differences);
            assert_eq!(differences[0].standing, Some(standing), "{route} {path}");
        }
    }

    #[test]
    fn what_has_expired_or_grown_is_new_again_and_says_why() {
        let base = Accepted::default().addition(&[difference("GET /a", "", 0.1)]);
        for (more, why) in [
            ("expires = 2026-11-27\n", Some("accepted until 2026-11-27")),
            ("expires = 2026-11-28\n", None),
            ("max_share = 0.05\n", Some("in 10 % of the exchanges, accepted in 5.0 %")),
            ("max_share = 0.1\n", None),
        ] {
            let accepted = Accepted::parse("a", &format!("{base}{more}"), today()).unwrap();
            let summary = accepted.compare(&mut [difference("GET /a", "", 0.1)]);
            assert_eq!(summary.lapsed.len(), usize::from(why.is_some()), "{more}");
            assert!(why.is_none_or(|why| summary.lapsed[0].contains(why)), "{summary:?}");
            assert_eq!(summary.new, u64::from(why.is_some()));
        }
    }

    #[test]
    fn a_broken_file_is_refused_with_its_line() {
        for (text, says) in [
            ("[[accepted]]\nfingerprint = \"xyz\"\n", "line 2"),
            ("\n[[accepted]]\nroute = \"GET /\"\n", "fingerprint"),
            ("[[accept]]\n", "accept"),
            ("x", "line 1"),
        ] {
            let error = Accepted::parse("a", text, today()).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
        let good = Accepted::default().addition(&[difference("GET /a", "", 0.1)]);
        for (more, says) in [("max_share = 7\n", "0 to 1"), ("expires = 12:00:00\n", "a date is expected")] {
            let error = Accepted::parse("a", &format!("{good}{more}"), today()).unwrap_err().to_string();
            assert!(error.contains(says) && error.starts_with("line 2"), "{more}: {error}");
        }
    }
}
