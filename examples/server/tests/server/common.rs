//! A server in this process, on a free port, and clients for it.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use yc_media::{CaptureTime, Codec, EncodedFrame, FrameKind, LayerId, Resolution};
use yc_server::{App, Viewer};
use yc_sfu::client::{ClientConfig, ClientError, Events, SignalClient};
use yc_sfu::messages::{NativeSenderOffer, OfferedCodec, Role};
use yc_sfu::server::{ServerConfig, SfuServer, TokenKey};

/// Longer than anything here takes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct Server {
    pub(crate) http: String,
    pub(crate) ws: String,
    pub(crate) key: TokenKey,
    stop: oneshot::Sender<()>,
    running: JoinHandle<std::io::Result<()>>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(|config| config).await
    }

    pub(crate) async fn with(change: impl FnOnce(ServerConfig) -> ServerConfig) -> Self {
        Self::with_app(change, |app| app).await
    }

    pub(crate) async fn with_app(
        change: impl FnOnce(ServerConfig) -> ServerConfig,
        around: impl FnOnce(App) -> App,
    ) -> Self {
        let key = TokenKey::random().unwrap();
        let config = change(ServerConfig::default().with_workers(NonZeroUsize::MIN));
        let sfu = SfuServer::start(config, key.clone()).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let viewer = Viewer::new(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/server/page")));
        let app = around(App::new(sfu, viewer, listener).unwrap());
        let (stop, stopped) = oneshot::channel();
        let (http, ws) = (app.http_url(), app.ws_url());
        let running = tokio::spawn(app.run(async {
            let _ = stopped.await;
        }));
        Self { http, ws, key, stop, running }
    }

    pub(crate) fn token(&self, room: &str, role: Role) -> String {
        self.key.mint(&room.parse().unwrap(), role, Duration::from_secs(60), SystemTime::now()).text
    }

    pub(crate) async fn client(&self) -> (SignalClient, Events) {
        SignalClient::connect(&self.ws, ClientConfig::default()).await.unwrap()
    }

    /// A client in `room`.
    pub(crate) async fn joined(&self, room: &str, role: Role) -> Result<(SignalClient, Events), ClientError> {
        let (client, events) = self.client().await;
        client.join(room, &self.token(room, role), role).await?;
        Ok((client, events))
    }

    pub(crate) async fn raw(&self) -> Raw {
        let (socket, _) = tokio_tungstenite::connect_async(&self.ws).await.unwrap();
        Raw { socket, id: 0 }
    }

    /// A number of `/metrics`.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let (status, body) = self.get("/metrics", &[]).await;
        assert_eq!(status, 200);
        let line = body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {body}")).parse().unwrap()
    }

    /// Waits until a number of `/metrics` is as wanted.
    pub(crate) async fn metric_becomes(&self, name: &str, wanted: impl Fn(u64) -> bool) {
        let reached = async {
            while !wanted(self.metric(name).await) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if timeout(DEADLINE, reached).await.is_err() {
            panic!("{name} is {}", self.metric(name).await);
        }
    }

    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
        let (status, _, body) = self.request("GET", path, headers, "").await;
        (status, body)
    }

    /// One HTTP request: status, header section and body.
    pub(crate) async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, String, String) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let host = self.http.strip_prefix("http://").unwrap();
        let mut socket = TcpStream::connect(host).await.unwrap();
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        text += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
        socket.write_all(text.as_bytes()).await.unwrap();
        let mut reply = Vec::new();
        timeout(DEADLINE, socket.read_to_end(&mut reply)).await.unwrap().unwrap();
        let reply = String::from_utf8(reply).unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_ascii_lowercase(), body.to_owned())
    }

    /// Stops the server and waits for its end.
    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        timeout(DEADLINE, self.running).await.unwrap().unwrap().unwrap();
    }
}

/// A WebSocket that says what it likes.
pub(crate) struct Raw {
    pub(crate) socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    id: u64,
}

impl Raw {
    pub(crate) async fn say(&mut self, text: impl Into<String>) {
        self.socket.send(Message::text(text.into())).await.unwrap();
    }

    /// The next JSON message.
    pub(crate) async fn hear(&mut self) -> Value {
        loop {
            match timeout(DEADLINE, self.socket.next()).await.expect("a message comes") {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Sends a request and returns its reply, passing over notifications.
    pub(crate) async fn ask(&mut self, action: &str, data: Value) -> Value {
        self.id += 1;
        self.say(json!({ "id": self.id, "action": action, "data": data }).to_string()).await;
        loop {
            let message = self.hear().await;
            if message.get("event").is_none() {
                assert_eq!(message["id"], self.id, "{message}");
                return message;
            }
        }
    }

    /// The reply's data of a request that must succeed.
    pub(crate) async fn must(&mut self, action: &str, data: Value) -> Value {
        let mut reply = self.ask(action, data).await;
        assert_eq!(reply["ok"], true, "{reply}");
        reply["data"].take()
    }

    /// The error's code of a request that must fail.
    pub(crate) async fn refused(&mut self, action: &str, data: Value) -> String {
        let reply = self.ask(action, data).await;
        assert_eq!(reply["ok"], false, "{reply}");
        assert!(!reply["error"]["message"].as_str().unwrap().is_empty(), "{reply}");
        reply["error"]["code"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn join(&mut self, server: &Server, room: &str, role: Role) -> Value {
        let token = server.token(room, role);
        self.must("join", json!({ "protocol": 1, "room": room, "token": token, "role": role })).await
    }

    /// Reads until the server closes, and returns its close code.
    pub(crate) async fn close_code(&mut self) -> u16 {
        loop {
            match timeout(DEADLINE, self.socket.next()).await.expect("the server closes") {
                Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
                Some(Ok(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

pub(crate) fn h264() -> NativeSenderOffer {
    NativeSenderOffer::new(vec![OfferedCodec::h264("42c028".parse().unwrap())])
}

/// SPS, PPS and an IDR slice: nothing to look at, but all that mediasoup looks for.
pub(crate) fn key_frame(at: Duration) -> EncodedFrame {
    let mut data = vec![0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x28, 0xda, 0x01, 0xe0];
    data.extend([0, 0, 0, 1, 0x68, 0xce, 0x3c, 0x80, 0, 0, 0, 1, 0x65]);
    data.extend((0..5000_u32).map(|n| (n % 251 + 1) as u8));
    EncodedFrame {
        data: data.into(),
        codec: Codec::H264,
        kind: FrameKind::Key,
        captured_at: CaptureTime::from_epoch(at),
        size: Resolution::new(1920, 1080).unwrap(),
        layer: LayerId::default(),
        qp: None,
    }
}
