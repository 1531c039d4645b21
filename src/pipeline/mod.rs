//! The one place that wires stages, channels and shutdown.
//!
//! [`Reading`] runs the stages from packets to exchanges, in the caller's thread and in one pass.
//! [`run()`] is a whole replay: reading in a thread of its own, sending on the runtime, judging as
//! outcomes come. [`report()`] judges the rows of a recording again, through the same code.

mod error;
mod feed;
mod judging;
mod reader;
mod reading;
mod report;
mod run;

pub use error::RunError;
pub use feed::Progress;
pub use judging::judged;
pub use reading::{Account, Reading, ReadingOptions};
pub use report::{RECORDING, report};
pub use run::{Job, RunOutcome, run};
