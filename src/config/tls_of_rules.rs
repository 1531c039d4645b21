//! What destination rules say of TLS, held against the endpoints and the certificates that were given.

use super::{Connecting, Routing};
use crate::route::{Tls, TlsMode, Warning};

/// What it takes to speak to a destination as the mesh does, and by which options; `None` where that is in
/// the clear.
#[must_use]
pub fn tls_words(mode: &TlsMode) -> Option<String> {
    match mode {
        TlsMode::Disable => None,
        TlsMode::Simple(tls) => Some(format!("SIMPLE: https, with a certificate of the server{}", particulars(tls))),
        TlsMode::Mutual(tls) => {
            let own = tls.client_certificate.as_deref().unwrap_or("a certificate");
            Some(format!(
                "MUTUAL: https, with a certificate of the server{}, and {own} for the client (--cert, --key)",
                particulars(tls)
            ))
        }
        TlsMode::IstioMutual => Some(
            "ISTIO_MUTUAL: https, with certificates of the mesh on both sides (--ca, --cert, --key), or a plain port \
             that the mesh does not guard"
                .to_owned(),
        ),
    }
}

/// What the server's certificate is checked against, and the name that is asked for.
fn particulars(tls: &Tls) -> String {
    let authority = match (&tls.ca_certificates, tls.insecure_skip_verify) {
        (_, true) => "; the mesh does not check it (--insecure)".to_owned(),
        (Some(ca), _) => format!(", checked against {ca} (--ca)"),
        (None, false) => String::new(),
    };
    let name = tls.sni.as_ref().map_or(String::new(), |sni| format!(", asked for {sni} (--sni)"));
    authority + &name
}

impl Routing {
    /// Where an endpoint is spoken to otherwise than the mesh speaks to its destination: by the scheme of
    /// its URL, or without the certificate that the mesh shows.
    #[must_use]
    pub fn tls_warnings(&self, connecting: &Connecting) -> Vec<Warning> {
        let mut warnings: Vec<Warning> = Vec::new();
        for (to, place) in self.table.placed() {
            let Some((name, url)) = self.endpoints.get(place) else { continue };
            let Some((origin, mode)) = self.rules.tls(to, self.service_port) else { continue };
            let Some(problem) = contradiction(url, mode, connecting) else { continue };
            let text = format!("{}, where {name} is {url}: {problem}", to.name);
            let warning = Warning { origin: origin.clone(), text };
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
        warnings
    }
}

/// How an endpoint's URL, and what was given beside it, differ from what the mesh does.
fn contradiction(url: &str, mode: &TlsMode, connecting: &Connecting) -> Option<String> {
    let is_https = url.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"));
    let shows = matches!(mode, TlsMode::Mutual(_) | TlsMode::IstioMutual);
    match (is_https, tls_words(mode)) {
        (false, Some(words)) => {
            Some(format!("the mesh speaks TLS to it ({words}), and this URL is in the clear"))
        }
        (true, None) => Some("the mesh speaks to it in the clear, and this URL is https".to_owned()),
        (true, Some(words)) if shows && connecting.tls.identity.is_none() => {
            Some(format!("the mesh shows it a certificate ({words}), and --cert and --key give none"))
        }
        _ => None,
    }
}
