//! The text form: a line for each exchange as it comes, then the totals.
//!
//! The columns are of fixed width, so that a capture of any size is printed while it is read.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::document::{Capture, Document, Http};
use super::line::Line;
use crate::anomaly::Anomaly;
use crate::report::visible;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

pub(super) fn header(out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "{BOLD}{:<15} {:<21} {:<7} {:>3} {:>9} {:>9} {:>9}  URL{BOLD:#}",
        "TIME", "CLIENT", "METHOD", "ST", "REQUEST", "RESPONSE", "MS"
    )
}

pub(super) fn row(out: &mut dyn Write, line: &Line<'_>) -> io::Result<()> {
    let time = line.time.text();
    let clock = time.as_str().get(11..26).unwrap_or(time.as_str());
    let style = status_style(line.status);
    let status = line.status.map_or_else(|| "-".to_owned(), |status| format!("{status:03}"));
    let length = line.response_body_bytes.map_or_else(|| "-".to_owned(), |n| n.to_string());
    let duration = line.duration.map_or_else(|| "-".to_owned(), |d| format!("{:.3}", d.as_secs_f64() * 1e3));
    write!(
        out,
        "{clock:<15} {:<21} {:<7} {style}{status:>3}{style:#} {:>9} {length:>9} {duration:>9}  {}",
        lossy(line.client()),
        visible(&lossy(line.method)),
        line.request_body_bytes,
        visible(&url(line)),
    )?;
    let notes = notes(line);
    if notes.is_empty() { writeln!(out) } else { writeln!(out, "  {DIM}{}{DIM:#}", notes.join(", ")) }
}

fn status_style(status: Option<u16>) -> Style {
    let color = match status {
        Some(100..400) => AnsiColor::Green,
        Some(400..500) => AnsiColor::Yellow,
        Some(_) => AnsiColor::Red,
        None => return DIM,
    };
    color.on_default()
}

fn url(line: &Line<'_>) -> String {
    let target = lossy(line.target);
    match line.host() {
        Some(host) if target.starts_with('/') => format!("{}{target}", lossy(host)),
        _ => target.into_owned(),
    }
}

fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

fn notes(line: &Line<'_>) -> Vec<&'static str> {
    let mut notes: Vec<_> = line.anomalies.iter().map(Anomaly::name).collect();
    if !line.request_complete {
        notes.push("request incomplete");
    }
    if line.status.is_some() && !line.response_complete {
        notes.push("response incomplete");
    }
    notes
}

pub(super) fn totals(out: &mut dyn Write, document: &Document) -> io::Result<()> {
    writeln!(out)?;
    files(out, &document.capture)?;
    line(out, "packets", &format!("{}: {}", document.capture.packets, joined(&document.packets)))?;
    line(out, "connections", &joined(&document.connections))?;
    bytes(out, document)?;
    if !document.anomalies.is_empty() {
        line(out, "anomalies", &joined(&document.anomalies))?;
    }
    for imbalance in &document.imbalances {
        line(out, "IMBALANCE", imbalance)?;
    }
    Ok(())
}

fn files(out: &mut dyn Write, capture: &Capture) -> io::Result<()> {
    for file in &capture.files {
        let compression = if file.compression == "none" { "" } else { file.compression };
        let name = visible(&file.name);
        line(out, "file", &format!("{name}: {} packets, {} {compression}", file.packets, file.format))?;
        if let Some(offset) = file.truncated_at {
            line(out, "", &format!("{name} breaks off at byte {offset}; what came before is read"))?;
        }
    }
    for file in &capture.skipped_files {
        line(out, "passed over", &format!("{}: {}", visible(&file.name), visible(&file.why)))?;
    }
    match (capture.first_packet, capture.last_packet) {
        (Some(first), Some(last)) => {
            line(out, "time", &format!("{first} to {last} ({:.3} s)", last.since(first).as_secs_f64()))
        }
        _ => Ok(()),
    }
}

fn bytes(out: &mut dyn Write, document: &Document) -> io::Result<()> {
    let Document { streams, http, other_bytes: others, .. } = document;
    let Http { exchanges, unanswered, orphan_responses: orphans, .. } = http;
    let answers = format!("{unanswered} without a response; {orphans} responses without a request");
    line(out, "exchanges", &format!("{exchanges}: {answers}"))?;
    let payload = [
        ("delivered", streams.delivered),
        ("retransmitted", streams.retransmitted),
        ("conflicting", streams.conflicting),
        ("keep-alive", streams.keep_alive),
        ("after the end", streams.after_end),
        ("late", streams.late),
        ("out of window", streams.out_of_window),
    ];
    line(out, "payload", &balance(streams.payload, &payload))?;
    let parts = [
        ("heads", http.head_bytes),
        ("bodies", http.body_bytes),
        ("tunnels", http.tunnel_bytes),
        ("headless", http.headless_bytes),
        ("stray", http.stray_bytes),
        ("torn", http.torn_bytes),
        ("missing", http.gap_bytes),
    ];
    line(out, "HTTP bytes", &balance(parts.iter().map(|(_, n)| n).sum(), &parts))?;
    if !others.is_empty() {
        let parts: Vec<_> = others.iter().map(|(name, n)| (*name, *n)).collect();
        line(out, "other bytes", &balance(others.values().sum(), &parts))?;
    }
    line(out, "lost", &format!("{} bytes that were on the wire are not in the capture", streams.lost))
}

fn line(out: &mut dyn Write, label: &str, text: &str) -> io::Result<()> {
    writeln!(out, "{BOLD}{label:>12}{BOLD:#}  {text}")
}

fn joined(counts: &BTreeMap<&'static str, u64>) -> String {
    let all: Vec<_> = counts.iter().map(|(name, n)| format!("{n} {name}")).collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}

fn balance(total: u64, parts: &[(&str, u64)]) -> String {
    let parts: Vec<_> = parts.iter().filter(|(_, n)| *n > 0).map(|(name, n)| format!("{n} {name}")).collect();
    if parts.is_empty() { format!("{total} bytes") } else { format!("{total} bytes = {}", parts.join(" + ")) }
}
