//! The second client: reqwest, for a v2 that is reachable only through an HTTP or SOCKS proxy, or that
//! speaks HTTP/2.
//!
//! It parses the captured request and says it again in its own words; `tests/replay/README.md` shows what
//! of the captured bytes it cannot keep. It follows no redirect, keeps no cookie, decompresses nothing and
//! tries nothing again that may have reached v2. It keeps connections in a pool of its own, so which
//! captured connection a request belongs to decides its order and not its connection.
//!
//! An answer is put back into the form of HTTP/1 and read by the parser that reads all others.

use std::error::Error;
use std::fmt::Write as _;
use std::future::Future;

use bytes::Bytes;
use reqwest::header::{CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING};
use reqwest::{Method, Url, Version};
use tokio::time::timeout;

use super::client::{Limits, not_sent};
use super::clock::Clock;
use super::endpoint::{Endpoint, Place};
use super::outcome::{Failure, Outcome, SkipReason, Timing};
use super::plan::ShadowRequest;
use super::stop::{Stop, StopSignal};
use crate::http::{BodyKeep, Close, Options, Parser, Request, RequestHead, Response, ResponseReader, Sink};
use crate::time::Timestamp;

/// How v2 is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Via {
    /// Directly.
    #[default]
    Direct,
    /// Through this proxy: `http://`, `https://`, `socks5://` or, where the proxy resolves names,
    /// `socks5h://`.
    Proxy(Url),
    /// As the environment says: `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`.
    Environment,
}

/// Sends requests by reqwest.
#[derive(Clone, Debug)]
pub struct ReqwestClient {
    client: reqwest::Client,
    /// `http://HOST:PORT`, without a path.
    base: Url,
    limits: Limits,
}

/// How far an exchange came when it went wrong.
struct Broken {
    failure: Failure,
    detail: String,
}

impl ReqwestClient {
    /// A client for the target `base`, whose addresses `endpoint` knows.
    ///
    /// # Errors
    /// When reqwest refuses the settings, such as a proxy that it does not know.
    pub fn new(base: Url, endpoint: &Endpoint, via: Via, limits: Limits) -> reqwest::Result<Self> {
        // reqwest looks for it wherever it is not given a configuration of TLS. An error says that there is
        // one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .connect_timeout(limits.connect)
            .tcp_nodelay(true);
        let builder = match via {
            Via::Direct => builder.no_proxy(),
            Via::Proxy(url) => builder.no_proxy().proxy(reqwest::Proxy::all(url)?),
            Via::Environment => builder,
        };
        let builder = match endpoint.tls() {
            Some(tls) => builder.tls_backend_preconfigured(tls.with_http2()),
            None => builder,
        };
        let builder = match (endpoint.place(), base.host_str()) {
            (Place::Tcp(addresses), Some(host)) => builder.resolve_to_addrs(host, addresses),
            #[cfg(unix)]
            (Place::Unix(path), _) => builder.unix_socket(path.clone()),
            _ => builder,
        };
        Ok(Self { client: builder.build()?, base, limits })
    }

    pub(super) async fn send(
        &self,
        request: &ShadowRequest,
        due: Timestamp,
        stop: &mut StopSignal,
        clock: Clock,
    ) -> Outcome {
        let Some(said) = self.said_again(request) else {
            return Outcome::Skipped(SkipReason::ClientCannot);
        };
        let mut answer = Answer::new(request, self.limits, clock);
        let sent = clock.now();
        let exchange = timeout(self.limits.answer, self.exchange(said, &mut answer));
        let ended = tokio::select! {
            biased;
            ended = exchange => ended.unwrap_or_else(|_| Err(self.late(Failure::Timeout, self.limits.answer))),
            () = stop.reached(Stop::Now) => {
                Err(Broken { failure: Failure::Interrupted, detail: "stopped by the user".to_owned() })
            }
        };
        let timing = |response: Option<&Response>| Timing {
            due,
            sent: Some(sent),
            first_byte: response.map(|response| response.first_byte),
            last_byte: response.map(|response| response.last_byte),
        };
        match (ended, answer.end()) {
            (Ok(()), Some(response)) => {
                Outcome::Answered { timing: timing(Some(&response)), response, interim: Vec::new() }
            }
            (Ok(()), None) => {
                let detail = format!("{} answered what reads as no answer", self.base);
                Outcome::Failed { failure: Failure::Garbage, detail, partial: None, timing: timing(None) }
            }
            (Err(Broken { failure, detail }), _) if failure.is_unconnected() => {
                not_sent(failure, detail, due)
            }
            (Err(Broken { failure, detail }), partial) => {
                Outcome::Failed { timing: timing(partial.as_ref()), failure, detail, partial }
            }
        }
    }

    async fn exchange(&self, said: reqwest::Request, answer: &mut Answer) -> Result<(), Broken> {
        let mut response = self.head(self.client.execute(said)).await?;
        answer.head(&response);
        loop {
            match response.chunk().await {
                Ok(Some(bytes)) => answer.body(&bytes),
                Ok(None) => {
                    answer.whole();
                    return Ok(());
                }
                Err(error) => {
                    let detail = format!("{} broke off within the answer: {}", self.base, innermost(&error));
                    return Err(Broken { failure: Failure::ClosedInAnswer, detail });
                }
            }
        }
    }

    async fn head(
        &self,
        answering: impl Future<Output = reqwest::Result<reqwest::Response>>,
    ) -> Result<reqwest::Response, Broken> {
        let result = match self.limits.first_byte {
            // When reqwest has its connection, it does not say.
            Some(limit) => timeout(self.limits.connect + limit, answering)
                .await
                .map_err(|_| self.late(Failure::FirstByteTimeout, limit))?,
            None => answering.await,
        };
        result.map_err(|error| {
            let cause = innermost(&error);
            let failure = match &error {
                error if error.is_connect() && error.is_timeout() => Failure::ConnectTimeout,
                error if error.is_connect() && names_tls(error) => Failure::Tls,
                error if error.is_connect() => Failure::Connect,
                _ if cause.starts_with("invalid HTTP") => Failure::Garbage,
                _ => Failure::ClosedBeforeAnswer,
            };
            Broken { failure, detail: format!("no answer from {}: {cause}", self.base) }
        })
    }

    fn late(&self, failure: Failure, limit: std::time::Duration) -> Broken {
        let what = if failure == Failure::Timeout { "whole answer" } else { "beginning of an answer" };
        Broken { failure, detail: format!("no {what} from {} within {limit:?}", self.base) }
    }

    /// The request in reqwest's form; `None` where it has none.
    fn said_again(&self, request: &ShadowRequest) -> Option<reqwest::Request> {
        let Request { head, body, .. } = parse(request)?;
        let target = std::str::from_utf8(head.target()).ok()?;
        let mut said = reqwest::Request::new(
            Method::from_bytes(head.method()).ok()?,
            self.base.join(path(target)?).ok()?,
        );
        if said.url().origin() != self.base.origin() {
            return None;
        }
        for (name, value) in head.headers.iter() {
            let name = HeaderName::from_bytes(name).ok()?;
            // What frames the body is said anew.
            if name != CONTENT_LENGTH && name != TRANSFER_ENCODING {
                said.headers_mut().append(name, HeaderValue::from_bytes(value).ok()?);
            }
        }
        if body.len > 0 {
            *said.body_mut() = Some(body.entity?.into());
        }
        Some(said)
    }
}

/// Path and query of a request target; `None` for one that has none (RFC 9112, sections 3.2.3 and 3.2.4).
fn path(target: &str) -> Option<&str> {
    if target.starts_with('/') {
        // Two slashes would name a host (RFC 3986, section 4.2).
        return (!target.starts_with("//")).then_some(target);
    }
    let (_, rest) = target.split_once("://")?;
    Some(rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/"))
}

/// The captured request, its body without the chunked coding.
fn parse(request: &ShadowRequest) -> Option<Request> {
    struct First(Option<Request>);
    impl Sink<RequestHead> for First {
        fn message(&mut self, message: Request) {
            self.0.get_or_insert(message);
        }
    }
    let mut parser = Parser::new(Options { keep: BodyKeep::UpTo(usize::MAX), hash: false });
    let mut first = First(None);
    parser.push(request.captured, &request.head, &mut first);
    parser.push(request.captured, &request.body, &mut first);
    first.0.filter(|request| request.completeness.is_complete())
}

/// The answer, as HTTP/1 would have it.
struct Answer {
    reader: ResponseReader,
    clock: Clock,
    chunked: bool,
}

impl Answer {
    fn new(request: &ShadowRequest, limits: Limits, clock: Clock) -> Self {
        let mut reader = ResponseReader::new(Options { keep: BodyKeep::UpTo(limits.max_body), hash: false });
        reader.expect(request.manner.asked);
        Self { reader, clock, chunked: false }
    }

    fn head(&mut self, response: &reqwest::Response) {
        let version = match response.version() {
            Version::HTTP_10 => "1.0",
            Version::HTTP_2 => "2.0",
            _ => "1.1",
        };
        let status = response.status();
        let reason = status.canonical_reason().unwrap_or_default();
        let mut head = format!("HTTP/{version} {} {reason}\r\n", status.as_u16()).into_bytes();
        for (name, value) in response.headers() {
            head.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        head.extend(b"\r\n");
        let chunked = response.headers().get_all(TRANSFER_ENCODING).into_iter().next_back();
        self.chunked =
            chunked.is_some_and(|coding| coding.as_bytes().to_ascii_lowercase().ends_with(b"chunked"));
        self.push(&head);
    }

    fn body(&mut self, bytes: &Bytes) {
        if !self.chunked {
            return self.push(bytes);
        }
        let mut size = String::new();
        // Writing to a text does not fail.
        let _ = write!(size, "{:x}\r\n", bytes.len());
        self.push(size.as_bytes());
        self.push(bytes);
        self.push(b"\r\n");
    }

    fn whole(&mut self) {
        if self.chunked {
            self.push(b"0\r\n\r\n");
        }
        self.reader.end(Close::Finished);
    }

    fn push(&mut self, bytes: &[u8]) {
        self.reader.push(self.clock.now(), bytes);
    }

    /// What came of it.
    fn end(mut self) -> Option<Response> {
        self.reader.end(Close::Unknown);
        self.reader.take()
    }
}

/// The cause that lies deepest, which is what a person can act on.
fn innermost(error: &reqwest::Error) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

fn names_tls(error: &reqwest::Error) -> bool {
    // What an `io::Error` holds is not its source.
    let within = |cause: &(dyn Error + 'static)| {
        let held = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause.is::<rustls::Error>() || held.is_some_and(|held| held.is::<rustls::Error>())
    };
    causes(error).any(within)
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}
