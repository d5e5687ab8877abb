//! Why a request was refused.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The stable code of a refusal: `docs/signalling.md`, "Errors".
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
#[non_exhaustive]
pub enum ErrorCode {
    /// Not JSON, a field missing or of the wrong type, a value out of its bounds.
    BadMessage,
    /// An action that the server does not know.
    UnknownAction,
    /// A protocol version that the server does not speak.
    UnsupportedProtocol,
    /// The token does not let the client in.
    Unauthorized,
    /// The role does not allow the action.
    Forbidden,
    /// The room holds as many peers as it may.
    RoomFull,
    /// `join` for the second time.
    AlreadyJoined,
    /// An action that needs `join` before it.
    NotJoined,
    /// No such transport, producer, consumer or session, or another peer's.
    NotFound,
    /// `connect_transport` for the second time.
    AlreadyConnected,
    /// The client cannot decode what the producer sends.
    CannotConsume,
    /// Codec or RTP parameters that the server does not take.
    UnsupportedCodec,
    /// As many of them as one peer may have.
    LimitReached,
    /// The server failed.
    ServerError,
    /// A code that this version does not know.
    Other(String),
}

impl ErrorCode {
    /// The code as it is on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Other(code) => code,
            known => NAMES
                .iter()
                .find(|(code, _)| code == known)
                .map(|(_, name)| *name)
                .expect("NAMES has every code but Other"),
        }
    }
}

impl From<String> for ErrorCode {
    fn from(text: String) -> Self {
        NAMES.iter().find(|(_, name)| *name == text).map_or(Self::Other(text), |(code, _)| code.clone())
    }
}

impl From<ErrorCode> for String {
    fn from(code: ErrorCode) -> Self {
        code.as_str().to_owned()
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The `error` of a reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {message}")]
#[non_exhaustive]
pub struct ErrorBody {
    /// For programs.
    pub code: ErrorCode,
    /// For people; at most 400 bytes as made by [`ErrorBody::new`].
    #[serde(default)]
    pub message: String,
}

impl ErrorBody {
    /// A refusal. A long message is cut: it may quote what the peer sent.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if message.len() > MAX_MESSAGE {
            message.truncate(message.floor_char_boundary(MAX_MESSAGE - 3));
            message.push('…');
        }
        Self { code, message }
    }

    /// [`ErrorCode::BadMessage`].
    pub fn bad_message(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::BadMessage, message)
    }
}

const MAX_MESSAGE: usize = 400;

const NAMES: [(ErrorCode, &str); 14] = [
    (ErrorCode::BadMessage, "bad_message"),
    (ErrorCode::UnknownAction, "unknown_action"),
    (ErrorCode::UnsupportedProtocol, "unsupported_protocol"),
    (ErrorCode::Unauthorized, "unauthorized"),
    (ErrorCode::Forbidden, "forbidden"),
    (ErrorCode::RoomFull, "room_full"),
    (ErrorCode::AlreadyJoined, "already_joined"),
    (ErrorCode::NotJoined, "not_joined"),
    (ErrorCode::NotFound, "not_found"),
    (ErrorCode::AlreadyConnected, "already_connected"),
    (ErrorCode::CannotConsume, "cannot_consume"),
    (ErrorCode::UnsupportedCodec, "unsupported_codec"),
    (ErrorCode::LimitReached, "limit_reached"),
    (ErrorCode::ServerError, "server_error"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_the_wire_and_an_unknown_one_is_kept() {
        for (code, name) in NAMES {
            assert_eq!(serde_json::to_string(&code).unwrap(), format!("\"{name}\""));
            assert_eq!(ErrorCode::from(name.to_owned()), code);
        }
        let later: ErrorCode = serde_json::from_str("\"from_version_2\"").unwrap();
        assert_eq!(later, ErrorCode::Other("from_version_2".into()));
        assert_eq!(later.as_str(), "from_version_2");
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let body = ErrorBody::bad_message("é".repeat(1000));
        assert!(body.message.len() <= MAX_MESSAGE && body.message.ends_with('…'), "{}", body.message.len());
    }
}
