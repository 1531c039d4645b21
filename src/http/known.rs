//! Names of fields that decide about messages and connections, or that are asked for in each: each is recognised
//! once, when its line is read.

/// A set of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known(u16);

macro_rules! known {
    ($($set:ident = $place:literal, $name:literal;)*) => {
        impl Known {
            $(pub(crate) const $set: Self = Self(1 << $place);)*

            /// All of them, each with its name in small letters.
            #[cfg(test)]
            pub(crate) const ALL: &'static [(Self, &'static str)] = &[$((Self::$set, $name),)*];

            /// The one of that name, which is compared without regard to case; `None` if it is no known one.
            #[inline]
            pub(crate) fn of(name: &[u8]) -> Option<Self> {
                $(
                    // The lengths are compared first, and are known.
                    if name.len() == $name.len() && name.eq_ignore_ascii_case($name.as_bytes()) {
                        return Some(Self::$set);
                    }
                )*
                None
            }
        }
    };
}

known! {
    HOST = 0, "host";
    CONTENT_LENGTH = 1, "content-length";
    TRANSFER_ENCODING = 2, "transfer-encoding";
    CONNECTION = 3, "connection";
    EXPECT = 4, "expect";
    UPGRADE = 5, "upgrade";
    TRAILER = 6, "trailer";
    X_REQUEST_ID = 7, "x-request-id";
    VARY = 8, "vary";
    IF_NONE_MATCH = 9, "if-none-match";
    IF_MODIFIED_SINCE = 10, "if-modified-since";
    CONTENT_ENCODING = 11, "content-encoding";
}

impl Known {
    /// None of them.
    pub(crate) const NONE: Self = Self(0);

    /// Whether all of `other` are in it.
    #[inline]
    pub(crate) const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Adds others.
    #[inline]
    pub(crate) fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }
}
