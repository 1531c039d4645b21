//! The one place that wires stages, channels and shutdown.
//!
//! [`Reading`] runs the stages from packets to exchanges, in the caller's thread and in one pass.
//! `run` is a whole replay: reading, sending and judging side by side, on as many threads as it takes (`stages`).
//! `compare` does without sending: it pairs the two sides of what a mesh has mirrored.
//! `live` is a replay of what is captured at the moment.
//! `Rendering` judges the rows of recordings again, through the same code. These need the
//! feature `cli`; reading does not.

#[cfg(feature = "cli")]
mod compare;
#[cfg(feature = "cli")]
mod course;
#[cfg(feature = "cli")]
mod error;
#[cfg(feature = "cli")]
mod feed;
#[cfg(feature = "cli")]
mod inline;
#[cfg(feature = "cli")]
mod judging;
#[cfg(feature = "cli")]
mod keeping;
#[cfg(feature = "cli")]
mod ledger;
#[cfg(all(feature = "cli", feature = "live"))]
pub mod live;
#[cfg(feature = "cli")]
mod planning;
#[cfg(feature = "cli")]
mod preview;
#[cfg(feature = "cli")]
mod progress;
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
mod spill;
#[cfg(feature = "cli")]
mod stages;
#[cfg(feature = "cli")]
mod verifying;
#[cfg(feature = "cli")]
mod wavering;

#[cfg(feature = "cli")]
pub use compare::{Comparison, compare};
#[cfg(feature = "cli")]
pub use course::{Extent, Outlook};
#[cfg(feature = "cli")]
pub use error::RunError;
#[cfg(feature = "cli")]
pub use judging::{Ruling, judged};
#[cfg(feature = "cli")]
pub use keeping::Keep;
#[cfg(feature = "cli")]
pub use planning::{InWords, Planning};
#[cfg(feature = "cli")]
pub use preview::{Previewed, preview};
#[cfg(feature = "cli")]
pub use progress::{Counter, Progress};
#[cfg(feature = "cli")]
pub use reader::Repeat;
pub use reading::{Account, Except, Reading, ReadingOptions};
#[cfg(feature = "cli")]
pub use report::{Knowledge, RECORDING, Rendering};
#[cfg(feature = "cli")]
pub use run::{Job, Resumption, RunOutcome, run};
#[cfg(feature = "cli")]
pub use sides::{ShadowServer, ShadowServerError, Sides};
#[cfg(feature = "cli")]
pub use verifying::{Baseline, Verification};
