//! Gateway API's `HTTPRoute` (`gateway.networking.k8s.io`).
//!
//! It differs from Istio's rules in what it means by a prefix (whole path elements), in which match goes
//! first (the most specific, across all routes for a host), and in the weight of a destination that names
//! none (1).

mod filter;
mod http_route;

pub(super) use http_route::{by_age, http_route};
