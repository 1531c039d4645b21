//! A raw server that a test scripts, and exchanges from raw bytes.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use shadowcap::anomaly::AnomalySet;
use shadowcap::exchange::{Exchange, ExchangeId};
use shadowcap::http::{BodyKeep, Options, Parser, Request, RequestHead, Sink};
use shadowcap::replay::client::{Client, Connection, Limits};
use shadowcap::replay::clock::Clock;
use shadowcap::replay::endpoint::Endpoint;
use shadowcap::replay::stop::stop_channel;
use shadowcap::replay::{Failure, HeadEdits, Outcome, Plan, Planner, ShadowRequest};
use shadowcap::route::{Draws, Percent, RouteTable, Sampling};
use shadowcap::stream::ConnectionId;
use shadowcap::time::Timestamp;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

// `or_skip!` looks for it here.
pub(crate) use crate::harness::Skip;

struct Collect(Vec<Request>);

impl Sink<RequestHead> for Collect {
    fn message(&mut self, message: Request) {
        self.0.push(message);
    }
}

/// The one request that these bytes are.
pub(crate) fn request(bytes: &[u8], at: Timestamp) -> Request {
    let mut parser = Parser::new(Options { keep: BodyKeep::UpTo(64 << 20), hash: false });
    let mut requests = Collect(Vec::new());
    parser.push(at, bytes, &mut requests);
    assert_eq!(requests.0.len(), 1, "{}", bytes.escape_ascii());
    requests.0.remove(0)
}

pub(crate) fn connection(port: u16) -> ConnectionId {
    ConnectionId { client: ([10, 0, 0, 9], port).into(), server: ([10, 0, 0, 1], 80).into(), instance: 1 }
}

/// An exchange whose request these bytes are, without a captured answer.
pub(crate) fn exchange(bytes: &[u8], port: u16, at: Timestamp) -> Exchange {
    Exchange {
        id: ExchangeId(u64::from(port)),
        connection: connection(port),
        ordinal: 0,
        request: request(bytes, at),
        response: None,
        interim: Vec::new(),
        anomalies: AnomalySet::EMPTY,
    }
}

/// What is sent for these bytes by default.
pub(crate) fn shadow(bytes: &[u8]) -> ShadowRequest {
    let planner = Planner::new(HeadEdits::default(), Vec::new());
    let exchange = exchange(bytes, 1, Timestamp::default());
    let draws = Draws::from_value(0, Sampling::Envoy);
    let decision = RouteTable::to_v2(Percent::ALL).decide(&exchange.request.head, &draws);
    match planner.plan(&exchange, &decision) {
        Plan::Send(mut requests) => requests.remove(0).1.unwrap(),
        Plan::Skip(reason) => panic!("skipped as {reason}: {}", bytes.escape_ascii()),
    }
}

/// A server that does with each connection, counted from 0, what the test says.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) connections: Arc<AtomicUsize>,
    closed: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start<F, R>(serve: F) -> Self
    where
        F: Fn(usize, Peer) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let closed = Arc::new(AtomicUsize::new(0));
        let (count, done) = (Arc::clone(&connections), Arc::clone(&closed));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = count.fetch_add(1, Ordering::SeqCst);
                let (serving, done) = (serve(number, Peer::new(stream)), Arc::clone(&done));
                tokio::spawn(async move {
                    serving.await;
                    done.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, connections, closed, task }
    }

    pub(crate) fn accepted(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// How many connections it has left.
    pub(crate) fn closed(&self) -> usize {
        self.closed.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The server's end of a connection.
pub(crate) struct Peer<S = TcpStream> {
    pub(crate) stream: S,
    pub(crate) pending: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, pending: Vec::new() }
    }

    /// Reads until `enough` says how many of the bytes are wanted; `None` when the client closes first.
    async fn until(&mut self, enough: impl Fn(&[u8]) -> Option<usize>) -> Option<Vec<u8>> {
        loop {
            if let Some(end) = enough(&self.pending) {
                let rest = self.pending.split_off(end);
                return Some(std::mem::replace(&mut self.pending, rest));
            }
            if self.stream.read_buf(&mut self.pending).await.ok()? == 0 {
                return None;
            }
        }
    }

    /// A head, up to its empty line.
    pub(crate) async fn head(&mut self) -> Option<Vec<u8>> {
        self.until(|seen| seen.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4)).await
    }

    /// So many bytes.
    pub(crate) async fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        self.until(|seen| (seen.len() >= count).then_some(count)).await
    }

    /// Everything until the client closes.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        self.stream.read_to_end(&mut self.pending).await.ok();
        std::mem::take(&mut self.pending)
    }

    pub(crate) async fn say(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.ok();
    }
}

impl Peer {
    /// Breaks the connection off with a RST.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }
}

/// A client, a slot for its connection, and what they are used with.
pub(crate) struct Sender {
    pub(crate) client: Client,
    pub(crate) slot: Option<Connection>,
}

pub(crate) const LIMITS: Limits = Limits {
    connect: Duration::from_secs(5),
    first_byte: None,
    answer: Duration::from_secs(20),
    keep: BodyKeep::UpTo(1 << 20),
};

impl Sender {
    pub(crate) fn to(address: SocketAddr) -> Self {
        Self::with(address, LIMITS)
    }

    pub(crate) fn with(endpoint: impl Into<Endpoint>, limits: Limits) -> Self {
        Self { client: Client::new(endpoint, limits, Clock::start()), slot: None }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Outcome {
        let (_handle, mut stop) = stop_channel();
        let due = self.client.clock().now();
        self.client.send(&mut self.slot, &shadow(bytes), due, &mut stop).await
    }
}

/// Status, entity and interim answers of an outcome that must be an answer.
pub(crate) fn answer(outcome: &Outcome) -> (u16, String, Vec<u16>) {
    match outcome {
        Outcome::Answered { response, interim, .. } => {
            let entity = response.body.entity.clone().unwrap_or_default();
            (response.head.status, String::from_utf8_lossy(&entity).into_owned(), interim.clone())
        }
        other => panic!("no answer: {other:?}"),
    }
}

/// Failure and detail of an outcome that must have failed.
pub(crate) fn failure(outcome: &Outcome) -> (Failure, String) {
    match outcome {
        Outcome::Failed { failure, detail, .. } => (*failure, detail.clone()),
        other => panic!("did not fail: {other:?}"),
    }
}

/// What several tasks note down.
#[derive(Clone, Default)]
pub(crate) struct Log<T>(Arc<Mutex<Vec<T>>>);

impl<T> Log<T> {
    pub(crate) fn note(&self, entry: T) {
        self.0.lock().unwrap().push(entry);
    }

    pub(crate) fn take(&self) -> Vec<T> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}
