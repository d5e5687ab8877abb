//! How the estimate moves: up while nothing is wrong, down to what got through when a queue grows.

use std::time::Duration;

use yc_media::CaptureTime;

/// Additive increase, multiplicative decrease. [draft-ietf-rmcat-gcc-02
/// §5.5](https://datatracker.ietf.org/doc/html/draft-ietf-rmcat-gcc-02#section-5.5). Bits per second.
#[derive(Debug)]
pub(super) struct Aimd {
    rate: f64,
    lowest: f64,
    highest: f64,
    capacity: LinkCapacity,
    /// When the rate last had the chance to grow.
    looked_at: Option<CaptureTime>,
    cut_at: Option<CaptureTime>,
}

impl Aimd {
    pub(super) fn new(start: f64, lowest: f64, highest: f64) -> Self {
        Self {
            rate: start,
            lowest,
            highest,
            capacity: LinkCapacity::default(),
            looked_at: None,
            cut_at: None,
        }
    }

    pub(super) fn rate(&self) -> f64 {
        self.rate
    }

    /// How long ago the rate was cut, if ever.
    pub(super) fn since_cut(&self, now: CaptureTime) -> Duration {
        self.cut_at.map_or(Duration::MAX, |cut| now.saturating_since(cut))
    }

    /// Goes down to a part of what got through: a queue grew. Not again before the `response` of the network
    /// to the cut before can have been seen, unless what got through is far below.
    pub(super) fn cut(&mut self, now: CaptureTime, throughput: f64, response: Duration) {
        if self.since_cut(now) < response && throughput * 2.0 > self.rate {
            return;
        }
        self.capacity.observe(throughput);
        self.lower(now, throughput * BETA);
    }

    /// Goes down to `rate`, if it is above.
    pub(super) fn lower(&mut self, now: CaptureTime, rate: f64) {
        self.rate = self.rate.min(rate).max(self.lowest);
        self.cut_at = Some(now);
        self.looked_at = Some(now);
    }

    /// Goes to `rate`, which was seen to get through in a short burst. What is little above the known
    /// capacity is an error of that measurement, and leads to the capacity.
    pub(super) fn raise(&mut self, now: CaptureTime, rate: f64) {
        let rate = match self.capacity() {
            Some(capacity) if rate < capacity * NEWS => {
                self.capacity.approach(rate);
                rate.min(capacity * BELOW_CAPACITY)
            }
            _ => {
                self.capacity = LinkCapacity::default();
                rate
            }
        };
        self.rate = self.rate.max(rate.min(self.highest));
        self.looked_at = Some(now);
    }

    /// What the bottleneck let through when queues grew, if they ever did.
    pub(super) fn capacity(&self) -> Option<f64> {
        self.capacity.average.map(|average| average * 1_000.0)
    }

    /// Whether the rate is what the bottleneck takes, or so little below it that a burst finds no room.
    pub(super) fn at_capacity(&self) -> bool {
        self.capacity()
            .is_some_and(|capacity| (capacity * FULL_FROM..=capacity * FULL_TO).contains(&self.rate))
    }

    /// Goes up by what the time since the last look allows, to `ceiling` at most: by a packet or so for each
    /// `response` near the capacity seen before, by 8 % a second away from it.
    pub(super) fn increase(&mut self, now: CaptureTime, response: Duration, ceiling: f64) {
        let elapsed = now.saturating_since(self.looked_at.replace(now).unwrap_or(now)).min(LONGEST_STEP);
        let seconds = elapsed.as_secs_f64();
        let grown = if self.capacity.near(self.rate) {
            // In proportion to the rate as well: a packet is much on a narrow line, and nothing on a wide
            // one.
            let step = PACKET / response.as_secs_f64().max(0.1);
            self.rate + step.clamp(self.rate * SLOWEST, self.rate * FASTEST) * seconds
        } else {
            self.rate * MULTIPLICATIVE.powf(seconds)
        };
        self.rate = self.rate.max(grown.min(ceiling)).min(self.highest);
    }

    /// Nothing grows in this time.
    pub(super) fn hold(&mut self, now: CaptureTime) {
        self.looked_at = Some(now);
    }
}

/// What the bottleneck let through when queues grew: an average in kbit/s, and how far the values lie from
/// it.
#[derive(Debug, Default)]
struct LinkCapacity {
    average: Option<f64>,
    /// Variance in parts of the average.
    variance: f64,
}

impl LinkCapacity {
    fn observe(&mut self, bps: f64) {
        let value = bps / 1_000.0;
        let (low, high) = self.bounds().unwrap_or((0.0, f64::MAX));
        if !(low..=high).contains(&value) {
            self.average = None;
        }
        let before = *self.average.get_or_insert(value);
        let average = before + WEIGHT * (value - before);
        let error = (value - before) * (value - before) / average.max(1.0);
        self.variance = (self.variance + WEIGHT * (error - self.variance)).clamp(0.4, 2.5);
        self.average = Some(average);
    }

    /// Whether `bps` may be what the bottleneck takes.
    fn near(&self, bps: f64) -> bool {
        // From where a cut leads to on.
        self.bounds().is_some_and(|(low, high)| (low * BETA..=high).contains(&(bps / 1_000.0)))
    }

    /// A short burst got through at `bps`: it counts if it is more.
    fn approach(&mut self, bps: f64) {
        self.average =
            self.average.map(|average| average + ((bps / 1_000.0) - average).max(0.0) * WEIGHT_OF_BURST);
    }

    fn bounds(&self) -> Option<(f64, f64)> {
        let average = self.average?;
        let deviation = (self.variance * average).sqrt();
        Some((average - 3.0 * deviation, average + 3.0 * deviation))
    }
}

/// β of the draft, §5.5: the queue that grew drains while a little less is sent than gets through.
const BETA: f64 = 0.85;

/// η of the draft, §5.5: for each second.
const MULTIPLICATIVE: f64 = 1.08;

/// Additive growth: this many bits for each response time…
const PACKET: f64 = 1_200.0 * 8.0;

/// …in these parts of the rate, for each second.
const SLOWEST: f64 = 0.03;
const FASTEST: f64 = 0.06;

/// A burst that got through at this many times the capacity tells of another capacity; one at less leads to a
/// little below it.
const NEWS: f64 = 1.2;
const BELOW_CAPACITY: f64 = 0.95;

/// These parts of the known capacity are all of it; a rate above them shows that there is more.
const FULL_FROM: f64 = 0.93;
const FULL_TO: f64 = 1.15;

/// Time that passed without a look does not add up.
const LONGEST_STEP: Duration = Duration::from_secs(1);

/// Of the latest value in the average capacity. `link_capacity_estimator.cc` of libwebrtc.
const WEIGHT: f64 = 0.05;

/// Of a burst above it.
const WEIGHT_OF_BURST: f64 = 0.3;

#[cfg(test)]
mod tests {
    use super::*;

    const RESPONSE: Duration = Duration::from_millis(200);

    fn at(millis: u64) -> CaptureTime {
        CaptureTime::from_epoch(Duration::from_millis(millis))
    }

    fn grow(aimd: &mut Aimd, from: u64, to: u64) -> f64 {
        (from..=to).step_by(100).for_each(|millis| aimd.increase(at(millis), RESPONSE, 1e9));
        aimd.rate()
    }

    #[test]
    fn away_from_a_known_capacity_it_grows_by_eight_percent_a_second() {
        let mut aimd = Aimd::new(1_000_000.0, 150_000.0, 1e8);
        let rate = grow(&mut aimd, 0, 3_000);
        assert!((rate - 1_259_712.0).abs() < 1.0, "{rate}");
    }

    #[test]
    fn near_the_capacity_it_grows_by_packets() {
        let mut aimd = Aimd::new(2_000_000.0, 150_000.0, 1e8);
        aimd.cut(at(0), 1_000_000.0, RESPONSE);
        assert_eq!(aimd.rate(), 850_000.0);
        let rate = grow(&mut aimd, 100, 1_000);
        assert!((890_000.0..905_000.0).contains(&rate), "{rate}");
        aimd.raise(at(1_100), 1_100_000.0);
        assert_eq!(aimd.rate(), 950_000.0, "no news");
        aimd.raise(at(1_100), 2_000_000.0);
        let rate = grow(&mut aimd, 1_100, 2_100);
        assert!((rate - 2_160_000.0).abs() < 1.0, "{rate}");
    }

    #[test]
    fn a_cut_waits_for_the_response_to_the_one_before_unless_far_too_much_is_sent() {
        let mut aimd = Aimd::new(2_000_000.0, 150_000.0, 1e8);
        aimd.cut(at(0), 1_000_000.0, RESPONSE);
        aimd.cut(at(100), 900_000.0, RESPONSE);
        assert_eq!(aimd.rate(), 850_000.0);
        aimd.cut(at(110), 300_000.0, RESPONSE);
        assert_eq!(aimd.rate(), 255_000.0);
        aimd.cut(at(400), 0.0, RESPONSE);
        assert_eq!(aimd.rate(), 150_000.0);
    }

    #[test]
    fn it_grows_to_the_ceiling_and_is_not_pulled_down_by_it() {
        let mut aimd = Aimd::new(1_000_000.0, 150_000.0, 1e8);
        (0..100).for_each(|n| aimd.increase(at(n * 100), RESPONSE, 1_100_000.0));
        assert_eq!(aimd.rate(), 1_100_000.0);
        aimd.increase(at(20_000), RESPONSE, 500_000.0);
        assert_eq!(aimd.rate(), 1_100_000.0);
    }
}
