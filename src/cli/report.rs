//! `shadowcap report`: the reports of recordings, made again.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use anyhow::Context as _;

use super::args::{Annotations, ExportFormat, Global, Output, Report};
use super::{Exit, exit, terminal};
use crate::config::{self, ConfigError};
use crate::pipeline::{Rendering, RunError};
use crate::record::{Redactor, RequestName};
use crate::report::{self, Export, Format, Suggestions, Summary};

pub(super) fn run(args: &Report, global: &Global) -> anyhow::Result<Exit> {
    let redactor = match args.redact_also.as_slice() {
        [] => None,
        words => Some(random(words)?),
    };
    let ruling = args.gate.ruling()?;
    let rendering = Rendering {
        runs: args.run.clone(),
        against: args.against.clone(),
        redactor,
        ruling,
        gate: args.gate.resolve()?,
    };
    if let Some(id) = &args.show {
        return show(&rendering, id, global);
    }
    if let Some(format) = args.export {
        return export(&rendering, format);
    }
    if let Some(file) = &args.suggest_rules {
        return suggest(&rendering, file);
    }
    if let Some(file) = &args.accept {
        return accept(&rendering, file, global);
    }
    let out = match (&args.out, args.run.as_slice()) {
        (Some(out), _) => out,
        (None, [run]) => run,
        (None, _) => {
            let problem = "several runs are put together in a folder of their own; name it with --out";
            return Err(ConfigError::new("RUN", format!("{} runs", args.run.len()), problem).into());
        }
    };
    let summary = rendering.report(out)?;
    terminal::print_summary(&summary, &out.join("report.html"), global)
        .context("cannot write the summary to standard output")?;
    annotate(&summary, args.annotations)?;
    warn_of_rules(&summary, global);
    for loss in &summary.losses {
        terminal::say(global, format_args!("warning: {loss}"));
    }
    // A recording without an end is not that of a run that the user stopped.
    let stopped = summary.interrupted && summary.finished.is_some();
    Ok(if stopped { Exit::Interrupted } else { summary.verdict.into() })
}

/// What takes secrets out of what is kept; `None` where the user wants them kept.
pub(super) fn redactor(output: &Output) -> anyhow::Result<Option<Redactor>> {
    if output.no_redact { Ok(None) } else { random(&output.redact_also).map(Some) }
}

/// Says which rules did nothing: they may be misspelt, or have done their work.
pub(super) fn warn_of_rules(summary: &Summary, global: &Global) {
    for rule in &summary.rules {
        let name = &rule.name;
        match (&rule.expired, rule.matched) {
            (Some(day), _) => {
                let text = format_args!(
                    "warning: the rule `{name}` has expired on {day} and allows nothing any more"
                );
                terminal::say(global, text);
            }
            (None, 0) => terminal::say(global, format_args!("warning: the rule `{name}` matched nothing")),
            (None, _) => {}
        }
    }
}

/// Says loudly what `--no-redact` means.
pub(super) fn warn_of_secrets() {
    exit::warn(
        "SECRETS WILL BE KEPT: credentials, cookies and tokens go into the recording and every report as they are \
         (--no-redact)",
    );
}

/// A redactor that also takes out what the user names.
fn random(also: &[String]) -> anyhow::Result<Redactor> {
    let also = config::redact_also(also)?;
    let refused = || RunError::System { what: "randomness", source: io::Error::other("no random bytes") };
    Ok(Redactor::random().ok_or_else(refused)?.also(also))
}

/// Prints what a pipeline's runner is told, where that is wanted.
pub(super) fn annotate(summary: &Summary, annotations: Option<Annotations>) -> anyhow::Result<()> {
    let text = match annotations {
        None => return Ok(()),
        Some(Annotations::Github) => report::github_annotations(summary),
    };
    let written = terminal::unless_unread(io::stdout().lock().write_all(text.as_bytes()));
    written.context("cannot write annotations to standard output")
}

/// Prints the rows of one exchange.
fn show(rendering: &Rendering, id: &str, global: &Global) -> anyhow::Result<Exit> {
    let wanted: RequestName = config::parse("--show", id)?;
    let learned = rendering.learn()?;
    let mut recordings = rendering.open()?;
    let targets = recordings.run().targets.clone();
    let (mut out, mut shown) = (String::new(), 0);
    while let Some((row, judged)) = rendering.next(&mut recordings, &learned)? {
        if row.request_name() == wanted {
            let base = targets.get(&*row.destination).map(String::as_str);
            out += if shown > 0 { "\n" } else { "" };
            out += &report::show(&row, judged.as_ref(), base, terminal::screen());
            shown += 1;
        }
    }
    if shown == 0 {
        let problem = "no exchange of the recording has this id; exchanges.csv lists them";
        return Err(ConfigError::new("--show", id, problem).into());
    }
    let written = terminal::unless_unread(write!(terminal::stdout(global.color), "{out}"));
    written.context("cannot write the exchange to standard output")?;
    Ok(Exit::Pass)
}

/// Writes candidate rules.
fn suggest(rendering: &Rendering, file: &Path) -> anyhow::Result<Exit> {
    let summary = rendering.summary()?;
    let learned = rendering.learn()?;
    let (mut recordings, mut suggestions) = (rendering.open()?, Suggestions::new(learned.routes()));
    while let Some((row, judged)) = rendering.next(&mut recordings, &learned)? {
        suggestions.add(&row, judged.as_ref());
    }
    let text = suggestions.text(&summary);
    if file == Path::new("-") {
        let written = terminal::unless_unread(io::stdout().lock().write_all(text.as_bytes()));
        written.context("cannot write rules to standard output")?;
    } else {
        let mut out =
            OpenOptions::new().write(true).create_new(true).open(file).map_err(|error| {
                match error.kind() {
                    io::ErrorKind::AlreadyExists => {
                        let problem = "there is such a file, and it may hold reasons of yours; name another";
                        ConfigError::new("--suggest-rules", file.display().to_string(), problem).into()
                    }
                    _ => anyhow::Error::new(error).context(format!("cannot write {}", file.display())),
                }
            })?;
        out.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(Exit::Pass)
}

/// Adds the differences that count to a file of accepted ones.
fn accept(rendering: &Rendering, file: &Path, global: &Global) -> anyhow::Result<Exit> {
    let known = config::accepted_or_none(file)?.unwrap_or_default();
    let summary = rendering.summary()?;
    let addition = known.addition(&summary.differences);
    let write =
        |text: &str| OpenOptions::new().create(true).append(true).open(file)?.write_all(text.as_bytes());
    write(&addition).with_context(|| format!("cannot write {}", file.display()))?;
    let added = addition.matches("[[accepted]]").count();
    terminal::say(global, format_args!("{}: {added} differences added; say of each why", file.display()));
    Ok(Exit::Pass)
}

/// Writes all rows to standard output in another form.
fn export(rendering: &Rendering, format: ExportFormat) -> anyhow::Result<Exit> {
    let format = match format {
        ExportFormat::Har => Format::Har,
        ExportFormat::Ndjson => Format::Ndjson,
        ExportFormat::Csv => Format::Csv,
    };
    let learned = rendering.learn()?;
    let mut recordings = rendering.open()?;
    let written = (|| {
        let out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
        let mut export = Export::new(format, recordings.run(), learned.routes(), out)?;
        while let Some((row, judged)) = rendering.next(&mut recordings, &learned).map_err(io::Error::other)? {
            export.add(&row, judged.as_ref())?;
        }
        export.finish()
    })();
    terminal::unless_unread(written).context("cannot export to standard output")?;
    Ok(Exit::Pass)
}
