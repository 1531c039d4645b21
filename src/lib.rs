//! What would v2 have answered to yesterday's traffic?
//!
//! Istio and Envoy can mirror live requests to a new version of a service, with `-shadow` appended to
//! the Host, "fire and forget": the shadow's answers are thrown away. shadowcap does it offline and
//! keeps them. It reads a packet capture of the traffic between clients and v1, rebuilds the HTTP
//! exchanges, sends each request again to v2, and reports how v2's answers differ from those that v1
//! gave. It needs no mesh, no proxy, and no change to the service.
//!
//! # The house
//!
//! Modules stand in the order of the pipeline, and data flows one way:
//!
//! ```text
//!  capture      wire        stream       http + exchange      route
//!  ┌──────┐    ┌──────┐    ┌────────┐    ┌──────────────┐    ┌───────┐
//!  │ file │    │ link │    │ order  │    │ heads,bodies │    │ rules │
//!  │ live ├───►│ IP   ├───►│ gaps   ├───►│ pairing      ├───►│ share │
//!  │      │    │ TCP  │    │ end    │    │              │    │       │
//!  └──────┘    └──────┘    └────────┘    └──────────────┘    └───┬───┘
//!       Packet     Segment      Chunk              Exchange      │ Decision
//!                                                                ▼
//!  ┌─────────┐   ┌────────┐   ┌──────┐   ┌────────┐   ┌────────────────┐
//!  │ reports │◄──┤ record │◄──┤ diff │◄──┤ client │◄──┤ plan, pace     │
//!  └─────────┘   └────────┘   └──────┘   └────────┘   └────────────────┘
//!       Summary      Row  Difference  Outcome     ShadowRequest
//! ```
//!
//! Up to `route`, and in `replay::plan` and `diff`, nothing does I/O and nothing asks what time it is:
//! bytes and captured time go in, values come out. One parser, [`http`], reads captured and live
//! answers alike, so that no difference can come from the way they were read.
//!
//! What it stands for, in this order: nothing vanishes silently; v2 gets what v1 got; a difference
//! shown is worth reading; fast enough to forget about; safe with hostile input and with secrets.
//!
//! # Features
//!
//! * `cli` (default): the program: sockets, the terminal, the recording, the reports.
//! * `live` (default): libpcap, for capturing on an interface.
//!
//! Without both, the library is the sans-I/O core: `default-features = false`.

pub mod time;

pub mod anomaly;

pub mod packet;

pub mod capture;

pub mod wire;

pub mod stream;

pub mod http;

pub mod exchange;

pub mod route;

#[cfg(feature = "cli")]
pub mod expression;

pub mod replay;

pub mod diff;

#[cfg(feature = "cli")]
pub mod record;

#[cfg(feature = "cli")]
pub mod report;

#[cfg(feature = "cli")]
pub mod config;

#[cfg(feature = "cli")]
pub mod demo;

pub mod pipeline;

#[cfg(feature = "cli")]
pub mod cli;
