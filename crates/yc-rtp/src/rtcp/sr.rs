//! Sender report. [RFC 3550 §6.4.1](https://www.rfc-editor.org/rfc/rfc3550#section-6.4.1).

use webrtc_rtcp::sender_report;

use super::rr::{self, ReportContext};
use super::{HEADER_LEN, SR, SSRC_LEN, append_header};
use crate::{FeedbackEvent, NtpTime};

/// What a sender says of its stream: how its timestamps relate to the wall clock, and how much has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "RFC 3550 §6.4.1 defines the sender information")]
pub struct SenderReport {
    /// The stream.
    pub ssrc: u32,
    /// When the report is made.
    pub ntp: NtpTime,
    /// The same instant in ticks of the stream's clock, from its random start.
    pub rtp_timestamp: u32,
    /// Packets sent since the start, wrapping.
    pub packets: u32,
    /// Bytes of their payloads, wrapping.
    pub payload_octets: u32,
}

impl SenderReport {
    /// Appends the report to `out`.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        append_header(0, SR, HEADER_LEN + SSRC_LEN + INFO_LEN, out);
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        out.extend_from_slice(&self.ntp.bits().to_be_bytes());
        for field in [self.rtp_timestamp, self.packets, self.payload_octets] {
            out.extend_from_slice(&field.to_be_bytes());
        }
    }
}

/// A receiver that sends itself puts its reception reports into its sender reports.
pub(super) fn read(
    packet: &sender_report::SenderReport,
    context: &ReportContext<'_>,
    on_event: &mut dyn FnMut(FeedbackEvent),
) -> u64 {
    rr::read_blocks(&packet.reports, context, on_event)
}

/// NTP time, RTP timestamp and the two counts.
const INFO_LEN: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_written_as_the_rfc_draws_it() {
        let report = SenderReport {
            ssrc: 0x1122_3344,
            ntp: NtpTime::from_bits(0x0102_0304_0506_0708),
            rtp_timestamp: 0xa0b0_c0d0,
            packets: 258,
            payload_octets: 70_000,
        };
        let mut out = Vec::new();
        report.append_to(&mut out);
        let expected = [
            0x80, 200, 0, 6, // 28 bytes are seven words, less one
            0x11, 0x22, 0x33, 0x44, 1, 2, 3, 4, 5, 6, 7, 8, 0xa0, 0xb0, 0xc0, 0xd0, 0, 0, 1, 2, 0, 1, 0x11,
            0x70,
        ];
        assert_eq!(out, expected);
    }
}
