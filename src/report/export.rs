//! Rows for other tools: HAR, newline-delimited JSON, CSV. Rows are written as they come, in memory that does
//! not grow with their number.

mod har;
mod ndjson;

use std::io::{self, Write};

use super::csv::ExchangesCsv;
use super::route::Routes;
use super::tally::Judged;
use crate::record::{Row, Run};

/// A form in which rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// HTTP Archive 1.2: an entry for v1's answer and one for v2's.
    Har,
    /// A JSON object on each line, as [`EXCHANGE_SCHEMA`](super::EXCHANGE_SCHEMA) describes it.
    Ndjson,
    /// The columns of `exchanges.csv`.
    Csv,
}

/// Rows on their way into one of the forms.
pub struct Export<W: Write> {
    form: Form<W>,
    names: Routes,
}

enum Form<W: Write> {
    Har(har::Har<W>),
    Ndjson(W),
    Csv(Box<ExchangesCsv<W>>),
}

impl<W: Write> Export<W> {
    /// Begins; with the routes as they were learned.
    ///
    /// # Errors
    /// When nothing can be written.
    pub fn new(format: Format, run: &Run, names: Routes, out: W) -> io::Result<Self> {
        let form = match format {
            Format::Har => Form::Har(har::Har::new(run, out)?),
            Format::Ndjson => Form::Ndjson(out),
            Format::Csv => Form::Csv(Box::new(ExchangesCsv::new(out)?)),
        };
        Ok(Self { form, names })
    }

    /// Writes a row and what was found in it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&mut self, row: &Row, judged: Option<&Judged>) -> io::Result<()> {
        match &mut self.form {
            Form::Har(har) => har.add(row, judged),
            Form::Ndjson(out) => ndjson::write(out, row, judged, &self.names),
            Form::Csv(csv) => {
                let route = self.names.of(&row.exchange.request.head);
                csv.add(row, judged, &route)
            }
        }
    }

    /// Writes what stands behind the last row.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(self) -> io::Result<()> {
        match self.form {
            Form::Har(har) => har.finish(),
            Form::Ndjson(mut out) => out.flush(),
            Form::Csv(csv) => csv.finish()?.flush(),
        }
    }
}
