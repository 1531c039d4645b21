//! `--metrics`: the run's counters for Prometheus, by as much of HTTP as a scraper needs.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::pipeline::Progress;

/// The largest request that is read.
const LARGEST: usize = 16 << 10;
/// How long a scraper may take to ask.
const PATIENCE: Duration = Duration::from_secs(5);
/// The text format's media type.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A server that listens.
pub(super) struct Metrics {
    listener: TcpListener,
    address: SocketAddr,
}

impl Metrics {
    /// Listens at this address; on a runtime.
    pub(super) async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { address: listener.local_addr()?, listener })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers for ever, one scraper after the other: nobody can keep many connections open.
    pub(super) async fn serve(self, progress: Arc<Progress>) {
        loop {
            match self.listener.accept().await {
                // Whatever a scraper does, the run goes on.
                Ok((stream, _)) => drop(timeout(PATIENCE, answer(stream, &progress)).await),
                // Out of descriptors, most likely: they come back.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }
}

async fn answer(mut stream: TcpStream, progress: &Progress) -> io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if request.len() > LARGEST || stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let mut words = request.split(|&b| b == b' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split(|&b| b == b'?').next().unwrap_or_default();
    let (status, media, body) = match (method, path) {
        (b"GET" | b"HEAD", b"/metrics") => ("200 OK", TEXT, progress.metrics()),
        (b"GET" | b"HEAD", _) => ("404 Not Found", "text/plain", "the counters are at /metrics\n".to_owned()),
        _ => ("405 Method Not Allowed\r\nAllow: GET, HEAD", "text/plain", String::new()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {media}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    if method != b"HEAD" {
        stream.write_all(body.as_bytes()).await?;
    }
    stream.shutdown().await
}
