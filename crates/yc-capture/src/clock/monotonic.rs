//! `CLOCK_MONOTONIC`.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

pub(super) const NAME: &str = "CLOCK_MONOTONIC";

pub(super) fn since_epoch() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    // It starts at 0 when the machine does; the nanoseconds are below one second.
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the clock of std is what it is compared with")]
    fn it_is_the_clock_of_std() {
        // `Instant` is `CLOCK_MONOTONIC` too but does not tell its value: compare two distances.
        let (ours, std) = (since_epoch(), std::time::Instant::now());
        while std.elapsed() < Duration::from_millis(2) {}
        let (ours, std) = (since_epoch() - ours, std.elapsed());
        assert!(ours.abs_diff(std) < Duration::from_millis(50), "{ours:?} against {std:?}");
    }
}
