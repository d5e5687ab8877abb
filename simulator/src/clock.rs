//! The time of a run: moved by hand, from one event to the next.

use std::time::Duration;

use yc_media::CaptureTime;

use crate::RunError;

/// Calls `happen` with zero, and then with each time that it answers with, until that is `end` or later.
/// `happen` does what is due by the time it is given, and says when something is due next. Whatever is overdue
/// is due now.
///
/// # Errors
///
/// If something is due again and again without the time going on.
pub(crate) fn drive(end: Duration, mut happen: impl FnMut(Duration) -> Duration) -> Result<(), RunError> {
    let mut now = Duration::ZERO;
    let mut rounds = 0;
    loop {
        let next = happen(now);
        rounds = if next <= now { rounds + 1 } else { 0 };
        if rounds > MAX_ROUNDS {
            return Err(RunError::Stuck(now));
        }
        if next >= end {
            return Ok(());
        }
        now = now.max(next);
    }
}

/// The first of what is due; never, if nothing is.
pub(crate) fn earliest<const N: usize>(due: [Option<Duration>; N]) -> Duration {
    due.into_iter().flatten().min().unwrap_or(Duration::MAX)
}

/// The capture clock at `now` of the run.
pub(crate) fn clock(now: Duration) -> CaptureTime {
    CaptureTime::from_epoch(EPOCH + now)
}

/// The time of the run when the capture clock is `at`; zero before it.
pub(crate) fn run_time(at: CaptureTime) -> Duration {
    at.saturating_since(clock(Duration::ZERO))
}

const EPOCH: Duration = Duration::from_secs(1_000);
/// Rounds without the time going on. A burst of packets takes a few.
const MAX_ROUNDS: u32 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// The times at which something happens, if these are due one after another.
    fn times(end: u64, due: &[u64]) -> Vec<Duration> {
        let mut due = due.iter().copied().map(ms);
        let mut times = Vec::new();
        drive(ms(end), |now| {
            times.push(now);
            due.next().unwrap_or(Duration::MAX)
        })
        .unwrap();
        times
    }

    #[test]
    fn the_time_goes_from_event_to_event_up_to_the_end_and_never_back() {
        assert_eq!(times(100, &[5, 3, 99, 100, 20]), [ms(0), ms(5), ms(5), ms(99)]);
        assert_eq!(times(100, &[]), [ms(0)]);
    }

    #[test]
    fn who_is_due_again_and_again_is_said_to_be_stuck() {
        let stuck = drive(ms(100), |now| now.max(ms(7))).unwrap_err();
        assert!(matches!(stuck, RunError::Stuck(at) if at == ms(7)), "{stuck}");
    }

    #[test]
    fn many_rounds_at_a_time_are_no_matter_once_it_goes_on() {
        let mut calls = 0;
        drive(ms(3), |now| {
            calls += 1;
            if calls % MAX_ROUNDS == 0 { now + ms(1) } else { now }
        })
        .unwrap();
        assert_eq!(calls, 3 * MAX_ROUNDS);
    }

    #[test]
    fn what_is_never_due_does_not_count() {
        assert_eq!(earliest([None, Some(ms(5)), Some(ms(3))]), ms(3));
        assert_eq!(earliest([None]), Duration::MAX);
    }

    #[test]
    fn the_capture_clock_runs_with_the_run() {
        assert_eq!(run_time(clock(ms(1_234))), ms(1_234));
        assert_eq!(run_time(CaptureTime::from_epoch(Duration::ZERO)), Duration::ZERO);
    }
}
