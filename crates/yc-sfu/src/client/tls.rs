//! TLS to a signalling server: which certificates are trusted, and what is said of one that is not.

use std::fmt;
use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, CertificateError, RootCertStore};

use super::ClientErrorKind;

/// Certificates of authorities that a server's certificate may come from.
#[derive(Clone, PartialEq, Eq)]
pub struct RootCertificates(Arc<Vec<CertificateDer<'static>>>);

impl RootCertificates {
    /// All certificates of `pem`, text with one `BEGIN CERTIFICATE` or more. What is beside them does not count.
    ///
    /// # Errors
    ///
    /// A sentence, if there is none, or one that is no certificate.
    pub fn from_pem(pem: &[u8]) -> Result<Self, String> {
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|error| format!("it is no PEM: {error}"))?;
        if certificates.is_empty() {
            return Err("there is no certificate in it: a PEM file has BEGIN CERTIFICATE".to_owned());
        }
        let mut store = RootCertStore::empty();
        for (at, certificate) in certificates.iter().enumerate() {
            store
                .add(certificate.clone())
                .map_err(|error| format!("certificate {} of it cannot be an authority's: {error}", at + 1))?;
        }
        Ok(Self(Arc::new(certificates)))
    }
}

impl fmt::Debug for RootCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootCertificates(<{}>)", self.0.len())
    }
}

/// Makes a TLS connection of `stream`, to the server that calls itself `host`.
pub(super) async fn connect(
    stream: TcpStream,
    host: &str,
    roots: Option<RootCertificates>,
) -> Result<TlsStream<TcpStream>, ClientErrorKind> {
    let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(bare).map_err(|_| {
        ClientErrorKind::InvalidArgument(format!(
            "{host:?} is no name or address that a certificate could be for"
        ))
    })?;
    // The system's store is read from files, or asked of the OS.
    let store = tokio::task::spawn_blocking(move || store(roots.as_ref())).await.map_err(|error| {
        ClientErrorKind::Untrusted(format!("{host}: reading the trusted certificates: {error}"))
    })?;
    let store = store.map_err(|error| ClientErrorKind::Untrusted(format!("{host}: {error}")))?;
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| ClientErrorKind::Unreachable(format!("{host}: {error}")))?
        .with_root_certificates(store)
        .with_no_client_auth();
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
    connecting.await.map_err(|error| refusal(host, &error))
}

/// The authorities that are trusted: `roots`, or those of the system.
fn store(roots: Option<&RootCertificates>) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    if let Some(RootCertificates(certificates)) = roots {
        store.add_parsable_certificates(certificates.iter().cloned());
        return Ok(store);
    }
    let found = rustls_native_certs::load_native_certs();
    store.add_parsable_certificates(found.certs);
    if store.is_empty() {
        let why: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
        return Err(format!("this system trusts no certificate authority: {}", why.join("; ")));
    }
    Ok(store)
}

/// Why there is no TLS with `host`: a certificate that is not trusted is told from a server that is not there.
fn refusal(host: &str, error: &io::Error) -> ClientErrorKind {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let Some(rustls::Error::InvalidCertificate(why)) = inner else {
        return ClientErrorKind::Unreachable(format!("{host}: no TLS: {error}"));
    };
    let why = match why {
        // The latter of an authority that only calls itself like one that is trusted.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "its certificate is of no authority that is trusted here".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("its certificate is for another name: {why}")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("its certificate has expired: {why}")
        }
        other => format!("its certificate is not valid: {other}"),
    };
    ClientErrorKind::Untrusted(format!("{host}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_refused_in_words() {
        for (pem, says) in [
            ("", "there is no certificate in it"),
            ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "there is no certificate"),
            ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", "it is no PEM"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n", "it is no PEM"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate 1 of it"),
        ] {
            let error = RootCertificates::from_pem(pem.as_bytes()).unwrap_err();
            assert!(error.contains(says), "{pem:?}: {error}");
        }
    }

    #[test]
    fn this_system_has_a_store_or_says_that_it_has_none() {
        match store(None) {
            Ok(store) => assert!(!store.is_empty()),
            Err(error) => assert!(error.contains("trusts no certificate authority"), "{error}"),
        }
    }
}
