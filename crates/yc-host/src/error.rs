//! Why a command was refused.

use serde::Serialize;
use yc_capture::{CaptureError, EndReason};
use yc_sender::{ConfigError, Reason, SenderError, SenderErrorKind, SrtpError, SrtpErrorKind};
use yc_sfu::InvalidSession;

/// A command that was refused: a stable code for programs and one sentence for people. As JSON:
/// `{"code": …, "message": …}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{code}: {message}")]
#[non_exhaustive]
pub struct HostError {
    /// A code of [`yc_sender::Reason`], or one of the constants here.
    pub code: &'static str,
    /// In words. Names what was refused, its value and its bounds.
    pub message: String,
}

impl HostError {
    /// A field is missing, of the wrong type or out of its bounds, or the command is not known.
    pub const BAD_REQUEST: &str = "bad_request";
    /// A start without a prepared source.
    pub const NOT_PREPARED: &str = "not_prepared";
    /// A share is starting or running: stop it first.
    pub const ALREADY_RUNNING: &str = "already_running";
    /// The session is not one that the prepared source may be sent to.
    pub const NEGOTIATION_FAILED: &str = "negotiation_failed";
    /// `stop`, or another `prepare`, ended it before it was done.
    pub const STOPPED: &str = "stopped";
    /// As many requests as may be are under way: wait for one of them.
    pub const BUSY: &str = "busy";
    /// A defect of ours, or an OS without threads.
    pub const INTERNAL_ERROR: &str = "internal_error";

    /// Refuses with `code`, for the reason in `message`.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// As [`HostError::new`], with [`HostError::BAD_REQUEST`].
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(Self::BAD_REQUEST, message)
    }

    pub(crate) fn stopped(what: &str) -> Self {
        Self::new(Self::STOPPED, format!("the {what} was stopped before it was done"))
    }

    pub(crate) fn internal(message: impl std::fmt::Display) -> Self {
        Self::new(Self::INTERNAL_ERROR, message.to_string())
    }

    /// The source came to its end before it gave a picture.
    pub(crate) fn ended(reason: EndReason) -> Self {
        let code = match reason {
            EndReason::WindowClosed => Reason::WindowClosed,
            EndReason::MonitorRemoved => Reason::MonitorRemoved,
            EndReason::EndOfFile => Reason::EndOfFile,
            _ => Reason::CaptureFailed,
        };
        Self::new(code.code(), reason.to_string())
    }
}

impl From<SenderError> for HostError {
    fn from(error: SenderError) -> Self {
        let code = match (error.reason(), error.kind()) {
            (Some(reason), _) => reason.code(),
            (None, SenderErrorKind::Config) => Self::BAD_REQUEST,
            (None, SenderErrorKind::Negotiation) => Self::NEGOTIATION_FAILED,
            (None, SenderErrorKind::Stopped) => Self::STOPPED,
            (None, _) => Self::INTERNAL_ERROR,
        };
        Self::new(code, error.to_string())
    }
}

impl From<CaptureError> for HostError {
    fn from(error: CaptureError) -> Self {
        SenderError::from(error).into()
    }
}

impl From<ConfigError> for HostError {
    fn from(error: ConfigError) -> Self {
        Self::bad_request(error.to_string())
    }
}

impl From<SrtpError> for HostError {
    fn from(error: SrtpError) -> Self {
        match error.kind() {
            SrtpErrorKind::InvalidKey => Self::new(Self::NEGOTIATION_FAILED, error.to_string()),
            _ => Self::internal(error),
        }
    }
}

impl From<InvalidSession> for HostError {
    fn from(error: InvalidSession) -> Self {
        Self::new(Self::NEGOTIATION_FAILED, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use yc_capture::CaptureErrorKind;

    use super::*;

    #[test]
    fn an_error_is_its_code_and_its_sentence_in_json() {
        let error = HostError::bad_request("fps 0 is not 1 to 240");
        let json = serde_json::to_string(&error).unwrap();
        assert_eq!(json, r#"{"code":"bad_request","message":"fps 0 is not 1 to 240"}"#);
    }

    #[test]
    fn what_a_stage_refuses_has_the_senders_code() {
        let error = CaptureError::new(CaptureErrorKind::PermissionDenied, "x11", "opening");
        assert_eq!(HostError::from(error).code, "capture_denied");
        assert_eq!(HostError::ended(EndReason::WindowClosed).code, "window_closed");
    }
}
