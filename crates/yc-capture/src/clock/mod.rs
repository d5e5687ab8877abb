//! The capture clock: `CLOCK_MONOTONIC`, on Windows the performance counter (QPC).
//!
//! Every [`CaptureTime`] of this crate comes from it, and so must every time that is compared with one.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use yc_media::CaptureTime;

#[cfg(unix)]
mod monotonic;
#[cfg(windows)]
#[allow(unsafe_code)]
mod sys;

#[cfg(unix)]
use monotonic as source;
#[cfg(windows)]
use sys as source;

/// The clock's name in the documentation of the OS.
pub const NAME: &str = source::NAME;

/// Now, on the capture clock.
pub fn now() -> CaptureTime {
    CaptureTime::from_epoch(source::since_epoch())
}

/// When the performance counter stood at `ticks`, as the system stamps what it hands out; 0 is none.
#[cfg(windows)]
pub(crate) fn from_counter(ticks: i64) -> Option<CaptureTime> {
    (ticks != 0).then(|| CaptureTime::from_epoch(source::at(ticks)))
}

/// When `time` was on the wall clock, as time since 1970-01-01 00:00 UTC: what sender reports and traces
/// carry.
///
/// The two clocks are compared once in a process, at the first call. So a wall clock that is set later
/// does not tear a running stream apart: what is reported keeps the distances of the capture clock.
pub fn to_unix(time: CaptureTime) -> Duration {
    static ANCHOR: OnceLock<Anchor> = OnceLock::new();
    ANCHOR.get_or_init(Anchor::measure).to_unix(time)
}

/// One moment on both clocks.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    capture: Duration,
    unix: Duration,
}

impl Anchor {
    /// Reads the wall clock between two readings of the capture clock; the closest pair of several tries
    /// leaves out the moments when the thread was interrupted in between.
    fn measure() -> Self {
        let mut best: Option<(Duration, Self)> = None;
        for _ in 0..16 {
            let before = source::since_epoch();
            // A wall clock before 1970 is not set at all.
            let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let width = source::since_epoch().saturating_sub(before);
            if best.is_none_or(|(narrowest, _)| width < narrowest) {
                best = Some((width, Self { capture: before + width / 2, unix }));
            }
        }
        best.expect("the loop ran").1
    }

    fn to_unix(self, time: CaptureTime) -> Duration {
        let time = time.since_epoch();
        match time.checked_sub(self.capture) {
            Some(later) => self.unix.saturating_add(later),
            None => self.unix.saturating_sub(self.capture - time),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_never_goes_back() {
        let mut last = now();
        for _ in 0..1_000 {
            let next = now();
            assert!(next >= last);
            last = next;
        }
    }

    #[test]
    fn wall_clock_times_agree_with_the_wall_clock() {
        let unix = to_unix(now());
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        assert!(wall.abs_diff(unix) < Duration::from_millis(50), "{unix:?} at {wall:?}");
    }

    #[test]
    fn distances_are_kept_before_and_after_the_anchor() {
        let anchor = Anchor { capture: Duration::from_secs(100), unix: Duration::from_secs(5_000) };
        let at = |secs| anchor.to_unix(CaptureTime::from_epoch(Duration::from_secs(secs)));
        assert_eq!(at(103), Duration::from_secs(5_003));
        assert_eq!(at(40), Duration::from_secs(4_940));
    }
}
