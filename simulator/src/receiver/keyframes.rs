//! When a key frame is asked for.

use std::time::Duration;

/// Asks at most once a second, and again each second until a key frame comes.
#[derive(Debug, Default)]
pub(super) struct KeyframeRequests {
    wanted: bool,
    asked_at: Option<Duration>,
}

impl KeyframeRequests {
    /// Somebody needs a key frame.
    pub(super) fn want(&mut self) {
        self.wanted = true;
    }

    /// One begins to arrive.
    pub(super) fn on_keyframe(&mut self) {
        self.wanted = false;
    }

    /// When to ask.
    pub(super) fn due_at(&self) -> Option<Duration> {
        self.wanted.then(|| self.asked_at.map_or(Duration::ZERO, |at| at + INTERVAL))
    }

    /// Whether to ask now.
    pub(super) fn poll(&mut self, now: Duration) -> bool {
        if self.due_at().is_none_or(|at| at > now) {
            return false;
        }
        self.asked_at = Some(now);
        true
    }
}

/// mediasoup waits for so long before it asks again.
const INTERVAL: Duration = Duration::from_millis(1_000);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_frame_is_asked_for_once_a_second_until_it_comes() {
        let mut requests = KeyframeRequests::default();
        assert_eq!(requests.due_at(), None);
        requests.want();
        let asked: Vec<u64> = (0..3_500).filter(|ms| requests.poll(Duration::from_millis(*ms))).collect();
        assert_eq!(asked, [0, 1_000, 2_000, 3_000]);
        requests.on_keyframe();
        requests.want();
        assert!(!requests.poll(Duration::from_millis(3_999)) && requests.poll(Duration::from_secs(4)));
    }
}
