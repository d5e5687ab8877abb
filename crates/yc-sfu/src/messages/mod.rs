//! The signalling messages: `docs/signalling.md` as types.
//!
//! A message is read in two steps, so that an error can name the request that it answers: the frame (`id`,
//! `action`, `data`), then the fields of the action. Unknown fields are ignored, unknown events kept apart,
//! values of the wrong type refused with the name of their field.

mod action;
mod diagnostic;
mod error;
mod name;
mod native;
mod reply;

use serde_json::{Value, json};

pub use action::{
    Action, ConnectTransport, Consume, ConsumerRef, CreateTransport, Direction, Join, Kind, NativeSessionRef,
    Produce, ProducerRef, Role, RoomName, Secret,
};
pub use diagnostic::ClientDiagnostic;
pub use error::{ErrorBody, ErrorCode};
pub use name::PeerName;
pub use native::{
    CodecReply, CryptoSuite, FmtpValue, HeaderExtension, NativeSenderOffer, NativeSenderSession,
    OfferedCodec, RtcpFeedback, RtxReply, SrtpKey,
};
pub use reply::{
    Consumed, Joined, NativeSessionEnd, Notification, Produced, ProducerInfo, ServerMessage,
    TransportCreated, Watcher,
};

#[cfg(feature = "server")]
pub(crate) use action::fields;

/// The version of the protocol that this crate speaks.
pub const PROTOCOL_VERSION: u32 = 1;

/// Most bytes of one message.
pub const MAX_MESSAGE_BYTES: usize = 256 * 1024;

/// Largest request id: the largest integer that JavaScript holds exactly.
pub const MAX_REQUEST_ID: u64 = (1 << 53) - 1;

/// The beginning of a client's text, in quotes and with control characters escaped: what an error shows of a
/// value that may be as long as a message.
fn excerpt(text: &str) -> String {
    const MOST: usize = 80;
    match text.char_indices().nth(MOST) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", &text[..end]),
    }
}

/// One request of a client.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Request {
    /// Comes back in the reply.
    pub id: u64,
    /// What is asked for.
    pub action: Action,
}

impl Request {
    /// A request.
    pub fn new(id: u64, action: Action) -> Self {
        Self { id, action }
    }

    /// The request as JSON.
    pub fn to_json(&self) -> String {
        json!({ "id": self.id, "action": self.action.name(), "data": self.action.data() }).to_string()
    }

    /// Reads a request.
    ///
    /// # Errors
    ///
    /// [`BadRequest`], with the id of the request where it could be read.
    pub fn parse(text: &str) -> Result<Self, BadRequest> {
        let refuse = |id, message: String| BadRequest { id, error: ErrorBody::bad_message(message) };
        if text.len() > MAX_MESSAGE_BYTES {
            return Err(refuse(None, format!("{} bytes exceed {MAX_MESSAGE_BYTES}", text.len())));
        }
        let value: Value =
            serde_json::from_str(text).map_err(|error| refuse(None, format!("not JSON: {error}")))?;
        let Value::Object(mut frame) = value else {
            return Err(refuse(None, "not a JSON object".into()));
        };
        let id = match frame.get("id") {
            None => return Err(refuse(None, "id is missing".into())),
            Some(id) => id.as_u64().filter(|id| *id <= MAX_REQUEST_ID).ok_or_else(|| {
                refuse(None, format!("id {id} is not an integer from 0 to {MAX_REQUEST_ID}"))
            })?,
        };
        let name = match frame.get("action") {
            None => return Err(refuse(Some(id), "action is missing".into())),
            Some(Value::String(name)) => name.clone(),
            Some(other) => return Err(refuse(Some(id), format!("action {other} is not a string"))),
        };
        let data = match frame.remove("data") {
            None | Some(Value::Null) => Value::Object(serde_json::Map::new()),
            Some(data @ Value::Object(_)) => data,
            Some(other) => return Err(refuse(Some(id), format!("data {other} is not an object"))),
        };
        let action = Action::from_parts(&name, data).map_err(|error| BadRequest { id: Some(id), error })?;
        Ok(Self { id, action })
    }
}

/// A message that is no request, and the id to answer it under.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
#[non_exhaustive]
pub struct BadRequest {
    /// The request's id, where it could be read.
    pub id: Option<u64>,
    /// What is wrong.
    pub error: ErrorBody,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_request_survives_the_wire() {
        let requests = [
            Action::Join(Join::new("demo".parse().unwrap(), "t", Role::Both)),
            Action::Leave,
            Action::ConnectTransport(ConnectTransport {
                transport_id: "t".into(),
                dtls_parameters: json!({"role": "client"}),
            }),
            Action::CreateNativeSenderSession(
                NativeSenderOffer::new(vec![OfferedCodec::h264("42c028".parse().unwrap())]).with_rtx(),
            ),
            Action::ClientDiagnostic(ClientDiagnostic::new("sender_started")),
        ];
        for (id, action) in requests.into_iter().enumerate() {
            let request = Request::new(id as u64, action);
            assert_eq!(Request::parse(&request.to_json()), Ok(request));
        }
    }

    #[test]
    fn a_bad_frame_is_refused_with_the_id_where_there_is_one() {
        for (text, id, says) in [
            ("", None, "not JSON"),
            ("nul", None, "not JSON"),
            ("[]", None, "not a JSON object"),
            ("{}", None, "id is missing"),
            (r#"{"id":-1,"action":"leave"}"#, None, "id -1"),
            (r#"{"id":1.5,"action":"leave"}"#, None, "id 1.5"),
            (r#"{"id":9007199254740992,"action":"leave"}"#, None, "id 9007199254740992"),
            (r#"{"id":7}"#, Some(7), "action is missing"),
            (r#"{"id":7,"action":[]}"#, Some(7), "action [] is not a string"),
            (r#"{"id":7,"action":"leave","data":3}"#, Some(7), "data 3 is not an object"),
            (r#"{"id":7,"action":"join"}"#, Some(7), "protocol"),
        ] {
            let bad = Request::parse(text).unwrap_err();
            assert_eq!(bad.id, id, "{text}");
            assert!(bad.error.message.contains(says), "{text}: {}", bad.error.message);
        }
    }

    #[test]
    fn a_message_over_the_limit_is_refused_before_it_is_read() {
        let text = "x".repeat(MAX_MESSAGE_BYTES + 1);
        assert!(Request::parse(&text).unwrap_err().error.message.contains("262144"));
        assert!(Request::parse(&"[".repeat(MAX_MESSAGE_BYTES)).is_err());
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<i16>().prop_map(|n| Value::from(f64::from(n) / 8.0)),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 6, |inner| {
            let key = prop_oneof![
                ".{0,6}",
                prop::sample::select(
                    &["protocol", "room", "codecs", "srtp", "detail", "mime_type", "role", "direction"][..]
                )
                .prop_map(String::from),
            ];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(key, inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    const ACTIONS: [&str; 12] = [
        "join",
        "leave",
        "create_transport",
        "connect_transport",
        "produce",
        "consume",
        "resume_consumer",
        "close_consumer",
        "close_producer",
        "create_native_sender_session",
        "close_native_sender_session",
        "client_diagnostic",
    ];

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,200}") {
            let _ = Request::parse(&text);
            let _ = ServerMessage::parse(&text);
        }

        #[test]
        fn no_data_makes_an_action_panic_and_what_is_read_is_written_alike(
            at in 0..ACTIONS.len(), data in any_json(), id in 0..=MAX_REQUEST_ID,
        ) {
            let text = json!({"id": id, "action": ACTIONS[at], "data": data}).to_string();
            match Request::parse(&text) {
                Ok(request) => {
                    prop_assert_eq!(request.id, id);
                    prop_assert_eq!(Request::parse(&request.to_json()), Ok(request));
                }
                Err(bad) => {
                    prop_assert_eq!(bad.id, Some(id));
                    prop_assert!(!bad.error.message.is_empty());
                }
            }
        }
    }
}
