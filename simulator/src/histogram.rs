//! Delays in bounded memory.

use std::fmt;
use std::time::Duration;

/// Counts delays in steps of a quarter of a millisecond up to 4 s; longer ones are counted as 4 s.
#[derive(Clone, PartialEq, Eq)]
pub struct DelayHistogram {
    counts: Vec<u64>,
    total: u64,
}

impl DelayHistogram {
    /// Nothing counted yet.
    pub fn new() -> Self {
        Self { counts: vec![0; STEPS + 1], total: 0 }
    }

    /// Counts one delay.
    pub fn record(&mut self, delay: Duration) {
        let step = delay.as_nanos().div_ceil(STEP.as_nanos());
        self.counts[usize::try_from(step).map_or(STEPS, |step| step.min(STEPS))] += 1;
        self.total += 1;
    }

    /// How many were counted.
    pub fn len(&self) -> u64 {
        self.total
    }

    /// Whether none was counted.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// The least delay, rounded up to the next step, that `share` (0.0 to 1.0) of those counted do not
    /// exceed; zero if none was counted.
    pub fn quantile(&self, share: f64) -> Duration {
        let wanted = (share.clamp(0.0, 1.0) * self.total as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        let step = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        STEP * step.unwrap_or(0) as u32
    }
}

impl Default for DelayHistogram {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for DelayHistogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DelayHistogram")
            .field("total", &self.total)
            .field("p50", &self.quantile(0.5))
            .field("p95", &self.quantile(0.95))
            .finish()
    }
}

const STEP: Duration = Duration::from_micros(250);
const STEPS: usize = 16_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_the_delays_rounded_up_to_a_step() {
        let mut histogram = DelayHistogram::new();
        assert_eq!(histogram.quantile(0.95), Duration::ZERO);
        (1..=100).for_each(|millis| histogram.record(Duration::from_millis(millis)));
        assert_eq!(histogram.quantile(0.5), Duration::from_millis(50));
        assert_eq!(histogram.quantile(0.95), Duration::from_millis(95));
        assert_eq!(histogram.quantile(1.0), Duration::from_millis(100));
        histogram.record(Duration::from_nanos(1));
        assert_eq!(histogram.quantile(0.0), Duration::from_micros(250));
        histogram.record(Duration::MAX);
        assert_eq!((histogram.quantile(1.0), histogram.len()), (Duration::from_secs(4), 102));
    }
}
