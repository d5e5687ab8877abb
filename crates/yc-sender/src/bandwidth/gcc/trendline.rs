//! Whether the delay grows: the slope of a line through the smoothed delays of the latest groups.

use std::collections::VecDeque;

use super::arrival::Variation;

/// Fits a line to the delay of the latest [`WINDOW`] groups.
///
/// The draft's Kalman filter
/// ([§5.3](https://datatracker.ietf.org/doc/html/draft-ietf-rmcat-gcc-02#section-5.3)) gave way to this in
/// libwebrtc (`trendline_estimator.cc`, whose window, smoothing and gain these are).
#[derive(Debug)]
pub(super) struct Trendline {
    /// Arrival and smoothed delay, in milliseconds since the first group.
    points: VecDeque<(f64, f64)>,
    /// Arrival of the first group, in microseconds.
    origin: i64,
    groups: u32,
    delay: f64,
    smoothed: f64,
}

impl Trendline {
    pub(super) fn new() -> Self {
        let points = VecDeque::with_capacity(WINDOW + 1);
        Self { points, origin: 0, groups: 0, delay: 0.0, smoothed: 0.0 }
    }

    /// Forgets the delay so far.
    pub(super) fn restart(&mut self) {
        self.points.clear();
        self.groups = 0;
        self.delay = 0.0;
        self.smoothed = 0.0;
    }

    /// Takes in a group. Answers, once there are enough of them, with the slope scaled by the number of
    /// groups it rests on: milliseconds, to be held against the threshold of
    /// [`super::overuse::OveruseDetector`].
    pub(super) fn add(&mut self, variation: Variation) -> Option<f64> {
        if self.groups == 0 {
            self.origin = variation.at;
        }
        self.groups = (self.groups + 1).min(MOST_GROUPS);
        self.delay += (variation.arrived - variation.sent) as f64 / 1_000.0;
        self.smoothed = SMOOTHING * self.smoothed + (1.0 - SMOOTHING) * self.delay;
        self.points.push_back(((variation.at - self.origin) as f64 / 1_000.0, self.smoothed));
        if self.points.len() > WINDOW {
            self.points.pop_front();
        }
        if self.points.len() < WINDOW {
            return None;
        }
        Some(self.slope()? * f64::from(self.groups) * GAIN)
    }

    /// Milliseconds of delay for each millisecond: what is sent too much, as a part of what gets through.
    fn slope(&self) -> Option<f64> {
        let count = self.points.len() as f64;
        let (sum_x, sum_y) = self.points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
        let (mean_x, mean_y) = (sum_x / count, sum_y / count);
        let (covariance, variance) = self.points.iter().fold((0.0, 0.0), |(covariance, variance), (x, y)| {
            (covariance + (x - mean_x) * (y - mean_y), variance + (x - mean_x) * (x - mean_x))
        });
        (variance > 0.0).then(|| covariance / variance)
    }
}

/// Groups that the line goes through.
const WINDOW: usize = 20;

/// Weight of the past in the smoothed delay.
const SMOOTHING: f64 = 0.9;

/// Trust in the slope grows with the groups seen, up to so many.
const MOST_GROUPS: u32 = 60;

/// From a slope and its groups to milliseconds.
const GAIN: f64 = 4.0;

#[cfg(test)]
mod tests {
    use super::*;

    /// The trend after `groups` groups 20 ms apart, each `growth` microseconds later than the one before.
    fn trend(groups: i64, growth: i64) -> Option<f64> {
        let mut line = Trendline::new();
        (1..=groups).fold(None, |_, n| {
            line.add(Variation { sent: 20_000, arrived: 20_000 + growth, at: n * (20_000 + growth) })
        })
    }

    #[test]
    fn a_delay_that_grows_by_a_tenth_is_a_slope_of_a_tenth() {
        let scaled = trend(100, 2_000).unwrap();
        let slope = scaled / (f64::from(MOST_GROUPS) * GAIN);
        assert!((slope - 2.0 / 22.0).abs() < 0.001, "{slope}");
    }

    #[test]
    fn a_steady_delay_has_no_trend_and_a_falling_one_a_negative() {
        assert_eq!(trend(60, 0), Some(0.0));
        assert!(trend(60, -2_000).unwrap() < -10.0);
    }

    #[test]
    fn too_few_groups_and_groups_at_one_time_say_nothing() {
        assert_eq!(trend(19, 5_000), None);
        let mut line = Trendline::new();
        let at_once = Variation { sent: 0, arrived: 0, at: 7 };
        assert_eq!((0..50).find_map(|_| line.add(at_once)), None);
    }
}
