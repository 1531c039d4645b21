//! The lines of a recording, and how a [`Row`] comes back from one. [`lines`](super::lines) writes those of rows.
//!
//! Heads are kept as they were and parsed again when read, so that a recorded message is the message
//! that was captured. Of a chunked body the entity is kept and the chunks are not.

use serde::{Deserialize, Serialize};

use super::{Again, Finished, NotAsked, Row, RowName, Run, Text};
use crate::anomaly::{Anomaly, AnomalySet};
use crate::diff::Side;
use crate::exchange::{Exchange, ExchangeId};
use crate::http::h1::parse_head;
use crate::http::{Body, Completeness, Elsewhere, Framing, Message, RequestHead, ResponseHead};
use crate::replay::client::ClientKind;
use crate::replay::{Failure, Outcome, SkipReason, Timing};
use crate::route::Role;
use crate::stream::ConnectionId;
use crate::time::Timestamp;

/// One line.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Line {
    /// The first.
    Run {
        /// The version of the form of these lines.
        format: u32,
        #[serde(flatten)]
        run: Run,
    },
    /// One request at one destination.
    Row(Box<RowLine>),
    /// What became of the request of a row that was sent again.
    Again(AgainLine),
    /// The last.
    Finished(Finished),
    /// The run goes on: an end before it was none.
    Resumed {},
}

/// What every version has on a recording's first line, whatever else there is.
#[derive(Deserialize)]
pub(super) struct Opening {
    /// The version of the form of the lines.
    pub(super) format: u32,
    #[serde(default)]
    pub(super) tool_version: String,
}

/// The version of the form that this module writes: it reads those before it as well.
pub(super) const FORMAT: u32 = 2;

/// All answers to one row's request that was sent again, so that a row has either all of them or none.
#[derive(Serialize, Deserialize)]
pub(super) struct AgainLine {
    row: String,
    answers: Vec<AnswerLine>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_asked: Option<NotAsked>,
}

#[derive(Serialize, Deserialize)]
struct AnswerLine {
    side: Side,
    round: u32,
    outcome: OutcomeLine,
}

#[derive(Serialize, Deserialize)]
pub(super) struct RowLine {
    id: ExchangeId,
    #[serde(default, skip_serializing_if = "is_zero")]
    lap: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    copy: u32,
    role: Role,
    destination: String,
    route: String,
    /// Absent where an earlier version wrote the line, as is `reason`.
    #[serde(default)]
    matched: String,
    #[serde(default)]
    reason: String,
    connection: ConnectionLine,
    ordinal: u32,
    anomalies: Vec<String>,
    request: MessageLine,
    response: Option<MessageLine>,
    interim: Vec<u16>,
    sent_head: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client: Option<ClientKind>,
    outcome: OutcomeLine,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_asked: Option<NotAsked>,
    /// Whether a line of [`Line::Again`] for this row follows.
    #[serde(default, skip_serializing_if = "is_false")]
    again: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_zero(n: &u32) -> bool {
    *n == 0
}

#[derive(Serialize, Deserialize)]
struct ConnectionLine {
    client: std::net::SocketAddr,
    server: std::net::SocketAddr,
    instance: u32,
}

#[derive(Serialize, Deserialize)]
struct MessageLine {
    first_byte: Timestamp,
    last_byte: Timestamp,
    completeness: CompletenessLine,
    anomalies: Vec<String>,
    head: Text,
    body: BodyLine,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", remote = "Completeness")]
enum CompletenessForm {
    Complete,
    Gap,
    Cut,
    Aborted,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct CompletenessLine(#[serde(with = "CompletenessForm")] Completeness);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", remote = "Framing")]
enum FramingForm {
    None,
    Length(u64),
    Chunked,
    UntilClose,
    Tunnel,
}

#[derive(Serialize, Deserialize)]
struct BodyLine {
    #[serde(with = "FramingForm")]
    framing: Framing,
    len: u64,
    lost: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<[u8; 32]>,
    entity: Option<Text>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", try_from = "OutcomeMembers")]
enum OutcomeLine {
    Answered { timing: Timing, interim: Vec<u16>, response: MessageLine },
    Failed { timing: Timing, failure: Failure, detail: String, partial: Option<MessageLine> },
    Skipped { reason: SkipReason },
}

/// The members of an outcome of any kind. Read by their kind, which need not come first, all would be put by before the
/// first is understood.
#[derive(Deserialize)]
struct OutcomeMembers {
    kind: OutcomeKind,
    timing: Option<Timing>,
    interim: Option<Vec<u16>>,
    response: Option<MessageLine>,
    failure: Option<Failure>,
    detail: Option<String>,
    partial: Option<MessageLine>,
    reason: Option<SkipReason>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OutcomeKind {
    Answered,
    Failed,
    Skipped,
}

impl TryFrom<OutcomeMembers> for OutcomeLine {
    type Error = String;

    fn try_from(members: OutcomeMembers) -> Result<Self, Self::Error> {
        fn needed<T>(name: &str, member: Option<T>) -> Result<T, String> {
            member.ok_or_else(|| format!("missing field `{name}`"))
        }
        let timing = members.timing;
        Ok(match members.kind {
            OutcomeKind::Answered => Self::Answered {
                timing: needed("timing", timing)?,
                interim: needed("interim", members.interim)?,
                response: needed("response", members.response)?,
            },
            OutcomeKind::Failed => Self::Failed {
                timing: needed("timing", timing)?,
                failure: needed("failure", members.failure)?,
                detail: needed("detail", members.detail)?,
                partial: members.partial,
            },
            OutcomeKind::Skipped => Self::Skipped { reason: needed("reason", members.reason)? },
        })
    }
}

impl Line {
    /// Reads a line. That of a row is read as such at once: its first member says what it is.
    pub(super) fn read(line: &[u8]) -> serde_json::Result<Self> {
        if line.starts_with(b"{\"type\":\"row\",") {
            return serde_json::from_slice(line).map(|row| Self::Row(Box::new(row)));
        }
        serde_json::from_slice(line)
    }
}

impl RowLine {
    /// Whether a line with what became of it follows, unless the run was killed.
    pub(super) const fn is_asked(&self) -> bool {
        self.again
    }

    /// The row again; says what is wrong where the line is not one that shadowcap wrote.
    pub(super) fn into_row(self) -> Result<Row, String> {
        let ConnectionLine { client, server, instance } = self.connection;
        let exchange = Exchange {
            id: self.id,
            connection: ConnectionId { client, server, instance },
            ordinal: self.ordinal,
            request: self.request.into_request()?,
            response: self.response.map(MessageLine::into_response).transpose()?,
            interim: self.interim,
            anomalies: set(&self.anomalies)?,
        };
        Ok(Row {
            exchange: Box::new(exchange),
            lap: self.lap,
            copy: self.copy,
            role: self.role,
            destination: self.destination.into(),
            route: self.route.into(),
            matched: self.matched.into(),
            reason: self.reason.into(),
            sent_head: self.sent_head.map(|text| text.0),
            client: self.client,
            outcome: self.outcome.into_outcome()?,
            again: Vec::new(),
            not_asked: self.not_asked,
        })
    }
}

impl AgainLine {
    /// The digest of the row's name.
    pub(super) fn row(&self) -> Result<u64, String> {
        self.row.parse::<RowName>().map(|name| name.digest()).map_err(|error| error.to_string())
    }

    /// Gives the row what it says.
    pub(super) fn add_to(self, row: &mut Row) -> Result<(), String> {
        row.not_asked = self.not_asked;
        for AnswerLine { side, round, outcome } in self.answers {
            row.again.push(Again { side, round, outcome: outcome.into_outcome()? });
        }
        Ok(())
    }
}

fn set(names: &[String]) -> Result<AnomalySet, String> {
    let mut set = AnomalySet::EMPTY;
    for name in names {
        let known = Anomaly::ALL.iter().find(|anomaly| anomaly.name() == name);
        set.insert(*known.ok_or_else(|| format!("`{name}` is no known anomaly"))?);
    }
    Ok(set)
}

impl OutcomeLine {
    fn into_outcome(self) -> Result<Outcome, String> {
        Ok(match self {
            Self::Answered { timing, interim, response } => {
                Outcome::Answered { response: Box::new(response.into_response()?), interim, timing }
            }
            Self::Failed { timing, failure, detail, partial } => Outcome::Failed {
                failure,
                detail,
                partial: partial.map(MessageLine::into_response).transpose()?.map(Box::new),
                timing,
            },
            Self::Skipped { reason } => Outcome::Skipped(reason),
        })
    }
}

impl MessageLine {
    fn into_request(self) -> Result<Message<RequestHead>, String> {
        let head = parse_head(self.head.0.clone()).ok_or("the request's head cannot be parsed")?;
        self.with_head(head)
    }

    fn into_response(self) -> Result<Message<ResponseHead>, String> {
        let head = parse_head(self.head.0.clone()).ok_or("a response's head cannot be parsed")?;
        self.with_head(head)
    }

    fn with_head<H>(self, head: H) -> Result<Message<H>, String> {
        let entity = self.body.entity.map(|text| text.0);
        Ok(Message {
            head,
            first_byte: self.first_byte,
            last_byte: self.last_byte,
            completeness: self.completeness.0,
            anomalies: set(&self.anomalies)?,
            body: Body {
                framing: self.body.framing,
                len: self.body.len,
                lost: self.body.lost,
                wire: None,
                entity,
                sha256: self.body.sha256,
                elsewhere: Elsewhere::Nowhere,
            },
        })
    }
}
