//! Whether a capture that delivers nothing has nothing to tell, or is broken.
//!
//! A screen at rest delivers no pictures, and so does a capture that hangs or lost track of what changes. So
//! a silent capture is asked for its present picture now and then. One that does not answer is broken, and so
//! is one whose answers show, time after time, what it should have told by itself.

use std::time::Duration;

use yc_media::CaptureTime;

use crate::FailureConfig;

/// Sees that a capture lives, and that it misses nothing. Takes the time as an argument.
#[derive(Debug)]
pub(crate) struct SilenceWatch {
    silence: Option<Duration>,
    answer: Duration,
    /// Pictures seen at the last look, and since when there have been no more.
    seen: u64,
    since: CaptureTime,
    /// When it was asked, while it has not answered.
    asked: Option<CaptureTime>,
    missed_before: u64,
    /// Answers in a row that showed what the capture had not told by itself.
    missed: u32,
}

/// What a [`SilenceWatch`] wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Silence {
    /// Nothing.
    Fine,
    /// The capture must be asked for its present picture.
    Ask,
    /// It does not answer, or misses what changes.
    Broken,
}

/// Answers in a row that show a missed change until the capture counts as broken. One may be a change that
/// just happened.
const MISSED_IN_A_ROW: u32 = 3;

impl SilenceWatch {
    pub(crate) fn new(config: &FailureConfig, now: CaptureTime) -> Self {
        Self {
            silence: config.capture_silence,
            answer: config.capture_answer,
            seen: 0,
            since: now,
            asked: None,
            missed_before: 0,
            missed: 0,
        }
    }

    /// Looks at how many pictures were `seen` in all, and how many of them were answers that showed a
    /// `missed` change. `paused` says that there is nothing to see.
    pub(crate) fn look(&mut self, now: CaptureTime, seen: u64, missed: u64, paused: bool) -> Silence {
        if seen != self.seen || paused {
            let answered = self.asked.take().is_some();
            match (answered, missed > self.missed_before) {
                (true, true) if seen == self.seen + 1 => self.missed += 1,
                // An answer that shows nothing new neither helps nor harms.
                (true, false) => {}
                _ => self.missed = 0,
            }
            (self.seen, self.since, self.missed_before) = (seen, now, missed);
            return if self.missed >= MISSED_IN_A_ROW { Silence::Broken } else { Silence::Fine };
        }
        let Some(silence) = self.silence else { return Silence::Fine };
        match self.asked {
            Some(at) if now.saturating_since(at) >= self.answer => Silence::Broken,
            Some(_) => Silence::Fine,
            None if now.saturating_since(self.since) >= silence => {
                self.asked = Some(now);
                Silence::Ask
            }
            None => Silence::Fine,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> CaptureTime {
        CaptureTime::from_epoch(Duration::from_secs(1_000) + Duration::from_millis(millis))
    }

    fn watch() -> SilenceWatch {
        SilenceWatch::new(&FailureConfig::default(), at(0))
    }

    #[test]
    fn a_silent_capture_is_asked_and_is_broken_if_it_does_not_answer() {
        let mut watch = watch();
        assert_eq!(watch.look(at(100), 1, 0, false), Silence::Fine);
        assert_eq!(watch.look(at(5_000), 1, 0, false), Silence::Fine);
        assert_eq!(watch.look(at(5_100), 1, 0, false), Silence::Ask);
        assert_eq!(watch.look(at(8_000), 1, 0, false), Silence::Fine);
        assert_eq!(watch.look(at(8_100), 1, 0, false), Silence::Broken);
    }

    #[test]
    fn a_still_screen_that_answers_is_fine_for_ever() {
        let (mut watch, mut seen, mut asked) = (watch(), 1, 0);
        for n in 0..1_000 {
            match watch.look(at(n * 250), seen, 0, false) {
                Silence::Fine => {}
                Silence::Ask => (asked, seen) = (asked + 1, seen + 1),
                Silence::Broken => panic!("at {n}"),
            }
        }
        assert!((40..=50).contains(&asked), "{asked} times in 250 s");
    }

    #[test]
    fn a_capture_that_tells_of_changes_only_when_asked_is_broken() {
        let (mut watch, mut seen, mut missed) = (watch(), 1, 0);
        let broken = (0..200).find(|n| match watch.look(at(n * 250), seen, missed, false) {
            Silence::Fine => false,
            Silence::Ask => {
                (seen, missed) = (seen + 1, missed + 1);
                false
            }
            Silence::Broken => true,
        });
        assert!((60..=66).contains(&broken.unwrap()), "three silences of 5 s: {broken:?}");
    }

    #[test]
    fn a_hidden_window_is_not_asked() {
        let mut watch = watch();
        assert!((0..1_000).all(|n| watch.look(at(n * 250), 1, 0, true) == Silence::Fine));
    }
}
