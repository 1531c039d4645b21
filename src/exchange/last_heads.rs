//! The heads that were read last, of a few connections that take turns.

use crate::http::{RequestHead, ResponseHead, h1::LastHead};
use crate::stream::ConnectionId;

/// So many connections at once have their own; few enough to stay in the processor's nearest memory. A power of two.
const KEPT: usize = 4;

/// What both directions of a connection, or of another that shares its place, sent last.
#[derive(Default)]
pub(super) struct LastHeads {
    requests: [LastHead<RequestHead>; KEPT],
    responses: [LastHead<ResponseHead>; KEPT],
}

impl LastHeads {
    #[inline]
    pub(super) fn request(&mut self, connection: &ConnectionId) -> &mut LastHead<RequestHead> {
        &mut self.requests[place(connection)]
    }

    #[inline]
    pub(super) fn response(&mut self, connection: &ConnectionId) -> &mut LastHead<ResponseHead> {
        &mut self.responses[place(connection)]
    }
}

/// By the lowest bits of the ports.
#[inline]
fn place(connection: &ConnectionId) -> usize {
    usize::from(connection.client.port() ^ connection.server.port()) % KEPT
}
