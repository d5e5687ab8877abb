//! What a path is, and what it cannot be.

use std::borrow::Cow;
use std::time::Duration;

use yc_media::Bitrate;

use crate::Loss;
use crate::loss::check;

/// One direction of a network: what it does to each datagram, and how it changes over time.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PathConfig {
    /// What the bottleneck lets through, 1 kbit/s or more. None: as much as comes. Default: none.
    pub rate: Option<Bitrate>,
    /// What may wait at the bottleneck; what comes then is dropped. Default: 200 ms.
    pub queue: QueueLimit,
    /// From the bottleneck to the other end, up to 60 s.
    pub delay: Duration,
    /// Up to this much is added to each delay, each amount as likely, up to 60 s. Order is kept. Default: 0.
    pub jitter: Duration,
    /// What is lost behind the bottleneck. Default: nothing.
    pub loss: Loss,
    /// Probability of a packet to be overtaken, 0.0 to 1.0: it arrives up to
    /// [`reorder_by`](Self::reorder_by) later, and others do not wait for it. Default: 0.0.
    pub reorder: f64,
    /// The most that a packet which is overtaken comes later, up to 60 s. Default: 20 ms.
    pub reorder_by: Duration,
    /// Probability of a packet to arrive twice, 0.0 to 1.0. Default: 0.0.
    pub duplicate: f64,
    /// What changes when, in order of time. Default: nothing.
    pub changes: Cow<'static, [PathChange]>,
}

/// What may wait at a bottleneck. One packet always may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueueLimit {
    /// As much as leaves in this time at the present rate.
    Time(Duration),
    /// This many bytes.
    Bytes(usize),
}

/// A change of a path in mid-run.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct PathChange {
    /// When, on the clock that the path is driven by.
    pub at: Duration,
    /// What.
    pub change: Change,
}

/// What of a path changes.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// [`PathConfig::rate`], for what waits too.
    Rate(Option<Bitrate>),
    /// [`PathConfig::delay`], for what leaves the bottleneck from then on.
    Delay(Duration),
    /// [`PathConfig::loss`].
    Loss(Loss),
    /// Nothing passes for this long: what waits at its start and what comes meanwhile is dropped, as when a
    /// station leaves its cell. What is behind the bottleneck arrives.
    Outage(Duration),
}

impl PathConfig {
    /// A path that only takes time.
    pub const fn new(delay: Duration) -> Self {
        Self::scheduled(delay, &[])
    }

    /// A path that only takes time, with `changes`, in order of time.
    pub const fn scheduled(delay: Duration, changes: &'static [PathChange]) -> Self {
        Self {
            rate: None,
            queue: QueueLimit::Time(Duration::from_millis(200)),
            delay,
            jitter: Duration::ZERO,
            loss: Loss::Never,
            reorder: 0.0,
            reorder_by: Duration::from_millis(20),
            duplicate: 0.0,
            changes: Cow::Borrowed(changes),
        }
    }

    /// With a bottleneck of `rate`.
    #[must_use]
    pub const fn with_rate(mut self, rate: Bitrate) -> Self {
        self.rate = Some(rate);
        self
    }

    /// With at most `queue` waiting at the bottleneck.
    #[must_use]
    pub const fn with_queue(mut self, queue: QueueLimit) -> Self {
        self.queue = queue;
        self
    }

    /// With up to `jitter` more delay.
    #[must_use]
    pub const fn with_jitter(mut self, jitter: Duration) -> Self {
        self.jitter = jitter;
        self
    }

    /// With `loss`.
    #[must_use]
    pub const fn with_loss(mut self, loss: Loss) -> Self {
        self.loss = loss;
        self
    }

    /// With packets overtaken with `probability`, by those of up to `by` later.
    #[must_use]
    pub const fn with_reordering(mut self, probability: f64, by: Duration) -> Self {
        self.reorder = probability;
        self.reorder_by = by;
        self
    }

    /// With packets that arrive twice with `probability`.
    #[must_use]
    pub const fn with_duplication(mut self, probability: f64) -> Self {
        self.duplicate = probability;
        self
    }

    /// With `changes`, in order of time.
    #[must_use]
    pub fn with_changes(mut self, changes: impl Into<Cow<'static, [PathChange]>>) -> Self {
        self.changes = changes.into();
        self
    }

    /// What the bottleneck lets through at `at`: nothing in an outage, `u32::MAX` where nothing bounds it.
    pub fn rate_at(&self, at: Duration) -> Bitrate {
        let (mut rate, mut outage_until) = (self.rate, Duration::ZERO);
        for change in self.changes.iter().take_while(|change| change.at <= at) {
            match change.change {
                Change::Rate(changed) => rate = changed,
                Change::Outage(lasts) => outage_until = change.at + lasts,
                Change::Delay(_) | Change::Loss(_) => {}
            }
        }
        if at < outage_until { Bitrate::bps(0) } else { rate.unwrap_or(Bitrate::bps(u32::MAX)) }
    }

    /// Checks the fields against their documented bounds.
    ///
    /// # Errors
    ///
    /// If a field is out of its bounds: the error names it and its value.
    pub fn validate(&self) -> Result<(), PathError> {
        check_rate(self.rate)?;
        check_time("delay", self.delay)?;
        check_time("jitter", self.jitter)?;
        check_time("reorder_by", self.reorder_by)?;
        self.loss.validate()?;
        check("reorder", self.reorder)?;
        check("duplicate", self.duplicate)?;
        let mut before = Duration::ZERO;
        for &PathChange { at, change } in self.changes.iter() {
            if at < before {
                return Err(PathError::Order { at, before });
            }
            before = at;
            match change {
                Change::Rate(rate) => check_rate(rate)?,
                Change::Delay(delay) => check_time("delay", delay)?,
                Change::Loss(loss) => loss.validate()?,
                Change::Outage(lasts) => check_time("outage", lasts)?,
            }
        }
        Ok(())
    }
}

impl PathChange {
    /// `change` at `at`.
    pub const fn new(at: Duration, change: Change) -> Self {
        Self { at, change }
    }
}

fn check_rate(rate: Option<Bitrate>) -> Result<(), PathError> {
    match rate {
        Some(rate) if rate < LEAST_RATE => Err(PathError::Rate(rate)),
        _ => Ok(()),
    }
}

fn check_time(what: &'static str, value: Duration) -> Result<(), PathError> {
    if value <= MAX_TIME { Ok(()) } else { Err(PathError::Time { what, value }) }
}

/// A path that cannot be.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// Not a probability.
    #[error("{what} {value} is not a probability, 0.0 to 1.0")]
    Probability {
        /// Which field.
        what: &'static str,
        /// What it holds.
        value: f64,
    },
    /// A bad state without end.
    #[error("to_good 0 leaves no way back from the bad state, more than 0.0 is needed")]
    NoWayBack,
    /// Too slow.
    #[error("rate {} bit/s is less than 1000 bit/s", .0.as_bps())]
    Rate(Bitrate),
    /// Too long.
    #[error("{what} {value:?} is more than 60 s")]
    Time {
        /// Which field.
        what: &'static str,
        /// What it holds.
        value: Duration,
    },
    /// Changes are not in order of time.
    #[error("a change at {at:?} stands behind one at {before:?}")]
    Order {
        /// When the change is to happen.
        at: Duration,
        /// When the one before it is.
        before: Duration,
    },
}

const LEAST_RATE: Bitrate = Bitrate::kbps(1);
const MAX_TIME: Duration = Duration::from_secs(60);
