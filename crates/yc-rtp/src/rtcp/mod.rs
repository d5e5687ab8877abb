//! RTCP: reports out, feedback in. One file per packet type.
//! [RFC 3550 §6](https://www.rfc-editor.org/rfc/rfc3550#section-6).

mod bye;
mod compound;
mod fir;
mod nack;
mod parser;
mod pli;
mod remb;
mod rr;
mod sdes;
mod sr;
mod twcc;
mod xr;

pub use bye::append_bye;
pub use parser::{FeedbackCounts, FeedbackParser};
pub use rr::append_empty_receiver_report;
pub use sdes::append_cname;
pub use sr::SenderReport;
pub use twcc::{ArrivalTime, TransportFeedback};
pub use xr::{DelaySinceLastRr, append_dlrr};

/// Whether a datagram that arrived where RTP and RTCP share a port is RTCP: version 2 and a packet type of
/// 192 to 223. [RFC 5761 §4](https://www.rfc-editor.org/rfc/rfc5761#section-4).
pub fn is_rtcp(datagram: &[u8]) -> bool {
    matches!(datagram, [first, 192..=223, ..] if first >> 6 == VERSION)
}

/// Appends the header of an RTCP packet whose header and body are `len` bytes long, a multiple of 4.
fn append_header(count: u8, packet_type: u8, len: usize, out: &mut Vec<u8>) {
    debug_assert!(count < 32 && len.is_multiple_of(4), "{count} is five bits, {len} is whole words");
    let words = (len / 4 - 1) as u16;
    out.extend_from_slice(&[VERSION << 6 | count, packet_type]);
    out.extend_from_slice(&words.to_be_bytes());
}

const VERSION: u8 = 2;
const HEADER_LEN: usize = 4;
const SSRC_LEN: usize = 4;

/// Sender report. [RFC 3550 §12.1](https://www.rfc-editor.org/rfc/rfc3550#section-12.1).
const SR: u8 = 200;
/// Receiver report. [RFC 3550 §12.1](https://www.rfc-editor.org/rfc/rfc3550#section-12.1).
const RR: u8 = 201;
/// Source description. [RFC 3550 §12.1](https://www.rfc-editor.org/rfc/rfc3550#section-12.1).
const SDES: u8 = 202;
/// Goodbye. [RFC 3550 §12.1](https://www.rfc-editor.org/rfc/rfc3550#section-12.1).
const BYE: u8 = 203;
/// Transport-layer feedback. [RFC 4585 §6.1](https://www.rfc-editor.org/rfc/rfc4585#section-6.1).
const RTPFB: u8 = 205;
/// Payload-specific feedback. [RFC 4585 §6.1](https://www.rfc-editor.org/rfc/rfc4585#section-6.1).
const PSFB: u8 = 206;
/// Extended report. [RFC 3611 §2](https://www.rfc-editor.org/rfc/rfc3611#section-2).
const XR: u8 = 207;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rtcp_is_told_from_rtp_by_its_packet_type() {
        assert!(is_rtcp(&[0x80, 200, 0, 6]));
        assert!(is_rtcp(&[0x81, 206, 0, 2]));
        assert!(is_rtcp(&[0x80, 192]) && is_rtcp(&[0x80, 223]));
        // RTP: payload types 101 and 127 with the marker, 35 without.
        assert!(!is_rtcp(&[0x80, 0x80 | 101]) && !is_rtcp(&[0x80, 0xff]) && !is_rtcp(&[0x80, 35]));
        assert!(!is_rtcp(&[0x80, 191]) && !is_rtcp(&[0x80, 224]));
        // STUN, DTLS, and too little.
        assert!(!is_rtcp(&[0x00, 200]) && !is_rtcp(&[22, 0xfe]) && !is_rtcp(&[0x80]) && !is_rtcp(&[]));
    }
}
