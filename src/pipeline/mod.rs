//! The one place that wires stages, channels and shutdown.
//!
//! [`Reading`] runs the stages from packets to exchanges, in the caller's thread and in one pass.
//! `run` is a whole replay: reading in a thread of its own, sending on the runtime, judging as
//! outcomes come. `Rendering` judges the rows of recordings again, through the same code. Both need the
//! feature `cli`; reading does not.

#[cfg(feature = "cli")]
mod error;
#[cfg(feature = "cli")]
mod feed;
#[cfg(feature = "cli")]
mod judging;
#[cfg(feature = "cli")]
mod reader;
mod reading;
#[cfg(feature = "cli")]
mod report;
#[cfg(feature = "cli")]
mod run;

#[cfg(feature = "cli")]
pub use error::RunError;
#[cfg(feature = "cli")]
pub use feed::Progress;
#[cfg(feature = "cli")]
pub use judging::judged;
pub use reading::{Account, Reading, ReadingOptions};
#[cfg(feature = "cli")]
pub use report::{RECORDING, Rendering};
#[cfg(feature = "cli")]
pub use run::{Job, RunOutcome, run};
