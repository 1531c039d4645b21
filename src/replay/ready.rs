//! Waiting for a target to be there.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep};

use super::client::Client;
use super::outcome::Outcome;
use super::plan::{Manner, ShadowBody, ShadowRequest};
use super::stop::{Stop, StopSignal};
use crate::http::Asked;

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(200);

/// What a target must do to be ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// How long it is waited for.
    pub limit: Duration,
    /// Besides accepting a connection: the request target whose GET it must answer with 2xx, and the Host
    /// that is sent along.
    pub asked: Option<(String, String)>,
}

/// Why a target is not ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotReady {
    /// The time is over; what the last attempt came to.
    TimedOut(String),
    /// The user stopped the run.
    Stopped,
}

impl Readiness {
    /// Waits until the target is ready.
    ///
    /// # Errors
    /// When it is not in time, or the run is told to stop.
    pub async fn wait(&self, client: &Client, stop: &mut StopSignal) -> Result<(), NotReady> {
        let deadline = Instant::now() + self.limit;
        loop {
            let mut told = stop.clone();
            let attempt = tokio::time::timeout_at(deadline, self.attempt(client, &mut told));
            let why = tokio::select! {
                biased;
                () = stop.reached(Stop::Finish) => return Err(NotReady::Stopped),
                attempt = attempt => match attempt {
                    Ok(Ok(())) => return Ok(()),
                    Ok(Err(why)) => why,
                    Err(_) => "it did not answer".to_owned(),
                },
            };
            if Instant::now() + PAUSE >= deadline {
                return Err(NotReady::TimedOut(why));
            }
            sleep(PAUSE).await;
        }
    }

    async fn attempt(&self, client: &Client, stop: &mut StopSignal) -> Result<(), String> {
        let (target, host) = match &self.asked {
            Some((target, host)) => (target.as_str(), host.as_str()),
            None => match client.reach().await {
                Some(reached) => return reached,
                None => ("/", "localhost"),
            },
        };
        let agent = concat!("shadowcap/", env!("CARGO_PKG_VERSION"));
        let head = format!(
            "GET {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        );
        let now = client.clock().now();
        let request = ShadowRequest {
            head: head.into(),
            body: ShadowBody::Kept(Bytes::new()),
            manner: Manner { asked: Asked::by(b"GET"), expects_continue: false, persistent: false },
            captured: now,
        };
        match client.send(&mut None, &request, now, stop).await {
            Outcome::Answered { .. } if self.asked.is_none() => Ok(()),
            Outcome::Answered { response, .. } if (200..300).contains(&response.head.status) => Ok(()),
            Outcome::Answered { response, .. } => {
                Err(format!("it answered GET {target} with {}", response.head.status))
            }
            Outcome::Failed { detail, .. } => Err(detail),
            Outcome::Skipped(reason) => Err(reason.words().to_owned()),
        }
    }
}
