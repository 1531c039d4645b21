//! What a run comes to, and the ways to show it.

mod gate;
mod latency;
mod route;
mod summary;
mod tally;
mod visible;

pub use gate::Gate;
pub use latency::{Latency, Quantiles, Step};
pub use route::route_of;
pub use summary::*;
pub use tally::{Judged, Tally};
pub(crate) use visible::visible;
