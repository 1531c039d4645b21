//! Keeps v1 from getting its own traffic again.
//!
//! A target that is a server of the capture is most likely a mistake: v1 would see each request twice,
//! and act on it twice. So the first request that was captured on its way to the target ends the run,
//! unless it is provably a mirror's copy of one that went elsewhere, or the user has allowed it.

use std::collections::{HashSet, VecDeque};
use std::net::SocketAddr;

use xxhash_rust::xxh3::xxh3_64;

use super::outcome::SkipReason;
use crate::exchange::Exchange;

/// How many of the latest requests are remembered by their `x-request-id`. A mesh sends the copy within
/// milliseconds of the original.
const REMEMBERED: usize = 1 << 16;

/// The target is a server of the capture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the target {server} is a server of this capture: request {request} was captured on its way to it, and would \
     reach it a second time. If the capture holds v2's traffic too, leave that out (--port, or a capture filter); if \
     the target is meant, say so with --allow-captured-server"
)]
pub struct CapturedServer {
    /// The server's address.
    pub server: SocketAddr,
    /// The first such request: method, target, and when.
    pub request: String,
}

/// Watches the requests of a capture in their order.
#[derive(Debug, Default)]
pub struct Guard {
    known: HashSet<u64, foldhash::fast::RandomState>,
    order: VecDeque<u64>,
}

impl Guard {
    /// Whether the run may go on with this exchange, given why, if for any reason, it is not sent.
    ///
    /// # Errors
    /// When it was captured on its way to the target, and no copy of it to another server was seen.
    pub fn admit(&mut self, exchange: &Exchange, obstacle: Option<SkipReason>) -> Result<(), CapturedServer> {
        let id = exchange.request.head.headers.get("x-request-id").map(xxh3_64);
        match (obstacle, id) {
            (Some(SkipReason::ToTarget), Some(id)) if self.known.contains(&id) => Ok(()),
            (Some(SkipReason::ToTarget), _) => Err(captured_server(exchange)),
            (_, Some(id)) => {
                self.remember(id);
                Ok(())
            }
            (_, None) => Ok(()),
        }
    }

    fn remember(&mut self, id: u64) {
        if !self.known.insert(id) {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

fn captured_server(exchange: &Exchange) -> CapturedServer {
    let head = &exchange.request.head;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).chars().take(80).collect::<String>();
    CapturedServer {
        server: exchange.connection.server,
        request: format!(
            "{} {} at {}",
            text(head.method()),
            text(head.target()),
            exchange.request.first_byte
        ),
    }
}
