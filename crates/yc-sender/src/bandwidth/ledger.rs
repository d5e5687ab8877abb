//! What left and was not told of yet: the ground on which feedback stands.

use std::collections::VecDeque;
use std::time::Duration;

use yc_media::CaptureTime;

use super::{PacketOutcome, SentPacket};

/// Numbers the packets that leave and remembers them; turns feedback about numbers into [`PacketOutcome`]s.
///
/// It remembers [`SentLedger::CAPACITY`] packets at most, none longer than [`SentLedger::LONGEST`]. Feedback
/// is believed only as far as it can be true: what it says of packets that never left, that were told of
/// already, or that left too long ago is counted in [`LedgerCounters`] and left out.
#[derive(Debug)]
pub struct SentLedger {
    /// Entry `n` has the number `first + n`.
    entries: VecDeque<Entry>,
    first: u64,
    /// One more than the highest number any feedback told of.
    told: u64,
    in_flight: usize,
    clock: Option<ReceiverClock>,
    round_trip: Option<Duration>,
    counters: LedgerCounters,
}

/// Feedback that was not believed, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LedgerCounters {
    /// Told of packets that never left.
    pub unknown: u64,
    /// Told of packets that are remembered no more.
    pub late: u64,
    /// Told again what was known: received packets, or lost ones as lost.
    pub repeated: u64,
    /// Arrivals out of the bounds of the receiver's clock.
    pub implausible: u64,
    /// Times that the receiver's clock was taken anew, because it had jumped.
    pub clock_jumps: u64,
}

impl SentLedger {
    /// The most packets that are remembered.
    pub const CAPACITY: usize = 8_192;
    /// The longest that a packet is remembered.
    pub const LONGEST: Duration = Duration::from_secs(10);

    /// Nothing has left. The first packet will have the number 0.
    pub fn new() -> Self {
        Self {
            entries: VecDeque::with_capacity(Self::CAPACITY),
            first: 0,
            told: 0,
            in_flight: 0,
            clock: None,
            round_trip: None,
            counters: LedgerCounters::default(),
        }
    }

    /// The transport-wide sequence number to write into the next packet.
    pub fn next_sequence(&self) -> u16 {
        self.next() as u16
    }

    /// A packet of `bytes` left `at`, with the number that [`next_sequence`](Self::next_sequence) named, for
    /// the probe cluster `probe` if any. Answers with what the estimator is to be told.
    pub fn on_sent(&mut self, at: CaptureTime, bytes: usize, probe: Option<u32>) -> SentPacket {
        // A clock that goes back does not make a packet older than the one before it.
        let at = self.entries.back().map_or(at, |last| last.packet.at.max(at));
        self.forget(at);
        if self.entries.len() == Self::CAPACITY {
            self.forget_first();
        }
        let packet = SentPacket::new(self.next(), at, bytes).with_probe(probe);
        self.entries.push_back(Entry { packet, state: State::Untold });
        self.in_flight = self.in_flight.saturating_add(bytes);
        packet
    }

    /// Feedback came at `now`: `arrivals` tells of the packet numbered `base_sequence` and those after it,
    /// when each arrived, in ticks of 250 µs of the receiver's clock that wrap at 32 bits, or that it did
    /// not.
    ///
    /// Puts what is new and believed into `outcomes`, which is emptied before, in the order of sending. A
    /// packet that was told lost may be told received later.
    pub fn on_feedback(
        &mut self,
        now: CaptureTime,
        base_sequence: u16,
        arrivals: impl IntoIterator<Item = Option<u32>>,
        outcomes: &mut Vec<PacketOutcome>,
    ) {
        outcomes.clear();
        self.forget(now);
        let base = self.unwrap_sequence(base_sequence);
        let mut latest: Option<u64> = None;
        // The wire counts packets in 16 bits.
        for (n, ticks) in arrivals.into_iter().take(usize::from(u16::MAX)).enumerate() {
            let Some(at) = self.index(base.map(|base| base + n as i64)) else { continue };
            match (self.entries[at].state, ticks) {
                (State::Received, _) | (State::Lost, None) => self.counters.repeated += 1,
                (State::Untold, None) => {
                    self.entries[at].state = State::Lost;
                    outcomes.push(PacketOutcome::new(self.entries[at].packet, None));
                }
                (State::Untold | State::Lost, Some(ticks)) => {
                    let Some(arrived) = self.arrival(now, ticks, latest.is_none()) else { continue };
                    latest = latest.max(Some(arrived));
                    self.entries[at].state = State::Received;
                    outcomes.push(PacketOutcome::new(self.entries[at].packet, Some(in_time(arrived))));
                }
            }
            self.acknowledge(self.first + at as u64);
        }
        if let (Some(latest), Some(clock)) = (latest, &mut self.clock) {
            clock.ticks = clock.ticks.wrapping_add(latest.wrapping_sub(clock.unwrapped) as u32);
            clock.unwrapped = latest;
            clock.heard = now;
            self.measure_round_trip(now, in_time(latest), outcomes);
        }
    }

    /// Bytes that left and of which neither they nor later ones were told of.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// From the leaving of a packet to the feedback about it, as the latest feedback had it, without the time
    /// that the receiver waited between the packet and the last one it told of.
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// What was not believed.
    pub fn counters(&self) -> LedgerCounters {
        self.counters
    }

    fn next(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// The number nearest below the next one with these low bits; above it, if it is nearer from there. Such
    /// a packet never left, but those after it in a feedback may wrap into what did. Negative: before the
    /// first.
    fn unwrap_sequence(&self, low: u16) -> Option<i64> {
        let next = i64::try_from(self.next()).ok()?;
        Some(next + i64::from(low.wrapping_sub(next as u16) as i16))
    }

    /// Where the entry of `sequence` is; counts those that are nowhere.
    fn index(&mut self, sequence: Option<i64>) -> Option<usize> {
        let sequence = sequence.and_then(|sequence| u64::try_from(sequence).ok());
        match sequence {
            Some(sequence) if sequence < self.first => self.counters.late += 1,
            Some(sequence) if sequence < self.next() => return Some((sequence - self.first) as usize),
            _ => self.counters.unknown += 1,
        }
        None
    }

    /// Unwraps an arrival. The clock stays as the feedback before showed it, so that no forged arrival moves
    /// it by more than [`AHEAD`]; only the `first` of a feedback may say that the clock has jumped.
    fn arrival(&mut self, now: CaptureTime, ticks: u32, first: bool) -> Option<u64> {
        let clock = *self.clock.get_or_insert(ReceiverClock { ticks, unwrapped: EPOCH, heard: now });
        let elapsed = in_ticks(now.saturating_since(clock.heard));
        let delta = i64::from(ticks.wrapping_sub(clock.ticks) as i32);
        if (-in_ticks(BEHIND)..=elapsed.saturating_add(in_ticks(AHEAD))).contains(&delta) {
            return clock.unwrapped.checked_add_signed(delta);
        }
        if !first {
            self.counters.implausible += 1;
            return None;
        }
        self.counters.clock_jumps += 1;
        let unwrapped = clock.unwrapped.saturating_add_signed(elapsed);
        self.clock = Some(ReceiverClock { ticks, unwrapped, heard: now });
        Some(unwrapped)
    }

    fn acknowledge(&mut self, sequence: u64) {
        while self.told <= sequence {
            if let Some(at) = self.told.checked_sub(self.first)
                && let Some(entry) = self.entries.get(at as usize)
            {
                self.in_flight = self.in_flight.saturating_sub(entry.packet.bytes);
            }
            self.told += 1;
        }
    }

    fn measure_round_trip(&mut self, now: CaptureTime, latest: Duration, outcomes: &[PacketOutcome]) {
        let shortest = outcomes
            .iter()
            .filter_map(|outcome| {
                let waited = latest.saturating_sub(outcome.arrived?);
                now.saturating_since(outcome.sent.at).checked_sub(waited)
            })
            .min();
        self.round_trip = shortest.or(self.round_trip);
    }

    fn forget(&mut self, now: CaptureTime) {
        while let Some(entry) = self.entries.front()
            && now.saturating_since(entry.packet.at) > Self::LONGEST
        {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        self.acknowledge(self.first);
        if self.entries.pop_front().is_some() {
            self.first += 1;
        }
    }
}

impl Default for SentLedger {
    fn default() -> Self {
        Self::new()
    }
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    packet: SentPacket,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No feedback told of it.
    Untold,
    Lost,
    Received,
}

/// The receiver's clock as a feedback showed it: its latest arrival, and when the feedback came.
#[derive(Debug, Clone, Copy)]
struct ReceiverClock {
    ticks: u32,
    unwrapped: u64,
    heard: CaptureTime,
}

fn in_ticks(time: Duration) -> i64 {
    i64::try_from(time.as_micros() / TICK.as_micros()).unwrap_or(i64::MAX)
}

fn in_time(ticks: u64) -> Duration {
    Duration::from_micros(ticks.saturating_mul(TICK.as_micros() as u64))
}

/// Transport-wide feedback counts arrivals in these.
const TICK: Duration = Duration::from_micros(250);

/// Where the receiver's unwrapped clock begins, in ticks: 12 days, so that what arrived before has a time
/// too.
const EPOCH: u64 = 1 << 32;

/// How much an arrival may be before the latest of the feedback before it.
const BEHIND: Duration = Duration::from_secs(10);

/// How much further the receiver's clock may have gone than ours: the way may have become that much shorter.
const AHEAD: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> CaptureTime {
        CaptureTime::from_epoch(Duration::from_secs(1_000) + Duration::from_millis(millis))
    }

    /// `packets` of 1,000 bytes have left, one in each millisecond from 0 on.
    fn ledger(packets: u64) -> SentLedger {
        let mut ledger = SentLedger::new();
        (0..packets).for_each(|n| {
            ledger.on_sent(at(n), 1_000, None);
        });
        ledger
    }

    /// What is believed of a feedback at `now`: sequence numbers, and arrivals in milliseconds since the
    /// first that was ever believed.
    fn feed(ledger: &mut SentLedger, now: u64, base: u16, ticks: &[Option<u32>]) -> Vec<(u64, Option<i64>)> {
        let mut outcomes = Vec::new();
        ledger.on_feedback(at(now), base, ticks.iter().copied(), &mut outcomes);
        let millis = |arrived: Duration| arrived.as_millis() as i64 - in_time(EPOCH).as_millis() as i64;
        outcomes.iter().map(|outcome| (outcome.sent.sequence, outcome.arrived.map(millis))).collect()
    }

    #[test]
    fn feedback_becomes_outcomes_in_the_order_of_sending() {
        let mut ledger = ledger(4);
        let told = feed(&mut ledger, 50, 0, &[Some(400), None, Some(408)]);
        assert_eq!(told, [(0, Some(0)), (1, None), (2, Some(2))]);
        assert_eq!(ledger.in_flight(), 1_000);
        // The third left at 2 ms and was the last to arrive.
        assert_eq!(ledger.round_trip(), Some(Duration::from_millis(48)));
    }

    #[test]
    fn what_is_told_again_is_left_out_but_a_lost_packet_may_arrive_after_all() {
        let mut ledger = ledger(3);
        feed(&mut ledger, 50, 0, &[Some(0), None, Some(8)]);
        let told = feed(&mut ledger, 60, 0, &[None, Some(12), Some(9)]);
        assert_eq!(told, [(1, Some(3))]);
        assert_eq!(ledger.counters(), LedgerCounters { repeated: 2, ..LedgerCounters::default() });
        assert_eq!(feed(&mut ledger, 70, 1, &[None]), []);
        assert_eq!(ledger.counters().repeated, 3);
    }

    #[test]
    fn packets_that_never_left_are_not_believed() {
        let mut ledger = ledger(2);
        let told = feed(&mut ledger, 50, 1, &[Some(0), Some(1), Some(2)]);
        assert_eq!(told, [(1, Some(0))]);
        assert_eq!(feed(&mut ledger, 50, 40_000, &[Some(0); 200]), []);
        assert_eq!(feed(&mut ledger, 50, 65_535, &[Some(0)]), []);
        assert_eq!(ledger.counters().unknown, 203);
    }

    #[test]
    fn packets_are_forgotten_by_age_and_by_number_and_leave_nothing_in_flight() {
        let mut ledger = ledger(20_000);
        assert_eq!(ledger.in_flight(), SentLedger::CAPACITY * 1_000);
        assert_eq!(feed(&mut ledger, 20_000, 0, &[Some(0)]), []);
        assert_eq!(ledger.counters().late, 1);
        assert_eq!(feed(&mut ledger, 20_000, 19_999, &[Some(0)]), [(19_999, Some(0))]);
        assert_eq!(ledger.in_flight(), 0);
        ledger.on_sent(at(20_001), 1_000, None);
        assert_eq!(feed(&mut ledger, 40_000, 20_000, &[Some(0)]), []);
        assert_eq!((ledger.counters().late, ledger.in_flight()), (2, 0));
    }

    #[test]
    fn sequence_numbers_and_the_receiver_s_clock_wrap() {
        let mut ledger = SentLedger::new();
        let mut ticks = u32::MAX - 10_000;
        for n in 0..200_000_u64 {
            let base = ledger.next_sequence();
            assert_eq!(base, n as u16);
            assert_eq!(ledger.on_sent(at(n), 1_000, None).sequence, n);
            assert_eq!(feed(&mut ledger, n + 20, base, &[Some(ticks)]), [(n, Some(n as i64))]);
            ticks = ticks.wrapping_add(4);
        }
        assert_eq!(ledger.counters(), LedgerCounters::default());
    }

    #[test]
    fn a_receiver_s_clock_that_jumps_is_taken_anew_and_moves_time_by_no_more_than_ours() {
        let mut ledger = ledger(300);
        assert_eq!(feed(&mut ledger, 300, 0, &[Some(4)]), [(0, Some(0))]);
        // A day ahead, then a day back: 100 ms of our clock each.
        let day = 86_400 * 4_000;
        assert_eq!(feed(&mut ledger, 400, 1, &[Some(day), Some(day + 4)]), [(1, Some(100)), (2, Some(101))]);
        assert_eq!(feed(&mut ledger, 500, 3, &[Some(8)]), [(3, Some(201))]);
        assert_eq!(ledger.counters().clock_jumps, 2);
        // Within one feedback there is no second clock.
        let told = feed(&mut ledger, 600, 4, &[Some(408), Some(day), Some(412)]);
        assert_eq!(told, [(4, Some(301)), (6, Some(302))]);
        assert_eq!(ledger.counters().implausible, 1);
    }

    #[test]
    fn one_feedback_moves_the_receiver_s_clock_by_a_bounded_step() {
        let mut ledger = ledger(300);
        feed(&mut ledger, 300, 0, &[Some(0)]);
        // Each packet two seconds after the one before: only the first is within three seconds.
        let ticks: Vec<_> = (1..=250).map(|n| Some(n * 8_000)).collect();
        assert_eq!(feed(&mut ledger, 300, 1, &ticks), [(1, Some(2_000))]);
        assert_eq!(ledger.counters().implausible, 249);
    }

    #[test]
    fn packets_whose_feedback_was_lost_are_in_flight_no_more_and_may_be_told_of_later() {
        let mut ledger = ledger(100);
        feed(&mut ledger, 100, 50, &[Some(0)]);
        assert_eq!(ledger.in_flight(), 49_000);
        assert_eq!(feed(&mut ledger, 110, 10, &[Some(0)]), [(10, Some(0))]);
        assert_eq!(ledger.in_flight(), 49_000);
    }

    proptest::proptest! {
        #[test]
        fn no_feedback_panics_or_is_believed_twice_or_moves_the_clock_out_of_bounds(
            steps in proptest::collection::vec(
                (
                    proptest::num::u64::ANY,
                    proptest::num::u16::ANY,
                    proptest::collection::vec(proptest::option::of(proptest::num::u32::ANY), 0..300),
                ),
                1..30,
            ),
        ) {
            let mut ledger = ledger(500);
            let mut received = std::collections::HashSet::new();
            let (mut now, mut outcomes) = (500, Vec::new());
            for (n, (elapsed, base, ticks)) in (1_u32..).zip(steps) {
                now += elapsed % 100;
                ledger.on_sent(at(now), 1_000, None);
                // Half of them about packets that left.
                let base = if n % 2 == 0 { base } else { base % 500 };
                ledger.on_feedback(at(now), base, ticks, &mut outcomes);
                for outcome in &outcomes {
                    let Some(arrived) = outcome.arrived else { continue };
                    assert!(received.insert(outcome.sent.sequence));
                    let bound = Duration::from_millis(now - 500) + AHEAD * n;
                    assert!(arrived <= in_time(EPOCH) + bound, "{arrived:?}");
                }
                assert!(ledger.in_flight() <= (500 + n as usize) * 1_000);
            }
        }
    }
}
