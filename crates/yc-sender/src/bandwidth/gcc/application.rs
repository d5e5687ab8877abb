//! Whether less is sent than the estimate allows.

use yc_media::CaptureTime;

/// A budget that fills at a part of the estimate and is spent by what is sent: a still screen fills it.
///
/// libwebrtc's application-limited region detector (`alr_detector.cc`); it leaves the region sooner, for a
/// screen goes from nothing to everything at once.
#[derive(Debug, Default)]
pub(super) struct ApplicationLimited {
    /// −1.0, all spent and as much again, to 1.0, nothing spent.
    budget: f64,
    looked_at: Option<CaptureTime>,
    limited: bool,
}

impl ApplicationLimited {
    /// A packet of `bytes` left, while the estimate was `rate` bits per second.
    pub(super) fn on_sent(&mut self, at: CaptureTime, bytes: usize, rate: f64) {
        self.advance(at);
        self.spend(bytes as f64 * 8.0 / (rate * SHARE * WINDOW).max(1.0));
    }

    /// Time has come to `now`.
    pub(super) fn advance(&mut self, now: CaptureTime) {
        let elapsed = now.saturating_since(self.looked_at.replace(now).unwrap_or(now));
        self.spend(-elapsed.as_secs_f64() / WINDOW);
    }

    pub(super) fn limited(&self) -> bool {
        self.limited
    }

    fn spend(&mut self, part: f64) {
        self.budget = (self.budget - part).clamp(-1.0, 1.0);
        if self.budget > LIMITED_ABOVE {
            self.limited = true;
        } else if self.budget < FREE_BELOW {
            self.limited = false;
        }
    }
}

/// Of the estimate: who sends less than this is limited by itself.
const SHARE: f64 = 0.7;

/// Seconds that the budget holds.
const WINDOW: f64 = 0.5;

const LIMITED_ABOVE: f64 = 0.4;
const FREE_BELOW: f64 = -0.3;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Sends `bytes` every 20 ms for a second from `from` on, at an estimate of 1 Mbit/s.
    fn send(state: &mut ApplicationLimited, from: u64, bytes: usize) -> bool {
        for n in 0..50 {
            state.on_sent(CaptureTime::from_epoch(Duration::from_millis(from + n * 20)), bytes, 1e6);
        }
        state.limited()
    }

    #[test]
    fn a_fifth_of_the_estimate_is_limited_and_all_of_it_is_not() {
        let mut state = ApplicationLimited::default();
        assert!(!send(&mut state, 0, 2_500));
        assert!(send(&mut state, 1_000, 500));
        assert!(send(&mut state, 2_000, 1_700), "not until the budget is overspent");
        assert!(!send(&mut state, 3_000, 2_900));
    }

    #[test]
    fn a_still_screen_is_limited_without_any_packet() {
        let mut state = ApplicationLimited::default();
        state.advance(CaptureTime::default());
        state.advance(CaptureTime::from_epoch(Duration::from_secs(1)));
        assert!(state.limited());
    }
}
