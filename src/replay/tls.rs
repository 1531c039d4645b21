//! TLS to v2, by rustls with ring.
//!
//! Trust is the platform's own (rustls-platform-verifier): on Linux the system's store of roots, on macOS
//! the keychain with what its owner decided, so that a company's roots hold here as they do in the
//! browser. Roots read by rustls-native-certs alone would miss such decisions, and it is the same
//! verifier that reqwest brings along.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_platform_verifier::Verifier;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::stream::Socket;

/// What is asked of TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// Certificates of authorities, in PEM, that are trusted in place of the platform's.
    pub ca: Option<PathBuf>,
    /// What the client shows of itself where v2 asks for it.
    pub identity: Option<Identity>,
    /// The name that v2 is asked for and must prove, in place of the target's host.
    pub sni: Option<String>,
    /// Whether any certificate is taken.
    pub insecure: bool,
}

/// A client's certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, and those between it and its authority, in PEM.
    pub certificates: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
}

/// How TLS is spoken to one server.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    verifier: Arc<dyn ServerCertVerifier>,
    server: ServerName<'static>,
}

/// Why TLS cannot be spoken as asked.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A name that no certificate can have.
    #[error("`{0}` is no host name that a certificate could prove")]
    Name(String),
    /// A file that cannot be read, or holds something else.
    #[error("{} holds no {what} in PEM ({source})", path.display())]
    File {
        /// What was looked for.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why it was not found.
        source: pem::Error,
    },
    /// A file without what was looked for.
    #[error("{} holds no {what} in PEM", path.display())]
    Empty {
        /// What was looked for.
        what: &'static str,
        /// Where.
        path: PathBuf,
    },
    /// rustls refused what the files hold, or the platform has no roots.
    #[error("{0}")]
    Rustls(#[from] rustls::Error),
    /// The authorities cannot be used.
    #[error("the authorities cannot be used: {0}")]
    Authorities(#[from] rustls::client::VerifierBuilderError),
}

impl Tls {
    /// TLS to the server at `host`, as the options say.
    ///
    /// # Errors
    /// When a file cannot be read or used, or the name is none.
    pub fn new(host: &str, options: &TlsOptions) -> Result<Self, TlsError> {
        let name = options.sni.as_deref().unwrap_or(host);
        let server = server_name(name).ok_or_else(|| TlsError::Name(name.to_owned()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = verifier(options, Arc::clone(&provider))?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&verifier));
        let mut config = match &options.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let key = text(&identity.key).and_then(|text| PrivateKeyDer::from_pem_slice(&text));
                let key = key.map_err(file("private key", &identity.key))?;
                builder.with_client_auth_cert(certificates(&identity.certificates)?, key)?
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Bytes sent before the handshake is over could be replayed by others (RFC 8446, section 8).
        config.enable_early_data = false;
        config.resumption = Resumption::in_memory_sessions(256);
        Ok(Self { config: Arc::new(config), verifier, server })
    }

    /// The name that the server must prove.
    #[must_use]
    pub fn server(&self) -> String {
        self.server.to_str().into_owned()
    }

    /// The same settings for a client that chooses the protocol and names the server itself. Whatever name it
    /// asks for, the server must prove to be ours.
    pub(super) fn for_others(&self, http2: bool) -> ClientConfig {
        let mut config = ClientConfig::clone(&self.config);
        if http2 {
            config.alpn_protocols.insert(0, b"h2".to_vec());
        }
        let named = Named { verifier: Arc::clone(&self.verifier), server: self.server.clone() };
        config.dangerous().set_certificate_verifier(Arc::new(named));
        config
    }

    pub(super) async fn handshake(&self, socket: Socket) -> io::Result<TlsStream<Socket>> {
        TlsConnector::from(Arc::clone(&self.config)).connect(self.server.clone(), socket).await
    }
}

/// Without what the configuration holds of keys.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("server", &self.server).finish_non_exhaustive()
    }
}

/// What a name of the target is to TLS: an address, with or without brackets, or a host name.
fn server_name(name: &str) -> Option<ServerName<'static>> {
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    match address {
        Ok(address) => Some(ServerName::from(address)),
        Err(_) => ServerName::try_from(name.to_owned()).ok(),
    }
}

fn verifier(
    options: &TlsOptions,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    if options.insecure {
        return Ok(Arc::new(Anyone(provider)));
    }
    let Some(ca) = &options.ca else { return Ok(Arc::new(Verifier::new(provider)?)) };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca)? {
        roots.add(certificate)?;
    }
    Ok(WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build()?)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let what = "certificate";
    let text = text(path).map_err(file(what, path))?;
    let found = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(file(what, path))?;
    if found.is_empty() { Err(TlsError::Empty { what, path: path.to_owned() }) } else { Ok(found) }
}

/// More than the authorities of all systems together take: a device has no end.
const MOST_TEXT: u64 = 64 << 20;

fn text(path: &Path) -> Result<Vec<u8>, pem::Error> {
    let mut text = Vec::new();
    File::open(path).and_then(|file| file.take(MOST_TEXT).read_to_end(&mut text)).map_err(pem::Error::Io)?;
    Ok(text)
}

fn file(what: &'static str, path: &Path) -> impl FnOnce(pem::Error) -> TlsError {
    let path = path.to_owned();
    move |source| TlsError::File { what, path, source }
}

/// Demands a certificate for one name, whatever name was asked for.
#[derive(Debug)]
struct Named {
    verifier: Arc<dyn ServerCertVerifier>,
    server: ServerName<'static>,
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.verifier.verify_server_cert(certificate, others, &self.server, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// Takes any certificate. What it signs is still checked, which costs nothing and keeps the session
/// with whoever began it.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
