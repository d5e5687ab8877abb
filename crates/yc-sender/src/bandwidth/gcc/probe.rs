//! Short bursts above the estimate, to see what gets through.

use std::time::Duration;

use yc_media::{Bitrate, CaptureTime};

use crate::bandwidth::{ProbeCluster, SentPacket};

/// Says when to probe, and reads what became of it. One cluster at a time.
///
/// The figures are those of libwebrtc's `probe_controller.cc` and `probe_bitrate_estimator.cc` where nothing
/// else is said. A screen's rate jumps from nothing to everything: growth by 8 % a second comes too late for
/// it, so probes do most of the finding.
#[derive(Debug)]
pub(super) struct Probing {
    next_id: u32,
    waiting: Option<ProbeCluster>,
    running: Option<Running>,
    due: Option<CaptureTime>,
    interval: Duration,
    /// The next cluster asks for so many times the estimate.
    factor: f64,
    /// How exactly arrivals are timed.
    jitter: Duration,
    /// No cluster was asked for yet.
    first: bool,
}

/// What a probe is decided by. Bits per second.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outlook {
    pub(super) rate: f64,
    pub(super) wanted: f64,
    /// There is no use in more than this.
    pub(super) ceiling: f64,
    /// No queue, no cut, no silence: what is seen would be the probe's own doing.
    pub(super) calm: bool,
    pub(super) application_limited: bool,
    /// For how long nothing has shown that the rate gets through.
    pub(super) unverified: Duration,
    /// How exactly arrivals are timed.
    pub(super) jitter: Duration,
}

/// What a cluster is held against. Bits per second.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    /// The estimate.
    pub(super) rate: f64,
    /// As in [`Outlook`].
    pub(super) ceiling: f64,
    /// What gets through at up to this rate is no news.
    pub(super) old: f64,
}

/// What a cluster showed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum ProbeResult {
    /// This much got through, in bits per second, and there was room.
    Through(f64),
    /// It got through slower than it was sent: this is all there is.
    Saturated(f64),
}

impl Probing {
    pub(super) fn new() -> Self {
        Self {
            next_id: 1,
            waiting: None,
            running: None,
            due: None,
            interval: INTERVAL,
            factor: FIRST_FACTOR,
            jitter: Duration::ZERO,
            first: true,
        }
    }

    /// The cluster to be sent now.
    pub(super) fn poll(&mut self) -> Option<ProbeCluster> {
        self.waiting.take()
    }

    /// When [`plan`](Self::plan) wants to be called next.
    pub(super) fn due(&self) -> Option<CaptureTime> {
        let expiry = self.running.as_ref().map(|running| running.asked + EXPIRY);
        expiry.or(self.due)
    }

    /// The line may be another than the one that was probed last.
    pub(super) fn renew(&mut self, now: CaptureTime) {
        self.interval = INTERVAL;
        self.factor = self.factor.max(FACTOR);
        self.hasten(now);
    }

    /// Plans a probe at `at`, if that is earlier than what is planned.
    pub(super) fn hasten(&mut self, at: CaptureTime) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// Asks for a probe if it is time for one, and one would tell something.
    pub(super) fn plan(&mut self, now: CaptureTime, outlook: &Outlook) {
        if self.running.as_ref().is_some_and(|running| now.saturating_since(running.asked) >= EXPIRY) {
            self.back_off(now, outlook.rate);
        }
        if self.running.is_some() || self.due.is_some_and(|due| now < due) {
            return;
        }
        self.jitter = outlook.jitter;
        self.due = Some(now + LOOK_AGAIN);
        if !outlook.calm {
            return;
        }
        if outlook.rate < outlook.wanted.min(outlook.ceiling) * NEAR_ENOUGH || self.first {
            let target = (outlook.rate * self.factor).min(outlook.ceiling);
            if target > outlook.rate {
                self.ask(now, target);
            }
            let pause = if outlook.application_limited { INTERVAL_LIMITED } else { self.interval };
            self.due = Some(now + pause);
        } else if outlook.unverified > UNVERIFIED {
            self.ask(now, outlook.rate.min(outlook.wanted));
            self.due = Some(now + UNVERIFIED);
        }
    }

    /// A packet of a cluster arrived `at`, in microseconds of the receiver's clock; it left `sent`, of ours.
    pub(super) fn add(&mut self, packet: &SentPacket, sent: i64, at: i64) {
        if let Some(running) = &mut self.running
            && packet.probe == Some(running.cluster.id)
        {
            running.train.add(sent, at, packet.bytes);
        }
    }

    /// Reads the cluster, if enough of it arrived. Where there is room for more, the next one follows at
    /// once.
    pub(super) fn conclude(&mut self, now: CaptureTime, known: Known) -> Option<ProbeResult> {
        let running = self.running.as_ref()?;
        let result = running.train.result(&running.cluster, self.jitter)?;
        let asked = f64::from(running.cluster.bitrate.as_bps());
        self.running = None;
        match result {
            ProbeResult::Through(rate) if rate > (asked * FURTHER).max(known.old) => {
                self.interval = INTERVAL;
                self.factor = FACTOR;
                if asked * WORTH_IT < known.ceiling {
                    self.ask(now, (rate * FACTOR).min(known.ceiling));
                }
            }
            // More than was known is no failure: see whether it was all.
            ProbeResult::Through(rate) | ProbeResult::Saturated(rate)
                if rate > (known.rate * WORTH_A_LOOK).max(known.old) =>
            {
                self.due = Some(now + LOOK_AGAIN);
            }
            _ => self.back_off(now, known.rate),
        }
        Some(result)
    }

    fn ask(&mut self, now: CaptureTime, bps: f64) {
        let bitrate = Bitrate::bps(bps as u32);
        let cluster = ProbeCluster {
            id: self.next_id,
            bitrate,
            min_packets: MIN_PACKETS,
            min_bytes: bitrate.bytes_in(MIN_DURATION + (self.jitter * JITTERS).min(MOST_JITTER)),
        };
        self.next_id = self.next_id.wrapping_add(1);
        self.first = false;
        self.waiting = Some(cluster);
        self.running = Some(Running { cluster, asked: now, train: Train::default() });
    }

    fn back_off(&mut self, now: CaptureTime, estimate: f64) {
        self.waiting = None;
        self.running = None;
        self.factor = CAREFUL_FACTOR;
        self.interval = (self.interval + INTERVAL / 8).min(LONGEST_INTERVAL);
        let affordable = Duration::from_secs_f64(SMALLEST_CLUSTER / (estimate * SHARE).max(1e4));
        self.due = self.due.max(Some(now + self.interval.max(affordable)));
    }
}

#[derive(Debug)]
struct Running {
    cluster: ProbeCluster,
    asked: CaptureTime,
    train: Train,
}

/// The packets of a cluster that arrived. Times are microseconds, since the first packet told of.
#[derive(Debug, Default)]
struct Train {
    origin: Option<(i64, i64)>,
    packets: u32,
    bytes: usize,
    /// When the first and the last packet left; the bytes of the last.
    first: f64,
    last: (f64, usize),
    /// Sums of leaving, arriving, leaving squared, leaving times arriving.
    sums: [f64; 4],
}

impl Train {
    fn add(&mut self, sent: i64, arrived: i64, bytes: usize) {
        let origin = *self.origin.get_or_insert((sent, arrived));
        let (sent, arrived) = ((sent - origin.0) as f64, (arrived - origin.1) as f64);
        self.first = self.first.min(sent);
        if sent >= self.last.0 {
            self.last = (sent, bytes);
        }
        self.packets = self.packets.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        for (sum, value) in self.sums.iter_mut().zip([sent, arrived, sent * sent, sent * arrived]) {
            *sum += value;
        }
    }

    /// The rate it left at, and by how much its arrival was stretched: the slope of a line through all
    /// packets, for jitter moves the first and the last one as far as any other.
    fn result(&self, cluster: &ProbeCluster, jitter: Duration) -> Option<ProbeResult> {
        let enough = f64::from(self.packets) >= f64::from(cluster.min_packets) * COMPLETE
            && self.bytes as f64 >= cluster.min_bytes as f64 * COMPLETE;
        let took = self.last.0 - self.first;
        let count = f64::from(self.packets);
        let [sent, arrived, squares, products] = self.sums;
        let variance = squares - sent * sent / count;
        if !enough || took <= 0.0 || took > LONGEST_TRAIN || variance <= 0.0 {
            return None;
        }
        let stretch = (products - sent * arrived / count) / variance;
        let error = (jitter.as_micros() as f64 / took).min(LARGEST_ERROR);
        let rate = self.bytes.saturating_sub(self.last.1) as f64 * 8e6 / took;
        Some(if stretch * (1.0 - error) > STRETCHED {
            ProbeResult::Saturated(rate / stretch * OF_SATURATED)
        } else {
            ProbeResult::Through(rate / (stretch * (1.0 + error)).max(1.0))
        })
    }
}

/// A cluster has at least so many packets, and lasts at least so long: timing of fewer is noise. Where
/// arrivals are not timed well it lasts longer, by a few times the jitter.
const MIN_PACKETS: u32 = 5;
const MIN_DURATION: Duration = Duration::from_millis(20);
const JITTERS: u32 = 5;
const MOST_JITTER: Duration = Duration::from_millis(60);

/// The first cluster asks for three times the estimate, each one after it for twice. A line that had no room
/// when it was asked last is asked for less, for on a narrow one five packets are a queue.
const FIRST_FACTOR: f64 = 3.0;
const FACTOR: f64 = 2.0;
const CAREFUL_FACTOR: f64 = 1.5;

/// The next cluster follows at once where this part of the one before got through, and there is this much to
/// find.
const FURTHER: f64 = 0.7;
const WORTH_IT: f64 = 1.1;

/// A probe that found this much more than the estimate is followed by another soon.
const WORTH_A_LOOK: f64 = 1.2;

/// Nobody probes for the rest above this part of what is wanted.
const NEAR_ENOUGH: f64 = 0.95;

/// Between clusters while the estimate is below what is wanted; after those that found nothing, a little
/// longer. Shorter than libwebrtc's 5 s: what was lost in a bad moment is to be had back within 5 s.
const INTERVAL: Duration = Duration::from_secs(2);
const LONGEST_INTERVAL: Duration = Duration::from_millis(2_250);

/// Probes that find nothing are this part of what is sent, at most: bits of the smallest cluster.
const SHARE: f64 = 0.05;
const SMALLEST_CLUSTER: f64 = 5.0 * 1_200.0 * 8.0;

/// The same for a sender that does not need more now.
const INTERVAL_LIMITED: Duration = Duration::from_secs(5);

/// An estimate that nothing has confirmed for this long is probed for itself.
const UNVERIFIED: Duration = Duration::from_secs(10);

/// A moment that is not calm is waited out in these steps.
const LOOK_AGAIN: Duration = Duration::from_millis(300);

/// A cluster that has not arrived after this long will not.
const EXPIRY: Duration = Duration::from_secs(2);

/// A cluster counts once this part of it arrived.
const COMPLETE: f64 = 0.8;

/// No cluster lasts longer than this, in microseconds.
const LONGEST_TRAIN: f64 = 1_000_000.0;

/// Arriving stretched by this much is what a bottleneck does; some less than what it lets through does not
/// fill its queue.
const STRETCHED: f64 = 1.1;
const OF_SATURATED: f64 = 0.95;

/// The jitter makes the stretch uncertain by a part of it, up to this.
const LARGEST_ERROR: f64 = 0.3;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> CaptureTime {
        CaptureTime::from_epoch(Duration::from_millis(millis))
    }

    fn outlook(rate: f64) -> Outlook {
        Outlook {
            rate,
            wanted: 6e6,
            ceiling: 9e6,
            calm: true,
            application_limited: false,
            unverified: Duration::ZERO,
            jitter: Duration::ZERO,
        }
    }

    /// Sends what is asked for through a bottleneck of `bottleneck` bits per second; answers with the rate
    /// asked.
    fn run(probing: &mut Probing, now: u64, bottleneck: f64) -> Option<(f64, Option<ProbeResult>)> {
        let cluster = probing.poll()?;
        let asked = f64::from(cluster.bitrate.as_bps());
        let mut free = 0.0;
        let packets = cluster.min_packets.max((cluster.min_bytes / 1_200) as u32 + 1);
        for n in 0..packets {
            let sent = f64::from(n) * 9_600e6 / asked;
            free = f64::max(free, sent) + 9_600e6 / bottleneck;
            let packet = SentPacket::new(u64::from(n), at(0), 1_200).with_probe(Some(cluster.id));
            probing.add(&packet, sent as i64, 50_000 + free as i64);
        }
        Some((asked, probing.conclude(at(now), Known { rate: 1e6, ceiling: 9e6, old: 0.0 })))
    }

    #[test]
    fn a_wide_line_is_found_in_two_clusters() {
        let mut probing = Probing::new();
        probing.plan(at(0), &outlook(1e6));
        let (asked, result) = run(&mut probing, 100, 1e9).unwrap();
        assert_eq!(asked, 3e6);
        assert!(matches!(result, Some(ProbeResult::Through(rate)) if (rate - 3e6).abs() < 1e4), "{result:?}");
        let (asked, _) = run(&mut probing, 200, 1e9).unwrap();
        assert!((asked - 6e6).abs() < 2e4);
        let (asked, _) = run(&mut probing, 300, 1e9).unwrap();
        assert_eq!(asked, 9e6);
        assert_eq!(probing.poll(), None);
    }

    #[test]
    fn a_bottleneck_is_measured_and_the_next_probe_waits() {
        let mut probing = Probing::new();
        probing.plan(at(0), &outlook(1e6));
        let (_, result) = run(&mut probing, 100, 1.2e6).unwrap();
        assert!(
            matches!(result, Some(ProbeResult::Saturated(rate)) if (1e6..1.2e6).contains(&rate)),
            "{result:?}"
        );
        probing.plan(at(2_300), &outlook(1.1e6));
        assert_eq!(probing.poll(), None);
        probing.plan(at(2_400), &outlook(1.1e6));
        assert!(probing.poll().is_some());
    }

    #[test]
    fn nothing_is_probed_in_a_moment_that_is_not_calm_nor_for_what_is_not_wanted() {
        let mut probing = Probing::new();
        probing.plan(at(0), &Outlook { calm: false, ..outlook(1e6) });
        assert_eq!(probing.poll(), None);
        probing.plan(at(1_000), &outlook(9e6));
        probing.plan(at(30_000), &outlook(9e6));
        assert_eq!(probing.poll(), None);
    }

    #[test]
    fn an_estimate_that_nothing_confirmed_is_probed_up_to_what_is_wanted() {
        let mut probing = Probing::new();
        probing.plan(at(0), &outlook(6e6));
        let (asked, _) = run(&mut probing, 100, 1e9).unwrap();
        assert_eq!(asked, 9e6);
        probing.plan(at(20_000), &outlook(9e6));
        assert_eq!(probing.poll(), None);
        probing.plan(at(40_000), &Outlook { unverified: Duration::from_secs(11), ..outlook(9e6) });
        assert_eq!(probing.poll().map(|cluster| cluster.bitrate), Some(Bitrate::kbps(6_000)));
    }

    #[test]
    fn a_cluster_that_never_arrives_is_given_up() {
        let mut probing = Probing::new();
        probing.plan(at(0), &outlook(1e6));
        assert!(probing.poll().is_some());
        assert_eq!(probing.due(), Some(at(2_000)));
        probing.plan(at(2_000), &outlook(1e6));
        assert_eq!(probing.poll(), None);
        let due = probing.due().unwrap();
        probing.plan(due, &outlook(1e6));
        assert!(probing.poll().is_some());
    }

    #[test]
    fn packets_at_one_time_and_of_other_clusters_measure_nothing() {
        let mut probing = Probing::new();
        probing.plan(at(0), &outlook(1e6));
        let id = probing.poll().unwrap().id;
        for n in 0..10_u32 {
            let other = SentPacket::new(u64::from(n), at(0), 2_000).with_probe(Some(id + 1));
            probing.add(&other, i64::from(n) * 100, i64::from(n) * 100);
            let same = SentPacket::new(u64::from(n), at(0), 2_000).with_probe(Some(id));
            probing.add(&same, 0, 0);
        }
        assert_eq!(probing.conclude(at(100), Known { rate: 1e6, ceiling: 9e6, old: 0.0 }), None);
    }
}
