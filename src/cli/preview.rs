//! `replay --dry-run`: what would be sent, printed.

use std::collections::BTreeMap;
use std::io::{self, Write};

use anyhow::Context as _;
use base64::Engine as _;
use serde::Serialize;

use super::args::{Global, PreviewFormat};
use super::{Exit, exit, terminal};
use crate::http::Elsewhere;
use crate::pipeline::{self, Job, Previewed};
use crate::replay::methods::is_safe;
use crate::replay::pace::Schedule;
use crate::report::visible;

/// Bytes of a body that the text shows.
const SHOWN: usize = 2048;

/// Prints what the job would send, and sends nothing.
pub(super) fn run(job: Job, format: PreviewFormat, global: &Global) -> anyhow::Result<Exit> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut counted = Counted::default();
    let mut written = Ok(());
    let targets = job.run.targets;
    let schedule = Schedule::new(job.settings.speed, job.settings.rate);
    let broken_off =
        pipeline::preview(job.source, job.reading, job.planning, schedule, job.redactor.as_ref(), |one| {
            counted.count(one);
            let target = targets.get(&*one.row.destination).map_or("", String::as_str);
            written = match format {
                PreviewFormat::Text => text(&mut out, one, target),
                PreviewFormat::Jsonl => line(&mut out, one, target),
            };
            written.is_ok()
        })?;
    terminal::unless_unread(written.and_then(|()| out.flush())).context("cannot write to standard output")?;
    terminal::say(global, counted.sentence());
    for error in &broken_off {
        exit::complain(&error.to_string());
    }
    Ok(if broken_off.is_empty() { Exit::Pass } else { Exit::Inconclusive })
}

#[derive(Default)]
struct Counted {
    sent: u64,
    unsafe_ones: u64,
    skipped: BTreeMap<&'static str, u64>,
}

impl Counted {
    fn count(&mut self, one: &Previewed<'_>) {
        if let Some(reason) = one.skipped {
            *self.skipped.entry(reason.words()).or_default() += 1;
        } else {
            self.sent += 1;
            self.unsafe_ones += u64::from(!is_safe(one.row.exchange.request.head.method()));
        }
    }

    fn sentence(&self) -> String {
        let skipped: Vec<_> = self.skipped.iter().map(|(words, n)| format!("{n} {words}")).collect();
        let skipped = if skipped.is_empty() { "none".to_owned() } else { skipped.join(", ") };
        format!(
            "{} would be sent, {} of them with a method that may change state; not sent: {skipped}",
            self.sent, self.unsafe_ones
        )
    }
}

/// A comment with what is not of the request, then the request.
fn text(out: &mut impl Write, one: &Previewed<'_>, target: &str) -> io::Result<()> {
    let (row, request) = (one.row, &one.row.exchange.request);
    if let Some(reason) = one.skipped {
        let head = &request.head;
        let shown = |bytes: &[u8]| visible(&String::from_utf8_lossy(bytes)).into_owned();
        let (method, asked) = (shown(head.method()), shown(head.target()));
        return writeln!(out, "# {} not sent ({}): {method} {asked}\n", row.request_name(), reason.words());
    }
    let due = one.due.map(|due| format!(", due after {:.3} s", due.as_secs_f64())).unwrap_or_default();
    writeln!(out, "# {} to {} {target}{due}", row.request_name(), visible(&row.destination))?;
    let head = row.sent_head.as_deref().unwrap_or_default();
    for line in String::from_utf8_lossy(head).lines() {
        writeln!(out, "{}", visible(line))?;
    }
    let body = request.body.entity.as_deref().unwrap_or_default();
    if let Elsewhere::Stored(body) = &request.body.elsewhere {
        writeln!(out, "# and {} bytes of its body\n", body.len())?;
    } else if !body.is_empty() {
        let (shown, rest) = body.split_at(body.len().min(SHOWN));
        for line in String::from_utf8_lossy(shown).lines() {
            writeln!(out, "{}", visible(line))?;
        }
        if !rest.is_empty() {
            writeln!(out, "# and {} bytes more", rest.len())?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// A request as a JSON object.
#[derive(Serialize)]
struct Line<'a> {
    id: String,
    /// Why it is not sent; null where it is.
    skipped: Option<&'static str>,
    destination: &'a str,
    target_url: &'a str,
    /// Milliseconds after the first request; null where it leaves when its turn comes.
    due_ms: Option<f64>,
    client: String,
    connection: String,
    method: String,
    target: String,
    /// As it would leave; null where it does not.
    head: Option<String>,
    body_bytes: u64,
    /// The body, where it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    /// The body, where it is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

fn line(out: &mut impl Write, one: &Previewed<'_>, target_url: &str) -> io::Result<()> {
    let (row, request) = (one.row, &one.row.exchange.request);
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let sent = one.skipped.is_none();
    let body = request.body.entity.as_deref().filter(|_| sent).unwrap_or_default();
    let text = std::str::from_utf8(body).ok();
    let connection = &row.exchange.connection;
    let line = Line {
        id: row.request_name().to_string(),
        skipped: one.skipped.map(crate::replay::SkipReason::name),
        destination: &row.destination,
        target_url,
        due_ms: one.due.map(|due| due.as_secs_f64() * 1000.0),
        client: connection.client.to_string(),
        connection: format!("{}-{}-{}", connection.client, connection.server, connection.instance),
        method: lossy(request.head.method()),
        target: lossy(request.head.target()),
        head: row.sent_head.as_deref().map(lossy),
        body_bytes: request.body.len,
        body: text.filter(|_| !body.is_empty()),
        body_base64: text.is_none().then(|| base64::engine::general_purpose::STANDARD.encode(body)),
    };
    serde_json::to_writer(&mut *out, &line)?;
    writeln!(out)
}
