//! `shadowcap route`: what rules would do, told without sending anything; and what all commands that follow
//! rules share.

mod capture;
mod explain;

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use anyhow::Context as _;
use bytes::Bytes;
use serde_json::json;

use super::args::{Global, Route, RouteArgs, RouteFormat, Sampling, SetupArgs};
use super::{Exit, exit, replay, terminal};
use crate::capture::CaptureSet;
use crate::config::{self, ConfigError, Routing, RulesFault, Said};
use crate::http::RequestHead;
use crate::http::h1::parse_head;
use crate::report::{ShareSummary, visible};
use crate::route::{self, ShareCount, Shares, Vantage, Warning};
use capture::Manner;
use explain::Explainer;

pub(super) fn run(args: &Route, global: &Global) -> anyhow::Result<Exit> {
    let explainer = explainer(args)?;
    let json = args.format == RouteFormat::Json;
    // Whether there are endpoints matters to a replay alone.
    let is_told =
        |warning: &&Warning| !args.setup.endpoint.is_empty() || !warning.text.contains("--endpoint");
    let warnings: Vec<_> =
        explainer.routing.warnings.iter().filter(is_told).map(ToString::to_string).collect();
    for warning in &warnings {
        terminal::say(global, format_args!("warning: {warning}"));
    }
    let mut out = BufWriter::new(terminal::stdout(global.color));
    let manner = Manner { seed: args.seed, sampling: args.setup.sampling.into(), json };
    let done = if args.capture.is_empty() {
        let request = request(args)?;
        one(&explainer, request.as_ref(), &warnings, json, &mut out).map(|()| Vec::new())
    } else {
        let source = CaptureSet::open(&config::inputs(&args.capture))?;
        all(&explainer, source, manner, &warnings, &mut out)
    };
    let done = done.and_then(|broken_off| out.flush().map(|()| broken_off));
    match done {
        Ok(broken_off) => {
            for what in &broken_off {
                exit::complain(what);
            }
            Ok(if broken_off.is_empty() { Exit::Pass } else { Exit::Inconclusive })
        }
        Err(error) => {
            terminal::unless_unread(Err(error)).context("cannot write to standard output")?;
            Ok(Exit::Pass)
        }
    }
}

fn explainer(args: &Route) -> anyhow::Result<Explainer> {
    let routing = routing(&args.files, &args.setup)?;
    let edits = config::user_edits(&args.edits.set_header, &args.edits.remove_header)?;
    let own = edits.own(&routing.table)?;
    let edits = edits.head_edits(replay::host_edit(&args.edits)?, args.edits.as_envoy);
    Ok(Explainer { routing, edits, own })
}

/// The request that was typed; `None` without one.
fn request(args: &Route) -> Result<Option<RequestHead>, ConfigError> {
    let Some(url) = &args.url else { return Ok(None) };
    let error = |problem: &str| ConfigError::new("--url", url.clone(), problem);
    let hint = "write http://HOST[:PORT]/PATH, such as http://httpbin:8000/headers";
    let (scheme, rest) = url.split_once("://").ok_or_else(|| error(hint))?;
    if !matches!(scheme, "http" | "https") {
        return Err(error(hint));
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, target) = rest.split_at(end);
    let slash = if target.starts_with('/') { "" } else { "/" };
    let forwarded = if scheme == "https" { "x-forwarded-proto: https\r\n" } else { "" };
    let mut lines = String::new();
    for field in &args.header {
        let parsed: route::Field = config::parse("--header", field)?;
        let value = field.split_once(':').map_or("", |(_, value)| value.trim());
        lines.extend([parsed.name.as_str(), ": ", value, "\r\n"]);
    }
    let has_host = args.header.iter().any(|field| field.to_ascii_lowercase().starts_with("host:"));
    let host = if has_host { String::new() } else { format!("Host: {host}\r\n") };
    let raw = format!("{} {slash}{target} HTTP/1.1\r\n{host}{forwarded}{lines}\r\n", args.method);
    parse_head(Bytes::from(raw))
        .map(Some)
        .ok_or_else(|| error("no request line can hold this method and path"))
}

/// One request, or none, and the shares that the rules give.
fn one(
    explainer: &Explainer,
    request: Option<&RequestHead>,
    warnings: &[String],
    json: bool,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let explanation = request.map(|head| explainer.explain(head));
    let expected = Shares::expected(&explainer.routing.table);
    if json {
        let document = json!({"request": explanation, "shares": expected, "warnings": warnings});
        return writeln!(out, "{}", serde_json::to_string_pretty(&document)?);
    }
    match explanation {
        Some(explanation) => write!(out, "{explanation}"),
        None => shares(&expected, out),
    }
}

/// Each request of a capture, and the shares that result.
fn all(
    explainer: &Explainer,
    source: CaptureSet,
    manner: Manner,
    warnings: &[String],
    out: &mut dyn Write,
) -> std::io::Result<Vec<String>> {
    if manner.json {
        write!(out, "{{\"requests\":[")?;
    }
    let (counted, broken_off) = capture::each(explainer, source, manner, out)?;
    if manner.json {
        let counted: Vec<_> = counted.into_iter().filter_map(ShareSummary::new).collect();
        let (counted, warnings) = (serde_json::to_string(&counted)?, serde_json::to_string(warnings)?);
        writeln!(out, "\n],\"shares\":{counted},\"warnings\":{warnings}}}")?;
    } else {
        writeln!(out)?;
        shares(&counted, out)?;
    }
    Ok(broken_off)
}

/// A line for each destination of each rule.
fn shares(counts: &[ShareCount], out: &mut dyn Write) -> std::io::Result<()> {
    let mut rule = None;
    for count in counts {
        if rule != Some(&count.rule) {
            let requests =
                if count.requests > 0 { format!(": {} requests", count.requests) } else { String::new() };
            writeln!(out, "{}{requests}", visible(&count.rule))?;
        }
        rule = Some(&count.rule);
        let (name, expected) = (visible(&count.destination), percent(count.expected));
        let standing = count.standing.name();
        match count.observed().zip(count.interval()) {
            None => writeln!(out, "  {standing:<9} {name}  {expected}")?,
            Some((observed, (low, high))) => writeln!(
                out,
                "  {standing:<9} {name}  {expected} expected, {} met: {} of {} (99.9 % interval {} to {})",
                percent(observed),
                count.picked,
                count.requests,
                percent(low),
                percent(high)
            )?,
        }
    }
    Ok(())
}

/// A share from 0 to 1 as a percentage with as many decimals as rules give it.
fn percent(share: f64) -> String {
    let text = format!("{:.4}", share * 100.0);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

impl From<Sampling> for route::Sampling {
    fn from(how: Sampling) -> Self {
        match how {
            Sampling::Envoy => Self::Envoy,
            Sampling::Independent => Self::Independent,
        }
    }
}

/// The rules of files, fitted to what was typed beside them.
pub(super) fn routing(files: &[PathBuf], setup: &SetupArgs) -> Result<Routing, RulesFault> {
    let vantage = Vantage {
        namespace: setup.namespace.clone(),
        gateway: setup.gateway.clone(),
        source_namespace: setup.source_namespace.clone(),
        port: setup.service_port,
        ..Vantage::default()
    };
    let said = Said {
        endpoints: &setup.endpoint,
        captured: setup.captured.as_deref(),
        vantage: &vantage,
        source_labels: &setup.source_label,
    };
    config::routing(files, said)
}

/// The options that decide where requests go, for the report.
pub(super) fn options(args: &RouteArgs) -> Vec<String> {
    let RouteArgs { files, setup } = args;
    if files.is_empty() {
        return Vec::new();
    }
    let mut options: Vec<_> = files.iter().map(|file| format!("--routes {}", file.display())).collect();
    let sampling = route::Sampling::from(setup.sampling);
    options.push(format!("--sampling {}", sampling.name()));
    options.push(format!("--namespace {}", setup.namespace));
    options.extend(setup.captured.iter().map(|name| format!("--captured {name}")));
    options.extend(setup.gateway.iter().map(|name| format!("--gateway {name}")));
    options.extend(setup.source_label.iter().map(|label| format!("--source-label {label}")));
    options.extend(setup.source_namespace.iter().map(|name| format!("--source-namespace {name}")));
    options.extend(setup.service_port.iter().map(|port| format!("--service-port {port}")));
    options
}
