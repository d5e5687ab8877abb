//! What a sender tells the app while it runs.

use std::fmt;

use serde::Serialize;
use yc_media::Resolution;

/// Why a key frame was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeyframeCause {
    /// The first of the stream.
    Start,
    /// A receiver asked by PLI.
    Pli,
    /// A receiver asked by FIR.
    Fir,
    /// The app asked.
    App,
    /// A frame was lost between encoder and network.
    Lost,
    /// The encoder made one unasked: the picture changed its size.
    Resize,
}

/// One thing that happened. As JSON: `{"event": NAME, …}` with the names that apps rely on.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum SenderEvent {
    /// The first packet left.
    SenderStarted {
        /// The encoder backend in use.
        encoder_backend: &'static str,
        /// The capture backend in use.
        capture_backend: &'static str,
    },
    /// The sender stopped. The last event.
    SenderStopped {
        /// Why: a stable code.
        reason: StopReason,
        /// The error behind it, in words.
        detail: Option<String>,
    },
    /// The encoder failed.
    EncodeError {
        /// A stable code.
        reason: &'static str,
        /// In words.
        detail: String,
        /// Whether the sender stops for it.
        fatal: bool,
    },
    /// A datagram could not be sent or received.
    TransportError {
        /// A stable code.
        reason: &'static str,
        /// In words.
        detail: String,
        /// Whether the sender stops for it.
        fatal: bool,
    },
    /// The captured source has a new size.
    SourceResized {
        /// In pixels.
        size: Resolution,
    },
    /// The captured source shows nothing for now; the last picture stands.
    SourcePaused,
    /// The captured source shows pictures again.
    SourceResumed,
}

/// Why a sender stopped: a stable code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StopReason {
    /// The app stopped it.
    Requested,
    /// The captured window was closed.
    WindowClosed,
    /// The captured monitor was removed.
    MonitorRemoved,
    /// The recording came to its end.
    EndOfFile,
    /// The capture failed.
    CaptureFailed,
    /// The encoder failed.
    EncodeFailed,
    /// The receiver cannot be reached.
    TransportFailed,
    /// A defect of ours: a thread ended by a panic.
    InternalError,
}

impl StopReason {
    /// The code as it stands in JSON.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::WindowClosed => "window_closed",
            Self::MonitorRemoved => "monitor_removed",
            Self::EndOfFile => "end_of_file",
            Self::CaptureFailed => "capture_failed",
            Self::EncodeFailed => "encode_failed",
            Self::TransportFailed => "transport_failed",
            Self::InternalError => "internal_error",
        }
    }

    /// Whether something broke, rather than came to its end.
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::CaptureFailed | Self::EncodeFailed | Self::TransportFailed | Self::InternalError)
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
