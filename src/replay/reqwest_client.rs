//! The second client: reqwest, for a v2 that is reachable only through an HTTP or SOCKS proxy, or that
//! speaks HTTP/2.
//!
//! It parses the captured request and says it again in its own words. It follows no redirect, keeps no cookie, decompresses nothing and
//! tries nothing again that may have reached v2. It keeps connections in a pool of its own, so which
//! captured connection a request belongs to decides its order and not its connection.
//!
//! All that reqwest does runs on one thread. On several, a request could be handed to a connection while that ended
//! elsewhere: tokio's channel between the two loses a message whose sender was interrupted between its two steps, and all
//! behind it, as long as somebody holds the channel's sending end, which whoever waits for the answer does. Such a request
//! neither left nor failed until its time was over.
//!
//! An answer is put back into the form of HTTP/1 and read by the parser that reads all others. Names of
//! fields are in lower case then, the reason phrase is the registered one, and interim answers, trailers
//! and the sizes of chunks are lost. An `Expect: 100-continue` is sent, and not waited for.
//!
//! # The Host
//!
//! On a plain connection, and through a proxy that tunnels (SOCKS, or CONNECT for `https://`), the Host is
//! sent as planned. An HTTP proxy that forwards says the target's own in its place (RFC 9112, section
//! 3.2.2). Directly over TLS, where HTTP/2 is offered, host and `:authority` are those of the planned Host with
//! the target's port, since reqwest connects to the port that it names; TLS asks for that name (SNI) and
//! demands a certificate of the target's. A Host that is an address is replaced by the target's.
//!
//! # What it keeps of the captured bytes
//!
//! Measured by sending these requests through both clients to a server that records what arrives. "Not
//! sent" means that reqwest has no form for the request: its row is skipped as `client-cannot`.
//!
#![doc = include_str!("reqwest_client.md")]

use std::error::Error;
use std::fmt::Write as _;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_LENGTH, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING};
use reqwest::{Method, Url, Version};
use rustls::pki_types::ServerName;
use tokio::time::timeout;

use super::client::{Limits, not_sent};
use super::clock::Clock;
use super::endpoint::{Endpoint, Place};
use super::entity_stream::EntityStream;
use super::outcome::{Failure, Outcome, SkipReason, Timing};
use super::own_thread::OwnReactor;
use super::plan::{ShadowBody, ShadowRequest};
use super::registering::Registering;
use super::stop::{Stop, StopSignal};
use crate::http::{
    BodyKeep, Close, Options, Parser, Request, RequestHead, Response, ResponseReader, Sink, h1,
};
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
    /// Where everything of it runs.
    reactor: Arc<OwnReactor>,
    /// `http://HOST:PORT`, without a path.
    base: Url,
    /// The target is called by each request's Host: of all that reqwest says, this alone becomes the
    /// `:authority` of HTTP/2, beside which servers take no other Host.
    by_host: bool,
    limits: Limits,
}

/// Resolves every name to the target.
struct Always(Arc<[SocketAddr]>);

impl Resolve for Always {
    fn resolve(&self, name: Name) -> Resolving {
        let addresses: Addrs = Box::new(Vec::from(&*self.0).into_iter());
        let known = if self.0.is_empty() {
            Err(format!("{} does not resolve here", name.as_str()).into())
        } else {
            Ok(addresses)
        };
        Box::pin(std::future::ready(known))
    }
}

/// Why an exchange did not come to its end.
enum Broken {
    /// reqwest found that it cannot say this; nothing was sent.
    Unsayable,
    Failed(Failure, String),
}

impl ReqwestClient {
    /// A client for the target `base`, whose addresses `endpoint` knows. Where that makes its connections known, so
    /// does the client.
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
        let direct = via == Via::Direct;
        let builder = match via {
            Via::Direct => builder.no_proxy(),
            Via::Proxy(url) => builder.no_proxy().proxy(reqwest::Proxy::all(url)?),
            Via::Environment => builder,
        };
        let by_host = direct && endpoint.tls().is_some();
        let builder = match endpoint.tls() {
            Some(tls) => builder.tls_backend_preconfigured(tls.for_others(direct)),
            None => builder,
        };
        let builder = match endpoint.place() {
            Place::Tcp(addresses) => builder.dns_resolver(Arc::new(Always(Arc::clone(addresses)))),
            #[cfg(unix)]
            Place::Unix(path) => builder.unix_socket(path.clone()),
            #[cfg(not(unix))]
            Place::Unix(_) => builder,
        };
        let builder = match endpoint.own() {
            Some(own) => builder.connector_layer(Registering(own.clone())),
            None => builder,
        };
        Ok(Self { client: builder.build()?, reactor: Arc::default(), base, by_host, limits })
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
                Err(Broken::Failed(Failure::Interrupted, "stopped by the user".to_owned()))
            }
        };
        // When reqwest makes a connection, it does not say.
        let timing = |response: Option<&Response>| Timing {
            due,
            connecting: None,
            sent: Some(sent),
            first_byte: response.map(|response| response.first_byte),
            last_byte: response.map(|response| response.last_byte),
        };
        match (ended, answer.end()) {
            (Ok(()), Some(response)) => {
                let timing = timing(Some(&response));
                Outcome::Answered { timing, response, interim: Vec::new() }
            }
            (Ok(()), None) => {
                let detail = format!("{} answered what reads as no answer", self.base);
                Outcome::Failed { failure: Failure::Garbage, detail, partial: None, timing: timing(None) }
            }
            (Err(Broken::Unsayable), _) => Outcome::Skipped(SkipReason::ClientCannot),
            (Err(Broken::Failed(failure, detail)), _) if failure.is_unconnected() => {
                not_sent(failure, detail, due)
            }
            (Err(Broken::Failed(failure, detail)), partial) => {
                let timing = timing(partial.as_deref());
                Outcome::Failed { timing, failure, detail, partial }
            }
        }
    }

    async fn exchange(&self, said: reqwest::Request, answer: &mut Answer) -> Result<(), Broken> {
        let client = self.client.clone();
        let answering = self.reactor.run(async move { client.execute(said).await });
        let mut response = self.head(answering).await?;
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
                    return Err(Broken::Failed(Failure::ClosedInAnswer, detail));
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
                error if error.is_builder() => return Broken::Unsayable,
                error if error.is_connect() && error.is_timeout() => Failure::ConnectTimeout,
                error if error.is_connect() && names_tls(error) => Failure::Tls,
                error if error.is_connect() => Failure::Connect,
                _ if cause.starts_with("invalid HTTP") => Failure::Garbage,
                _ => Failure::ClosedBeforeAnswer,
            };
            Broken::Failed(failure, format!("no answer from {}: {cause}", self.base))
        })
    }

    /// The target by the name in a Host field, with its own port: reqwest connects to the port that it names.
    fn called(&self, host: Option<&[u8]>) -> Url {
        let mut url = self.base.clone();
        match host.and_then(name) {
            Some(name) if url.set_host(Some(&name)).is_ok() => url,
            _ => self.base.clone(),
        }
    }

    fn late(&self, failure: Failure, limit: std::time::Duration) -> Broken {
        let what = if failure == Failure::Timeout { "whole answer" } else { "beginning of an answer" };
        Broken::Failed(failure, format!("no {what} from {} within {limit:?}", self.base))
    }

    /// The request in reqwest's form; `None` where it has none.
    fn said_again(&self, request: &ShadowRequest) -> Option<reqwest::Request> {
        let (head, body) = parse(request)?;
        let target = std::str::from_utf8(head.target()).ok()?;
        let base = if self.by_host { self.called(head.headers.get("host")) } else { self.base.clone() };
        let url = format!("{}{}", base.as_str().trim_end_matches('/'), path(target)?);
        let mut said = reqwest::Request::new(Method::from_bytes(head.method()).ok()?, Url::parse(&url).ok()?);
        for (name, value) in head.headers.iter() {
            let name = HeaderName::from_bytes(name).ok()?;
            // What frames the body is said anew.
            if name != CONTENT_LENGTH && name != TRANSFER_ENCODING && !(self.by_host && name == HOST) {
                said.headers_mut().append(name, HeaderValue::from_bytes(value).ok()?);
            }
        }
        match body {
            Entity::Kept(bytes) if bytes.is_empty() => {}
            Entity::Kept(bytes) => *said.body_mut() = Some(bytes.into()),
            Entity::Stored(stream, len) => {
                // Of a stream reqwest does not know the length.
                said.headers_mut().insert(CONTENT_LENGTH, len.into());
                *said.body_mut() = Some(reqwest::Body::wrap_stream(stream));
            }
        }
        Some(said)
    }
}

/// The host of a Host field, where it is a name that TLS can ask for. An address would be connected to.
fn name(host: &[u8]) -> Option<String> {
    let url = Url::parse(&format!("https://{}", std::str::from_utf8(host).ok()?)).ok()?;
    let name = url.domain().filter(|_| url.path() == "/" && url.username().is_empty())?;
    ServerName::try_from(name).ok().map(|_| name.to_owned())
}

/// Path and query of a request target; `None` for one that has none (RFC 9112, sections 3.2.3 and 3.2.4).
fn path(target: &str) -> Option<&str> {
    if target.starts_with('/') {
        return Some(target);
    }
    let (_, rest) = target.split_once("://")?;
    Some(rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/"))
}

/// A body without the chunked coding.
enum Entity {
    Kept(Bytes),
    /// So many bytes, from a store.
    Stored(EntityStream, u64),
}

/// The captured request.
fn parse(request: &ShadowRequest) -> Option<(RequestHead, Entity)> {
    match &request.body {
        ShadowBody::Kept(_) => {
            let Request { head, body, .. } = parse_kept(request)?;
            let entity = if body.len == 0 { Bytes::new() } else { body.entity? };
            Some((head, Entity::Kept(entity)))
        }
        ShadowBody::Stored { body, entity, chunked } => {
            let stream = EntityStream::new(body.clone(), *chunked);
            Some((h1::parse_head(request.head.clone())?, Entity::Stored(stream, *entity)))
        }
    }
}

fn parse_kept(request: &ShadowRequest) -> Option<Request> {
    struct First(Option<Request>);
    impl Sink<RequestHead> for First {
        fn message(&mut self, message: Request) {
            self.0.get_or_insert(message);
        }
    }
    let mut parser = Parser::new(Options { keep: BodyKeep::UpTo(usize::MAX), hash: false });
    let mut first = First(None);
    parser.push(request.captured, &request.head, &mut first);
    parser.push(request.captured, request.body.kept(), &mut first);
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
        let mut reader = ResponseReader::new(Options { keep: limits.keep, hash: false });
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
    fn end(mut self) -> Option<Box<Response>> {
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
        cause.is::<rustls::Error>() || held.is_some_and(<dyn Error + Send + Sync>::is::<rustls::Error>)
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::http::Asked;
    use crate::replay::plan::Manner;
    use crate::replay::stop::stop_channel;

    #[tokio::test]
    async fn what_reqwest_does_runs_on_its_own_thread_for_all_who_share_the_client() {
        // Closed again: nobody answers there.
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let second = Duration::from_secs(1);
        let limits = Limits { connect: second, answer: second, ..Limits::default() };
        let base = Url::parse(&format!("http://{address}")).unwrap();
        let client = ReqwestClient::new(base, &address.into(), Via::Direct, limits).unwrap();
        assert!(!client.reactor.has_begun());
        let request = ShadowRequest {
            head: "GET / HTTP/1.1\r\nHost: a\r\n\r\n".into(),
            body: ShadowBody::Kept(Bytes::new()),
            manner: Manner { asked: Asked::by(b"GET"), expects_continue: false, persistent: true },
            captured: Timestamp::default(),
        };
        let (_handle, mut stop) = stop_channel();
        let outcome = client.clone().send(&request, Timestamp::default(), &mut stop, Clock::start()).await;
        assert!(matches!(outcome, Outcome::Failed { failure: Failure::Connect, .. }), "{outcome:?}");
        assert!(client.reactor.has_begun());
    }
}
