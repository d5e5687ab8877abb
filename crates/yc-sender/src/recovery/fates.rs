//! What became of the packets that left, as transport-wide feedback tells it.

use std::time::Duration;

use yc_media::CaptureTime;

use crate::bandwidth::PacketOutcome;

/// The packets that left last, and for each whether it arrived by any of the times that it left.
#[derive(Debug)]
pub(crate) struct Fates {
    /// What left under a transport-wide sequence number, at the place that its low bits name.
    numbers: Box<[Number]>,
    /// The packets, at the place that the low bits of their sequence number name.
    packets: Box<[Fate]>,
    /// How many of them are lost.
    lost: usize,
}

/// As many as are kept to be sent again.
const PLACES: usize = 4_096;

/// A packet is lost if it has not arrived when one that left this much later has: mediasoup itself waits so long
/// before it asks, since packets may overtake each other.
const REORDERING: Duration = Duration::from_millis(10);

#[derive(Debug, Clone, Copy, Default)]
struct Number {
    transport: u16,
    /// None: padding.
    packet: Option<u16>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Fate {
    /// None: there was none yet.
    packet: Option<u16>,
    /// The transport-wide number that it left under last.
    transport: u16,
    state: State,
    /// Whether it waits to leave again.
    waits: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// It may yet arrive.
    #[default]
    Flying,
    /// It did not arrive the last time it left, nor before.
    Lost,
    Arrived,
}

impl Fates {
    pub(crate) fn new() -> Self {
        Self {
            numbers: vec![Number::default(); PLACES].into_boxed_slice(),
            packets: vec![Fate::default(); PLACES].into_boxed_slice(),
            lost: 0,
        }
    }

    /// `packet` left under the transport-wide number `transport`, for the first time or again; or padding did.
    pub(crate) fn on_sent(&mut self, transport: u16, packet: Option<u16>) {
        self.numbers[place(transport)] = Number { transport, packet };
        let Some(sequence) = packet else { return };
        let fate = &mut self.packets[place(sequence)];
        self.lost -= usize::from(fate.state == State::Lost);
        let is_again = fate.packet == packet;
        let state = match fate.state {
            State::Arrived if is_again => State::Arrived,
            _ => State::Flying,
        };
        *fate = Fate { packet, transport, state, waits: is_again && fate.waits };
    }

    /// Feedback told this, in the order of sending. Offers to `take` each packet that has not arrived and is not on its
    /// way again; what is taken is lost from now on.
    pub(crate) fn on_outcomes(&mut self, outcomes: &[PacketOutcome], mut take: impl FnMut(u16) -> bool) {
        let mut arrived: Option<CaptureTime> = None;
        for outcome in outcomes.iter().filter(|outcome| outcome.arrived.is_some()) {
            arrived = arrived.max(Some(outcome.sent.at));
            if let Some(fate) = self.fate_of(outcome) {
                let before = std::mem::replace(&mut fate.state, State::Arrived);
                self.lost -= usize::from(before == State::Lost);
            }
        }
        let Some(arrived) = arrived else { return };
        for outcome in outcomes.iter().filter(|outcome| outcome.arrived.is_none()) {
            let overtaken = arrived.saturating_since(outcome.sent.at) < REORDERING;
            if let Some(fate) = self.fate_of(outcome).filter(|_| !overtaken)
                && fate.state == State::Flying
                && fate.transport == outcome.sent.sequence as u16
                && fate.packet.is_some_and(&mut take)
            {
                fate.state = State::Lost;
                self.lost += 1;
            }
        }
    }

    /// `packet` waits to leave again from now on. Answers whether it did not yet; of one that never left, or was
    /// forgotten, nothing is known.
    pub(crate) fn begin_waiting(&mut self, packet: u16) -> bool {
        let fate = &mut self.packets[place(packet)];
        fate.packet != Some(packet) || !std::mem::replace(&mut fate.waits, true)
    }

    /// `packet` waits no more.
    pub(crate) fn end_waiting(&mut self, packet: u16) {
        let fate = &mut self.packets[place(packet)];
        fate.waits &= fate.packet != Some(packet);
    }

    /// Whether `packet` has not arrived, and is not on its way again.
    pub(crate) fn is_lost(&self, packet: u16) -> bool {
        let fate = &self.packets[place(packet)];
        fate.packet == Some(packet) && fate.state == State::Lost
    }

    /// How many packets are lost.
    pub(crate) fn lost(&self) -> usize {
        self.lost
    }

    /// `packet` will not leave again.
    pub(crate) fn forget(&mut self, packet: u16) {
        if self.is_lost(packet) {
            self.packets[place(packet)] = Fate::default();
            self.lost -= 1;
        }
    }

    /// Nothing of what is lost will leave again.
    pub(crate) fn forget_all(&mut self) {
        if self.lost > 0 {
            self.packets
                .iter_mut()
                .filter(|fate| fate.state == State::Lost)
                .for_each(|fate| *fate = Fate::default());
            self.lost = 0;
        }
    }

    fn fate_of(&mut self, outcome: &PacketOutcome) -> Option<&mut Fate> {
        let transport = outcome.sent.sequence as u16;
        let number = self.numbers[place(transport)];
        let packet = number.packet.filter(|_| number.transport == transport)?;
        Some(&mut self.packets[place(packet)]).filter(|fate| fate.packet == Some(packet))
    }
}

fn place(sequence: u16) -> usize {
    usize::from(sequence) % PLACES
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::bandwidth::SentPacket;

    /// The transport-wide number of the first packet: the 16 bits on the wire begin anew soon.
    const FIRST: u64 = 65_530;

    /// Packets, and what transport-wide number each left under: one in each 10 ms.
    struct Sent {
        fates: Fates,
        next: u64,
    }

    impl Sent {
        fn new() -> Self {
            Self { fates: Fates::new(), next: FIRST }
        }

        fn send(&mut self, packet: impl Into<Option<u16>>) -> u64 {
            self.fates.on_sent(self.next as u16, packet.into());
            self.next += 1;
            self.next - 1
        }

        /// What is lost when feedback tells that these numbers arrived or did not.
        fn told(&mut self, outcomes: &[(u64, bool)]) -> Vec<u16> {
            let outcomes: Vec<_> = outcomes
                .iter()
                .map(|(number, arrived)| {
                    let at = CaptureTime::from_epoch(Duration::from_millis(10 * number));
                    let sent = SentPacket::new(*number, at, 1_000);
                    PacketOutcome::new(sent, arrived.then(|| Duration::from_millis(10 * number)))
                })
                .collect();
            let mut lost = Vec::new();
            self.fates.on_outcomes(&outcomes, |packet| {
                lost.push(packet);
                true
            });
            lost
        }
    }

    #[test]
    fn what_did_not_arrive_is_told_once() {
        let mut sent = Sent::new();
        let numbers: Vec<_> = (0..20).map(|packet| sent.send(packet)).collect();
        let outcomes: Vec<_> = numbers.iter().map(|number| (*number, number % 7 != 0)).collect();
        let lost = sent.told(&outcomes);
        assert_eq!(lost, [4, 11, 18]);
        assert!(lost.iter().all(|packet| sent.fates.is_lost(*packet)));
        assert!(!sent.fates.is_lost(0) && !sent.fates.is_lost(2));
        assert_eq!(sent.told(&outcomes), [0; 0]);
    }

    #[test]
    fn what_is_on_its_way_again_is_not_lost_yet() {
        let mut sent = Sent::new();
        let (first, next) = (sent.send(7), sent.send(8));
        let again = sent.send(7);
        assert_eq!(sent.told(&[(first, false), (next, true)]), [0; 0]);
        let last = sent.send(9);
        assert_eq!(sent.told(&[(again, false), (last, true)]), [7], "lost again");
        sent.send(7);
        assert!(!sent.fates.is_lost(7));
    }

    #[test]
    fn one_of_several_copies_is_enough() {
        for arrives in 0..3 {
            let mut sent = Sent::new();
            let copies = [sent.send(7), sent.send(7), sent.send(7)];
            let last = sent.send(8);
            let outcomes = copies.iter().enumerate().map(|(n, number)| (*number, n == arrives));
            let outcomes: Vec<_> = outcomes.chain([(last, true)]).collect();
            assert_eq!(sent.told(&outcomes), [0; 0], "copy {arrives}");
            assert!(!sent.fates.is_lost(7));
            // A probe takes it once more, and is lost.
            let (probe, last) = (sent.send(7), sent.send(9));
            assert_eq!(sent.told(&[(probe, false), (last, true)]), [0; 0]);
        }
    }

    #[test]
    fn what_is_lost_is_counted_until_it_leaves_again_arrives_or_is_forgotten() {
        let mut sent = Sent::new();
        let numbers: Vec<_> = (0..8).map(|packet| sent.send(packet)).collect();
        let outcomes: Vec<_> = numbers.iter().map(|number| (*number, *number == numbers[7])).collect();
        assert_eq!((sent.told(&outcomes).len(), sent.fates.lost()), (7, 7));
        sent.send(0);
        assert_eq!(sent.fates.lost(), 6);
        // It was late, and the ledger had not forgotten it.
        sent.told(&[(numbers[1], true)]);
        assert_eq!(sent.fates.lost(), 5);
        sent.fates.forget(2);
        sent.fates.forget(7);
        assert_eq!(sent.fates.lost(), 4);
        sent.fates.forget_all();
        assert_eq!(sent.fates.lost(), 0);
        assert!((0..8).all(|packet| !sent.fates.is_lost(packet)));
        let (again, last) = (sent.send(2), sent.send(9));
        assert_eq!(sent.told(&[(again, false), (last, true)]), [2], "it may be needed after all");
    }

    #[test]
    fn what_nobody_takes_is_not_lost() {
        let mut sent = Sent::new();
        let numbers: Vec<_> = (0..8).map(|packet| sent.send(packet)).collect();
        let outcome = |(n, number): (usize, &u64)| {
            let at = CaptureTime::from_epoch(Duration::from_millis(20 * n as u64));
            PacketOutcome::new(SentPacket::new(*number, at, 1_000), (n == 7).then_some(Duration::ZERO))
        };
        let outcomes: Vec<_> = numbers.iter().enumerate().map(outcome).collect();
        let mut lost = Vec::new();
        sent.fates.on_outcomes(&outcomes, |packet| {
            lost.push(packet);
            packet >= 5
        });
        assert_eq!((lost.len(), sent.fates.lost()), (7, 2));
        assert!((0..8).all(|packet| sent.fates.is_lost(packet) == (packet == 5 || packet == 6)));
    }

    #[test]
    fn what_waits_is_told_from_what_does_not() {
        let mut sent = Sent::new();
        sent.send(1);
        assert!(sent.fates.begin_waiting(1) && !sent.fates.begin_waiting(1));
        sent.send(1);
        assert!(!sent.fates.begin_waiting(1), "a tail or a probe took it");
        sent.fates.end_waiting(1);
        assert!(sent.fates.begin_waiting(1));
        let namesake = 1 + PLACES as u16;
        sent.fates.end_waiting(namesake);
        assert!(!sent.fates.begin_waiting(1) && sent.fates.begin_waiting(namesake));
        sent.send(namesake);
        assert!(sent.fates.begin_waiting(namesake), "another packet has its place");
    }

    #[test]
    fn what_was_overtaken_may_yet_arrive() {
        let mut sent = Sent::new();
        let at = |millis| CaptureTime::from_epoch(Duration::from_millis(millis));
        let outcome =
            |number, millis, arrived| PacketOutcome::new(SentPacket::new(number, at(millis), 1_000), arrived);
        let (first, second) = (sent.send(1), sent.send(2));
        let outcomes = [outcome(first, 0, None), outcome(second, 9, Some(Duration::from_secs(1)))];
        sent.fates.on_outcomes(&outcomes, |packet| panic!("{packet} is lost"));
        assert!(!sent.fates.is_lost(1));
    }

    #[test]
    fn padding_and_what_gave_way_are_nobody_s_loss() {
        let mut sent = Sent::new();
        let old = sent.send(1);
        let padding = sent.send(None);
        for packet in 0..PLACES as u16 {
            sent.send(packet + 2);
        }
        let last = sent.send(PLACES as u16 + 2);
        assert_eq!(sent.told(&[(old, false), (padding, false), (last, true)]), [0; 0]);
        assert!(!sent.fates.is_lost(1));
    }

    /// What happens to packets.
    #[derive(Debug, Clone)]
    enum Step {
        Send(Option<u16>),
        /// So many of the numbers that left last, and which of them arrived.
        Told(u64, u32),
        Forget(u16),
        ForgetAll,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            8 => prop::option::weighted(0.9, 0_u16..40).prop_map(Step::Send),
            4 => (1_u64..32, any::<u32>()).prop_map(|(numbers, arrived)| Step::Told(numbers, arrived)),
            1 => (0_u16..40).prop_map(Step::Forget),
            1 => Just(Step::ForgetAll),
        ];
        prop::collection::vec(step, 1..200)
    }

    proptest! {
        #[test]
        fn as_many_are_lost_as_are_said_to_be(steps in steps()) {
            let mut sent = Sent::new();
            let mut taken = HashSet::new();
            for step in steps {
                match step {
                    Step::Send(packet) => {
                        sent.send(packet);
                        packet.iter().for_each(|packet| _ = taken.remove(packet));
                    }
                    Step::Told(numbers, arrived) => {
                        let numbers = sent.next.saturating_sub(numbers).max(FIRST)..sent.next;
                        let outcomes = numbers.enumerate().map(|(n, number)| (number, arrived >> n & 1 == 1));
                        let lost = sent.told(&outcomes.collect::<Vec<_>>());
                        taken.retain(|packet| sent.fates.is_lost(*packet));
                        for packet in lost {
                            prop_assert!(taken.insert(packet), "{packet} was lost before");
                        }
                    }
                    Step::Forget(packet) => {
                        sent.fates.forget(packet);
                        taken.remove(&packet);
                    }
                    Step::ForgetAll => {
                        sent.fates.forget_all();
                        taken.clear();
                    }
                }
                let lost: HashSet<u16> = (0..40).filter(|packet| sent.fates.is_lost(*packet)).collect();
                prop_assert_eq!(sent.fates.lost(), lost.len());
                prop_assert_eq!(&lost, &taken);
            }
        }
    }
}
