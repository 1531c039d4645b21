//! Over TLS: what connecting costs, and bodies from a file.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::bodies::{KEPT, filling, of_length};
use crate::made::{self, Asked};
use crate::support::{Certificates, RawServer};
use crate::{ends, replay, resume, rows, same_v2, summary, target};

/// Speaks TLS in front of a server that records each byte: what it records is what was sent.
struct Front {
    address: SocketAddr,
    /// While set, it takes about a megabyte of each connection and then no more.
    holds: Arc<AtomicBool>,
    runtime: Option<tokio::runtime::Runtime>,
}

const MEGABYTE: usize = 1_000_000;

impl Front {
    /// Before each handshake it waits so long.
    fn of(certificates: &Certificates, v2: &RawServer, waits: Duration) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let chain = vec![CertificateDer::from_pem_file(certificates.certificate("server")).unwrap()];
        let key = PrivateKeyDer::from_pem_file(certificates.key("server")).unwrap();
        let config = builder.unwrap().with_no_client_auth().with_single_cert(chain, key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (v2, holds) = (v2.address(), Arc::new(AtomicBool::new(false)));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = {
            let _within = runtime.enter();
            listener()
        };
        let (address, held) = (listener.local_addr().unwrap(), Arc::clone(&holds));
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (acceptor, held) = (acceptor.clone(), Arc::clone(&held));
                tokio::spawn(async move {
                    tokio::time::sleep(waits).await;
                    let Ok(mut client) = acceptor.accept(client).await else { return };
                    let mut v2 = TcpStream::connect(v2).await.unwrap();
                    if held.load(Ordering::Relaxed) {
                        hold(&mut client, &mut v2).await;
                    }
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut v2).await;
                });
            }
        });
        Self { address, holds, runtime: Some(runtime) }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        // Without waiting for its connections.
        self.runtime.take().unwrap().shutdown_background();
    }
}

/// With room for little that it has not read, so that a sender of megabytes has to wait for it.
fn listener() -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 << 10).unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    socket.listen(64).unwrap()
}

/// Hands on what either side says until the client has said a megabyte.
async fn hold(client: &mut tokio_rustls::server::TlsStream<TcpStream>, v2: &mut TcpStream) {
    let (mut asked, mut answered, mut taken) = (vec![0; 16 << 10], vec![0; 16 << 10], 0);
    while taken < MEGABYTE {
        tokio::select! {
            read = client.read(&mut asked) => match read {
                Ok(count) if count > 0 => {
                    taken += count;
                    v2.write_all(&asked[..count]).await.unwrap();
                }
                _ => return,
            },
            read = v2.read(&mut answered) => match read {
                Ok(count) if count > 0 => client.write_all(&answered[..count]).await.unwrap(),
                _ => return,
            },
        }
    }
    std::future::pending::<()>().await;
}

#[test]
fn what_connecting_took_stands_apart_from_lateness_and_latency() {
    const HANDSHAKE: Duration = Duration::from_millis(150);
    let certificates = or_skip!(Certificates::new());
    let v2 = same_v2();
    let front = Front::of(&certificates, &v2, HANDSHAKE);
    let ca = certificates.certificate("ca").display().to_string();
    let finished = replay(&front.url(), &made::exchanges(3, 4), &["--speed", "1", "--ca", &ca]).run();
    ends(&finished, 0);
    let rows = rows(finished.folder());
    assert_eq!(rows.len(), 12);
    let mut took = Vec::new();
    for row in &rows {
        // A connection is made for its first request, and kept.
        assert_eq!(row["connect_ms"].is_empty(), !row["target"].ends_with("/0"), "{row:?}");
        took.extend(row["connect_ms"].parse::<f64>());
        // From the due time on: late, connecting, and the answer.
        let ms = |name: &str| row[name].parse::<f64>().unwrap_or_default();
        assert!(ms("late_ms") >= 0.0 && ms("v2_ms") > 0.0, "{row:?}");
    }
    took.sort_by(f64::total_cmp);
    assert!(took[0] >= 150.0, "{took:?}");
    let summary = summary(finished.folder());
    let of = |part: &str, quantile: &str| summary[part][quantile].as_f64().unwrap();
    // Quantiles are kept to two digits.
    assert!((of("connect", "max") / took[2] - 1.0).abs() < 0.02, "{took:?} {}", summary["connect"]);
    assert!(of("since_due", "max") >= took[0], "{summary:#}");
    let line = finished.stdout.lines().find(|line| line.starts_with("connect   ")).unwrap();
    let said = format!("p50 {:.0} ms", of("connect", "p50"));
    assert!(line.contains(&said) && line.contains("to make connections"), "{line}: {said}");
}

fn uploads() -> Vec<Asked> {
    let mut asked: Vec<_> = (0..12).map(|n| of_length(1, n, &format!("/{n:02}"), 100)).collect();
    asked.push(of_length(1, 40, "/long", 8 * MEGABYTE));
    asked.push(of_length(1, 60, "/behind", 300_000));
    asked
}

/// How often a server saw the beginning of a request, whole or not.
fn begun(v2: &RawServer, name: &str) -> usize {
    let line = format!("POST {name} HTTP/1.1\r\n").into_bytes();
    let count = |bytes: &[u8]| memchr::memmem::find_iter(bytes, &line).count();
    v2.connections().iter().map(|connection| count(&connection.bytes)).sum()
}

#[test]
fn a_large_body_is_sent_over_tls_as_it_was_captured() {
    let certificates = or_skip!(Certificates::new());
    let v2 = same_v2();
    let front = Front::of(&certificates, &v2, Duration::ZERO);
    let ca = certificates.certificate("ca").display().to_string();
    let finished = replay(&front.url(), &made::capture(&uploads()), &["--max-body", KEPT, "--ca", &ca]).run();
    ends(&finished, 0);
    let came = v2.requests();
    assert_eq!(came.len(), 14);
    for asked in uploads() {
        let request = came.iter().find(|request| target(&request.bytes) == target(&asked.request)).unwrap();
        let expected = String::from_utf8(asked.request).unwrap().replacen("shop:8000", "shop-shadow:8000", 1);
        assert!(request.bytes == expected.into_bytes(), "{}", target(&request.bytes));
    }
}

#[test]
fn a_run_killed_in_the_midst_of_a_large_body_does_not_send_it_again_and_sends_what_was_behind_it() {
    let certificates = or_skip!(Certificates::new());
    let v2 = same_v2();
    let front = Front::of(&certificates, &v2, Duration::ZERO);
    front.holds.store(true, Ordering::Relaxed);
    let ca = certificates.certificate("ca").display().to_string();
    let arguments = ["--max-body", KEPT, "--ca", &ca, "--timeout", "60s"];
    let running = replay(&front.url(), &made::capture(&uploads()), &arguments).spawn();
    v2.wait_for("a part of the body", |connections| {
        connections.iter().any(|connection| connection.bytes.len() >= MEGABYTE)
    });
    running.process.signal("KILL");
    let killed = running.wait();
    assert_eq!(v2.requests().len(), 12, "{killed}");
    front.holds.store(false, Ordering::Relaxed);
    let finished = resume(&front.url(), killed.folder(), &arguments).run();
    ends(&finished, 0);
    finished.stderr_has("1 request was on its way when the run was killed");
    for asked in uploads() {
        assert_eq!(begun(&v2, &target(&asked.request)), 1, "{}", target(&asked.request));
    }
    let came = v2.requests();
    let behind = came.iter().find(|request| target(&request.bytes) == "/behind").unwrap();
    assert!(behind.bytes.ends_with(&filling(300_000)));
    let summary = summary(killed.folder());
    assert_eq!(summary["exchanges"]["replayed"], 14, "{summary:#}");
    assert_eq!(summary["not_comparable"]["killed"], 1, "{summary:#}");
    // Of the body's file, which the killed run could not take away, nothing is left.
    let large = |entry: &fs::DirEntry| entry.metadata().unwrap().len() > 4 << 20;
    let left: Vec<_> =
        fs::read_dir(killed.folder().join("run")).unwrap().map(Result::unwrap).filter(large).collect();
    assert!(left.is_empty(), "{left:?}");
}
