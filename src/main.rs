//! The program: parse, run, exit code.

use shadowcap::cli::{self, Exit};

/// What a replay holds of a request is asked for by the thread that sends, and given back by the one that judges. glibc's
/// allocator has both wait for one lock then, and keeps seven pieces of a size at hand where a batch gives back dozens.
#[cfg(unix)]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What the allocator is told, where the environment's `_RJEM_MALLOC_CONF` says nothing else: pages that nobody uses go
/// back to the system after half a second. After ten, as it would, reading 80,000 open connections within `--memory 128MiB`
/// held 169.
#[cfg(unix)]
#[allow(unsafe_code, reason = "the name is the allocator's, and nothing else has it")]
#[unsafe(export_name = "_rjem_malloc_conf")]
static ALLOCATOR_SETTINGS: &u8 = &b"dirty_decay_ms:500,muzzy_decay_ms:0\0"[0];

fn main() -> Exit {
    cli::run()
}
