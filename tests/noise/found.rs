//! What a run's report says counts.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::faults::Fault;
use crate::service::Service;
use crate::support::{Finished, RawServer, Shadowcap};
use crate::traffic::Captured;

/// The distinct differences of a run that count.
pub(crate) struct Found {
    pub(crate) compared: u64,
    counted: Vec<Counted>,
    /// The routes that are flagged as slower.
    slower: Vec<String>,
    finished: Finished,
}

/// A distinct difference that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    route: String,
    layer: String,
    path: String,
    kind: String,
    class: String,
    count: u64,
    values: [String; 2],
}

impl Found {
    /// Replays to v2, with v1 and v2 asked again.
    pub(crate) fn replay(captured: &Captured, v1: &Service, v2: &Service) -> Self {
        let baseline = v1.server().url();
        let asking = ["--verify", "--verify-sample", "100", "--baseline", &baseline];
        Self::replayed(captured, v2.server(), &asking)
    }

    /// Replays to v2.
    pub(crate) fn replayed(captured: &Captured, v2: &RawServer, asking: &[&str]) -> Self {
        let program =
            Shadowcap::new(["replay"]).arg(captured.file()).args(["--to", &v2.url(), "--out", "run"]);
        let finished = program.args(asking).patience(Duration::from_secs(600)).run();
        Self::of(finished)
    }

    /// The routes and places of those that count, each with how many exchanges show it.
    pub(crate) fn places(&self) -> BTreeMap<(&str, &str), u64> {
        let all = self.counted.iter();
        all.map(|counted| ((counted.route.as_str(), counted.path.as_str()), counted.count)).collect()
    }

    fn of(finished: Finished) -> Self {
        let summary: Value = serde_json::from_str(&finished.file("run/summary.json")).unwrap();
        let text = |difference: &Value, name: &str| difference[name].as_str().unwrap_or_default().to_owned();
        let counts = |difference: &&Value| {
            ["confirmed", "unverified"].contains(&difference["class"].as_str().unwrap())
        };
        let counted = |difference: &Value| Counted {
            route: text(difference, "route"),
            layer: text(difference, "layer"),
            path: text(difference, "path"),
            kind: text(difference, "kind"),
            class: text(difference, "class"),
            count: difference["count"].as_u64().unwrap(),
            values: [text(difference, "v1_example"), text(difference, "v2_example")],
        };
        let slower = summary["routes"].as_array().unwrap().iter().filter(|route| route["slower"].is_object());
        let verdict = |name: &str| summary["verdicts"][name].as_u64().unwrap();
        assert_eq!(verdict("failed") + verdict("not_comparable"), 0, "{finished}");
        Self {
            compared: verdict("match") + verdict("noise") + verdict("different"),
            slower: slower.map(|route| text(route, "route")).collect(),
            counted: summary["differences"].as_array().unwrap().iter().filter(counts).map(counted).collect(),
            finished,
        }
    }

    /// Whether one of them tells of a fault.
    pub(crate) fn tells(&self, fault: &Fault) -> bool {
        let flagged = || self.slower.iter().any(|route| route.contains(&format!("/r/{}/", fault.name)));
        if fault.is_of_latency() {
            flagged()
        } else {
            self.counted.iter().any(|counted| counted.tells(fault))
        }
    }

    /// Those that tell of none of these faults.
    pub(crate) fn beside(&self, faults: &[Fault]) -> Vec<Counted> {
        let others = self.counted.iter().filter(|counted| !faults.iter().any(|fault| counted.tells(fault)));
        others.cloned().collect()
    }
}

impl Counted {
    fn tells(&self, fault: &Fault) -> bool {
        let (layer, path) = fault.place;
        // The coding that is declared belongs to the body that is not in it.
        let is_there = self.layer == layer && self.path.contains(path) || self.path == "content-encoding";
        self.route.contains(&format!("/r/{}/", fault.name)) && is_there
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#?}\n{}", self.counted, self.finished)
    }
}
