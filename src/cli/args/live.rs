//! What is captured and where it is kept, as it can be typed.

#![cfg_attr(
    not(feature = "live"),
    allow(dead_code, reason = "the commands only say that they were not built")
)]

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args};

use super::{
    Choice, Edits, GateArgs, KeepArgs, Limited, Output, RouteArgs, Target, TargetArgs, Tending, VerifyArgs,
    parse_duration, parse_size,
};

#[derive(Debug, Args)]
#[command(after_help = CAPTURE_EXAMPLES)]
pub(crate) struct Capture {
    /// List the interfaces that can be captured on, and end.
    #[arg(long, exclusive = true)]
    pub(crate) list: bool,
    #[command(flatten)]
    pub(crate) front: Front,
    /// Write packets to this pcapng file, compressed where its name ends in .gz or .zst; - is stdout.
    #[arg(short = 'w', long = "write", value_name = "FILE", required = true)]
    pub(crate) write: Option<PathBuf>,
    /// Stop after so many packets.
    #[arg(short = 'c', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) packets: Option<u64>,
    #[command(flatten)]
    pub(crate) rotate: Rotation,
}

const CAPTURE_EXAMPLES: &str = "\
Examples:
  shadowcap capture --list
  shadowcap capture -i eth0 -f 'tcp port 80' -w captures/x.pcapng
  shadowcap capture -i any -w captures/x.pcapng.zst --rotate-every 1h --keep 24
  shadowcap capture -i eth0 -w - --duration 1m | shadowcap inspect -";

/// What is captured.
#[derive(Debug, Args)]
#[command(next_help_heading = "Capturing")]
pub(crate) struct Front {
    /// Capture on this interface, or on `any`; may be given several times.
    #[arg(short = 'i', long, value_name = "INTERFACE", required = true)]
    pub(crate) interface: Vec<String>,
    /// Capture only packets that this filter admits, in tcpdump's language, such as `tcp port 80`.
    #[arg(short = 'f', long, value_name = "FILTER")]
    pub(crate) bpf: Option<String>,
    /// Stop after this time, such as 10m; without it, at Ctrl-C.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) duration: Option<Duration>,
    /// Keep so many bytes of each packet. What is cut off cannot be replayed.
    #[arg(short = 's', long, value_name = "BYTES", default_value_t = 262_144,
          value_parser = clap::value_parser!(u32).range(64..=262_144))]
    pub(crate) snaplen: u32,
    /// The kernel's buffer for each interface, which bridges the moments when nobody reads.
    #[arg(short = 'B', long, value_name = "SIZE", default_value = "64MiB", value_parser = parse_size)]
    pub(crate) buffer: u64,
    /// Only what is addressed to this machine, not all that passes by.
    #[arg(short = 'p', long)]
    pub(crate) no_promiscuous: bool,
    /// Have each packet handed over at once; the buffer then has room for fewer.
    #[arg(long)]
    pub(crate) immediate: bool,
    /// When an interface goes down or away, wait for it to come back; keeps the right to capture for that.
    #[arg(long)]
    pub(crate) reopen: bool,
}

/// When a file is followed by another.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rotation", group = ArgGroup::new("rotates").multiple(true))]
pub(crate) struct Rotation {
    /// Begin another file before one grows beyond this size.
    #[arg(long = "rotate-size", id = "rotate_size", value_name = "SIZE", value_parser = parse_size, requires = "write", group = "rotates")]
    pub(crate) size: Option<u64>,
    /// Begin another file after this time.
    #[arg(long = "rotate-every", id = "rotate_every", value_name = "DURATION", value_parser = parse_duration, requires = "write", group = "rotates")]
    pub(crate) every: Option<Duration>,
    /// Begin another file after so many packets.
    #[arg(long = "rotate-packets", id = "rotate_packets", value_name = "N", value_parser = clap::value_parser!(u64).range(1..), requires = "write", group = "rotates")]
    pub(crate) packets: Option<u64>,
    /// Keep the latest so many files, and remove older ones.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), requires = "rotates")]
    pub(crate) keep: Option<u32>,
}

#[derive(Debug, Args)]
#[command(after_help = LIVE_EXAMPLES)]
pub(crate) struct Live {
    #[command(flatten)]
    pub(crate) front: Front,
    /// Read only connections with one of these ports [default: HTTP on any port].
    #[arg(long, value_name = "PORT", value_delimiter = ',')]
    pub(crate) port: Vec<u16>,
    /// Keep bodies in memory up to this size; larger ones are counted and hashed, and those of requests wait on disk.
    #[arg(long, value_name = "SIZE", default_value = "16MiB", value_parser = parse_size)]
    pub(crate) max_body: u64,
    /// Memory for connections and unfinished messages; beyond it the oldest are given up, and counted.
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = parse_size)]
    pub(crate) memory: u64,
    /// Disk in the run's folder for requests with larger bodies; what finds no room there is not sent, and counted.
    #[arg(long, value_name = "SIZE", default_value = "2GiB", value_parser = parse_size)]
    pub(crate) disk: u64,
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) routes: RouteArgs,
    #[command(flatten)]
    pub(crate) edits: Edits,
    #[command(flatten)]
    pub(crate) choice: Choice,
    #[command(flatten)]
    pub(crate) limited: Limited,
    #[command(flatten)]
    pub(crate) sending: Sending,
    #[command(flatten)]
    pub(crate) tending: Tending,
    #[command(flatten)]
    pub(crate) connecting: TargetArgs,
    #[command(flatten)]
    pub(crate) verify: VerifyArgs,
    /// Write the packets to this pcapng file, too, compressed where its name ends in .gz or .zst.
    #[arg(short = 'w', long = "write", value_name = "FILE")]
    pub(crate) write: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) rotate: Rotation,
    #[command(flatten)]
    pub(crate) keep: KeepArgs,
    #[command(flatten)]
    pub(crate) gate: GateArgs,
    #[command(flatten)]
    pub(crate) output: Output,
    /// Show the run on the whole terminal: rates, verdicts, differences, losses; plain lines where there is none.
    #[arg(long)]
    pub(crate) ui: bool,
    /// Renew the reports this often; SIGUSR1 does it at once.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) report_every: Option<Duration>,
}

/// How shadows are sent.
#[derive(Debug, Args)]
#[command(next_help_heading = "Sending")]
pub(crate) struct Sending {
    /// How many requests may be waiting for their answers at once.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) concurrency: u32,
    /// How many requests may wait for v2, those on their way included; what comes beyond is shed, and counted.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) queue: u32,
    /// How long v2 may take for a whole answer, such as 500ms or 30s.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_duration)]
    pub(crate) timeout: Duration,
}

const LIVE_EXAMPLES: &str = "\
Examples:
  shadowcap live -i eth0 -f 'tcp port 80' --to http://v2.staging:8080
  shadowcap live -i any --port 80 --to http://127.0.0.1:8080 --duration 10m
  shadowcap live -i eth0 --to http://127.0.0.1:8080 --verify
  shadowcap live -i eth0 --percent 10 --to http://127.0.0.1:8080 --ui
  shadowcap live -i eth0 --port 80 --to http://127.0.0.1:8080 -w x.pcapng";
