//! How much arrived: in a stretch of time, and while packets waited at the bottleneck.

use std::time::Duration;

use yc_media::CaptureTime;

/// Bytes in the last second, in bins of 10 ms: of packets that left, by our clock, or of those that arrived,
/// by the receiver's. Times are microseconds.
#[derive(Debug)]
pub(super) struct Throughput {
    bins: [u32; BINS],
    /// The bin that the latest time falls in, counted from the clock's epoch.
    latest: Option<i64>,
    /// The bin that counting began in.
    began: i64,
}

impl Throughput {
    pub(super) fn new() -> Self {
        Self { bins: [0; BINS], latest: None, began: 0 }
    }

    /// `bytes` at `at`.
    pub(super) fn add(&mut self, at: i64, bytes: usize) {
        let bin = at.div_euclid(BIN);
        self.advance(at);
        let latest = *self.latest.get_or_insert(bin);
        if latest.saturating_sub(bin) < BINS as i64 {
            let slot = &mut self.bins[bin.rem_euclid(BINS as i64) as usize];
            *slot = slot.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        }
    }

    /// Time has come to `at`.
    pub(super) fn advance(&mut self, at: i64) {
        let bin = at.div_euclid(BIN);
        match self.latest {
            Some(latest) if bin <= latest => return,
            Some(latest) if bin - latest < BINS as i64 => {
                (latest + 1..=bin).for_each(|bin| self.bins[bin.rem_euclid(BINS as i64) as usize] = 0);
            }
            _ => {
                self.bins = [0; BINS];
                self.began = bin;
            }
        }
        self.latest = Some(bin);
    }

    /// Bits per second in the last `window` microseconds, a second at most; in the time since counting began,
    /// if that is less. `None` in the first 50 ms.
    pub(super) fn rate(&self, window: i64) -> Option<f64> {
        let latest = self.latest?;
        let bins = (window / BIN).min(BINS as i64).min(latest - self.began + 1);
        if bins < FEWEST_BINS {
            return None;
        }
        let bytes = (0..bins)
            .map(|n| f64::from(self.bins[(latest - n).rem_euclid(BINS as i64) as usize]))
            .sum::<f64>();
        Some(bytes * 8.0 * 1_000_000.0 / (bins * BIN) as f64)
    }
}

/// What the bottleneck let through while packets waited before it, which is all that it can.
///
/// What arrives in a fixed window says less: it counts the time in which a bursty sender sent nothing.
#[derive(Debug, Default)]
pub(super) struct Saturated {
    bytes: f64,
    micros: f64,
    packets: f64,
    /// When the latest packet arrived, in microseconds.
    at: Option<i64>,
    /// When the latest of those that waited did.
    waited_at: i64,
}

impl Saturated {
    /// A packet of `bytes` arrived `at` after it had waited for `waited`: microseconds.
    pub(super) fn add(&mut self, at: i64, waited: i64, bytes: usize) {
        let is_fresh = at.saturating_sub(self.waited_at) <= STALE;
        let Some(before) = self.at.replace(at).filter(|_| is_fresh) else {
            *self = Self { at: Some(at), waited_at: at, ..Self::default() };
            return;
        };
        let elapsed = at.saturating_sub(before);
        // A packet that came late, by another way, took no time of its own.
        if elapsed < 0 {
            self.at = Some(before);
        }
        if waited < WAITING {
            return;
        }
        self.waited_at = self.waited_at.max(at);
        self.bytes += bytes as f64;
        self.micros += elapsed.max(0) as f64;
        self.packets += 1.0;
        if self.micros > MEMORY && self.packets > FEWEST_PACKETS {
            self.bytes /= 2.0;
            self.micros /= 2.0;
            self.packets /= 2.0;
        }
    }

    /// Bits per second, if packets waited lately, and for long enough to say.
    pub(super) fn rate(&self) -> Option<f64> {
        (self.micros >= SHORTEST && self.packets >= FEWEST_PACKETS / 2.0)
            .then(|| self.bytes * 8.0 * 1_000_000.0 / self.micros)
    }
}

/// The most of the last two to four seconds.
#[derive(Debug, Default)]
pub(super) struct Peak {
    began: CaptureTime,
    before: f64,
    present: f64,
}

impl Peak {
    pub(super) fn add(&mut self, now: CaptureTime, value: f64) {
        if now.saturating_since(self.began) > PEAK_EPOCH {
            self.before = self.present;
            self.present = 0.0;
            self.began = now;
        }
        self.present = self.present.max(value);
    }

    pub(super) fn get(&self) -> f64 {
        self.present.max(self.before)
    }
}

const PEAK_EPOCH: Duration = Duration::from_secs(2);

const BIN: i64 = 10_000;
const BINS: usize = 100;
const FEWEST_BINS: i64 = 5;

/// A packet that waited less than this may have found the bottleneck idle before it.
const WAITING: i64 = 10_000;

/// What waited before a time this long in which nothing did says nothing any more: the bottleneck may have become
/// another.
const STALE: i64 = 500_000;

/// Waiting packets count half after this much waiting time, in microseconds, and so many packets.
const MEMORY: f64 = 300_000.0;
const FEWEST_PACKETS: f64 = 10.0;

/// A shorter time says nothing, in microseconds.
const SHORTEST: f64 = 50_000.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_window_or_of_the_time_since_the_start() {
        let mut throughput = Throughput::new();
        throughput.add(0, 1_000);
        assert_eq!(throughput.rate(500_000), None);
        (1..10).for_each(|n| throughput.add(n * 10_000, 1_000));
        assert_eq!(throughput.rate(500_000), Some(800_000.0));
        (10..150).for_each(|n| throughput.add(n * 10_000, 2_000));
        assert_eq!(throughput.rate(500_000), Some(1_600_000.0));
        throughput.advance(1_740_000);
        assert_eq!(throughput.rate(500_000), Some(800_000.0));
        throughput.advance(100_000_000);
        throughput.advance(100_200_000);
        assert_eq!(throughput.rate(500_000), Some(0.0));
    }

    #[test]
    fn what_comes_late_counts_where_it_belongs_and_what_is_older_not_at_all() {
        let mut throughput = Throughput::new();
        (0..100).for_each(|n| throughput.add(n * 10_000, 1_000));
        throughput.add(0, 1_000);
        throughput.add(-20_000_000, 1_000);
        assert_eq!(throughput.rate(1_000_000), Some(808_000.0));
        assert_eq!(throughput.rate(500_000), Some(800_000.0));
    }

    #[test]
    fn only_time_in_which_packets_wait_counts() {
        let mut saturated = Saturated::default();
        // Bursts of ten packets that take 100 ms, then 400 ms of nothing.
        for burst in 0..4 {
            saturated.add(burst * 500_000, 0, 1_000);
            (1..10).for_each(|n| saturated.add(burst * 500_000 + n * 10_000, 10_000 * n, 1_000));
        }
        assert_eq!(saturated.rate(), Some(800_000.0));
        saturated.add(9_000_000, 50_000, 1_000);
        assert_eq!(saturated.rate(), None);
    }

    #[test]
    fn a_bottleneck_that_became_wider_is_not_held_against_what_it_was() {
        let mut saturated = Saturated::default();
        (0..100).for_each(|n| saturated.add(n * 20_000, 50_000, 1_000));
        assert_eq!(saturated.rate(), Some(400_000.0));
        // Nothing waits, until ten times as much comes.
        (100..130).for_each(|n| saturated.add(n * 20_000, 0, 1_000));
        assert_eq!(saturated.rate(), None);
        (0..100).for_each(|n| saturated.add(2_582_000 + n * 2_000, 50_000, 1_000));
        assert_eq!(saturated.rate(), Some(4_000_000.0));
    }
}
