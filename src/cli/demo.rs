//! `shadowcap demo`: the whole job on bundled traffic, against a built-in v2.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context as _;
use tokio::runtime::Runtime;

use super::args::{Demo, DemoVersion, Global};
use super::running::{self, Around};
use super::signals::Signals;
use super::{Exit, exit, terminal};
use crate::capture::{CaptureSet, Input};
use crate::config;
use crate::demo::{CAPTURE, Planted, Server, Version};
use crate::http::Options;
use crate::pipeline::{InWords, Job, Keep, Planning, ReadingOptions, Repeat, Ruling};
use crate::record::{Mode, Redactor, Run};
use crate::replay::choice::Choice;
use crate::replay::client::{Client, Limits};
use crate::replay::clock::Clock;
use crate::replay::engine::Settings;
use crate::replay::{HeadEdits, Planner};
use crate::report::{Gate, Judgement, Summary};
use crate::route::{Percent, RouteTable, Sampling, Shares};

/// How the bundled capture is called.
const NAME: &str = "demo-shop-v1.pcap";

pub(super) fn run(args: &Demo, global: &Global) -> anyhow::Result<Exit> {
    let runtime = Runtime::new().context("cannot start the asynchronous runtime")?;
    if let Some(version) = args.serve {
        return runtime.block_on(serve(version, args.listen));
    }
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = runtime
        .block_on(Server::start(Version::V2, listen))
        .context("cannot listen on loopback for the demo's v2")?;
    let clock = Clock::start();
    let folder = args.out.clone().unwrap_or_else(|| config::default_folder("demo", clock.now()));
    terminal::say(global, intro(&server));
    let kept = std::env::temp_dir().join(format!("shadowcap-demo-{}-{NAME}", std::process::id()));
    std::fs::write(&kept, CAPTURE).with_context(|| format!("cannot write {}", kept.display()))?;
    let outcome = job(&kept, &folder, server.address(), clock)
        .and_then(|job| Ok(running::carry_out(job, &Around::default(), global)?));
    // The capture is in the program: losing the copy loses nothing.
    let _ = std::fs::remove_file(&kept);
    let outcome = outcome?;
    let exit = running::conclude(&outcome, &folder, global)?;
    if outcome.interrupted {
        return Ok(exit);
    }
    Ok(verdict(&outcome.summary, &folder, server.served(), global))
}

async fn serve(version: DemoVersion, listen: SocketAddr) -> anyhow::Result<Exit> {
    let version = match version {
        DemoVersion::V1 => Version::V1,
        DemoVersion::V2 => Version::V2,
    };
    let server =
        Server::start(version, listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let mut signals = Signals::listen().context("cannot wait for signals")?;
    writeln!(io::stdout(), "{}", server.address()).context("cannot write to standard output")?;
    signals.next().await;
    Ok(Exit::Pass)
}

fn intro(server: &Server) -> String {
    format!(
        "Yesterday, clients asked the tea shop's v1; tcpdump listened. Now each request goes to v2, at http://{}, with\n\
         the Host shop-shadow:8000, and the answers are compared. This is what `shadowcap replay` does:\n\n  \
         shadowcap replay captures/{NAME} --to http://{}\n",
        server.address(),
        server.address()
    )
}

fn job(capture: &Path, folder: &Path, target: SocketAddr, clock: Clock) -> anyhow::Result<Job> {
    let limits = Limits::default();
    let bodies = Options { keep: limits.keep, hash: false };
    let table = RouteTable::to_v2(Percent::ALL);
    Ok(Job {
        ruling: Ruling::default(),
        verification: None,
        run: Run {
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            started: clock.now(),
            seed: 0,
            mode: Mode::Demo,
            captures: vec![format!("captures/{NAME}")],
            targets: BTreeMap::from([("v2".to_owned(), format!("http://{target}"))]),
            options: vec!["--speed max".to_owned(), "--concurrency 32".to_owned()],
            digests: BTreeMap::new(),
        },
        source: CaptureSet::open(&[Input::parse(capture)])?,
        reading: ReadingOptions { bodies, ..ReadingOptions::default() },
        repeat: Repeat::ONCE,
        planning: Planning {
            choice: Choice::default(),
            shares: Shares::new(&table),
            table,
            sampling: Sampling::default(),
            seed: 0,
            planner: Planner::new(HeadEdits::default(), Vec::new()),
            guard: None,
            why: InWords::default(),
        },
        settings: Settings::new(vec![Client::new(target, limits, clock)]),
        clock,
        redactor: Redactor::random(),
        folder: folder.to_owned(),
        keep: Keep::default(),
        resumption: None,
        gate: Gate::default(),
    })
}

/// Whether the demo did its job: everything that was planted was found, and nothing else counts.
fn verdict(summary: &Summary, folder: &Path, served: u64, global: &Global) -> Exit {
    let counted: Vec<_> = summary.differences.iter().filter(|d| d.class.counts()).collect();
    let found =
        |planted: &&Planted| counted.iter().any(|d| d.route == planted.route && d.path == planted.path);
    let (planted, latency): (Vec<_>, Vec<_>) = Planted::ALL.iter().partition(|planted| planted.differs);
    let missed: Vec<_> =
        planted.iter().filter(|planted| !found(planted)).map(|planted| planted.story).collect();
    let whole = missed.is_empty()
        && counted.len() == planted.len()
        && summary.verdict == Judgement::Fail
        && served == summary.exchanges.replayed;
    if !whole {
        exit::complain(&format!("the demo did not find just what was planted in its v2; missed: {missed:?}"));
        return Exit::Fail;
    }
    let stories: Vec<_> =
        planted.iter().chain(&latency).map(|planted| format!("  - {}", planted.story)).collect();
    terminal::say(
        global,
        format_args!(
            "\nThese were planted in v2, and found:\n{}\n\nThe demo did its job, so it ends with status 0; the same run \
             as `replay` would have ended with 1, since v2\ndiffers. Next: open {}, or\n`shadowcap replay \
             YOUR.pcap --to http://YOUR-V2`.",
            stories.join("\n"),
            folder.join("report.html").display()
        ),
    );
    Exit::Pass
}
