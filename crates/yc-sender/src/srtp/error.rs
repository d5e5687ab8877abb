//! What SRTP refuses.

use std::borrow::Cow;
use std::fmt;

/// A key that cannot be used, or a datagram that was not let through.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {detail}")]
pub struct SrtpError {
    kind: SrtpErrorKind,
    detail: Cow<'static, str>,
}

/// What is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SrtpErrorKind {
    /// The key or the name of its suite is none.
    InvalidKey,
    /// The OS gave no random bytes.
    Random,
    /// It was not made with the key, or was changed on its way.
    AuthenticationFailed,
    /// It was received before, or is too old to tell. Of a packet to send: its index was used for another one, and
    /// what two packets under one index give away is the key.
    Replayed,
    /// It is no RTP or RTCP, or too short to be protected.
    Malformed,
    /// The key has protected as many packets as it may, or more streams than are kept apart.
    Exhausted,
}

impl fmt::Display for SrtpErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidKey => "the SRTP key cannot be used",
            Self::Random => "no SRTP key could be made",
            Self::AuthenticationFailed => "the datagram is not authentic",
            Self::Replayed => "the datagram is a repeat",
            Self::Malformed => "the datagram is malformed",
            Self::Exhausted => "the SRTP key is used up",
        })
    }
}

impl SrtpError {
    pub(super) fn new(kind: SrtpErrorKind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, detail: detail.into() }
    }

    /// What is wrong, by what can be done about it.
    pub fn kind(&self) -> SrtpErrorKind {
        self.kind
    }
}
