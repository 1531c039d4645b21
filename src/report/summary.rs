//! What a run comes to: the one value that every report is made of.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::accepted::AcceptedSummary;
use super::latency::{Latency, Lateness, Quantiles};
use super::slower::Slower;
use super::timeline::Timeline;
use super::values::{Example, ValuePair};
use crate::diff::{Class, Evidence, Fingerprint, Kind, Layer, Side, Verdict};
use crate::record::{CaptureTotals, Mode, NotAsked, Row};
use crate::route::ShareCount;
use crate::time::Timestamp;

/// The form of `summary.json`; it changes when a field is removed or changes its meaning.
pub const SCHEMA: &str = "shadowcap-summary/1";

/// The account of a run. In it, captured = replayed + the sum of the skipped, and replayed = the sum of
/// the verdicts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// The version of shadowcap that made the recording.
    pub tool_version: String,
    /// The version that made this account of it, which may be a later one.
    #[serde(default)]
    pub rendered_by: String,
    /// Digests of what decides which requests are sent: the capture, the rules, the options; and of the rules that the
    /// differences were judged by, where there are some.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digests: BTreeMap<String, String>,
    /// When the run began.
    pub started: Timestamp,
    /// When it ended; `None` where it never did in order.
    pub finished: Option<Timestamp>,
    /// Whether the user stopped it.
    pub interrupted: bool,
    /// What seeded the sampling.
    pub seed: u64,
    /// Which command.
    pub mode: Mode,
    /// Captures as the user named them.
    pub captures: Vec<String>,
    /// Destinations and their addresses.
    pub targets: BTreeMap<String, String>,
    /// The options that shaped the run.
    pub options: Vec<String>,
    /// What the capture held.
    pub capture: CaptureTotals,
    /// What broke the capture off before its end; what came before it is in the account.
    #[serde(default)]
    pub broken_off: Option<String>,
    /// Distinct requests among the rows.
    pub requests: u64,
    /// A digest of those requests' ids, whatever their order: runs over the same requests have the same.
    #[serde(default)]
    pub requests_digest: Fingerprint,
    /// Rows: a request at a destination.
    pub exchanges: Exchanges,
    /// What was said of the replayed rows.
    pub verdicts: Verdicts,
    /// What was asked again, where something was or should have been.
    #[serde(default, skip_serializing_if = "AskedSummary::is_empty")]
    pub asked: AskedSummary,
    /// Why rows failed, by name.
    pub failures: BTreeMap<String, u64>,
    /// Why rows were not comparable, by name.
    pub not_comparable: BTreeMap<String, u64>,
    /// Distinct differences: those that count first, then by how many exchanges show them.
    pub differences: Vec<DistinctDifference>,
    /// Differences beyond the number of distinct ones that are told apart.
    pub differences_beyond: u64,
    /// Routes by host, most requests first.
    pub routes: Vec<RouteSummary>,
    /// How long both took.
    pub latency: Latency,
    /// How late requests were sent against their due time, which is ours and not v2's.
    pub lateness: Option<Lateness>,
    /// From the due time to the answer's last byte: what a client that keeps to the schedule would have
    /// waited. Where it is far above v2's latency, requests queued before they could leave, and the latency
    /// alone flatters v2; in milliseconds.
    #[serde(default)]
    pub since_due: Option<Quantiles>,
    /// How long connections to v2 took to be made, TLS included, for requests that needed one: neither lateness nor
    /// latency; in milliseconds.
    #[serde(default)]
    pub connect: Option<Quantiles>,
    /// What became of rows over the time of the capture.
    #[serde(default)]
    pub timeline: Timeline,
    /// What another run is compared with, where one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<Against>,
    /// What of the differences is accepted, where a file says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<AcceptedSummary>,
    /// The judgement.
    pub verdict: Judgement,
    /// Why, in sentences.
    pub reasons: Vec<String>,
    /// How often each anomaly was met, by name.
    pub anomalies: BTreeMap<String, u64>,
    /// How often the destinations of each rule were picked, beside how often they should have been; of the
    /// requests that the rule forwarded and that could be sent again.
    #[serde(default)]
    pub shares: Vec<ShareSummary>,
    /// What of the recording could not be read, in sentences; empty in a run of its own.
    pub losses: Vec<String>,
    /// What each of the user's rules came to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleSummary>,
    /// What is to be said of rules and of runs that were put together, in sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Summary {
    /// Whether the user had secrets kept in the recording.
    #[must_use]
    pub fn keeps_secrets(&self) -> bool {
        self.options.iter().any(|option| option == "--no-redact")
    }
}

/// Requests that were sent again to measure noise. They are no rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedSummary {
    /// How often v1 was asked.
    pub v1: u64,
    /// How often v2 was asked again.
    pub v2: u64,
    /// Rows that were not asked again, or not to the end, by the reason's name.
    pub not_asked: BTreeMap<String, u64>,
}

impl AskedSummary {
    /// Whether nothing was asked again, nor should have been.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn count(&mut self, row: &Row) {
        for again in &row.again {
            match again.side {
                Side::V1 => self.v1 += 1,
                Side::V2 => self.v2 += 1,
            }
        }
        if let Some(reason) = row.not_asked {
            *self.not_asked.entry(reason.name().to_owned()).or_default() += 1;
        }
    }

    /// In one sentence, where there is something to say.
    pub(super) fn sentence(&self) -> Option<String> {
        if self.is_empty() {
            return None;
        }
        let times = |n| if n == 1 { "once".to_owned() } else { format!("{n} times") };
        let mut sentence =
            format!("to measure noise, v2 was asked again {}, v1 {}", times(self.v2), times(self.v1));
        for (name, count) in &self.not_asked {
            let known = NotAsked::from_name(name).map(NotAsked::words);
            // Writing to a string does not fail.
            let _ = write!(sentence, "; {count} not asked: {}", known.unwrap_or(name));
        }
        Some(sentence)
    }
}

/// One of the user's rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleSummary {
    /// Its name, or its place in the file.
    pub name: String,
    /// Why it allows what it allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How many differences it has ruled out.
    pub matched: u64,
    /// The day on which it expired, where it has; then it allows nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired: Option<String>,
}

/// An earlier run, and what of its distinct differences has gone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Against {
    /// The run's folder as the user named it.
    pub run: String,
    /// When it began.
    pub started: Timestamp,
    /// Distinct differences that count in this run and did not in the earlier one.
    pub new: u64,
    /// Those that count in both.
    pub known: u64,
    /// Those that counted in the earlier run and do not in this one.
    pub gone: Vec<DistinctDifference>,
}

/// Whether an earlier run showed a difference as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It did not.
    New,
    /// It did.
    Known,
}

impl Standing {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Known => "known",
        }
    }
}

/// One destination's share of the requests of a rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShareSummary {
    /// The counts.
    #[serde(flatten)]
    pub count: ShareCount,
    /// The share that was met, from 0 to 1.
    pub observed: f64,
    /// Where the share lies that the picks were drawn with, at 99.9 % confidence.
    pub interval: [f64; 2],
    /// Whether the expected share lies there, too.
    pub within: bool,
}

impl ShareSummary {
    /// The share that was counted; `None` without requests.
    #[must_use]
    pub fn new(count: ShareCount) -> Option<Self> {
        let (observed, (low, high)) = count.observed().zip(count.interval())?;
        let within = (low..=high).contains(&count.expected);
        Some(Self { count, observed, interval: [low, high], within })
    }
}

/// Rows, by whether they were sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchanges {
    /// All rows.
    pub captured: u64,
    /// Rows that were sent, or whose sending was tried.
    pub replayed: u64,
    /// Of those, the ones with a method that may change state (RFC 9110, section 9.2.1).
    #[serde(default)]
    pub replayed_unsafe: u64,
    /// Rows that were not sent, by the reason's name.
    pub skipped: BTreeMap<String, u64>,
}

impl Exchanges {
    /// Rows that were not sent.
    #[must_use]
    pub fn skipped_in_all(&self) -> u64 {
        self.skipped.values().sum()
    }
}

/// How many replayed rows got which verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdicts {
    /// No difference.
    #[serde(rename = "match")]
    pub matching: u64,
    /// Noise alone.
    pub noise: u64,
    /// Different in a way that counts.
    pub different: u64,
    /// No whole answer from v2.
    pub failed: u64,
    /// No whole answer of v1 in the capture.
    pub not_comparable: u64,
}

impl Verdicts {
    /// How many rows got this verdict.
    #[must_use]
    pub const fn of(&self, verdict: Verdict) -> u64 {
        match verdict {
            Verdict::Match => self.matching,
            Verdict::Noise => self.noise,
            Verdict::Different => self.different,
            Verdict::Failed => self.failed,
            Verdict::NotComparable => self.not_comparable,
        }
    }

    pub(super) const fn count(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Match => self.matching += 1,
            Verdict::Noise => self.noise += 1,
            Verdict::Different => self.different += 1,
            Verdict::Failed => self.failed += 1,
            Verdict::NotComparable => self.not_comparable += 1,
        }
    }

    pub(super) const fn merge(&mut self, other: &Self) {
        self.matching += other.matching;
        self.noise += other.noise;
        self.different += other.different;
        self.failed += other.failed;
        self.not_comparable += other.not_comparable;
    }

    /// All of them together.
    #[must_use]
    pub fn in_all(&self) -> u64 {
        Verdict::ALL.iter().map(|&verdict| self.of(verdict)).sum()
    }

    /// Rows whose two answers were laid side by side.
    #[must_use]
    pub const fn compared(&self) -> u64 {
        self.matching + self.noise + self.different
    }
}

/// A difference, however many exchanges show it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DistinctDifference {
    /// Names it, within a run and between runs.
    pub fingerprint: Fingerprint,
    /// Whether it counts, and if not, why.
    pub class: Class,
    /// Where: the host that was asked.
    pub host: String,
    /// Where: method and path, with what varies left open.
    pub route: String,
    /// Where: the part of the message.
    pub layer: Layer,
    /// Where within it, with indices and names of single things left open.
    pub path: String,
    /// What kind.
    pub kind: Kind,
    /// How many rows show it.
    pub count: u64,
    /// `count` as a share of the rows that were compared, from 0 to 1.
    pub share: f64,
    /// v1's value in the first row that shows it.
    pub v1_example: Option<String>,
    /// v2's value in that row.
    pub v2_example: Option<String>,
    /// Rows that show it, by the exchange's id: those whose values vary before others.
    pub exchanges: Vec<String>,
    /// Rows whose values all differ from each other's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<Example>,
    /// Pairs of values that several rows show, the most common first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<ValuePair>,
    /// The counts behind its class, where the whole run has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// Whether the run that this one is compared with shows it as well; `None` without such a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
}

/// What is not known where v1 was not asked.
const UNASKED: &str = "what v2 gets wrong in a state that v1 changes, too, would look the same: `--verify --baseline URL` \
                       asks both now, and tells them apart";

impl DistinctDifference {
    /// The counts behind its class in words; `None` where nothing was asked again, nor disagreed with itself.
    pub(super) fn measured(&self) -> Option<String> {
        let e = self.evidence.as_ref()?;
        let mut said = Vec::new();
        if e.asked > 0 {
            said.push(format!("asked again in {}, v2 repeated it in {}", e.asked, e.repeated));
        }
        for (count, words) in [
            (e.v1_held, "v1 now answers as recorded in"),
            (e.v1_changed, "v1 now answers otherwise in"),
            (e.v2_changed, "v2 disagreed with itself in"),
            (e.v1_disagreed, "identical requests, v1 disagreed in"),
            (e.v2_disagreed, "identical requests, v2 disagreed in"),
        ] {
            said.extend((count > 0).then(|| format!("{words} {count}")));
        }
        said.extend(e.p.map(|p| format!("p = {p:.2e}")));
        if self.class == Class::Volatile && e.v1_held + e.v1_changed == 0 {
            said.push(UNASKED.to_owned());
        }
        Some(said.join("; ")).filter(|said| !said.is_empty())
    }

    /// How sure it is, for the ranking alone, from 0 to 1: by the test where there was one, else by how many of the
    /// answers that were asked for again repeat it (Laplace's rule of succession).
    #[expect(clippy::cast_precision_loss, reason = "an order needs no more digits")]
    pub(super) fn confidence(&self) -> f64 {
        match &self.evidence {
            Some(Evidence { p: Some(p), .. }) => 1.0 - p,
            Some(evidence) => (evidence.repeated + 1) as f64 / (evidence.asked + 2) as f64,
            None => 0.5,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
const fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// What happened on one route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RouteSummary {
    /// The host that was asked.
    pub host: String,
    /// Method and path, with what varies left open.
    pub route: String,
    /// The rule that sent the first of its rows.
    pub rule: String,
    /// Rows, sent or not.
    pub captured: u64,
    /// Rows that were sent.
    pub replayed: u64,
    /// What was said of them.
    pub verdicts: Verdicts,
    /// Pairs of status codes, most frequent first.
    pub statuses: Vec<StatusPair>,
    /// Rows with pairs beyond those that are told apart.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub statuses_beyond: u64,
    /// How long both took.
    pub latency: Latency,
    /// That v2 takes longer, where ratio, shift, number of exchanges and a bootstrap interval agree on it. It never
    /// counts against v2 by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slower: Option<Slower>,
}

/// How often v1's status met v2's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusPair {
    /// v1's status; `None` where the capture has no answer.
    pub v1: Option<u16>,
    /// v2's status; `None` where none came.
    pub v2: Option<u16>,
    /// How often.
    pub count: u64,
}

/// What a run proves about v2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Judgement {
    /// Enough was compared, and nothing that counts differs.
    Pass,
    /// Something that counts differs, or v2 failed to answer.
    Fail,
    /// Too little could be compared to say.
    Inconclusive,
}

impl Judgement {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
        }
    }

    /// The exit status of a run that was not interrupted: 0, 1, or 3 where nothing could be judged.
    #[must_use]
    pub const fn exit_status(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Fail => 1,
            Self::Inconclusive => 3,
        }
    }
}
