//! Extended reports. [RFC 3611](https://www.rfc-editor.org/rfc/rfc3611).

use std::collections::VecDeque;

use webrtc_rtcp::extended_report::{ExtendedReport, ReceiverReferenceTimeReportBlock};

use super::{HEADER_LEN, SSRC_LEN, XR, append_header};
use crate::{FeedbackEvent, NtpTime};

/// An answer to a receiver's reference time, by which it learns its round-trip time.
/// [RFC 3611 §4.5](https://www.rfc-editor.org/rfc/rfc3611#section-4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "RFC 3611 §4.5 defines these three")]
pub struct DelaySinceLastRr {
    /// The receiver that is answered.
    pub ssrc: u32,
    /// The middle 32 bits of the reference time it gave.
    pub last_rr: u32,
    /// How long ago that arrived, in units of 1/65,536 s.
    pub delay: u32,
}

/// Appends an extended report with one DLRR block that holds `delays`, or nothing if there are none.
pub fn append_dlrr(ssrc: u32, delays: &[DelaySinceLastRr], out: &mut Vec<u8>) {
    if delays.is_empty() {
        return;
    }
    let delays = &delays[..delays.len().min(MAX_RECEIVERS)];
    let block = DLRR_LEN * delays.len();
    append_header(0, XR, HEADER_LEN + SSRC_LEN + BLOCK_HEADER_LEN + block, out);
    out.extend_from_slice(&ssrc.to_be_bytes());
    out.extend_from_slice(&[DLRR, 0]);
    out.extend_from_slice(&((block / 4) as u16).to_be_bytes());
    for delay in delays {
        for field in [delay.ssrc, delay.last_rr, delay.delay] {
            out.extend_from_slice(&field.to_be_bytes());
        }
    }
}

/// The reference times that wait for an answer.
#[derive(Debug, Default)]
pub(super) struct ReferenceTimes {
    /// Receiver, the middle of its time, when that arrived; the receiver heard of longest ago first.
    waiting: VecDeque<(u32, u32, NtpTime)>,
}

impl ReferenceTimes {
    pub(super) fn read(
        &mut self,
        packet: &ExtendedReport,
        now: NtpTime,
        on_event: &mut dyn FnMut(FeedbackEvent),
    ) {
        for block in &packet.reports {
            if let Some(block) = block.as_any().downcast_ref::<ReceiverReferenceTimeReportBlock>() {
                let ntp_middle = NtpTime::from_bits(block.ntp_timestamp).middle();
                self.remember(packet.sender_ssrc, ntp_middle, now);
                on_event(FeedbackEvent::ReferenceTime { ssrc: packet.sender_ssrc, ntp_middle });
            }
        }
    }

    fn remember(&mut self, receiver: u32, ntp_middle: u32, now: NtpTime) {
        self.waiting.retain(|&(ssrc, ..)| ssrc != receiver);
        if self.waiting.len() == MAX_RECEIVERS {
            self.waiting.pop_front();
        }
        self.waiting.push_back((receiver, ntp_middle, now));
    }

    /// Replaces what is in `out` by the answers that are due, each given once.
    pub(super) fn take(&mut self, now: NtpTime, out: &mut Vec<DelaySinceLastRr>) {
        out.clear();
        out.extend(self.waiting.drain(..).map(|(ssrc, last_rr, at)| DelaySinceLastRr {
            ssrc,
            last_rr,
            delay: now.middle().wrapping_sub(at.middle()),
        }));
    }
}

/// The most receivers that are answered at once: one mediasoup transport is one.
pub(super) const MAX_RECEIVERS: usize = 32;

/// [RFC 3611 §4.5](https://www.rfc-editor.org/rfc/rfc3611#section-4.5).
const DLRR: u8 = 5;
const BLOCK_HEADER_LEN: usize = 4;
const DLRR_LEN: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_written_as_the_rfc_draws_them() {
        let mut out = Vec::new();
        append_dlrr(1, &[], &mut out);
        assert!(out.is_empty());
        let delay = DelaySinceLastRr { ssrc: 0x0a0b_0c0d, last_rr: 0x0102_0304, delay: 0x0001_8000 };
        append_dlrr(1, &[delay], &mut out);
        let expected = [
            0x80, 207, 0, 5, 0, 0, 0, 1, // XR of our SSRC
            5, 0, 0, 3, 0x0a, 0x0b, 0x0c, 0x0d, 1, 2, 3, 4, 0, 1, 0x80, 0,
        ];
        assert_eq!(out, expected);
    }

    #[test]
    fn each_receiver_is_answered_once_with_its_latest_time() {
        let at = |millis: u64| NtpTime::from_bits((millis << 32) / 1_000);
        let mut times = ReferenceTimes::default();
        times.remember(7, 100, at(1_000));
        times.remember(8, 200, at(1_500));
        times.remember(7, 101, at(2_000));
        let mut out = vec![DelaySinceLastRr { ssrc: 0, last_rr: 0, delay: 0 }];
        times.take(at(2_500), &mut out);
        let expected = [
            DelaySinceLastRr { ssrc: 8, last_rr: 200, delay: 65_536 },
            DelaySinceLastRr { ssrc: 7, last_rr: 101, delay: 32_768 },
        ];
        assert_eq!(out, expected);
        times.take(at(3_000), &mut out);
        assert!(out.is_empty());
    }

    #[test]
    fn invented_receivers_do_not_make_it_grow() {
        let mut times = ReferenceTimes::default();
        for receiver in 0..1_000 {
            times.remember(receiver, 1, NtpTime::default());
        }
        let mut out = Vec::new();
        times.take(NtpTime::default(), &mut out);
        assert_eq!((out.len(), out[MAX_RECEIVERS - 1].ssrc), (MAX_RECEIVERS, 999));
    }
}
