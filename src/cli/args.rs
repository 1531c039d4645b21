//! What can be typed. Meanings are in [`crate::config`].

mod care;
mod choice;
mod gate;
mod keep;
pub(super) mod live;
mod routes;
mod schedule;
mod target;
mod verify;

use std::path::PathBuf;

use crate::config::{self, ConfigError};
use crate::http::Options;
use crate::pipeline::{Except, ReadingOptions};
use crate::replay::clock::Clock;
use crate::stream::Limits;
use crate::time::parse_duration;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

pub(super) use care::{Care, PreviewFormat, Tending};
pub(super) use choice::{Choice, Window};
pub(super) use gate::GateArgs;
pub(super) use keep::{Extent, KeepArgs};
pub(super) use routes::{Route, RouteArgs, RouteFormat, Sampling, SetupArgs};
pub(super) use schedule::{Limited, Schedule};
pub(super) use target::TargetArgs;
pub(super) use verify::{Asking, VerifyArgs};

/// The program's arguments.
#[derive(Debug, Parser)]
#[command(
    name = "shadowcap",
    version,
    about = "What would v2 have answered to yesterday's traffic?",
    long_about = "Reads a packet capture of HTTP traffic between clients and a service's v1, sends each request \
                  again to v2 with the `-shadow` Host of Istio's mirroring, and reports how v2's answers differ \
                  from those that v1 gave.",
    after_help = "Try `shadowcap demo` first: it needs no network, no privileges and half a minute.",
    after_long_help = MAIN_EXAMPLES,
    styles = STYLES,
    propagate_version = true,
    max_term_width = 110
)]
pub struct Cli {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const MAIN_EXAMPLES: &str = "\
Examples:
  shadowcap demo
  shadowcap inspect captures/httpbin-v1.pcap
  shadowcap replay captures/httpbin-v1.pcap --to http://127.0.0.1:8080
  shadowcap compare captures/envoy-mirror.pcap
  shadowcap report reports/httpbin-v1-20261122T120750Z

Exit status:
  0    no difference that counts
  1    v2 differs, or failed
  2    usage or configuration
  3    could not judge: capture unreadable, target unreachable, nothing compared
  130  interrupted; the partial report is written";

#[derive(Debug, Args)]
pub(super) struct Global {
    /// Print results and errors only.
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
    /// Log to stderr what becomes of each request (-v), with its times (-vv).
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub(super) verbose: u8,
    /// When to use colour; `auto` follows the terminal and `NO_COLOR`.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub(super) color: Color,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// The whole job in half a minute: bundled capture, built-in v2, no network, no privileges.
    Demo(Demo),
    /// What is in a capture: exchanges, connections, losses, anomalies.
    Inspect(Box<Inspect>),
    /// Send a capture's requests to v2 and report how its answers differ from v1's.
    Replay(Box<Replay>),
    /// Judge what a mesh has mirrored already: both sides are in the capture.
    Compare(Box<Compare>),
    /// Capture and shadow at once: each request goes to v2 as soon as v1 has answered it.
    Live(Box<live::Live>),
    /// Capture packets on interfaces into files.
    Capture(Box<live::Capture>),
    /// Explain what rules would do with a request, or with those of a capture.
    Route(Box<Route>),
    /// Diff and render again from a run's recording, sending nothing.
    Report(Box<Report>),
    /// Print the man page.
    #[command(hide = true)]
    Man,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  shadowcap demo\n  shadowcap demo --out /tmp/demo\n  shadowcap demo --serve v1 --listen 127.0.0.1:8080"
)]
pub(super) struct Demo {
    /// Where to put the run's folder [default: reports/demo-TIME].
    #[arg(long, value_name = "FOLDER")]
    pub(super) out: Option<PathBuf>,
    /// Only run one of the demo's two services, to try the other commands on; Ctrl-C ends it.
    #[arg(long, value_enum, value_name = "VERSION")]
    pub(super) serve: Option<DemoVersion>,
    /// Where the service listens; port 0 takes a free one. The address is printed.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0", requires = "serve")]
    pub(super) listen: std::net::SocketAddr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum DemoVersion {
    V1,
    V2,
}

/// Which packets are read, and how much of them is kept.
#[derive(Debug, Args)]
#[command(next_help_heading = "Reading")]
pub(super) struct Reading {
    /// Captures: pcap or pcapng, plain, .gz or .zst; a file, a folder, a glob, an http(s):// address, or - for
    /// stdin. Several are one capture, in time order.
    #[arg(required = true, value_name = "CAPTURE")]
    pub(super) captures: Vec<String>,
    /// Read only packets that this filter admits, in tcpdump's language, such as `tcp port 80`.
    #[arg(short = 'f', long, value_name = "FILTER")]
    pub(super) bpf: Option<String>,
    /// Read only connections with one of these ports [default: HTTP on any port].
    #[arg(long, value_name = "PORT", value_delimiter = ',')]
    pub(super) port: Vec<u16>,
    /// Keep bodies up to this size; larger ones are counted and hashed. Larger ones of requests are sent all the same,
    /// from a temporary file in the run's folder.
    #[arg(long, value_name = "SIZE", default_value = "16MiB", value_parser = parse_size)]
    pub(super) max_body: u64,
    /// Memory for connections and unfinished messages; beyond it the oldest are given up, and counted.
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = parse_size)]
    pub(super) memory: u64,
}

impl Reading {
    /// What was typed, as the pipeline takes it.
    pub(super) fn options(&self, bodies: Options) -> Result<ReadingOptions, ConfigError> {
        Ok(ReadingOptions {
            filter: self.bpf.as_deref().map(config::packet_filter).transpose()?,
            ports: self.port.clone(),
            bodies,
            answers: None,
            store: None,
            limits: Limits { memory: self.memory },
            except: Except::default(),
        })
    }

    /// The options that choose among the packets, for the report.
    pub(super) fn words(&self) -> impl Iterator<Item = String> {
        let filter = self.bpf.iter().map(|filter| format!("--bpf {filter}"));
        filter.chain(self.port.iter().map(|port| format!("--port {port}")))
    }
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  shadowcap inspect yesterday.pcap\n  shadowcap inspect --format jsonl 'rotated/*.pcap.gz' | jq .target\n  ssh host tcpdump -w - 'tcp port 80' | shadowcap inspect -"
)]
pub(super) struct Inspect {
    #[command(flatten)]
    pub(super) reading: Reading,
    /// A table, one JSON document with the totals, or one JSON object for each exchange.
    #[arg(long, value_enum, default_value_t = InspectFormat::Text)]
    pub(super) format: InspectFormat,
    /// Add digests of the bodies.
    #[arg(long, value_enum, value_name = "DIGEST")]
    pub(super) hash: Option<Digest>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum InspectFormat {
    Text,
    Json,
    Jsonl,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Digest {
    Sha256,
}

#[derive(Debug, Args)]
#[command(after_help = REPLAY_EXAMPLES)]
pub(super) struct Replay {
    #[command(flatten)]
    pub(super) reading: Reading,
    #[command(flatten)]
    pub(super) target: Target,
    #[command(flatten)]
    pub(super) connecting: TargetArgs,
    #[command(flatten)]
    pub(super) routes: RouteArgs,
    #[command(flatten)]
    pub(super) edits: Edits,
    #[command(flatten)]
    pub(super) window: Window,
    #[command(flatten)]
    pub(super) choice: Choice,
    #[command(flatten)]
    pub(super) pace: Pace,
    #[command(flatten)]
    pub(super) schedule: Schedule,
    #[command(flatten)]
    pub(super) care: Care,
    #[command(flatten)]
    pub(super) verify: VerifyArgs,
    #[command(flatten)]
    pub(super) keep: KeepArgs,
    #[command(flatten)]
    pub(super) gate: GateArgs,
    #[command(flatten)]
    pub(super) output: Output,
}

const REPLAY_EXAMPLES: &str = "\
Examples:
  shadowcap replay yesterday.pcap --to http://v2.staging:8080
  shadowcap replay 'rotated/*.pcap.gz' --to http://127.0.0.1:8080 --speed 1
  shadowcap replay yesterday.pcap --to http://127.0.0.1:8080 --dry-run
  shadowcap replay yesterday.pcap --to http://127.0.0.1:8080 --methods safe
  shadowcap replay day.pcap --to http://v2.staging:8080 --verify
  shadowcap replay day.pcap --routes r.yaml --endpoint v2=http://127.0.0.1:8080
  kubectl exec deploy/httpbin -- tcpdump -U -w - 'tcp port 80' |
    shadowcap replay - --to http://127.0.0.1:8080";

#[derive(Debug, Args)]
#[command(next_help_heading = "Target")]
pub(super) struct Target {
    /// Where v2 is: `http://HOST[:PORT]`, `https://HOST[:PORT]` or `unix:/PATH`.
    #[arg(long, value_name = "URL", required_unless_present = "files", conflicts_with = "files")]
    pub(super) to: Option<String>,
    /// Send this percentage of the requests; which ones follows from the seed.
    #[arg(long, value_name = "PERCENT", default_value = "100", conflicts_with = "files")]
    pub(super) percent: String,
    /// Chooses which requests a percentage contains; the same seed chooses the same.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub(super) seed: u64,
    /// Allow a target that is a server of the capture: v1 itself would get the requests again.
    #[arg(long)]
    pub(super) allow_captured_server: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "What is sent")]
pub(super) struct Edits {
    /// What is added to the Host, before its port; `none` leaves it as captured [default: -shadow].
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(super) host_suffix: Option<String>,
    /// Send this Host in place of the captured one.
    #[arg(long, value_name = "HOST", conflicts_with = "host_suffix")]
    pub(super) host: Option<String>,
    /// Leave the Host to what this version of Istio does by default: from 1.28 on nothing is added to it.
    #[arg(long, value_name = "VERSION", conflicts_with_all = ["host", "host_suffix"])]
    pub(super) istio: Option<String>,
    /// Add what Envoy adds to a mirrored request: x-envoy-internal and x-forwarded-for.
    #[arg(long)]
    pub(super) as_envoy: bool,
    /// Set a header field, replacing those of that name, for all destinations or for one of the rules; may be given
    /// several times.
    #[arg(long, value_name = "[DESTINATION=]NAME: VALUE")]
    pub(super) set_header: Vec<String>,
    /// Leave out all header fields of that name, for all destinations or for one; may be given several times.
    #[arg(long, value_name = "[DESTINATION=]NAME")]
    pub(super) remove_header: Vec<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "When it is sent")]
pub(super) struct Pace {
    /// 1 keeps the captured times, N divides them, max sends as fast as v2 answers.
    #[arg(long, value_name = "N|max", default_value = "max")]
    pub(super) speed: String,
    /// How many requests may be waiting for their answers at once.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(super) concurrency: u32,
    /// How long v2 may take for a whole answer, such as 500ms or 30s.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_duration)]
    pub(super) timeout: std::time::Duration,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct Output {
    /// The run's folder [default: reports/CAPTURE-TIME].
    #[arg(long, value_name = "FOLDER")]
    pub(super) out: Option<PathBuf>,
    /// Keep credentials, cookies and tokens in the recording and the reports as they are.
    #[arg(long)]
    pub(super) no_redact: bool,
    /// Redact further values: those of this name (of a header field, parameter, cookie or JSON member), or what
    /// this regular expression matches; may be given several times.
    #[arg(long, value_name = "NAME|PATTERN", conflicts_with = "no_redact")]
    pub(super) redact_also: Vec<String>,
    /// Print the verdict and the first differences also as a pipeline's runner wants them.
    #[arg(long, value_enum, value_name = "RUNNER")]
    pub(super) annotations: Option<Annotations>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Annotations {
    Github,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ExportFormat {
    Har,
    Ndjson,
    Csv,
}

impl Output {
    /// The run's folder.
    pub(super) fn folder(&self, reading: &Reading, clock: Clock) -> PathBuf {
        let first = reading.captures.first().map_or("", String::as_str);
        self.out.clone().unwrap_or_else(|| config::default_folder(first, clock.now()))
    }
}

#[derive(Debug, Args)]
#[command(after_help = COMPARE_EXAMPLES)]
pub(super) struct Compare {
    #[command(flatten)]
    pub(super) reading: Reading,
    #[command(flatten)]
    pub(super) mirroring: Mirroring,
    #[command(flatten)]
    pub(super) gate: GateArgs,
    #[command(flatten)]
    pub(super) output: Output,
}

const COMPARE_EXAMPLES: &str = "\
Examples:
  shadowcap compare captures/envoy-mirror.pcap
  shadowcap compare 'rotated/*.pcap*' --window 30s
  shadowcap compare captures/envoy-mirror.pcap --shadow-server :8002

Primary and shadow are paired by their x-request-id, method and target, or, where
they have no id, by method, target, host and body, and nearness in time. A row is
a pair; what stays alone is counted with its reason.";

#[derive(Debug, Args)]
#[command(next_help_heading = "How the mesh mirrored")]
pub(super) struct Mirroring {
    /// What the mesh adds to the Host of a shadow, before its port [default: -shadow]. With `none`, a shadow is known
    /// by --shadow-server, or by what the proxy adds to its headers.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(super) host_suffix: Option<String>,
    /// The mesh's version of Istio, in place of --host-suffix: from 1.28 on nothing is added to the Host.
    #[arg(long, value_name = "VERSION", conflicts_with = "host_suffix")]
    pub(super) istio: Option<String>,
    /// A server that gets shadows: ADDRESS, ADDRESS:PORT or :PORT; may be given several times.
    #[arg(long, value_name = "SERVER")]
    pub(super) shadow_server: Vec<String>,
    /// How far apart primary and shadow may begin in the capture, such as 500ms or 30s.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = parse_duration)]
    pub(super) window: std::time::Duration,
}

#[derive(Debug, Args)]
#[command(
    after_help = REPORT_EXAMPLES
)]
pub(super) struct Report {
    /// The run's folder. Several are shards of one capture, and are put together.
    #[arg(required = true, value_name = "RUN")]
    pub(super) run: Vec<PathBuf>,
    /// Where to write the reports [default: the run's folder].
    #[arg(long, value_name = "FOLDER")]
    pub(super) out: Option<PathBuf>,
    /// Say which differences are new, known and gone since this run.
    #[arg(long, value_name = "RUN")]
    pub(super) against: Option<PathBuf>,
    /// Print one exchange and how its answers differ, and write nothing.
    #[arg(long, value_name = "ID", conflicts_with_all = ["out", "against", "export", "annotations"])]
    pub(super) show: Option<String>,
    /// Write all rows to standard output in this form, and no reports.
    #[arg(long, value_enum, value_name = "FORM", conflicts_with_all = ["out", "against", "annotations"])]
    pub(super) export: Option<ExportFormat>,
    /// Add the differences that count to this file of accepted ones, made where it is missing, and write no reports.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["out", "show", "export", "annotations", "accepted"])]
    pub(super) accept: Option<PathBuf>,
    /// Write candidate rules with their evidence to this file, or - for standard output, and no reports.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["out", "against", "show", "export", "annotations", "accept"])]
    pub(super) suggest_rules: Option<PathBuf>,
    #[command(flatten)]
    pub(super) gate: GateArgs,
    /// Redact further values: those of this name, or what this regular expression matches.
    #[arg(long, value_name = "NAME|PATTERN")]
    pub(super) redact_also: Vec<String>,
    /// Print the verdict and the first differences also as a pipeline's runner wants them.
    #[arg(long, value_enum, value_name = "RUNNER")]
    pub(super) annotations: Option<Annotations>,
}

const REPORT_EXAMPLES: &str = "\
Examples:
  shadowcap report reports/httpbin-v1-20261122T120750Z
  shadowcap report reports/httpbin-v1-20261122T120750Z --out /tmp/again
  shadowcap report reports/httpbin-v1-20261122T120750Z --export ndjson | jq .id";

/// A number of bytes with an optional unit: B, KB, MB, GB (powers of 1000), KiB, MiB, GiB (of 1024).
fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor: u64 = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        unit => return Err(format!("`{unit}` is no unit of bytes; use KB, MB, GB, KiB, MiB or GiB")),
    };
    let number: u64 =
        digits.trim().parse().map_err(|_| "a size is a whole number and a unit, such as 16MiB".to_owned())?;
    number.checked_mul(factor).ok_or_else(|| "the size does not fit into 64 bits".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definitions_hold_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [("0", 0), ("7B", 7), ("16MiB", 16 << 20), ("2k", 2048), ("3MB", 3_000_000)] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "-1", "1.5GB", "9x", "99999999999GiB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
