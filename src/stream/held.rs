//! Bytes that came before their turn.

use std::collections::BTreeMap;

use crate::time::Timestamp;
use crate::wire::SeqNumber;

/// A run of bytes of one segment, waiting for those before it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// When its segment was captured.
    pub(super) at: Timestamp,
    /// What its segment acknowledged of the other direction.
    pub(super) needs: Option<SeqNumber>,
    /// The bytes.
    pub(super) bytes: Box<[u8]>,
    /// The position to which its segment reached on the wire: beyond the bytes where the snaplen cut it.
    pub(super) reaches: u64,
}

/// What became of the bytes of an inserted segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Inserted {
    /// Bytes that are held now and were not before.
    pub(super) new: u64,
    /// Bytes that were held already.
    pub(super) duplicate: u64,
    /// Bytes of `duplicate` in overlaps whose content differs.
    pub(super) conflicting: u64,
}

/// A segment's bytes, at their position in the stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run<'p> {
    pub(super) at: Timestamp,
    pub(super) needs: Option<SeqNumber>,
    pub(super) offset: u64,
    pub(super) bytes: &'p [u8],
    /// Bytes behind `bytes` that the snaplen cut off.
    pub(super) cut: u64,
}

impl Run<'_> {
    pub(super) fn end(&self) -> u64 {
        self.offset + self.bytes.len() as u64
    }

    /// Where the segment ended on the wire.
    pub(super) fn reaches(&self) -> u64 {
        self.end() + self.cut
    }
}

/// Pieces in the order of the stream.
///
/// Invariant: pieces do not overlap, and the first copy of a byte stays. A piece without bytes is the
/// place of a segment that the snaplen cut down to nothing.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Each in a box: a node of the tree has room for eleven, and most connections that hold any hold one.
    pieces: BTreeMap<u64, Box<Piece>>,
    bytes: u64,
}

impl Held {
    /// A leaf of the tree: eleven places and pieces, and the allocator's own.
    const LEAF: u64 = 11 * 16 + 32;
    /// What a piece costs beside its bytes: itself, its share of a leaf that is half full, and the allocator's own.
    const OVERHEAD: u64 = size_of::<Piece>() as u64 + Self::LEAF / 5 + 32;

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of memory in use.
    pub(super) fn memory(&self) -> u64 {
        if self.pieces.is_empty() {
            return 0;
        }
        self.bytes + Self::LEAF + self.pieces.len() as u64 * Self::OVERHEAD
    }

    /// The first piece and its position.
    pub(super) fn first(&self) -> Option<(u64, &Piece)> {
        self.pieces.first_key_value().map(|(&offset, piece)| (offset, &**piece))
    }

    /// The position behind the last byte held.
    pub(super) fn end(&self) -> Option<u64> {
        self.pieces.last_key_value().map(|(offset, piece)| offset + piece.bytes.len() as u64)
    }

    pub(super) fn pop_first(&mut self) -> Option<(u64, Box<Piece>)> {
        let (offset, piece) = self.pieces.pop_first()?;
        self.bytes -= piece.bytes.len() as u64;
        Some((offset, piece))
    }

    /// Cuts the first piece in two at `position`, if that lies within it.
    pub(super) fn split_first(&mut self, position: u64) {
        let Some(mut entry) = self.pieces.first_entry() else { return };
        let offset = *entry.key();
        let keep = usize::try_from(position.saturating_sub(offset)).unwrap_or(usize::MAX);
        let piece = entry.get_mut();
        if keep == 0 || keep >= piece.bytes.len() {
            return;
        }
        let rest = Piece { bytes: piece.bytes[keep..].into(), ..**piece };
        **piece = Piece { bytes: piece.bytes[..keep].into(), reaches: position, ..**piece };
        self.pieces.insert(position, Box::new(rest));
    }

    /// Drops what starts behind `horizon`; returns how many bytes that were.
    pub(super) fn drop_beyond(&mut self, horizon: u64) -> u64 {
        let beyond = self.pieces.split_off(&horizon.saturating_add(1));
        let dropped = beyond.values().map(|piece| piece.bytes.len() as u64).sum();
        self.bytes -= dropped;
        dropped
    }

    /// Takes the bytes of `run` that are not held yet.
    pub(super) fn insert(&mut self, run: &Run<'_>) -> Inserted {
        let mut result = Inserted::default();
        let mut rest = *run;
        while !rest.bytes.is_empty() {
            let covered = self.covered(&rest);
            if covered > 0 {
                let (again, tail) = rest.bytes.split_at(covered);
                result.duplicate += again.len() as u64;
                if !self.agrees(rest.offset, again) {
                    result.conflicting += again.len() as u64;
                }
                self.refine(rest.offset, rest.offset + covered as u64, rest.needs);
                rest = Run { offset: rest.offset + covered as u64, bytes: tail, ..rest };
            } else {
                let room = self.room(&rest);
                let (fresh, tail) = rest.bytes.split_at(room);
                result.new += room as u64;
                self.place(&Run { bytes: fresh, cut: 0, ..rest });
                rest = Run { offset: rest.offset + room as u64, bytes: tail, ..rest };
            }
        }
        if rest.cut > 0 {
            self.reach(&rest);
        }
        result
    }

    /// How many of the first bytes of `run` are held already.
    fn covered(&self, run: &Run<'_>) -> usize {
        self.pieces.range(..=run.offset).next_back().map_or(0, |(offset, piece)| {
            let end = offset + piece.bytes.len() as u64;
            usize::try_from(end.saturating_sub(run.offset)).unwrap_or(usize::MAX).min(run.bytes.len())
        })
    }

    /// Another copy of the bytes from `start` to `end`, all of which one piece covers, acknowledged `needs`. A
    /// sender's acknowledgements only grow, so what its first copy acknowledged was no more than that of
    /// any, and no more than that of any byte behind it.
    fn refine(&mut self, start: u64, end: u64, needs: Option<SeqNumber>) {
        let Some((&offset, piece)) = self.pieces.range_mut(..=start).next_back() else { return };
        let (Some(known), Some(needs)) = (piece.needs, needs) else { return };
        if needs.distance_from(known) >= 0 {
            return;
        }
        let rest = usize::try_from(end - offset).ok().and_then(|keep| piece.bytes.split_at_checked(keep));
        if let Some((before, behind)) = rest.filter(|(_, behind)| !behind.is_empty()) {
            let rest = Piece { bytes: behind.into(), ..**piece };
            **piece = Piece { bytes: before.into(), reaches: end, ..**piece };
            piece.needs = Some(needs);
            self.pieces.insert(end, Box::new(rest));
        } else {
            piece.needs = Some(needs);
        }
    }

    /// How many of the first bytes of `run` fit before the next piece.
    fn room(&self, run: &Run<'_>) -> usize {
        self.pieces.range(run.offset + 1..).next().map_or(run.bytes.len(), |(&next, _)| {
            usize::try_from(next - run.offset).unwrap_or(usize::MAX).min(run.bytes.len())
        })
    }

    /// Whether `bytes`, all of which one piece covers, are what it holds at `offset`.
    fn agrees(&self, offset: u64, bytes: &[u8]) -> bool {
        self.pieces.range(..=offset).next_back().is_some_and(|(start, piece)| {
            usize::try_from(offset - start)
                .ok()
                .and_then(|skip| piece.bytes.get(skip..skip + bytes.len()))
                .is_some_and(|first| first == bytes)
        })
    }

    /// Puts bytes where none are.
    fn place(&mut self, run: &Run<'_>) {
        self.bytes += run.bytes.len() as u64;
        // A piece without bytes may stand there; what it knew of the wire stays known.
        let reaches = self.pieces.get(&run.offset).map_or(0, |empty| empty.reaches).max(run.end());
        let piece = Piece { at: run.at, needs: run.needs, bytes: run.bytes.into(), reaches };
        self.pieces.insert(run.offset, Box::new(piece));
    }

    /// Remembers, with the piece that ends where the empty `run` stands, how far its segment went.
    fn reach(&mut self, run: &Run<'_>) {
        let before = self.pieces.range_mut(..=run.offset).next_back();
        if let Some((_, piece)) =
            before.filter(|(offset, piece)| **offset + piece.bytes.len() as u64 >= run.offset)
        {
            piece.reaches = piece.reaches.max(run.reaches());
        } else {
            let (at, needs, reaches) = (run.at, run.needs, run.reaches());
            let piece = Piece { at, needs, bytes: Box::default(), reaches };
            self.pieces.insert(run.offset, Box::new(piece));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(held: &mut Held, offset: u64, text: &str, cut: u64) -> (u64, u64, u64) {
        let run = Run { at: Timestamp::default(), needs: None, offset, bytes: text.as_bytes(), cut };
        let Inserted { new, duplicate, conflicting } = held.insert(&run);
        (new, duplicate, conflicting)
    }

    /// The pieces as `offset:bytes`, with `+n` for what the snaplen cut off behind them.
    fn drawn(held: &Held) -> String {
        let piece = |(offset, piece): (&u64, &Piece)| {
            let text = String::from_utf8_lossy(&piece.bytes);
            match piece.reaches - offset - piece.bytes.len() as u64 {
                0 => format!("{offset}:{text}"),
                cut => format!("{offset}:{text}+{cut}"),
            }
        };
        held.pieces.iter().map(|(offset, held)| piece((offset, &**held))).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_first_copy_of_each_byte_stays() {
        // Segments in order of arrival, the pieces held then, and (new, duplicate, conflicting) of the last.
        type Case = (&'static [(u64, &'static str)], &'static str, (u64, u64, u64));
        let cases: &[Case] = &[
            (&[(4, "efg")], "4:efg", (3, 0, 0)),
            (&[(4, "efg"), (4, "efg")], "4:efg", (0, 3, 0)),
            (&[(4, "efg"), (4, "eXg")], "4:efg", (0, 3, 3)),
            (&[(4, "efg"), (2, "cdef")], "2:cd 4:efg", (2, 2, 0)),
            (&[(4, "efg"), (6, "ghi")], "4:efg 7:hi", (2, 1, 0)),
            (&[(4, "efg"), (6, "Xhi")], "4:efg 7:hi", (2, 1, 1)),
            (&[(4, "ef"), (8, "ij"), (2, "cdefghijkl")], "2:cd 4:ef 6:gh 8:ij 10:kl", (6, 4, 0)),
            (&[(4, "efgh"), (5, "fg")], "4:efgh", (0, 2, 0)),
            (&[(4, "ef"), (6, "gh"), (5, "Xg")], "4:ef 6:gh", (0, 2, 1)),
        ];
        for (segments, expected, counts) in cases {
            let mut held = Held::default();
            let last = segments.iter().map(|(offset, text)| insert(&mut held, *offset, text, 0)).last();
            assert_eq!((drawn(&held).as_str(), last), (*expected, Some(*counts)), "{segments:?}");
            assert_eq!(held.bytes, held.pieces.values().map(|p| p.bytes.len() as u64).sum::<u64>());
        }
    }

    #[test]
    fn a_cut_segment_leaves_the_place_of_what_was_cut_off_to_a_full_copy() {
        let mut held = Held::default();
        insert(&mut held, 4, "ef", 6);
        assert_eq!(drawn(&held), "4:ef+6");
        insert(&mut held, 4, "efgh", 0);
        assert_eq!(drawn(&held), "4:ef+6 6:gh");
        insert(&mut held, 20, "", 5);
        insert(&mut held, 18, "stuv", 0);
        assert_eq!(drawn(&held), "4:ef+6 6:gh 18:st 20:uv+3");
    }

    #[test]
    fn what_lies_beyond_the_horizon_can_be_dropped() {
        let mut held = Held::default();
        insert(&mut held, 4, "ef", 0);
        insert(&mut held, 10, "kl", 0);
        assert_eq!(held.drop_beyond(9), 2);
        assert_eq!((drawn(&held).as_str(), held.bytes(), held.end()), ("4:ef", 2, Some(6)));
    }
}
