//! The reports of a recording, made again.

use std::path::Path;

use super::judging::judged;
use super::run::make_folder;
use crate::record::Reader;
use crate::report::{Gate, Reporter, Summary};

use super::RunError;

/// The folder of a run in which its recording lies.
pub const RECORDING: &str = "recording";

/// Reads the recording of `run` and writes its reports to `out`, which is made where it is missing.
/// Nothing is sent.
///
/// # Errors
/// When there is no recording, or the reports cannot be written.
pub fn report(run: &Path, out: &Path, gate: &Gate) -> Result<Summary, RunError> {
    let mut reader = Reader::open(&run.join(RECORDING))?;
    make_folder(out)?;
    let mut reporter = Reporter::create(out, reader.run().clone())?;
    while let Some(row) = reader.next_row()? {
        reporter.add(&row, judged(&row).as_ref())?;
    }
    Ok(reporter.finish(reader.finished(), reader.losses(), *gate)?)
}
