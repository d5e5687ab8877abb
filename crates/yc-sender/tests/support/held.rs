//! What this process holds of the system: what is still held after a sender has ended leaked.

use std::fs;
use std::time::{Duration, Instant};

/// What this process holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Held {
    pub(crate) threads: usize,
    pub(crate) files: usize,
    pub(crate) segments: usize,
    pub(crate) resident_kib: usize,
}

/// As [`held`], once no more threads than `before` are listed, or some time later: a thread that was joined is
/// listed for a moment still.
#[expect(clippy::disallowed_methods, reason = "bounds the wait")]
pub(crate) fn held_after(before: &Held) -> Held {
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        let after = held();
        if after.threads <= before.threads || Instant::now() >= until {
            return after;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn held() -> Held {
    let entries = |path: &str| fs::read_dir(path).unwrap().count();
    let own = format!(" {} ", std::process::id());
    let segments = fs::read_to_string("/proc/sysvipc/shm").unwrap_or_default();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    Held {
        threads: entries("/proc/self/task"),
        files: entries("/proc/self/fd"),
        segments: segments.lines().filter(|line| line.contains(&own)).count()
            + maps.lines().filter(|line| line.contains("SYSV") || line.contains("memfd:")).count(),
        resident_kib: resident.trim().trim_end_matches(" kB").parse().unwrap(),
    }
}
