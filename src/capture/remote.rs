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
