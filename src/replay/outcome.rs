//! What became of a shadow request.

use std::fmt;

use crate::http::Response;
use crate::time::Timestamp;

/// What became of one request for one destination.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The destination answered, and the answer is whole.
    Answered {
        /// The final response.
        response: Response,
        /// The status codes of the interim responses before it.
        interim: Vec<u16>,
        /// When things happened.
        timing: Timing,
    },
    /// It was sent, or the attempt was made, and no whole answer came back.
    Failed {
        /// What went wrong.
        failure: Failure,
        /// The particulars, for a person.
        detail: String,
        /// As much of an answer as came.
        partial: Option<Response>,
        /// When things happened.
        timing: Timing,
    },
    /// Nothing was sent.
    Skipped(SkipReason),
}

/// When things happened to a shadow request, in wall-clock time of the replaying machine. Latency is
/// `last_byte - sent`; lateness, which is ours and never v2's, is `sent - due`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Timing {
    /// When the pace wanted it sent.
    pub due: Timestamp,
    /// When the first byte was handed to the connection; `None` when it never was.
    pub sent: Option<Timestamp>,
    /// When the first byte of the final answer came.
    pub first_byte: Option<Timestamp>,
    /// When the last byte of the answer came.
    pub last_byte: Option<Timestamp>,
}

macro_rules! named {
    ($(#[$meta:meta])* $type:ident { $($(#[$doc:meta])* $variant:ident = $name:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $type { $($(#[$doc])* #[serde(rename = $name)] $variant,)* }

        impl $type {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in reports.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

named! {
    /// Why no whole answer came.
    Failure {
        /// The connection could not be made.
        Connect = "connect",
        /// The connection was not made in time.
        ConnectTimeout = "connect-timeout",
        /// Writing the request failed.
        Send = "send",
        /// The answer did not come, or not all of it, in time.
        Timeout = "timeout",
        /// The connection closed before the answer began.
        ClosedBeforeAnswer = "closed-before-answer",
        /// The connection closed or was reset within the answer.
        ClosedInAnswer = "closed-in-answer",
        /// What came back is not HTTP.
        Garbage = "garbage",
        /// The run was told to stop at once while the request was on its way.
        Interrupted = "interrupted",
    }
}

named! {
    /// Why a request was not sent.
    SkipReason {
        /// It carries the shadow suffix already: it is itself a mirrored request.
        AlreadyShadow = "already-shadow",
        /// It was sent to the target: shadowcap's own traffic, or v2's.
        ToTarget = "to-target",
        /// Bytes of it are missing in the capture.
        IncompleteRequest = "incomplete-request",
        /// Its body is larger than `--max-body`, so that it was not kept.
        BodyNotKept = "body-not-kept",
        /// An upgrade to another protocol cannot be replayed.
        Upgrade = "upgrade",
        /// A CONNECT tunnel cannot be replayed.
        Connect = "connect-method",
        /// HTTP/0.9 has no Host to edit and no framed answer.
        Http09 = "http-0.9",
        /// The rules' percentage left it out.
        NotSampled = "not-sampled",
        /// An earlier request of the same connection failed in a way that makes this one unsendable.
        ConnectionLost = "connection-lost",
        /// The run was interrupted before its turn.
        Interrupted = "interrupted",
    }
}
