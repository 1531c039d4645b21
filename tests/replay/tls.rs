//! The exact client over TLS: the same bytes, and what only TLS can do.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use shadowcap::replay::client::Limits;
use shadowcap::replay::endpoint::{Endpoint, Place};
use shadowcap::replay::tls::{Identity, Tls, TlsOptions};
use shadowcap::replay::{Failure, Outcome};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::awkward_requests::awkward_requests;
use crate::harness::Certificates;
use crate::support::{LIMITS, Log, Peer, Sender, Server, answer, failure};

pub(crate) type TlsPeer = Peer<TlsStream<TcpStream>>;

const GET: &[u8] = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What a server shows of itself, and whom it lets in.
pub(crate) fn config(certificates: &Certificates, name: &str, wants_client: bool) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = if wants_client {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(certificates.certificate("ca")).unwrap()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let chain = vec![CertificateDer::from_pem_file(certificates.certificate(name)).unwrap()];
    let key = PrivateKeyDer::from_pem_file(certificates.key(name)).unwrap();
    let mut config = builder.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

/// The same for anybody, with these protocols alone.
pub(crate) fn config_of(certificates: &Certificates, name: &str, protocols: &[&str]) -> Arc<ServerConfig> {
    let mut config = Arc::unwrap_or_clone(config(certificates, name, false));
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

/// A server that does with each connection, once its handshake is over, what the test says.
pub(crate) async fn serve<F, R>(config: Arc<ServerConfig>, serve: F) -> Server
where
    F: Fn(usize, TlsPeer) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let acceptor = TlsAcceptor::from(config);
    Server::start(move |number, peer| {
        let (acceptor, serve) = (acceptor.clone(), serve.clone());
        async move {
            if let Ok(stream) = acceptor.accept(peer.stream).await {
                serve(number, Peer::new(stream)).await;
            }
        }
    })
    .await
}

pub(crate) fn trusting(certificates: &Certificates) -> TlsOptions {
    TlsOptions { ca: Some(certificates.certificate("ca")), ..TlsOptions::default() }
}

pub(crate) fn endpoint(address: SocketAddr, host: &str, options: &TlsOptions) -> Endpoint {
    Endpoint::new(Place::Tcp(Arc::new([address])), Some(Tls::new(host, options).unwrap()))
}

fn sender(server: &Server, options: &TlsOptions) -> Sender {
    Sender::with(endpoint(server.address, "localhost", options), LIMITS)
}

#[tokio::test]
async fn a_handshake_that_takes_its_time_is_neither_lateness_nor_latency() {
    const SLOW: Duration = Duration::from_millis(300);
    let certificates = or_skip!(Certificates::new());
    let acceptor = TlsAcceptor::from(config(&certificates, "server", false));
    let server = Server::start(move |_, peer| {
        let acceptor = acceptor.clone();
        async move {
            tokio::time::sleep(SLOW).await;
            polite(Peer::new(acceptor.accept(peer.stream).await.unwrap())).await;
        }
    })
    .await;
    let mut sender = sender(&server, &trusting(&certificates));
    for first in [true, false] {
        let Outcome::Answered { timing, .. } = sender.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await else {
            panic!("no answer")
        };
        let connect = timing.connect_time();
        assert_eq!(connect.is_some(), first, "{timing:?}");
        let all = timing.sent.unwrap().since(timing.due);
        assert!(connect.is_none_or(|connect| connect >= SLOW), "{timing:?}");
        assert_eq!(timing.lateness().unwrap() + connect.unwrap_or_default(), all, "{timing:?}");
    }
}

/// Answers each request until the client goes.
async fn polite(mut peer: TlsPeer) {
    while peer.head().await.is_some() {
        peer.say(OK).await;
    }
}

#[tokio::test]
async fn awkward_requests_arrive_over_tls_as_captured_with_only_the_host_changed() {
    let certificates = or_skip!(Certificates::new());
    let rows = awkward_requests();
    let lengths: Arc<Vec<usize>> = Arc::new(rows.iter().map(|row| row.expected.len()).collect());
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let server = serve(config(&certificates, "server", false), move |number, mut peer: TlsPeer| {
        let (lengths, arrived) = (lengths.clone(), arrived.clone());
        async move {
            let mut bytes = peer.take(lengths[number]).await.unwrap_or_default();
            peer.say(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await;
            bytes.extend(peer.rest().await);
            arrived.send(bytes).unwrap();
        }
    })
    .await;
    for row in rows {
        let outcome = sender(&server, &trusting(&certificates)).send(&row.captured).await;
        assert_eq!(answer(&outcome).0, 204, "{}", row.name);
        assert!(arrivals.recv().await.unwrap() == row.expected, "{}", row.name);
    }
}

#[tokio::test]
async fn one_session_serves_many_requests_and_names_the_host_and_the_protocol() {
    let certificates = or_skip!(Certificates::new());
    let named = Log::default();
    let log = named.clone();
    let server = serve(config(&certificates, "server", false), move |_, peer: TlsPeer| {
        let session = peer.stream.get_ref().1;
        let protocol = session.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
        log.note((session.server_name().map(str::to_owned), protocol));
        polite(peer)
    })
    .await;
    let mut one = sender(&server, &trusting(&certificates));
    for turn in 0..50 {
        assert_eq!(answer(&one.send(GET).await).1, "ok", "{turn}");
    }
    assert_eq!(server.accepted(), 1);
    let other = TlsOptions { sni: Some("v2.example".into()), ..trusting(&certificates) };
    answer(&sender(&server, &other).send(GET).await);
    let http = Some("http/1.1".to_owned());
    let expected =
        [("localhost", &http), ("v2.example", &http)].map(|(n, p)| (Some(n.to_owned()), p.clone()));
    assert_eq!(named.take(), expected);
}

#[tokio::test]
async fn who_cannot_prove_to_be_v2_gets_no_request() {
    let certificates = or_skip!(Certificates::new());
    let heard = Log::default();
    for (shown, host, asked, reason) in [
        ("stranger", "localhost", trusting(&certificates), "UnknownIssuer"),
        ("server", "localhost", TlsOptions::default(), "UnknownIssuer"),
        ("server", "other.example", trusting(&certificates), "not valid for name"),
        (
            "server",
            "localhost",
            TlsOptions { sni: Some("other.example".into()), ..trusting(&certificates) },
            "not valid for name",
        ),
    ] {
        let log = heard.clone();
        let server = serve(config(&certificates, shown, false), move |_, mut peer: TlsPeer| {
            let log = log.clone();
            async move { log.note(peer.rest().await) }
        })
        .await;
        let outcome = Sender::with(endpoint(server.address, host, &asked), LIMITS).send(GET).await;
        let (kind, detail) = failure(&outcome);
        assert_eq!(kind, Failure::Tls, "{detail}");
        assert!(detail.contains(reason) && detail.contains(&server.address.to_string()), "{detail}");
        assert!(matches!(outcome, Outcome::Failed { timing, .. } if timing.sent.is_none()));
    }
    assert!(heard.take().iter().all(Vec::is_empty));
    let server = serve(config(&certificates, "stranger", false), |_, peer| polite(peer)).await;
    let insecure = TlsOptions { insecure: true, ..TlsOptions::default() };
    assert_eq!(answer(&sender(&server, &insecure).send(GET).await).0, 200);
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_gets_it_or_says_what_it_missed() {
    let certificates = or_skip!(Certificates::new());
    let server = serve(config(&certificates, "server", true), |_, peer| polite(peer)).await;
    let identity = |name: &str| {
        Some(Identity { certificates: certificates.certificate(name), key: certificates.key(name) })
    };
    let with = TlsOptions { identity: identity("client"), ..trusting(&certificates) };
    assert_eq!(answer(&sender(&server, &with).send(GET).await).0, 200);
    // In TLS 1.3 the client has sent its request before it hears of this.
    let (kind, detail) = failure(&sender(&server, &trusting(&certificates)).send(GET).await);
    assert_eq!(kind, Failure::Tls, "{detail}");
    assert!(detail.contains("CertificateRequired"), "{detail}");
    let wrong = TlsOptions { identity: identity("stranger"), ..trusting(&certificates) };
    let (kind, detail) = failure(&sender(&server, &wrong).send(GET).await);
    assert_eq!(kind, Failure::Tls, "{detail}");
}

#[tokio::test]
async fn an_answer_that_lasts_until_the_end_is_whole_only_where_tls_says_that_it_is_the_end() {
    let certificates = or_skip!(Certificates::new());
    for says_goodbye in [true, false] {
        let server = serve(config(&certificates, "server", false), move |_, mut peer: TlsPeer| async move {
            peer.head().await;
            peer.say(b"HTTP/1.1 200 OK\r\n\r\nas much as came").await;
            if says_goodbye {
                peer.stream.shutdown().await.unwrap();
            } else {
                // The TCP connection ends in order; anyone between could have done that.
                peer.stream.get_mut().0.shutdown().await.unwrap();
            }
        })
        .await;
        let outcome = sender(&server, &trusting(&certificates)).send(GET).await;
        if says_goodbye {
            assert_eq!(answer(&outcome).1, "as much as came");
            continue;
        }
        let (kind, detail) = failure(&outcome);
        assert_eq!(kind, Failure::ClosedInAnswer);
        assert!(detail.contains("close_notify"), "{detail}");
        let Outcome::Failed { partial: Some(partial), .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(partial.body.entity.unwrap(), "as much as came");
    }
}

#[tokio::test]
async fn a_session_that_v2_has_ended_is_not_used_again() {
    let certificates = or_skip!(Certificates::new());
    for says_goodbye in [true, false] {
        let server = serve(config(&certificates, "server", false), move |_, mut peer: TlsPeer| async move {
            peer.head().await;
            peer.say(OK).await;
            if says_goodbye {
                peer.stream.shutdown().await.ok();
            }
        })
        .await;
        let mut sender = sender(&server, &trusting(&certificates));
        for turn in 1..=10 {
            assert_eq!(answer(&sender.send(GET).await).1, "ok", "{turn}, {says_goodbye}");
            while sender.slot.as_ref().is_some_and(|_| server.closed() < turn) {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(server.accepted(), 10);
    }
}

#[tokio::test]
async fn a_client_that_leaves_says_so_in_tls() {
    let certificates = or_skip!(Certificates::new());
    let (ended, mut ends) = mpsc::unbounded_channel();
    let server = serve(config(&certificates, "server", false), move |_, mut peer: TlsPeer| {
        let ended = ended.clone();
        async move {
            peer.head().await;
            peer.say(OK).await;
            let mut rest = Vec::new();
            let end = tokio::io::AsyncReadExt::read_to_end(&mut peer.stream, &mut rest).await;
            ended.send(end.map_err(|error| error.to_string())).unwrap();
        }
    })
    .await;
    let mut sender = sender(&server, &trusting(&certificates));
    answer(&sender.send(GET).await);
    drop(sender);
    assert_eq!(ends.recv().await.unwrap(), Ok(0));
}

#[tokio::test]
async fn servers_that_speak_no_tls_are_named_as_such() {
    let certificates = or_skip!(Certificates::new());
    let plain = Server::start(|_, mut peer: Peer| async move {
        peer.say(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await;
        peer.rest().await;
    })
    .await;
    let (kind, detail) = failure(&sender(&plain, &trusting(&certificates)).send(GET).await);
    assert_eq!(kind, Failure::Tls, "{detail}");
    let closing = Server::start(|_, _| async {}).await;
    let (kind, detail) = failure(&sender(&closing, &trusting(&certificates)).send(GET).await);
    assert_eq!(kind, Failure::Tls, "{detail}");
    let silent = Server::start(|_, mut peer: Peer| async move { drop(peer.rest().await) }).await;
    let limits = Limits { connect: Duration::from_millis(100), ..LIMITS };
    let endpoint = endpoint(silent.address, "localhost", &trusting(&certificates));
    let (kind, detail) = failure(&Sender::with(endpoint, limits).send(GET).await);
    assert_eq!(kind, Failure::ConnectTimeout, "{detail}");
    assert!(detail.contains("no TLS session") && detail.contains("within 100ms"), "{detail}");
}

#[tokio::test]
async fn an_answer_over_tls_that_is_as_large_as_its_request_does_not_block() {
    const SIZE: usize = 20_000_000;
    let certificates = or_skip!(Certificates::new());
    let server = serve(config(&certificates, "server", false), move |_, mut peer: TlsPeer| async move {
        peer.head().await;
        peer.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n").as_bytes()).await;
        let early = std::mem::take(&mut peer.pending);
        let (mut from, mut to) = tokio::io::split(peer.stream);
        to.write_all(&early).await.unwrap();
        to.flush().await.unwrap();
        tokio::io::copy(&mut from, &mut to).await.ok();
    })
    .await;
    let mut upload = format!("PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n").into_bytes();
    upload.resize(upload.len() + SIZE, b'u');
    let mut sender = sender(&server, &trusting(&certificates));
    let outcome = sender.send(&upload).await;
    let Outcome::Answered { response, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(response.body.len, SIZE as u64);
    assert!(sender.slot.is_some());
}

#[tokio::test]
async fn a_server_that_stops_reading_over_tls_times_out() {
    let certificates = or_skip!(Certificates::new());
    let server = serve(config(&certificates, "server", false), |_, peer: TlsPeer| async move {
        let _open = peer;
        std::future::pending::<()>().await;
    })
    .await;
    let mut upload = b"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 30000000\r\n\r\n".to_vec();
    upload.resize(upload.len() + 30_000_000, b'u');
    let limits = Limits { answer: Duration::from_millis(300), ..LIMITS };
    let endpoint = endpoint(server.address, "localhost", &trusting(&certificates));
    let (kind, detail) = failure(&Sender::with(endpoint, limits).send(&upload).await);
    assert_eq!(kind, Failure::Timeout);
    assert!(detail.contains("of the request's 30000061 bytes"), "{detail}");
}

#[test]
fn files_that_hold_nothing_of_use_are_named() {
    let certificates = or_skip!(Certificates::new());
    let missing = PathBuf::from("/no/such/file.pem");
    let identity = |certificates: PathBuf, key: PathBuf| Some(Identity { certificates, key });
    let (certificate, key) = (certificates.certificate("client"), certificates.key("client"));
    for (options, named) in [
        (
            TlsOptions { ca: Some(missing.clone()), ..TlsOptions::default() },
            "/no/such/file.pem holds no certificate",
        ),
        (TlsOptions { ca: Some(key.clone()), ..TlsOptions::default() }, "client.key holds no certificate"),
        (
            TlsOptions {
                identity: identity(certificate.clone(), certificate.clone()),
                ..TlsOptions::default()
            },
            "client.pem holds no private key",
        ),
        (
            TlsOptions {
                identity: identity(certificate, certificates.key("server")),
                ..TlsOptions::default()
            },
            "keys may not be consistent",
        ),
    ] {
        let message = Tls::new("localhost", &options).unwrap_err().to_string();
        assert!(message.contains(named), "{named}: {message}");
    }
    let message = Tls::new("no host", &TlsOptions::default()).unwrap_err().to_string();
    assert!(message.contains("`no host` is no host name"), "{message}");
}
