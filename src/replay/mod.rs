//! Sending again what was captured.
//!
//! [`plan`] says exactly which bytes leave, [`pace`] when, [`client`] is the only socket, and
//! [`outcome`] says what became of each request. [`engine`] runs the captured connections side by side,
//! each in its own order.

#[cfg(feature = "cli")]
pub mod client;
#[cfg(feature = "cli")]
pub mod clock;
#[cfg(feature = "cli")]
mod dialogue;
pub mod edits;
#[cfg(feature = "cli")]
pub mod endpoint;
#[cfg(feature = "cli")]
pub mod engine;
#[cfg(feature = "cli")]
mod exact;
#[cfg(feature = "cli")]
pub mod guard;
#[cfg(feature = "cli")]
mod lanes;
pub mod outcome;
#[cfg(feature = "cli")]
pub mod own;
pub mod pace;
pub mod plan;
#[cfg(feature = "cli")]
pub mod reqwest_client;
#[cfg(feature = "cli")]
pub mod stop;
#[cfg(feature = "cli")]
mod stream;
#[cfg(feature = "cli")]
pub mod tls;

pub use edits::{HeadEdits, RuleEdits};
pub use outcome::{Failure, Outcome, SkipReason, Timing};
pub use pace::Speed;
pub use plan::{Plan, Planner, ShadowRequest};
