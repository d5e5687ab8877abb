//! `wss:` with real certificates, and what is said of those that are not trusted.

use std::path::PathBuf;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use yc_server::Tls;
use yc_sfu::client::{ClientConfig, ClientError, ClientErrorKind, Events, RootCertificates, SignalClient};
use yc_sfu::messages::Role;

use crate::common::{DEADLINE, Server, h264};

/// An authority of the test's own, and files of what it made.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    roots: RootCertificates,
    files: TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let roots = RootCertificates::from_pem(pem.as_bytes()).unwrap();
        Self { issuer: Issuer::new(params, key), roots, files: TempDir::new().unwrap() }
    }

    /// Files with a certificate for `name` and its key.
    fn certificate(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> [PathBuf; 2] {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let [certificate_file, key_file] =
            ["pem", "key"].map(|kind| self.files.path().join(format!("{name}.{kind}")));
        std::fs::write(&certificate_file, certificate.pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        [certificate_file, key_file]
    }

    fn tls(&self, name: &str) -> Tls {
        self.tls_with(name, |_| {})
    }

    fn tls_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Tls {
        let [certificate, key] = self.certificate(name, change);
        Tls::from_pem_files(&certificate, &key).unwrap()
    }

    fn trusting(&self) -> ClientConfig {
        ClientConfig::default().with_root_certificates(self.roots.clone())
    }
}

async fn serve(tls: Tls) -> Server {
    Server::with_app(|config| config, |app| app.with_tls(tls)).await
}

async fn connect(server: &Server, config: ClientConfig) -> Result<(SignalClient, Events), ClientError> {
    SignalClient::connect(&server.ws, config).await
}

/// The words of a refusal because of the certificate.
async fn untrusted(server: &Server, config: ClientConfig) -> String {
    match connect(server, config).await.unwrap_err().kind() {
        ClientErrorKind::Untrusted(words) => words.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_joins_and_negotiates_over_tls() {
    let authority = Authority::new();
    let server = serve(authority.tls("127.0.0.1")).await;
    assert!(
        server.ws.starts_with("wss://127.0.0.1:") && server.http.starts_with("https://"),
        "{}",
        server.ws
    );
    let (client, _events) = connect(&server, authority.trusting()).await.unwrap();
    client.join("demo", &server.token("demo", Role::Share), Role::Share).await.unwrap();
    assert!(client.create_native_sender_session(&h264()).await.is_ok());
    client.close().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_nobody_trusted_vouches_for_is_refused_in_words() {
    let (authority, another) = (Authority::new(), Authority::new());
    let server = serve(authority.tls("127.0.0.1")).await;
    let words = untrusted(&server, another.trusting()).await;
    assert!(words.contains("127.0.0.1: its certificate is of no authority that is trusted here"), "{words}");
    // The system does not know it, either; or trusts nobody, and says that.
    let words = untrusted(&server, ClientConfig::default()).await;
    assert!(words.contains("trusted here") || words.contains("trusts no certificate authority"), "{words}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_for_another_name_is_refused_in_words() {
    let authority = Authority::new();
    let server = serve(authority.tls("sfu.example")).await;
    let words = untrusted(&server, authority.trusting()).await;
    assert!(words.contains("its certificate is for another name") && words.contains("127.0.0.1"), "{words}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_has_expired_is_refused_in_words() {
    let authority = Authority::new();
    let tls = authority.tls_with("127.0.0.1", |params| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    });
    let server = serve(tls).await;
    let words = untrusted(&server, authority.trusting()).await;
    assert!(words.contains("its certificate has expired"), "{words}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_or_speaks_in_the_clear_keeps_nobody_waiting() {
    let authority = Authority::new();
    let server = serve(authority.tls("127.0.0.1")).await;
    let address = server.http.trim_start_matches("https://").to_owned();
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(&address).await.unwrap());
    }
    let mut plain = TcpStream::connect(&address).await.unwrap();
    plain.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // An alert, or a reset: no HTTP.
    let _ = timeout(DEADLINE, plain.read_to_end(&mut answer)).await.unwrap();
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    let in_the_clear = server.ws.replace("wss:", "ws:");
    let error = SignalClient::connect(&in_the_clear, ClientConfig::default()).await.unwrap_err();
    assert!(matches!(error.kind(), ClientErrorKind::Unreachable(_)), "{error}");

    let connected = timeout(Duration::from_secs(5), connect(&server, authority.trusting())).await;
    connected.expect("the silent ones do not count").unwrap();
    drop(silent);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_is_no_wss_server() {
    let authority = Authority::new();
    let server = Server::start().await;
    let url = server.ws.replace("ws:", "wss:");
    let error = SignalClient::connect(&url, authority.trusting()).await.unwrap_err();
    assert!(matches!(error.kind(), ClientErrorKind::Unreachable(_)), "{error}");
    assert!(error.to_string().contains("no TLS"), "{error}");
    server.stop().await;
}

#[test]
fn files_that_do_not_fit_are_named() {
    let authority = Authority::new();
    let [certificate, key] = authority.certificate("one", |_| {});
    let [other, _] = authority.certificate("two", |_| {});
    let missing = authority.files.path().join("missing.pem");
    for (certificate, key, says) in [
        (&missing, &key, "--tls-cert"),
        (&certificate, &missing, "--tls-key"),
        (&key, &key, "there is no certificate in it"),
        (&certificate, &certificate, "reading a private key"),
        (&other, &key, "two.pem with --tls-key"),
    ] {
        let error = format!("{:#}", Tls::from_pem_files(certificate, key).unwrap_err());
        assert!(error.contains(says), "{error}");
    }
}
