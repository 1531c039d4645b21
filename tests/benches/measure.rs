//! What a process costs.

use std::io::{self, Error};
use std::process::Command;
use std::time::Duration;

/// What a process has cost.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// In user space and in the kernel together.
    pub cpu: Duration,
    /// The most memory that it held at once, in bytes.
    pub peak: u64,
}

/// Runs a command to its end, which must be a good one.
pub fn run(mut command: Command) -> io::Result<Cost> {
    let child = command.spawn()?;
    let (status, usage) = wait(child.id())?;
    if status != 0 {
        return Err(Error::other(format!("{command:?} ended with {status:#x}")));
    }
    Ok(cost(&usage))
}

/// The CPU time of this process so far.
pub fn cpu() -> Duration {
    // SAFETY: getrusage writes the structure, for which all zeros are valid, and nothing else.
    #[allow(unsafe_code, reason = "there is no other way to learn what a process costs")]
    let usage = unsafe {
        let mut usage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    cost(&usage).cpu
}

/// Waits for a child of this process that nobody else waits for.
fn wait(child: u32) -> io::Result<(i32, libc::rusage)> {
    let child = libc::pid_t::try_from(child).map_err(Error::other)?;
    let mut status = 0;
    // SAFETY: wait4 writes the two places that it is given, for the second of which all zeros are valid.
    #[allow(unsafe_code, reason = "the standard library waits without asking what the child has cost")]
    let (reaped, usage) = unsafe {
        let mut usage = std::mem::zeroed();
        (libc::wait4(child, &raw mut status, 0, &raw mut usage), usage)
    };
    if reaped == child { Ok((status, usage)) } else { Err(Error::last_os_error()) }
}

fn cost(usage: &libc::rusage) -> Cost {
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec.unsigned_abs()) + Duration::from_micros(time.tv_usec.unsigned_abs())
    };
    // Linux counts in KiB, Darwin in bytes.
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    Cost { cpu: time(usage.ru_utime) + time(usage.ru_stime), peak: usage.ru_maxrss.unsigned_abs() * unit }
}
