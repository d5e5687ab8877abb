//! Which packets are asked for again, and when: as mediasoup's producers do.

use std::collections::BTreeMap;
use std::time::Duration;

/// The packets that are missing.
#[derive(Debug, Default)]
pub(super) struct Missing {
    /// By sequence number.
    packets: BTreeMap<u64, Wanted>,
    /// When those whose time has come are asked for; none while nothing is missing.
    timer: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Wanted {
    missed_at: Duration,
    asked_at: Option<Duration>,
    tries: u32,
}

/// What came of a look at what is missing.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// To be asked for now.
    pub(super) sequences: Vec<u64>,
    /// Those of them that were asked for the last time.
    pub(super) given_up: Vec<u64>,
}

impl Missing {
    /// The packets in `sequences` were passed over. Answers whether they are too many: then nothing is asked
    /// for, and only a key frame helps.
    pub(super) fn on_gap(&mut self, now: Duration, sequences: std::ops::Range<u64>) -> bool {
        let oldest = sequences.end.saturating_sub(MAX_AGE);
        self.packets = self.packets.split_off(&oldest);
        let gap = sequences.end - sequences.start;
        if self.packets.len() as u64 + gap > MAX_MISSING {
            self.packets.clear();
            return true;
        }
        let wanted = Wanted { missed_at: now, asked_at: None, tries: 0 };
        self.packets.extend(sequences.map(|sequence| (sequence, wanted)));
        false
    }

    /// The packet came after all. Answers whether it was missed, and whether it had been asked for.
    pub(super) fn on_found(&mut self, sequence: u64) -> Option<bool> {
        self.packets.remove(&sequence).map(|wanted| wanted.asked_at.is_some())
    }

    /// A packet came: those missed for long enough are asked for the first time.
    pub(super) fn on_packet(&mut self, now: Duration) -> Asked {
        let asked = self.ask(now, |wanted| wanted.asked_at.is_none());
        if !self.packets.is_empty() {
            self.timer.get_or_insert(now + INTERVAL);
        }
        asked
    }

    /// The timer's time has come: those asked for longer than a round trip ago are asked for again.
    pub(super) fn on_timeout(&mut self, now: Duration, round_trip: Option<Duration>) -> Asked {
        if self.timer.is_none_or(|at| at > now) {
            return Asked::default();
        }
        let pause = round_trip.unwrap_or(ROUND_TRIP);
        let asked = self.ask(now, |wanted| wanted.asked_at.is_none_or(|at| now - at >= pause));
        self.timer = (!self.packets.is_empty()).then_some(now + INTERVAL);
        asked
    }

    /// When to call [`on_timeout`](Self::on_timeout).
    pub(super) fn due_at(&self) -> Option<Duration> {
        self.timer
    }

    fn ask(&mut self, now: Duration, is_due: impl Fn(&Wanted) -> bool) -> Asked {
        let mut asked = Asked::default();
        self.packets.retain(|&sequence, wanted| {
            if now - wanted.missed_at < DELAY || !is_due(wanted) {
                return true;
            }
            asked.sequences.push(sequence);
            wanted.asked_at = Some(now);
            wanted.tries += 1;
            let goes_on = wanted.tries < MAX_TRIES;
            if !goes_on {
                asked.given_up.push(sequence);
            }
            goes_on
        });
        asked
    }
}

/// A packet is not asked for before it is missed for so long: it may be overtaken only.
const DELAY: Duration = Duration::from_millis(10);
/// How often the list is looked at.
const INTERVAL: Duration = Duration::from_millis(40);
/// What is taken for the round trip as long as none was measured.
const ROUND_TRIP: Duration = Duration::from_millis(100);
const MAX_TRIES: u32 = 10;
const MAX_MISSING: u64 = 1_000;
/// What lies so many packets back is no longer asked for.
const MAX_AGE: u64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_packet_is_asked_for_after_10_ms_and_again_after_a_round_trip_ten_times_in_all() {
        let mut missing = Missing::default();
        assert!(!missing.on_gap(ms(0), 5..7));
        assert_eq!(missing.on_packet(ms(0)).sequences, []);
        assert_eq!(missing.on_packet(ms(9)).sequences, []);
        assert_eq!(missing.on_packet(ms(10)).sequences, [5, 6]);
        assert_eq!(missing.on_packet(ms(11)).sequences, []);
        assert_eq!(missing.on_found(6), Some(true));
        let mut asked = Vec::new();
        let mut given_up = Vec::new();
        while let Some(at) = missing.due_at() {
            let looked = missing.on_timeout(at, Some(ms(50)));
            asked.extend(looked.sequences.iter().map(|sequence| (at.as_millis(), *sequence)));
            given_up.extend(looked.given_up);
        }
        // The timer's steps of 40 ms that are 50 ms or more after the last time.
        let times: Vec<_> = asked.iter().map(|(at, _)| *at).collect();
        assert_eq!(times, [80, 160, 240, 320, 400, 480, 560, 640, 720]);
        assert_eq!(given_up, [5]);
    }

    #[test]
    fn more_than_1000_are_not_asked_for() {
        let mut missing = Missing::default();
        assert!(!missing.on_gap(ms(0), 0..1_000));
        assert!(missing.on_gap(ms(1), 1_001..1_002));
        assert_eq!(missing.on_packet(ms(20)).sequences, []);
        assert_eq!(missing.due_at(), None);
    }
}
