//! What loss says of the bitrate, and what it does not.
//!
//! The draft lowers the rate above 10 % of loss and holds it above 2 % ([draft-ietf-rmcat-gcc-02
//! §6](https://datatracker.ietf.org/doc/html/draft-ietf-rmcat-gcc-02#section-6)). Loss on the air does not
//! care for the rate: that rule starves a sender there for nothing. Here loss counts as follows.
//!
//! - Up to 10 %, whatever its cause, it lowers nothing: NACK repairs it.
//! - More of it while packets wait in a queue: the queue overflows, and what got through is what there is.
//! - More of it with no queue: either a policer lets through so much and no more, or packets get lost at any
//!   rate. An experiment tells: the rate goes down to what got through. If the loss goes away, it was a
//!   policer, and the rate stays there for a while; if not, the loss is *inherent*, the rate is restored, and
//!   only what comes on top counts from then on.

use std::time::Duration;

use yc_media::CaptureTime;

/// Judges loss. Rates are bits per second.
#[derive(Debug)]
pub(super) struct LossControl {
    packets: f64,
    lost: f64,
    /// Packets that left before this are not counted.
    since: CaptureTime,
    /// Loss that no rate takes away.
    inherent: f64,
    /// What [`LossControl::loss`] says while too few packets are counted.
    last: f64,
    experiment: Option<Experiment>,
    policer: Option<Policer>,
}

/// What to do about loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum LossVerdict {
    /// Nothing.
    Bear,
    /// A queue overflows: go below what gets through.
    Overflow,
    /// Try what becomes of the loss at what gets through.
    Try,
    /// It made no difference: go back to this rate.
    Restore(f64),
}

impl LossControl {
    pub(super) fn new() -> Self {
        Self {
            packets: 0.0,
            lost: 0.0,
            since: CaptureTime::default(),
            inherent: 0.0,
            last: 0.0,
            experiment: None,
            policer: None,
        }
    }

    /// A packet that left at `sent` was lost or not.
    pub(super) fn add(&mut self, sent: CaptureTime, lost: bool) {
        if sent >= self.since {
            self.packets += 1.0;
            self.lost += f64::from(u8::from(lost));
        }
    }

    /// The part of the packets lost lately, 0.0 to 1.0.
    pub(super) fn loss(&self) -> f64 {
        if self.packets < FEWEST { self.last } else { self.lost / self.packets }
    }

    /// The most that a policer lets through, while it is remembered.
    pub(super) fn limit(&self, now: CaptureTime) -> Option<f64> {
        self.policer.as_ref().filter(|policer| now < policer.until).map(|policer| policer.rate)
    }

    /// Whether an experiment is going on, which a probe would spoil.
    pub(super) fn trying(&self) -> bool {
        self.experiment.is_some()
    }

    /// Judges what was lost until `now`, while `rate` was aimed at, `throughput` got through and packets
    /// waited in a queue, or did not.
    pub(super) fn judge(
        &mut self,
        now: CaptureTime,
        rate: f64,
        throughput: f64,
        queued: bool,
    ) -> LossVerdict {
        self.last = self.loss();
        if let Some(experiment) = self.experiment {
            return self.conclude(now, experiment, rate, throughput);
        }
        if let Some(policer) = &self.policer
            && rate > policer.rate * GONE
        {
            self.policer = None;
        }
        let known = self.policer.as_ref().is_some_and(|policer| rate > policer.rate * 1.02);
        let verdict = if !self.significant(if known { BORNE_OF_POLICER } else { BORNE }) {
            LossVerdict::Bear
        } else if queued {
            self.count_from(now);
            LossVerdict::Overflow
        } else {
            self.experiment = Some(Experiment { rate, throughput, loss: self.last, began: now });
            self.count_from(now);
            LossVerdict::Try
        };
        if self.packets > MEMORY {
            self.inherent = self.inherent.min((self.inherent + self.last) / 2.0);
            self.packets /= 2.0;
            self.lost /= 2.0;
        }
        verdict
    }

    /// More than is borne, and not by chance: by 2.5 standard deviations of as many throws of a coin.
    fn significant(&self, borne: f64) -> bool {
        let borne = (self.inherent + borne).min(0.9);
        let chance = (self.packets * borne * (1.0 - borne)).sqrt();
        self.packets >= FEWEST && self.lost > self.packets * borne + 2.5 * chance
    }

    fn conclude(
        &mut self,
        now: CaptureTime,
        experiment: Experiment,
        rate: f64,
        throughput: f64,
    ) -> LossVerdict {
        let long = now.saturating_since(experiment.began) > LONG_EXPERIMENT;
        let plain = long || self.loss() > MOST_INHERENT;
        if self.packets < ENOUGH && !(plain && self.packets >= FEWEST) {
            // Nothing is sent that could tell.
            if now.saturating_since(experiment.began) > LONG_EXPERIMENT * 4 {
                self.experiment = None;
            }
            return LossVerdict::Bear;
        }
        let loss = self.loss();
        self.count_from(now);
        if loss > MOST_INHERENT {
            // Too much to live with. What got through was measured in a burst, or it becomes less.
            self.experiment = Some(Experiment { throughput, loss, began: now, ..experiment });
            return LossVerdict::Try;
        }
        self.experiment = None;
        if loss < experiment.loss * CURED {
            let hold =
                self.policer.as_ref().map_or(FIRST_HOLD, |policer| (policer.hold * 2).min(LONGEST_HOLD));
            self.policer = Some(Policer { rate: rate.min(experiment.throughput), until: now + hold, hold });
            self.inherent = self.inherent.min(loss);
            return LossVerdict::Bear;
        }
        self.inherent = loss;
        LossVerdict::Restore(experiment.rate)
    }

    fn count_from(&mut self, since: CaptureTime) {
        self.since = since;
        self.packets = 0.0;
        self.lost = 0.0;
    }
}

#[derive(Debug, Clone, Copy)]
struct Experiment {
    rate: f64,
    throughput: f64,
    loss: f64,
    began: CaptureTime,
}

#[derive(Debug)]
struct Policer {
    rate: f64,
    until: CaptureTime,
    hold: Duration,
}

/// Loss up to this part lowers nothing. The draft's higher threshold.
const BORNE: f64 = 0.10;

/// The same for who sends more than a policer let through before.
const BORNE_OF_POLICER: f64 = 0.04;

/// Loss is known from so many packets on, and halves its weight after so many.
const FEWEST: f64 = 10.0;
const MEMORY: f64 = 300.0;

/// An experiment ends with so many packets, or after this time.
const ENOUGH: f64 = 40.0;
const LONG_EXPERIMENT: Duration = Duration::from_millis(1_500);

/// Less than this part of the loss is left: it depended on the rate.
const CURED: f64 = 0.6;

/// Loss above this is never taken for inherent: the rate goes on falling until there is less of it.
const MOST_INHERENT: f64 = 0.4;

/// For how long a policer is remembered: the first time, and when it is met again and again.
const FIRST_HOLD: Duration = Duration::from_secs(2);
const LONGEST_HOLD: Duration = Duration::from_secs(16);

/// Once this many times its rate got through, there is no policer any more.
const GONE: f64 = 1.3;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> CaptureTime {
        CaptureTime::from_epoch(Duration::from_millis(millis))
    }

    /// One of `every` packets is lost, 100 packets in the 100 ms from `from` on.
    fn lose(control: &mut LossControl, from: u64, every: u64) {
        (0..100).for_each(|n| control.add(at(from + n), every > 0 && n % every == 0));
    }

    #[test]
    fn ten_percent_are_borne_for_ever() {
        let mut control = LossControl::new();
        for n in 0..200 {
            lose(&mut control, n * 100, 10);
            assert_eq!(control.judge(at(n * 100 + 100), 1e6, 9e5, n % 2 == 0), LossVerdict::Bear);
        }
        assert!((control.loss() - 0.1).abs() < 0.01);
    }

    #[test]
    fn a_third_lost_with_a_queue_is_an_overflow() {
        let mut control = LossControl::new();
        lose(&mut control, 0, 3);
        assert_eq!(control.judge(at(100), 1e6, 6e5, true), LossVerdict::Overflow);
        assert_eq!(
            control.judge(at(110), 1e6, 6e5, true),
            LossVerdict::Bear,
            "what left since is not told yet"
        );
    }

    #[test]
    fn loss_that_goes_away_with_the_rate_is_a_policer_s() {
        let mut control = LossControl::new();
        lose(&mut control, 0, 3);
        assert_eq!(control.judge(at(100), 1e6, 6e5, false), LossVerdict::Try);
        lose(&mut control, 100, 0);
        assert_eq!(control.judge(at(200), 6e5, 6e5, false), LossVerdict::Bear);
        assert_eq!(control.limit(at(300)), Some(6e5));
        assert_eq!(control.limit(at(2_200)), None);
    }

    #[test]
    fn loss_that_stays_is_inherent_and_the_rate_is_restored() {
        let mut control = LossControl::new();
        lose(&mut control, 0, 4);
        assert_eq!(control.judge(at(100), 1e6, 7e5, false), LossVerdict::Try);
        lose(&mut control, 100, 4);
        assert_eq!(control.judge(at(200), 7e5, 6e5, false), LossVerdict::Restore(1e6));
        for n in 2..50 {
            lose(&mut control, n * 100, 4);
            assert_eq!(control.judge(at(n * 100 + 100), 1e6, 7e5, false), LossVerdict::Bear);
        }
        assert_eq!(control.limit(at(5_000)), None);
    }
}
