//! Where every payload byte went.

use super::Direction;
use crate::anomaly::AnomalyCounts;

/// The payload bytes of one direction (of all connections), by what became of them.
///
/// `payload` is the sum of all others but `conflicting`, which is a part of `duplicate`, and `lost`,
/// which never was payload; see [`ByteAccount::balance`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByteAccount {
    /// Captured payload of the segments that came in.
    pub payload: u64,
    /// Handed on to the application, each byte of the stream once.
    pub delivered: u64,
    /// Repeats of bytes that were delivered or held already.
    pub duplicate: u64,
    /// The part of `duplicate` in pieces that are known to differ from the first copy.
    pub conflicting: u64,
    /// Outside any window that the receiver could have offered.
    pub out_of_window: u64,
    /// Before the place where the capture came into the middle of the stream, or in a range that was
    /// declared lost before it came.
    pub late: u64,
    /// Beyond the sender's FIN, or after the connection had ended.
    pub after_end: u64,
    /// Of keep-alive probes (RFC 9293, section 3.8.4).
    pub keep_alive: u64,
    /// Held out of order, and waiting for a hole before it. Zero when the capture has ended.
    pub held: u64,
    /// Stream bytes that are not in the capture: the sum of the gaps.
    pub lost: u64,
}

impl ByteAccount {
    /// What `payload` must be: the sum of all that became of it.
    #[must_use]
    pub const fn balance(&self) -> u64 {
        self.delivered
            + self.duplicate
            + self.out_of_window
            + self.late
            + self.after_end
            + self.keep_alive
            + self.held
    }

    /// Adds another account to this one.
    pub fn merge(&mut self, other: &Self) {
        self.payload += other.payload;
        self.delivered += other.delivered;
        self.duplicate += other.duplicate;
        self.conflicting += other.conflicting;
        self.out_of_window += other.out_of_window;
        self.late += other.late;
        self.after_end += other.after_end;
        self.keep_alive += other.keep_alive;
        self.held += other.held;
        self.lost += other.lost;
    }
}

/// What a [`ConnectionTable`](super::ConnectionTable) has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamAccount {
    /// Segments that came in.
    pub segments: u64,
    /// Connections that carried payload.
    pub connections: u64,
    /// Connections, or attempts at one, that carried none.
    pub empty_connections: u64,
    /// Bytes towards the side that accepted the connection.
    pub to_server: ByteAccount,
    /// Bytes towards the side that opened it.
    pub to_client: ByteAccount,
    /// What was odd.
    pub anomalies: AnomalyCounts,
}

impl StreamAccount {
    /// The bytes of one direction.
    #[must_use]
    pub const fn of(&self, direction: Direction) -> &ByteAccount {
        match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        }
    }

    pub(super) const fn of_mut(&mut self, direction: Direction) -> &mut ByteAccount {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }

    /// Both directions together.
    #[must_use]
    pub fn total(&self) -> ByteAccount {
        let mut total = self.to_server;
        total.merge(&self.to_client);
        total
    }
}
