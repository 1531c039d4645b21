//! What would v2 have answered to yesterday's traffic?

pub mod anomaly;
pub mod capture;
pub mod diff;
pub mod exchange;
pub mod http;
pub mod packet;
#[cfg(feature = "cli")]
pub mod record;
pub mod replay;
#[cfg(feature = "cli")]
pub mod report;
pub mod route;
pub mod stream;
pub mod time;
pub mod wire;
