//! What this process holds of the system: what is still held after a sender has ended leaked.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

/// glibc's malloc with one heap that gives back at once what is freed (mallopt(3)). With a heap a thread, what stays
/// resident depends on which thread took which heap, and differs by megabytes from run to run.
const ONE_HEAP: [(&str, &str); 3] =
    [("MALLOC_ARENA_MAX", "1"), ("MALLOC_TRIM_THRESHOLD_", "131072"), ("MALLOC_MMAP_THRESHOLD_", "65536")];

/// Runs `body`, the test called `name`, in a process of its own whose resident memory can be compared. It fails as
/// that process does.
pub(crate) fn measured(name: &str, body: impl FnOnce()) {
    if ONE_HEAP.iter().all(|(variable, value)| std::env::var(variable).as_deref() == Ok(value)) {
        return body();
    }
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", name, "--nocapture", "--include-ignored"]);
    // A backtrace reads in the whole of the debug information, and keeps it.
    again.envs(ONE_HEAP).env("RUST_BACKTRACE", "0");
    let output = again.output().unwrap();
    println!("{}", String::from_utf8_lossy(&output.stdout));
    eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name}, in a process of its own: {}", output.status);
    let ran = String::from_utf8_lossy(&output.stdout).contains("test result: ok. 1 passed");
    assert!(ran, "the process ran no test called {name}");
}

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
