//! Receiver estimated maximum bitrate.
//! [draft-alvestrand-rmcat-remb-03](https://datatracker.ietf.org/doc/html/draft-alvestrand-rmcat-remb-03).

use webrtc_rtcp::payload_feedbacks::receiver_estimated_maximum_bitrate::ReceiverEstimatedMaximumBitrate;
use yc_media::Bitrate;

use crate::FeedbackEvent;

/// Tells of an estimate that covers a stream of ours; answers with how many do not. `body` is what follows
/// the common header.
pub(super) fn read(
    packet: &ReceiverEstimatedMaximumBitrate,
    body: &[u8],
    is_ours: impl Fn(u32) -> bool,
    on_event: &mut dyn FnMut(FeedbackEvent),
) -> u64 {
    if !packet.ssrcs.iter().any(|&ssrc| is_ours(ssrc)) {
        return 1;
    }
    // The library reads a mantissa of 0, whatever its exponent, as a bitrate far from 0.
    let mantissa_is_zero = matches!(body.get(MANTISSA), Some([high, 0, 0]) if high & 0x03 == 0);
    let bits = if mantissa_is_zero { 0 } else { packet.bitrate as u32 };
    on_event(FeedbackEvent::MaxBitrate { ssrcs: packet.ssrcs.clone(), bitrate: Bitrate::bps(bits) });
    0
}

/// Whether a payload-specific message of the application layer is a REMB at all.
pub(super) fn is_remb(body: &[u8]) -> bool {
    body.get(IDENTIFIER) == Some(b"REMB")
}

/// FMT of application layer feedback.
pub(super) const FORMAT: u8 = 15;

const IDENTIFIER: std::ops::Range<usize> = 8..12;
/// Six bits of exponent come first.
const MANTISSA: std::ops::Range<usize> = 13..16;
