//! `shadowcap replay`: send a capture's requests to v2, and report.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::args::{self, Asking, Edits, Global, Output, Replay, RouteArgs};
use super::running::{Around, carry_out, conclude};
use super::{Exit, exit, preview, report, route, terminal};
use crate::capture::{CaptureSet, Input};
use crate::config::{self, ConfigError, Connecting, Target};
use crate::http::{BodyKeep, Options};
use crate::pipeline::{InWords, Job, Planning, RECORDING, ReadingOptions, Repeat, Resumption, RunError};
use crate::record::{CAPTURE, Mode, OPTIONS, ROUTES, Resuming, Run};
use crate::replay::choice::{Choice, Sample, Window};
use crate::replay::client::Client;
use crate::replay::clock::Clock;
use crate::replay::engine::Settings;
use crate::replay::filter::Filter;
use crate::replay::guard::Guard;
use crate::replay::pace::Rate;
use crate::replay::ready::Readiness;
use crate::replay::{Planner, Speed};
use crate::route::{HostEdit, RouteTable, SHADOW_SUFFIX, Shares};

pub(super) fn run(args: &Replay, global: &Global) -> anyhow::Result<Exit> {
    let clock = Clock::start();
    let inputs = config::inputs(&args.reading.captures);
    let (job, around) = job(args, clock, &inputs, global)?;
    if let Some(format) = args.care.dry_run {
        return preview::run(job, format, global);
    }
    if args.output.no_redact {
        report::warn_of_secrets();
    }
    if args.connecting.insecure {
        exit::warn(
            "--insecure: v2's certificate is not checked; whoever is on the way can read and answer the requests",
        );
    }
    let folder = job.folder.clone();
    let outcome = carry_out(job, &around, global)?;
    let exit = conclude(&outcome, &folder, global)?;
    report::annotate(&outcome.summary, args.output.annotations)?;
    Ok(exit)
}

/// What was typed, as the pipeline takes it.
fn job(args: &Replay, clock: Clock, inputs: &[Input], global: &Global) -> anyhow::Result<(Job, Around)> {
    let redactor = report::redactor(&args.output)?;
    let max_body = usize::try_from(args.reading.max_body).unwrap_or(usize::MAX);
    let bodies = Options { keep: BodyKeep::UpTo(max_body), hash: false };
    let keep = args.keep.resolve();
    // Nobody reads an answer that is neither kept nor compared.
    let answers = if keep.rows || keep.diff { bodies.keep } else { BodyKeep::Nothing };
    let connecting = args.connecting.resolve(args.pace.timeout, answers)?;
    let Plan { table, targets } = plan(&args.target, &args.routes, &connecting, global)?;
    let clients = targets.iter().map(|(_, target)| connecting.client(target, clock));
    let clients = clients.collect::<Result<Vec<_>, _>>()?;
    let around = around(&args.care.tending, &clients, &targets)?;
    let repeat = repeat(args)?;
    let settings = settings(args, clients, repeat)?;
    let planning = planning(args, table, &targets)?;
    let asking = Asking {
        connecting: &connecting,
        planner: &planning.planner,
        seed: args.target.seed,
        clock,
        own: None,
        waits: settings.speed == Speed::Max && settings.rate.is_none(),
    };
    let verification = args.verify.resolve(Some(&args.keep), &asking)?;
    let source = CaptureSet::open(inputs)?;
    if repeat != Repeat::ONCE && !source.can_be_rewound() {
        let given = args.schedule.repeat.clone().unwrap_or_default();
        let problem = "standard input and pipes can be read once only; save the capture as a file first";
        return Err(ConfigError::new("--loop", given, problem).into());
    }
    let run = Run {
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        started: clock.now(),
        seed: args.target.seed,
        mode: Mode::Replay,
        captures: args.reading.captures.clone(),
        targets: targets.into_iter().map(|(name, target)| (name, target.url)).collect(),
        options: [shaping(args), pacing(args)].concat(),
        digests: digests(args, &source)?,
    };
    let job = Job {
        reading: ReadingOptions {
            answers: Some(Options { keep: answers, ..bodies }),
            ..args.reading.options(bodies)?
        },
        repeat,
        planning,
        settings,
        clock,
        redactor,
        folder: folder(args, clock),
        keep,
        ruling: args.gate.ruling()?,
        verification,
        resumption: resumption(args, &run)?,
        gate: args.gate.resolve()?,
        source,
        run,
    };
    Ok((job, around))
}

/// Which requests go where.
pub(super) struct Plan {
    pub(super) table: RouteTable,
    /// Each endpoint with its name, in the order of the table's places.
    pub(super) targets: Vec<(String, Target)>,
}

/// The rules of `--routes`, or the one rule that `--to` stands for.
pub(super) fn plan(
    typed: &args::Target,
    routes: &RouteArgs,
    connecting: &Connecting,
    global: &Global,
) -> anyhow::Result<Plan> {
    let Some(to) = &typed.to else {
        let routing = route::routing(&routes.files, &routes.setup)?;
        for warning in routing.warnings.iter().chain(&routing.tls_warnings(connecting)) {
            terminal::say(global, format_args!("warning: {warning}"));
        }
        let target = |(name, url): (String, String)| Ok((name, connecting.target("--endpoint", &url)?));
        let targets = routing.endpoints.into_iter().map(target).collect::<Result<Vec<_>, ConfigError>>()?;
        connecting.fits(targets.iter().map(|(_, target)| target))?;
        return Ok(Plan { table: routing.table, targets });
    };
    let percent = config::parse("--percent", &typed.percent)?;
    let target = connecting.target("--to", to)?;
    connecting.fits([&target])?;
    Ok(Plan { table: RouteTable::to_v2(percent), targets: vec![("v2".to_owned(), target)] })
}

/// What becomes of the Host.
pub(super) fn host_edit(edits: &Edits) -> Result<HostEdit, ConfigError> {
    match (&edits.istio, &edits.host_suffix) {
        (Some(version), _) => config::istio_host_edit(version),
        (None, suffix) => {
            config::host_edit(suffix.as_deref().unwrap_or(SHADOW_SUFFIX), edits.host.as_deref())
        }
    }
}

fn folder(args: &Replay, clock: Clock) -> PathBuf {
    let given = args.care.resume.as_ref().or(args.output.out.as_ref());
    given.cloned().unwrap_or_else(|| {
        config::default_folder(args.reading.captures.first().map_or("", String::as_str), clock.now())
    })
}

fn repeat(args: &Replay) -> Result<Repeat, ConfigError> {
    let Some(given) = &args.schedule.repeat else { return Ok(Repeat::ONCE) };
    let repeat = config::parse("--loop", given)?;
    if matches!(repeat, Repeat::For(_)) && args.care.resume.is_some() {
        let problem = "a run of so much time has no rest to go on with; begin a new one";
        return Err(ConfigError::new("--loop", given, problem));
    }
    Ok(repeat)
}

fn settings(args: &Replay, clients: Vec<Client>, repeat: Repeat) -> Result<Settings, ConfigError> {
    Ok(Settings {
        speed: config::parse::<Speed>("--speed", &args.pace.speed)?,
        concurrency: args.pace.concurrency as usize,
        rate: rate(&args.schedule.limited)?,
        connections: args.connecting.connections()?,
        order: config::parse("--order", &args.schedule.order)?,
        abort_after: args.care.tending.abort_after,
        time_limit: match repeat {
            Repeat::For(time) => Some(time),
            Repeat::Times(_) => None,
        },
        ..Settings::new(clients)
    })
}

/// How many requests a second are sent at most.
pub(super) fn rate(limited: &args::Limited) -> Result<Option<Rate>, ConfigError> {
    let rate: Option<Rate> =
        limited.rate.as_deref().map(|given| config::parse("--rate", given)).transpose()?;
    Ok(rate.map(|rate| rate.reached_after(limited.ramp.unwrap_or_default())))
}

fn planning(args: &Replay, table: RouteTable, targets: &[(String, Target)]) -> anyhow::Result<Planning> {
    let edits = config::user_edits(&args.edits.set_header, &args.edits.remove_header)?;
    let own = edits.own(&table)?;
    let mut edits = edits.head_edits(host_edit(&args.edits)?, args.edits.as_envoy);
    edits.credentials = config::credentials(&args.choice.credentials)?;
    let captured = if args.target.allow_captured_server {
        Vec::new()
    } else {
        targets.iter().flat_map(|(_, target)| target.addresses().to_vec()).collect()
    };
    Ok(Planning {
        choice: Choice { window: window(&args.window)?, ..choice(&args.choice, args.target.seed)? },
        shares: Shares::new(&table),
        table,
        sampling: args.routes.setup.sampling.into(),
        seed: args.target.seed,
        planner: Planner::new(edits, captured).with_own(own),
        guard: (!args.target.allow_captured_server).then(Guard::default),
        why: InWords::default(),
    })
}

fn window(args: &args::Window) -> Result<Window, ConfigError> {
    let edge = |option, given: &Option<String>| {
        given.as_deref().map(|given| config::parse(option, given)).transpose()
    };
    let window = Window::new(edge("--from", &args.from)?, edge("--to-time", &args.to_time)?);
    if window.is_empty() {
        let problem = format!(
            "it is not after --from `{}`: nothing lies between",
            args.from.as_deref().unwrap_or_default()
        );
        return Err(ConfigError::new("--to-time", args.to_time.as_deref().unwrap_or_default(), problem));
    }
    Ok(window)
}

/// Which of the requests are sent, whenever they were captured.
pub(super) fn choice(args: &args::Choice, seed: u64) -> Result<Choice, ConfigError> {
    let filter = |given: &String| {
        Filter::new(given).map_err(|error| ConfigError::new("--filter", given, error.to_string()))
    };
    let sample: Option<Sample> =
        args.sample.as_deref().map(|given| config::parse("--sample", given)).transpose()?;
    Ok(Choice {
        window: Window::default(),
        methods: config::parse("--methods", &args.methods)?,
        filter: args.filter.as_ref().map(filter).transpose()?,
        sample: sample.unwrap_or_default().seeded(seed),
        limit: args.limit,
    })
}

/// The run that is gone on with, where one is.
fn resumption(args: &Replay, run: &Run) -> Result<Option<Resumption>, RunError> {
    let Some(folder) = &args.care.resume else { return Ok(None) };
    let recording = Resuming::open(&folder.join(RECORDING))?;
    match recording.run().difference(run) {
        Some(what) => Err(RunError::OtherRun { folder: folder.clone(), what }),
        None => Ok(Some(Resumption { recording, resend: args.care.resend_in_flight })),
    }
}

/// What a run is known by when it is to be gone on with.
fn digests(args: &Replay, source: &CaptureSet) -> anyhow::Result<BTreeMap<String, String>> {
    let options = blake3::hash(shaping(args).join("\n").as_bytes()).to_hex().to_string();
    let capture = source.digest().context("cannot read the capture again")?;
    let mut digests = BTreeMap::from([(OPTIONS.to_owned(), options), (CAPTURE.to_owned(), capture)]);
    let mut routes = blake3::Hasher::new();
    for file in args.routes.files.iter().filter(|file| *file != Path::new("-")) {
        let text = config::text_of(file).with_context(|| format!("cannot read {} again", file.display()))?;
        routes.update(text.as_bytes()).update(&[0]);
    }
    if !args.routes.files.is_empty() {
        digests.insert(ROUTES.to_owned(), routes.finalize().to_hex().to_string());
    }
    Ok(digests)
}

/// The options that decide which requests are sent and with what, for the report and for going on.
fn shaping(args: &Replay) -> Vec<String> {
    let mut options = edit_words(&args.edits);
    options.extend(target_words(&args.target, &args.routes));
    options.extend(args.reading.words());
    options.extend(words(&[("--from", &args.window.from), ("--to-time", &args.window.to_time)]));
    options.extend(choice_words(&args.choice));
    options.extend(words(&[("--loop", &args.schedule.repeat)]));
    options
}

/// Which of the requests are sent.
pub(super) fn choice_words(choice: &args::Choice) -> Vec<String> {
    words(&[
        ("--filter", &choice.filter),
        ("--sample", &choice.sample),
        ("--limit", &choice.limit.map(|limit| limit.to_string())),
        ("--methods", &Some(choice.methods.clone()).filter(|methods| methods != "all")),
        ("--credentials", &Some(choice.credentials.clone()).filter(|what| what != "pass")),
    ])
}

/// The options that were given.
fn words(options: &[(&str, &Option<String>)]) -> Vec<String> {
    options.iter().filter_map(|(option, given)| Some(format!("{option} {}", given.as_ref()?))).collect()
}

/// How fast it is sent at most, and when it is given up.
pub(super) fn limit_words(limited: &args::Limited, tending: &args::Tending) -> Vec<String> {
    let mut words = Vec::new();
    words.extend(limited.rate.iter().map(|rate| format!("--rate {rate}")));
    words.extend(limited.ramp.iter().map(|ramp| format!("--ramp {}s", ramp.as_secs_f64())));
    words.extend(tending.abort_after.map(|times| format!("--abort-after {times}")));
    words
}

/// What is done to heads. Header values may be secrets and are left out.
pub(super) fn edit_words(edits: &Edits) -> Vec<String> {
    let name = |field: &String| field.split(':').next().unwrap_or_default().to_owned();
    let mut words = vec![match (&edits.host, &edits.istio) {
        (Some(host), _) => format!("--host {host}"),
        (None, Some(version)) => format!("--istio {version}"),
        (None, None) => format!("--host-suffix {}", edits.host_suffix.as_deref().unwrap_or(SHADOW_SUFFIX)),
    }];
    words.extend(edits.as_envoy.then(|| "--as-envoy".to_owned()));
    words.extend(edits.set_header.iter().map(|field| format!("--set-header {}", name(field))));
    words.extend(edits.remove_header.iter().map(|name| format!("--remove-header {name}")));
    words
}

/// Which requests are sent.
pub(super) fn target_words(target: &args::Target, routes: &RouteArgs) -> Vec<String> {
    let mut words = Vec::from_iter(target.to.is_some().then(|| format!("--percent {}", target.percent)));
    words.extend(route::options(routes));
    words.extend(target.allow_captured_server.then(|| "--allow-captured-server".to_owned()));
    words
}

/// The options that decide when and how fast it is sent, and what is kept of it.
fn pacing(args: &Replay) -> Vec<String> {
    let mut options = vec![
        format!("--speed {}", args.pace.speed),
        format!("--concurrency {}", args.pace.concurrency),
        format!("--timeout {}s", args.pace.timeout.as_secs_f64()),
    ];
    options.extend(limit_words(&args.schedule.limited, &args.care.tending));
    let order = Some(&args.schedule.order).filter(|order| *order != "connection");
    options.extend(order.map(|order| format!("--order {order}")));
    options.extend(args.connecting.options());
    options.extend(args.keep.options());
    options.extend(args.verify.options());
    options.extend(args.gate.options());
    options.extend(output_words(&args.output));
    options
}

/// What is kept of secrets. The words themselves may tell one.
pub(super) fn output_words(output: &Output) -> Vec<String> {
    let also = (!output.redact_also.is_empty()).then(|| "--redact-also".to_owned());
    also.into_iter().chain(output.no_redact.then(|| "--no-redact".to_owned())).collect()
}

/// What is waited for before a run, and who may watch it.
pub(super) fn around(
    tending: &args::Tending,
    clients: &[Client],
    targets: &[(String, Target)],
) -> Result<Around, ConfigError> {
    if let Some(path) = &tending.ready_path
        && !(path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic()))
    {
        return Err(ConfigError::new("--ready-path", path, "a path begins with / and holds no blank"));
    }
    let readiness = |limit, url: &str| {
        let host = url.split_once("://").map_or("", |(_, host)| host.trim_end_matches('/'));
        Readiness { limit, asked: tending.ready_path.clone().map(|path| (path, host.to_owned())) }
    };
    let ready = tending.wait_ready.map(|limit| {
        let both = clients.iter().zip(targets);
        both.map(|(client, (_, target))| (client.clone(), readiness(limit, &target.url))).collect()
    });
    Ok(Around { ready: ready.unwrap_or_default(), metrics: tending.metrics })
}
