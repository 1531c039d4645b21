//! Writes all reports of a run: row by row while it goes on, and the rest at its end.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use super::csv::{ExchangesCsv, differences, io_error};
use super::earlier::Earlier;
use super::exchange_view::Selection;
use super::files::{Pending, write};
use super::route::RouteName;
use super::{
    Gate, Judged, ReportError, Routes, RuleSummary, Summary, Tally, Verdicts, html, junit, markdown,
};
use crate::record::{Finished, Loss, Row, Run};

/// Gathers the rows of a run and writes its folder: `report.html`, `summary.json`, `summary.md`,
/// `exchanges.csv`, `differences.csv`, `junit.xml`. Memory does not grow with the number of rows.
pub struct Reporter {
    folder: PathBuf,
    tally: Tally,
    selection: Selection,
    /// Room for the route of a row.
    route: RouteName,
    earlier: Option<Earlier>,
    notes: Vec<String>,
    rules: Vec<RuleSummary>,
    /// `exchanges.csv`, where rows are kept.
    exchanges: Option<(Pending, ExchangesCsv<BufWriter<File>>)>,
}

impl Reporter {
    /// Begins the reports in a folder that exists.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn create(folder: &Path, run: Run) -> Result<Self, ReportError> {
        let (pending, out) = Pending::create(folder, "exchanges.csv")?;
        let exchanges = ExchangesCsv::new(out).map_err(|error| pending.error(error))?;
        Ok(Self { exchanges: Some((pending, exchanges)), ..Self::counting(folder, run) })
    }

    /// Reports that count rows and show none: no `exchanges.csv`, and no exchange in `report.html`.
    #[must_use]
    pub fn counting(folder: &Path, run: Run) -> Self {
        let run = run.without_secrets();
        let selection = Selection::new(&run.targets);
        let (folder, tally) = (folder.to_owned(), Tally::new(run));
        Self {
            folder,
            tally,
            selection,
            route: RouteName::default(),
            earlier: None,
            notes: Vec::new(),
            rules: Vec::new(),
            exchanges: None,
        }
    }

    /// Names routes, and gives the evidence for differences, by what was learned from all rows; before the first is
    /// taken.
    #[must_use]
    pub fn knowing(mut self, names: &Routes) -> Self {
        self.tally = self.tally.knowing(names.clone());
        self.selection.know(names.clone());
        self
    }

    /// Says which differences an earlier run showed as well.
    #[must_use]
    pub fn against(mut self, earlier: Earlier) -> Self {
        self.earlier = Some(earlier);
        self
    }

    /// Says something about how the rows came together, in sentences.
    #[must_use]
    pub fn noting(mut self, notes: Vec<String>) -> Self {
        self.notes = notes;
        self
    }

    /// Says what the user's rules came to.
    #[must_use]
    pub fn ruling(mut self, rules: Vec<RuleSummary>) -> Self {
        self.rules = rules;
        self
    }

    /// Takes a row, redacted already, and what was found in it; `None` for one that was not sent.
    ///
    /// # Errors
    /// When `exchanges.csv` cannot be written.
    pub fn add(&mut self, row: &Row, judged: Option<&Judged>) -> Result<(), ReportError> {
        let route = &mut self.route;
        self.tally.names().name(&row.exchange.request.head, route);
        let times = self.tally.add_on(row, judged, route);
        let Some((pending, exchanges)) = &mut self.exchanges else { return Ok(()) };
        self.selection.offer(row, judged, (route.text(), times));
        exchanges.add(row, judged, route.text()).map_err(|error| pending.error(error))
    }

    /// Writes the files of what was taken so far, as if the run had ended with `finished`, and returns the
    /// account, in which `note` is said, too. `exchanges.csv` comes at the end alone.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn interim(
        &self,
        finished: &Finished,
        note: Option<&str>,
        gate: &Gate,
    ) -> Result<Summary, ReportError> {
        let finished = finished.clone().without_secrets();
        let mut summary = self.tally.clone().finish(Some(&finished), &[], gate, None);
        let notes = note.map(str::to_owned).into_iter().chain(self.notes.iter().cloned());
        summary.notes = notes.chain(summary.asked.sentence()).collect();
        render(&self.folder, &summary, &self.selection)?;
        Ok(summary)
    }

    /// How many rows got which verdict so far.
    #[must_use]
    pub fn verdicts(&self) -> Verdicts {
        self.tally.verdicts()
    }

    /// The distinct differences that count and were met most often so far, each as a line, with how many
    /// exchanges show it.
    #[must_use]
    pub fn top_differences(&self, most: usize) -> Vec<(String, u64)> {
        self.tally.top_differences(most)
    }

    /// Writes every file and returns the account. `finished` is `None` for a recording whose run never
    /// ended in order; `losses` says what of it could not be read.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn finish(
        self,
        finished: Option<&Finished>,
        losses: &[Loss],
        gate: &Gate,
    ) -> Result<Summary, ReportError> {
        let Self { folder, tally, selection, route: _, earlier, notes, rules, exchanges } = self;
        if let Some((pending, exchanges)) = exchanges {
            let out = exchanges.finish().map_err(|source| pending.error(source))?;
            pending.publish(out)?;
        }
        let finished = finished.map(|finished| finished.clone().without_secrets());
        let mut summary = tally.finish(finished.as_ref(), losses, gate, earlier);
        summary.notes = notes.into_iter().chain(summary.asked.sentence()).collect();
        summary.rules = rules;
        render(&folder, &summary, &selection)?;
        Ok(summary)
    }
}

/// Writes every file that is made of the account.
fn render(folder: &Path, summary: &Summary, selection: &Selection) -> Result<(), ReportError> {
    write(folder, "summary.json", &json(summary)?)?;
    write(folder, "summary.md", markdown::render(summary).as_bytes())?;
    let (pending, mut out) = Pending::create(folder, "differences.csv")?;
    differences(summary, &mut out).map_err(|error| pending.error(io_error(error)))?;
    pending.publish(out)?;
    write(folder, "junit.xml", junit::render(summary).as_bytes())?;
    let page = html::render(summary, selection).map_err(|error| rendering("report.html", &error))?;
    write(folder, "report.html", page.as_bytes())
}

fn json(summary: &Summary) -> Result<Vec<u8>, ReportError> {
    let mut json = serde_json::to_vec_pretty(summary).map_err(|error| rendering("summary.json", &error))?;
    json.push(b'\n');
    Ok(json)
}

fn rendering(file: &'static str, error: &dyn std::error::Error) -> ReportError {
    ReportError::Render { file, reason: error.to_string() }
}
