//! Packets leave at a bounded rate, so that a key frame does not overflow the buffers on its way.

use std::time::Duration;

use yc_media::{Bitrate, CaptureTime};

use crate::PacingConfig;
use crate::bandwidth::ProbeCluster;

/// A leaky bucket: says when the next packet may leave. Takes the time as an argument.
#[derive(Debug)]
pub(crate) struct Pacer {
    config: PacingConfig,
    rate: Bitrate,
    probe: Option<Probe>,
    /// When the bucket will be empty at the present rate. At most `burst` in the future when a packet may
    /// leave.
    empty_at: CaptureTime,
    queued_bytes: usize,
}

/// A cluster that is being sent.
#[derive(Debug)]
struct Probe {
    cluster: ProbeCluster,
    packets_left: u32,
    bytes_left: usize,
    /// When it is given up, if it has not been sent by then.
    until: CaptureTime,
}

/// A cluster that takes this long is none: what arrives of it tells nothing.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// A probe leaves as evenly as clocks allow that wake a thread each millisecond: its packets' distances are what
/// is measured.
const PROBE_BURST: Duration = Duration::from_millis(2);

/// Nothing that was worth sending waits longer than this at the paced rate, whatever the rate is.
const LEAST_RATE: Bitrate = Bitrate::kbps(30);

impl Pacer {
    /// Paces what nobody has measured yet: `target` times the factor for that.
    pub(crate) fn new(config: PacingConfig, target: Bitrate) -> Self {
        let mut pacer =
            Self { config, rate: LEAST_RATE, probe: None, empty_at: CaptureTime::default(), queued_bytes: 0 };
        pacer.set_unmeasured(target);
        pacer
    }

    /// Paces by what is aimed at, as long as nobody measures the network.
    pub(crate) fn set_unmeasured(&mut self, target: Bitrate) {
        self.rate = times(target, self.config.start_factor);
    }

    /// Paces by what the network is measured to take.
    pub(crate) fn set_measured(&mut self, available: Bitrate) {
        self.rate = times(available, self.config.factor);
    }

    /// Sends what comes next as a probe, at its rate, until enough has left. One that is under way is given
    /// up for it.
    pub(crate) fn begin_probe(&mut self, now: CaptureTime, cluster: ProbeCluster) {
        // What is owed at the other rate would only put the probe off.
        self.empty_at = self.empty_at.min(now + PROBE_BURST);
        self.probe = Some(Probe {
            packets_left: cluster.min_packets,
            bytes_left: cluster.min_bytes,
            until: now + PROBE_TIMEOUT,
            cluster,
        });
    }

    /// The cluster that what leaves now belongs to.
    pub(crate) fn probing(&self) -> Option<u32> {
        self.probe.as_ref().map(|probe| probe.cluster.id)
    }

    /// A packet of `bytes` waits.
    pub(crate) fn on_queued(&mut self, bytes: usize) {
        self.queued_bytes += bytes;
    }

    /// Packets of `bytes` that waited will not leave.
    pub(crate) fn on_dropped(&mut self, bytes: usize) {
        self.queued_bytes = self.queued_bytes.saturating_sub(bytes);
    }

    /// A packet of `bytes` leaves. `waited`: it was told of by [`on_queued`](Self::on_queued).
    pub(crate) fn on_sent(&mut self, now: CaptureTime, bytes: usize, waited: bool) {
        if waited {
            self.on_dropped(bytes);
        }
        self.empty_at = self.empty_at.max(now) + self.rate().time_for(bytes);
        let Some(probe) = &mut self.probe else { return };
        probe.packets_left = probe.packets_left.saturating_sub(1);
        probe.bytes_left = probe.bytes_left.saturating_sub(bytes);
        if probe.packets_left == 0 && probe.bytes_left == 0 {
            self.probe = None;
        }
    }

    /// Gives up a probe: there is nothing to send for it.
    pub(crate) fn end_probe(&mut self) {
        self.probe = None;
    }

    /// Gives up a probe that nothing was left to send for in time.
    pub(crate) fn handle_timeout(&mut self, now: CaptureTime) {
        self.probe.take_if(|probe| probe.until <= now);
    }

    /// When the next packet may leave: now or earlier means at once.
    pub(crate) fn next_at(&self) -> CaptureTime {
        let burst = if self.probe.is_some() { PROBE_BURST } else { self.config.burst };
        CaptureTime::from_epoch(self.empty_at.since_epoch().saturating_sub(burst))
    }

    /// How long it takes until everything that waits has left.
    pub(crate) fn backlog(&self) -> Duration {
        self.rate.time_for(self.queued_bytes)
    }

    /// The rate that packets leave at, at most.
    pub(crate) fn rate(&self) -> Bitrate {
        self.probe.as_ref().map_or(self.rate, |probe| probe.cluster.bitrate.max(self.rate))
    }
}

fn times(rate: Bitrate, factor: f32) -> Bitrate {
    let bps = f64::from(rate.as_bps()) * f64::from(factor);
    Bitrate::bps(bps.clamp(f64::from(LEAST_RATE.as_bps()), f64::from(u32::MAX)) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SenderConfig;

    fn at(millis: u64) -> CaptureTime {
        CaptureTime::from_epoch(Duration::from_secs(1_000) + Duration::from_millis(millis))
    }

    /// One packet of 1,000 bytes in each millisecond, and 10 ms of them at once.
    fn pacer() -> Pacer {
        let mut pacer = Pacer::new(SenderConfig::default().pacing, Bitrate::kbps(1));
        pacer.rate = Bitrate::kbps(8_000);
        pacer
    }

    /// Sends `packets` of 1,000 bytes as fast as the pacer lets, from 0 ms on; answers with their times.
    fn drain(pacer: &mut Pacer, packets: usize) -> Vec<u64> {
        let mut now = at(0);
        (0..packets)
            .map(|_| {
                now = now.max(pacer.next_at());
                pacer.on_sent(now, 1_000, false);
                now.saturating_since(at(0)).as_millis() as u64
            })
            .collect()
    }

    #[test]
    fn a_key_frame_is_spread_at_the_paced_rate() {
        let times = drain(&mut pacer(), 200);
        assert_eq!(times[..11], [0; 11], "the burst leaves at once");
        assert_eq!(times[11..15], [1, 2, 3, 4]);
        assert_eq!(times[199], 189);
    }

    #[test]
    fn what_was_measured_is_paced_closer_than_what_is_hoped_for() {
        let mut pacer = Pacer::new(SenderConfig::default().pacing, Bitrate::kbps(4_000));
        assert_eq!(pacer.rate(), Bitrate::kbps(10_000));
        pacer.set_measured(Bitrate::kbps(4_000));
        assert_eq!(pacer.rate(), Bitrate::kbps(4_400));
        pacer.set_measured(Bitrate::bps(0));
        assert_eq!(pacer.rate(), LEAST_RATE, "what waits leaves some day");
    }

    #[test]
    fn idle_time_does_not_add_up_to_a_larger_burst() {
        let mut pacer = pacer();
        drain(&mut pacer, 50);
        let now = at(60_000);
        let mut at_once = 0;
        while pacer.next_at() <= now {
            pacer.on_sent(now, 1_000, false);
            at_once += 1;
        }
        assert_eq!(at_once, 11);
        assert!(pacer.next_at() <= now + Duration::from_millis(1));
    }

    #[test]
    fn the_backlog_is_the_time_to_drain_it() {
        let mut pacer = pacer();
        pacer.on_queued(50_000);
        assert_eq!(pacer.backlog(), Duration::from_millis(50));
        pacer.on_sent(at(0), 10_000, true);
        assert_eq!(pacer.backlog(), Duration::from_millis(40));
        pacer.on_sent(at(0), 10_000, false);
        assert_eq!(pacer.backlog(), Duration::from_millis(40), "it never waited");
        pacer.on_dropped(20_000);
        assert_eq!(pacer.backlog(), Duration::from_millis(20));
        pacer.rate = Bitrate::kbps(4_000);
        assert_eq!(pacer.backlog(), Duration::from_millis(40));
    }

    #[test]
    fn a_probe_leaves_evenly_at_its_own_rate_and_ends_when_enough_has_left() {
        let mut pacer = pacer();
        drain(&mut pacer, 11);
        let cluster =
            ProbeCluster { id: 7, bitrate: Bitrate::kbps(16_000), min_packets: 5, min_bytes: 8_000 };
        pacer.begin_probe(at(0), cluster);
        let mut times = Vec::new();
        while pacer.probing() == Some(7) {
            let now = pacer.next_at();
            pacer.on_sent(now, 1_000, false);
            times.push(now.saturating_since(at(0)).as_micros());
        }
        assert_eq!(
            times,
            [0, 500, 1_000, 1_500, 2_000, 2_500, 3_000, 3_500],
            "five packets are not bytes enough"
        );
        assert_eq!(pacer.rate(), Bitrate::kbps(8_000));
    }

    #[test]
    fn a_probe_for_which_nothing_is_left_is_given_up() {
        let mut pacer = pacer();
        let cluster =
            ProbeCluster { id: 7, bitrate: Bitrate::kbps(16_000), min_packets: 5, min_bytes: 8_000 };
        pacer.begin_probe(at(0), cluster);
        pacer.handle_timeout(at(999));
        assert_eq!(pacer.probing(), Some(7));
        pacer.handle_timeout(at(1_000));
        assert_eq!(pacer.probing(), None);
    }
}
