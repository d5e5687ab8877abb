//! How much of what leaves is lost.

use std::time::Duration;

use yc_media::CaptureTime;

/// How much is lost, by what receivers ask for: in the present stretch of time and the one before it.
#[derive(Debug, Default)]
pub(crate) struct LossWatch {
    present: Tally,
    before: Tally,
    since: Option<CaptureTime>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    sent: u32,
    lost: u32,
}

impl LossWatch {
    const STRETCH: Duration = Duration::from_secs(10);
    /// Fewer packets say nothing.
    const FEWEST: u32 = 50;

    pub(crate) fn on_sent(&mut self, now: CaptureTime) {
        let since = *self.since.get_or_insert(now);
        if now.saturating_since(since) >= Self::STRETCH {
            self.before = std::mem::take(&mut self.present);
            self.since = Some(now);
        }
        self.present.sent += 1;
    }

    pub(crate) fn on_lost(&mut self) {
        self.present.lost += 1;
    }

    /// The part of the packets that was lost, once enough were sent to tell.
    fn part(&self) -> Option<f32> {
        let sent = self.present.sent + self.before.sent;
        let lost = self.present.lost + self.before.lost;
        (sent >= Self::FEWEST).then(|| lost as f32 / sent as f32)
    }

    /// How often the last packet of a picture goes again.
    pub(crate) fn tail_copies(&self) -> u32 {
        match self.part() {
            Some(part) if part < 0.002 => 0,
            Some(part) if part >= 0.02 => 2,
            _ => 1,
        }
    }

    /// How many copies go with a packet that was asked for, the first time or once more.
    pub(crate) fn copies(&self, is_first: bool) -> u32 {
        let heavy = self.part().is_some_and(|part| part >= 0.02);
        1 + u32::from(heavy || !is_first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> CaptureTime {
        CaptureTime::from_epoch(Duration::from_millis(millis))
    }

    #[test]
    fn what_goes_again_goes_as_often_as_losses_demand() {
        let mut losses = LossWatch::default();
        let copies = |losses: &LossWatch| (losses.tail_copies(), losses.copies(true), losses.copies(false));
        assert_eq!(copies(&losses), (1, 1, 2), "nobody knows yet");
        (0..1_000).for_each(|n| losses.on_sent(at(n)));
        assert_eq!(copies(&losses), (0, 1, 2));
        (0..10).for_each(|_| losses.on_lost());
        assert_eq!(copies(&losses), (1, 1, 2));
        (0..20).for_each(|_| losses.on_lost());
        assert_eq!(copies(&losses), (2, 2, 2));
    }

    #[test]
    fn losses_are_forgotten() {
        let mut losses = LossWatch::default();
        (0..100).for_each(|n| losses.on_sent(at(n)));
        (0..10).for_each(|_| losses.on_lost());
        (0..400).for_each(|n| losses.on_sent(at(10_000 + n)));
        assert_eq!(losses.part(), Some(0.02));
        (0..100).for_each(|n| losses.on_sent(at(20_000 + n)));
        assert_eq!(losses.part(), Some(0.0));
    }
}
