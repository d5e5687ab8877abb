//! From the trend of the delay to how the way is used, by a threshold that adapts.

use crate::bandwidth::Usage;

/// Compares the trend with a threshold that follows it slowly.
///
/// A fixed threshold starves beside a flow that fills the queue, or never sees a queue grow.
/// [draft-ietf-rmcat-gcc-02 §5.4](https://datatracker.ietf.org/doc/html/draft-ietf-rmcat-gcc-02#section-5.4);
/// Carlucci et al., "Analysis and design of the Google congestion control for WebRTC", MMSys 2016.
#[derive(Debug)]
pub(super) struct OveruseDetector {
    threshold: f64,
    /// Arrival of the latest group, in microseconds.
    at: Option<i64>,
    trend: f64,
    /// For how long the trend has been above the threshold, in microseconds, and in how many groups.
    above: i64,
    groups_above: u32,
    usage: Usage,
}

impl OveruseDetector {
    pub(super) fn new() -> Self {
        Self {
            threshold: FIRST_THRESHOLD,
            at: None,
            trend: 0.0,
            above: 0,
            groups_above: 0,
            usage: Usage::Normal,
        }
    }

    /// Forgets what was seen; the threshold stays.
    pub(super) fn restart(&mut self) {
        *self = Self { threshold: self.threshold, ..Self::new() };
    }

    /// The delay had this `trend` when a group arrived `at`, which left `sent` after the one before:
    /// microseconds.
    pub(super) fn add(&mut self, trend: f64, sent: i64, at: i64) -> Usage {
        if trend > self.threshold {
            // The first time it may have been above for half the time since the group before.
            self.above += if self.groups_above == 0 { sent / 2 } else { sent };
            self.groups_above += 1;
            if self.above > LONG_ENOUGH && self.groups_above > 1 && trend >= self.trend {
                self.above = 0;
                self.groups_above = 0;
                self.usage = Usage::Over;
            }
        } else {
            self.above = 0;
            self.groups_above = 0;
            self.usage = if trend < -self.threshold { Usage::Under } else { Usage::Normal };
        }
        self.trend = trend;
        self.adapt(trend, at);
        self.usage
    }

    fn adapt(&mut self, trend: f64, at: i64) {
        let elapsed = at.saturating_sub(self.at.replace(at).unwrap_or(at)).clamp(0, LONGEST_STEP);
        // A spike, of a change of the way or of its capacity, is none to get used to.
        if trend.abs() > self.threshold + SPIKE {
            return;
        }
        let gain = if trend.abs() < self.threshold { FALL } else { RISE };
        self.threshold += gain * (trend.abs() - self.threshold) * (elapsed as f64 / 1_000.0);
        self.threshold = self.threshold.clamp(LOWEST_THRESHOLD, HIGHEST_THRESHOLD);
    }
}

/// del_var_th(0), in milliseconds. This and the next five: §5.4, table 1 of the draft, and libwebrtc's
/// `trendline_estimator.cc` where they differ.
const FIRST_THRESHOLD: f64 = 12.5;
const LOWEST_THRESHOLD: f64 = 6.0;
const HIGHEST_THRESHOLD: f64 = 600.0;

/// K_u and K_d, for each millisecond.
const RISE: f64 = 0.0087;
const FALL: f64 = 0.039;

/// overuse_time_th, in microseconds.
const LONG_ENOUGH: i64 = 10_000;

/// A trend this far above the threshold does not move it, in milliseconds.
const SPIKE: f64 = 15.0;

/// The threshold moves by no more than what this much time allows at once, in microseconds.
const LONGEST_STEP: i64 = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(detector: &mut OveruseDetector, from: i64, trends: &[f64]) -> Vec<Usage> {
        (from..).zip(trends).map(|(n, trend)| detector.add(*trend, 20_000, n * 20_000)).collect()
    }

    #[test]
    fn a_trend_above_the_threshold_for_long_enough_is_overuse() {
        let mut detector = OveruseDetector::new();
        assert_eq!(detect(&mut detector, 0, &[20.0, 21.0, 5.0]), [Usage::Normal, Usage::Over, Usage::Normal]);
        assert_eq!(detect(&mut detector, 3, &[-40.0]), [Usage::Under]);
    }

    #[test]
    fn a_trend_that_falls_is_not_overuse_yet() {
        let mut detector = OveruseDetector::new();
        assert_eq!(detect(&mut detector, 0, &[30.0, 29.0, 28.0]), [Usage::Normal; 3]);
    }

    #[test]
    fn the_threshold_follows_a_noisy_trend_and_not_a_spike() {
        let mut detector = OveruseDetector::new();
        let noise: Vec<_> = (0..400).map(|n| if n % 2 == 0 { 20.0 } else { -20.0 }).collect();
        detect(&mut detector, 0, &noise);
        assert!((15.0..=20.0).contains(&detector.threshold), "{}", detector.threshold);
        let before = detector.threshold;
        detect(&mut detector, 400, &[500.0]);
        assert_eq!(detector.threshold, before);
        detect(&mut detector, 401, &[0.0; 500]);
        assert_eq!(detector.threshold, LOWEST_THRESHOLD);
    }
}
