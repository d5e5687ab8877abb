//! When the next frame may come.

use std::time::Duration;

use yc_media::{CaptureTime, FrameRate};

/// Spaces frames so that on average no more than the frame rate come, without losing the beat when one is
/// a little late.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    interval: Duration,
    due: CaptureTime,
}

impl Pace {
    /// The first frame may come at `start`.
    pub(crate) fn new(rate: FrameRate, start: CaptureTime) -> Self {
        Self { interval: rate.interval(), due: start }
    }

    /// When the next frame may come.
    pub(crate) fn due(&self) -> CaptureTime {
        self.due
    }

    /// Says that a frame was taken at `now`.
    ///
    /// A frame up to half an interval late leaves the beat as it is; after a longer pause a new beat starts.
    pub(crate) fn taken(&mut self, now: CaptureTime) {
        let late = now.saturating_since(self.due);
        let from = if now < self.due || late > self.interval / 2 { now } else { self.due };
        self.due = from + self.interval;
    }

    /// Paces to `rate` from the frame after the one due next.
    pub(crate) fn set_rate(&mut self, rate: FrameRate, now: CaptureTime) {
        self.interval = rate.interval();
        self.due = self.due.min(now + self.interval);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> CaptureTime {
        CaptureTime::from_epoch(Duration::from_millis(ms))
    }

    fn pace() -> Pace {
        Pace::new(FrameRate::new(10).unwrap(), ms(1_000))
    }

    #[test]
    fn a_late_frame_keeps_the_beat_and_a_pause_starts_a_new_one() {
        let mut pace = pace();
        pace.taken(ms(1_030));
        assert_eq!(pace.due(), ms(1_100));
        pace.taken(ms(1_170));
        assert_eq!(pace.due(), ms(1_270));
    }

    #[test]
    fn a_frame_taken_early_pushes_the_next_one_back() {
        let mut pace = pace();
        pace.taken(ms(900));
        assert_eq!(pace.due(), ms(1_000));
        pace.taken(ms(950));
        assert_eq!(pace.due(), ms(1_050));
    }

    #[test]
    fn a_higher_rate_takes_effect_at_once() {
        let mut pace = Pace::new(FrameRate::new(1).unwrap(), ms(0));
        pace.taken(ms(0));
        assert_eq!(pace.due(), ms(1_000));
        pace.set_rate(FrameRate::new(50).unwrap(), ms(100));
        assert_eq!(pace.due(), ms(120));
    }
}
