//! Why the program ends, and with which exit code.

use std::fmt::Display;

use yc_sender::{Reason, ReasonStage, SenderError, SenderErrorKind};
use yc_sfu::client::{ClientError, ClientErrorKind};

/// An end that is not the one asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The exit code: `--help` lists them.
    pub(crate) code: u8,
    /// The stable word for it in JSON.
    pub(crate) kind: &'static str,
    /// The stable code of why: the sender's own where it ended by itself, else the kind.
    pub(crate) reason: &'static str,
    /// In words.
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(code: u8, kind: &'static str, message: impl Display) -> Self {
        Self { code, kind, reason: kind, message: message.to_string() }
    }

    pub(crate) fn usage(message: impl Display) -> Self {
        Self::new(2, "usage", message)
    }

    pub(crate) fn lost(message: impl Display) -> Self {
        Self::new(6, "connection_lost", message)
    }

    /// The share ended by itself for `reason`; `None` where that is a good end.
    pub(crate) fn of_stop(reason: Reason, detail: Option<String>) -> Option<Self> {
        let (code, kind) = match (reason, reason.stage()) {
            (Reason::Requested | Reason::EndOfFile, _) => return None,
            (Reason::WindowClosed | Reason::MonitorRemoved, _) => (3, "source_gone"),
            (_, ReasonStage::Capture) => (3, "capture"),
            (_, ReasonStage::Encoder) => (4, "encoder"),
            (_, ReasonStage::Transport) => (6, "transport"),
            (_, ReasonStage::Load) => (7, "overloaded"),
            _ => (1, "internal"),
        };
        let message = match detail {
            Some(detail) => format!("the share ended ({reason}): {detail}"),
            None => format!("the share ended: {}", reason.code().replace('_', " ")),
        };
        Some(Self { reason: reason.code(), ..Self::new(code, kind, message) })
    }
}

impl From<SenderError> for Failure {
    fn from(error: SenderError) -> Self {
        match error.kind() {
            SenderErrorKind::Config => Self::usage(error),
            SenderErrorKind::Capture => Self::new(3, "capture", error),
            SenderErrorKind::Encode => Self::new(4, "encoder", error),
            SenderErrorKind::Negotiation => Self::new(5, "negotiation", error),
            SenderErrorKind::Transport => Self::new(6, "transport", error),
            SenderErrorKind::Resources | SenderErrorKind::Stopped => Self::new(1, "resources", error),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error.kind() {
            ClientErrorKind::InvalidArgument(_) => Self::usage(error),
            ClientErrorKind::Refused(_) => Self::new(5, "refused", error),
            ClientErrorKind::InvalidSession(_) | ClientErrorKind::Protocol(_) => {
                Self::new(5, "negotiation", error)
            }
            ClientErrorKind::Untrusted(_) => Self::new(6, "untrusted", error),
            ClientErrorKind::Unreachable(_) | ClientErrorKind::Timeout(_) => {
                Self::new(6, "unreachable", error)
            }
            ClientErrorKind::Closed(_) => Self::lost(error),
        }
    }
}
