//! The last few seconds of a sender, as samples in a ring.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use yc_media::{Bitrate, CaptureTime, Resolution};

/// What happened since the sample before, and how it stands now. Taken about four times a second, never six.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct PressureSample {
    /// The size of the captured source, once a picture came.
    pub(crate) source: Option<Resolution>,
    /// Pictures that were captured.
    pub(crate) captured: u32,
    /// The part of the picture that changed, 0.0 to 1.0, summed over the captured pictures.
    pub(crate) damaged: f32,
    /// How often the encoder took from the queue. A picture that is left waiting on purpose, to keep a lower
    /// frame rate, is no part of the next three figures.
    pub(crate) takes: u32,
    /// The older pictures that were left out for the newest, summed over the takes.
    pub(crate) waiting: u32,
    /// The most of them at one take.
    pub(crate) waiting_peak: u32,
    /// Pictures that were converted and encoded, repeats included.
    pub(crate) encoded: u32,
    /// Time that this took, in all.
    pub(crate) encode_time: Duration,
    /// Pictures not encoded because too much waited to be sent, access units lost in sending, packets that
    /// the OS refused.
    pub(crate) dropped: u32,
    /// Time that what waits to be sent takes to leave, now.
    pub(crate) backlog: Duration,
    /// What the network takes, where anybody says so, now.
    pub(crate) available: Option<Bitrate>,
}

/// The samples of the last `length`.
#[derive(Debug)]
pub(super) struct Window {
    length: Duration,
    /// Each with when it was taken. It tells of the time since the one before it.
    samples: VecDeque<(CaptureTime, PressureSample)>,
    /// Since when they tell everything; none before the very first sample.
    from: Option<CaptureTime>,
}

/// What a full window says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measured {
    pub(super) whole: Stretch,
    /// The older half and the newer: what only one of them knows of came once and may not come again.
    pub(super) halves: [Stretch; 2],
}

/// What samples in a row say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stretch {
    /// Pictures captured in a second.
    pub(super) captured: f32,
    /// Mean changed part of a captured picture.
    pub(super) damaged: f32,
    /// Pictures that were left out, mean over the takes.
    pub(super) queue_average: f32,
    /// The most at one take.
    pub(super) queue_peak: f32,
    /// Time to convert and encode a picture; zero if none was.
    pub(super) encode_time: Duration,
    /// Part of the time that the encoder was busy.
    pub(super) encode_busy: f32,
    /// Losses in sending in a second.
    pub(super) drops: f32,
    /// Mean backlog.
    pub(super) backlog: Duration,
    /// Mean of what the network takes.
    pub(super) available: Option<Bitrate>,
}

/// The longest window, 10 s, at four samples a second, and half as many again.
const CAPACITY: usize = 60;

impl Window {
    pub(super) fn new(length: Duration) -> Self {
        Self { length, samples: VecDeque::with_capacity(CAPACITY), from: None }
    }

    /// The very first sample only starts the clock: nobody knows what time it tells of.
    pub(super) fn push(&mut self, now: CaptureTime, sample: PressureSample) {
        let Some(mut from) = self.from else { return self.clear(now) };
        self.samples.push_back((now, sample));
        // What is left must still tell of the whole length.
        while let Some(&(oldest, _)) = self.samples.front()
            && (self.samples.len() == CAPACITY || now.saturating_since(oldest) >= self.length)
        {
            from = oldest;
            self.samples.pop_front();
        }
        self.from = Some(from);
    }

    /// Forgets what was before `now`.
    pub(super) fn clear(&mut self, now: CaptureTime) {
        self.samples.clear();
        self.from = Some(now);
    }

    /// What it says, once it tells of its whole length.
    pub(super) fn measured(&self) -> Option<Measured> {
        let (from, (to, _)) = (self.from?, self.samples.back()?);
        let time = to.saturating_since(from);
        if time < self.length {
            return None;
        }
        let middle = from + time / 2;
        let half = self.samples.partition_point(|(at, _)| *at <= middle);
        let turn = half.checked_sub(1).map_or(from, |last| self.samples[last].0);
        let halves = [self.stretch(from, 0..half), self.stretch(turn, half..self.samples.len())];
        Some(Measured { whole: self.stretch(from, 0..self.samples.len()), halves })
    }

    /// The samples of `range`, which tell of the time since `from`.
    fn stretch(&self, from: CaptureTime, range: Range<usize>) -> Stretch {
        let mut sum = PressureSample::default();
        let (mut count, mut to) = (0, from);
        let (mut available, mut estimates) = (0, 0);
        for (at, sample) in self.samples.range(range) {
            (count, to) = (count + 1, *at);
            sum.captured += sample.captured;
            sum.damaged += sample.damaged;
            sum.takes += sample.takes;
            sum.waiting += sample.waiting;
            sum.waiting_peak = sum.waiting_peak.max(sample.waiting_peak);
            sum.encoded += sample.encoded;
            sum.encode_time += sample.encode_time;
            sum.dropped += sample.dropped;
            sum.backlog += sample.backlog;
            if let Some(bitrate) = sample.available {
                available += u64::from(bitrate.as_bps());
                estimates += 1;
            }
        }
        // An empty half has sums of zero, and so it has means and rates of zero.
        let secs = to.saturating_since(from).max(Duration::from_millis(1)).as_secs_f32();
        Stretch {
            captured: sum.captured as f32 / secs,
            damaged: sum.damaged / sum.captured.max(1) as f32,
            queue_average: sum.waiting as f32 / sum.takes.max(1) as f32,
            queue_peak: sum.waiting_peak as f32,
            encode_time: sum.encode_time / sum.encoded.max(1),
            encode_busy: sum.encode_time.as_secs_f32() / secs,
            drops: sum.dropped as f32 / secs,
            backlog: sum.backlog / u32::max(count, 1),
            available: u64::checked_div(available, estimates).map(|mean| Bitrate::bps(mean as u32)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> CaptureTime {
        CaptureTime::from_epoch(Duration::from_millis(millis))
    }

    fn filled(sample: impl Fn(u64) -> PressureSample) -> Window {
        let mut window = Window::new(Duration::from_secs(2));
        (0..=8).for_each(|n| window.push(at(n * 250), sample(n)));
        window
    }

    #[test]
    fn it_says_nothing_before_it_tells_of_its_whole_length() {
        let mut window = Window::new(Duration::from_secs(2));
        for n in 0..8 {
            window.push(at(n * 250), PressureSample::default());
            assert_eq!(window.measured(), None);
        }
        window.push(at(2_000), PressureSample::default());
        assert!(window.measured().is_some());
        window.clear(at(2_000));
        assert_eq!(window.measured(), None);
    }

    #[test]
    fn means_are_over_what_happened_and_rates_over_the_time() {
        let measured = filled(|n| PressureSample {
            captured: 5,
            damaged: 2.0,
            takes: 4,
            waiting: 2,
            encoded: 2,
            encode_time: Duration::from_millis(50),
            dropped: u32::from(n == 8) * 3,
            backlog: Duration::from_millis(n * 10),
            available: (n > 6).then(|| Bitrate::kbps(n as u32 * 100)),
            ..PressureSample::default()
        })
        .measured()
        .unwrap()
        .whole;
        assert_eq!((measured.captured, measured.damaged), (20.0, 0.4));
        assert_eq!(measured.queue_average, 0.5);
        assert_eq!(measured.encode_time, Duration::from_millis(25));
        assert_eq!(measured.encode_busy, 0.2);
        assert_eq!(measured.drops, 1.5);
        assert_eq!(measured.backlog, Duration::from_millis(45));
        assert_eq!(measured.available, Some(Bitrate::kbps(750)));
    }

    #[test]
    fn nothing_encoded_and_nothing_estimated_is_nothing() {
        let measured = filled(|_| PressureSample::default()).measured().unwrap().whole;
        assert_eq!(measured.encode_time, Duration::ZERO);
        assert_eq!((measured.encode_busy, measured.queue_average, measured.damaged), (0.0, 0.0, 0.0));
        assert_eq!(measured.available, None);
    }

    #[test]
    fn its_halves_know_of_what_happened_in_their_own_time() {
        let halves = |burst: u64| {
            let sample = |n| PressureSample {
                waiting_peak: u32::from(n == burst) * 5,
                dropped: u32::from(n == burst) * 5,
                ..PressureSample::default()
            };
            let measured = filled(sample).measured().unwrap();
            assert_eq!((measured.whole.queue_peak, measured.whole.drops), (5.0, 2.5));
            measured.halves.map(|half| (half.queue_peak, half.drops))
        };
        assert_eq!(halves(1), [(5.0, 5.0), (0.0, 0.0)]);
        assert_eq!(halves(4), [(5.0, 5.0), (0.0, 0.0)]);
        assert_eq!(halves(5), [(0.0, 0.0), (5.0, 5.0)]);
    }

    #[test]
    fn a_half_without_a_sample_says_nothing() {
        let mut window = Window::new(Duration::from_secs(2));
        let sample = PressureSample { dropped: 9, available: Some(Bitrate::kbps(1)), ..Default::default() };
        window.push(at(0), sample);
        window.push(at(3_000), sample);
        let measured = window.measured().unwrap();
        assert_eq!((measured.halves[0].drops, measured.halves[0].available), (0.0, None));
        assert_eq!(measured.halves[1], measured.whole);
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten_and_the_ring_does_not_grow() {
        let mut window = filled(|_| PressureSample { dropped: 100, ..PressureSample::default() });
        let capacity = window.samples.capacity();
        (9..=16).for_each(|n| window.push(at(n * 250), PressureSample::default()));
        assert_eq!(window.measured().unwrap().whole.drops, 0.0);
        (0..1_000).for_each(|n| window.push(at(4_000 + n), PressureSample::default()));
        assert_eq!(window.samples.capacity(), capacity);
    }
}
