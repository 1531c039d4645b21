//! What `capture` and `live` share: interfaces, files, and what is said of them.

use std::path::Path;

use super::args::Global;
use super::args::live::{Front, Rotation as RotationArgs};
use super::terminal;
use crate::capture::InterfaceCounts;
use crate::capture::live::{Delivery, LiveError, LiveOptions, OnLoss, Opened, privileges};
use crate::capture::recorder::{Recorder, RecorderError, RecorderOptions, Rotation};
use crate::config::ConfigError;
use std::time::Duration;

/// Opens the interfaces, and gives up the right to, unless it will be needed again.
pub(super) fn open(front: &Front, wait: Duration) -> Result<Opened, LiveError> {
    let options = LiveOptions {
        filter: front.bpf.clone(),
        snaplen: front.snaplen,
        buffer: u32::try_from(front.buffer).unwrap_or(u32::MAX),
        promiscuous: !front.no_promiscuous,
        delivery: if front.immediate { Delivery::Immediate } else { Delivery::Blocks(wait) },
        on_loss: if front.reopen { OnLoss::Reopen } else { OnLoss::Stop },
        ..LiveOptions::new(front.interface.clone())
    };
    let keeps_rights = options.on_loss == OnLoss::Reopen;
    let opened = Opened::open(options)?;
    if !keeps_rights && let Err(error) = privileges::drop_them() {
        tracing::warn!("the right to capture could not be given up: {error}");
    }
    Ok(opened)
}

/// Begins to write the packets of these interfaces.
pub(super) fn record(
    path: &Path,
    rotate: &RotationArgs,
    front: &Front,
    opened: &Opened,
) -> anyhow::Result<Recorder> {
    let account = opened.account();
    let rotation = Rotation {
        bytes: rotate.size,
        every: rotate.every,
        packets: rotate.packets,
        keep: rotate.keep.map(|keep| keep as usize),
    };
    let to_stdout = path == Path::new("-");
    if to_stdout && rotation.is_set() {
        return Err(ConfigError::new("-w", "-", "standard output cannot be rotated; name a file").into());
    }
    let interfaces = account.interfaces();
    let options = RecorderOptions {
        path: (!to_stdout).then(|| path.to_owned()),
        rotation,
        interfaces: interfaces.into_iter().map(|one| (one.name, one.link)).collect(),
        filter: front.bpf.clone(),
        snaplen: front.snaplen,
    };
    let counts = move || account.interfaces().iter().map(|one| one.counts).collect();
    Recorder::create(options, Box::new(counts)).map_err(|error| match error {
        RecorderError::Create { path, source } => {
            anyhow::Error::from(ConfigError::new("-w", path.to_string_lossy(), source.to_string()))
        }
        other @ RecorderError::Write { .. } => other.into(),
    })
}

/// Says where it is captured, once it is.
pub(super) fn say_begun(global: &Global, front: &Front) {
    let filter = front.bpf.as_ref().map(|filter| format!(", filter `{filter}`")).unwrap_or_default();
    let until = match front.duration {
        Some(duration) => format!("for {} s or until Ctrl-C", duration.as_secs_f64()),
        None => "until Ctrl-C".to_owned(),
    };
    terminal::say(global, format_args!("Capturing on {}{filter}, {until}.", front.interface.join(", ")));
}

/// What was lost, as words.
pub(super) fn drops(counts: &InterfaceCounts) -> String {
    format!(
        "{} dropped by the kernel, {} by the interface",
        counts.dropped_by_kernel, counts.dropped_by_interface
    )
}
