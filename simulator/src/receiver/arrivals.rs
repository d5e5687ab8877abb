//! When packets arrived, told to the sender by transport-wide feedback.

use std::collections::BTreeMap;
use std::time::Duration;

use yc_rtp::{ArrivalTime, TransportFeedback};

use super::Unwrapper;

/// The arrivals that the sender is to be told of.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    unwrapper: Unwrapper,
    /// By transport-wide sequence number, for as long as one that comes late makes them be told of again.
    times: BTreeMap<u64, Duration>,
    /// The first that was not told of.
    next: Option<u64>,
    /// Those before it are no longer known.
    forgotten: u64,
    count: u8,
    due_at: Option<Duration>,
}

impl Arrivals {
    /// A packet arrived.
    pub(crate) fn on_packet(&mut self, now: Duration, sequence: u16) {
        let sequence = self.unwrapper.unwrap(sequence);
        if sequence < self.forgotten || self.times.contains_key(&sequence) {
            return;
        }
        self.times.insert(sequence, now);
        // One that comes late is told of with all that came after it.
        self.next = Some(self.next.map_or(sequence, |next| next.min(sequence)));
        self.due_at.get_or_insert(now + INTERVAL);
    }

    /// When feedback is due.
    pub(crate) fn due_at(&self) -> Option<Duration> {
        self.due_at
    }

    /// Appends what is due by `now` to `out`: one RTCP packet each time, until it answers false.
    pub(crate) fn write(&mut self, now: Duration, sender: u32, media: u32, out: &mut Vec<u8>) -> bool {
        if self.due_at.is_none_or(|at| at > now) {
            return false;
        }
        let last = self.times.last_key_value().map(|(sequence, _)| *sequence);
        let (Some(base), Some(last)) = (self.next.filter(|next| last >= Some(*next)), last) else {
            while let Some(first) = self.times.first_entry().filter(|first| *first.get() + WINDOW < now) {
                self.forgotten = first.remove_entry().0 + 1;
            }
            self.due_at = (!self.times.is_empty()).then_some(now + INTERVAL);
            return false;
        };
        let arrivals = (base..=last).map(|sequence| self.times.get(&sequence).map(|at| ticks(*at)));
        let feedback = TransportFeedback::new(base as u16, self.count, arrivals.collect());
        let told = feedback.append_to(sender, media, out);
        self.count = self.count.wrapping_add(1);
        self.next = Some(base + told.max(1) as u64);
        told > 0
    }
}

fn ticks(at: Duration) -> ArrivalTime {
    ArrivalTime::from_ticks((at.as_micros() / ArrivalTime::TICK_MICROS.unsigned_abs() as u128) as u32)
}

/// How often feedback is sent.
const INTERVAL: Duration = Duration::from_millis(100);
/// For how long arrivals are kept.
const WINDOW: Duration = Duration::from_millis(500);
