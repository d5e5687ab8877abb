//! What a server says: replies and notifications.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{ErrorBody, ErrorCode, Kind, MAX_MESSAGE_BYTES, PeerName};

/// The reply to `join`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "made by servers field by field; a new field is a new version")]
pub struct Joined {
    /// The version that is spoken from here on.
    pub protocol: u32,
    /// This connection's.
    pub peer_id: String,
    /// mediasoup's `RtpCapabilities` of the room's router.
    pub router_rtp_capabilities: Value,
    /// What is sent in the room now.
    #[serde(default)]
    pub producers: Vec<ProducerInfo>,
}

/// A producer of a room: an entry of `join`'s reply, and `new_producer`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "made by servers field by field; a new field is a new version")]
pub struct ProducerInfo {
    /// For `consume`.
    pub producer_id: String,
    /// Whose it is.
    pub peer_id: String,
    /// Kind of media.
    pub kind: Kind,
    /// Whether it is of `create_native_sender_session`.
    pub native: bool,
}

/// The reply to `create_transport`, mediasoup's objects as they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "made by servers field by field; a new field is a new version")]
pub struct TransportCreated {
    /// For `connect_transport`, `produce`, `consume`.
    pub transport_id: String,
    /// mediasoup's `IceParameters`.
    pub ice_parameters: Value,
    /// mediasoup's `IceCandidate`s.
    pub ice_candidates: Value,
    /// mediasoup's `DtlsParameters`.
    pub dtls_parameters: Value,
}

/// The reply to `produce`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "made by servers field by field; a new field is a new version")]
pub struct Produced {
    /// The new producer.
    pub producer_id: String,
}

/// The reply to `consume`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "made by servers field by field; a new field is a new version")]
pub struct Consumed {
    /// The new consumer, paused.
    pub consumer_id: String,
    /// What it receives.
    pub producer_id: String,
    /// Kind of media.
    pub kind: Kind,
    /// mediasoup's `RtpParameters`.
    pub rtp_parameters: Value,
}

/// Why the server closed a native session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NativeSessionEnd {
    /// Its producer was closed by `close_producer`.
    ProducerClosed,
    /// No RTP came for too long.
    NoMedia,
    /// A reason that this version does not know.
    #[serde(other)]
    Unknown,
}

/// A peer that watches a producer: an entry of `watchers_changed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "made by servers field by field; a new field is a new version")]
pub struct Watcher {
    /// Who.
    pub peer_id: String,
    /// How the peer wants to be called, if it said so.
    pub name: Option<PeerName>,
}

/// Something that happened in the room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", content = "data", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Notification {
    /// Another peer began to send.
    NewProducer(ProducerInfo),
    /// Another peer ended a producer.
    ProducerClosed {
        /// Which.
        producer_id: String,
    },
    /// The server closed a consumer of this peer, its producer being gone.
    ConsumerClosed {
        /// Which.
        consumer_id: String,
    },
    /// Another peer is gone.
    PeerLeft {
        /// Which.
        peer_id: String,
    },
    /// The server closed a native session of this peer.
    NativeSessionClosed {
        /// Which.
        session_id: String,
        /// Why.
        reason: NativeSessionEnd,
    },
    /// Other peers watch a producer of this peer now.
    WatchersChanged {
        /// Which.
        producer_id: String,
        /// All who have a consumer of it, by `peer_id`, each once.
        watchers: Vec<Watcher>,
    },
}

impl Notification {
    /// The notification as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("notifications have string keys and no fallible serializer")
    }
}

/// One message of a server.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ServerMessage {
    /// The answer to a request.
    Reply {
        /// The request's; none if the server could not read it.
        id: Option<u64>,
        /// `data`, or why not.
        result: Result<Value, ErrorBody>,
    },
    /// Something that happened.
    Notification(Notification),
    /// An event of a later version, to be ignored.
    UnknownEvent(String),
}

impl ServerMessage {
    /// A reply as JSON.
    pub fn reply_json(id: Option<u64>, result: &Result<Value, ErrorBody>) -> String {
        match result {
            Ok(data) => json!({ "id": id, "ok": true, "data": data }),
            Err(error) => json!({ "id": id, "ok": false, "error": error }),
        }
        .to_string()
    }

    /// Reads a server's message.
    ///
    /// # Errors
    ///
    /// `bad_message` for what is none; the message names the field.
    pub fn parse(text: &str) -> Result<Self, ErrorBody> {
        if text.len() > MAX_MESSAGE_BYTES {
            return Err(ErrorBody::bad_message(format!("{} bytes exceed {MAX_MESSAGE_BYTES}", text.len())));
        }
        let value: Value = serde_json::from_str(text)
            .map_err(|error| ErrorBody::bad_message(format!("not JSON: {error}")))?;
        if let Some(event) = value.get("event").and_then(Value::as_str) {
            if !EVENTS.contains(&event) {
                return Ok(Self::UnknownEvent(event.to_owned()));
            }
            return serde_path_to_error::deserialize(&value)
                .map(Self::Notification)
                .map_err(|error| ErrorBody::bad_message(error.to_string()));
        }
        let id = value.get("id").and_then(Value::as_u64);
        let result = match value.get("ok").and_then(Value::as_bool) {
            Some(true) => Ok(value.get("data").cloned().unwrap_or_default()),
            Some(false) => Err(value
                .get("error")
                .and_then(|error| ErrorBody::deserialize(error).ok())
                .unwrap_or_else(|| ErrorBody::new(ErrorCode::ServerError, "refused without a reason"))),
            None => return Err(ErrorBody::bad_message("neither event nor ok is there")),
        };
        Ok(Self::Reply { id, result })
    }
}

const EVENTS: [&str; 6] = [
    "new_producer",
    "producer_closed",
    "consumer_closed",
    "peer_left",
    "native_session_closed",
    "watchers_changed",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notifications_survive_the_wire() {
        let all = [
            Notification::NewProducer(ProducerInfo {
                producer_id: "p".into(),
                peer_id: "x".into(),
                kind: Kind::Video,
                native: true,
            }),
            Notification::ProducerClosed { producer_id: "p".into() },
            Notification::ConsumerClosed { consumer_id: "c".into() },
            Notification::PeerLeft { peer_id: "x".into() },
            Notification::NativeSessionClosed { session_id: "s".into(), reason: NativeSessionEnd::NoMedia },
            Notification::WatchersChanged {
                producer_id: "p".into(),
                watchers: vec![
                    Watcher { peer_id: "x".into(), name: Some("Zoë".parse().unwrap()) },
                    Watcher { peer_id: "y".into(), name: None },
                ],
            },
        ];
        for (notification, event) in all.into_iter().zip(EVENTS) {
            let text = notification.to_json();
            assert!(text.contains(&format!("\"event\":\"{event}\"")), "{text}");
            assert_eq!(ServerMessage::parse(&text), Ok(ServerMessage::Notification(notification)));
        }
    }

    #[test]
    fn a_watcher_without_a_name_says_null() {
        let watcher = Watcher { peer_id: "x".into(), name: None };
        assert_eq!(serde_json::to_value(watcher).unwrap(), json!({"peer_id": "x", "name": null}));
    }

    #[test]
    fn what_a_later_version_adds_is_kept_apart() {
        let event = ServerMessage::parse(r#"{"event":"peer_waved","data":{}}"#);
        assert_eq!(event, Ok(ServerMessage::UnknownEvent("peer_waved".into())));
        let reason =
            r#"{"event":"native_session_closed","data":{"session_id":"s","reason":"later","more":1}}"#;
        let Ok(ServerMessage::Notification(Notification::NativeSessionClosed { reason, .. })) =
            ServerMessage::parse(reason)
        else {
            panic!("{reason}");
        };
        assert_eq!(reason, NativeSessionEnd::Unknown);
    }

    #[test]
    fn replies_survive_the_wire() {
        for (id, result) in [
            (Some(3), Ok(json!({"a": 1}))),
            (Some(4), Err(ErrorBody::new(ErrorCode::RoomFull, "50 of 50"))),
            (None, Err(ErrorBody::bad_message("not JSON"))),
        ] {
            let text = ServerMessage::reply_json(id, &result);
            assert_eq!(ServerMessage::parse(&text), Ok(ServerMessage::Reply { id, result }));
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for text in ["", "1", "{}", r#"{"id":1}"#, r#"{"event":"peer_left","data":{"peer_id":4}}"#] {
            assert!(ServerMessage::parse(text).is_err(), "{text}");
        }
    }
}
