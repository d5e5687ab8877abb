//! Which error leads to which action: the one table.
//!
//! Kinds are matched exhaustively, so that a new one does not compile until it is decided here.

use yc_capture::{CaptureErrorKind, EndReason};
use yc_encode::EncodeErrorKind;

use crate::StopReason;
use crate::transport::TransportErrorKind;

/// What to do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Count it and go on.
    Count,
    /// Leave the frame out and go on.
    SkipFrame,
    /// Stop and say why.
    Stop(StopReason),
}

pub(crate) fn on_capture_end(reason: EndReason) -> StopReason {
    match reason {
        EndReason::WindowClosed => StopReason::WindowClosed,
        EndReason::MonitorRemoved => StopReason::MonitorRemoved,
        EndReason::EndOfFile => StopReason::EndOfFile,
        _ => StopReason::CaptureFailed,
    }
}

pub(crate) fn on_capture_error(kind: CaptureErrorKind) -> Action {
    match kind {
        CaptureErrorKind::NotFound
        | CaptureErrorKind::Unsupported
        | CaptureErrorKind::PermissionDenied
        | CaptureErrorKind::DeviceLost
        | CaptureErrorKind::InvalidInput
        | CaptureErrorKind::Failed => Action::Stop(StopReason::CaptureFailed),
    }
}

pub(crate) fn on_encode_error(kind: EncodeErrorKind) -> Action {
    match kind {
        // One bad frame, for example of a size that the encoder does not take: the next may be good.
        EncodeErrorKind::InvalidInput => Action::SkipFrame,
        EncodeErrorKind::Unsupported | EncodeErrorKind::DeviceLost | EncodeErrorKind::Failed => {
            Action::Stop(StopReason::EncodeFailed)
        }
    }
}

/// The stable code of an encoder's error.
pub(crate) fn encode_reason(kind: EncodeErrorKind) -> &'static str {
    match kind {
        EncodeErrorKind::InvalidInput => "frame_refused",
        EncodeErrorKind::Unsupported => "encoder_unsupported",
        EncodeErrorKind::DeviceLost => "encoder_device_lost",
        EncodeErrorKind::Failed => "encoder_failed",
    }
}

pub(crate) fn on_transport_error(kind: TransportErrorKind) -> Action {
    match kind {
        // UDP promises nothing: a full buffer or an unreachable peer may be gone with the next packet. Who
        // negotiated the share learns of a dead receiver first, and stops.
        TransportErrorKind::Full | TransportErrorKind::Unreachable => Action::Count,
        TransportErrorKind::TooLarge | TransportErrorKind::Failed => {
            Action::Stop(StopReason::TransportFailed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_counted_and_what_will_not_stops() {
        assert_eq!(on_transport_error(TransportErrorKind::Full), Action::Count);
        assert_eq!(on_transport_error(TransportErrorKind::Failed), Action::Stop(StopReason::TransportFailed));
        assert_eq!(on_encode_error(EncodeErrorKind::InvalidInput), Action::SkipFrame);
        assert_eq!(on_encode_error(EncodeErrorKind::DeviceLost), Action::Stop(StopReason::EncodeFailed));
        assert_eq!(on_capture_error(CaptureErrorKind::DeviceLost), Action::Stop(StopReason::CaptureFailed));
        assert_eq!(on_capture_end(EndReason::WindowClosed), StopReason::WindowClosed);
    }
}
