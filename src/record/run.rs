//! The facts of a run that its rows do not tell: what was read, sent where, by whom, and how it ended.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::redact::without_secrets;
use crate::anomaly::AnomalyCounts;
use crate::route::ShareCount;
use crate::time::Timestamp;

/// Which command made the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// A capture was replayed to the destinations.
    Replay,
    /// Traffic was captured and shadowed at once.
    Live,
    /// The mesh had mirrored already; nothing was sent.
    Compare,
    /// The bundled demonstration.
    Demo,
}

impl Mode {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Live => "live",
            Self::Compare => "compare",
            Self::Demo => "demo",
        }
    }
}

/// What is known when a run begins: the recording's first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The version of shadowcap that recorded.
    pub tool_version: String,
    /// When the run began.
    pub started: Timestamp,
    /// What seeds the sampling.
    pub seed: u64,
    /// Which command.
    pub mode: Mode,
    /// The capture files in the order of reading, or the interfaces, as the user named them.
    pub captures: Vec<String>,
    /// Where requests go: destination name to address, without credentials.
    pub targets: BTreeMap<String, String>,
    /// The options that shaped the run, as words, without secrets.
    pub options: Vec<String>,
    /// Digests of what decides which requests are sent: the capture, the options. A run is only resumed
    /// where they are the same.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digests: BTreeMap<String, String>,
}

impl Run {
    /// The same without what may be a secret in the user's words, such as the password in a capture's address.
    #[must_use]
    pub fn without_secrets(mut self) -> Self {
        let words = self.captures.iter_mut().chain(self.targets.values_mut()).chain(&mut self.options);
        words.for_each(strip);
        self
    }

    /// Why `other` is not this run gone on with, where it is not: what decides which requests are sent, and
    /// where to, must be the same. How fast they are sent may differ.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<String> {
        if self.mode != other.mode {
            return Some(format!("it was made by `{}`", self.mode.name()));
        }
        if self.targets != other.targets {
            let list = |targets: &BTreeMap<String, String>| {
                targets.iter().map(|(name, url)| format!("{name} at {url}")).collect::<Vec<_>>().join(", ")
            };
            return Some(format!("its target is {}, not {}", list(&self.targets), list(&other.targets)));
        }
        if self.seed != other.seed {
            return Some(format!("its seed is {}, not {}", self.seed, other.seed));
        }
        let names = self.digests.keys().chain(other.digests.keys());
        let changed = |name: &&String| self.digests.get(*name) != other.digests.get(*name);
        match names.into_iter().find(changed)?.as_str() {
            OPTIONS => Some(format!(
                "its options are `{}`, not `{}`",
                self.options.join(" "),
                other.options.join(" ")
            )),
            CAPTURE => Some("the capture is not the one that it replayed".to_owned()),
            name => Some(format!("its {name} are other ones")),
        }
    }
}

/// The digest of the capture in [`Run::digests`].
pub const CAPTURE: &str = "capture";
/// The digest of the rules files in [`Run::digests`].
pub const ROUTES: &str = "rules";
/// The digest of the options that decide which requests are sent, and with what.
pub const OPTIONS: &str = "options";

fn strip(word: &mut String) {
    *word = without_secrets(word).into_owned();
}

/// What the capture held in total.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureTotals {
    /// The files that were read, in order.
    pub files: Vec<String>,
    /// Packets read.
    pub packets: u64,
    /// Captured bytes read, packet headers of the file format not counted.
    pub bytes: u64,
    /// TCP connections seen.
    pub connections: u64,
    /// Bytes of TCP streams that were on the wire and are not in the capture.
    pub lost_bytes: u64,
    /// The time of the first packet.
    pub first_packet: Option<Timestamp>,
    /// The time of the last packet.
    pub last_packet: Option<Timestamp>,
}

/// What is known when a run has ended in order: the recording's last line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    /// When the run ended.
    pub finished: Timestamp,
    /// Whether the user stopped it before all was sent.
    pub interrupted: bool,
    /// What the capture held.
    pub capture: CaptureTotals,
    /// How often each anomaly was met, by name; those of the rows' messages included.
    pub anomalies: BTreeMap<String, u64>,
    /// Requests that were not sent and have no row, by the reason's name: a run that cannot keep up with
    /// what it captures counts them, and does nothing else with them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub without_row: BTreeMap<String, u64>,
    /// What broke the capture off before its end, where something did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken_off: Option<String>,
    /// How often the destinations of the rules were picked, for each rule that had requests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<ShareCount>,
    /// Why nothing more was sent although the user did not stop the run, where that is so: v2 could not
    /// be reached any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gave_up: Option<String>,
}

impl Finished {
    /// The same without what may be a secret in the names of captures.
    #[must_use]
    pub fn without_secrets(mut self) -> Self {
        self.capture.files.iter_mut().chain(&mut self.broken_off).for_each(strip);
        self
    }

    /// The account of anomalies as this line holds it.
    #[must_use]
    pub fn anomalies_of(counts: &AnomalyCounts) -> BTreeMap<String, u64> {
        counts.iter().map(|(anomaly, n)| (anomaly.name().to_owned(), n)).collect()
    }
}
