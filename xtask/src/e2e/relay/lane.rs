//! One direction of a network and what it did, on a clock that the caller brings.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use anyhow::Result;
use yc_simulator::{Arrival, DelayHistogram, IP_UDP_OVERHEAD, Path, PathConfig, PathStats};

/// How finely a [`Course`] is told.
pub(crate) const SLOT: Duration = Duration::from_millis(100);

/// One direction at work. Times are since the first datagram.
#[derive(Debug)]
pub(super) struct Lane {
    path: Path<Vec<u8>>,
    /// Arrived, and not taken out yet.
    arrived: VecDeque<Arrival<Vec<u8>>>,
    /// Of what arrived since the last slot ended.
    queued: Vec<Duration>,
    /// When the last datagram set out.
    sent_at: Duration,
    /// Since the last slot ended.
    silence: Duration,
    /// When the last slot ended.
    before: PathStats,
    course: Course,
}

/// What one direction did.
#[derive(Debug, Clone, Default)]
pub(crate) struct Course {
    /// In all.
    pub(crate) stats: PathStats,
    /// From the first datagram on, each [`SLOT`] long.
    pub(crate) slots: Vec<Slot>,
    /// By how much datagrams left the relay later than the path had them at the other end.
    pub(crate) late: DelayHistogram,
}

/// What happened in one [`SLOT`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Slot {
    /// What was sent, with the headers of IP and UDP.
    pub(crate) sent_bytes: u64,
    /// What left the bottleneck, with the headers of IP and UDP.
    pub(crate) passed_bytes: u64,
    /// Datagrams that found the queue full.
    pub(crate) overflowed: u64,
    /// Datagrams that were dropped for another cause.
    pub(crate) lost: u64,
    /// The longest time between two datagrams that were sent, of those that ended in it.
    pub(crate) silence: Duration,
    /// How long each of the datagrams that arrived had waited at the bottleneck.
    pub(crate) queued: Vec<Duration>,
}

impl Lane {
    pub(super) fn new(config: PathConfig, seed: u64) -> Result<Self> {
        Ok(Self {
            path: Path::new(config, seed)?,
            arrived: VecDeque::new(),
            queued: Vec::new(),
            sent_at: Duration::ZERO,
            silence: Duration::ZERO,
            before: PathStats::default(),
            course: Course::default(),
        })
    }

    /// A datagram sets out.
    pub(super) fn push(&mut self, now: Duration, datagram: Vec<u8>) {
        self.advance(now);
        self.silence = self.silence.max(now.saturating_sub(self.sent_at));
        self.sent_at = now;
        self.path.push(now, datagram.len() + IP_UDP_OVERHEAD, datagram);
    }

    /// The next datagram that has arrived by `now`.
    pub(super) fn pop(&mut self, now: Duration) -> Option<Vec<u8>> {
        self.advance(now);
        let arrival = self.arrived.pop_front()?;
        self.course.late.record(now.saturating_sub(arrival.at));
        Some(arrival.payload)
    }

    /// When to look for an arrival again, if nothing sets out before; none if nothing is under way.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.path.next_due()
    }

    /// What it did up to `now`.
    pub(super) fn finish(mut self, now: Duration) -> Course {
        self.advance(now);
        self.course.stats = self.path.stats();
        self.course
    }

    fn advance(&mut self, now: Duration) {
        loop {
            let end = SLOT * (self.course.slots.len() as u32 + 1);
            if end > now {
                return self.receive(now);
            }
            self.receive(end);
            let (stats, before) = (self.path.stats(), self.before);
            let overflowed = stats.dropped.queue - before.dropped.queue;
            self.course.slots.push(Slot {
                sent_bytes: stats.sent_bytes - before.sent_bytes,
                passed_bytes: stats.passed_bytes - before.passed_bytes,
                overflowed,
                lost: stats.dropped.total() - before.dropped.total() - overflowed,
                silence: std::mem::take(&mut self.silence),
                queued: std::mem::take(&mut self.queued),
            });
            self.before = stats;
        }
    }

    fn receive(&mut self, now: Duration) {
        while let Some(arrival) = self.path.pop_due(now) {
            self.queued.push(arrival.queued);
            self.arrived.push_back(arrival);
        }
    }
}

impl Course {
    /// The whole slots of a stretch of time.
    pub(crate) fn slots(&self, time: Range<Duration>) -> &[Slot] {
        let slot = |at: Duration| at.as_nanos().div_ceil(SLOT.as_nanos()) as usize;
        let to = (time.end.as_nanos() / SLOT.as_nanos()) as usize;
        let to = to.min(self.slots.len());
        &self.slots[slot(time.start).min(to)..to]
    }

    /// What left the bottleneck in a stretch of time, in bits a second; none if it is no whole slot long.
    pub(crate) fn passed_bps(&self, time: Range<Duration>) -> Option<f64> {
        let slots = self.slots(time);
        let bytes: u64 = slots.iter().map(|slot| slot.passed_bytes).sum();
        let seconds = SLOT.as_secs_f64() * slots.len() as f64;
        (!slots.is_empty()).then_some(bytes as f64 * 8.0 / seconds)
    }
}

#[cfg(test)]
mod tests {
    use yc_media::Bitrate;

    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    /// 80 kbit/s take 100 bytes in 10 ms.
    fn lane() -> Lane {
        Lane::new(PathConfig::new(25 * MILLI).with_rate(Bitrate::kbps(80)), 1).unwrap()
    }

    fn datagram() -> Vec<u8> {
        vec![0; 100 - IP_UDP_OVERHEAD]
    }

    #[test]
    fn a_datagram_arrives_when_the_path_says_and_what_comes_later_is_told() {
        let mut lane = lane();
        lane.push(Duration::ZERO, datagram());
        lane.push(MILLI, datagram());
        assert_eq!((lane.pop(34 * MILLI), lane.next_due()), (None, Some(35 * MILLI)));
        assert_eq!(lane.pop(37 * MILLI), Some(datagram()));
        assert_eq!((lane.pop(37 * MILLI), lane.next_due()), (None, Some(45 * MILLI)));
        assert_eq!(lane.pop(45 * MILLI), Some(datagram()));
        assert_eq!(lane.next_due(), None);
        let course = lane.finish(100 * MILLI);
        assert_eq!((course.stats.delivered, course.late.quantile(1.0)), (2, 2 * MILLI));
        assert_eq!(course.slots[0].queued, [Duration::ZERO, 9 * MILLI]);
        assert_eq!(course.slots[0].silence, MILLI);
    }

    #[test]
    fn bytes_are_counted_in_the_slot_in_which_they_leave_the_bottleneck_however_late_anybody_looks() {
        let mut lane = lane();
        (0..15).for_each(|_| lane.push(Duration::ZERO, datagram()));
        let mut arrived = 0;
        while lane.pop(450 * MILLI).is_some() {
            arrived += 1;
        }
        let course = lane.finish(450 * MILLI);
        assert_eq!(arrived, 15);
        let passed: Vec<u64> = course.slots.iter().map(|slot| slot.passed_bytes).collect();
        assert_eq!(passed, [1_000, 500, 0, 0]);
        assert_eq!(course.slots[0].sent_bytes, 1_500);
        // The last bit of the first leaves after 10 ms, so it arrives at 35, and so on.
        assert_eq!([0, 1].map(|slot| course.slots[slot].queued.len()), [7, 8]);
        assert_eq!(course.passed_bps(Duration::ZERO..200 * MILLI), Some(60_000.0));
        assert_eq!(course.passed_bps(Duration::ZERO..90 * MILLI), None);
    }

    #[test]
    fn what_does_not_arrive_is_counted_by_cause() {
        let mut lane = lane();
        (0..30).for_each(|_| lane.push(Duration::ZERO, datagram()));
        let course = lane.finish(100 * MILLI);
        // 200 ms at the rate are 2,000 bytes, the one that leaves among them.
        assert_eq!((course.slots[0].overflowed, course.slots[0].lost), (10, 0));
        let config = PathConfig::new(MILLI).with_loss(yc_simulator::Loss::Independent(1.0));
        let mut lane = Lane::new(config, 1).unwrap();
        lane.push(Duration::ZERO, datagram());
        let course = lane.finish(100 * MILLI);
        assert_eq!((course.slots[0].overflowed, course.slots[0].lost, course.stats.dropped.loss), (0, 1, 1));
    }

    #[test]
    fn a_stretch_of_time_is_its_whole_slots() {
        let mut lane = lane();
        lane.push(Duration::ZERO, datagram());
        let course = lane.finish(1_000 * MILLI);
        let slots = |from: u32, to: u32| course.slots(from * MILLI..to * MILLI).len();
        assert_eq!([slots(0, 1_000), slots(50, 250), slots(0, 99), slots(900, 5_000)], [10, 1, 0, 1]);
        assert_eq!((slots(5_000, 9_000), slots(700, 300)), (0, 0));
    }
}
