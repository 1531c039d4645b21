//! Digests of rows that have yet to be met, on disk: however many they are, each takes a bit of memory and little more.
//!
//! They are sorted in runs that fit into memory, and the runs merged into one file. Memory has the first digest of each
//! block of that file, so that whether one is among them takes a single read, and a bit for each that was met. The files
//! have no names, and are gone with the process.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::RecordError;

/// Digests that are sorted at once: 4 MiB of them.
const RUN: usize = 1 << 19;
/// Digests of a block, which is a page of the system's.
const BLOCK: usize = 512;
const SIZE: usize = size_of::<u64>();

/// Digests on their way into a set of those outstanding.
#[derive(Debug)]
pub(super) struct Gathering {
    folder: PathBuf,
    run: Vec<u64>,
    /// Runs that did not stay in memory, one behind the other.
    file: Option<File>,
    /// How many digests each of them has.
    runs: Vec<u64>,
}

/// A set of digests from which those that were met are crossed off.
#[derive(Debug, Default)]
pub struct Outstanding {
    folder: PathBuf,
    kept: Kept,
    /// The first of each block.
    firsts: Vec<u64>,
    /// By place, 64 in a word: those that were crossed off.
    met: Vec<u64>,
    left: u64,
}

/// The digests in order.
#[derive(Debug)]
enum Kept {
    Here(Vec<u64>),
    File(File, u64),
}

impl Default for Kept {
    fn default() -> Self {
        Self::Here(Vec::new())
    }
}

impl Gathering {
    /// None so far; where they become many, files are made in this folder.
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), run: Vec::new(), file: None, runs: Vec::new() }
    }

    /// One more, which may be there already.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn add(&mut self, digest: u64) -> Result<(), RecordError> {
        self.run.push(digest);
        if self.run.len() == RUN {
            self.put_aside().map_err(RecordError::io("write", &self.folder))
        } else {
            Ok(())
        }
    }

    /// Those that were added, save what is `settled`.
    ///
    /// # Errors
    /// When they cannot be written, or read back.
    pub(super) fn finish(self, settled: impl Fn(u64) -> bool) -> Result<Outstanding, RecordError> {
        let folder = self.folder.clone();
        self.merged(settled).map_err(RecordError::io("write", folder))
    }

    fn merged(mut self, settled: impl Fn(u64) -> bool) -> io::Result<Outstanding> {
        if self.file.is_some() {
            self.put_aside()?;
        }
        self.sort_run();
        let Self { folder, mut run, file, runs } = self;
        let Some(file) = file else {
            run.retain(|digest| !settled(*digest));
            run.shrink_to_fit();
            let (firsts, count) = (run.iter().copied().step_by(BLOCK).collect(), run.len() as u64);
            return Ok(Outstanding::new(folder, Kept::Here(run), firsts, count));
        };
        drop(run);
        let (mut sorted, mut firsts) = (BufWriter::new(tempfile::tempfile_in(&folder)?), Vec::new());
        let (mut count, mut last) = (0_u64, None);
        let mut merging = Merging::of(&file, &runs)?;
        while let Some(digest) = merging.next()? {
            if last.replace(digest) == Some(digest) || settled(digest) {
                continue;
            }
            if count.is_multiple_of(BLOCK as u64) {
                firsts.push(digest);
            }
            sorted.write_all(&digest.to_le_bytes())?;
            count += 1;
        }
        let sorted = sorted.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(Outstanding::new(folder, Kept::File(sorted, count), firsts, count))
    }

    /// Writes a run behind those before it.
    fn put_aside(&mut self) -> io::Result<()> {
        self.sort_run();
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile_in(&self.folder)?),
        };
        let bytes: Vec<u8> = self.run.iter().flat_map(|digest| digest.to_le_bytes()).collect();
        file.write_all(&bytes)?;
        self.runs.push(self.run.len() as u64);
        self.run.clear();
        Ok(())
    }

    fn sort_run(&mut self) {
        self.run.sort_unstable();
        self.run.dedup();
    }
}

/// The digests of several runs in one order.
struct Merging<'f> {
    runs: Vec<Run<'f>>,
    heads: BinaryHeap<Reverse<(u64, usize)>>,
}

impl<'f> Merging<'f> {
    fn of(file: &'f File, lengths: &[u64]) -> io::Result<Self> {
        let mut at = 0;
        let run = |length: &u64| {
            let run = Run { file, at, end: at + length, block: Vec::new().into_iter() };
            at = run.end;
            run
        };
        let mut runs: Vec<_> = lengths.iter().map(run).collect();
        let mut heads = BinaryHeap::with_capacity(runs.len());
        for (number, run) in runs.iter_mut().enumerate() {
            heads.extend(run.next()?.map(|digest| Reverse((digest, number))));
        }
        Ok(Self { runs, heads })
    }

    fn next(&mut self) -> io::Result<Option<u64>> {
        let Some(Reverse((digest, number))) = self.heads.pop() else { return Ok(None) };
        if let Some(run) = self.runs.get_mut(number) {
            self.heads.extend(run.next()?.map(|digest| Reverse((digest, number))));
        }
        Ok(Some(digest))
    }
}

/// What is left of a run, in digests.
struct Run<'f> {
    file: &'f File,
    at: u64,
    end: u64,
    block: std::vec::IntoIter<u64>,
}

impl Run<'_> {
    fn next(&mut self) -> io::Result<Option<u64>> {
        if self.block.len() == 0 {
            let block = read_block(self.file, self.at, self.end)?;
            self.at += block.len() as u64;
            self.block = block.into_iter();
        }
        Ok(self.block.next())
    }
}

/// The digests from one place on, as many as a block has or there are before the end.
fn read_block(file: &File, at: u64, end: u64) -> io::Result<Vec<u64>> {
    let count = usize::try_from(end - at).unwrap_or(BLOCK).min(BLOCK);
    let mut bytes = [0; BLOCK * SIZE];
    let bytes = &mut bytes[..count * SIZE];
    file.read_exact_at(bytes, at * SIZE as u64)?;
    let (digests, _) = bytes.as_chunks::<SIZE>();
    Ok(digests.iter().map(|digest| u64::from_le_bytes(*digest)).collect())
}

impl Outstanding {
    fn new(folder: PathBuf, kept: Kept, firsts: Vec<u64>, count: u64) -> Self {
        let words = usize::try_from(count.div_ceil(64)).unwrap_or(usize::MAX);
        Self { folder, kept, firsts, met: vec![0; words], left: count }
    }

    /// How many are left.
    #[must_use]
    pub const fn left(&self) -> u64 {
        self.left
    }

    /// Whether none is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.left == 0
    }

    /// Crosses one off; says whether it was there, and was not before.
    ///
    /// # Errors
    /// When it cannot be looked up.
    pub fn cross_off(&mut self, digest: u64) -> Result<bool, RecordError> {
        if self.is_empty() {
            return Ok(false);
        }
        let place = self.find(digest).map_err(RecordError::io("read", &self.folder))?;
        let Some(place) = place else { return Ok(false) };
        let Some(word) = self.met.get_mut(place / 64) else { return Ok(false) };
        let bit = 1 << (place % 64);
        let is_new = *word & bit == 0;
        *word |= bit;
        self.left -= u64::from(is_new);
        Ok(is_new)
    }

    /// The memory that they take, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        let here = if let Kept::Here(digests) = &self.kept { digests.capacity() } else { 0 };
        (here + self.firsts.capacity() + self.met.capacity()) * SIZE
    }

    fn find(&self, digest: u64) -> io::Result<Option<usize>> {
        let (file, count) = match &self.kept {
            Kept::Here(digests) => return Ok(digests.binary_search(&digest).ok()),
            Kept::File(file, count) => (file, *count),
        };
        let behind = self.firsts.partition_point(|first| *first <= digest);
        let Some(block) = behind.checked_sub(1) else { return Ok(None) };
        let digests = read_block(file, (block * BLOCK) as u64, count)?;
        Ok(digests.binary_search(&digest).ok().map(|within| block * BLOCK + within))
    }
}

#[cfg(test)]
mod tests {
    use xxhash_rust::xxh3::xxh3_64;

    use super::*;

    fn digest(n: u64) -> u64 {
        xxh3_64(&n.to_le_bytes())
    }

    /// So many, and the first of them twice; what is a multiple of ten is settled.
    fn outstanding(folder: &Path, count: u64) -> Outstanding {
        let mut gathering = Gathering::in_folder(folder);
        (0..count).chain(0..count.min(1000)).for_each(|n| gathering.add(digest(n)).unwrap());
        let settled: std::collections::HashSet<_> = (0..count).step_by(10).map(digest).collect();
        gathering.finish(|digest| settled.contains(&digest)).unwrap()
    }

    #[test]
    fn each_is_crossed_off_once_wherever_they_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        for count in [0, 1, 10, 1000, RUN as u64 + 7] {
            let mut all = outstanding(folder.path(), count);
            assert_eq!(matches!(all.kept, Kept::File(..)), count > RUN as u64);
            assert_eq!(all.left(), count - count.div_ceil(10), "{count}");
            assert!(!all.cross_off(0).unwrap() && !all.cross_off(u64::MAX).unwrap());
            // Of many, a part.
            let some = (0..count).step_by(if count > 10_000 { 7 } else { 1 });
            let mut crossed = 0;
            for n in some {
                let there = n % 10 != 0;
                assert_eq!(all.cross_off(digest(n)).unwrap(), there, "{n}");
                assert!(!all.cross_off(digest(n)).unwrap(), "{n} again");
                assert!(!all.cross_off(digest(n + count)).unwrap(), "{n} of another row");
                crossed += u64::from(there);
            }
            assert_eq!(all.left(), count - count.div_ceil(10) - crossed);
            assert_eq!(all.is_empty(), count <= 1000);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn however_many_they_are_each_takes_a_bit_and_a_sixty_fourth_of_a_byte() {
        let folder = tempfile::tempdir().unwrap();
        // `DIGESTS=10000000` for as many as a day's capture may have.
        let count = std::env::var("DIGESTS").map_or(1_100_000, |asked| asked.parse().unwrap());
        let mut gathering = Gathering::in_folder(folder.path());
        (0..count).for_each(|n| gathering.add(digest(n)).unwrap());
        let gathered = (gathering.run.capacity() + gathering.runs.capacity()) * SIZE;
        let all = gathering.finish(|_| false).unwrap();
        println!("{count} digests: {gathered} bytes while they are gathered, {} then", all.memory());
        assert_eq!(all.left(), count);
        assert!(gathered <= 2 * RUN * SIZE, "{gathered}");
        // The blocks' first digests grow by doubling.
        let most = usize::try_from(count).unwrap();
        assert!(all.memory() <= most / 8 + 2 * most / 64 + 64, "{}", all.memory());
    }

    #[test]
    fn where_there_is_no_room_for_them_it_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        let mut gathering = Gathering::in_folder(&missing);
        let failed = (0..RUN as u64).find_map(|n| gathering.add(digest(n)).err());
        assert!(failed.is_some_and(|error| error.to_string().contains("missing")));
    }
}
