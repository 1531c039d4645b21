//! The least that sending a capture can cost: a yardstick.
//!
//! It reads a capture as [`bare`](super::bare) does, and sends each request as it is over whichever of its connections
//! is free, on one thread with one epoll. It takes an answer as if it could not be otherwise: a head in one piece, a body
//! of a Content-Length. It keeps no order, no time and no answer, edits nothing, and asks nobody whether a connection is
//! still open.

use std::io::{self, Error, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

/// As the replay's, and larger than any answer of the benchmark.
const BUFFER: usize = 16 << 10;

/// The connections, and what waits on them.
struct Sender {
    epoll: OwnedFd,
    connections: Vec<TcpStream>,
    /// Those on which nothing is awaited, by their places.
    free: Vec<usize>,
    events: Vec<Event>,
    buffer: Vec<u8>,
    answers: u64,
}

/// Sends the requests of a capture over so many connections, and counts the answers.
pub fn send(capture: &Path, server: SocketAddr, connections: usize) -> io::Result<u64> {
    let mut sender = Sender::connect(server, connections)?;
    super::bare::read(capture, |request| sender.send(request))?;
    while sender.free.len() < connections {
        sender.wait()?;
    }
    Ok(sender.answers)
}

impl Sender {
    fn connect(server: SocketAddr, count: usize) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut connections = Vec::with_capacity(count);
        for place in 0..count {
            let stream = TcpStream::connect(server)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            epoll::add(&epoll, &stream, EventData::new_u64(place as u64), EventFlags::IN | EventFlags::ET)?;
            connections.push(stream);
        }
        let (events, buffer) = (Vec::with_capacity(count), vec![0; BUFFER]);
        Ok(Self { epoll, connections, free: (0..count).collect(), events, buffer, answers: 0 })
    }

    fn send(&mut self, request: &[u8]) -> io::Result<()> {
        while self.free.is_empty() {
            self.wait()?;
        }
        let place = self.free.pop().unwrap_or_default();
        // A socket that has nothing else to send takes a small request at once.
        self.connections[place].write_all(request)
    }

    /// Takes what answers there are.
    fn wait(&mut self) -> io::Result<()> {
        let mut events = std::mem::take(&mut self.events);
        epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), None)?;
        for event in events.drain(..) {
            let place = usize::try_from(event.data.u64()).map_err(Error::other)?;
            match self.connections[place].read(&mut self.buffer) {
                Ok(length) => self.answered(place, length)?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        self.events = events;
        Ok(())
    }

    fn answered(&mut self, place: usize, length: usize) -> io::Result<()> {
        let answer = &self.buffer[..length];
        let mut fields = [httparse::EMPTY_HEADER; 32];
        let mut head = httparse::Response::new(&mut fields);
        let parsed = head.parse(answer).map_err(Error::other)?;
        let body = head.headers.iter().find(|field| field.name.eq_ignore_ascii_case("content-length"));
        let body = body.and_then(|field| std::str::from_utf8(field.value).ok()?.trim().parse::<usize>().ok());
        if parsed.is_partial() || Some(length - parsed.unwrap()) != body {
            return Err(Error::other("not an answer of the benchmark's servers, in one piece"));
        }
        self.answers += 1;
        self.free.push(place);
        Ok(())
    }
}
