//! Receiver report. [RFC 3550 §6.4.2](https://www.rfc-editor.org/rfc/rfc3550#section-6.4.2).

use std::time::Duration;

use webrtc_rtcp::receiver_report::ReceiverReport;
use webrtc_rtcp::reception_report::ReceptionReport;

use super::{HEADER_LEN, RR, SSRC_LEN, append_header};
use crate::ntp::short_duration;
use crate::{FeedbackEvent, NtpTime};

/// Appends a receiver report without blocks: how a compound packet begins as long as nothing was sent.
pub fn append_empty_receiver_report(ssrc: u32, out: &mut Vec<u8>) {
    append_header(0, RR, HEADER_LEN + SSRC_LEN, out);
    out.extend_from_slice(&ssrc.to_be_bytes());
}

/// What reception reports are read against.
pub(super) struct ReportContext<'a> {
    pub(super) now: NtpTime,
    /// The clock rate of a stream of ours; `None` for others.
    pub(super) clock_rate: &'a dyn Fn(u32) -> Option<u32>,
}

/// Answers with how many blocks are about streams that are not ours.
pub(super) fn read(
    packet: &ReceiverReport,
    context: &ReportContext<'_>,
    on_event: &mut dyn FnMut(FeedbackEvent),
) -> u64 {
    read_blocks(&packet.reports, context, on_event)
}

pub(super) fn read_blocks(
    blocks: &[ReceptionReport],
    context: &ReportContext<'_>,
    on_event: &mut dyn FnMut(FeedbackEvent),
) -> u64 {
    let mut foreign = 0;
    for block in blocks {
        let Some(clock_rate) = (context.clock_rate)(block.ssrc) else {
            foreign += 1;
            continue;
        };
        on_event(FeedbackEvent::ReceiverReport {
            ssrc: block.ssrc,
            fraction_lost: f32::from(block.fraction_lost) / 256.0,
            cumulative_lost: sign_extended(block.total_lost),
            highest_sequence: block.last_sequence_number,
            jitter: ticks(block.jitter, clock_rate),
            rtt: round_trip(context.now, block.last_sender_report, block.delay),
        });
    }
    foreign
}

/// [RFC 3550 §6.4.1](https://www.rfc-editor.org/rfc/rfc3550#section-6.4.1): A - LSR - DLSR.
fn round_trip(now: NtpTime, last_sr: u32, delay: u32) -> Option<Duration> {
    if last_sr == 0 {
        return None;
    }
    let units = now.middle().wrapping_sub(last_sr).wrapping_sub(delay);
    match units.cast_signed() {
        // The receiver rounds its delay: on a short path the difference comes out a little below zero.
        LEAST_ROUND_TRIP..0 => Some(Duration::ZERO),
        0..MAX_ROUND_TRIP => Some(short_duration(units)),
        // No answer to a report of ours.
        _ => None,
    }
}

fn ticks(count: u32, clock_rate: u32) -> Duration {
    Duration::from_nanos(u64::from(count) * 1_000_000_000 / u64::from(clock_rate))
}

/// The cumulative loss is a signed number of 24 bits.
fn sign_extended(bits: u32) -> i32 {
    (bits << 8).cast_signed() >> 8
}

/// -10 ms, in units of 1/65,536 s.
const LEAST_ROUND_TRIP: i32 = -655;
/// 60 s, in units of 1/65,536 s: beyond it no path is worth a video stream.
const MAX_ROUND_TRIP: i32 = 60 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_report_is_two_words() {
        let mut out = Vec::new();
        append_empty_receiver_report(0x0102_0304, &mut out);
        assert_eq!(out, [0x80, 201, 0, 1, 1, 2, 3, 4]);
    }

    #[test]
    fn the_example_of_the_rfc_gives_its_round_trip() {
        // RFC 3550 figure 2: A = b710:8000, DLSR 5.250 s, LSR b705:2000 gives 6.125 s.
        let now = NtpTime::from_bits(0xb44d_b710_8000_0000);
        assert_eq!(round_trip(now, 0xb705_2000, 0x0005_4000), Some(Duration::from_millis(6_125)));
    }

    #[test]
    fn a_round_trip_needs_a_credible_answer() {
        let now = NtpTime::from_bits(0x0000_1000_0000_0000);
        let sent = |before: u32| now.middle() - before;
        assert_eq!(round_trip(now, 0, 0), None, "no sender report was received");
        assert_eq!(round_trip(now, sent(10), 11), Some(Duration::ZERO), "rounded below zero");
        assert_eq!(round_trip(now, sent(0), 2 << 16), None, "from the future");
        assert_eq!(round_trip(now, sent(61 << 16), 0), None, "longer than any path");
        // The middle bits wrap every 18 hours.
        let wrapped = NtpTime::from_bits(0x0001_0000_0000_0000);
        assert_eq!(round_trip(wrapped, 0xffff_8000, 0), Some(Duration::from_millis(500)));
    }

    #[test]
    fn cumulative_loss_may_be_negative() {
        assert_eq!(sign_extended(0x00ff_ffff), -1);
        assert_eq!(sign_extended(0x0080_0000), -8_388_608);
        assert_eq!(sign_extended(0x007f_ffff), 8_388_607);
        assert_eq!(ticks(90, 90_000), Duration::from_millis(1));
    }
}
