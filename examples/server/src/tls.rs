//! HTTPS and `wss:` on the port that is listened on.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto::CryptoProvider};
use tokio_rustls::server::TlsStream;

/// The certificate and the private key that a server shows itself by.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

impl Tls {
    /// Reads the certificate (with those between it and its authority after it) and its key from two PEM files.
    ///
    /// # Errors
    ///
    /// Names the file that cannot be read or does not hold what it should, and says if the key is not the
    /// certificate's.
    pub fn from_pem_files(certificate: &Path, key: &Path) -> anyhow::Result<Self> {
        let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
            .and_then(|found| found.collect::<Result<_, _>>())
            .with_context(|| format!("--tls-cert {}", certificate.display()))?;
        ensure!(!chain.is_empty(), "--tls-cert {}: there is no certificate in it", certificate.display());
        let private = PrivateKeyDer::from_pem_file(key)
            .with_context(|| format!("--tls-key {}: reading a private key", key.display()))?;
        Self::new(chain, private)
            .with_context(|| format!("--tls-cert {} with --tls-key {}", certificate.display(), key.display()))
    }

    fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> anyhow::Result<Self> {
        let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        // A WebSocket begins as HTTP/1.1.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// Connections to `listener`, once their handshakes are done.
    pub(crate) fn listen(self, listener: TcpListener) -> io::Result<TlsListener> {
        let address = listener.local_addr()?;
        let (ready, accepted) = mpsc::channel(1);
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, self.0, ready));
        Ok(TlsListener { address, accepted, _accepting: accepting })
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

/// Connections over TLS. Dropping it ends the listening.
#[derive(Debug)]
pub(crate) struct TlsListener {
    address: SocketAddr,
    accepted: mpsc::Receiver<Accepted>,
    _accepting: JoinSet<()>,
}

type Accepted = (TlsStream<TcpStream>, SocketAddr);

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> Accepted {
        match self.accepted.recv().await {
            Some(accepted) => accepted,
            // The task ends by a panic alone.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// Accepts, and shakes hands beside: who is slow, or says nothing, keeps nobody else waiting.
async fn accept(mut listener: TcpListener, acceptor: TlsAcceptor, ready: mpsc::Sender<Accepted>) {
    let room = Arc::new(Semaphore::new(MOST_HANDSHAKES));
    let mut handshakes = JoinSet::new();
    loop {
        // It is never closed.
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        // It logs and goes on by itself when the system has no more sockets.
        let (stream, peer) = Listener::accept(&mut listener).await;
        while handshakes.try_join_next().is_some() {}
        let (acceptor, ready) = (acceptor.clone(), ready.clone());
        handshakes.spawn(async move {
            let shaken = timeout(HANDSHAKE, acceptor.accept(stream)).await;
            drop(permit);
            match shaken {
                // Nobody takes it any more when the server ends.
                Ok(Ok(stream)) => drop(ready.send((stream, peer)).await),
                Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS"),
                Err(_) => tracing::debug!(%peer, "no TLS within {HANDSHAKE:?}"),
            }
        });
    }
}

/// How long a client may take to agree on a connection.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How many may be at it at once; others wait in the system's queue.
const MOST_HANDSHAKES: usize = 256;
