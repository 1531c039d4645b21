//! The one place that wires stages, channels and shutdown.
//!
//! [`Reading`] runs the stages from packets to exchanges, in the caller's thread and in one pass.

mod reading;

pub use reading::{Account, Reading, ReadingOptions};
