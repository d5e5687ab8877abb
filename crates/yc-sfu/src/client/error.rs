//! Why a connection or a request failed.

use std::time::Duration;

use crate::InvalidSession;
use crate::messages::ErrorBody;

/// A failed connection or request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{doing}: {kind}")]
pub struct ClientError {
    kind: ClientErrorKind,
    doing: &'static str,
}

impl ClientError {
    pub(super) fn new(kind: ClientErrorKind, doing: &'static str) -> Self {
        Self { kind, doing }
    }

    /// What went wrong, by what can be done about it.
    pub fn kind(&self) -> &ClientErrorKind {
        &self.kind
    }

    /// During what: `connecting`, `listening`, or the name of an action.
    pub fn doing(&self) -> &'static str {
        self.doing
    }
}

/// What went wrong. One kind per different reaction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(clippy::exhaustive_enums, reason = "a new kind must be decided on before it compiles")]
pub enum ClientErrorKind {
    /// What the caller gave cannot be used: mend it and try again.
    #[error("{0}")]
    InvalidArgument(String),
    /// The server said no.
    #[error("refused by the server: {0}")]
    Refused(ErrorBody),
    /// The server's session must not be started on.
    #[error("the server's session cannot be used: {0}")]
    InvalidSession(InvalidSession),
    /// Nobody answers there, or not as a WebSocket.
    #[error("cannot reach {0}")]
    Unreachable(String),
    /// The server is not who it should be, or nobody that is trusted here says so. Nothing was told to it.
    #[error("cannot trust {0}")]
    Untrusted(String),
    /// No answer in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The server does not keep to the protocol.
    #[error("the server does not keep to the protocol: {0}")]
    Protocol(String),
    /// The connection is gone.
    #[error("the connection is closed: {0}")]
    Closed(String),
}
