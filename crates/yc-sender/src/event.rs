//! What a sender tells the app while it runs.

use serde::Serialize;
use yc_media::Resolution;

use crate::{PressureCause, Reason};

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
    /// A frame was lost between encoder and network, or packets that the OS refused.
    Lost,
    /// The encoder made one unasked: the picture changed its size.
    Resize,
    /// Another encoder, or a new instance of the same, came into use.
    Restart,
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
        reason: Reason,
        /// The error behind it, in words.
        detail: Option<String>,
    },
    /// The encoder failed.
    EncodeError {
        /// A stable code.
        reason: Reason,
        /// In words.
        detail: String,
        /// Whether the sender stops for it.
        fatal: bool,
    },
    /// A datagram could not be sent or received.
    TransportError {
        /// A stable code.
        reason: Reason,
        /// In words.
        detail: String,
        /// Whether the sender stops for it.
        fatal: bool,
    },
    /// A stage failed, and the next step of the retreat is taken.
    FallbackTriggered {
        /// Which step.
        step: FallbackStep,
        /// The backend in use before.
        from: &'static str,
        /// The backend that comes; `browser` where the sender has none left and stops.
        to: &'static str,
        /// Why: a stable code.
        reason: Reason,
        /// The error behind it, in words.
        detail: String,
    },
    /// The first picture came out of what the step brought.
    FallbackCompleted {
        /// Which step.
        step: FallbackStep,
        /// The backend in use before.
        from: &'static str,
        /// The backend in use now.
        to: &'static str,
        /// How long it took from the failure on, in milliseconds.
        took_ms: u32,
    },
    /// The degradation ladder went to another level.
    DegradationChanged {
        /// The level now, 0 (nothing is held back) to 3.
        level: u8,
        /// The level before.
        from: u8,
        /// What pressed, or what no longer does.
        cause: PressureCause,
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

impl SenderEvent {
    /// The names of all events, as they stand in JSON.
    pub const NAMES: &[&str] = &[
        "sender_started",
        "sender_stopped",
        "encode_error",
        "transport_error",
        "fallback_triggered",
        "fallback_completed",
        "degradation_changed",
        "source_resized",
        "source_paused",
        "source_resumed",
    ];

    /// Its name, as it stands in JSON.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::SenderStarted { .. } => "sender_started",
            Self::SenderStopped { .. } => "sender_stopped",
            Self::EncodeError { .. } => "encode_error",
            Self::TransportError { .. } => "transport_error",
            Self::FallbackTriggered { .. } => "fallback_triggered",
            Self::FallbackCompleted { .. } => "fallback_completed",
            Self::DegradationChanged { .. } => "degradation_changed",
            Self::SourceResized { .. } => "source_resized",
            Self::SourcePaused => "source_paused",
            Self::SourceResumed => "source_resumed",
        }
    }
}

/// One step of the retreat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FallbackStep {
    /// The same encoder backend is opened again.
    RestartEncoder,
    /// The next encoder backend takes over.
    NextEncoder,
    /// The same capture backend is opened again.
    RestartCapture,
    /// The next capture backend takes over.
    NextCapture,
    /// A better encoder backend is in use again: its cool-down is over.
    PreferredEncoder,
    /// A better capture backend is in use again: its cool-down is over.
    PreferredCapture,
    /// None is left: the app takes the browser's path.
    Browser,
}

impl FallbackStep {
    /// Whether it goes back to a better backend, rather than away from a worse one.
    pub const fn goes_back(self) -> bool {
        matches!(self, Self::PreferredEncoder | Self::PreferredCapture)
    }
}
