//! The byte order of a file, which is that of the machine that wrote it.

/// In which order the bytes of a number stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ByteOrder {
    /// The least significant byte first.
    Little,
    /// The most significant byte first.
    Big,
}

impl ByteOrder {
    #[inline]
    pub(super) fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    #[inline]
    pub(super) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    #[inline]
    pub(super) fn u64(self, bytes: [u8; 8]) -> u64 {
        match self {
            Self::Little => u64::from_le_bytes(bytes),
            Self::Big => u64::from_be_bytes(bytes),
        }
    }

    /// Four numbers one behind the other.
    #[inline]
    pub(super) fn words(self, bytes: &[u8; 16]) -> [u32; 4] {
        let little = [0, 1, 2, 3].map(|at| u32::from_le_bytes(word(bytes, at)));
        match self {
            Self::Little => little,
            Self::Big => little.map(u32::swap_bytes),
        }
    }

    pub(super) fn put_u16(self, value: u16) -> [u8; 2] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    pub(super) fn put_u32(self, value: u32) -> [u8; 4] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }
}

/// The `at`-th 32-bit word of a header of fixed size.
#[inline]
pub(super) fn word(header: &[u8], at: usize) -> [u8; 4] {
    header.get(at * 4..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default()
}

/// The `at`-th 16-bit half word of a header of fixed size.
#[inline]
pub(super) fn half(header: &[u8], at: usize) -> [u8; 2] {
    header.get(at * 2..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default()
}
