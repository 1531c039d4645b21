//! What a process costs.

use std::ffi::OsString;
use std::io::{self, Error};
use std::process::Command;
use std::time::Duration;

/// The program that is measured: the one that `SHADOWCAP` names, as `make bench` has it name the released one, or the
/// one that cargo has just built.
pub fn program() -> OsString {
    std::env::var_os("SHADOWCAP").unwrap_or_else(|| env!("CARGO_BIN_EXE_shadowcap").into())
}

/// What a process has cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// In user space and in the kernel together.
    pub cpu: Duration,
    /// In user space alone.
    pub user: Duration,
    /// The most memory that it held at once, in bytes.
    pub peak: u64,
}

/// Runs a command to its end, which must be a good one.
pub fn run(command: Command) -> io::Result<Cost> {
    run_to_any_of(command, &[0])
}

/// Runs a command to its end, which must be one of these.
pub fn run_to_any_of(mut command: Command, ends: &[i32]) -> io::Result<Cost> {
    let child = command.spawn()?;
    ended(&command, child.id(), ends)
}

/// Runs a command to its good end, and gives what it wrote to its output, which is little.
pub fn run_and_read(mut command: Command) -> io::Result<(Cost, String)> {
    let mut child = command.spawn()?;
    let mut output = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        io::Read::read_to_string(&mut stdout, &mut output)?;
    }
    Ok((ended(&command, child.id(), &[0])?, output))
}

fn ended(command: &Command, child: u32, ends: &[i32]) -> io::Result<Cost> {
    let (status, usage) = wait(child)?;
    let exited = libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status));
    if exited.is_some_and(|code| ends.contains(&code)) {
        Ok(cost(&usage))
    } else {
        Err(Error::other(format!("{command:?} ended with {status:#x}")))
    }
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
    let (user, kernel) = (time(usage.ru_utime), time(usage.ru_stime));
    Cost { cpu: user + kernel, user, peak: usage.ru_maxrss.unsigned_abs() * unit }
}
