//! How long calm must last before the next step back up.

use std::time::Duration;

use yc_media::CaptureTime;

use crate::DegradationConfig;

/// Doubles the wait each time that a step back up did not stand, so that a machine that can just not do more
/// is tried ever more rarely. A step stands when no step down follows within twice the wait before it; the
/// wait is the configured one again then.
#[derive(Debug)]
pub(super) struct BackOff {
    base: Duration,
    max: Duration,
    hold: Duration,
    /// When the last step back up was made, until it stood or failed.
    on_trial_since: Option<CaptureTime>,
}

impl BackOff {
    pub(super) fn new(config: &DegradationConfig) -> Self {
        let (base, max) = (config.hold_better, config.max_hold_better);
        Self { base, max, hold: base, on_trial_since: None }
    }

    /// How long calm must last.
    pub(super) fn hold(&self) -> Duration {
        self.hold
    }

    /// Time went by.
    pub(super) fn on_time(&mut self, now: CaptureTime) {
        if self.on_trial_since.is_some_and(|since| now.saturating_since(since) >= self.hold * 2) {
            self.on_trial_since = None;
            self.hold = self.base;
        }
    }

    /// A step back up.
    pub(super) fn on_better(&mut self, now: CaptureTime) {
        self.on_trial_since = Some(now);
    }

    /// A step down.
    pub(super) fn on_worse(&mut self, now: CaptureTime) {
        self.on_time(now);
        if self.on_trial_since.take().is_some() {
            self.hold = (self.hold * 2).min(self.max);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> CaptureTime {
        CaptureTime::from_epoch(Duration::from_secs(secs))
    }

    fn back_off() -> BackOff {
        BackOff::new(&DegradationConfig::default())
    }

    #[test]
    fn the_wait_doubles_with_each_step_that_proves_wrong_up_to_its_bound() {
        let mut back_off = back_off();
        let mut holds = Vec::new();
        for n in 0..6 {
            holds.push(back_off.hold().as_secs());
            back_off.on_better(at(n * 1_000));
            back_off.on_worse(at(n * 1_000 + 3));
        }
        assert_eq!(holds, [5, 10, 20, 40, 60, 60]);
    }

    #[test]
    fn a_step_that_stands_for_twice_the_wait_brings_the_wait_back_to_its_base() {
        let mut back_off = back_off();
        back_off.on_better(at(0));
        back_off.on_worse(at(9));
        assert_eq!(back_off.hold(), Duration::from_secs(10));
        back_off.on_better(at(100));
        back_off.on_time(at(119));
        assert_eq!(back_off.hold(), Duration::from_secs(10));
        back_off.on_worse(at(120));
        assert_eq!(back_off.hold(), Duration::from_secs(5));
    }

    #[test]
    fn steps_down_in_a_row_prove_nothing_about_stepping_back() {
        let mut back_off = back_off();
        back_off.on_worse(at(0));
        back_off.on_worse(at(3));
        assert_eq!(back_off.hold(), Duration::from_secs(5));
    }
}
