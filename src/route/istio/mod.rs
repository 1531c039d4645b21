//! Istio's `VirtualService` and `DestinationRule` (`networking.istio.io`, v1alpha3, v1beta1, v1).
//!
//! What a field means is Istio's API reference; what Envoy makes of it is Istio's own translation.

mod action;
mod conflict;
mod delegate;
mod destination_rule;
mod http_rule;
mod matching;
mod virtual_service;

pub(super) use action::{field_name, is_path};
pub(super) use delegate::rule_sets;
pub(super) use destination_rule::destination_rule;
pub use destination_rule::{DestinationRule, Subset, Tls, TlsMode, TlsPolicy};
pub(super) use matching::pattern;
pub(super) use virtual_service::{VirtualService, virtual_service};
