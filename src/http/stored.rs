//! Bodies that are too large to be kept in memory, and are wanted all the same.
//!
//! Where they go is not this module's: it is handed their bytes ([`BodyWriter`]), and gives them back in
//! pieces ([`ReadAt`]).

use std::fmt;
use std::io;
use std::sync::Arc;

/// A place for bodies.
pub trait BodyStore: Send + Sync {
    /// A body begins.
    ///
    /// # Errors
    /// When there is no room for one.
    fn begin(&self) -> Result<Box<dyn BodyWriter>, NoRoom>;
}

/// Takes the bytes of one body. What was taken is forgotten when it is dropped.
pub trait BodyWriter: Send {
    /// The next bytes.
    ///
    /// # Errors
    /// When there is no room for them: the body cannot be had from here any more.
    fn write(&mut self, bytes: &[u8]) -> Result<(), NoRoom>;

    /// No more follow.
    ///
    /// # Errors
    /// When there is no room for what was taken last.
    fn finish(self: Box<Self>) -> Result<Arc<dyn ReadAt>, NoRoom>;
}

/// Why a store does not have a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoRoom {
    /// With it the store would hold more than it may.
    Spent,
    /// What the store writes to did not take it; why, for a person.
    Refused(Arc<str>),
}

impl From<io::Error> for NoRoom {
    fn from(error: io::Error) -> Self {
        Self::Refused(error.to_string().into())
    }
}

/// The bytes of one body. They are forgotten when the last handle is dropped.
pub trait ReadAt: Send + Sync {
    /// Reads some of the bytes from `offset` on; none at the end.
    ///
    /// # Errors
    /// When they cannot be read back.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<usize>;
}

/// A body as it was on the connection, chunk headers and trailers included, that lies elsewhere. Cloning
/// it is cheap, and clones are the same one.
#[derive(Clone)]
pub struct StoredBody {
    len: u64,
    bytes: Arc<dyn ReadAt>,
}

impl StoredBody {
    /// How many bytes they are.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether they are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Reads some of the bytes from `offset` on; none at the end.
    ///
    /// # Errors
    /// When they cannot be read back.
    pub fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<usize> {
        self.bytes.read_at(offset, out)
    }
}

/// The same body, not one that has the same bytes.
impl PartialEq for StoredBody {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.bytes, &other.bytes)
    }
}

impl Eq for StoredBody {}

impl fmt::Debug for StoredBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredBody").field("len", &self.len).finish_non_exhaustive()
    }
}

/// Where the bytes of a body are that were not kept in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Elsewhere {
    /// Nowhere: nobody wanted them, or they were kept.
    #[default]
    Nowhere,
    /// In a store.
    Stored(StoredBody),
    /// The store had no room for them.
    NoRoom(NoRoom),
}

/// A body on its way into a store.
#[derive(Default)]
pub(super) enum Storing {
    #[default]
    Nowhere,
    Open(Box<dyn BodyWriter>, u64),
    NoRoom(NoRoom),
}

impl Storing {
    /// A body begins in this store.
    pub(super) fn begin(store: &dyn BodyStore) -> Self {
        store.begin().map_or_else(Self::NoRoom, |writer| Self::Open(writer, 0))
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        if let Self::Open(writer, len) = self {
            *len += bytes.len() as u64;
            if let Err(why) = writer.write(bytes) {
                *self = Self::NoRoom(why);
            }
        }
    }

    pub(super) fn finish(self) -> Elsewhere {
        match self {
            Self::Nowhere => Elsewhere::Nowhere,
            Self::NoRoom(why) => Elsewhere::NoRoom(why),
            Self::Open(writer, len) => match writer.finish() {
                Ok(bytes) => Elsewhere::Stored(StoredBody { len, bytes }),
                Err(why) => Elsewhere::NoRoom(why),
            },
        }
    }
}
