//! Sent packets kept for whoever did not receive them.
//! [RFC 4585 §6.2.1](https://www.rfc-editor.org/rfc/rfc4585#section-6.2.1) asks for them again.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use yc_media::CaptureTime;

use crate::RtpPacket;

/// How long and how much is kept of what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryLimits {
    /// How long a packet may be sent again at least. Default: 1 s.
    pub min_age: Duration,
    /// How many round trips a packet may be sent again, where that is longer than
    /// [`min_age`](Self::min_age): one until it is asked for, and two more tries. Default: 3.
    pub round_trips: u32,
    /// How soon the same packet may be sent again at least, for want of a longer round trip. Default: 5 ms.
    pub min_interval: Duration,
    /// Most bytes of payload.
    ///
    /// Payloads are slices of access units, and an access unit stays in memory until the last of its
    /// packets has left the history: up to one access unit more is held than this. Default: 8 MiB.
    pub max_bytes: usize,
    /// Most packets, of some 300 bytes each beside their payloads; more than 32,768, half of all sequence
    /// numbers, are 32,768. Default: 4,096, nearly two seconds of 20 Mbit/s.
    pub max_packets: usize,
}

impl Default for HistoryLimits {
    fn default() -> Self {
        Self {
            min_age: Duration::from_secs(1),
            round_trips: 3,
            min_interval: Duration::from_millis(5),
            max_bytes: 8 << 20,
            max_packets: 4_096,
        }
    }
}

impl HistoryLimits {
    /// How long a packet may be sent again when a round trip takes `rtt`.
    fn max_age(&self, rtt: Option<Duration>) -> Duration {
        self.min_age.max(rtt.unwrap_or_default().saturating_mul(self.round_trips))
    }
}

/// The packets of one stream that may be asked for again, by sequence number.
///
/// Packets are moved in as they left: headers and slices of their access units, nothing is copied. The
/// oldest give way by age, by bytes and by number. Finding one takes the same time however many there are,
/// and nothing is allocated once the history has been as full as it gets.
pub struct SentHistory {
    limits: HistoryLimits,
    /// One place a sequence number from `first` on; none where nothing was sent under it. The first and
    /// the last place are taken.
    places: VecDeque<Option<Sent>>,
    /// The sequence number of the first place.
    first: u16,
    /// How many sequence numbers behind the next one have been used, kept or not; no more than
    /// [`MAX_PACKETS`].
    used: usize,
    bytes: usize,
    /// By the round trip last heard of.
    max_age: Duration,
}

struct Sent {
    packet: RtpPacket,
    at: CaptureTime,
    /// When it left last, if it left again.
    again: Option<CaptureTime>,
    times: u32,
}

/// Why a packet is not sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotSent {
    /// Nothing was sent under the sequence number.
    #[error("nothing was sent under the sequence number")]
    Unknown,
    /// It was sent too long ago, or had to give way to newer ones.
    #[error("the packet is too old to be sent again")]
    TooOld,
    /// It was sent again less than a round trip ago: what is asked for may be on its way.
    #[error("the packet was sent again less than a round trip ago")]
    TooSoon,
}

impl SentHistory {
    /// A history of a stream that has sent nothing yet.
    pub fn new(limits: HistoryLimits) -> Self {
        Self { limits, places: VecDeque::new(), first: 0, used: 0, bytes: 0, max_age: limits.max_age(None) }
    }

    /// Keeps `packet`, which left for the first time at `now`.
    ///
    /// Packets may come out of order; one that is older than all that are kept, or half a cycle of sequence
    /// numbers away from them, is not kept.
    pub fn insert(&mut self, now: CaptureTime, packet: RtpPacket) {
        let sequence = packet.header.sequence;
        let next = self.first.wrapping_add(self.places.len() as u16);
        let ahead = sequence.wrapping_sub(next);
        self.bytes += packet.payload.len();
        let sent = Sent { packet, at: now, again: None, times: 1 };
        if self.used == 0 {
            self.first = sequence;
            self.used = 1;
            self.places.push_back(Some(sent));
        } else if usize::from(ahead) < MAX_PACKETS {
            let gap = usize::from(ahead);
            self.used = (self.used + gap + 1).min(MAX_PACKETS);
            if self.places.is_empty() || gap >= self.max_packets() {
                // Nothing that is kept would still fit.
                self.bytes -= self.places.drain(..).flatten().map(|sent| sent.payload_len()).sum::<usize>();
                self.first = sequence;
            } else {
                self.places.resize_with(self.places.len() + gap, || None);
            }
            self.places.push_back(Some(sent));
        } else {
            let behind = sequence.wrapping_sub(self.first);
            let before = match self.places.get_mut(usize::from(behind)) {
                Some(place) => place.replace(sent),
                None => Some(sent),
            };
            self.bytes -= before.map_or(0, |sent| sent.payload_len());
        }
        self.make_room(now);
    }

    /// The packet under `sequence`, to be sent again at `now`, when a round trip takes `rtt`, if that is
    /// known.
    ///
    /// The same packet is handed out once a round trip, so that a receiver that repeats its request before
    /// the answer can have arrived does not get it twice. A first request is answered at any time.
    ///
    /// # Errors
    ///
    /// If the packet is not to be sent again; nothing is changed then.
    pub fn retransmit(
        &mut self,
        now: CaptureTime,
        rtt: Option<Duration>,
        sequence: u16,
    ) -> Result<&RtpPacket, NotSent> {
        self.max_age = self.limits.max_age(rtt);
        let next = self.first.wrapping_add(self.places.len() as u16);
        if usize::from(next.wrapping_sub(sequence).wrapping_sub(1)) >= self.used {
            return Err(NotSent::Unknown);
        }
        let place = self.places.get_mut(usize::from(sequence.wrapping_sub(self.first)));
        let sent = place.ok_or(NotSent::TooOld)?.as_mut().ok_or(NotSent::Unknown)?;
        if now.saturating_since(sent.at) > self.max_age {
            return Err(NotSent::TooOld);
        }
        let interval = rtt.unwrap_or_default().max(self.limits.min_interval);
        if sent.again.is_some_and(|again| now.saturating_since(again) < interval) {
            return Err(NotSent::TooSoon);
        }
        sent.again = Some(now);
        sent.times = sent.times.saturating_add(1);
        Ok(&sent.packet)
    }

    /// How often the packet under `sequence` has left, the first time included; none if it is not kept.
    pub fn times_sent(&self, sequence: u16) -> Option<u32> {
        let place = self.places.get(usize::from(sequence.wrapping_sub(self.first)))?;
        place.as_ref().map(|sent| sent.times)
    }

    /// How many sequence numbers there is a place for: packets kept, and gaps between them.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Bytes of payload that are kept.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Forgets the oldest as far as the limits demand it.
    fn make_room(&mut self, now: CaptureTime) {
        while let Some(front) = self.places.front() {
            let is_kept = self.places.len() <= self.max_packets()
                && self.bytes <= self.limits.max_bytes
                && front.as_ref().is_some_and(|sent| now.saturating_since(sent.at) <= self.max_age);
            if is_kept {
                break;
            }
            let forgotten = self.places.pop_front().flatten();
            self.bytes -= forgotten.map_or(0, |sent| sent.payload_len());
            self.first = self.first.wrapping_add(1);
        }
    }

    fn max_packets(&self) -> usize {
        self.limits.max_packets.min(MAX_PACKETS)
    }
}

impl fmt::Debug for SentHistory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SentHistory")
            .field("limits", &self.limits)
            .field("first", &self.first)
            .field("len", &self.places.len())
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl Sent {
    fn payload_len(&self) -> usize {
        self.packet.payload.len()
    }
}

/// Half of all sequence numbers: of more, one could not be told from its namesake a cycle before.
const MAX_PACKETS: usize = 1 << 15;

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{RtpHeader, RtpPayload};

    const RTT: Option<Duration> = Some(Duration::from_millis(100));

    fn at(millis: u64) -> CaptureTime {
        CaptureTime::from_epoch(Duration::from_millis(10_000 + millis))
    }

    /// A hundred bytes of payload.
    fn packet(sequence: u16) -> RtpPacket {
        let payload = RtpPayload::single(&[], Bytes::from_static(&[7; 100]));
        RtpPacket { header: RtpHeader::new(101, sequence, 0, 1), payload }
    }

    fn limited(limits: impl FnOnce(&mut HistoryLimits)) -> SentHistory {
        let mut chosen = HistoryLimits::default();
        limits(&mut chosen);
        SentHistory::new(chosen)
    }

    fn with_packets(mut history: SentHistory, sequences: impl IntoIterator<Item = u16>) -> SentHistory {
        for sequence in sequences {
            history.insert(at(0), packet(sequence));
        }
        history
    }

    /// Which of the packets around the wrap is found under its own number.
    #[track_caller]
    fn check(history: &mut SentHistory, expected: &[(u16, Result<(), NotSent>)]) {
        for &(sequence, expected) in expected {
            let found = history.retransmit(at(0), RTT, sequence).map(|packet| packet.header.sequence);
            assert_eq!(found, expected.map(|()| sequence), "{sequence}");
        }
    }

    #[test]
    fn packets_are_found_across_the_wrap() {
        let mut history = with_packets(limited(|_| ()), [65_534, 65_535, 0, 1]);
        let unknown = Err(NotSent::Unknown);
        check(
            &mut history,
            &[
                (65_533, unknown),
                (65_534, Ok(())),
                (65_535, Ok(())),
                (0, Ok(())),
                (1, Ok(())),
                (2, unknown),
                (32_768, unknown),
            ],
        );
        assert_eq!((history.len(), history.bytes()), (4, 400));
    }

    #[test]
    fn nothing_is_known_before_the_first_packet() {
        let mut history = limited(|_| ());
        check(&mut history, &[(0, Err(NotSent::Unknown)), (65_535, Err(NotSent::Unknown))]);
        assert!(history.is_empty());
    }

    #[test]
    fn a_packet_leaves_again_once_a_round_trip() {
        let mut history = with_packets(limited(|_| ()), [7]);
        let mut ask = |millis, rtt| history.retransmit(at(millis), rtt, 7).map(|_| ());
        assert_eq!(ask(1, RTT), Ok(()), "the first request is answered at any time");
        assert_eq!(ask(100, RTT), Err(NotSent::TooSoon));
        assert_eq!(ask(101, RTT), Ok(()));
        // Without a round trip, or with one of nothing, the floor holds.
        assert_eq!(ask(105, None), Err(NotSent::TooSoon));
        assert_eq!(ask(105, Some(Duration::ZERO)), Err(NotSent::TooSoon));
        assert_eq!(ask(106, None), Ok(()));
        // A clock that seems to run backwards is no reason to send more.
        assert_eq!(ask(50, RTT), Err(NotSent::TooSoon));
        assert_eq!((history.times_sent(7), history.times_sent(8)), (Some(4), None));
    }

    #[test]
    fn age_is_bounded_by_a_second_or_three_round_trips() {
        let mut history = with_packets(limited(|_| ()), [7]);
        let mut ask =
            |millis, rtt| history.retransmit(at(millis), Some(Duration::from_millis(rtt)), 7).map(|_| ());
        assert_eq!(ask(1_000, 0), Ok(()));
        assert_eq!(ask(1_001, 0), Err(NotSent::TooOld));
        assert_eq!(ask(1_500, 500), Ok(()));
        assert_eq!(ask(1_501, 500), Err(NotSent::TooOld));
        // It was not forgotten by being refused, but is by the next packet.
        history.insert(at(1_600), packet(8));
        assert_eq!(history.len(), 1);
        check(&mut history, &[(7, Err(NotSent::TooOld)), (8, Ok(()))]);
    }

    #[test]
    fn bytes_are_bounded() {
        let mut history = with_packets(limited(|limits| limits.max_bytes = 350), 0..10);
        assert_eq!((history.len(), history.bytes()), (3, 300));
        check(&mut history, &[(6, Err(NotSent::TooOld)), (7, Ok(())), (9, Ok(()))]);

        let mut history = with_packets(limited(|limits| limits.max_bytes = 99), 0..3);
        assert_eq!((history.len(), history.bytes()), (0, 0));
        check(&mut history, &[(2, Err(NotSent::TooOld)), (3, Err(NotSent::Unknown))]);
    }

    #[test]
    fn numbers_are_bounded() {
        let mut history = with_packets(limited(|limits| limits.max_packets = 4), 65_530..=65_535);
        history = with_packets(history, [0]);
        assert_eq!((history.len(), history.bytes()), (4, 400));
        check(&mut history, &[(65_532, Err(NotSent::TooOld)), (65_533, Ok(())), (0, Ok(()))]);

        // Whatever is asked for, a sequence number means one packet.
        let mut history = with_packets(limited(|limits| limits.max_packets = usize::MAX), 0..40_000);
        assert_eq!(history.len(), 32_768);
        check(&mut history, &[(7_231, Err(NotSent::Unknown)), (7_232, Ok(())), (39_999, Ok(()))]);
    }

    #[test]
    fn nothing_was_sent_in_a_gap() {
        let mut history = with_packets(limited(|_| ()), [10, 13]);
        let unknown = Err(NotSent::Unknown);
        check(&mut history, &[(10, Ok(())), (11, unknown), (12, unknown), (13, Ok(()))]);
        assert_eq!((history.len(), history.bytes()), (4, 200));
        // What comes late fills its gap; what is older than all that are kept is not kept.
        let mut history = with_packets(history, [12, 9]);
        check(&mut history, &[(12, Ok(())), (11, unknown), (9, unknown)]);
        assert_eq!((history.len(), history.bytes()), (4, 300));
        // The place of a packet stays its own: the same number again replaces it.
        let history = with_packets(history, [12]);
        assert_eq!((history.len(), history.bytes(), history.times_sent(12)), (4, 300, Some(1)));
    }

    #[test]
    fn a_gap_longer_than_the_history_begins_it_anew() {
        let mut history = with_packets(limited(|limits| limits.max_packets = 100), [10, 11, 111]);
        assert_eq!((history.len(), history.bytes()), (1, 100));
        check(&mut history, &[(10, Err(NotSent::TooOld)), (11, Err(NotSent::TooOld)), (111, Ok(()))]);
        let mut history = with_packets(history, [5_000]);
        assert_eq!((history.len(), history.bytes()), (1, 100));
        check(&mut history, &[(111, Err(NotSent::TooOld)), (5_000, Ok(())), (5_001, Err(NotSent::Unknown))]);
    }
}
