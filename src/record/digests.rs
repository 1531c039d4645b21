//! A set of digests that is filled once and then only asked, for runs of many million rows.

/// Parts, by a digest's first bits.
const PARTS: usize = 256;
/// Digests by which a part grows at least.
const LEAST: usize = 64;

/// Digests on their way into a set.
#[derive(Debug)]
pub struct Gathering {
    parts: Vec<Vec<u64>>,
}

/// A set that takes eight bytes for each digest.
#[derive(Debug, Default)]
pub struct Digests {
    /// Each in order; none where the set is empty.
    parts: Vec<Vec<u64>>,
}

impl Default for Gathering {
    fn default() -> Self {
        Self { parts: vec![Vec::new(); PARTS] }
    }
}

impl Gathering {
    /// One more, which may be there already.
    pub fn add(&mut self, digest: u64) {
        let Some(part) = self.parts.get_mut(part_of(digest)) else { return };
        if part.len() == part.capacity() {
            // A doubling would leave half of the memory unused.
            part.reserve_exact(LEAST.max(part.len() / 8));
        }
        part.push(digest);
    }

    /// The set of them.
    #[must_use]
    pub fn finish(mut self) -> Digests {
        for part in &mut self.parts {
            part.sort_unstable();
            part.dedup();
            part.shrink_to_fit();
        }
        if self.parts.iter().all(Vec::is_empty) {
            self.parts = Vec::new();
        }
        Digests { parts: self.parts }
    }
}

impl Digests {
    /// Whether this one is among them.
    #[must_use]
    pub fn contains(&self, digest: u64) -> bool {
        self.parts.get(part_of(digest)).is_some_and(|part| part.binary_search(&digest).is_ok())
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The memory that they take, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.parts.iter().map(|part| part.capacity() * size_of::<u64>() + size_of::<Vec<u64>>()).sum()
    }
}

/// Digests are spread evenly, so their first byte is.
const fn part_of(digest: u64) -> usize {
    (digest >> 56) as usize
}

#[cfg(test)]
mod tests {
    use xxhash_rust::xxh3::xxh3_64;

    use super::*;

    fn digest(n: u64) -> u64 {
        xxh3_64(&n.to_le_bytes())
    }

    #[test]
    fn what_was_added_is_there_and_nothing_else() {
        let mut gathering = Gathering::default();
        for n in (0..100_000).chain(0..1000) {
            gathering.add(digest(n));
        }
        for end in [0, u64::MAX] {
            gathering.add(end);
        }
        let digests = gathering.finish();
        assert!((0..100_000).all(|n| digests.contains(digest(n))));
        assert!(!(100_000..300_000).any(|n| digests.contains(digest(n))));
        assert!(digests.contains(0) && digests.contains(u64::MAX) && !digests.contains(1));
        assert!(Gathering::default().finish().is_empty() && !digests.is_empty());
    }

    #[test]
    fn a_digest_takes_eight_bytes_and_hardly_more_while_they_are_gathered() {
        // `DIGESTS=10000000` for as many as a day's capture may have.
        let count = std::env::var("DIGESTS").map_or(200_000, |asked| asked.parse().unwrap());
        let mut gathering = Gathering::default();
        (0..count).for_each(|n| gathering.add(digest(n)));
        let gathered: usize = gathering.parts.iter().map(|part| part.capacity() * size_of::<u64>()).sum();
        let digests = gathering.finish();
        let memory = digests.memory();
        println!("{count} digests: {gathered} bytes while they are gathered, {memory} then");
        let all = usize::try_from(count).unwrap() * size_of::<u64>();
        assert!(memory >= all && memory < all + PARTS * 32, "{memory}");
        assert!(gathered < all + all / 8 + PARTS * LEAST * size_of::<u64>(), "{gathered}");
    }
}
