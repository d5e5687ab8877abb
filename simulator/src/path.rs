//! One direction of a network, on a clock that is moved by hand.
//!
//! ```text
//! push ─► queue ─► bottleneck ─► loss, duplication ─► delay, jitter, reordering ─► pop_due
//!         drop tail  one after another                  order kept unless asked otherwise
//! ```

mod config;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use yc_media::Bitrate;

pub use self::config::{Change, PathChange, PathConfig, PathError, QueueLimit};
use crate::loss::LossProcess;
use crate::{DelayHistogram, Random};

/// What an IPv4 and a UDP header add to each datagram on the way: 20 and 8 bytes.
pub const IP_UDP_OVERHEAD: usize = 28;

/// What became of a datagram at once. That it was taken does not mean that it arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// It is on its way.
    Taken,
    /// The queue was full.
    QueueFull,
    /// The path is out.
    Outage,
    /// The path holds as many datagrams as it may: [`Path::CAPACITY`].
    Capacity,
}

/// A datagram at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Arrival<T> {
    /// What was sent.
    pub payload: T,
    /// Its length, as it was given.
    pub bytes: usize,
    /// When it was sent.
    pub sent_at: Duration,
    /// When it arrived. May be earlier than the call that took it out.
    pub at: Duration,
    /// How long it waited at the bottleneck until its first bit left.
    pub queued: Duration,
}

/// What was dropped, by cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Drops {
    /// The queue was full.
    pub queue: u64,
    /// Lost behind the bottleneck.
    pub loss: u64,
    /// Sent or waiting in an outage.
    pub outage: u64,
    /// Sent while the path held as many as it may.
    pub capacity: u64,
}

impl Drops {
    /// All of them.
    pub const fn total(&self) -> u64 {
        self.queue + self.loss + self.outage + self.capacity
    }
}

/// What a path did so far. `sent + duplicated` is `delivered + dropped.total()` and what is
/// [under way](Path::len).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PathStats {
    /// Datagrams that came in.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Datagrams that left the bottleneck, those lost behind it too.
    pub passed: u64,
    /// Their bytes.
    pub passed_bytes: u64,
    /// Datagrams taken out at the other end, duplicates too.
    pub delivered: u64,
    /// Their bytes.
    pub delivered_bytes: u64,
    /// Datagrams that were made out of others.
    pub duplicated: u64,
    /// Datagrams that others may overtake.
    pub reordered: u64,
    /// Datagrams that do not arrive.
    pub dropped: Drops,
}

/// One direction of a network. Deterministic: the same configuration, seed and calls give the same arrivals.
///
/// Times are those of any clock that does not go back; an earlier time counts as the latest one given.
#[derive(Debug)]
pub struct Path<T> {
    rate: Option<Bitrate>,
    queue: QueueLimit,
    delay: Duration,
    jitter: Duration,
    reorder: f64,
    reorder_by: Duration,
    duplicate: f64,
    changes: Cow<'static, [PathChange]>,
    /// Changes that have happened.
    changed: usize,
    outage_until: Duration,
    loss: LossProcess,
    jitters: Random,
    reorders: Random,
    duplicates: Random,
    /// Up to when everything has happened.
    now: Duration,
    /// At the bottleneck, the one that leaves first.
    waiting: VecDeque<Waiting<T>>,
    waiting_bytes: usize,
    /// What the bottleneck has yet to send of the first that waits.
    head_left: Work,
    /// Behind the bottleneck.
    flying: BinaryHeap<Flying<T>>,
    /// Tells those that arrive at the same time apart.
    order: u64,
    /// When the last that keeps order arrives.
    last_arrival: Duration,
    stats: PathStats,
    queue_delays: DelayHistogram,
}

#[derive(Debug)]
struct Waiting<T> {
    payload: T,
    bytes: usize,
    sent_at: Duration,
    /// How long it waited, once its first bit left.
    queued: Duration,
}

#[derive(Debug)]
struct Flying<T> {
    arrival: Arrival<T>,
    order: u64,
}

impl<T: Clone> Path<T> {
    /// The most datagrams that are under way. It bounds memory; no queue of the profiles comes near it.
    pub const CAPACITY: usize = 65_536;

    /// The path that `config` describes; what chance decides is decided by `seed`.
    ///
    /// # Errors
    ///
    /// If `config` is out of its bounds.
    pub fn new(config: PathConfig, seed: u64) -> Result<Self, PathError> {
        config.validate()?;
        Ok(Self {
            rate: config.rate,
            queue: config.queue,
            delay: config.delay,
            jitter: config.jitter,
            reorder: config.reorder,
            reorder_by: config.reorder_by,
            duplicate: config.duplicate,
            changes: config.changes,
            changed: 0,
            outage_until: Duration::ZERO,
            loss: LossProcess::new(config.loss, Random::stream(seed, 0)),
            jitters: Random::stream(seed, 1),
            reorders: Random::stream(seed, 2),
            duplicates: Random::stream(seed, 3),
            now: Duration::ZERO,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            head_left: Work::default(),
            flying: BinaryHeap::new(),
            order: 0,
            last_arrival: Duration::ZERO,
            stats: PathStats::default(),
            queue_delays: DelayHistogram::new(),
        })
    }

    /// Sends `payload` at `now`. `bytes` is what it takes of the bottleneck: the datagram's length, and
    /// [`IP_UDP_OVERHEAD`] where the rate is that of a link.
    pub fn push(&mut self, now: Duration, bytes: usize, payload: T) -> Fate {
        self.advance(now);
        self.stats.sent += 1;
        self.stats.sent_bytes += bytes as u64;
        if self.now < self.outage_until {
            self.stats.dropped.outage += 1;
            return Fate::Outage;
        }
        if self.len() >= Self::CAPACITY {
            self.stats.dropped.capacity += 1;
            return Fate::Capacity;
        }
        if !self.waiting.is_empty() && self.backlog_bytes().saturating_add(bytes) > self.limit_bytes() {
            self.stats.dropped.queue += 1;
            return Fate::QueueFull;
        }
        if self.waiting.is_empty() {
            self.head_left = Work::of(bytes);
        }
        self.waiting_bytes += bytes;
        self.waiting.push_back(Waiting { payload, bytes, sent_at: self.now, queued: Duration::ZERO });
        // Where nothing bounds the rate it leaves at once.
        self.advance(now);
        Fate::Taken
    }

    /// Takes out the next datagram that has arrived by `now`.
    pub fn pop_due(&mut self, now: Duration) -> Option<Arrival<T>> {
        self.advance(now);
        if self.flying.peek()?.arrival.at > self.now {
            return None;
        }
        let arrival = self.flying.pop()?.arrival;
        self.stats.delivered += 1;
        self.stats.delivered_bytes += arrival.bytes as u64;
        Some(arrival)
    }

    /// When to call [`pop_due`](Self::pop_due) next, if nothing is sent before; none if nothing is under
    /// way. Nothing arrives earlier; that something arrives then is not said.
    pub fn next_due(&self) -> Option<Duration> {
        let arrives = self.flying.peek().map(|flying| flying.arrival.at);
        let leaves = self.head_leaves_at();
        // A change matters to what waits alone.
        let changes = leaves.and(self.next_change()).map(|change| change.at);
        [arrives, leaves, changes].into_iter().flatten().min()
    }

    /// Datagrams that are under way.
    pub fn len(&self) -> usize {
        self.waiting.len() + self.flying.len()
    }

    /// Whether nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the bottleneck lets through now: nothing in an outage, `u32::MAX` bit/s where nothing bounds it.
    pub fn rate(&self) -> Bitrate {
        if self.now < self.outage_until {
            return Bitrate::bps(0);
        }
        self.rate.unwrap_or(Bitrate::bps(u32::MAX))
    }

    /// How long what waits now takes to leave at the present rate.
    pub fn backlog(&self) -> Duration {
        self.rate.map_or(Duration::ZERO, |rate| rate.time_for(self.backlog_bytes()))
    }

    /// What it did so far.
    pub fn stats(&self) -> PathStats {
        self.stats
    }

    /// How long datagrams waited at the bottleneck until their first bit left, those lost behind it too.
    pub fn queue_delays(&self) -> &DelayHistogram {
        &self.queue_delays
    }

    fn backlog_bytes(&self) -> usize {
        let Some(head) = self.waiting.front() else { return 0 };
        self.waiting_bytes - head.bytes + self.head_left.bytes()
    }

    fn limit_bytes(&self) -> usize {
        match (self.queue, self.rate) {
            (QueueLimit::Bytes(bytes), _) => bytes,
            (QueueLimit::Time(_), None) => usize::MAX,
            (QueueLimit::Time(time), Some(rate)) => rate.bytes_in(time),
        }
    }

    fn next_change(&self) -> Option<&PathChange> {
        self.changes.get(self.changed)
    }

    fn head_leaves_at(&self) -> Option<Duration> {
        self.waiting.front()?;
        Some(self.rate.map_or(self.now, |rate| self.now + self.head_left.time_at(rate)))
    }

    /// Lets happen what happens up to `now`, in its order.
    fn advance(&mut self, now: Duration) {
        let now = now.max(self.now);
        loop {
            let leaves = self.head_leaves_at().filter(|at| *at <= now);
            match self.next_change().copied().filter(|change| change.at <= now) {
                // What leaves at the very time of a change left before it.
                Some(change) if leaves.is_none_or(|at| change.at < at) => {
                    self.serve_until(change.at);
                    self.changed += 1;
                    self.apply(change);
                }
                _ => match leaves {
                    Some(at) => self.let_out(at),
                    None => return self.serve_until(now),
                },
            }
        }
    }

    /// The bottleneck works up to `at`, which is no later than when the first that waits has left.
    fn serve_until(&mut self, at: Duration) {
        let time = at.saturating_sub(self.now);
        if let Some(rate) = self.rate
            && !self.waiting.is_empty()
        {
            self.head_left.serve(rate, time);
        }
        self.now += time;
    }

    fn apply(&mut self, PathChange { at, change }: PathChange) {
        match change {
            Change::Rate(rate) => self.rate = rate,
            Change::Delay(delay) => self.delay = delay,
            Change::Loss(loss) => self.loss.set(loss),
            Change::Outage(lasts) => {
                self.stats.dropped.outage += self.waiting.len() as u64;
                self.waiting.clear();
                self.waiting_bytes = 0;
                self.outage_until = self.outage_until.max(at + lasts);
            }
        }
    }

    /// The last bit of the first that waits leaves the bottleneck.
    fn let_out(&mut self, at: Duration) {
        self.now = at;
        let Some(head) = self.waiting.pop_front() else { return };
        self.waiting_bytes -= head.bytes;
        if let Some(next) = self.waiting.front_mut() {
            next.queued = at - next.sent_at;
            self.head_left = Work::of(next.bytes);
        }
        self.stats.passed += 1;
        self.stats.passed_bytes += head.bytes as u64;
        self.queue_delays.record(head.queued);
        if self.loss.next(at) {
            self.stats.dropped.loss += 1;
            return;
        }
        let overtaken = self.reorders.happens(self.reorder);
        let later = self.reorder_by.mul_f64(self.reorders.unit());
        let mut arrives = at + self.delay + self.jitter.mul_f64(self.jitters.unit());
        if overtaken {
            self.stats.reordered += 1;
            arrives = arrives.max(self.last_arrival) + later;
        } else {
            arrives = arrives.max(self.last_arrival);
            self.last_arrival = arrives;
        }
        let Waiting { payload, bytes, sent_at, queued } = head;
        if self.duplicates.happens(self.duplicate) {
            self.stats.duplicated += 1;
            let payload = payload.clone();
            self.fly(Arrival { payload, bytes, sent_at, at: arrives, queued });
        }
        self.fly(Arrival { payload, bytes, sent_at, at: arrives, queued });
    }

    fn fly(&mut self, arrival: Arrival<T>) {
        self.flying.push(Flying { arrival, order: self.order });
        self.order += 1;
    }
}

impl<T> Flying<T> {
    fn key(&self) -> (Duration, u64) {
        (self.arrival.at, self.order)
    }
}

/// The one that arrives first is the greatest: that is what a heap gives out.
impl<T> Ord for Flying<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

impl<T> PartialOrd for Flying<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Flying<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Flying<T> {}

/// Work of the bottleneck, in billionths of a bit: what 1 bit/s does in 1 ns. Exact, so nothing drifts.
#[derive(Debug, Clone, Copy, Default)]
struct Work(u128);

impl Work {
    fn of(bytes: usize) -> Self {
        Self(bytes as u128 * 8 * 1_000_000_000)
    }

    fn bytes(self) -> usize {
        self.0.div_ceil(8 * 1_000_000_000) as usize
    }

    fn time_at(self, rate: Bitrate) -> Duration {
        Duration::from_nanos(self.0.div_ceil(u128::from(rate.as_bps())) as u64)
    }

    fn serve(&mut self, rate: Bitrate, time: Duration) {
        self.0 = self.0.saturating_sub(time.as_nanos() * u128::from(rate.as_bps()));
    }
}

#[cfg(test)]
mod tests;
