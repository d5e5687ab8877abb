//! Goodbye. [RFC 3550 §6.6](https://www.rfc-editor.org/rfc/rfc3550#section-6.6).

use webrtc_rtcp::goodbye::Goodbye;

use super::{BYE, HEADER_LEN, SSRC_LEN, append_header};
use crate::FeedbackEvent;

/// Appends a BYE for `ssrcs`; of more than 31, which the packet cannot hold, for the first 31.
pub fn append_bye(ssrcs: &[u32], out: &mut Vec<u8>) {
    let ssrcs = &ssrcs[..ssrcs.len().min(MAX_SOURCES)];
    append_header(ssrcs.len() as u8, BYE, HEADER_LEN + SSRC_LEN * ssrcs.len(), out);
    for ssrc in ssrcs {
        out.extend_from_slice(&ssrc.to_be_bytes());
    }
}

pub(super) fn read(packet: &Goodbye, on_event: &mut dyn FnMut(FeedbackEvent)) {
    on_event(FeedbackEvent::Bye { ssrcs: packet.sources.clone() });
}

/// The source count has five bits.
const MAX_SOURCES: usize = 31;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_says_goodbye() {
        let mut out = Vec::new();
        append_bye(&[1, 0xa0b0_c0d0], &mut out);
        assert_eq!(out, [0x82, 203, 0, 2, 0, 0, 0, 1, 0xa0, 0xb0, 0xc0, 0xd0]);
        out.clear();
        append_bye(&[7; 40], &mut out);
        assert_eq!((out[0], out.len()), (0x80 | 31, 4 + 31 * 4));
    }
}
