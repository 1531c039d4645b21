//! What became of a shadow request.

use std::fmt;
use std::time::Duration;

use crate::http::Response;
use crate::route::NotMirrored;
use crate::time::Timestamp;

/// What became of one request for one destination.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The destination answered, and the answer is whole.
    Answered {
        /// The final response.
        response: Box<Response>,
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
        partial: Option<Box<Response>>,
        /// When things happened.
        timing: Timing,
    },
    /// Nothing was sent.
    Skipped(SkipReason),
}

/// When things happened to a shadow request, in wall-clock time of the replaying machine. Latency is
/// `last_byte - sent`. What lies between `due` and `sent` is ours as far as it is [lateness](Self::lateness),
/// and v2's or the network's as far as a connection was made in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Timing {
    /// When the pace wanted it sent.
    pub due: Timestamp,
    /// When a connection began to be made for it, TLS included; `None` where there was one already, and where
    /// the client does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connecting: Option<Timestamp>,
    /// When the first byte was handed to the connection; `None` when it never was.
    pub sent: Option<Timestamp>,
    /// When the first byte of the final answer came.
    pub first_byte: Option<Timestamp>,
    /// When the last byte of the answer came.
    pub last_byte: Option<Timestamp>,
}

impl Timing {
    /// How late it was begun, which is ours and never v2's: a connection that takes its time is not counted.
    /// `None` where nothing was sent.
    #[must_use]
    pub fn lateness(&self) -> Option<Duration> {
        self.sent.map(|sent| self.connecting.unwrap_or(sent).since(self.due))
    }

    /// How long it took to make a connection for it, where one was made and something was sent over it.
    #[must_use]
    pub fn connect_time(&self) -> Option<Duration> {
        Some(self.sent?.since(self.connecting?))
    }
}

macro_rules! named {
    ($(#[$meta:meta])* $type:ident { $($(#[$doc:meta])* $variant:ident = $name:literal ($words:literal),)* }) => {
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

            /// The same for a person: what holds of the requests that it counts.
            #[must_use]
            pub const fn words(self) -> &'static str {
                match self { $(Self::$variant => $words,)* }
            }

            /// The one of this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.name() == name)
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
        Connect = "connect" ("no connection"),
        /// The connection was not made in time.
        ConnectTimeout = "connect-timeout" ("no connection in time"),
        /// TLS could not be agreed on, or v2 ended it before it answered.
        Tls = "tls" ("no TLS session"),
        /// Writing the request failed.
        Send = "send" ("not taken by v2"),
        /// No byte of an answer came in time after the request was sent.
        FirstByteTimeout = "first-byte-timeout" ("no beginning of an answer in time"),
        /// The answer did not come, or not all of it, in time.
        Timeout = "timeout" ("no whole answer in time"),
        /// The connection closed before the answer began.
        ClosedBeforeAnswer = "closed-before-answer" ("closed before the answer"),
        /// The connection closed or was reset within the answer.
        ClosedInAnswer = "closed-in-answer" ("closed within the answer"),
        /// What came back is not HTTP.
        Garbage = "garbage" ("answered by something that is not HTTP"),
        /// The run was told to stop at once while the request was on its way.
        Interrupted = "interrupted" ("cut off by the user's stop"),
        /// The process was killed while the request was on its way: whether it reached v2 is unknown.
        Killed = "killed" ("on the way when the run was killed"),
    }
}

impl Failure {
    /// Whether no connection on which v2 could have been asked came to be. Many of these one after the other
    /// mean that v2 is not there.
    #[must_use]
    pub const fn is_unconnected(self) -> bool {
        matches!(self, Self::Connect | Self::ConnectTimeout | Self::Tls)
    }
}

named! {
    /// Why a request was not sent; in a comparison of what a mesh has mirrored, why it was not compared.
    SkipReason {
        /// It carries the shadow suffix already: it is itself a mirrored request.
        AlreadyShadow = "already-shadow" ("already shadow traffic"),
        /// It was sent to the target: shadowcap's own traffic, or v2's.
        ToTarget = "to-target" ("captured on the way to the target"),
        /// Bytes of it are missing in the capture.
        IncompleteRequest = "incomplete-request" ("not whole in the capture"),
        /// Its body is larger than `--max-body`, so that it was not kept.
        BodyNotKept = "body-not-kept" ("with a body above --max-body"),
        /// Its body is larger than `--max-body`, and the disk had no room to keep it until it is sent.
        NoRoomForBody = "no-room-for-body" ("with a body for which the disk had no room"),
        /// An upgrade to another protocol cannot be replayed.
        Upgrade = "upgrade" ("upgraded to another protocol"),
        /// A CONNECT tunnel cannot be replayed.
        Connect = "connect-method" ("tunnelled by CONNECT"),
        /// reqwest cannot say it: a target that is no URL, a field that it refuses.
        ClientCannot = "client-cannot" ("which --client reqwest cannot send"),
        /// HTTP/0.9 has no Host to edit and no framed answer.
        Http09 = "http-0.9" ("in HTTP/0.9"),
        /// The rules' percentage left it out.
        NotSampled = "not-sampled" ("left out by the percentage"),
        /// The rules leave it to the captured service alone.
        NoMirror = "no-mirror" ("for the captured service alone, by the rules"),
        /// The rules are not for its host.
        NoHost = "no-rules-for-host" ("for hosts that the rules do not name"),
        /// No rule for its host matches: a proxy answers 404.
        NoRoute = "no-route" ("without a rule that matches (404)"),
        /// The rules answer it with a redirect.
        Redirect = "redirect" ("answered by a redirect of the rules"),
        /// The rules answer it without asking any service.
        DirectResponse = "direct-response" ("answered by the rules themselves"),
        /// The rules answer it with an injected fault.
        Fault = "fault" ("aborted by a fault of the rules"),
        /// The rules send it where no `--endpoint` says what the address is.
        NoEndpoint = "no-endpoint" ("for destinations without an --endpoint"),
        /// An earlier request of the same connection failed in a way that makes this one unsendable.
        ConnectionLost = "connection-lost" ("behind a failure on the connection"),
        /// v2 was slower than v1's traffic, and as many requests waited as may (`--queue`).
        QueueFull = "queue-full" ("shed because the queue was full"),
        /// v2 was slower than v1's traffic, and what waited took the memory that it may.
        QueueMemory = "queue-memory" ("shed because the queue's memory was full"),
        /// v2 was slower than v1's traffic, and the bodies above `--max-body` that waited took the disk that they may
        /// (`--disk`).
        QueueDisk = "queue-disk" ("shed because the disk for large bodies (--disk) was full"),
        /// The run was interrupted before its turn.
        Interrupted = "interrupted" ("not yet sent when the run was stopped"),
        /// It was put off, and the capture with which the run was gone on with does not have it.
        NotMetAgain = "not-met-again" ("put off, and not in the capture any more"),
        /// No copy of it was seen: the mesh did not mirror it, or the capture does not have it.
        NoShadow = "no-shadow" ("without a shadow in the capture"),
        /// It is a copy, and the original was not seen.
        NoPrimary = "no-primary" ("shadows without a primary in the capture"),
        /// It is a copy, and the original was seen longer before or after it than `--window` allows.
        OutsideWindow = "outside-window" ("shadows too far in time from their primary"),
        /// It is a copy, and it cannot be told of which of several originals.
        Ambiguous = "ambiguous" ("shadows that may be of several primaries"),
        /// Too many exchanges were waiting for their other side.
        NoRoom = "no-room" ("given up unpaired for want of room"),
        /// The capture has no answer to its copy.
        NoShadowAnswer = "no-shadow-answer" ("without an answer to the shadow in the capture"),
        /// The capture lacks bytes of the answer to its copy.
        IncompleteShadowAnswer = "incomplete-shadow-answer" ("without the shadow's whole answer in the capture"),
        /// Captured outside of the times that were asked for.
        OutsideTime = "outside-time" ("captured outside of --from and --to-time"),
        /// Its method is not among those that were asked for.
        Method = "method" ("left out by --methods"),
        /// The filter left it out.
        Filtered = "filtered" ("left out by --filter"),
        /// The filter has no answer for it.
        FilterFailed = "filter-failed" ("that --filter could not judge"),
        /// The sample left it out.
        NotInSample = "not-in-sample" ("left out by --sample"),
        /// So many were sent already as were asked for.
        BeyondLimit = "beyond-limit" ("beyond --limit"),
        /// The target could not be reached so often in a row that the run gave up.
        TargetGone = "target-gone" ("not sent since the target could not be reached any more"),
        /// The time that the run was given was over.
        TimeOver = "time-over" ("not yet sent when the time of --loop was over"),
    }
}

impl SkipReason {
    /// Whether the request was put off rather than left out: a run that is resumed sends it.
    #[must_use]
    pub const fn is_put_off(self) -> bool {
        matches!(self, Self::Interrupted | Self::TargetGone | Self::NotMetAgain | Self::NoRoomForBody)
    }

    /// Whether it is about the two sides of what a mesh has mirrored, of which nothing is sent.
    #[must_use]
    pub const fn is_of_pairing(self) -> bool {
        matches!(
            self,
            Self::NoShadow
                | Self::NoPrimary
                | Self::OutsideWindow
                | Self::Ambiguous
                | Self::NoRoom
                | Self::NoShadowAnswer
                | Self::IncompleteShadowAnswer
        )
    }
}

impl From<NotMirrored> for SkipReason {
    fn from(why: NotMirrored) -> Self {
        match why {
            NotMirrored::NotSampled => Self::NotSampled,
            NotMirrored::NoMirror => Self::NoMirror,
            NotMirrored::NoHost => Self::NoHost,
            NotMirrored::NoRoute => Self::NoRoute,
            NotMirrored::Redirect => Self::Redirect,
            NotMirrored::Respond(_) => Self::DirectResponse,
            NotMirrored::Fault => Self::Fault,
        }
    }
}
