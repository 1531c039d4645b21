//! What would v2 have answered to yesterday's traffic?

pub mod anomaly;
pub mod capture;
pub mod diff;
pub mod exchange;
pub mod http;
pub mod packet;
pub mod record;
pub mod replay;
pub mod route;
pub mod stream;
pub mod time;
pub mod wire;
