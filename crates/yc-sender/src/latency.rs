//! How long the stages take: percentiles of the recent past, in memory of a fixed size.

use std::time::Duration;

use serde::Serialize;
use yc_media::CaptureTime;

/// How long frames took at each stage on their way from the screen to the network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StageLatencies {
    /// From the capture of a picture until the encoder's thread took it.
    pub queue: LatencySummary,
    /// To convert and scale it.
    pub convert: LatencySummary,
    /// To encode it.
    pub encode: LatencySummary,
    /// From the encoded frame until its packets waited to be sent.
    pub packetize: LatencySummary,
    /// From then until the last of them left, pacing included.
    pub send: LatencySummary,
    /// From the capture until the last packet left.
    pub total: LatencySummary,
}

/// How long something took in the last 30 to 60 seconds. All zero if it did not happen.
///
/// A percentile is never below the true one, and above it by at most 12.5 % or 1 µs, whichever is more; from
/// 62.9 s on it is told as the longest time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LatencySummary {
    /// How often it happened.
    pub count: u64,
    /// Half of the times are no longer than this, in milliseconds.
    pub p50_ms: f32,
    /// 95 % of the times are no longer than this, in milliseconds.
    pub p95_ms: f32,
    /// 99 % of the times are no longer than this, in milliseconds.
    pub p99_ms: f32,
    /// The longest time, in milliseconds; exact.
    pub max_ms: f32,
}

/// Counts durations in log-linear buckets over two halves that take turns, so that what is older than a
/// minute is forgotten. Takes the time as an argument; allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct LatencyHistogram {
    /// What was recorded since `since`, for at most [`HALF`].
    current: Half,
    /// What was recorded in the [`HALF`] before `since`.
    previous: Half,
    since: CaptureTime,
}

impl LatencyHistogram {
    /// Something that ended at `now` took `time`.
    pub(crate) fn record(&mut self, now: CaptureTime, time: Duration) {
        let age = now.saturating_since(self.since);
        if age >= HALF {
            let recent = age < 2 * HALF;
            self.previous = if recent { std::mem::take(&mut self.current) } else { Half::default() };
            self.current = Half::default();
            self.since = if recent { self.since + HALF } else { now };
        }
        self.current.record(time);
    }

    /// What was recorded in the last 30 to 60 seconds before `now`.
    pub(crate) fn summary(&self, now: CaptureTime) -> LatencySummary {
        let age = now.saturating_since(self.since);
        let halves = [(&self.current, 2 * HALF), (&self.previous, HALF)];
        let halves = halves.into_iter().filter(|(_, until)| age < *until).map(|(half, _)| half);
        let count: u64 = halves.clone().map(|half| half.count).sum();
        let longest = halves.clone().map(|half| half.longest).max().unwrap_or_default();
        let percentile = |percent: u64| {
            let rank = (count * percent).div_ceil(100);
            let mut below = 0;
            let bucket = (0..BUCKETS).find(|&bucket| {
                below += halves.clone().map(|half| u64::from(half.buckets[bucket])).sum::<u64>();
                below >= rank
            });
            millis(bucket.map_or(longest, |bucket| upper_edge(bucket).min(longest)))
        };
        LatencySummary {
            count,
            p50_ms: percentile(50),
            p95_ms: percentile(95),
            p99_ms: percentile(99),
            max_ms: millis(longest),
        }
    }
}

/// One half of a histogram.
#[derive(Debug)]
struct Half {
    /// How many times fell into each bucket; 2^32 do not come in half a minute.
    buckets: [u32; BUCKETS],
    count: u64,
    longest: Duration,
}

impl Half {
    fn record(&mut self, time: Duration) {
        self.buckets[bucket_of(time)] += 1;
        self.count += 1;
        self.longest = self.longest.max(time);
    }
}

impl Default for Half {
    fn default() -> Self {
        Self { buckets: [0; BUCKETS], count: 0, longest: Duration::ZERO }
    }
}

/// How long one half of a histogram is filled.
const HALF: Duration = Duration::from_secs(30);

/// Each power of two of microseconds is cut into 2^3 buckets of one width: a bucket is at most an eighth of
/// its lower edge wide, which is the error.
const SUB_BITS: u32 = 3;

/// 0 to 2^26 µs. The last bucket, from 62.9 s on, takes what is longer too.
const BUCKETS: usize = ((26 - SUB_BITS as usize) + 1) << SUB_BITS;

fn bucket_of(time: Duration) -> usize {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    // Below 2^3 µs a bucket is one microsecond, as it is from 2^3 to 2^4.
    let shift = (micros.max(1).ilog2()).saturating_sub(SUB_BITS);
    // The leading bit of what is left counts one power of two on, by itself.
    let bucket = ((shift as usize) << SUB_BITS) + (micros >> shift) as usize;
    bucket.min(BUCKETS - 1)
}

/// The least time above all of `bucket`; of the last bucket there is none.
fn upper_edge(bucket: usize) -> Duration {
    if bucket == BUCKETS - 1 {
        return Duration::MAX;
    }
    let shift = (bucket >> SUB_BITS).saturating_sub(1);
    let steps = bucket - (shift << SUB_BITS);
    Duration::from_micros((steps as u64 + 1) << shift)
}

fn millis(time: Duration) -> f32 {
    time.as_secs_f32() * 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> CaptureTime {
        CaptureTime::from_epoch(Duration::from_secs(1_000) + Duration::from_millis(millis))
    }

    /// Random numbers from a seed (SplitMix64).
    fn random(state: &mut u64) -> u64 {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn recorded(times: &[Duration]) -> LatencySummary {
        let mut histogram = LatencyHistogram::default();
        for &time in times {
            histogram.record(at(0), time);
        }
        histogram.summary(at(0))
    }

    #[test]
    fn percentiles_are_those_of_the_samples_within_the_stated_error() {
        for seed in 0..200 {
            let mut state = seed;
            let count = random(&mut state) % 2_000 + 1;
            // As many short as long times: each power of two of nanoseconds up to 60 s is as likely.
            let mut times: Vec<_> = (0..count)
                .map(|_| {
                    let bits = random(&mut state) % 36;
                    let nanos = (1u64 << bits) + random(&mut state) % (1 << bits);
                    Duration::from_nanos(nanos.min(60_000_000_000))
                })
                .collect();
            let summary = recorded(&times);
            times.sort_unstable();
            assert_eq!(summary.count, count);
            for (percent, told) in [(50, summary.p50_ms), (95, summary.p95_ms), (99, summary.p99_ms)] {
                let exact = millis(times[(times.len() * percent).div_ceil(100) - 1]);
                let most = (exact * 1.125).max(exact + 0.001);
                let rounding = exact * f32::EPSILON * 4.0;
                assert!(
                    (exact - rounding..=most + rounding).contains(&told),
                    "seed {seed}: p{percent} is {exact} ms, told as {told} ms"
                );
            }
            assert_eq!(summary.max_ms, millis(*times.last().unwrap()));
        }
    }

    #[test]
    fn every_bucket_begins_where_the_one_before_it_ends() {
        assert_eq!(bucket_of(Duration::ZERO), 0);
        for bucket in 0..BUCKETS - 1 {
            let edge = upper_edge(bucket);
            assert_eq!(bucket_of(edge - Duration::from_nanos(1)), bucket);
            assert_eq!(bucket_of(edge), bucket + 1);
        }
        let last = upper_edge(BUCKETS - 2);
        assert!(last > Duration::from_secs(60), "{last:?}");
    }

    #[test]
    fn nothing_recorded_is_all_zero() {
        assert_eq!(LatencyHistogram::default().summary(at(0)), LatencySummary::default());
    }

    #[test]
    fn the_shortest_and_the_longest_times_are_kept() {
        let summary = recorded(&[Duration::ZERO]);
        assert_eq!((summary.count, summary.p50_ms, summary.max_ms), (1, 0.0, 0.0));
        let summary = recorded(&[Duration::ZERO, Duration::from_secs(3_600), Duration::MAX]);
        assert_eq!((summary.count, summary.p50_ms), (3, summary.max_ms));
        assert!(summary.max_ms.is_finite());
        let alone = recorded(&[Duration::from_micros(16_001)]);
        assert_eq!((alone.p50_ms, alone.p99_ms), (16.001, 16.001), "no percentile is above the longest");
    }

    #[test]
    fn what_is_older_than_a_minute_is_forgotten_and_half_a_minute_is_kept() {
        let mut histogram = LatencyHistogram::default();
        histogram.record(at(0), Duration::from_millis(900));
        for second in 1..=90 {
            histogram.record(at(second * 1_000), Duration::from_millis(10));
            let summary = histogram.summary(at(second * 1_000));
            assert!(summary.count >= second.min(30) && summary.count <= 60, "{second} s: {summary:?}");
            assert_eq!(summary.max_ms, if second < 60 { 900.0 } else { 10.0 }, "{second} s");
        }
    }

    #[test]
    fn silence_is_no_reason_to_remember() {
        let mut histogram = LatencyHistogram::default();
        histogram.record(at(0), Duration::from_millis(5));
        histogram.record(at(29_000), Duration::from_millis(5));
        histogram.record(at(31_000), Duration::from_millis(7));
        assert_eq!(histogram.summary(at(59_999)).count, 3);
        assert_eq!(histogram.summary(at(60_000)).count, 1);
        assert_eq!(histogram.summary(at(90_000)), LatencySummary::default());
        histogram.record(at(200_000), Duration::from_millis(9));
        assert_eq!(histogram.summary(at(200_000)).max_ms, 9.0);
        assert_eq!(histogram.summary(at(200_000)).count, 1);
    }

    #[test]
    fn a_time_from_before_counts_as_now() {
        let mut histogram = LatencyHistogram::default();
        histogram.record(at(10_000), Duration::from_millis(1));
        histogram.record(at(5_000), Duration::from_millis(2));
        assert_eq!(histogram.summary(at(10_000)).count, 2);
    }
}
