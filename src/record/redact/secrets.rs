//! The secrets of a row, and the search for what repeats them.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::known::{Table, digest};
use super::{Form, Part, Redactor, is_free, is_redacted, scan};

/// Shorter values are replaced where they are named, and not wherever else their bytes occur.
const SHORTEST_ECHO: usize = 6;
/// Bytes of the secrets of one row whose echoes are looked for; bounds the work and the memory on a hostile row.
const MOST_ECHOED: usize = 1 << 18;
/// Secrets of a row that are searched for one after the other; more are in one pass, whose making costs more than that of
/// so few searches.
const FEW: usize = 8;
/// Replacements of a row that are remembered.
const MOST_REMEMBERED: usize = 64;

/// Bytes of the secrets of a set that is remembered.
const MOST_OF_A_SET: usize = 2048;

/// The secrets of one row, for finding their echoes, and what replaces each of them.
#[derive(Clone, Default)]
pub struct Secrets {
    set: Arc<Set>,
    replacements: Vec<(Bytes, Form, Bytes)>,
    /// The last body, and what it became where they were replaced in it.
    edited: Option<(Bytes, Option<Bytes>)>,
}

/// The secrets that rows have which hold the same ones: those of one client, mostly.
#[derive(Default)]
pub(super) struct Set {
    /// Tells it from sets of others; zero is that of none.
    id: u64,
    /// What was found, in its order.
    found: Vec<Bytes>,
    /// The first ones, with what is another form of them.
    few: Vec<Bytes>,
    /// The others.
    many: HashSet<Bytes, foldhash::fast::RandomState>,
    bytes: usize,
    /// There are more than are looked for.
    too_many: bool,
    /// A line's end is in one of them.
    line_ends: bool,
    /// Made of all of them, once they are known.
    search: Search,
}

impl Set {
    /// The set of these values. One that will be used again and again has searches that are prepared.
    fn new(id: u64, values: &[&[u8]], is_known: bool) -> Self {
        let mut rest = Bytes::from(values.concat());
        let found: Vec<_> = values.iter().map(|value| rest.split_to(value.len())).collect();
        let mut set = Self { id, ..Self::default() };
        for value in &found {
            set.add_forms(value);
        }
        let mut all = set.few.iter().chain(&set.many);
        set.line_ends = all.any(|value| memchr::memchr(b'\n', value).is_some());
        set.search = Search::new(&set.few, &set.many, is_known);
        Self { found, ..set }
    }

    fn add_forms(&mut self, value: &Bytes) {
        if self.has(value) {
            return;
        }
        self.add(value.clone());
        // Basic credentials (RFC 7617) are echoed decoded: `user:password`. Whole groups of four are base64 alone.
        if value.len().is_multiple_of(4)
            && let Ok(plain) = STANDARD.decode(value)
            && let Some(colon) = memchr::memchr(b':', &plain)
        {
            self.add(Bytes::from(plain).slice(colon + 1..));
        }
        if memchr::memchr(b'%', value).is_some() {
            self.add(scan::percent_decoded(value).into());
        }
    }

    fn has(&self, value: &[u8]) -> bool {
        self.few.iter().any(|known| known == value) || self.many.contains(value)
    }

    fn add(&mut self, value: Bytes) {
        if value.len() < SHORTEST_ECHO || is_redacted(&value) || self.has(&value) {
            return;
        }
        if self.bytes + value.len() > MOST_ECHOED {
            self.too_many = true;
            return;
        }
        self.bytes += value.len();
        if self.few.len() < FEW {
            self.few.push(value);
        } else {
            self.many.insert(value);
        }
    }

    fn is_of(&self, values: &[&[u8]]) -> bool {
        self.found.len() == values.len() && self.found.iter().zip(values).all(|(one, other)| one == other)
    }
}

/// Values of secrets, each where it was found for the first time: what was sent repeats what was captured. Of many some may
/// come again.
#[derive(Default)]
pub(super) struct Distinct<'v> {
    few: [&'v [u8]; FEW],
    count: usize,
    /// All of them, where they are more than a few.
    many: Vec<&'v [u8]>,
}

impl<'v> Distinct<'v> {
    /// Adds a value.
    pub(super) fn add(&mut self, value: &'v [u8]) {
        if self.few.iter().take(self.count).any(|known| *known == value) && self.many.len() <= FEW {
            return;
        }
        if let Some(place) = self.few.get_mut(self.count) {
            (*place, self.count) = (value, self.count + 1);
            return;
        }
        if self.many.is_empty() {
            self.many.extend(self.few);
        }
        self.many.push(value);
    }

    /// What was added.
    pub(super) fn all(&self) -> &[&'v [u8]] {
        if self.many.is_empty() { self.few.get(..self.count).unwrap_or_default() } else { &self.many }
    }
}

/// Sets that were met before.
#[derive(Default)]
pub(super) struct Sets {
    /// How many there ever were.
    count: u64,
    none: Arc<Set>,
    last: Arc<Set>,
    others: Table<Arc<Set>>,
}

impl Sets {
    /// The set of these values, each where it was found for the first time.
    pub(super) fn of(&mut self, values: &[&[u8]]) -> Arc<Set> {
        if values.is_empty() {
            return Arc::clone(&self.none);
        }
        if self.last.is_of(values) {
            return Arc::clone(&self.last);
        }
        self.count += 1;
        if values.len() > FEW || values.iter().map(|value| value.len()).sum::<usize>() > MOST_OF_A_SET {
            return Arc::new(Set::new(self.count, values, false));
        }
        let digest = values.iter().fold(0_u64, |all, value| all.rotate_left(7) ^ digest(value));
        if let Some(known) = self.others.get(digest).filter(|known| known.is_of(values)) {
            self.last = Arc::clone(known);
            return Arc::clone(known);
        }
        let id = self.count;
        self.others.meet(digest, || Arc::new(Set::new(id, values, true)));
        let known = self.others.get(digest).map(Arc::clone);
        known.unwrap_or_else(|| Arc::new(Set::new(id, values, false)))
    }
}

impl Secrets {
    pub(super) fn of(set: Arc<Set>) -> Self {
        Self { set, replacements: Vec::new(), edited: None }
    }

    /// The same without what keeps the texts of the row in memory.
    pub(super) fn without_texts(&self) -> Self {
        Self::of(Arc::clone(&self.set))
    }

    /// What they were found as.
    pub(super) fn found(&self) -> impl Iterator<Item = &[u8]> {
        self.set.found.iter().map(|value| &**value)
    }

    /// What tells them from those of other rows.
    pub(super) fn id(&self) -> u64 {
        self.set.id
    }

    /// Whether there are more than are looked for, so that what may echo them is not kept.
    pub(super) fn are_too_many(&self) -> bool {
        self.set.too_many
    }

    /// Whether one of them may lie in two lines.
    pub(super) fn hold_line_ends(&self) -> bool {
        self.set.line_ends
    }

    /// Calls `found` with the span of each of them in a text, where it touches nothing that has to stay.
    pub(super) fn find(&self, text: &[u8], part: Part, found: impl FnMut(Range<usize>)) {
        self.set.search.find(text, part, found);
    }

    /// What replaces a secret: worked out once for each row, in which most stand several times.
    pub(super) fn replacement(&mut self, redactor: &Redactor, value: &[u8], form: Form) -> Bytes {
        if let Some((.., known)) = self.replacements.iter().find(|(v, f, _)| *f == form && v == value) {
            return known.clone();
        }
        let replacement = redactor.replacement(value, form);
        if self.replacements.len() < MOST_REMEMBERED {
            self.replacements.push((Bytes::copy_from_slice(value), form, replacement.clone()));
        }
        replacement
    }

    /// What the last body became, where this is the same one.
    #[allow(
        clippy::option_option,
        reason = "another body, an unchanged one, and what it became are three things"
    )]
    pub(super) fn edited(&self, text: &Bytes) -> Option<Option<Bytes>> {
        let is_same = |last: &Bytes| last.len() == text.len() && last.as_ptr() == text.as_ptr();
        self.edited.as_ref().filter(|(last, _)| is_same(last)).map(|(_, edited)| edited.clone())
    }

    /// Remembers what a body became.
    pub(super) fn learn_edited(&mut self, text: &Bytes, edited: Option<&Bytes>) {
        self.edited = Some((text.clone(), edited.cloned()));
    }
}

/// The search for what repeats the secrets of a row.
#[derive(Default)]
enum Search {
    #[default]
    None,
    /// One after the other, as in most rows: each search is made at once.
    Few(Vec<Echo>),
    /// All in one pass; of two of which one begins the other, the longer is found.
    Many(AhoCorasick),
}

impl Search {
    fn new(few: &[Bytes], many: &HashSet<Bytes, foldhash::fast::RandomState>, is_known: bool) -> Self {
        if few.is_empty() {
            return Self::None;
        }
        if many.is_empty() {
            return Self::Few(few.iter().cloned().map(|secret| Echo::new(secret, is_known)).collect());
        }
        let mut builder = AhoCorasick::builder();
        builder.match_kind(MatchKind::LeftmostLongest).kind(Some(AhoCorasickKind::ContiguousNFA));
        builder.build(few.iter().chain(many)).map_or(Self::None, Self::Many)
    }

    fn find(&self, text: &[u8], part: Part, mut found: impl FnMut(Range<usize>)) {
        match self {
            Self::None => {}
            Self::Few(echoes) => {
                let mut fixed = None;
                let mut found = |span: Range<usize>| {
                    if is_free(&span, fixed.get_or_insert_with(|| part.fixed(text))) {
                        found(span);
                    }
                };
                for echo in echoes {
                    echo.find(text, &mut found);
                }
            }
            Self::Many(all) => {
                let mut start = 0;
                let fixed = part.fixed(text);
                let ends = fixed.iter().filter(|part| !part.is_empty()).map(|part| (part.start, part.end));
                for (end, next) in ends.chain([(text.len(), text.len())]) {
                    let free = text.get(start..end).unwrap_or_default();
                    all.find_iter(free).for_each(|echo| found(start + echo.start()..start + echo.end()));
                    start = next;
                }
            }
        }
    }
}

/// A secret, and the search for it.
enum Echo {
    /// By one of its bytes: such a search is made at once. One that prepares itself for the worst costs more than most
    /// rows are long.
    Byte {
        secret: Bytes,
        /// Where in it the byte is.
        at: usize,
    },
    /// As a whole, where it is searched for in many rows; and a longer one always: comparing it at each place where it
    /// might begin would let a hostile row cost its length squared.
    Whole(Box<memchr::memmem::Finder<'static>>),
}

impl Echo {
    /// The rarest byte is looked for among so many.
    const START: usize = 32;
    const LONGEST_COMPARED: usize = 1024;

    fn new(secret: Bytes, is_known: bool) -> Self {
        if is_known || secret.len() > Self::LONGEST_COMPARED {
            return Self::Whole(Box::new(memchr::memmem::Finder::new(&secret).into_owned()));
        }
        let start = secret.iter().take(Self::START).enumerate();
        let at = start.min_by_key(|(_, b)| commonness(**b)).map_or(0, |(at, _)| at);
        Self::Byte { secret, at }
    }

    /// Calls `found` with each place of the secret, of which none overlaps another.
    fn find(&self, text: &[u8], mut found: impl FnMut(Range<usize>)) {
        match self {
            Self::Byte { secret, at } => {
                let mut free = 0;
                // The last byte tells most other places apart.
                let (last, behind) = (secret.last(), secret.len().wrapping_sub(1));
                let is_here = |rest: &[u8]| rest.get(behind) == last && rest.starts_with(secret);
                for place in memchr::memchr_iter(secret.get(*at).copied().unwrap_or(0), text) {
                    let start = place.wrapping_sub(*at);
                    if start >= free && text.get(start..).is_some_and(is_here) {
                        free = start + secret.len();
                        found(start..free);
                    }
                }
            }
            Self::Whole(search) => {
                let len = search.needle().len();
                search.find_iter(text).for_each(|start| found(start..start + len));
            }
        }
    }
}

/// How common a byte is in what services send, roughly.
const fn commonness(b: u8) -> u8 {
    match b {
        b' ' | b'"' | b'\n' | b'\r' | b'a' | b'e' | b'i' | b'n' | b'o' | b'r' | b's' | b't' => 4,
        b'0'..=b'9' | b'b'..=b'z' | b',' | b'-' | b'.' | b'/' | b':' => 3,
        b'A' | b'C' | b'D' | b'E' | b'G' | b'H' | b'M' | b'P' | b'T' | b';' | b'=' | b'<' | b'>' | b'_' => 2,
        b' '..=b'~' => 1,
        _ => 0,
    }
}
