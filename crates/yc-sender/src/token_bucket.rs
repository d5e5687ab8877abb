//! A hard cap on the bits of a moment, for when the encoder's own rate control is not enough.
//!
//! An encoder aims at its bitrate and misses it on a busy picture. Where the cap must hold, a picture is only
//! encoded once those before it are paid for.

use std::time::Duration;

use yc_media::{Bitrate, CaptureTime};

/// Says when the next picture may be encoded. Takes the time as an argument.
///
/// A picture's size is known only after it was encoded, so the bucket may go into debt by one picture.
#[derive(Debug)]
pub(crate) struct TokenBucket {
    rate: Bitrate,
    burst: Duration,
    /// When everything taken is paid for at the present rate. Later than now is debt; earlier, by up to
    /// `burst`, is saved up.
    paid_at: CaptureTime,
}

impl TokenBucket {
    /// A full bucket: `burst` of `rate` may be taken at once.
    pub(crate) fn new(rate: Bitrate, burst: Duration, now: CaptureTime) -> Self {
        Self { rate, burst, paid_at: before(now, burst) }
    }

    /// Whether it is out of debt.
    pub(crate) fn ready(&self, now: CaptureTime) -> bool {
        self.paid_at <= now
    }

    /// When it is out of debt: now or earlier means at once.
    pub(crate) fn next_ready(&self, now: CaptureTime) -> CaptureTime {
        self.paid_at.max(now)
    }

    /// A picture of `bytes` was encoded.
    pub(crate) fn take(&mut self, now: CaptureTime, bytes: usize) {
        self.paid_at = self.paid_at.max(before(now, self.burst)) + time_for(self.rate, bytes);
    }

    /// Fills at `rate` from now on. Bytes owed or saved up stay what they are, up to `burst` of the new rate.
    pub(crate) fn set_rate(&mut self, now: CaptureTime, rate: Bitrate) {
        let owed = self.rate.bytes_in(self.paid_at.saturating_since(now));
        let saved = self.rate.bytes_in(now.saturating_since(self.paid_at).min(self.burst));
        self.paid_at = before(now, rate.time_for(saved).min(self.burst)) + time_for(rate, owed);
        self.rate = rate;
    }
}

fn before(now: CaptureTime, time: Duration) -> CaptureTime {
    CaptureTime::from_epoch(now.since_epoch().saturating_sub(time))
}

/// Rounded up, so that rounding never adds to the rate.
fn time_for(rate: Bitrate, bytes: usize) -> Duration {
    let time = rate.time_for(bytes);
    if rate.bytes_in(time) < bytes { time.saturating_add(Duration::from_nanos(1)) } else { time }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BURST: Duration = Duration::from_millis(500);

    fn at(micros: u64) -> CaptureTime {
        CaptureTime::from_epoch(Duration::from_secs(1_000) + Duration::from_micros(micros))
    }

    /// Takes pictures of `bytes` whenever allowed from `from` on for `time`, looking every `tick`.
    fn greedy(
        bucket: &mut TokenBucket,
        from: CaptureTime,
        time: Duration,
        tick: Duration,
        bytes: usize,
    ) -> usize {
        let mut now = from;
        let mut taken = 0;
        while now.saturating_since(from) <= time {
            while bucket.ready(now) {
                bucket.take(now, bytes);
                taken += bytes;
            }
            now = now + tick;
        }
        taken
    }

    #[test]
    fn ten_greedy_seconds_stay_within_rate_burst_and_one_picture() {
        let time = Duration::from_secs(10);
        for kbps in [300, 333, 3_000] {
            for bytes in [1, 997, 12_500, 200_000] {
                for tick in [1_000, 33_333] {
                    let rate = Bitrate::kbps(kbps);
                    let mut bucket = TokenBucket::new(rate, BURST, at(0));
                    let taken = greedy(&mut bucket, at(0), time, Duration::from_micros(tick), bytes);
                    let bound = rate.bytes_in(time) + rate.bytes_in(BURST) + bytes;
                    assert!(taken <= bound, "{kbps} kbit/s by {bytes}: {taken} > {bound}");
                    let due = rate.bytes_in(time) - rate.bytes_in(Duration::from_micros(tick));
                    assert!(taken >= due, "{kbps} kbit/s by {bytes}: {taken} < {due}");
                }
            }
        }
    }

    #[test]
    fn it_is_ready_at_the_very_moment_it_names_and_not_before() {
        let mut bucket = TokenBucket::new(Bitrate::kbps(800), BURST, at(0));
        // 100 bytes a millisecond, 50,000 saved up: 10,000 of debt are 100 ms.
        bucket.take(at(0), 60_000);
        assert_eq!(bucket.next_ready(at(0)), at(100_000));
        assert!(!bucket.ready(at(99_999)));
        assert!(bucket.ready(at(100_000)));
        assert_eq!(bucket.next_ready(at(200_000)), at(200_000));
    }

    #[test]
    fn a_long_rest_saves_up_no_more_than_the_burst() {
        let mut bucket = TokenBucket::new(Bitrate::kbps(800), BURST, at(0));
        let hour = at(3_600_000_000);
        let taken = greedy(&mut bucket, hour, Duration::ZERO, Duration::from_millis(1), 1_000);
        assert_eq!(taken, 51_000);
    }

    #[test]
    fn a_new_rate_keeps_the_debt_and_bounds_what_is_saved_up() {
        let mut bucket = TokenBucket::new(Bitrate::kbps(800), BURST, at(0));
        bucket.take(at(0), 60_000);
        bucket.set_rate(at(0), Bitrate::kbps(400));
        assert_eq!(bucket.next_ready(at(0)), at(200_000), "10,000 bytes at half the rate");

        let mut full = TokenBucket::new(Bitrate::kbps(800), BURST, at(0));
        full.set_rate(at(0), Bitrate::kbps(400));
        assert_eq!(greedy(&mut full, at(0), Duration::ZERO, Duration::from_millis(1), 1_000), 26_000);
        let mut full = TokenBucket::new(Bitrate::kbps(800), BURST, at(0));
        full.set_rate(at(0), Bitrate::kbps(8_000));
        assert_eq!(greedy(&mut full, at(0), Duration::ZERO, Duration::from_millis(1), 1_000), 51_000);
    }

    #[test]
    fn a_rate_changed_over_and_over_makes_no_bytes() {
        let mut bucket = TokenBucket::new(Bitrate::kbps(800), BURST, at(0));
        let mut taken = 0;
        for n in 0..10_000 {
            let rate = if n % 2 == 0 { 800 } else { 400 };
            bucket.set_rate(at(n * 1_000), Bitrate::kbps(rate));
            while bucket.ready(at(n * 1_000)) {
                bucket.take(at(n * 1_000), 1_000);
                taken += 1_000;
            }
        }
        // Half of ten seconds at each rate, the first burst, one picture, and a byte of rounding each time.
        assert!(taken <= 750_000 + 50_000 + 1_000 + 10_000, "{taken}");
    }
}
