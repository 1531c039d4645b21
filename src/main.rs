//! The program: parse, run, exit code.

use mimalloc::MiMalloc;
use shadowcap::cli::{self, Exit};

/// What one thread reads another sends and a third judges, so that nearly all memory is freed by another thread than
/// asked for it. glibc has both wait for one lock then.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> Exit {
    cli::run()
}
