//! The reports of recordings, made again.

use std::path::{Path, PathBuf};

use super::RunError;
use super::judging::Ruling;
use super::run::make_folder;
use crate::record::{Recordings, Redactor, Row};
use crate::report::{Earlier, Gate, Judged, Reporter, Summary, Tally};

/// The folder of a run in which its recording lies.
pub const RECORDING: &str = "recording";

/// The name of the digest of the file that differences were judged by.
const RULES_OF_DIFFERENCES: &str = "rules of differences";

/// What is rendered again, and how.
pub struct Rendering {
    /// The folders of the runs; several are shards of one capture.
    pub runs: Vec<PathBuf>,
    /// The folder of an earlier run, to say what is new, known and gone.
    pub against: Option<PathBuf>,
    /// Takes out further secrets; `None` where the recording is shown as it is.
    pub redactor: Option<Redactor>,
    /// The user's rules.
    pub ruling: Ruling,
    /// What names the file of those rules, and a digest of it.
    pub rules_digest: Option<String>,
    /// What the verdict demands.
    pub gate: Gate,
}

impl Rendering {
    /// Reads the recordings and writes their reports to `out`, which is made where it is missing. Nothing is
    /// sent.
    ///
    /// # Errors
    /// When there is no recording, or the reports cannot be written.
    pub fn report(&self, out: &Path) -> Result<Summary, RunError> {
        let earlier = self.against.as_deref().map(|run| self.earlier(run)).transpose()?;
        let mut recordings = open(&self.runs)?;
        make_folder(out)?;
        let mut run = recordings.run().clone();
        run.digests.extend(self.rules_digest.clone().map(|digest| (RULES_OF_DIFFERENCES.to_owned(), digest)));
        let mut reporter = Reporter::create(out, run)?;
        if let Some(earlier) = earlier {
            reporter = reporter.against(earlier);
        }
        while let Some((row, judged)) = self.next(&mut recordings)? {
            reporter.add(&row, judged.as_ref())?;
        }
        let reporter = reporter.noting([recordings.notes(), self.ruling.sentences()].concat());
        Ok(reporter.finish(recordings.finished().as_ref(), recordings.losses(), &self.gate)?)
    }

    /// Opens the recordings, for [`next`](Self::next).
    ///
    /// # Errors
    /// When there is none, or one cannot be read.
    pub fn open(&self) -> Result<Recordings, RunError> {
        open(&self.runs)
    }

    /// The next row of the recordings, and what is found in it.
    ///
    /// # Errors
    /// When a recording cannot be read.
    pub fn next(&self, recordings: &mut Recordings) -> Result<Option<(Row, Option<Judged>)>, RunError> {
        let Some(mut row) = recordings.next_row()? else { return Ok(None) };
        if let Some(redactor) = &self.redactor {
            redactor.row(&mut row);
        }
        let judged = self.ruling.judged(&row);
        Ok(Some((row, judged)))
    }

    /// The account of the recordings, without a report.
    ///
    /// # Errors
    /// When there is none, or one cannot be read.
    pub fn summary(&self) -> Result<Summary, RunError> {
        self.account(open(&self.runs)?, &self.ruling)
    }

    /// What an earlier run's recording shows, judged as this one is.
    fn earlier(&self, run: &Path) -> Result<Earlier, RunError> {
        let summary = self.account(open(&[run.to_owned()])?, &self.ruling.anew())?;
        Ok(Earlier::new(&run.to_string_lossy(), summary))
    }

    fn account(&self, mut recordings: Recordings, rules: &Ruling) -> Result<Summary, RunError> {
        let mut tally = Tally::new(recordings.run().clone());
        while let Some(mut row) = recordings.next_row()? {
            if let Some(redactor) = &self.redactor {
                redactor.row(&mut row);
            }
            tally.add(&row, rules.judged(&row).as_ref());
        }
        let gate = Gate::default();
        Ok(tally.finish(recordings.finished().as_ref(), recordings.losses(), &gate, None))
    }
}

fn open(runs: &[PathBuf]) -> Result<Recordings, RunError> {
    let folders: Vec<_> = runs.iter().map(|run| run.join(RECORDING)).collect();
    Ok(Recordings::open(&folders)?)
}
