//! Serves the shop on loopback, with the library's own parser.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::shop::{self, Answer, Asked, Version};
use crate::http::{BodyKeep, Options, Parser, Request, RequestHead, Sink};
use crate::time::Timestamp;

/// The largest body that the shop reads.
const MAX_BODY: usize = 1 << 20;
/// How long to wait when the machine has no descriptor left.
const BACK_OFF: std::time::Duration = std::time::Duration::from_millis(50);
/// The parser wants a time, and the shop has no use for it.
const UNTIMED: Timestamp = Timestamp::from_nanos(0);

/// One of the two services, running until it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    served: Arc<AtomicU64>,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Starts serving `version` at `listen`, where port 0 takes a free one.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(version: Version, listen: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let served = Arc::new(AtomicU64::new(0));
        let accepting = tokio::spawn(accept(listener, version, served.clone()));
        Ok(Self { address, served, accepting })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests it has answered.
    #[must_use]
    pub fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, version: Version, served: Arc<AtomicU64>) {
    // Running out of descriptors passes; anything that accept reports belongs to one connection.
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(serve(stream, version, served.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "the demo's service could not accept a connection");
                tokio::time::sleep(BACK_OFF).await;
            }
        }
    }
}

#[derive(Default)]
struct Inbox(Vec<Request>);

impl Sink<RequestHead> for Inbox {
    fn message(&mut self, request: Request) {
        self.0.push(request);
    }
}

/// Serves one connection; a client that goes away ends it, and that is no error.
async fn serve(mut stream: TcpStream, version: Version, served: Arc<AtomicU64>) {
    let mut parser = Parser::new(Options { keep: BodyKeep::UpTo(MAX_BODY), hash: false });
    let mut buffer = vec![0; 16 << 10];
    let mut inbox = Inbox::default();
    let _ = stream.set_nodelay(true);
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        parser.push(UNTIMED, buffer.get(..length).unwrap_or_default(), &mut inbox);
        if parser.is_lost() {
            return;
        }
        for request in inbox.0.drain(..) {
            let answer = shop::answer(version, asked(&request));
            tokio::time::sleep(answer.after).await;
            served.fetch_add(1, Ordering::Relaxed);
            let wire = encode(&answer, request.head.method() == b"HEAD");
            // The client may want it closed (RFC 9112, section 9.6).
            if stream.write_all(&wire).await.is_err() || !request.keep_alive() {
                return;
            }
        }
    }
}

fn asked(request: &Request) -> Asked<'_> {
    let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
    let accepts_gzip = request.head.headers.all("accept-encoding").any(|value| text(value).contains("gzip"));
    Asked {
        method: text(request.head.method()),
        target: text(request.head.target()),
        host: text(request.head.host().unwrap_or_default()),
        accepts_gzip,
        body: request.body.entity.as_deref().unwrap_or_default(),
    }
}

fn encode(answer: &Answer, head_only: bool) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} {}\r\nServer: tea-shop\r\n", answer.status, answer.reason);
    for (name, value) in &answer.headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    match (answer.chunked, answer.status) {
        (true, _) => head += "Transfer-Encoding: chunked\r\n",
        (false, 204) => {}
        (false, _) => head.extend(["Content-Length: ", &answer.body.len().to_string(), "\r\n"]),
    }
    let mut wire = (head + "\r\n").into_bytes();
    if head_only {
        return wire;
    }
    if answer.chunked {
        for chunk in answer.body.chunks(48) {
            wire.extend(format!("{:x}\r\n", chunk.len()).bytes());
            wire.extend(chunk);
            wire.extend(b"\r\n");
        }
        wire.extend(b"0\r\n\r\n");
    } else {
        wire.extend(&answer.body);
    }
    wire
}
