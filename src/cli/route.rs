//! `shadowcap route`, and what all commands that follow rules share.

use super::args::{RouteArgs, Sampling, SetupArgs};
use crate::config::{self, Routing, RulesFault, Said};
use crate::route::{self, Vantage};
use std::path::PathBuf;

impl From<Sampling> for route::Sampling {
    fn from(how: Sampling) -> Self {
        match how {
            Sampling::Envoy => Self::Envoy,
            Sampling::Independent => Self::Independent,
        }
    }
}

/// The rules of files, fitted to what was typed beside them.
pub(super) fn routing(files: &[PathBuf], setup: &SetupArgs) -> Result<Routing, RulesFault> {
    let vantage = Vantage {
        namespace: setup.namespace.clone(),
        gateway: setup.gateway.clone(),
        source_namespace: setup.source_namespace.clone(),
        port: setup.service_port,
        ..Vantage::default()
    };
    let said = Said {
        endpoints: &setup.endpoint,
        captured: setup.captured.as_deref(),
        vantage: &vantage,
        source_labels: &setup.source_label,
    };
    config::routing(files, said)
}

/// The options that decide where requests go, for the report.
pub(super) fn options(args: &RouteArgs) -> Vec<String> {
    let RouteArgs { files, setup } = args;
    if files.is_empty() {
        return Vec::new();
    }
    let mut options: Vec<_> = files.iter().map(|file| format!("--routes {}", file.display())).collect();
    let sampling = route::Sampling::from(setup.sampling);
    options.push(format!("--sampling {}", sampling.name()));
    options.push(format!("--namespace {}", setup.namespace));
    options.extend(setup.captured.iter().map(|name| format!("--captured {name}")));
    options.extend(setup.gateway.iter().map(|name| format!("--gateway {name}")));
    options.extend(setup.source_label.iter().map(|label| format!("--source-label {label}")));
    options.extend(setup.source_namespace.iter().map(|name| format!("--source-namespace {name}")));
    options.extend(setup.service_port.iter().map(|port| format!("--service-port {port}")));
    options
}
