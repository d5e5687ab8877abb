//! `--metrics`: the newest snapshot of the share, served to Prometheus on this machine.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use yc_sender::SenderStatus;

use crate::metrics;

/// Serves `GET /metrics` until it is dropped.
#[derive(Debug)]
pub(crate) struct Exporter {
    newest: watch::Sender<Option<SenderStatus>>,
    server: JoinHandle<()>,
}

impl Exporter {
    /// Serves at `address`: no metrics yet.
    ///
    /// # Errors
    ///
    /// If the address is in use or not of this machine: in words, with the option's name.
    pub(crate) async fn start(address: SocketAddr) -> Result<Self, String> {
        let listener =
            TcpListener::bind(address).await.map_err(|error| format!("--metrics {address}: {error}"))?;
        Ok(Self::serve(listener))
    }

    fn serve(listener: TcpListener) -> Self {
        let (newest, seen) = watch::channel(None);
        let router = Router::new().route("/metrics", get(answer)).with_state(seen);
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the metrics are no longer served");
            }
        });
        Self { newest, server }
    }

    /// Serves `status` from now on.
    pub(crate) fn publish(&self, status: &SenderStatus) {
        self.newest.send_replace(Some(status.clone()));
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// An address that only this machine reaches.
pub(crate) fn loopback(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .ok()
        .filter(|address: &SocketAddr| address.ip().is_loopback() && address.port() != 0)
        .ok_or_else(|| {
            format!(
                "{text:?} is not allowed: IP:PORT of this machine's loopback (127.0.0.1, [::1]), port 1 to \
                 65535; the metrics are for everybody who reaches them"
            )
        })
}

async fn answer(State(newest): State<watch::Receiver<Option<SenderStatus>>>) -> Response {
    match metrics::text(newest.borrow().as_ref()) {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;
    use crate::metrics::tests::status_of_a_share;

    async fn request(address: SocketAddr, line: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("{line} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn the_newest_snapshot_is_served_and_nothing_else() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let exporter = Exporter::serve(listener);

        let before = request(address, "GET /metrics").await;
        assert!(before.starts_with("HTTP/1.1 200") && before.ends_with("\r\n\r\n# EOF\n"), "{before}");

        let status = status_of_a_share();
        exporter.publish(&status);
        let answer = request(address, "GET /metrics").await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(head.contains("application/openmetrics-text; version=1.0.0"), "{head}");
        assert_eq!(body, metrics::text(Some(&status)).unwrap());

        assert!(request(address, "GET /").await.starts_with("HTTP/1.1 404"));
        assert!(request(address, "GET /metrics/more").await.starts_with("HTTP/1.1 404"));
        assert!(request(address, "POST /metrics").await.starts_with("HTTP/1.1 405"));
    }

    #[tokio::test]
    async fn an_address_in_use_is_told() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        let error = Exporter::start(address).await.unwrap_err();
        assert!(error.starts_with(&format!("--metrics {address}: ")), "{error}");
    }

    #[test]
    fn only_addresses_of_this_machine_are_taken() {
        assert_eq!(loopback("127.0.0.1:9464"), Ok("127.0.0.1:9464".parse().unwrap()));
        assert_eq!(loopback("[::1]:9464"), Ok("[::1]:9464".parse().unwrap()));
        for text in
            ["0.0.0.0:9464", "[::]:9464", "192.0.2.1:9464", "127.0.0.1:0", "127.0.0.1", "localhost:9464"]
        {
            let error = loopback(text).unwrap_err();
            assert!(error.contains(text) && error.contains("loopback"), "{error}");
        }
    }
}
