//! Why something happened to a sender, as stable codes. `docs/failures.md` has a paragraph for each.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::SenderErrorKind;

/// What a [`Reason`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReasonStage {
    /// The app asked, or the source came to its end: nothing broke.
    End,
    /// The capture.
    Capture,
    /// Conversion and encoder.
    Encoder,
    /// The socket, or the way to the receiver.
    Transport,
    /// The machine does not keep up.
    Load,
    /// A defect of ours, or an OS without threads.
    Internal,
}

/// One row a reason: variant, code, what it is about, and the line of documentation.
macro_rules! reasons {
    ($($(#[$doc:meta])+ $name:ident = $code:literal, $stage:ident;)+) => {
        /// Why something happened to a sender: a stable code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[$doc])+ $name,)+
        }

        impl Reason {
            /// Every reason, in the order of `docs/failures.md`.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The code as it stands in JSON.
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)+
                }
            }

            /// What it is about.
            pub const fn stage(self) -> ReasonStage {
                match self {
                    $(Self::$name => ReasonStage::$stage,)+
                }
            }
        }
    };
}

reasons! {
    /// The app stopped it.
    Requested = "requested", End;
    /// The captured window was closed.
    WindowClosed = "window_closed", End;
    /// The captured monitor was removed.
    MonitorRemoved = "monitor_removed", End;
    /// The recording came to its end.
    EndOfFile = "end_of_file", End;

    /// No capture backend of this build captures such a source here.
    CaptureUnsupported = "capture_unsupported", Capture;
    /// The user or the OS forbids the capture.
    CaptureDenied = "capture_denied", Capture;
    /// There is no such source (any more).
    SourceNotFound = "source_not_found", Capture;
    /// The connection to the display, or the device, is gone.
    CaptureDeviceLost = "capture_device_lost", Capture;
    /// An option or the source's content is out of bounds.
    CaptureInvalidInput = "capture_invalid_input", Capture;
    /// The OS refused the capture otherwise.
    CaptureFailed = "capture_failed", Capture;
    /// A call into the capture does not return.
    CaptureHung = "capture_hung", Capture;
    /// The capture delivers nothing although asked, or misses what changes.
    CaptureSilent = "capture_silent", Capture;

    /// The encoder refused one picture.
    FrameRefused = "frame_refused", Encoder;
    /// The encoder refused too many pictures in a short time.
    EncodeErrors = "encode_errors", Encoder;
    /// The encoder cannot do this here, or does not make what was negotiated.
    EncoderUnsupported = "encoder_unsupported", Encoder;
    /// The encoder's device or driver is gone.
    EncoderDeviceLost = "encoder_device_lost", Encoder;
    /// The encoder failed otherwise.
    EncoderFailed = "encoder_failed", Encoder;
    /// A call into the encoder does not return.
    EncoderHung = "encoder_hung", Encoder;

    /// The OS's send buffer was full.
    SendBufferFull = "send_buffer_full", Transport;
    /// The peer's host says that nobody listens, or there is no route to it.
    PeerUnreachable = "peer_unreachable", Transport;
    /// A datagram is larger than the path takes.
    DatagramTooLarge = "datagram_too_large", Transport;
    /// The socket broke.
    SocketFailed = "socket_failed", Transport;
    /// The OS refused too many datagrams in a short time.
    SendErrors = "send_errors", Transport;
    /// A call into the transport does not return.
    TransportHung = "transport_hung", Transport;
    /// The receiver has been silent for too long.
    RtcpTimeout = "rtcp_timeout", Transport;

    /// Most captured pictures are dropped before the encoder: the degradation ladder goes one step down.
    QueueDrops = "queue_drops", Load;
    /// Most captured pictures are dropped although the ladder is at its lowest level.
    Overloaded = "overloaded", Load;

    /// The time for which a better backend was put aside is over: it is tried again.
    CoolDownOver = "cool_down_over", Internal;
    /// A defect of ours, or an OS without threads: a stage ended by a panic.
    InternalError = "internal_error", Internal;
}

impl Reason {
    /// Why a sender ends that could not be started.
    pub(crate) const fn of_start(kind: SenderErrorKind) -> Self {
        match kind {
            SenderErrorKind::Stopped => Self::Requested,
            SenderErrorKind::Capture => Self::CaptureFailed,
            SenderErrorKind::Encode => Self::EncoderFailed,
            SenderErrorKind::Transport => Self::SocketFailed,
            SenderErrorKind::Config | SenderErrorKind::Negotiation | SenderErrorKind::Resources => {
                Self::InternalError
            }
        }
    }

    /// Whether something broke, rather than came to its end as asked or with its source.
    pub const fn is_failure(self) -> bool {
        !matches!(self.stage(), ReasonStage::End)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_is_unique_and_has_its_paragraph_in_the_documentation() {
        let page = include_str!("../../../docs/failures.md");
        let headings: BTreeSet<&str> =
            page.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`')).collect();
        let codes: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        assert_eq!(headings, codes);
    }

    #[test]
    fn an_end_as_asked_or_with_its_source_is_no_failure() {
        assert!(!Reason::Requested.is_failure());
        assert!(!Reason::WindowClosed.is_failure());
        assert!(Reason::RtcpTimeout.is_failure());
        assert_eq!(Reason::EncoderHung.to_string(), "encoder_hung");
    }
}
