//! The capture clock.

use std::time::Duration;

/// When a picture was captured: time since the epoch of the capture clock.
///
/// The clock is QPC on Windows and `CLOCK_MONOTONIC` elsewhere; its epoch means nothing outside the
/// process. RTP timestamps and sender reports come from this time, never from the moment of encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct CaptureTime(Duration);

impl CaptureTime {
    /// A time `since_epoch` after the epoch of the capture clock.
    pub const fn from_epoch(since_epoch: Duration) -> Self {
        Self(since_epoch)
    }

    /// Time since the epoch of the capture clock.
    pub const fn since_epoch(self) -> Duration {
        self.0
    }

    /// Time from `earlier` to this; zero if `earlier` is later.
    pub fn saturating_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// The same instant in ticks of a media clock of `clock_rate` Hz, rounded down.
    pub fn to_ticks(self, clock_rate: u32) -> u64 {
        // u128: 2^64 s × 10^9 × clock rate does not fit 64 bits; the result does for 6 million years.
        (self.0.as_nanos() * u128::from(clock_rate) / 1_000_000_000) as u64
    }
}

impl std::ops::Add<Duration> for CaptureTime {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        Self(self.0.saturating_add(later))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_exact_after_a_year_of_uptime() {
        let year = CaptureTime::from_epoch(Duration::from_secs(31_536_000));
        assert_eq!(year.to_ticks(90_000), 31_536_000 * 90_000);
        let next = year + Duration::from_nanos(33_333_334);
        assert_eq!(next.to_ticks(90_000) - year.to_ticks(90_000), 3_000);
    }
}
