//! The program: parse, run, exit code.

use shadowcap::cli::{self, Exit};

fn main() -> Exit {
    cli::run()
}
