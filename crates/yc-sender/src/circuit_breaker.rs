//! A receiver that no longer reports is gone, and media to it must stop.
//!
//! [RFC 8083 §4.1](https://www.rfc-editor.org/rfc/rfc8083#section-4.1): a sender that hears no RTCP for
//! several reporting intervals ceases to send.

use std::time::Duration;

use yc_media::CaptureTime;

/// Counts for how long a receiver has been silent. Takes the time as an argument; time that passes while
/// nobody looks, because the machine slept, is not held against the receiver.
#[derive(Debug)]
pub(crate) struct CircuitBreaker {
    timeout: Option<Duration>,
    looked_at: Option<CaptureTime>,
    silent: Duration,
    heard: bool,
    open: bool,
}

/// The most that one look counts for.
const LONGEST_STEP: Duration = Duration::from_secs(1);

impl CircuitBreaker {
    /// Breaks after `timeout` of silence; never without one.
    pub(crate) fn new(timeout: Option<Duration>) -> Self {
        Self { timeout, looked_at: None, silent: Duration::ZERO, heard: false, open: false }
    }

    /// The receiver reported.
    pub(crate) fn on_report(&mut self) {
        self.silent = Duration::ZERO;
        self.heard = true;
    }

    /// Looks at `now`, from the first packet on. Answers for how long the receiver has been silent, once,
    /// when that is too long.
    pub(crate) fn look(&mut self, now: CaptureTime) -> Option<Duration> {
        let before = self.looked_at.replace(now).unwrap_or(now);
        self.silent += now.saturating_since(before).min(LONGEST_STEP);
        if self.open || self.silent < self.timeout? {
            return None;
        }
        self.open = true;
        Some(self.silent)
    }

    /// Whether the receiver reported, and lately.
    pub(crate) fn path(&self) -> Path {
        if !self.heard {
            Path::Unheard
        } else if self.silent < LATELY {
            Path::Alive
        } else {
            Path::Silent
        }
    }
}

/// What is known of the way to the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Path {
    /// The receiver has not reported yet.
    Unheard,
    /// It reports.
    Alive,
    /// It did, and has not for a few seconds.
    Silent,
}

/// A few of the receiver's reports are missing when it has been silent for this long.
const LATELY: Duration = Duration::from_secs(4);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> CaptureTime {
        CaptureTime::from_epoch(Duration::from_secs(1_000) + Duration::from_millis(millis))
    }

    fn breaker() -> CircuitBreaker {
        CircuitBreaker::new(Some(Duration::from_secs(15)))
    }

    #[test]
    fn it_breaks_once_after_the_timeout_from_the_first_packet_or_the_last_report_on() {
        let mut breaker = breaker();
        let mut broken = Vec::new();
        for n in 0..400 {
            if n == 100 {
                breaker.on_report();
            }
            if let Some(silent) = breaker.look(at(n * 100)) {
                broken.push((n, silent));
            }
        }
        // Looked at from the report on: the hundredth step counts towards the silence after it.
        assert_eq!(broken, [(249, Duration::from_secs(15))]);
    }

    #[test]
    fn a_receiver_that_reports_each_second_is_alive() {
        let mut breaker = breaker();
        assert_eq!(breaker.path(), Path::Unheard);
        for n in 0..1_000 {
            breaker.on_report();
            assert_eq!(breaker.look(at(n * 1_000)), None);
            assert_eq!(breaker.path(), Path::Alive);
        }
        (1_000..1_005).for_each(|n| assert_eq!(breaker.look(at(n * 1_000)), None));
        assert_eq!(breaker.path(), Path::Silent);
    }

    #[test]
    fn a_machine_that_slept_is_given_time_to_hear() {
        let mut breaker = breaker();
        breaker.on_report();
        breaker.look(at(0));
        assert_eq!(breaker.look(at(3_600_000)), None);
    }

    #[test]
    fn without_a_timeout_it_never_breaks() {
        let mut breaker = CircuitBreaker::new(None);
        assert!((0..10_000).all(|n| breaker.look(at(n * 1_000)).is_none()));
    }
}
