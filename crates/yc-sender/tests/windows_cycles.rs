//! 100 times start, send, stop of a Windows desktop: no handle and no GDI object is left behind.
#![cfg(windows)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;
#[path = "../../yc-capture/tests/windows/sys.rs"]
#[allow(unsafe_code)]
#[allow(dead_code, reason = "that it sees what is held is checked beside it")]
mod sys;

use std::time::Duration;

use support::{PATIENCE, Receiver, params};
use sys::Held;
use yc_capture::{CaptureConfig, CaptureTarget};
use yc_sender::{PreparedSender, Protection, SenderConfig};

/// What is set up once is there after these.
const WARM_UP: usize = 10;
const CYCLES: usize = 100;

fn cycle() {
    let mut receiver = Receiver::new();
    let mut config = SenderConfig::default();
    // This is about what is left behind, not about how soon a busy machine gets to it.
    config.stop_deadline = Duration::from_secs(10);
    let prepared = PreparedSender::open(config, CaptureConfig::new(CaptureTarget::Screen)).unwrap();
    let params = params(&prepared);
    let mut sender = prepared.start(params, receiver.address(), Protection::PlainOnLoopback).unwrap();
    assert!(receiver.frame(PATIENCE).unwrap().has_sps);
    assert!(sender.stop(), "a thread did not end in time");
}

#[test]
fn a_hundred_shares_leave_no_handle_and_no_gdi_object_behind() {
    (0..WARM_UP).for_each(|_| cycle());
    let before = Held::now();
    (0..CYCLES).for_each(|_| cycle());
    let after = Held::now();
    println!("{CYCLES} shares: before {before:?}, after {after:?}");
    assert_eq!(after, before);
}
