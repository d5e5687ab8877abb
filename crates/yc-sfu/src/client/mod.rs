//! The WebSocket client of a sender: one connection, requests with a deadline, notifications as a stream.
//!
//! ```no_run
//! use yc_sfu::client::{ClientConfig, ClientEvent, SignalClient};
//! use yc_sfu::messages::{NativeSenderOffer, OfferedCodec, Role};
//!
//! # async fn share(token: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let (client, mut events) = SignalClient::connect("ws://127.0.0.1:8080/ws", ClientConfig::default()).await?;
//! client.join("demo", token, Role::Share).await?;
//! let offer = NativeSenderOffer::new(vec![OfferedCodec::h264("42c028".parse()?)]);
//! let session = client.create_native_sender_session(&offer).await?;
//! println!("send {:?} to {}", session.stream, session.rtp_target);
//! while let Some(event) = events.next().await {
//!     if let ClientEvent::Closed(why) = event {
//!         println!("signalling is gone: {why}");
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod config;
mod connection;
mod error;
mod tls;

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::NativeSession;
use crate::messages::{
    Action, ClientDiagnostic, Join, Joined, MAX_MESSAGE_BYTES, NativeSenderOffer, NativeSenderSession,
    NativeSessionRef, Notification, PROTOCOL_VERSION, Role,
};

pub use config::ClientConfig;
pub use error::{ClientError, ClientErrorKind};
pub use tls::RootCertificates;

use connection::{Command, End};

/// A connection to a signalling server. Clones share it; it closes when [`SignalClient::close`] is called or
/// the last clone is dropped.
#[derive(Debug, Clone)]
pub struct SignalClient {
    commands: mpsc::Sender<Command>,
    end: Arc<End>,
    config: ClientConfig,
}

impl SignalClient {
    /// Connects to `url`: `wss://host[:port]/path`, or `ws://` on this machine.
    ///
    /// Call it inside a tokio runtime with time and I/O enabled: the connection lives in a task of it.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a URL that cannot be used, or plain `ws://` to another machine that
    /// [`ClientConfig::allow_insecure`] does not allow; `Untrusted` if the server's certificate is not one that
    /// [`ClientConfig::root_certificates`] vouches for, or is for another name; `Unreachable` if nobody answers
    /// there as a WebSocket; `Timeout` after [`ClientConfig::connect_timeout`].
    pub async fn connect(url: &str, config: ClientConfig) -> Result<(Self, Events), ClientError> {
        const DOING: &str = "connecting";
        let uri = config::check_url(url, config.allow_insecure)
            .map_err(|message| ClientError::new(ClientErrorKind::InvalidArgument(message), DOING))?;
        let connect_timeout = config.connect_timeout;
        match timeout(connect_timeout, Self::open(uri, config)).await {
            Err(_) => Err(ClientError::new(ClientErrorKind::Timeout(connect_timeout), DOING)),
            Ok(opened) => opened.map_err(|kind| ClientError::new(kind, DOING)),
        }
    }

    async fn open(uri: Uri, config: ClientConfig) -> Result<(Self, Events), ClientErrorKind> {
        let shown = config::without_query(&uri.to_string()).to_owned();
        let unreachable =
            |error: &dyn std::fmt::Display| ClientErrorKind::Unreachable(format!("{shown}: {error}"));
        let host = uri.host().unwrap_or_default().to_owned();
        let protected = uri.scheme_str() == Some("wss");
        let port = uri.port_u16().unwrap_or(if protected { 443 } else { 80 });
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((bare, port)).await.map_err(|error| unreachable(&error))?;
        // Messages are small and somebody waits for each.
        stream.set_nodelay(true).map_err(|error| unreachable(&error))?;
        if protected {
            let stream = tls::connect(stream, &host, config.root_certificates.clone()).await?;
            Ok(Self::over(handshake(uri, stream).await.map_err(|error| unreachable(&error))?, config))
        } else {
            Ok(Self::over(handshake(uri, stream).await.map_err(|error| unreachable(&error))?, config))
        }
    }

    fn over<S>(socket: WebSocketStream<S>, config: ClientConfig) -> (Self, Events)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (commands, queue) = mpsc::channel(16);
        let (notify, notifications) = mpsc::channel(EVENT_QUEUE);
        let end = Arc::new(End::default());
        tokio::spawn(connection::run(socket, queue, notify, Arc::clone(&end), config.clone()));
        let events = Events { notifications, end: Arc::clone(&end), told: false };
        (Self { commands, end, config }, events)
    }

    /// Enters `room`.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a room name out of its alphabet; `Refused` with `unauthorized`, `room_full`,
    /// `unsupported_protocol` or `already_joined`; else as [`SignalClient::request`].
    pub async fn join(&self, room: &str, token: &str, role: Role) -> Result<Joined, ClientError> {
        let room = room.parse().map_err(|error: crate::messages::ErrorBody| {
            ClientError::new(ClientErrorKind::InvalidArgument(error.message), "join")
        })?;
        self.join_with(Join::new(room, token, role)).await
    }

    /// As [`SignalClient::join`], with all that a peer may say of itself.
    ///
    /// # Errors
    ///
    /// As there, but for the room's name.
    pub async fn join_with(&self, join: Join) -> Result<Joined, ClientError> {
        let joined: Joined = self.ask(Action::Join(join)).await?;
        if joined.protocol != PROTOCOL_VERSION {
            let message = format!("the server speaks version {}, not {PROTOCOL_VERSION}", joined.protocol);
            return Err(ClientError::new(ClientErrorKind::Protocol(message), "join"));
        }
        Ok(joined)
    }

    /// Asks for a place to send RTP to, and checks the answer by [`NativeSession::validate`] under
    /// [`ClientConfig::session_rules`]. A session that does not pass is closed again.
    ///
    /// # Errors
    ///
    /// `Refused` with `unsupported_codec`, `forbidden` or `limit_reached`; `InvalidSession`; else as
    /// [`SignalClient::request`].
    pub async fn create_native_sender_session(
        &self,
        offer: &NativeSenderOffer,
    ) -> Result<NativeSession, ClientError> {
        let action = Action::CreateNativeSenderSession(offer.clone());
        let doing = action.name();
        let reply: NativeSenderSession = self.ask(action).await?;
        match NativeSession::validate(&reply, offer, self.config.session_rules) {
            Ok(session) => Ok(session),
            Err(invalid) => {
                // What the server made must not outlive the refusal; if even this fails, its end is the
                // connection's.
                let _ = self.close_native_sender_session(&reply.session_id).await;
                Err(ClientError::new(ClientErrorKind::InvalidSession(invalid), doing))
            }
        }
    }

    /// Ends a session.
    ///
    /// # Errors
    ///
    /// `Refused` with `not_found`; else as [`SignalClient::request`].
    pub async fn close_native_sender_session(&self, session_id: &str) -> Result<(), ClientError> {
        let session = NativeSessionRef { session_id: session_id.to_owned() };
        self.request(Action::CloseNativeSenderSession(session)).await.map(drop)
    }

    /// Tells the server of something that happened here.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a field out of its bounds; else as [`SignalClient::request`].
    pub async fn client_diagnostic(&self, diagnostic: ClientDiagnostic) -> Result<(), ClientError> {
        diagnostic.validate().map_err(|error| {
            ClientError::new(ClientErrorKind::InvalidArgument(error.message), "client_diagnostic")
        })?;
        self.request(Action::ClientDiagnostic(diagnostic)).await.map(drop)
    }

    /// Leaves the room; everything of this peer is closed.
    ///
    /// # Errors
    ///
    /// As [`SignalClient::request`].
    pub async fn leave(&self) -> Result<(), ClientError> {
        self.request(Action::Leave).await.map(drop)
    }

    /// Sends any request and waits for its reply, at most [`ClientConfig::request_timeout`].
    ///
    /// # Errors
    ///
    /// `Refused` by the server, `Timeout`, `Protocol` for an answer that is none, `Closed` if the connection
    /// is gone.
    pub async fn request(&self, action: Action) -> Result<Value, ClientError> {
        let doing = action.name();
        let error = |kind| ClientError::new(kind, doing);
        let (reply, answered) = oneshot::channel();
        let asking = async {
            self.commands.send(Command::Request { action, reply }).await.ok()?;
            answered.await.ok()
        };
        match timeout(self.config.request_timeout, asking).await {
            Err(_) => Err(error(ClientErrorKind::Timeout(self.config.request_timeout))),
            Ok(None) => Err(error(self.end.kind())),
            Ok(Some(Err(body))) => Err(error(ClientErrorKind::Refused(body))),
            Ok(Some(Ok(data))) => Ok(data),
        }
    }

    async fn ask<T: DeserializeOwned>(&self, action: Action) -> Result<T, ClientError> {
        let doing = action.name();
        let data = self.request(action).await?;
        serde_path_to_error::deserialize(data).map_err(|error| {
            ClientError::new(ClientErrorKind::Protocol(format!("{}: {}", error.path(), error.inner())), doing)
        })
    }

    /// Closes the connection, for all clones. Waits for the server's goodbye at most
    /// [`ClientConfig::request_timeout`].
    pub async fn close(self) {
        let (done, closed) = oneshot::channel();
        if self.commands.send(Command::Close { done }).await.is_ok() {
            let _ = timeout(self.config.request_timeout, closed).await;
        }
    }
}

async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
    uri: Uri,
    stream: S,
) -> Result<WebSocketStream<S>, tokio_tungstenite::tungstenite::Error> {
    let limits = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES));
    let (socket, _) = tokio_tungstenite::client_async_with_config(uri, stream, Some(limits)).await?;
    Ok(socket)
}

/// What the server tells, in order.
#[derive(Debug)]
pub struct Events {
    notifications: mpsc::Receiver<Notification>,
    end: Arc<End>,
    told: bool,
}

impl Events {
    /// The next event; `None` once [`ClientEvent::Closed`] was given. Cancel safe.
    ///
    /// A holder that does not read loses the connection when 1024 notifications wait; dropping the `Events`
    /// only drops the notifications.
    pub async fn next(&mut self) -> Option<ClientEvent> {
        if let Some(notification) = self.notifications.recv().await {
            return Some(ClientEvent::Notification(notification));
        }
        if std::mem::replace(&mut self.told, true) {
            return None;
        }
        Some(ClientEvent::Closed(ClientError::new(self.end.kind(), "listening")))
    }
}

/// An event of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a holder must decide on both")]
pub enum ClientEvent {
    /// Something happened in the room.
    Notification(Notification),
    /// The connection is gone; the last event.
    Closed(ClientError),
}

const EVENT_QUEUE: usize = 1024;
