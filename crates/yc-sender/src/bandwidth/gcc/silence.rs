//! Feedback that does not come.

use std::time::Duration;

use yc_media::CaptureTime;

/// Packets that nobody answers.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// When the first packet left since the last feedback.
    unanswered: Option<CaptureTime>,
    /// When the rate was last lowered for it.
    backed_off: Option<CaptureTime>,
    /// How often it was.
    steps: u32,
}

impl Silence {
    /// A packet left.
    pub(super) fn on_sent(&mut self, now: CaptureTime) {
        self.unanswered.get_or_insert(now);
    }

    /// Feedback came. Answers with whether the rate had been lowered for want of it.
    pub(super) fn on_feedback(&mut self) -> bool {
        std::mem::take(self).backed_off.is_some()
    }

    /// Whether the rate was lowered, and no feedback came since.
    pub(super) fn backed_off(&self) -> bool {
        self.backed_off.is_some()
    }

    /// When the rate is to be lowered, for the first time or again.
    pub(super) fn due(&self) -> Option<CaptureTime> {
        match self.backed_off {
            Some(_) if self.steps == MOST_STEPS => None,
            Some(at) => Some(at + STEP),
            None => self.unanswered.map(|at| at + SILENCE),
        }
    }

    /// Whether the rate is to be lowered now. Time that passed while nobody looked counts once.
    pub(super) fn backs_off(&mut self, now: CaptureTime) -> bool {
        let due = self.due().is_some_and(|due| due <= now);
        if due {
            self.backed_off = Some(now);
            self.steps += 1;
        }
        due
    }
}

/// Feedback that does not come for this long lowers the rate, and again each time after the step. Losing a
/// second of it does not.
const SILENCE: Duration = Duration::from_millis(1_500);
const STEP: Duration = Duration::from_secs(1);
/// A longer silence says no more about the network: mostly the receiver stands still, and is to be shown a picture
/// soon after. That nobody is there at all is the circuit breaker's to see.
const MOST_STEPS: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> CaptureTime {
        CaptureTime::from_epoch(Duration::from_millis(millis))
    }

    #[test]
    fn it_backs_off_twice_and_waits_for_feedback_then() {
        let mut silence = Silence::default();
        assert!(!silence.backs_off(at(60_000)), "nothing was sent");
        (0..200).for_each(|n| silence.on_sent(at(n * 10)));
        let steps: Vec<_> =
            (0..500).map(|n| n * 10).filter(|millis| silence.backs_off(at(*millis))).collect();
        assert_eq!(steps, [1_500, 2_500]);
        assert!(silence.backed_off());
        assert!(silence.on_feedback());
        assert!(!silence.on_feedback());
        assert_eq!(silence.due(), None);
    }
}
