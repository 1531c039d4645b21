//! Several recordings as one: shards of a capture that were replayed apart.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use super::{CaptureTotals, Finished, Loss, Reader, RecordError, Row, Run};
use crate::replay::Outcome;
use crate::route::ShareCount;

/// Which of the recordings a row is taken from, by the hash of what names it.
type Choice = HashMap<u64, Chosen, foldhash::fast::RandomState>;

#[derive(Clone, Copy)]
struct Chosen {
    recording: usize,
    sent: bool,
}

/// The rows of one recording after the other. A row that several have, as where each shard read the whole
/// capture and sent its part of it, is taken from one that sent it, and else from the first.
pub struct Recordings {
    folders: Vec<PathBuf>,
    runs: Vec<Run>,
    run: Run,
    finished: Vec<Option<Finished>>,
    losses: Vec<Loss>,
    current: Reader,
    /// `None` for a single recording, all of whose rows are taken.
    choice: Option<Choice>,
    repeated: u64,
}

impl Recordings {
    /// Opens the recordings in these folders; of several, all rows' names are read first.
    ///
    /// # Errors
    /// When there is none, or one cannot be read.
    pub fn open(folders: &[PathBuf]) -> Result<Self, RecordError> {
        let first = folders.first().ok_or_else(|| RecordError::NotARecording(PathBuf::new()))?;
        let current = Reader::open(first)?;
        let mut runs = vec![current.run().clone()];
        for folder in folders.iter().skip(1) {
            runs.push(Reader::open(folder)?.run().clone());
        }
        let (choice, repeated) = if folders.len() > 1 {
            let (choice, repeated) = choose(folders)?;
            (Some(choice), repeated)
        } else {
            (None, 0)
        };
        let run = together(&runs);
        let folders = folders.to_vec();
        Ok(Self { folders, runs, run, finished: Vec::new(), losses: Vec::new(), current, choice, repeated })
    }

    /// The facts of all runs, as those of one: from the first beginning on, with every capture and target.
    #[must_use]
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// The next row.
    ///
    /// # Errors
    /// As for [`Reader::next_row`].
    pub fn next_row(&mut self) -> Result<Option<Row>, RecordError> {
        loop {
            let at = self.finished.len();
            if at == self.runs.len() {
                return Ok(None);
            }
            match self.current.next_row()? {
                Some(row) if self.takes(&row, at) => return Ok(Some(row)),
                Some(_) => {}
                None => {
                    self.finished.push(self.current.finished().cloned());
                    self.losses.extend_from_slice(self.current.losses());
                    if let Some(next) = self.folders.get(at + 1) {
                        self.current = Reader::open(next)?;
                    }
                }
            }
        }
    }

    /// Whether a row of the `at`th recording is the one that is taken; it is taken once.
    fn takes(&mut self, row: &Row, at: usize) -> bool {
        let Some(choice) = &mut self.choice else { return true };
        let key = row.name().digest();
        let takes =
            choice.get(&key).is_some_and(|chosen| chosen.recording == at && chosen.sent == is_sent(row));
        if takes {
            choice.remove(&key);
        }
        takes
    }

    /// The facts at the end of all; `None` until all rows were read, and where one run never ended in order.
    #[must_use]
    pub fn finished(&self) -> Option<Finished> {
        let all: Option<Vec<&Finished>> = self.finished.iter().map(Option::as_ref).collect();
        all.filter(|all| all.len() == self.runs.len()).map(|all| ends(&all))
    }

    /// What could not be read so far.
    #[must_use]
    pub fn losses(&self) -> &[Loss] {
        &self.losses
    }

    /// What a reader should know of how the rows came together, in sentences; nothing for a single recording.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.runs.len() > 1 {
            notes.push(format!("{} runs put together", self.runs.len()));
        }
        if self.repeated > 0 {
            notes.push(format!("{} rows are in several of them, and counted once", self.repeated));
        }
        let mut captures: Vec<_> = self.runs.iter().map(|run| &run.captures).collect();
        captures.dedup();
        if captures.len() > 1 {
            notes.push("they name different captures".to_owned());
        }
        notes
    }
}

/// Which recording each row is taken from, and how many rows are left aside for that.
fn choose(folders: &[PathBuf]) -> Result<(Choice, u64), RecordError> {
    let (mut choice, mut repeated) = (Choice::default(), 0);
    for (recording, folder) in folders.iter().enumerate() {
        for_each_row(folder, |row| {
            let new = Chosen { recording, sent: is_sent(row) };
            choice
                .entry(row.name().digest())
                .and_modify(|chosen| {
                    repeated += 1;
                    if new.sent && !chosen.sent {
                        *chosen = new;
                    }
                })
                .or_insert(new);
        })?;
    }
    Ok((choice, repeated))
}

fn for_each_row(folder: &Path, mut take: impl FnMut(&Row)) -> Result<(), RecordError> {
    let mut reader = Reader::open(folder)?;
    while let Some(row) = reader.next_row()? {
        take(&row);
    }
    Ok(())
}

const fn is_sent(row: &Row) -> bool {
    !matches!(row.outcome, Outcome::Skipped(_))
}

/// Several runs' beginnings as one.
fn together(runs: &[Run]) -> Run {
    let mut runs = runs.iter();
    let Some(mut all) = runs.next().cloned() else { unreachable!("there is a first run") };
    for run in runs {
        all.started = all.started.min(run.started);
        union(&mut all.captures, &run.captures);
        union(&mut all.options, &run.options);
        for (name, address) in &run.targets {
            let known = all.targets.entry(name.clone()).or_insert_with(|| address.clone());
            if !known.split(", ").any(|known| known == address) {
                known.push_str(", ");
                known.push_str(address);
            }
        }
    }
    all
}

fn union(all: &mut Vec<String>, more: &[String]) {
    for one in more {
        if !all.contains(one) {
            all.push(one.clone());
        }
    }
}

/// Several runs' ends as one. What was read of the same files is counted once, as the one that read most saw
/// it.
fn ends(runs: &[&Finished]) -> Finished {
    let mut captures = BTreeMap::<&[String], (CaptureTotals, BTreeMap<String, u64>)>::new();
    for run in runs {
        let (totals, anomalies) = captures.entry(&run.capture.files).or_default();
        most(totals, &run.capture);
        for (name, &n) in &run.anomalies {
            let known = anomalies.entry(name.clone()).or_default();
            *known = n.max(*known);
        }
    }
    let mut all = Finished {
        finished: runs.iter().map(|run| run.finished).max().unwrap_or_default(),
        interrupted: runs.iter().any(|run| run.interrupted),
        ..Finished::default()
    };
    for (totals, anomalies) in captures.values() {
        sum(&mut all.capture, totals);
        for (name, n) in anomalies {
            *all.anomalies.entry(name.clone()).or_default() += n;
        }
    }
    for share in runs.iter().flat_map(|run| &run.shares) {
        let same = |known: &&mut ShareCount| {
            (&known.rule, known.standing, &known.destination)
                == (&share.rule, share.standing, &share.destination)
        };
        // Each run counts the requests that it decided about.
        match all.shares.iter_mut().find(same) {
            Some(known) => {
                known.requests += share.requests;
                known.picked += share.picked;
            }
            None => all.shares.push(share.clone()),
        }
    }
    let said = |what: fn(&Finished) -> Option<&str>| {
        let said: Vec<_> = runs.iter().filter_map(|run| what(run)).collect();
        Some(said.join("; ")).filter(|said| !said.is_empty())
    };
    all.broken_off = said(|run| run.broken_off.as_deref());
    all.gave_up = said(|run| run.gave_up.as_deref());
    all
}

fn most(known: &mut CaptureTotals, other: &CaptureTotals) {
    known.files.clone_from(&other.files);
    known.packets = known.packets.max(other.packets);
    known.bytes = known.bytes.max(other.bytes);
    known.connections = known.connections.max(other.connections);
    known.lost_bytes = known.lost_bytes.max(other.lost_bytes);
    span(known, other);
}

fn sum(all: &mut CaptureTotals, other: &CaptureTotals) {
    union(&mut all.files, &other.files);
    all.packets += other.packets;
    all.bytes += other.bytes;
    all.connections += other.connections;
    all.lost_bytes += other.lost_bytes;
    span(all, other);
}

fn span(known: &mut CaptureTotals, other: &CaptureTotals) {
    known.first_packet = [known.first_packet, other.first_packet].into_iter().flatten().min();
    known.last_packet = known.last_packet.max(other.last_packet);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::ExchangeId;
    use crate::record::{Mode, Writer, samples};
    use crate::replay::SkipReason;

    fn run(target: &str) -> Run {
        Run {
            tool_version: "1".into(),
            started: samples::NOON,
            seed: 1,
            mode: Mode::Replay,
            captures: vec!["a.pcap".into()],
            targets: BTreeMap::from([("v2".into(), target.into())]),
            options: vec![],
            digests: BTreeMap::new(),
        }
    }

    fn finished() -> Finished {
        let files = vec!["a.pcap".to_owned()];
        Finished {
            finished: samples::NOON,
            capture: CaptureTotals { files, packets: 10, connections: 3, ..CaptureTotals::default() },
            anomalies: BTreeMap::from([("obs-fold".into(), 2)]),
            ..Finished::default()
        }
    }

    /// A recording of rows 0 to 9, of which those in `sent` were sent.
    fn shard(folder: &Path, target: &str, sent: impl Fn(u64) -> bool) {
        let (mut writer, _intents) = Writer::create(folder, &run(target)).unwrap();
        for n in 0..10 {
            let mut row =
                samples::row("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n");
            row.exchange.id = ExchangeId(n);
            if !sent(n) {
                row.outcome = Outcome::Skipped(SkipReason::NotSampled);
            }
            writer.row(&row).unwrap();
        }
        writer.finish(&finished()).unwrap();
    }

    #[test]
    fn shards_of_one_capture_are_one_run_in_which_each_row_is_once() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        shard(&at("even"), "http://a", |n| n % 2 == 0);
        shard(&at("third"), "http://b", |n| n % 3 == 0);
        let mut all = Recordings::open(&[at("even"), at("third")]).unwrap();
        let (mut ids, mut sent) = (Vec::new(), 0);
        while let Some(row) = all.next_row().unwrap() {
            ids.push(row.exchange.id.0);
            sent += u64::from(is_sent(&row));
        }
        ids.sort_unstable();
        assert_eq!(ids, (0..10).collect::<Vec<_>>());
        // 0 2 4 6 8 by the one, 3 and 9 by the other alone.
        assert_eq!(sent, 7);
        let end = all.finished().unwrap();
        assert_eq!((end.capture.packets, end.capture.connections, end.anomalies["obs-fold"]), (10, 3, 2));
        assert_eq!(all.run().targets["v2"], "http://a, http://b");
        assert_eq!(all.notes(), ["2 runs put together", "10 rows are in several of them, and counted once"]);
    }

    #[test]
    fn a_single_recording_is_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        shard(&folder.path().join("a"), "http://a", |_| true);
        let mut all = Recordings::open(&[folder.path().join("a")]).unwrap();
        let mut rows = 0;
        while all.next_row().unwrap().is_some() {
            rows += 1;
        }
        assert_eq!((rows, all.notes()), (10, vec![]));
        assert_eq!((all.run(), all.finished()), (&run("http://a"), Some(finished())));
        assert!(all.next_row().unwrap().is_none() && all.losses().is_empty());
    }
}
