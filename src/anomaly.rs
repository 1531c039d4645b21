//! Every oddity has a name and is counted.
//!
//! A reader of packets meets things that a specification forbids and a network does anyway. They are
//! not logged and forgotten: each is an [`Anomaly`], carried by the message that it touches or by the
//! capture as a whole, and counted in the report.

use std::fmt;

macro_rules! anomalies {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Something in the capture that a well-behaved network or peer would not have produced.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Anomaly { $($(#[$doc])* $variant,)* }

        impl Anomaly {
            /// All of them, in the order of the layers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in reports: lower case, words joined by `-`. Names do not change.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

anomalies! {
    // Capture files.
    /// The file ends inside a packet or block; what came before was read.
    TruncatedFile = "truncated-file",
    /// A packet's time lies before that of the packet ahead of it.
    TimeWentBack = "time-went-back",
    /// The snaplen cut a packet that carries TCP payload.
    PacketCut = "packet-cut",

    // Capturing live.
    /// The kernel had no room for a packet, so that it was not captured.
    DroppedByKernel = "dropped-by-kernel",
    /// The interface or its driver dropped a packet before the kernel saw it.
    DroppedByInterface = "dropped-by-interface",

    // TCP (RFC 9293).
    /// Bytes that the receiver acknowledged are not in the capture.
    StreamGap = "stream-gap",
    /// A segment repeats bytes with other content; the first copy was kept. Seen where the first copy still waits for
    /// bytes before it, or is one of the last four segments of its direction, with the same bounds, and differs in its
    /// first or last 32 bytes.
    ConflictingOverlap = "conflicting-overlap",
    /// Payload arrived on a connection whose sender had already reset it.
    DataAfterReset = "data-after-reset",
    /// Payload arrived beyond the sender's FIN.
    DataAfterFin = "data-after-fin",
    /// A segment lies outside any window its receiver could have offered.
    OutOfWindow = "out-of-window",
    /// The connection's handshake is not in the capture. An exchange has it where an answer may be to a request from
    /// before the capture, or the beginning of either may be missing: until the client has taken a turn.
    MidConnection = "mid-connection",
    /// Only one direction of the connection is in the capture.
    OneDirection = "one-direction",
    /// The memory budget closed the connection before its end was seen.
    Evicted = "evicted",

    // HTTP (RFC 9110, RFC 9112).
    /// A line ended with LF alone (RFC 9112, section 2.2).
    BareLf = "bare-lf",
    /// A header field was folded over lines (RFC 9112, section 5.2).
    ObsFold = "obs-fold",
    /// White space stands where the grammar has none (RFC 9112, sections 3 and 5.1).
    OddWhitespace = "odd-whitespace",
    /// A line of the head is no header field.
    InvalidHeaderLine = "invalid-header-line",
    /// A CR stands alone within a line (RFC 9112, section 2.2).
    BareCr = "bare-cr",
    /// A field value holds NUL or another control character (RFC 9110, section 5.5).
    ControlInValue = "control-in-value",
    /// The request's target holds bytes that no URI has: controls, or none of ASCII (RFC 9112, section 3.2; RFC 3986,
    /// section 2).
    InvalidTarget = "invalid-target",
    /// A request of HTTP/1.1 without Host (RFC 9112, section 3.2).
    MissingHost = "missing-host",
    /// More than one Host field (RFC 9112, section 3.2).
    DuplicateHost = "duplicate-host",
    /// A Host field that is no host and port (RFC 9112, section 3.2; RFC 3986, section 3.2.2).
    InvalidHost = "invalid-host",
    /// The start line breaks the grammar, and could still be read.
    InvalidStartLine = "invalid-start-line",
    /// A request without version and headers (HTTP/0.9).
    Http09 = "http-0.9",
    /// Several Content-Length fields, all equal.
    DuplicateContentLength = "duplicate-content-length",
    /// Several Content-Length fields that disagree, or one that is no number.
    InvalidContentLength = "invalid-content-length",
    /// Content-Length beside Transfer-Encoding (RFC 9112, section 6.3); the latter counts.
    LengthWithTransferEncoding = "length-with-transfer-encoding",
    /// A transfer coding other than chunked, or chunked not last.
    UnknownTransferEncoding = "unknown-transfer-encoding",
    /// Transfer-Encoding in a message of HTTP/1.0 (RFC 9112, section 6.1).
    CodingInHttp10 = "transfer-encoding-in-http-1.0",
    /// A line of the trailer section is no header field (RFC 9112, section 7.1.2).
    InvalidTrailer = "invalid-trailer",
    /// A chunk header that breaks the grammar.
    InvalidChunk = "invalid-chunk",
    /// The message ended before its framing said so.
    BodyCutShort = "body-cut-short",
    /// A response began before its request was complete.
    EarlyResponse = "early-response",
    /// A response that no captured request asked for.
    OrphanResponse = "orphan-response",
    /// More interim responses (1xx) to one request than are kept.
    InterimLeftOut = "interim-left-out",
    /// Bytes that are no message, or an answer too many, came before: what is paired behind them is likely, and not
    /// certain.
    UncertainPairing = "uncertain-pairing",
    /// Bytes between messages that belong to none.
    StrayBytes = "stray-bytes",
    /// The head is larger than shadowcap keeps.
    OversizedHead = "oversized-head",
    /// The body is larger than `--max-body`: counted and hashed, not kept.
    OversizedBody = "oversized-body",
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The anomalies of one message or connection, each at most once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnomalySet(u64);

const _: () = assert!(Anomaly::ALL.len() <= 64);

impl AnomalySet {
    /// No anomaly.
    pub const EMPTY: Self = Self(0);

    /// Adds one; says whether it is new.
    pub fn insert(&mut self, anomaly: Anomaly) -> bool {
        let bit = 1 << anomaly as u8;
        let new = self.0 & bit == 0;
        self.0 |= bit;
        new
    }

    /// Adds all of `other`.
    pub fn extend(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// The set without one.
    #[must_use]
    pub const fn without(self, anomaly: Anomaly) -> Self {
        Self(self.0 & !(1 << anomaly as u8))
    }

    /// Whether it holds `anomaly`.
    #[must_use]
    pub fn contains(self, anomaly: Anomaly) -> bool {
        self.0 & (1 << anomaly as u8) != 0
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those that it holds, in the order of the layers.
    pub fn iter(self) -> impl Iterator<Item = Anomaly> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            // Each stands at the place of its bit.
            let first = Anomaly::ALL.get(left.trailing_zeros() as usize).copied()?;
            left &= left - 1;
            Some(first)
        })
    }
}

/// How often each anomaly was met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnomalyCounts([u64; Anomaly::ALL.len()]);

impl Default for AnomalyCounts {
    fn default() -> Self {
        Self([0; Anomaly::ALL.len()])
    }
}

impl AnomalyCounts {
    /// Counts one.
    pub fn count(&mut self, anomaly: Anomaly) {
        self.add(anomaly, 1);
    }

    /// Counts `n` at once.
    pub fn add(&mut self, anomaly: Anomaly, n: u64) {
        self.0[anomaly as usize] += n;
    }

    /// Counts each anomaly of a set once.
    pub fn count_set(&mut self, set: AnomalySet) {
        // Nothing is odd about most.
        if set == AnomalySet::EMPTY {
            return;
        }
        set.iter().for_each(|a| self.count(a));
    }

    /// Adds another account to this one.
    pub fn merge(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(mine, theirs)| *mine += theirs);
    }

    /// How often `anomaly` was met.
    #[must_use]
    pub fn of(&self, anomaly: Anomaly) -> u64 {
        self.0[anomaly as usize]
    }

    /// Those that were met, with their counts, in the order of the layers.
    pub fn iter(&self) -> impl Iterator<Item = (Anomaly, u64)> + '_ {
        Anomaly::ALL.iter().map(|&a| (a, self.of(a))).filter(|&(_, n)| n > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_plain() {
        let mut names: Vec<_> = Anomaly::ALL.iter().map(|a| a.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Anomaly::ALL.len());
        assert!(
            names.iter().all(|n| n
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b)))
        );
    }

    #[test]
    fn a_set_counts_each_once_and_keeps_the_order() {
        let mut set = AnomalySet::EMPTY;
        assert!(set.insert(Anomaly::ObsFold));
        assert!(!set.insert(Anomaly::ObsFold));
        assert!(set.insert(Anomaly::StreamGap));
        assert_eq!(set.iter().collect::<Vec<_>>(), [Anomaly::StreamGap, Anomaly::ObsFold]);
        let mut counts = AnomalyCounts::default();
        counts.count_set(set);
        counts.count(Anomaly::ObsFold);
        assert_eq!(counts.iter().collect::<Vec<_>>(), [(Anomaly::StreamGap, 1), (Anomaly::ObsFold, 2)]);
    }
}
