//! First bytes, kept until they tell what is spoken.

use crate::exchange::pairing::Moment;
use crate::stream::Direction;

/// First bytes, until they tell what is spoken.
#[derive(Default)]
pub(super) struct Held {
    pub(super) to_server: Vec<u8>,
    pub(super) to_client: Vec<u8>,
    /// In which order they came, and how many of them when.
    pub(super) pieces: Vec<(Direction, Moment, usize)>,
}

impl Held {
    pub(super) fn of(&self, direction: Direction) -> &[u8] {
        match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        }
    }

    pub(super) fn keep(&mut self, direction: Direction, moment: Moment, bytes: &[u8]) {
        self.pieces.push((direction, moment, bytes.len()));
        match direction {
            Direction::ToServer => self.to_server.extend_from_slice(bytes),
            Direction::ToClient => self.to_client.extend_from_slice(bytes),
        }
    }

    /// Takes the first `length` bytes of a direction away.
    pub(super) fn drop_front(&mut self, direction: Direction, length: usize) {
        let side = match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        };
        let mut left = length.min(side.len());
        side.drain(..left);
        for (_, moment, len) in self.pieces.iter_mut().filter(|(sender, ..)| *sender == direction) {
            let dropped = left.min(*len);
            *moment = moment.behind(dropped);
            *len -= dropped;
            left -= dropped;
        }
        self.pieces.retain(|&(.., len)| len > 0);
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        let pieces = self.pieces.capacity() * size_of::<(Direction, Moment, usize)>();
        self.to_server.capacity() + self.to_client.capacity() + pieces
    }

    /// Hands out the pieces in the order in which they came.
    pub(super) fn each(&self, mut take: impl FnMut(Direction, Moment, &[u8])) {
        let (mut to_server, mut to_client) = (self.to_server.as_slice(), self.to_client.as_slice());
        for &(direction, moment, len) in &self.pieces {
            let side = match direction {
                Direction::ToServer => &mut to_server,
                Direction::ToClient => &mut to_client,
            };
            let (piece, rest) = side.split_at_checked(len).unwrap_or((side, &[]));
            *side = rest;
            take(direction, moment, piece);
        }
    }
}
