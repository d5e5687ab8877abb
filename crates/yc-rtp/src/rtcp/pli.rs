//! Picture loss indication. [RFC 4585 §6.3.1](https://www.rfc-editor.org/rfc/rfc4585#section-6.3.1).

use webrtc_rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;

use crate::FeedbackEvent;

/// Answers with how many indications are about streams that are not ours.
pub(super) fn read(
    packet: &PictureLossIndication,
    is_ours: impl Fn(u32) -> bool,
    on_event: &mut dyn FnMut(FeedbackEvent),
) -> u64 {
    if !is_ours(packet.media_ssrc) {
        return 1;
    }
    on_event(FeedbackEvent::KeyframeWanted { ssrc: packet.media_ssrc, fir: false });
    0
}

/// FMT of PLI.
pub(super) const FORMAT: u8 = 1;
