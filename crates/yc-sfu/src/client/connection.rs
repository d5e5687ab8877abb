//! The task that owns the socket.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{ClientConfig, ClientErrorKind};
use crate::messages::{Action, ErrorBody, Notification, Request, ServerMessage};

/// What the handles ask of the task.
#[derive(Debug)]
pub(super) enum Command {
    Request { action: Action, reply: oneshot::Sender<Result<Value, ErrorBody>> },
    Close { done: oneshot::Sender<()> },
}

/// Why the connection ended; set before anything that waits for the task is let go.
#[derive(Debug, Default)]
pub(super) struct End(OnceLock<ClientErrorKind>);

impl End {
    pub(super) fn kind(&self) -> ClientErrorKind {
        self.0.get().cloned().unwrap_or_else(|| ClientErrorKind::Closed("its task was stopped".into()))
    }
}

pub(super) async fn run<S: AsyncRead + AsyncWrite + Unpin>(
    mut socket: WebSocketStream<S>,
    mut commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<Notification>,
    end: Arc<End>,
    config: ClientConfig,
) {
    let mut pending = Pending::default();
    let (kind, done) = loop {
        tokio::select! {
            command = commands.recv() => match command {
                Some(Command::Request { action, reply }) => {
                    let text = pending.add(action, reply);
                    match timeout(config.request_timeout, socket.send(Message::text(text))).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => break (ended(&error), None),
                        Err(_) => break (ClientErrorKind::Timeout(config.request_timeout), None),
                    }
                }
                Some(Command::Close { done }) => break (closed_here(), Some(done)),
                None => break (closed_here(), None),
            },
            message = timeout(config.idle_timeout, socket.next()) => match message {
                Err(_) => break (ClientErrorKind::Timeout(config.idle_timeout), None),
                Ok(None) => break (ClientErrorKind::Closed("by the server".into()), None),
                Ok(Some(Err(error))) => break (ended(&error), None),
                Ok(Some(Ok(message))) => {
                    if let Err(kind) = take(&message, &mut pending, &events) {
                        break (kind, None);
                    }
                }
            },
        }
    };
    let _ = end.0.set(kind);
    commands.close();
    drop((pending, commands, events));
    // The goodbye; the handles do not wait for it, but for `close`.
    let _ = timeout(config.request_timeout, async {
        if socket.close(None).await.is_ok() {
            while let Some(Ok(_)) = socket.next().await {}
        }
    })
    .await;
    if let Some(done) = done {
        let _ = done.send(());
    }
}

fn closed_here() -> ClientErrorKind {
    ClientErrorKind::Closed("by this client".into())
}

fn ended(error: &Error) -> ClientErrorKind {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed | Error::Io(_) => {
            ClientErrorKind::Closed(error.to_string())
        }
        Error::Protocol(
            tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
        ) => ClientErrorKind::Closed("the server is gone without a goodbye".into()),
        other => ClientErrorKind::Protocol(other.to_string()),
    }
}

fn take(
    message: &Message,
    pending: &mut Pending,
    events: &mpsc::Sender<Notification>,
) -> Result<(), ClientErrorKind> {
    let text = match message {
        Message::Text(text) => text,
        Message::Close(frame) => {
            let why = frame.as_ref().map_or_else(
                || "by the server".to_owned(),
                |frame| format!("by the server: {} {}", u16::from(frame.code), frame.reason),
            );
            return Err(ClientErrorKind::Closed(why));
        }
        Message::Binary(_) => return Err(ClientErrorKind::Protocol("a binary message".into())),
        // tungstenite answers pings by itself.
        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => return Ok(()),
    };
    match ServerMessage::parse(text).map_err(|error| ClientErrorKind::Protocol(error.message))? {
        ServerMessage::Reply { id, result } => {
            match id {
                Some(id) => pending.answer(id, result),
                None => {
                    let why = result
                        .err()
                        .map_or_else(|| "a reply without an id".to_owned(), |error| error.message);
                    return Err(ClientErrorKind::Protocol(why));
                }
            }
            Ok(())
        }
        ServerMessage::Notification(notification) => match events.try_send(notification) {
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => {
                Err(ClientErrorKind::Closed("by this client, whose notifications were not read".into()))
            }
        },
        ServerMessage::UnknownEvent(event) => {
            tracing::debug!(event, "an event of a later version is ignored");
            Ok(())
        }
    }
}

/// Requests that wait for their reply.
#[derive(Debug, Default)]
struct Pending {
    next_id: u64,
    replies: HashMap<u64, oneshot::Sender<Result<Value, ErrorBody>>>,
}

impl Pending {
    fn add(&mut self, action: Action, reply: oneshot::Sender<Result<Value, ErrorBody>>) -> String {
        // Those that gave up waiting must not add up.
        self.replies.retain(|_, waiting| !waiting.is_closed());
        self.next_id += 1;
        self.replies.insert(self.next_id, reply);
        Request::new(self.next_id, action).to_json()
    }

    fn answer(&mut self, id: u64, result: Result<Value, ErrorBody>) {
        match self.replies.remove(&id) {
            Some(reply) => drop(reply.send(result)),
            None => tracing::debug!(id, "a reply that nobody waits for"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use tokio::io::DuplexStream;
    use tokio_tungstenite::tungstenite::protocol::Role as End;

    use super::*;
    use crate::client::{ClientEvent, Events, SignalClient};
    use crate::messages::{ErrorCode, NativeSenderOffer, OfferedCodec, Role};

    type Server = WebSocketStream<DuplexStream>;

    /// A client and the other end of its socket, which the test plays.
    async fn pair() -> (SignalClient, Events, Server) {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let client = WebSocketStream::from_raw_socket(ours, End::Client, None).await;
        let server = WebSocketStream::from_raw_socket(theirs, End::Server, None).await;
        let (client, events) = SignalClient::over(client, ClientConfig::default());
        (client, events, server)
    }

    async fn asked(server: &mut Server) -> Value {
        let message = server.next().await.unwrap().unwrap();
        serde_json::from_str(message.to_text().unwrap()).unwrap()
    }

    async fn say(server: &mut Server, value: Value) {
        server.send(Message::text(value.to_string())).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn replies_find_their_requests_in_any_order() {
        let (client, _events, mut server) = pair().await;
        let play = async {
            let first = asked(&mut server).await;
            let second = asked(&mut server).await;
            for request in [second, first] {
                say(
                    &mut server,
                    json!({"id": request["id"], "ok": true, "data": {"echo": request["action"]}}),
                )
                .await;
            }
        };
        let diagnostic = Action::ClientDiagnostic(crate::messages::ClientDiagnostic::new("encode_error"));
        let (leave, diagnostic, ()) =
            tokio::join!(client.request(Action::Leave), client.request(diagnostic), play);
        assert_eq!(leave.unwrap()["echo"], "leave");
        assert_eq!(diagnostic.unwrap()["echo"], "client_diagnostic");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_keeps_its_code() {
        let (client, _events, mut server) = pair().await;
        let play = async {
            let request = asked(&mut server).await;
            assert_eq!(request["data"]["role"], "share");
            let error = json!({"code": "room_full", "message": "50 of 50"});
            say(&mut server, json!({"id": request["id"], "ok": false, "error": error})).await;
        };
        let (joined, ()) = tokio::join!(client.join("demo", "token", Role::Share), play);
        let error = joined.unwrap_err();
        assert!(matches!(error.kind(), ClientErrorKind::Refused(body) if body.code == ErrorCode::RoomFull));
        assert_eq!(error.to_string(), "join: refused by the server: room_full: 50 of 50");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_not_answered_ends_in_a_timeout() {
        let (client, _events, server) = pair().await;
        let error = client.leave().await.unwrap_err();
        assert_eq!(error.kind(), &ClientErrorKind::Timeout(Duration::from_secs(5)));
        drop(server);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_falls_silent_counts_as_lost() {
        let (client, mut events, server) = pair().await;
        let Some(ClientEvent::Closed(error)) = events.next().await else { panic!("a notification") };
        assert_eq!(error.kind(), &ClientErrorKind::Timeout(Duration::from_secs(45)));
        assert!(events.next().await.is_none());
        assert!(matches!(client.leave().await.unwrap_err().kind(), ClientErrorKind::Timeout(_)));
        drop(server);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_breaks_fails_what_waits_and_is_told_last() {
        let (client, mut events, mut server) = pair().await;
        let play = async {
            asked(&mut server).await;
            say(&mut server, json!({"event": "peer_left", "data": {"peer_id": "x"}})).await;
            say(&mut server, json!({"event": "of_a_later_version"})).await;
            drop(server);
        };
        let (left, ()) = tokio::join!(client.leave(), play);
        assert!(matches!(left.unwrap_err().kind(), ClientErrorKind::Closed(_)));
        let first = events.next().await;
        assert_eq!(first, Some(ClientEvent::Notification(Notification::PeerLeft { peer_id: "x".into() })));
        assert!(matches!(events.next().await, Some(ClientEvent::Closed(_))));
        assert_eq!(events.next().await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_message_of_the_protocol_ends_the_connection() {
        for text in ["hello", r#"{"id":1}"#, r#"{"id":null,"ok":false,"error":{"code":"bad_message"}}"#] {
            let (_client, mut events, mut server) = pair().await;
            server.send(Message::text(text)).await.unwrap();
            let Some(ClientEvent::Closed(error)) = events.next().await else { panic!("a notification") };
            assert!(matches!(error.kind(), ClientErrorKind::Protocol(_)), "{error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_reply_of_the_wrong_shape_names_its_field() {
        let (client, _events, mut server) = pair().await;
        let play = async {
            let request = asked(&mut server).await;
            say(&mut server, json!({"id": request["id"], "ok": true, "data": {"protocol": "one"}})).await;
        };
        let (joined, ()) = tokio::join!(client.join("demo", "token", Role::Share), play);
        assert!(joined.unwrap_err().to_string().contains("protocol: invalid type: string"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_does_not_pass_is_closed_again() {
        let (client, _events, mut server) = pair().await;
        let play = async {
            let request = asked(&mut server).await;
            let data = json!({
                "protocol": 1, "session_id": "s1", "rtp_target": "127.0.0.1:4000", "rtcp_mux": true,
                "payload_type": 72, "ssrc": 5, "codec": {"mime_type": "video/VP8", "clock_rate": 90000},
                "cname": "c", "producer_id": "p", "transport_id": "t",
            });
            say(&mut server, json!({"id": request["id"], "ok": true, "data": data})).await;
            let request = asked(&mut server).await;
            assert_eq!(request["action"], "close_native_sender_session");
            assert_eq!(request["data"]["session_id"], "s1");
            say(&mut server, json!({"id": request["id"], "ok": true, "data": {}})).await;
        };
        let offer = NativeSenderOffer::new(vec![OfferedCodec::from(&yc_rtp::CodecParams::Vp8)]);
        let (session, ()) = tokio::join!(client.create_native_sender_session(&offer), play);
        let error = session.unwrap_err().to_string();
        assert!(error.contains("payload_type 72 is not from 96 to 127"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn close_says_goodbye_and_later_requests_fail() {
        let (client, mut events, mut server) = pair().await;
        let other = client.clone();
        let play = async {
            while let Some(Ok(message)) = server.next().await {
                assert!(message.is_close());
            }
        };
        tokio::join!(client.close(), play);
        assert!(matches!(events.next().await, Some(ClientEvent::Closed(_))));
        assert!(matches!(other.leave().await.unwrap_err().kind(), ClientErrorKind::Closed(_)));
    }
}
