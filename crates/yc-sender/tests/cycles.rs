//! 200 times start, send, stop: nothing is left behind. With `DISPLAY` set it captures that X11 screen, else the
//! synthetic desktop; what it used and what it measured is printed (`cargo test … -- --nocapture`).
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::time::Duration;

use support::held::{held, held_after, measured};
use support::{PATIENCE, Receiver, params};
use yc_capture::{CaptureConfig, CaptureTarget};
use yc_media::Resolution;
use yc_sender::{PreparedSender, Protection, SenderConfig};

const WARM_UP: usize = 20;
const CYCLES: usize = 200;

fn cycle(target: &CaptureTarget) {
    let mut receiver = Receiver::new();
    let capture = CaptureConfig::new(target.clone());
    let mut config = SenderConfig::default();
    // This is about what is left behind, not about how soon a busy machine gets to it.
    config.stop_deadline = Duration::from_secs(10);
    let prepared = PreparedSender::open(config, capture).unwrap();
    let params = params(&prepared);
    let mut sender = prepared.start(params, receiver.address(), Protection::PlainOnLoopback).unwrap();
    assert!(receiver.frame(PATIENCE).unwrap().has_sps);
    assert!(sender.stop(), "a thread did not end in time");
}

#[test]
fn two_hundred_starts_and_stops_leave_nothing_behind() {
    measured("two_hundred_starts_and_stops_leave_nothing_behind", two_hundred_cycles);
}

fn two_hundred_cycles() {
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
    let after = held_after(&before);
    println!("{CYCLES} start/stop cycles of {target}: before {before:?}, after {after:?}");
    assert_eq!(
        (after.threads, after.files, after.segments),
        (before.threads, before.files, before.segments),
        "threads, file descriptors, shared-memory segments"
    );
    // An encoder for 360p holds some 3 MB, one for 1080p 20 MB: one leaked in 200 would show.
    let grown = after.resident_kib.saturating_sub(before.resident_kib);
    assert!(grown < 2 * 1_024, "resident memory grew by {grown} KiB over {CYCLES} cycles");
}
