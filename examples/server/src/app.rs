//! The routes, and the server's life from listening to its last connection.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use yc_sfu::server::SfuServer;

use crate::{Tls, Viewer, tokens, viewer, ws};

/// A server that listens.
#[derive(Debug)]
pub struct App {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Tls>,
    shared: Shared,
    sockets_done: mpsc::Receiver<()>,
}

/// What the handlers share.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) sfu: Arc<SfuServer>,
    pub(crate) viewer: Arc<Viewer>,
    /// Every WebSocket holds one, so that the end of the last can be waited for.
    pub(crate) socket: mpsc::Sender<()>,
}

impl App {
    /// Serves `sfu` and `viewer` on `listener`, once [`App::run`] is called.
    ///
    /// # Errors
    ///
    /// If the listener has no address.
    pub fn new(sfu: Arc<SfuServer>, viewer: Viewer, listener: TcpListener) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (socket, sockets_done) = mpsc::channel(1);
        let shared = Shared { sfu, viewer: Arc::new(viewer), socket };
        Ok(Self { listener, address, tls: None, shared, sockets_done })
    }

    /// Serves HTTPS and `wss:` instead of HTTP and `ws:`.
    #[must_use]
    pub fn with_tls(self, tls: Tls) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// Where a browser on this machine finds it, without a slash at the end.
    pub fn http_url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.reachable())
    }

    /// Where a client on this machine connects to.
    pub fn ws_url(&self) -> String {
        let scheme = if self.tls.is_some() { "wss" } else { "ws" };
        format!("{scheme}://{}/ws", self.reachable())
    }

    fn reachable(&self) -> SocketAddr {
        let ip = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        SocketAddr::new(ip, self.address.port())
    }

    /// Serves until `stop` resolves; then says goodbye to every WebSocket, and returns when they are gone, or
    /// after 5 s.
    ///
    /// # Errors
    ///
    /// If listening fails.
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        let Self { listener, tls, shared, mut sockets_done, .. } = self;
        let sfu = Arc::clone(&shared.sfu);
        let router = Router::new()
            .route("/ws", get(ws::upgrade))
            .route("/healthz", get(health))
            .route("/metrics", get(metrics))
            .route("/api/rooms/{room}/tokens", post(tokens::mint))
            .fallback(viewer::page)
            .with_state(shared);
        let (stopping, mut stopped) = mpsc::channel::<()>(1);
        let stop = async move {
            stop.await;
            sfu.shut_down();
            drop(stopping);
        };
        let serving = async {
            match tls {
                Some(tls) => axum::serve(tls.listen(listener)?, router).with_graceful_shutdown(stop).await,
                None => axum::serve(listener, router).with_graceful_shutdown(stop).await,
            }
        };
        let deadline = async {
            stopped.recv().await;
            tokio::time::sleep(GOODBYE).await;
        };
        tokio::select! {
            // Open HTTP connections keep it from ending, so its end has a bound.
            served = serving => served?,
            () = deadline => {}
        }
        let _ = timeout(GOODBYE, sockets_done.recv()).await;
        Ok(())
    }
}

async fn health(State(shared): State<Shared>) -> (StatusCode, &'static str) {
    if shared.sfu.is_healthy() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "a mediasoup worker is dead\n")
    }
}

async fn metrics(State(shared): State<Shared>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], shared.sfu.metrics_text())
}

const GOODBYE: Duration = Duration::from_secs(5);
