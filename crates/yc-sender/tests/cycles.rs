//! 200 times start, send, stop: nothing is left behind. With `DISPLAY` set it captures that X11 screen, else the
//! synthetic desktop; what it used and what it measured is printed (`cargo test … -- --nocapture`).
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::fs;

use support::{PATIENCE, Receiver, params};
use yc_capture::{CaptureConfig, CaptureTarget};
use yc_media::Resolution;
use yc_sender::{PreparedSender, SenderConfig};

const WARM_UP: usize = 20;
const CYCLES: usize = 200;

/// What this process holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Held {
    threads: usize,
    files: usize,
    segments: usize,
    resident_kib: usize,
}

fn held() -> Held {
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

fn cycle(target: &CaptureTarget) {
    let mut receiver = Receiver::new();
    let capture = CaptureConfig::new(target.clone());
    let prepared = PreparedSender::open(SenderConfig::default(), capture).unwrap();
    let params = params(&prepared);
    let mut sender = prepared.start(params, receiver.address()).unwrap();
    assert!(receiver.frame(PATIENCE).unwrap().has_sps);
    assert!(sender.stop(), "a thread did not end in time");
}

#[test]
fn two_hundred_starts_and_stops_leave_nothing_behind() {
    let target = if std::env::var_os("DISPLAY").is_some() {
        CaptureTarget::Screen
    } else {
        CaptureTarget::Synthetic(Resolution::new(640, 360).unwrap())
    };
    for _ in 0..WARM_UP {
        cycle(&target);
    }
    let before = held();
    for _ in 0..CYCLES {
        cycle(&target);
    }
    let after = held();
    println!("{CYCLES} start/stop cycles of {target}: before {before:?}, after {after:?}");
    assert_eq!(
        (after.threads, after.files, after.segments),
        (before.threads, before.files, before.segments),
        "threads, file descriptors, shared-memory segments"
    );
    // An encoder for 1080p holds some 20 MB: one leaked in 200 would show.
    let grown = after.resident_kib.saturating_sub(before.resident_kib);
    assert!(grown < 8 * 1_024, "resident memory grew by {grown} KiB over {CYCLES} cycles");
}
