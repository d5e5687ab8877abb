//! The networks that the sender is measured on.

use std::time::Duration;

use yc_media::Bitrate;

use crate::{Change, Loss, PathChange, PathConfig, QueueLimit};

/// A network: both directions, and for how long it is run.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Profile {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What it is, in a few words.
    pub about: &'static str,
    /// From the sender to the receiver: media.
    pub forward: PathConfig,
    /// From the receiver to the sender: RTCP. It loses what the way there loses, and has its delay; its rate
    /// and queue never matter, for RTCP is small.
    pub backward: PathConfig,
    /// How long a run lasts.
    pub duration: Duration,
}

impl Profile {
    /// The built-in profile called `name`.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        PROFILES.iter().find(|profile| profile.name == name)
    }

    const fn new(name: &'static str, about: &'static str, round_trip: Duration, rate: Bitrate) -> Self {
        Self::changing(name, about, round_trip, rate, &[], &[])
    }

    const fn changing(
        name: &'static str,
        about: &'static str,
        round_trip: Duration,
        rate: Bitrate,
        there: &'static [PathChange],
        back: &'static [PathChange],
    ) -> Self {
        let one_way = Duration::from_micros(round_trip.as_micros() as u64 / 2);
        let forward = PathConfig::scheduled(one_way, there).with_rate(rate).with_queue(QUEUE);
        let backward = PathConfig::scheduled(one_way, back);
        Self { name, about, forward, backward, duration: Duration::from_secs(30) }
    }

    const fn with_loss(mut self, loss: Loss) -> Self {
        self.forward.loss = loss;
        self.backward.loss = loss;
        self
    }

    const fn with_jitter(mut self, jitter: Duration) -> Self {
        self.forward.jitter = jitter;
        self.backward.jitter = jitter;
        self
    }

    const fn with_disorder(mut self, probability: f64, by: Duration) -> Self {
        self.forward.reorder = probability;
        self.forward.reorder_by = by;
        self.forward.duplicate = probability;
        self
    }
}

/// The built-in profiles.
pub const PROFILES: &[Profile] = &[
    Profile::new("clean", "20 ms round trip, 50 Mbit/s", millis(20), Bitrate::kbps(50_000)),
    Profile::new("loss-1", "1 % loss at random, 50 ms, 20 Mbit/s", millis(50), Bitrate::kbps(20_000))
        .with_loss(Loss::Independent(0.01)),
    Profile::new("loss-5", "5 % loss at random, 50 ms, 20 Mbit/s", millis(50), Bitrate::kbps(20_000))
        .with_loss(Loss::Independent(0.05)),
    Profile::new("loss-10", "10 % loss at random, 50 ms, 20 Mbit/s", millis(50), Bitrate::kbps(20_000))
        .with_loss(Loss::Independent(0.10)),
    Profile::new("bursts", "2 % loss in bursts of 5, 50 ms, 20 Mbit/s", millis(50), Bitrate::kbps(20_000))
        .with_loss(Loss::bursts(5.0, 0.02)),
    Profile::new("1-mbit", "1 Mbit/s, queue of 200 ms, 50 ms", millis(50), Bitrate::kbps(1_000)),
    Profile::new("300-kbit", "300 kbit/s, queue of 200 ms, 50 ms", millis(50), Bitrate::kbps(300)),
    Profile::new("rtt-100", "100 ms round trip, 20 Mbit/s", millis(100), Bitrate::kbps(20_000)),
    Profile::new(
        "jitter",
        "up to 15 ms of jitter each way, 50 ms, 5 Mbit/s",
        millis(50),
        Bitrate::kbps(5_000),
    )
    .with_jitter(millis(15)),
    Profile::new("disorder", "1 % overtaken, 1 % twice, 50 ms, 20 Mbit/s", millis(50), Bitrate::kbps(20_000))
        .with_disorder(0.01, millis(20)),
    Profile::changing(
        "drop",
        "5, then 0.5, then 5 Mbit/s, 10 s each, 50 ms",
        millis(50),
        Bitrate::kbps(5_000),
        DROP,
        &[],
    ),
    Profile::changing(
        "hand-over",
        "at 10 s nothing for 300 ms, then 4 Mbit/s for 20 and 80 ms for 20",
        millis(20),
        Bitrate::kbps(20_000),
        HAND_OVER,
        HAND_OVER_BACK,
    ),
];

const DROP: &[PathChange] = &[
    PathChange::new(Duration::from_secs(10), Change::Rate(Some(Bitrate::kbps(500)))),
    PathChange::new(Duration::from_secs(20), Change::Rate(Some(Bitrate::kbps(5_000)))),
];

const HAND_OVER: &[PathChange] = &[
    PathChange::new(Duration::from_secs(10), Change::Outage(millis(300))),
    PathChange::new(Duration::from_secs(10), Change::Rate(Some(Bitrate::kbps(4_000)))),
    PathChange::new(Duration::from_secs(10), Change::Delay(millis(40))),
];

const HAND_OVER_BACK: &[PathChange] = &[
    PathChange::new(Duration::from_secs(10), Change::Outage(millis(300))),
    PathChange::new(Duration::from_secs(10), Change::Delay(millis(40))),
];

/// What waits at a bottleneck.
const QUEUE: QueueLimit = QueueLimit::Time(millis(200));

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_can_be_run_and_has_a_name_of_its_own() {
        for profile in PROFILES {
            assert_eq!(profile.forward.validate(), Ok(()), "{}", profile.name);
            assert_eq!(profile.backward.validate(), Ok(()), "{}", profile.name);
            assert_eq!(Profile::by_name(profile.name), Some(profile));
            let last = profile.forward.changes.last().map_or(Duration::ZERO, |change| change.at);
            assert!(last < profile.duration, "{}", profile.name);
        }
        assert_eq!(Profile::by_name("no such"), None);
    }

    #[test]
    fn the_rate_follows_the_changes() {
        let at = |name: &str, at: u64| Profile::by_name(name).unwrap().forward.rate_at(millis(at)).as_kbps();
        assert_eq!([9_999, 10_000, 19_999, 20_000].map(|ms| at("drop", ms)), [5_000, 500, 500, 5_000]);
        assert_eq!([9_999, 10_000, 10_299, 10_300].map(|ms| at("hand-over", ms)), [20_000, 0, 0, 4_000]);
    }
}
