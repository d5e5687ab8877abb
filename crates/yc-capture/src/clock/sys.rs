//! The performance counter of Windows.

use std::sync::OnceLock;
use std::time::Duration;

pub(super) const NAME: &str = "QueryPerformanceCounter";

pub(super) fn since_epoch() -> Duration {
    let mut ticks = 0;
    // SAFETY: the argument points at a live i64, which is all that the function asks for.
    unsafe { QueryPerformanceCounter(&mut ticks) };
    at(ticks)
}

/// The time at which the counter stood at `ticks`.
pub(super) fn at(ticks: i64) -> Duration {
    static FREQUENCY: OnceLock<u64> = OnceLock::new();
    let frequency = *FREQUENCY.get_or_init(|| {
        let mut frequency = 0;
        // SAFETY: the argument points at a live i64, which is all that the function asks for.
        unsafe { QueryPerformanceFrequency(&mut frequency) };
        // It is fixed at boot and never 0 since Windows XP; 1 keeps a broken one from dividing by it.
        frequency.unsigned_abs().max(1)
    });
    let ticks = ticks.unsigned_abs();
    let nanos = u128::from(ticks % frequency) * 1_000_000_000 / u128::from(frequency);
    Duration::new(ticks / frequency, nanos as u32)
}

#[link(name = "kernel32")]
unsafe extern "system" {
    fn QueryPerformanceCounter(ticks: *mut i64) -> i32;
    fn QueryPerformanceFrequency(ticks_per_second: *mut i64) -> i32;
}
