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

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Route {
    /// Rules files: Istio's VirtualService and DestinationRule, Gateway API's HTTPRoute; - for stdin.
    #[arg(required = true, value_name = "FILE")]
    pub(in crate::cli) files: Vec<PathBuf>,
    /// Explain what becomes of a request for this URL.
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) url: Option<String>,
    /// The method of that request.
    #[arg(long, value_name = "METHOD", default_value = "GET", requires = "url")]
    pub(in crate::cli) method: String,
    /// A header field of that request; may be given several times.
    #[arg(long, value_name = "NAME: VALUE", requires = "url")]
    pub(in crate::cli) header: Vec<String>,
    /// Tell what becomes of each request of this capture; may be given several times.
    #[arg(long, value_name = "CAPTURE", conflicts_with = "url")]
    pub(in crate::cli) capture: Vec<String>,
    /// Chooses which requests of a capture a percentage contains, as in a replay.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub(in crate::cli) seed: u64,
    /// For a person, or one JSON document.
    #[arg(long, value_enum, default_value_t = RouteFormat::Text)]
    pub(in crate::cli) format: RouteFormat,
    #[command(flatten)]
    pub(in crate::cli) setup: SetupArgs,
    #[command(flatten)]
    pub(in crate::cli) edits: super::Edits,
}

const EXAMPLES: &str = "\
Examples:
  shadowcap route routes.yaml --url http://httpbin:8000/headers
  shadowcap route routes.yaml --capture yesterday.pcap
  kubectl get virtualservice,destinationrule -o yaml | shadowcap route -";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum RouteFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Sampling {
    Envoy,
    Independent,
}
