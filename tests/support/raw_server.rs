//! A server that records every byte and answers by a script.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{PATIENCE, framing};

/// How a connection is met.
#[derive(Clone, Debug)]
pub enum Welcome {
    /// Requests are read and answered.
    Serve,
    /// Closed before anything is read.
    Close,
    /// Reset before anything is read.
    Reset,
    /// Nothing is ever read.
    NeverRead,
    /// Closed once this many bytes were read, in the middle of whatever they are.
    CloseAfter(usize),
    /// Reset at that point.
    ResetAfter(usize),
}

/// What follows a request. An answer is the bytes that go out, right or wrong.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Sent, and the connection stays open.
    Answer(Vec<u8>),
    AnswerThenClose(Vec<u8>),
    AnswerThenReset(Vec<u8>),
    /// Sent, and then nothing more, with the connection open.
    AnswerThenHang(Vec<u8>),
    /// The same after a while.
    After(Duration, Box<Reply>),
    /// One after the other; the first that ends the connection ends the list.
    Each(Vec<Reply>),
}

impl Reply {
    /// A complete answer with this status and a text body.
    pub fn status(status: u16, body: &str) -> Self {
        let head =
            format!("HTTP/1.1 {status} Status\r\nContent-Type: text/plain\r\nContent-Length: {}", body.len());
        Self::Answer(format!("{head}\r\n\r\n{body}").into_bytes())
    }

    pub fn ok(body: &str) -> Self {
        Self::status(200, body)
    }

    /// No answer, and the connection is closed.
    pub fn close() -> Self {
        Self::AnswerThenClose(Vec::new())
    }

    /// No answer, ever.
    pub fn hang() -> Self {
        Self::AnswerThenHang(Vec::new())
    }

    /// What no HTTP parser can take for an answer.
    pub fn garbage() -> Self {
        Self::AnswerThenClose(b"\x16\x03\x01\x00\x02 SSH-2.0 \x00\xff\r\n\r\n".to_vec())
    }

    /// Closes in the middle of a body whose length was announced.
    pub fn close_in_body() -> Self {
        Self::AnswerThenClose(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this".to_vec())
    }
}

type Welcoming = dyn Fn(usize) -> Welcome + Send + Sync;
type Framing = dyn Fn(&[u8]) -> Option<usize> + Send + Sync;
type Replying = dyn Fn(&Received) -> Reply + Send + Sync;

/// What the server does: how it meets the nth connection, where a request ends, what it answers.
pub struct Script {
    welcome: Box<Welcoming>,
    framing: Box<Framing>,
    reply: Box<Replying>,
}

impl Script {
    /// Every connection is served, and a request ends where [`framing::request_length`] says.
    pub fn new(reply: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        Self {
            welcome: Box::new(|_| Welcome::Serve),
            framing: Box::new(framing::request_length),
            reply: Box::new(reply),
        }
    }

    /// How the nth connection (from 0) is met.
    #[must_use]
    pub fn welcome(mut self, welcome: impl Fn(usize) -> Welcome + Send + Sync + 'static) -> Self {
        self.welcome = Box::new(welcome);
        self
    }

    /// How long the request is at the start of what was received; `None` until it is complete. For requests whose
    /// framing is what the test is about.
    #[must_use]
    pub fn framing(mut self, framing: impl Fn(&[u8]) -> Option<usize> + Send + Sync + 'static) -> Self {
        self.framing = Box::new(framing);
        self
    }
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// The server's connections are counted from 0.
    pub connection: usize,
    /// And so are the requests of each.
    pub ordinal: usize,
    pub bytes: Vec<u8>,
    /// When its last byte was read.
    pub at: Instant,
}

/// All that came on one connection.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub peer: SocketAddr,
    /// Every byte, whether or not it was part of a request.
    pub bytes: Vec<u8>,
    pub requests: Vec<Received>,
    pub opened: Instant,
    /// Either side has ended it.
    pub ended: bool,
}

#[derive(Default)]
struct State {
    connections: Vec<Recorded>,
    /// A handle on each open connection, to end it from outside.
    streams: Vec<Option<TcpStream>>,
    stopping: bool,
}

struct Shared {
    script: Script,
    state: Mutex<State>,
    changed: Condvar,
}

/// The server, on a loopback port. Dropping it closes its connections and waits for its threads.
pub struct RawServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl RawServer {
    pub fn start(script: Script) -> Self {
        Self::on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(), script)
    }

    /// The same on a socket that listens already.
    pub fn on(listener: TcpListener, script: Script) -> Self {
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { script, state: Mutex::default(), changed: Condvar::new() });
        let acceptor = Arc::clone(&shared);
        let accepting = Some(thread::spawn(move || acceptor.accept(&listener)));
        Self { address, shared, accepting }
    }

    /// Answers every request with the same bytes.
    pub fn answering(bytes: &[u8]) -> Self {
        let bytes = bytes.to_vec();
        Self::start(Script::new(move |_| Reply::Answer(bytes.clone())))
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What has come so far, by connection.
    pub fn connections(&self) -> Vec<Recorded> {
        self.shared.state().connections.clone()
    }

    /// What has come so far, in the order of arrival.
    pub fn requests(&self) -> Vec<Received> {
        let mut requests: Vec<Received> =
            self.connections().into_iter().flat_map(|connection| connection.requests).collect();
        requests.sort_by_key(|request| request.at);
        requests
    }

    /// Waits until `count` requests have come.
    pub fn wait_for_requests(&self, count: usize) -> Vec<Received> {
        self.wait_for(&format!("{count} requests"), |connections| {
            connections.iter().map(|connection| connection.requests.len()).sum::<usize>() >= count
        });
        self.requests()
    }

    /// Waits until the record satisfies `wanted`, and panics with it when it does not.
    pub fn wait_for(&self, what: &str, wanted: impl Fn(&[Recorded]) -> bool) {
        let state = self.shared.state();
        let wait =
            self.shared.changed.wait_timeout_while(state, PATIENCE, |state| !wanted(&state.connections));
        let (state, timeout) = wait.unwrap();
        let connections = timeout.timed_out().then(|| state.connections.clone());
        // The panic must not poison the lock: the server is dropped while the test unwinds.
        drop(state);
        if let Some(connections) = connections {
            panic!("{what} did not come within {PATIENCE:?}: {connections:#?}");
        }
    }
}

impl Drop for RawServer {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.stopping = true;
        for stream in state.streams.iter().flatten() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        drop(state);
        self.shared.changed.notify_all();
        // Wakes the thread that waits for a connection.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

/// How a connection goes on.
enum Next {
    Open,
    Close,
    Reset,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        let mut connections = Vec::new();
        for stream in listener.incoming().flatten() {
            if self.state().stopping {
                break;
            }
            let shared = Arc::clone(self);
            let index = connections.len();
            self.change(|state| state.open(&stream));
            connections.push(thread::spawn(move || {
                // The client may end a connection in any way it likes.
                let _ = shared.meet(index, stream);
                shared.change(|state| state.close(index));
            }));
        }
        for connection in connections {
            let _ = connection.join();
        }
    }

    fn meet(&self, index: usize, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let end = match (self.script.welcome)(index) {
            Welcome::Serve => self.serve(index, &mut stream, usize::MAX)?,
            Welcome::Close => Next::Close,
            Welcome::Reset => Next::Reset,
            Welcome::NeverRead => {
                self.wait_for_stop(None);
                Next::Close
            }
            Welcome::CloseAfter(limit) => self.serve(index, &mut stream, limit)?,
            Welcome::ResetAfter(limit) => match self.serve(index, &mut stream, limit)? {
                Next::Open | Next::Reset => Next::Reset,
                Next::Close => Next::Close,
            },
        };
        if matches!(end, Next::Reset) {
            return socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        }
        stream.shutdown(Shutdown::Write)?;
        self.change(|state| state.connections[index].ended = true);
        // A close with unread bytes would be a reset.
        io::copy(&mut stream, &mut io::sink()).map(|_| ())
    }

    /// Reads up to `limit` bytes, answering each request that is complete.
    fn serve(&self, index: usize, stream: &mut TcpStream, limit: usize) -> io::Result<Next> {
        let (mut pending, mut total, mut ordinal) = (Vec::new(), 0, 0);
        let mut buffer = vec![0; 64 * 1024];
        while total < limit {
            let room = buffer.len().min(limit - total);
            let length = stream.read(&mut buffer[..room])?;
            if length == 0 {
                return Ok(Next::Close);
            }
            let at = Instant::now();
            total += length;
            pending.extend_from_slice(&buffer[..length]);
            self.change(|state| state.connections[index].bytes.extend_from_slice(&buffer[..length]));
            while let Some(end) =
                (self.script.framing)(&pending).filter(|end| *end <= pending.len() && *end > 0)
            {
                let request =
                    Received { connection: index, ordinal, bytes: pending.drain(..end).collect(), at };
                self.change(|state| state.connections[index].requests.push(request.clone()));
                ordinal += 1;
                match self.answer(&(self.script.reply)(&request), stream)? {
                    Next::Open => {}
                    end => return Ok(end),
                }
            }
        }
        Ok(Next::Open)
    }

    fn answer(&self, reply: &Reply, stream: &mut TcpStream) -> io::Result<Next> {
        match reply {
            Reply::Answer(bytes) => stream.write_all(bytes).map(|()| Next::Open),
            Reply::AnswerThenClose(bytes) => stream.write_all(bytes).map(|()| Next::Close),
            Reply::AnswerThenReset(bytes) => stream.write_all(bytes).map(|()| Next::Reset),
            Reply::AnswerThenHang(bytes) => {
                stream.write_all(bytes)?;
                self.wait_for_stop(None);
                Ok(Next::Close)
            }
            Reply::After(delay, then) => {
                self.wait_for_stop(Some(*delay));
                self.answer(then, stream)
            }
            Reply::Each(replies) => {
                for reply in replies {
                    match self.answer(reply, stream)? {
                        Next::Open => {}
                        end => return Ok(end),
                    }
                }
                Ok(Next::Open)
            }
        }
    }

    fn wait_for_stop(&self, limit: Option<Duration>) {
        let limit = limit.unwrap_or(Duration::from_secs(3600));
        let _ = self.changed.wait_timeout_while(self.state(), limit, |state| !state.stopping);
    }
}

impl State {
    fn open(&mut self, stream: &TcpStream) {
        self.connections.push(Recorded {
            peer: stream.peer_addr().unwrap_or_else(|_| (Ipv4Addr::UNSPECIFIED, 0).into()),
            bytes: Vec::new(),
            requests: Vec::new(),
            opened: Instant::now(),
            ended: false,
        });
        self.streams.push(stream.try_clone().ok());
    }

    fn close(&mut self, index: usize) {
        self.streams[index] = None;
        self.connections[index].ended = true;
    }
}

/// An address at which every connection is refused, as long as the value is kept: bound, and not listening.
pub fn refusing_address() -> (SocketAddr, socket2::Socket) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    (socket.local_addr().unwrap().as_socket().unwrap(), socket)
}
