//! How long packets wait in queues on the way: their delay less the shortest lately.
//!
//! The trend of the delay tells a queue that grows; it does not tell one that stands. Where a line is much
//! narrower than what is sent, or a queue is full, that one matters more: it must be drained, and what
//! arrives while packets wait in it is what the bottleneck takes.

/// The delay of packets above the shortest lately. Microseconds.
#[derive(Debug)]
pub(super) struct Queueing {
    base: WindowedMin,
    recent: WindowedMin,
    /// How long the latest packet waited.
    waited: i64,
    jitter: f64,
}

impl Queueing {
    pub(super) fn new() -> Self {
        Self {
            base: WindowedMin::new(BASE_EPOCH),
            recent: WindowedMin::new(RECENT_EPOCH),
            waited: 0,
            jitter: 0.0,
        }
    }

    /// A packet left at `sent` and arrived at `arrived`, each by a clock of its own. Answers for how long it
    /// waited.
    pub(super) fn add(&mut self, sent: i64, arrived: i64) -> i64 {
        let delay = arrived - sent;
        self.recent.add(arrived, delay);
        let waited = delay - self.base.add(arrived, delay);
        let change = (waited - self.waited).abs().min(LARGEST_CHANGE);
        self.jitter += (change as f64 - self.jitter) / 16.0;
        self.waited = waited;
        waited
    }

    /// How the waiting differs from packet to packet, on average. The interarrival jitter of [RFC 3550
    /// §6.4.1](https://www.rfc-editor.org/rfc/rfc3550#section-6.4.1).
    pub(super) fn jitter(&self) -> i64 {
        self.jitter as i64
    }

    /// For how long packets have been waiting at least, each of those of the last 150 ms to 300 ms: jitter
    /// and single bursts do not count.
    pub(super) fn standing(&self) -> i64 {
        match (self.recent.get(), self.base.get()) {
            (Some(recent), Some(base)) => recent - base,
            _ => 0,
        }
    }

    /// What was taken for waiting is the length of the way: counts from the latest delays on.
    pub(super) fn rebase(&mut self) {
        if let Some(recent) = self.recent.get() {
            self.base.restart(recent);
        }
    }

    /// Forgets what waited lately, as after a pause.
    pub(super) fn restart(&mut self) {
        self.recent = WindowedMin::new(RECENT_EPOCH);
    }
}

/// The least of the present epoch and the one before.
#[derive(Debug)]
struct WindowedMin {
    length: i64,
    began: i64,
    before: i64,
    present: i64,
}

impl WindowedMin {
    fn new(length: i64) -> Self {
        Self { length, began: i64::MIN, before: i64::MAX, present: i64::MAX }
    }

    fn add(&mut self, at: i64, value: i64) -> i64 {
        let elapsed = at.saturating_sub(self.began);
        if elapsed >= self.length {
            self.before = if elapsed < self.length.saturating_mul(2) { self.present } else { i64::MAX };
            self.present = i64::MAX;
            self.began = at;
        }
        self.present = self.present.min(value);
        self.present.min(self.before)
    }

    fn get(&self) -> Option<i64> {
        let least = self.present.min(self.before);
        (least < i64::MAX).then_some(least)
    }

    fn restart(&mut self, value: i64) {
        self.before = i64::MAX;
        self.present = value;
    }
}

/// The shortest delay is that of the last 15 s to 30 s: clocks drift apart by a few milliseconds in that
/// time, and a sender that backs off empties the queue more often.
const BASE_EPOCH: i64 = 15_000_000;

const RECENT_EPOCH: i64 = 150_000;

/// More than this from one packet to the next is another way, not jitter.
const LARGEST_CHANGE: i64 = 50_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standing_queue_is_seen_and_jitter_is_not() {
        let mut queue = Queueing::new();
        for n in 0..100 {
            let jitter = [0, 9_000, 4_000, 12_000][n as usize % 4];
            queue.add(n * 10_000, n * 10_000 + 40_000 + jitter);
        }
        assert_eq!(queue.standing(), 0);
        (100..140).for_each(|n| {
            queue.add(n * 10_000, n * 10_000 + 120_000);
        });
        assert_eq!(queue.standing(), 80_000);
        assert_eq!(queue.add(1_400_000, 1_500_000), 60_000);
        queue.rebase();
        assert_eq!(queue.standing(), 0);
    }

    #[test]
    fn the_shortest_delay_is_forgotten_within_thirty_seconds() {
        let mut queue = Queueing::new();
        queue.add(0, 10_000);
        let last = (1..=310).map(|n| queue.add(n * 100_000, n * 100_000 + 50_000)).last();
        assert_eq!(last, Some(0));
    }
}
