//! The bytes of a connection to v2: a socket of either kind, plain or under TLS.
//!
//! **Accepted bytes are counted where the kernel takes them**, below TLS: what a TLS layer has been given
//! may still wait in its buffer, and what fails to leave it there has reached nobody. So a request of
//! which [`Stream::accepted`] shows no byte can be sent again, and any other cannot.

use std::io::{self, IoSlice, Read as _};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio_rustls::client::TlsStream;

use super::own::Registration;

/// A connection to v2.
pub(super) enum Stream {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
}

impl Stream {
    /// How many bytes the kernel has taken so far, those of TLS included.
    pub(super) fn accepted(&self) -> u64 {
        self.socket().accepted
    }

    /// Closes the connection by a reset (RFC 9293, section 3.10.5): what was said on it last is past.
    pub(super) fn reset(self) {
        // Where the option is refused, it is closed as any other.
        self.socket().kernel().set_linger(Some(Duration::ZERO)).ok();
    }

    /// Whether what was written may still wait in this process.
    pub(super) fn buffers(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Waits until v2 closes the connection or says something.
    pub(super) async fn readable(&self) {
        match &self.socket().kind {
            Kind::Tcp(stream) => stream.readable().await.ok(),
            #[cfg(unix)]
            Kind::Unix(stream) => stream.readable().await.ok(),
        };
    }

    /// Whether v2 has neither closed the connection nor said anything unasked, such as the 408 that some
    /// servers send before they close. Asks the kernel, since the runtime learns of a close only when it
    /// polls next. The tickets of TLS sessions, which come whenever the server likes, are taken in.
    pub(super) fn is_silent(&mut self) -> bool {
        match self {
            Self::Plain(socket) => socket.is_silent(),
            Self::Tls(tls) => {
                tls.get_mut().0.asks_kernel = true;
                let mut byte = [0];
                let mut buffer = ReadBuf::new(&mut byte);
                let heard =
                    Pin::new(&mut **tls).poll_read(&mut Context::from_waker(Waker::noop()), &mut buffer);
                tls.get_mut().0.asks_kernel = false;
                heard.is_pending()
            }
        }
    }

    /// The same without asking the kernel: as far as the runtime has learned, when it polled last. It never is under TLS,
    /// whose tickets are no news.
    pub(super) fn has_no_news(&self) -> bool {
        let mut nobody = Context::from_waker(Waker::noop());
        match self {
            Self::Plain(socket) => match &socket.kind {
                Kind::Tcp(stream) => stream.poll_read_ready(&mut nobody).is_pending(),
                #[cfg(unix)]
                Kind::Unix(stream) => stream.poll_read_ready(&mut nobody).is_pending(),
            },
            Self::Tls(_) => false,
        }
    }

    fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => tls.get_ref().0,
        }
    }

    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    pub(super) fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, bytes),
        }
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    /// An end of the connection without the `close_notify` of TLS is an error of kind
    /// [`io::ErrorKind::UnexpectedEof`]: anyone on the way could have cut it (RFC 8446, section 6.1).
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => Pin::new(socket).poll_read(cx, buffer),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buffer),
        }
    }
}

/// Says goodbye in TLS, as far as it can be said at once, and only where nothing waits to be written: what
/// waits may be a request that has gone another way since.
impl Drop for Stream {
    fn drop(&mut self) {
        if let Self::Tls(tls) = self
            && !tls.get_ref().1.wants_write()
        {
            let _ = Pin::new(tls).poll_shutdown(&mut Context::from_waker(Waker::noop()));
        }
    }
}

/// A socket, and how many bytes it took.
pub(super) struct Socket {
    kind: Kind,
    accepted: u64,
    /// Reading goes to the kernel even where the runtime knows of nothing to read.
    asks_kernel: bool,
    /// Keeps the connection known as the replay's own.
    _registration: Option<Registration>,
}

enum Kind {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Socket {
    pub(super) fn tcp(stream: TcpStream, registration: Option<Registration>) -> Self {
        // Without it, a body that is written after its head waits for an acknowledgement. A socket that
        // refuses the option is merely slower.
        stream.set_nodelay(true).ok();
        Self::new(Kind::Tcp(stream), registration)
    }

    #[cfg(unix)]
    pub(super) fn unix(stream: UnixStream) -> Self {
        Self::new(Kind::Unix(stream), None)
    }

    fn new(kind: Kind, registration: Option<Registration>) -> Self {
        Self { kind, accepted: 0, asks_kernel: false, _registration: registration }
    }

    fn kernel(&self) -> socket2::SockRef<'_> {
        match &self.kind {
            Kind::Tcp(stream) => socket2::SockRef::from(stream),
            #[cfg(unix)]
            Kind::Unix(stream) => socket2::SockRef::from(stream),
        }
    }

    fn is_silent(&self) -> bool {
        let mut byte = [MaybeUninit::uninit(); 1];
        matches!(self.kernel().peek(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    fn count(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = written {
            self.accepted += count as u64;
        }
        written
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.asks_kernel {
            return match (&*self.kernel()).read(buffer.initialize_unfilled()) {
                Ok(count) => {
                    buffer.advance(count);
                    Poll::Ready(Ok(()))
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            };
        }
        match &mut self.kind {
            Kind::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            #[cfg(unix)]
            Kind::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = match &mut self.kind {
            Kind::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            #[cfg(unix)]
            Kind::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        };
        self.count(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = match &mut self.kind {
            Kind::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bytes),
            #[cfg(unix)]
            Kind::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bytes),
        };
        self.count(written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Sockets hold nothing back.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.kind {
            Kind::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            #[cfg(unix)]
            Kind::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
