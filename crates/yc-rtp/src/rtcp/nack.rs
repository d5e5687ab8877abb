//! Generic NACK. [RFC 4585 §6.2.1](https://www.rfc-editor.org/rfc/rfc4585#section-6.2.1).

use webrtc_rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;

use crate::FeedbackEvent;

/// What became of one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct NackTally {
    pub(super) foreign: u64,
    /// Sequence numbers beyond the room left.
    pub(super) refused: u64,
}

/// Tells of at most `room` lost packets, and takes those told of from it.
pub(super) fn read(
    packet: &TransportLayerNack,
    is_ours: impl Fn(u32) -> bool,
    room: &mut usize,
    on_event: &mut dyn FnMut(FeedbackEvent),
) -> NackTally {
    let mut tally = NackTally::default();
    if !is_ours(packet.media_ssrc) {
        tally.foreign = 1;
        return tally;
    }
    let total: usize = packet.nacks.iter().map(|pair| 1 + pair.lost_packets.count_ones() as usize).sum();
    let taken = total.min(*room);
    *room -= taken;
    tally.refused = (total - taken) as u64;
    if taken > 0 {
        let mut sequences = Vec::with_capacity(taken);
        sequences.extend(packet.nacks.iter().copied().flatten().take(taken));
        on_event(FeedbackEvent::Nack { ssrc: packet.media_ssrc, sequences });
    }
    tally
}

/// FMT of the generic NACK.
pub(super) const FORMAT: u8 = 1;

/// The most sequence numbers that are told of per datagram. mediasoup asks for 1,000 at most.
pub(super) const MAX_SEQUENCES: usize = 1_024;
