//! What capturing takes and reading does not: capabilities(7).

use std::env;
use std::io;

#[cfg(target_os = "linux")]
use rustix::thread::{self, CapabilitySet, CapabilitySets};

/// What root keeps, so that it can write to the folders that it could write to before.
#[cfg(target_os = "linux")]
const FILES: CapabilitySet =
    CapabilitySet::CHOWN.union(CapabilitySet::DAC_OVERRIDE).union(CapabilitySet::FOWNER);

/// Gives up, for this thread and those that it starts from now on, every capability but those that
/// concern files, and the way to get others by running a program.
///
/// To be called after interfaces were opened and before any thread is started: what reads packets and
/// answers, which anyone can send, then has no power over the network.
///
/// # Errors
/// When the kernel refuses, which it has no reason to.
#[cfg(target_os = "linux")]
pub fn drop_them() -> io::Result<()> {
    thread::set_no_new_privs(true)?;
    let held = thread::capabilities(None)?;
    let kept = |set: CapabilitySet| set.intersection(FILES);
    let dropped = thread::set_capabilities(
        None,
        CapabilitySets {
            effective: kept(held.effective),
            permitted: kept(held.permitted),
            inheritable: CapabilitySet::empty(),
        },
    );
    Ok(dropped?)
}

/// Other systems have no capabilities: there the right to capture is that of a device's file, which is open by now.
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
pub fn drop_them() -> io::Result<()> {
    Ok(())
}

/// What to do where they are missing.
pub(super) fn advice() -> String {
    let program =
        env::current_exe().map_or_else(|_| "shadowcap".to_owned(), |path| path.display().to_string());
    format!(
        "run as root, or give the program the right once: `sudo setcap cap_net_raw,cap_net_admin+ep {program}`; in a \
         container, add the capability NET_RAW (docker run --cap-add NET_RAW, or securityContext.capabilities.add)"
    )
}
