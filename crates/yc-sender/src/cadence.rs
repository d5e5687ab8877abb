//! When a frame is encoded although the screen did not change.
//!
//! A screen at rest delivers no frames. Three things still need one: a picture that was sent in haste must
//! become sharp, an SFU must not think the stream dead, and a viewer who joins needs a key frame. Changed
//! pictures are encoded as they come; this decides about the repeats.

use std::time::Duration;

use yc_media::CaptureTime;

use crate::StillConfig;

/// Decides when the last picture is encoded once more. Takes the time as an argument.
#[derive(Debug)]
pub(crate) struct Cadence {
    config: StillConfig,
    frame_interval: Duration,
    /// When a picture was last submitted, changed or repeated.
    submitted_at: Option<CaptureTime>,
    /// Until when the picture is sharpened. Later than `submitted_at` only while it is not sharp.
    refine_until: CaptureTime,
}

impl Cadence {
    pub(crate) fn new(config: StillConfig, frame_interval: Duration) -> Self {
        Self { config, frame_interval, submitted_at: None, refine_until: CaptureTime::default() }
    }

    /// Frames come at most once in `interval` from now on.
    pub(crate) fn set_frame_interval(&mut self, interval: Duration) {
        self.frame_interval = interval;
    }

    /// A new picture, or a key frame of the old one, was submitted: it has to become sharp.
    pub(crate) fn on_fresh(&mut self, now: CaptureTime) {
        self.submitted_at = Some(now);
        self.refine_until = now + self.config.refine_for;
    }

    /// The last picture was submitted once more.
    pub(crate) fn on_repeat(&mut self, now: CaptureTime) {
        self.submitted_at = Some(now);
    }

    /// The encoder said how coarsely it quantized what was submitted last.
    pub(crate) fn on_quantizer(&mut self, qp: Option<u8>) {
        if qp.is_some_and(|qp| qp <= self.config.sharp_qp) {
            self.refine_until = CaptureTime::default();
        }
    }

    /// When the last picture is due once more; `None` before the first.
    pub(crate) fn due_at(&self) -> Option<CaptureTime> {
        let submitted = self.submitted_at?;
        // Leave room for a changed picture first: a sharpening frame right before it would cost its bits.
        let refine = self.config.refine_interval.max(self.frame_interval * 3 / 2);
        let sharpening = submitted + refine;
        if sharpening <= self.refine_until {
            return Some(sharpening);
        }
        Some(submitted + self.config.repeat_interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SenderConfig;

    fn at(millis: u64) -> CaptureTime {
        CaptureTime::from_epoch(Duration::from_secs(1_000) + Duration::from_millis(millis))
    }

    fn cadence() -> Cadence {
        Cadence::new(SenderConfig::default().still, Duration::from_millis(33))
    }

    /// The times of the repeats until `end`, in milliseconds, if no new picture comes.
    fn repeats(cadence: &mut Cadence, end: u64, qp: impl Fn(usize) -> Option<u8>) -> Vec<u64> {
        let mut times = Vec::new();
        while let Some(due) = cadence.due_at().filter(|due| *due <= at(end)) {
            times.push(due.saturating_since(at(0)).as_millis() as u64);
            cadence.on_repeat(due);
            cadence.on_quantizer(qp(times.len()));
        }
        times
    }

    #[test]
    fn nothing_is_repeated_before_the_first_picture() {
        assert_eq!(cadence().due_at(), None);
    }

    #[test]
    fn a_still_picture_is_sharpened_for_a_second_then_repeated_each_second() {
        let mut cadence = cadence();
        cadence.on_fresh(at(0));
        let times = repeats(&mut cadence, 4_000, |_| None);
        assert_eq!(times[..3], [66, 132, 198]);
        assert_eq!(times.iter().filter(|&&t| t <= 1_000).count(), 15);
        assert_eq!(times[15..], [1_990, 2_990, 3_990]);
    }

    #[test]
    fn sharpening_ends_when_the_encoder_says_it_is_sharp() {
        let mut cadence = cadence();
        cadence.on_fresh(at(0));
        let times = repeats(&mut cadence, 3_000, |n| Some(30 - 5 * n as u8));
        assert_eq!(times, [66, 132, 198, 1_198, 2_198]);
    }

    #[test]
    fn a_moving_screen_is_never_repeated() {
        let mut cadence = cadence();
        for frame in 0..100 {
            let now = at(frame * 33);
            assert!(cadence.due_at().is_none_or(|due| due > now), "frame {frame}");
            cadence.on_fresh(now);
        }
    }

    #[test]
    fn a_slow_screen_is_not_sharpened_between_its_frames() {
        let mut cadence = cadence();
        cadence.set_frame_interval(Duration::from_millis(200));
        cadence.on_fresh(at(0));
        assert_eq!(cadence.due_at(), Some(at(300)));
    }
}
