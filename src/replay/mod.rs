//! Sending again what was captured.
//!
//! [`plan`] says exactly which bytes leave, [`pace`] when, [`client`] is the only socket, and
//! [`outcome`] says what became of each request. [`engine`] runs the captured connections side by side,
//! each in its own order.

#[cfg(feature = "cli")]
mod alarm;
#[cfg(feature = "cli")]
mod budget;
#[cfg(feature = "cli")]
pub mod choice;
#[cfg(feature = "cli")]
pub mod client;
#[cfg(feature = "cli")]
pub mod clock;
#[cfg(feature = "cli")]
pub mod connections;
pub mod credentials;
#[cfg(feature = "cli")]
mod desk;
#[cfg(feature = "cli")]
mod dialogue;
#[cfg(feature = "cli")]
mod dispatcher;
pub mod edits;
#[cfg(feature = "cli")]
pub mod endpoint;
#[cfg(feature = "cli")]
pub mod engine;
#[cfg(feature = "cli")]
mod entity_stream;
#[cfg(feature = "cli")]
mod exact;
#[cfg(feature = "cli")]
pub mod filter;
#[cfg(feature = "cli")]
pub mod guard;
#[cfg(feature = "cli")]
mod lanes;
pub mod methods;
#[cfg(feature = "cli")]
pub mod order;
#[cfg(feature = "cli")]
mod outbox;
pub mod outcome;
#[cfg(feature = "cli")]
pub mod own;
#[cfg(feature = "cli")]
mod own_thread;
pub mod pace;
#[cfg(feature = "cli")]
mod pacer;
pub mod plan;
#[cfg(feature = "cli")]
mod reach;
#[cfg(feature = "cli")]
pub mod ready;
#[cfg(feature = "cli")]
mod registering;
#[cfg(feature = "cli")]
pub mod reqwest_client;
#[cfg(feature = "cli")]
mod serving;
#[cfg(feature = "cli")]
mod slots;
#[cfg(feature = "cli")]
pub mod stop;
#[cfg(feature = "cli")]
mod stored;
#[cfg(feature = "cli")]
mod stream;
#[cfg(feature = "cli")]
pub mod supply;
#[cfg(feature = "cli")]
pub mod tls;

pub use credentials::Credentials;
pub use edits::{HeadEdits, RuleEdits};
#[cfg(feature = "cli")]
pub use order::Order;
pub use outcome::{Failure, Outcome, SkipReason, Timing};
#[cfg(feature = "cli")]
pub(crate) use own_thread::on_own_thread;
pub use pace::Speed;
pub use plan::{Plan, Planner, ShadowBody, ShadowRequest};
