//! Which packets are lost on the way.

use std::time::Duration;

use crate::{PathError, Random};

/// How packets are lost after the bottleneck: they took their time there, and do not arrive.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Loss {
    /// None is.
    Never,
    /// Each with this probability, 0.0 to 1.0, whatever became of the others.
    Independent(f64),
    /// In bursts. [Gilbert](https://doi.org/10.1002/j.1538-7305.1960.tb03959.x), 1960, and
    /// [Elliott](https://doi.org/10.1002/j.1538-7305.1963.tb00955.x), 1963: a chain of two states that moves
    /// once a packet, and once in each 5 ms without one: a disturbance does not wait for the next packet.
    GilbertElliott {
        /// Probability of going from the good state to the bad one, 0.0 to 1.0.
        to_bad: f64,
        /// Probability of going back, more than 0.0 to 1.0: a stay in the bad state lasts 1 / `to_good`
        /// packets in the mean.
        to_good: f64,
        /// Part of the packets lost in the good state, 0.0 to 1.0.
        in_good: f64,
        /// Part of the packets lost in the bad state, 0.0 to 1.0.
        in_bad: f64,
    },
}

impl Loss {
    /// Bursts of `mean_len` packets (1.0 or more) in the mean, in which everything is lost, `share` of all
    /// packets (less than 1.0) in total.
    pub const fn bursts(mean_len: f64, share: f64) -> Self {
        let to_good = 1.0 / mean_len;
        // The chain is in the bad state for to_bad / (to_bad + to_good) of the time.
        let to_bad = to_good * share / (1.0 - share);
        Self::GilbertElliott { to_bad, to_good, in_good: 0.0, in_bad: 1.0 }
    }

    /// The part of all packets that is lost in the long run, 0.0 to 1.0.
    pub fn share(&self) -> f64 {
        match *self {
            Self::Never => 0.0,
            Self::Independent(probability) => probability,
            Self::GilbertElliott { to_bad, to_good, in_good, in_bad } => {
                let bad = to_bad / (to_bad + to_good);
                bad * in_bad + (1.0 - bad) * in_good
            }
        }
    }

    pub(crate) fn validate(&self) -> Result<(), PathError> {
        match *self {
            Self::Never => Ok(()),
            Self::Independent(probability) => check("loss", probability),
            Self::GilbertElliott { to_bad, to_good, in_good, in_bad } => {
                check("to_bad", to_bad)?;
                check("to_good", to_good)?;
                check("in_good", in_good)?;
                check("in_bad", in_bad)?;
                if to_good == 0.0 {
                    return Err(PathError::NoWayBack);
                }
                Ok(())
            }
        }
    }
}

/// Checks that `value` is a probability.
pub(crate) fn check(what: &'static str, value: f64) -> Result<(), PathError> {
    if (0.0..=1.0).contains(&value) { Ok(()) } else { Err(PathError::Probability { what, value }) }
}

/// A loss that is under way.
#[derive(Debug)]
pub(crate) struct LossProcess {
    loss: Loss,
    bad: bool,
    /// When the chain moved last.
    moved_at: Duration,
    random: Random,
}

impl LossProcess {
    pub(crate) fn new(loss: Loss, random: Random) -> Self {
        Self { loss, bad: false, moved_at: Duration::ZERO, random }
    }

    pub(crate) fn set(&mut self, loss: Loss) {
        self.loss = loss;
        self.bad = false;
    }

    /// Whether the next packet, at `now`, is lost.
    pub(crate) fn next(&mut self, now: Duration) -> bool {
        let idle = now.saturating_sub(std::mem::replace(&mut self.moved_at, now));
        match self.loss {
            Loss::Never => false,
            Loss::Independent(probability) => self.random.happens(probability),
            Loss::GilbertElliott { to_bad, to_good, in_good, in_bad } => {
                let steps = (idle.as_nanos() / IDLE_STEP.as_nanos()).clamp(1, MAX_STEPS);
                for _ in 0..steps {
                    let leaves = self.random.happens(if self.bad { to_good } else { to_bad });
                    self.bad ^= leaves;
                }
                self.random.happens(if self.bad { in_bad } else { in_good })
            }
        }
    }
}

/// In this time without a packet the chain moves once.
const IDLE_STEP: Duration = Duration::from_millis(5);
/// After so many moves nothing is left of where it was.
const MAX_STEPS: u128 = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn losses(loss: Loss, packets: usize) -> Vec<bool> {
        spaced(loss, packets, Duration::from_micros(100))
    }

    /// Of packets at this distance.
    fn spaced(loss: Loss, packets: usize, distance: Duration) -> Vec<bool> {
        let mut process = LossProcess::new(loss, Random::new(11));
        (0..packets).map(|packet| process.next(distance * packet as u32)).collect()
    }

    /// Lengths of the runs of lost packets.
    fn runs(losses: &[bool]) -> Vec<usize> {
        losses.chunk_by(|a, b| a == b).filter(|run| run[0]).map(<[bool]>::len).collect()
    }

    #[test]
    fn independent_loss_stays_within_the_binomial_s_bounds() {
        for probability in [0.0, 0.01, 0.05, 0.1, 0.5, 1.0] {
            let packets = 200_000;
            let lost = losses(Loss::Independent(probability), packets).iter().filter(|lost| **lost).count();
            let deviation = (packets as f64 * probability * (1.0 - probability)).sqrt();
            let off = lost as f64 - packets as f64 * probability;
            assert!(off.abs() <= 4.0 * deviation, "{probability}: {lost} of {packets}");
        }
    }

    #[test]
    fn bursts_have_the_length_and_the_share_asked_for() {
        let loss = Loss::bursts(5.0, 0.02);
        assert!((loss.share() - 0.02).abs() < 1e-12);
        let losses = losses(loss, 1_000_000);
        let runs = runs(&losses);
        let lost: usize = runs.iter().sum();
        let (share, mean) = (lost as f64 / losses.len() as f64, lost as f64 / runs.len() as f64);
        // About 4,000 bursts whose lengths deviate by 4.5: the mean by 0.07, the share by 2 % of itself.
        assert!((mean - 5.0).abs() < 0.3 && (share - 0.02).abs() < 0.002, "{share} in runs of {mean}");
    }

    #[test]
    fn a_burst_passes_while_nothing_is_sent() {
        // Twenty steps between two packets: of a burst that hits one, e^-4 are left at the next.
        let losses = spaced(Loss::bursts(5.0, 0.02), 100_000, Duration::from_millis(100));
        let runs = runs(&losses);
        let lost: usize = runs.iter().sum();
        let (share, mean) = (lost as f64 / losses.len() as f64, lost as f64 / runs.len() as f64);
        assert!((share - 0.02).abs() < 0.002 && mean < 1.1, "{share} in runs of {mean}");
    }

    #[test]
    fn what_is_no_probability_is_named() {
        let check = |loss: Loss| loss.validate().unwrap_err().to_string();
        assert_eq!(check(Loss::Independent(1.5)), "loss 1.5 is not a probability, 0.0 to 1.0");
        assert_eq!(check(Loss::Independent(f64::NAN)), "loss NaN is not a probability, 0.0 to 1.0");
        let stuck = Loss::GilbertElliott { to_bad: 0.1, to_good: 0.0, in_good: 0.0, in_bad: 1.0 };
        assert_eq!(check(stuck), "to_good 0 leaves no way back from the bad state, more than 0.0 is needed");
    }
}
