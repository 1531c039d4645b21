//! A replay and what it left behind.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{Finished, Shadowcap};

/// A replay that has ended, its folder being `run` in the folder where it ran.
pub(crate) struct Run {
    pub(crate) finished: Finished,
    pub(crate) summary: Value,
}

impl Run {
    /// Replays a capture to a server, with the program's defaults and these arguments.
    pub(crate) fn replay(capture: &Path, to: &str, more: &[&str]) -> Self {
        let capture = capture.to_str().unwrap();
        let arguments = [&["replay", capture, "--to", to, "--out", "run"], more].concat();
        Self::of(Shadowcap::new(arguments).run())
    }

    /// Of a program that has written the folder `run`.
    pub(crate) fn of(finished: Finished) -> Self {
        let summary = serde_json::from_str(&finished.file("run/summary.json")).unwrap();
        let run = Self { finished, summary };
        run.adds_up();
        run
    }

    /// captured = replayed + skipped, replayed = the sum of the verdicts, and a row for each.
    fn adds_up(&self) {
        let sum = |counts: &Value| counts.as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
        let exchanges = &self.summary["exchanges"];
        let skipped: u64 = sum(&exchanges["skipped"]);
        let verdicts: u64 = sum(&self.summary["verdicts"]);
        assert_eq!(exchanges["captured"].as_u64().unwrap(), self.replayed() + skipped, "{}", self.finished);
        assert_eq!(self.replayed(), verdicts, "{}", self.finished);
        assert_eq!(self.rows().len() as u64, self.replayed() + skipped, "{}", self.finished);
    }

    pub(crate) fn replayed(&self) -> u64 {
        self.summary["exchanges"]["replayed"].as_u64().unwrap()
    }

    /// How many were skipped for a reason.
    pub(crate) fn skipped(&self, reason: &str) -> u64 {
        self.summary["exchanges"]["skipped"][reason].as_u64().unwrap_or(0)
    }

    /// The distinct differences.
    pub(crate) fn differences(&self) -> Vec<Distinct> {
        let text = |d: &Value, name: &str| d[name].as_str().unwrap_or_default().to_owned();
        let differences = self.summary["differences"].as_array().unwrap().iter();
        differences
            .map(|d| Distinct {
                class: text(d, "class"),
                route: text(d, "route"),
                layer: text(d, "layer"),
                path: text(d, "path"),
                kind: text(d, "kind"),
                count: d["count"].as_u64().unwrap(),
                v1: text(d, "v1_example"),
                v2: text(d, "v2_example"),
            })
            .collect()
    }

    /// The distinct differences that count against v2.
    pub(crate) fn counted(&self) -> Vec<Distinct> {
        let counts = |d: &Distinct| ["confirmed", "unverified"].contains(&d.class.as_str());
        self.differences().into_iter().filter(counts).collect()
    }

    /// `exchanges.csv` by column names.
    pub(crate) fn rows(&self) -> Vec<std::collections::HashMap<String, String>> {
        let text = self.finished.file("run/exchanges.csv");
        csv::Reader::from_reader(text.as_bytes()).deserialize().collect::<Result<_, _>>().unwrap()
    }

    /// The recording's lines, as `zstd -dc recording/*.zst` gives them.
    pub(crate) fn recording(&self) -> Vec<Value> {
        let folder = self.finished.folder().join("run/recording");
        let mut segments: Vec<PathBuf> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        segments.sort();
        let lines = segments.iter().flat_map(|segment| {
            let text = zstd::decode_all(fs::File::open(segment).unwrap()).unwrap();
            String::from_utf8(text).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
        });
        lines.map(|line| serde_json::from_str(&line).unwrap()).collect()
    }
}

/// A distinct difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Distinct {
    pub(crate) class: String,
    pub(crate) route: String,
    pub(crate) layer: String,
    pub(crate) path: String,
    pub(crate) kind: String,
    pub(crate) count: u64,
    pub(crate) v1: String,
    pub(crate) v2: String,
}
