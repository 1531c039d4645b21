//! HTTP/1 connections made to order: what each side says, in turns, and what exchanges that makes.

use proptest::prelude::*;

/// A message as it is sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Text {
    pub(crate) head: Vec<u8>,
    pub(crate) entity: Vec<u8>,
    /// The body on the wire.
    pub(crate) wire: Vec<u8>,
}

/// An exchange as it is written.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) place: usize,
    pub(crate) target: String,
    pub(crate) request: Text,
    pub(crate) response: Text,
    pub(crate) interim: Vec<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaker {
    Client,
    Server,
}

/// One side's turn.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    pub(crate) speaker: Speaker,
    pub(crate) bytes: Vec<u8>,
}

/// A connection: its turns, and its exchanges.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) turns: Vec<Turn>,
    pub(crate) exchanges: Vec<Written>,
    /// Numbers of the first bytes, often just before the wrap.
    pub(crate) numbers: (u32, u32),
    /// How the bytes are cut into segments.
    pub(crate) cuts: Vec<usize>,
}

#[derive(Clone, Copy, Debug)]
enum Framing {
    None,
    Length,
    Chunked,
}

#[derive(Clone, Debug)]
struct Plan {
    method: &'static str,
    request: (Framing, Vec<u8>),
    status: u16,
    response: (Framing, Vec<u8>),
    interim: Vec<u16>,
    chunk: usize,
    trailer: bool,
    /// The next request does not wait for this one's answer.
    pipelined: bool,
}

/// What bodies hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bodies {
    /// Any bytes.
    Noise,
    /// Now and then what might be taken for a message.
    LikeHttp,
}

/// Bytes of a body.
fn body(bodies: Bodies) -> BoxedStrategy<Vec<u8>> {
    let any = prop_oneof![
        3 => prop::collection::vec(any::<u8>(), 0..200),
        1 => prop::collection::vec(any::<u8>(), 1000..4000),
    ];
    let message = "GET /0 HTTP/1.1\r\nHost: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let nested = (any.clone(), 1..4_usize).prop_map(move |(mut bytes, n)| {
        (0..n).for_each(|_| bytes.extend(message.as_bytes()));
        bytes
    });
    if bodies == Bodies::LikeHttp { prop_oneof![4 => any, 1 => nested].boxed() } else { any.boxed() }
}

fn framed(bodies: Bodies) -> impl Strategy<Value = (Framing, Vec<u8>)> {
    prop_oneof![
        Just((Framing::None, Vec::new())),
        body(bodies).prop_map(|bytes| (Framing::Length, bytes)),
        body(bodies).prop_map(|bytes| (Framing::Chunked, bytes)),
    ]
}

fn plan(bodies: Bodies, pipelining: f64) -> impl Strategy<Value = Plan> {
    let method = prop_oneof![3 => Just("GET"), 3 => Just("POST"), 1 => Just("HEAD"), 1 => Just("PURGE")];
    let status = prop_oneof![5 => Just(200_u16), 1 => Just(404), 1 => Just(204), 1 => Just(304)];
    let interim = prop::collection::vec(prop_oneof![Just(100_u16), Just(102), Just(103)], 0..3);
    let rest = (interim, 1..600_usize, any::<bool>(), prop::bool::weighted(pipelining));
    (method, framed(bodies), status, framed(bodies), rest).prop_map(
        |(method, request, status, response, (interim, chunk, trailer, pipelined))| Plan {
            method,
            request,
            status,
            response,
            interim,
            chunk,
            trailer,
            pipelined,
        },
    )
}

fn connection(bodies: Bodies, pipelining: f64) -> impl Strategy<Value = Connection> {
    let number = || prop_oneof![any::<u32>(), (u32::MAX - 3000)..=u32::MAX];
    let cuts = prop::collection::vec(prop_oneof![1..40_usize, 1..1460_usize], 1..12);
    let until_close = prop::bool::weighted(0.3);
    (prop::collection::vec(plan(bodies, pipelining), 1..7), until_close, number(), number(), cuts).prop_map(
        |(plans, until_close, client, server, cuts)| spoken(&plans, until_close, (client, server), cuts),
    )
}

/// Up to three connections with any bodies.
pub(crate) fn connections() -> impl Strategy<Value = Vec<Connection>> {
    prop::collection::vec(connection(Bodies::LikeHttp, 0.3), 1..4)
}

/// The same with bodies that nobody takes for HTTP: behind a hole in its framing, a body that holds messages
/// can be told from those messages by no one.
pub(crate) fn noise_connections() -> impl Strategy<Value = Vec<Connection>> {
    prop::collection::vec(connection(Bodies::Noise, 0.3), 1..4)
}

/// The same from clients that send a request only when they have the answer to the one before it.
pub(crate) fn patient_connections() -> impl Strategy<Value = Vec<Connection>> {
    prop::collection::vec(connection(Bodies::Noise, 0.0), 1..4)
}

fn spoken(plans: &[Plan], until_close: bool, numbers: (u32, u32), cuts: Vec<usize>) -> Connection {
    let last = plans.len() - 1;
    let exchanges: Vec<_> = plans
        .iter()
        .enumerate()
        .map(|(place, plan)| plan.written(place, until_close && place == last))
        .collect();
    let mut turns = Vec::new();
    let mut waiting: Vec<&Written> = Vec::new();
    for (plan, written) in plans.iter().zip(&exchanges) {
        let request = [written.request.head.as_slice(), &written.request.wire].concat();
        turns.push(Turn { speaker: Speaker::Client, bytes: request });
        waiting.push(written);
        if !plan.pipelined || written.place == last {
            let answers = waiting.drain(..).map(Written::answer);
            turns.extend(answers.map(|bytes| Turn { speaker: Speaker::Server, bytes }));
        }
    }
    Connection { turns, exchanges, numbers, cuts }
}

impl Written {
    /// The interim responses and the final one.
    fn answer(&self) -> Vec<u8> {
        let interim = self.interim.iter().map(|status| format!("HTTP/1.1 {status} Soon\r\n\r\n"));
        let mut bytes = interim.collect::<String>().into_bytes();
        bytes.extend([self.response.head.as_slice(), &self.response.wire].concat());
        bytes
    }
}

impl Plan {
    fn written(&self, place: usize, until_close: bool) -> Written {
        let target = format!("/{place}?q=%20");
        let line = format!("{} {target} HTTP/1.1\r\nHost: x\r\n", self.method);
        let request = self.text(&line, &self.request, true);
        let line = format!("HTTP/1.1 {} Reason\r\nServer: s\r\n", self.status);
        let bodiless = self.method == "HEAD" || matches!(self.status, 204 | 304);
        let response = match &self.response {
            (_, entity) if until_close && !bodiless => Text {
                head: format!("{line}Connection: close\r\n\r\n").into_bytes(),
                entity: entity.clone(),
                wire: entity.clone(),
            },
            (Framing::None, _) if !bodiless => self.text(&line, &(Framing::Length, Vec::new()), true),
            framed => self.text(&line, framed, !bodiless),
        };
        Written { place, target, request, response, interim: self.interim.clone() }
    }

    fn text(&self, line: &str, (framing, entity): &(Framing, Vec<u8>), has_body: bool) -> Text {
        let field = match framing {
            Framing::None => String::new(),
            Framing::Length => format!("Content-Length: {}\r\n", entity.len()),
            Framing::Chunked => "Transfer-Encoding: chunked\r\n".into(),
        };
        let head = format!("{line}{field}\r\n").into_bytes();
        if !has_body {
            return Text { head, ..Text::default() };
        }
        let wire = match framing {
            Framing::None | Framing::Length => entity.clone(),
            Framing::Chunked => self.chunked(entity),
        };
        Text { head, entity: entity.clone(), wire }
    }

    fn chunked(&self, entity: &[u8]) -> Vec<u8> {
        let mut wire = Vec::new();
        for chunk in entity.chunks(self.chunk) {
            let extension = if self.trailer { ";e=\"v\"" } else { "" };
            wire.extend(format!("{:x}{extension}\r\n", chunk.len()).into_bytes());
            wire.extend([chunk, b"\r\n"].concat());
        }
        wire.extend(if self.trailer { &b"0\r\nX-Trailer: t\r\n\r\n"[..] } else { b"0\r\n\r\n" });
        wire
    }
}
