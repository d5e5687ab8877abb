//! Packets gathered into bursts, and how the delay varies from one burst to the next.

/// Gathers packets into groups. [draft-ietf-rmcat-gcc-02
/// §5.1, §5.2](https://datatracker.ietf.org/doc/html/draft-ietf-rmcat-gcc-02#section-5.1).
#[derive(Debug, Default)]
pub(super) struct ArrivalGroups {
    previous: Option<Group>,
    current: Option<Group>,
    /// Groups in a row that arrived before the one sent before them.
    backwards: u32,
}

/// What one more packet made of the groups.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Arrival {
    /// The group is not complete, or there is none to compare it with.
    Gathering,
    /// A group was completed.
    Varied(Variation),
    /// Nothing was sent for long, or the arrivals make no sense: what was known of the delay is worth
    /// nothing.
    Restarted,
}

/// How a group stands to the group before it. Microseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Variation {
    /// From the leaving of the group before to that of this one.
    pub(super) sent: i64,
    /// From the arrival of the group before to that of this one.
    pub(super) arrived: i64,
    /// When this one arrived.
    pub(super) at: i64,
}

impl ArrivalGroups {
    /// A packet that left at `sent` arrived at `arrived`: microseconds, each of a clock of its own.
    pub(super) fn add(&mut self, sent: i64, arrived: i64) -> Arrival {
        let Some(current) = &mut self.current else {
            self.current = Some(Group::new(sent, arrived));
            return Arrival::Gathering;
        };
        if sent < current.first_sent {
            return Arrival::Gathering;
        }
        if sent - current.last_sent > PAUSE {
            *self = Self { current: Some(Group::new(sent, arrived)), ..Self::default() };
            return Arrival::Restarted;
        }
        if current.takes(sent, arrived) {
            current.last_sent = current.last_sent.max(sent);
            current.last_arrived = current.last_arrived.max(arrived);
            return Arrival::Gathering;
        }
        let complete = *current;
        let previous = self.previous.replace(complete);
        self.current = Some(Group::new(sent, arrived));
        let Some(previous) = previous else { return Arrival::Gathering };
        let variation = Variation {
            sent: complete.last_sent - previous.last_sent,
            arrived: complete.last_arrived - previous.last_arrived,
            at: complete.last_arrived,
        };
        if variation.arrived < 0 || variation.arrived - variation.sent > JUMP {
            self.backwards += 1;
            if variation.arrived > 0 || self.backwards >= BACKWARDS {
                *self = Self { current: self.current, ..Self::default() };
                return Arrival::Restarted;
            }
            return Arrival::Gathering;
        }
        self.backwards = 0;
        Arrival::Varied(variation)
    }
}

/// Packets that left together. Microseconds.
#[derive(Debug, Clone, Copy)]
struct Group {
    first_sent: i64,
    last_sent: i64,
    first_arrived: i64,
    last_arrived: i64,
}

impl Group {
    fn new(sent: i64, arrived: i64) -> Self {
        Self { first_sent: sent, last_sent: sent, first_arrived: arrived, last_arrived: arrived }
    }

    /// Packets belong together that left together, and those that some queue let go at once: it was held up
    /// by something else than its own length (Wi-Fi).
    fn takes(&self, sent: i64, arrived: i64) -> bool {
        let after = arrived - self.last_arrived;
        let released =
            after < sent - self.last_sent && after <= BURST && arrived - self.first_arrived < LONGEST_RELEASE;
        sent - self.first_sent <= BURST || released
    }
}

/// Packets within 5 ms make a group.
const BURST: i64 = 5_000;

/// What is released at once ends a group after 100 ms at the latest.
const LONGEST_RELEASE: i64 = 100_000;

/// After so long without a packet, the delay before says nothing of the delay after.
const PAUSE: i64 = 400_000;

/// An arrival this much late is a clock that jumped, or a way that was broken.
const JUMP: i64 = 3_000_000;

/// So many groups in a row before their predecessors are no reordering.
const BACKWARDS: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    /// What packets, given as (sent, arrived) in milliseconds, make of the groups: (sent, arrived) deltas.
    fn variations(packets: &[(i64, i64)]) -> Vec<Option<(i64, i64)>> {
        let mut groups = ArrivalGroups::default();
        packets
            .iter()
            .filter_map(|(sent, arrived)| match groups.add(sent * 1_000, arrived * 1_000) {
                Arrival::Gathering => None,
                Arrival::Varied(variation) => Some(Some((variation.sent / 1_000, variation.arrived / 1_000))),
                Arrival::Restarted => Some(None),
            })
            .collect()
    }

    #[test]
    fn packets_within_five_milliseconds_are_one_group() {
        let packets = [(0, 50), (2, 52), (5, 57), (20, 71), (22, 80), (40, 95), (60, 110)];
        assert_eq!(variations(&packets), [Some((17, 23)), Some((18, 15))]);
    }

    #[test]
    fn what_a_queue_lets_go_at_once_is_one_group() {
        // Sent every 10 ms, held up until 200 and let go together.
        let packets = [(0, 50), (10, 60), (20, 200), (30, 201), (40, 202), (50, 203), (70, 220), (90, 240)];
        assert_eq!(variations(&packets), [Some((10, 10)), Some((40, 143)), Some((20, 17))]);
    }

    #[test]
    fn a_pause_and_a_clock_that_jumps_begin_anew() {
        let pause = [(0, 50), (20, 70), (450, 500), (470, 520), (490, 540)];
        assert_eq!(variations(&pause), [None, Some((20, 20))]);
        let jump = [(0, 50), (20, 70), (40, 90), (60, 9_000), (80, 9_020), (100, 9_040)];
        assert_eq!(variations(&jump), [Some((20, 20)), Some((20, 20)), None]);
    }

    #[test]
    fn reordered_packets_change_nothing_until_they_are_the_rule() {
        assert_eq!(
            variations(&[(0, 50), (20, 70), (10, 75), (40, 90), (60, 110)]),
            [Some((20, 20)), Some((20, 20))]
        );
    }
}
