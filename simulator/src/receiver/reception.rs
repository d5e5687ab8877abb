//! Reception statistics of one stream. [RFC 3550 §6.4.1, A.3, A.8](https://www.rfc-editor.org/rfc/rfc3550#section-6.4.1).

use std::time::Duration;

use yc_rtp::NtpTime;

/// What a report block says.
#[derive(Debug, Default)]
pub(super) struct Reception {
    /// The first sequence number, unwrapped.
    base: Option<u64>,
    highest: u64,
    received: u64,
    expected_before: u64,
    received_before: u64,
    transit: Option<f64>,
    /// In ticks of the media clock.
    jitter: f64,
    /// The middle of the last sender report's time, and when it came.
    report: Option<(u32, Duration)>,
    round_trip: Option<Duration>,
}

impl Reception {
    /// A packet of the stream came at `now`.
    pub(super) fn on_packet(&mut self, now: Duration, sequence: u64, timestamp: u32) {
        self.base = Some(self.base.map_or(sequence, |base| base.min(sequence)));
        self.highest = self.highest.max(sequence);
        self.received += 1;
        let transit = now.as_secs_f64() * CLOCK_RATE - f64::from(timestamp);
        if let Some(before) = self.transit.replace(transit) {
            let moved = (transit - before).abs();
            // A timestamp that wrapped moves it by 2^32.
            if moved < CLOCK_RATE * 60.0 {
                self.jitter += (moved - self.jitter) / 16.0;
            }
        }
    }

    /// RTCP came: a sender report makes the next block answer it, a DLRR block tells the round trip.
    pub(super) fn on_rtcp(&mut self, now: Duration, ntp: NtpTime, receiver: u32, datagram: &[u8]) {
        let mut rest = datagram;
        while let Some((&[_, packet_type, high, low], after)) = rest.split_first_chunk() {
            let len = 4 * usize::from(u16::from_be_bytes([high, low]));
            let Some((body, next)) = after.split_at_checked(len) else { return };
            rest = next;
            match packet_type {
                SR => {
                    // SSRC, then the NTP time: its middle 32 bits.
                    if let Some(middle) = word(body, 6) {
                        self.report = Some((middle, now));
                    }
                }
                XR => self.on_extended_report(ntp, receiver, body.get(4..).unwrap_or_default()),
                _ => {}
            }
        }
    }

    /// [RFC 3611 §4.5](https://www.rfc-editor.org/rfc/rfc3611#section-4.5).
    fn on_extended_report(&mut self, ntp: NtpTime, receiver: u32, mut blocks: &[u8]) {
        while let Some((&[block_type, _, high, low], after)) = blocks.split_first_chunk() {
            let len = 4 * usize::from(u16::from_be_bytes([high, low]));
            let Some((body, next)) = after.split_at_checked(len) else { return };
            blocks = next;
            if block_type != DLRR {
                continue;
            }
            for answer in body.chunks_exact(12) {
                let fields = (word(answer, 0), word(answer, 4), word(answer, 8));
                if let (Some(ssrc), Some(last), Some(delay)) = fields
                    && ssrc == receiver
                {
                    let units = ntp.middle().wrapping_sub(last).wrapping_sub(delay).cast_signed().max(0);
                    self.round_trip = Some(Duration::from_secs_f64(f64::from(units) / 65_536.0));
                }
            }
        }
    }

    /// The round trip, once the sender answered a reference time.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// Packets expected since the first, and those of them that came, retransmissions in the stream's own
    /// sequence included.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.base.map_or(0, |base| self.highest - base + 1), self.received)
    }

    /// Appends a receiver report about `media` and a reference time, as one compound.
    pub(super) fn write(
        &mut self,
        now: Duration,
        ntp: NtpTime,
        receiver: u32,
        media: u32,
        out: &mut Vec<u8>,
    ) {
        let (expected, received) = self.counts();
        let expected_now = expected - std::mem::replace(&mut self.expected_before, expected);
        let received_now = received - std::mem::replace(&mut self.received_before, received);
        let lost_now = expected_now.saturating_sub(received_now);
        let fraction = (lost_now * 256).checked_div(expected_now).unwrap_or(0).min(255);
        let lost = (expected as i64 - received as i64).clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff;
        let (last_report, since) = self
            .report
            .map_or((0, 0), |(middle, at)| (middle, ((now - at).as_secs_f64() * 65_536.0).round() as u32));
        out.extend([0x81, RR, 0, 7]);
        for word in [
            receiver,
            media,
            (fraction as u32) << 24 | lost,
            self.highest as u32,
            self.jitter as u32,
            last_report,
            since,
        ] {
            out.extend(word.to_be_bytes());
        }
        out.extend([0x80, XR, 0, 4]);
        out.extend(receiver.to_be_bytes());
        out.extend([RRTR, 0, 0, 2]);
        out.extend(ntp.bits().to_be_bytes());
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes([word[0], word[1], word[2], word[3]]))
}

const CLOCK_RATE: f64 = 90_000.0;
const SR: u8 = 200;
const RR: u8 = 201;
const XR: u8 = 207;
const RRTR: u8 = 4;
const DLRR: u8 = 5;
