//! Packets leave at a bounded rate, so that a key frame does not overflow the buffers on its way.

use std::time::Duration;

use yc_media::{Bitrate, CaptureTime};

use crate::PacingConfig;

/// A leaky bucket: says when the next packet may leave. Takes the time as an argument.
#[derive(Debug)]
pub(crate) struct Pacer {
    config: PacingConfig,
    rate: Bitrate,
    /// When the bucket will be empty at the present rate. At most `burst` in the future when a packet may
    /// leave.
    empty_at: CaptureTime,
    queued_bytes: usize,
}

impl Pacer {
    pub(crate) fn new(config: PacingConfig, target: Bitrate) -> Self {
        let mut pacer =
            Self { config, rate: Bitrate::bps(1), empty_at: CaptureTime::default(), queued_bytes: 0 };
        pacer.set_target(target);
        pacer
    }

    /// Paces by `target` times the configured factor from now on.
    pub(crate) fn set_target(&mut self, target: Bitrate) {
        let bps = f64::from(target.as_bps()) * f64::from(self.config.factor);
        self.rate = Bitrate::bps(bps.clamp(1.0, f64::from(u32::MAX)) as u32);
    }

    /// A packet of `bytes` waits.
    pub(crate) fn on_queued(&mut self, bytes: usize) {
        self.queued_bytes += bytes;
    }

    /// A packet of `bytes` that waited leaves.
    pub(crate) fn on_sent(&mut self, now: CaptureTime, bytes: usize) {
        self.queued_bytes = self.queued_bytes.saturating_sub(bytes);
        self.empty_at = self.empty_at.max(now) + self.rate.time_for(bytes);
    }

    /// When the next packet may leave: now or earlier means at once.
    pub(crate) fn next_at(&self) -> CaptureTime {
        CaptureTime::from_epoch(self.empty_at.since_epoch().saturating_sub(self.config.burst))
    }

    /// How long it takes until everything that waits has left.
    pub(crate) fn backlog(&self) -> Duration {
        self.rate.time_for(self.queued_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SenderConfig;

    fn at(millis: u64) -> CaptureTime {
        CaptureTime::from_epoch(Duration::from_secs(1_000) + Duration::from_millis(millis))
    }

    /// Sends `packets` of 1,000 bytes as fast as the pacer lets, from 0 ms on; answers with their times.
    fn drain(pacer: &mut Pacer, packets: usize) -> Vec<u64> {
        let mut now = at(0);
        (0..packets)
            .map(|_| {
                now = now.max(pacer.next_at());
                pacer.on_sent(now, 1_000);
                now.saturating_since(at(0)).as_millis() as u64
            })
            .collect()
    }

    #[test]
    fn a_key_frame_is_spread_at_the_paced_rate() {
        // 2 Mbit/s × 4 = one packet of 1,000 bytes in each millisecond, 10 ms of them at once.
        let mut pacer = Pacer::new(SenderConfig::default().pacing, Bitrate::kbps(2_000));
        let times = drain(&mut pacer, 200);
        assert_eq!(times[..11], [0; 11], "the burst leaves at once");
        assert_eq!(times[11..15], [1, 2, 3, 4]);
        assert_eq!(times[199], 189);
    }

    #[test]
    fn idle_time_does_not_add_up_to_a_larger_burst() {
        let mut pacer = Pacer::new(SenderConfig::default().pacing, Bitrate::kbps(2_000));
        drain(&mut pacer, 50);
        let mut now = at(60_000);
        let mut at_once = 0;
        while pacer.next_at() <= now {
            pacer.on_sent(now, 1_000);
            at_once += 1;
        }
        assert_eq!(at_once, 11);
        now = now + Duration::from_millis(1);
        assert!(pacer.next_at() <= now);
    }

    #[test]
    fn the_backlog_is_the_time_to_drain_it() {
        let mut pacer = Pacer::new(SenderConfig::default().pacing, Bitrate::kbps(2_000));
        pacer.on_queued(50_000);
        assert_eq!(pacer.backlog(), Duration::from_millis(50));
        pacer.on_sent(at(0), 10_000);
        assert_eq!(pacer.backlog(), Duration::from_millis(40));
        pacer.set_target(Bitrate::kbps(1_000));
        assert_eq!(pacer.backlog(), Duration::from_millis(80));
    }
}
