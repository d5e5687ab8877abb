//! Why a sender could not be opened or started.

use std::fmt;

use yc_capture::CaptureError;
use yc_encode::EncodeError;
use yc_rtp::ParamsError;

use crate::{ConfigError, TransportError};

/// A sender that could not be opened or started.
#[derive(Debug, thiserror::Error)]
#[error("{kind}: {source}")]
pub struct SenderError {
    kind: SenderErrorKind,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// Which stage refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "an app maps every one of them to what it does next")]
pub enum SenderErrorKind {
    /// A setting is out of bounds: correct it.
    Config,
    /// The source cannot be captured: pick another, or use the browser's path.
    Capture,
    /// No encoder works here: use the browser's path.
    Encode,
    /// The negotiated stream is not what was offered: use the browser's path.
    Negotiation,
    /// The receiver's address cannot be used: use the browser's path.
    Transport,
    /// The OS gave no thread or no random bytes.
    Resources,
    /// The app stopped it before it had started.
    Stopped,
}

impl fmt::Display for SenderErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Config => "configuration",
            Self::Capture => "capture",
            Self::Encode => "encoder",
            Self::Negotiation => "negotiation",
            Self::Transport => "transport",
            Self::Resources => "resources",
            Self::Stopped => "stopped",
        })
    }
}

impl SenderError {
    pub(crate) fn new(
        kind: SenderErrorKind,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { kind, source: source.into() }
    }

    /// Which stage refused.
    pub fn kind(&self) -> SenderErrorKind {
        self.kind
    }
}

impl From<ConfigError> for SenderError {
    fn from(error: ConfigError) -> Self {
        Self::new(SenderErrorKind::Config, error)
    }
}

impl From<CaptureError> for SenderError {
    fn from(error: CaptureError) -> Self {
        Self::new(SenderErrorKind::Capture, error)
    }
}

impl From<EncodeError> for SenderError {
    fn from(error: EncodeError) -> Self {
        Self::new(SenderErrorKind::Encode, error)
    }
}

impl From<ParamsError> for SenderError {
    fn from(error: ParamsError) -> Self {
        Self::new(SenderErrorKind::Negotiation, error)
    }
}

impl From<TransportError> for SenderError {
    fn from(error: TransportError) -> Self {
        Self::new(SenderErrorKind::Transport, error)
    }
}
