//! Captures at `http(s)://` addresses, read while they are fetched.

use std::error::Error;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use reqwest::blocking::{Client, Response};

use super::error::CaptureError;
use super::input::Stream;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the server may be silent, before its answer and within it. There is no limit on the whole.
const SILENCE: Duration = Duration::from_secs(30);

/// Fetches a capture: redirects are followed, proxies of the environment are not used, and the body is
/// not decoded, so that a `.gz` arrives as it is stored.
///
/// It blocks, so it must not be called on a thread that runs asynchronous tasks.
pub(super) fn open(url: &str, name: &Arc<str>) -> Result<Stream, CaptureError> {
    let failed = |error: reqwest::Error| CaptureError::Http { url: Arc::clone(name), reason: reason(error) };
    let response = client().and_then(|client| client.get(url).send()).map_err(failed)?;
    if response.status() != reqwest::StatusCode::OK {
        return Err(CaptureError::HttpStatus {
            url: Arc::clone(name),
            status: response.status().to_string(),
        });
    }
    Ok(Box::new(Body(response)))
}

fn client() -> reqwest::Result<Client> {
    // An error says that a provider is there already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .user_agent(concat!("shadowcap/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(SILENCE)
        .build()
}

/// The body of the answer. A connection that is lost within it is an error, never the capture's end.
struct Body(Response);

impl Read for Body {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            _ => io::Error::other(innermost(&error)),
        })
    }
}

/// What went wrong, without the address, which may hold credentials.
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let cause = innermost(&error);
    let outer = error.to_string();
    if cause == outer { outer } else { format!("{outer}: {cause}") }
}

/// The cause that lies deepest, which is what a person can act on.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::{SocketAddr, TcpListener};
    use std::thread;

    use super::super::{CaptureSet, Input, PacketSource, PcapWriter, synth::Conversation};
    use super::*;
    use crate::packet::LinkType;
    use crate::time::Timestamp;

    /// Eleven packets, compressed.
    fn capture() -> Vec<u8> {
        let mut talk = Conversation::new(
            "192.0.2.1:40000".parse().unwrap(),
            "192.0.2.2:80".parse().unwrap(),
            Timestamp::from_nanos(0),
        );
        talk.open();
        talk.client_sends(b"GET / HTTP/1.0\r\n\r\n");
        talk.server_sends(b"HTTP/1.0 204 No Content\r\n\r\n");
        talk.close();
        let mut writer = PcapWriter::new(Vec::new(), LinkType::ETHERNET).unwrap();
        for frame in talk.take_frames() {
            writer.write(&frame.packet(1)).unwrap();
        }
        zstd::stream::encode_all(&writer.finish().unwrap()[..], 1).unwrap()
    }

    /// A server that answers each request by its path, until the test ends.
    fn serve() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut line = String::new();
                BufReader::new(&stream).read_line(&mut line).unwrap();
                let body = capture();
                let (head, sent) = match line.split(' ').nth(1) {
                    Some("/moved.pcap.zst") => ("302 Found\r\nLocation: /a.pcap.zst", &b""[..]),
                    Some("/a.pcap.zst?signature=secret" | "/a.pcap.zst") => ("200 OK", &body[..]),
                    Some("/cut.pcap.zst") => ("200 OK", &body[..body.len() - 9]),
                    Some("/login.pcap") => ("200 OK", &b"<!doctype html><html>"[..]),
                    _ => ("404 Not Found", &b""[..]),
                };
                // The length is that of the whole even where less is sent.
                let length = if line.contains("/cut") { body.len() } else { sent.len() };
                let head =
                    format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
                stream.write_all(head.as_bytes()).unwrap();
                stream.write_all(sent).unwrap();
            }
        });
        address
    }

    fn fetch(url: String) -> Result<u64, CaptureError> {
        let mut set = CaptureSet::open(&[Input::parse(url)])?;
        while set.next_packet()?.is_some() {}
        Ok(set.stats().packets())
    }

    #[test]
    fn a_capture_is_read_from_an_address_and_what_is_none_is_named() {
        let address = serve();
        assert_eq!(fetch(format!("http://{address}/a.pcap.zst?signature=secret")).unwrap(), 11);
        assert_eq!(fetch(format!("http://{address}/moved.pcap.zst")).unwrap(), 11);
        let message = |path| fetch(format!("http://{address}/{path}")).unwrap_err().to_string();
        assert_eq!(
            message("none?key=secret"),
            format!(
                "http://{address}/none: the server answered 404 Not Found; check the address, and whether it \
                 wants credentials"
            )
        );
        assert!(message("login.pcap").contains("it looks like a web page"));
        let cut = message("cut.pcap.zst");
        assert!(cut.contains("cannot be read at byte"), "{cut}");
    }

    #[test]
    fn an_address_where_nobody_listens_is_an_error_without_the_secrets_of_the_address() {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let message = fetch(format!("http://user:pass@{address}/a?key=secret")).unwrap_err().to_string();
        assert!(message.starts_with(&format!("http://{address}/a: cannot be fetched: ")), "{message}");
        assert!(!message.contains("secret") && !message.contains("pass"), "{message}");
    }
}
