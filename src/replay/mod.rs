//! Sending again what was captured.
//!
//! `plan` says exactly which bytes leave, `pace` when, `client` is the only socket, and [`outcome`] says
//! what became of each request.

pub mod edits;
pub mod outcome;
pub mod plan;

pub use edits::HeadEdits;
pub use outcome::{Failure, Outcome, SkipReason, Timing};
pub use plan::{Plan, Planner, ShadowRequest};
