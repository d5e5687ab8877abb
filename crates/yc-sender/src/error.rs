//! Why a sender could not be opened or started.

use std::fmt;

use yc_capture::CaptureError;
use yc_encode::{EncodeError, EncodeErrorKind};
use yc_rtp::ParamsError;

use crate::failure::{Failure, judge};
use crate::{ConfigError, Reason, TransportError};

/// A sender that could not be opened or started.
#[derive(Debug, thiserror::Error)]
#[error("{kind}: {source}")]
pub struct SenderError {
    kind: SenderErrorKind,
    reason: Option<Reason>,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// A call into a backend that did not return in time: the cause inside the backend's error.
#[derive(Debug, thiserror::Error)]
#[error("the call does not return")]
pub(crate) struct Hung;

/// Why an encoder could not be opened. There is no picture yet that it could have refused.
pub(crate) fn why_no_encoder(error: &EncodeError) -> Reason {
    let hung = std::error::Error::source(error).is_some_and(|source| source.is::<Hung>());
    match error.kind() {
        _ if hung => Reason::EncoderHung,
        EncodeErrorKind::InvalidInput => Reason::EncoderUnsupported,
        kind => judge(Failure::Encode(kind)).reason,
    }
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
        let reason = (kind == SenderErrorKind::Resources).then_some(Reason::InternalError);
        Self { kind, reason, source: source.into() }
    }

    pub(crate) fn with_reason(self, reason: Reason) -> Self {
        Self { reason: Some(reason), ..self }
    }

    /// Which stage refused.
    pub fn kind(&self) -> SenderErrorKind {
        self.kind
    }

    /// Why, as the stable code that a running sender would end with. None for `Config` and `Negotiation`, which
    /// are for the app to correct, and for `Stopped`.
    pub fn reason(&self) -> Option<Reason> {
        self.reason
    }
}

impl From<ConfigError> for SenderError {
    fn from(error: ConfigError) -> Self {
        Self::new(SenderErrorKind::Config, error)
    }
}

impl From<CaptureError> for SenderError {
    fn from(error: CaptureError) -> Self {
        let hung = std::error::Error::source(&error).is_some_and(|source| source.is::<Hung>());
        let failure = if hung { Failure::CaptureHung } else { Failure::Capture(error.kind()) };
        Self::new(SenderErrorKind::Capture, error).with_reason(judge(failure).reason)
    }
}

impl From<EncodeError> for SenderError {
    fn from(error: EncodeError) -> Self {
        let reason = why_no_encoder(&error);
        Self::new(SenderErrorKind::Encode, error).with_reason(reason)
    }
}

impl From<ParamsError> for SenderError {
    fn from(error: ParamsError) -> Self {
        Self::new(SenderErrorKind::Negotiation, error)
    }
}

impl From<TransportError> for SenderError {
    fn from(error: TransportError) -> Self {
        let reason = judge(Failure::Transport(error.kind())).reason;
        Self::new(SenderErrorKind::Transport, error).with_reason(reason)
    }
}

#[cfg(test)]
mod tests {
    use yc_capture::CaptureErrorKind;

    use super::*;

    #[test]
    fn an_error_of_a_stage_has_the_code_that_a_running_sender_would_end_with() {
        let capture = |kind| CaptureError::new(kind, "x11", "opening");
        let encode = |kind| EncodeError::new(kind, "openh264", "opening");
        let hung = || capture(CaptureErrorKind::Failed).with_source(Hung);
        for (error, code) in [
            (capture(CaptureErrorKind::NotFound).into(), Some("source_not_found")),
            (capture(CaptureErrorKind::PermissionDenied).into(), Some("capture_denied")),
            (SenderError::from(hung()), Some("capture_hung")),
            (encode(EncodeErrorKind::Failed).with_source(Hung).into(), Some("encoder_hung")),
            (encode(EncodeErrorKind::InvalidInput).into(), Some("encoder_unsupported")),
            (encode(EncodeErrorKind::DeviceLost).into(), Some("encoder_device_lost")),
            (SenderError::new(SenderErrorKind::Resources, "no thread"), Some("internal_error")),
            (SenderError::new(SenderErrorKind::Stopped, "stopped"), None),
        ] {
            assert_eq!(error.reason().map(Reason::code), code, "{error}");
        }
        assert!(SenderError::from(hung()).to_string().contains("the call does not return"));
    }
}
