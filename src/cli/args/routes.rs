//! What can be typed about rules.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Rules, where their destinations are, and what no capture tells.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rules")]
pub(in crate::cli) struct RouteArgs {
    /// Follow the rules of this file: Istio's VirtualService and DestinationRule, Gateway API's HTTPRoute; may be
    /// given several times.
    #[arg(long = "routes", value_name = "FILE")]
    pub(in crate::cli) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) setup: SetupArgs,
}

/// What rules do not say by themselves.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rules")]
pub(in crate::cli) struct SetupArgs {
    /// Where a destination of the rules is, by its subset, its host, or HOST/SUBSET; may be given several times.
    #[arg(long, value_name = "NAME=URL")]
    pub(in crate::cli) endpoint: Vec<String>,
    /// Which destination of the rules was captured, by subset, host, or HOST/SUBSET [default: the subset v1, else the
    /// heaviest without an --endpoint].
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) captured: Option<String>,
    /// Decide all shares of a request by one number, as Envoy does, or each by its own.
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Sampling::Envoy)]
    pub(in crate::cli) sampling: Sampling,
    /// The namespace of rules that name none.
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub(in crate::cli) namespace: String,
    /// The gateway that the requests came through [default: mesh, or the rules' first].
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) gateway: Option<String>,
    /// A label of the workload that sent the requests; may be given several times.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(in crate::cli) source_label: Vec<String>,
    /// The namespace of that workload.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) source_namespace: Option<String>,
    /// The service's port that the requests were sent to [default: that of the Host].
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(in crate::cli) service_port: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Sampling {
    Envoy,
    Independent,
}
