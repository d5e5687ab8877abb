//! What a client asks for: one type per action.

use std::fmt;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ClientDiagnostic, ErrorBody, ErrorCode, NativeSenderOffer, PROTOCOL_VERSION, PeerName, excerpt};

/// An action with its fields.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Action {
    /// Enter a room.
    Join(Join),
    /// Leave the room; the connection stays.
    Leave,
    /// Make a WebRTC transport.
    CreateTransport(CreateTransport),
    /// Give a WebRTC transport the client's DTLS parameters.
    ConnectTransport(ConnectTransport),
    /// Send on a WebRTC transport.
    Produce(Produce),
    /// Receive a producer; made paused.
    Consume(Consume),
    /// Let a consumer flow.
    ResumeConsumer(ConsumerRef),
    /// End a consumer.
    CloseConsumer(ConsumerRef),
    /// End a producer.
    CloseProducer(ProducerRef),
    /// Make a place for a native sender's RTP.
    CreateNativeSenderSession(NativeSenderOffer),
    /// End a native sender session.
    CloseNativeSenderSession(NativeSessionRef),
    /// Tell the server of something that happened in the client.
    ClientDiagnostic(ClientDiagnostic),
}

impl Action {
    /// The action's name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Join(_) => "join",
            Self::Leave => "leave",
            Self::CreateTransport(_) => "create_transport",
            Self::ConnectTransport(_) => "connect_transport",
            Self::Produce(_) => "produce",
            Self::Consume(_) => "consume",
            Self::ResumeConsumer(_) => "resume_consumer",
            Self::CloseConsumer(_) => "close_consumer",
            Self::CloseProducer(_) => "close_producer",
            Self::CreateNativeSenderSession(_) => "create_native_sender_session",
            Self::CloseNativeSenderSession(_) => "close_native_sender_session",
            Self::ClientDiagnostic(_) => "client_diagnostic",
        }
    }

    /// The action that `name` and `data` stand for.
    pub(super) fn from_parts(name: &str, data: Value) -> Result<Self, ErrorBody> {
        let action = match name {
            "join" => Self::Join(fields(data)?),
            "leave" => Self::Leave,
            "create_transport" => Self::CreateTransport(fields(data)?),
            "connect_transport" => Self::ConnectTransport(fields(data)?),
            "produce" => Self::Produce(fields(data)?),
            "consume" => Self::Consume(fields(data)?),
            "resume_consumer" => Self::ResumeConsumer(fields(data)?),
            "close_consumer" => Self::CloseConsumer(fields(data)?),
            "close_producer" => Self::CloseProducer(fields(data)?),
            "create_native_sender_session" => {
                let offer: NativeSenderOffer = fields(data)?;
                offer.validate()?;
                Self::CreateNativeSenderSession(offer)
            }
            "close_native_sender_session" => Self::CloseNativeSenderSession(fields(data)?),
            "client_diagnostic" => {
                let diagnostic: ClientDiagnostic = fields(data)?;
                diagnostic.validate()?;
                Self::ClientDiagnostic(diagnostic)
            }
            unknown => {
                return Err(ErrorBody::new(
                    ErrorCode::UnknownAction,
                    format!("action {unknown:?} is not known"),
                ));
            }
        };
        Ok(action)
    }

    /// The action's `data`.
    pub(super) fn data(&self) -> Value {
        let data = match self {
            Self::Join(fields) => serde_json::to_value(fields),
            Self::Leave => Ok(Value::Object(serde_json::Map::new())),
            Self::CreateTransport(fields) => serde_json::to_value(fields),
            Self::ConnectTransport(fields) => serde_json::to_value(fields),
            Self::Produce(fields) => serde_json::to_value(fields),
            Self::Consume(fields) => serde_json::to_value(fields),
            Self::ResumeConsumer(fields) | Self::CloseConsumer(fields) => serde_json::to_value(fields),
            Self::CloseProducer(fields) => serde_json::to_value(fields),
            Self::CreateNativeSenderSession(fields) => serde_json::to_value(fields),
            Self::CloseNativeSenderSession(fields) => serde_json::to_value(fields),
            Self::ClientDiagnostic(fields) => serde_json::to_value(fields),
        };
        data.expect("messages have string keys and no fallible serializer")
    }
}

/// Reads `data`, and names the field that does not fit.
pub(crate) fn fields<T: DeserializeOwned>(data: Value) -> Result<T, ErrorBody> {
    serde_path_to_error::deserialize(data).map_err(|error| {
        let path = error.path().to_string();
        let field = if path == "." { "data".to_owned() } else { format!("data.{path}") };
        ErrorBody::bad_message(format!("{field}: {}", error.inner()))
    })
}

/// `join`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "made field by field by clients; a new field is a new version")]
pub struct Join {
    /// Protocol version.
    pub protocol: u32,
    /// Where to.
    pub room: RoomName,
    /// Room token.
    pub token: Secret,
    /// What for.
    pub role: Role,
    /// How others call this peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<PeerName>,
}

impl Join {
    /// `join` in the version that this crate speaks, without a name.
    pub fn new(room: RoomName, token: impl Into<String>, role: Role) -> Self {
        Self { protocol: PROTOCOL_VERSION, room, token: Secret(token.into()), role, name: None }
    }

    /// Sets [`Join::name`].
    pub fn with_name(self, name: PeerName) -> Self {
        Self { name: Some(name), ..self }
    }
}

/// What a peer may do in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "whether a role may do something must be decided for each")]
pub enum Role {
    /// Send.
    Share,
    /// Receive.
    View,
    /// Send and receive.
    Both,
}

impl Role {
    /// The role's name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Share => "share",
            Self::View => "view",
            Self::Both => "both",
        }
    }

    /// Whether the role may send.
    pub const fn may_share(self) -> bool {
        matches!(self, Self::Share | Self::Both)
    }

    /// Whether the role may receive.
    pub const fn may_view(self) -> bool {
        matches!(self, Self::View | Self::Both)
    }

    /// Whether a token for this role serves `wanted` as well.
    pub const fn covers(self, wanted: Self) -> bool {
        (self.may_share() || !wanted.may_share()) && (self.may_view() || !wanted.may_view())
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = ErrorBody;

    fn from_str(text: &str) -> Result<Self, ErrorBody> {
        [Self::Share, Self::View, Self::Both]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| ErrorBody::bad_message(format!("role {text:?} is not share, view or both")))
    }
}

/// A room's name: 1 to 64 characters of `A–Z a–z 0–9 _ -`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoomName(String);

impl RoomName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RoomName {
    type Error = ErrorBody;

    fn try_from(text: String) -> Result<Self, ErrorBody> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
            return Ok(Self(text));
        }
        Err(ErrorBody::bad_message(format!(
            "room {} is not 1 to 64 characters of A-Z a-z 0-9 _ -",
            excerpt(&text)
        )))
    }
}

impl FromStr for RoomName {
    type Err = ErrorBody;

    fn from_str(text: &str) -> Result<Self, ErrorBody> {
        Self::try_from(text.to_owned())
    }
}

impl From<RoomName> for String {
    fn from(room: RoomName) -> Self {
        room.0
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Text that must not reach a log: its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
#[expect(clippy::exhaustive_structs, reason = "a wrapper around one value")]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<secret, {} bytes>", self.0.len())
    }
}

/// Which way a WebRTC transport carries media, seen from the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "there are two ways")]
pub enum Direction {
    /// From the client.
    Send,
    /// To the client.
    Recv,
}

/// `create_transport`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "made field by field by clients; a new field is a new version")]
pub struct CreateTransport {
    /// Which way it carries media.
    pub direction: Direction,
}

/// `connect_transport`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "made field by field by clients; a new field is a new version")]
pub struct ConnectTransport {
    /// Which transport.
    pub transport_id: String,
    /// mediasoup's `DtlsParameters`.
    pub dtls_parameters: Value,
}

/// Kind of media.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "RTP media of a room are these two")]
pub enum Kind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
}

/// `produce`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "made field by field by clients; a new field is a new version")]
pub struct Produce {
    /// A transport of direction `send`.
    pub transport_id: String,
    /// Kind of media.
    pub kind: Kind,
    /// mediasoup's `RtpParameters`.
    pub rtp_parameters: Value,
}

/// `consume`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "made field by field by clients; a new field is a new version")]
pub struct Consume {
    /// A transport of direction `recv`.
    pub transport_id: String,
    /// What to receive.
    pub producer_id: String,
    /// mediasoup's `RtpCapabilities` of the client.
    pub rtp_capabilities: Value,
}

/// `resume_consumer` and `close_consumer`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "made field by field by clients; a new field is a new version")]
pub struct ConsumerRef {
    /// Which consumer.
    pub consumer_id: String,
}

/// `close_producer`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "made field by field by clients; a new field is a new version")]
pub struct ProducerRef {
    /// Which producer.
    pub producer_id: String,
}

/// `close_native_sender_session`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "made field by field by clients; a new field is a new version")]
pub struct NativeSessionRef {
    /// Which session.
    pub session_id: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(action: &str, data: Value) -> String {
        Action::from_parts(action, data).unwrap_err().to_string()
    }

    #[test]
    fn a_field_of_the_wrong_type_is_named() {
        let message = refused("join", json!({"protocol": 1, "room": 5, "token": "t", "role": "view"}));
        assert!(message.contains("data.room") && message.contains("integer `5`"), "{message}");
        let message = refused("create_transport", json!({"direction": "sideways"}));
        assert!(message.contains("data.direction") && message.contains("sideways"), "{message}");
        let message = refused(
            "create_native_sender_session",
            json!({"protocol": 1, "codecs": [{"mime_type": "video/H264"}, {"mime_type": []}]}),
        );
        assert!(message.contains("data.codecs[1].mime_type"), "{message}");
    }

    #[test]
    fn a_missing_field_is_named_and_an_unknown_one_is_ignored() {
        assert!(refused("consume", json!({"transport_id": "t"})).contains("producer_id"));
        let action =
            Action::from_parts("resume_consumer", json!({"consumer_id": "c", "later": true})).unwrap();
        assert_eq!(action, Action::ResumeConsumer(ConsumerRef { consumer_id: "c".into() }));
    }

    #[test]
    fn an_unknown_action_has_its_own_code() {
        let error = Action::from_parts("teleport", Value::Null).unwrap_err();
        assert_eq!(error.code, ErrorCode::UnknownAction);
        assert!(error.message.contains("teleport"));
    }

    #[test]
    fn room_names_keep_to_their_alphabet() {
        for good in ["a", "Demo-1_x", &"x".repeat(64)] {
            assert_eq!(good.parse::<RoomName>().unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a.b", "é", &"x".repeat(65)] {
            assert!(bad.parse::<RoomName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_may_be_left_out_and_keeps_to_its_bounds() {
        let join =
            |name: Value| json!({"protocol": 1, "room": "demo", "token": "t", "role": "view", "name": name});
        for (name, kept) in [(Value::Null, None), (json!("Zoë 🎥"), Some("Zoë 🎥"))] {
            let Ok(Action::Join(read)) = Action::from_parts("join", join(name)) else { panic!("{kept:?}") };
            assert_eq!(read.name.as_ref().map(PeerName::as_str), kept);
        }
        let message = refused("join", join(json!("a\nb")));
        assert!(
            message.contains("data.name") && message.contains(r#"name "a\nb" is not 1 to 64 characters"#),
            "{message}"
        );
        assert!(refused("join", join(json!(5))).contains("data.name"));
        let without = serde_json::to_value(Join::new("demo".parse().unwrap(), "t", Role::View)).unwrap();
        assert!(without.get("name").is_none());
    }

    #[test]
    fn a_token_is_not_in_the_debug_output() {
        let join = Join::new("demo".parse().unwrap(), "v1.secret", Role::View);
        assert!(!format!("{join:?}").contains("v1.secret"));
        assert_eq!(serde_json::to_value(&join).unwrap()["token"], "v1.secret");
    }

    #[test]
    fn both_covers_every_role_and_the_others_themselves_alone() {
        for wanted in [Role::Share, Role::View, Role::Both] {
            assert!(Role::Both.covers(wanted));
            assert_eq!(Role::Share.covers(wanted), wanted == Role::Share);
            assert_eq!(Role::View.covers(wanted), wanted == Role::View);
        }
    }
}
