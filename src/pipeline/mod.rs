//! The one place that wires stages, channels and shutdown.
//!
//! [`Reading`] runs the stages from packets to exchanges, in the caller's thread and in one pass.
//! `run` is a whole replay: reading in a thread of its own, sending on the runtime, judging as
//! outcomes come. `compare` does without sending: it pairs the two sides of what a mesh has mirrored.
//! `live` is a replay of what is captured at the moment.
//! `report` judges the rows of a recording again, through the same code. These need the
//! feature `cli`; reading does not.

#[cfg(feature = "cli")]
mod compare;
#[cfg(feature = "cli")]
mod error;
#[cfg(feature = "cli")]
mod feed;
#[cfg(feature = "cli")]
mod judging;
#[cfg(feature = "cli")]
mod keeping;
#[cfg(all(feature = "cli", feature = "live"))]
pub mod live;
#[cfg(feature = "cli")]
mod reader;
mod reading;
#[cfg(feature = "cli")]
mod report;
#[cfg(feature = "cli")]
mod run;
#[cfg(feature = "cli")]
mod sides;

#[cfg(feature = "cli")]
pub use compare::{Comparison, compare};
#[cfg(feature = "cli")]
pub use error::RunError;
#[cfg(feature = "cli")]
pub use feed::Progress;
#[cfg(feature = "cli")]
pub use judging::judged;
pub use reading::{Account, Except, Reading, ReadingOptions};
#[cfg(feature = "cli")]
pub use report::{RECORDING, report};
#[cfg(feature = "cli")]
pub use run::{Job, RunOutcome, run};
#[cfg(feature = "cli")]
pub use sides::{ShadowServer, ShadowServerError, Sides};
