//! The checks that every capture backend must pass.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use yc_capture::{CaptureBackend, CaptureEvent, clock};
use yc_media::{CaptureTime, Damage, FrameRate, VideoFrame};

/// Opens one source at a frame rate, not started.
pub(crate) type Open<'a> = &'a dyn Fn(FrameRate) -> Box<dyn CaptureBackend>;

/// Checks `open`, a source that changes at least 100 times a second for several seconds, and `open_still`,
/// one that shows a picture that never changes (or not within the next seconds).
pub(crate) fn check_contract(open: Open<'_>, open_still: Open<'_>) {
    silent_before_start_and_after_stop(open);
    a_second_start_is_refused_and_one_after_stop_is_not(open);
    frames_follow_the_rate_in_increasing_time(open);
    the_rate_can_change_in_mid_stream(open);
    dropping_in_mid_stream_ends_it(open);
    held_frames_neither_change_nor_block(open);
    a_still_picture_comes_once_and_on_request(open_still);
}

/// A frame rate.
pub(crate) fn rate(fps: u32) -> FrameRate {
    FrameRate::new(fps).unwrap()
}

/// A sink that sends every event to a receiver.
pub(crate) fn start(backend: &mut dyn CaptureBackend) -> Receiver<CaptureEvent> {
    let (sender, receiver) = mpsc::channel();
    backend
        .start(Box::new(move |event| {
            // The receiver may be gone: some checks drop it early.
            let _ = sender.send(event);
        }))
        .unwrap();
    receiver
}

/// The next event, which must be a frame.
#[track_caller]
pub(crate) fn next_frame(events: &Receiver<CaptureEvent>) -> VideoFrame {
    match events.recv_timeout(WAIT) {
        Ok(CaptureEvent::Frame(frame)) => frame,
        other => panic!("expected a frame, got {other:?}"),
    }
}

/// Asserts that nothing comes for `time`.
#[track_caller]
pub(crate) fn assert_silent(events: &Receiver<CaptureEvent>, time: Duration) {
    match events.recv_timeout(time) {
        Err(RecvTimeoutError::Timeout) => {}
        other => panic!("expected silence, got {other:?}"),
    }
}

/// Longer than anything waited for takes on a busy machine.
pub(crate) const WAIT: Duration = Duration::from_secs(10);

/// Asserts that stopping stays within its bound.
#[track_caller]
pub(crate) fn stop_in_time(backend: &mut dyn CaptureBackend) {
    let before = clock::now();
    backend.stop();
    let took = clock::now().saturating_since(before);
    assert!(took < Duration::from_millis(250), "stop took {took:?}");
}

fn silent_before_start_and_after_stop(open: Open<'_>) {
    let mut backend = open(rate(50));
    backend.request_frame();
    backend.stop();
    let events = start(&mut *backend);
    let frame = next_frame(&events);
    assert_eq!(frame.size(), backend.info().size);
    assert_eq!(frame.damage(), Damage::Full);
    assert!(!backend.info().clock.is_empty());
    stop_in_time(&mut *backend);
    while events.try_recv().is_ok() {}
    // The sink is gone with the thread, so nothing can come.
    assert_eq!(events.recv_timeout(WAIT).unwrap_err(), RecvTimeoutError::Disconnected);
    backend.request_frame();
    backend.set_frame_rate(rate(10));
    stop_in_time(&mut *backend);
}

fn a_second_start_is_refused_and_one_after_stop_is_not(open: Open<'_>) {
    let mut backend = open(rate(50));
    let events = start(&mut *backend);
    let error = backend.start(Box::new(|_| ())).unwrap_err();
    assert!(error.to_string().contains("runs already"), "{error}");
    next_frame(&events);
    backend.stop();
    let events = start(&mut *backend);
    next_frame(&events);
    stop_in_time(&mut *backend);
}

/// Takes frames for `time` and checks their order and number.
fn frames_for(events: &Receiver<CaptureEvent>, time: Duration, fps: u32) -> Vec<CaptureTime> {
    let start = clock::now();
    let mut times = Vec::new();
    while clock::now().saturating_since(start) < time {
        let frame = next_frame(events);
        let now = clock::now();
        assert!(frame.captured_at() <= now, "a frame from the future: {:?}", frame.captured_at());
        if let Some(&last) = times.last() {
            assert!(frame.captured_at() > last);
        }
        times.push(frame.captured_at());
    }
    let span = times.last().unwrap().saturating_since(times[0]).as_secs_f64();
    // A beat may be half an interval late at the start and on time at the end.
    let most = span * f64::from(fps) + 1.6;
    assert!((times.len() as f64) <= most, "{} frames in {span} s at {fps} fps", times.len());
    times
}

fn frames_follow_the_rate_in_increasing_time(open: Open<'_>) {
    let mut backend = open(rate(25));
    let events = start(&mut *backend);
    let before = clock::now();
    let times = frames_for(&events, Duration::from_millis(1200), 25);
    // No machine is so busy that it loses half of them.
    assert!(times.len() >= 15, "{} frames in 1.2 s", times.len());
    assert!(before.saturating_since(times[0]) < WAIT);
    backend.stop();
}

fn the_rate_can_change_in_mid_stream(open: Open<'_>) {
    let mut backend = open(rate(1));
    let events = start(&mut *backend);
    next_frame(&events);
    backend.set_frame_rate(rate(50));
    let times = frames_for(&events, Duration::from_millis(800), 50);
    assert!(times.len() >= 15, "{} frames in 0.8 s after the raise", times.len());
    backend.set_frame_rate(rate(10));
    // What was under way at the old rate.
    while events.recv_timeout(Duration::from_millis(30)).is_ok() {}
    frames_for(&events, Duration::from_millis(600), 10);
    backend.stop();
}

fn dropping_in_mid_stream_ends_it(open: Open<'_>) {
    let mut backend = open(rate(100));
    let events = start(&mut *backend);
    let frame = next_frame(&events);
    let before = clock::now();
    drop(backend);
    assert!(clock::now().saturating_since(before) < Duration::from_millis(250));
    while events.try_recv().is_ok() {}
    assert_eq!(events.recv_timeout(WAIT).unwrap_err(), RecvTimeoutError::Disconnected);
    // A frame outlives its capture.
    assert!(checksum(&frame) > 0);
}

fn held_frames_neither_change_nor_block(open: Open<'_>) {
    let mut backend = open(rate(100));
    let events = start(&mut *backend);
    let held: Vec<_> = (0..6).map(|_| next_frame(&events)).collect();
    let sums: Vec<_> = held.iter().map(checksum).collect();
    for _ in 0..20 {
        next_frame(&events);
    }
    assert_eq!(held.iter().map(checksum).collect::<Vec<_>>(), sums);
    // With every picture of the pool held, frames are skipped, and come again once one is let go.
    let mut hoard = Vec::new();
    while let Ok(CaptureEvent::Frame(frame)) = events.recv_timeout(Duration::from_millis(400)) {
        hoard.push(frame);
        assert!(hoard.len() < 100, "the pool grows without bound");
    }
    hoard.clear();
    next_frame(&events);
    stop_in_time(&mut *backend);
}

fn a_still_picture_comes_once_and_on_request(open: Open<'_>) {
    let mut backend = open(rate(30));
    let events = start(&mut *backend);
    let first = next_frame(&events);
    assert_silent(&events, Duration::from_millis(500));
    backend.request_frame();
    let asked = clock::now();
    let again = next_frame(&events);
    assert!(again.captured_at() > first.captured_at());
    assert!(again.captured_at().saturating_since(asked) < Duration::from_millis(250));
    assert_eq!(again.damage(), Damage::None);
    assert_eq!(checksum(&again), checksum(&first));
    assert_silent(&events, Duration::from_millis(200));
    stop_in_time(&mut *backend);
}

/// A number that changes with the picture's bytes.
pub(crate) fn checksum(frame: &VideoFrame) -> u64 {
    let yc_media::FrameBuffer::Cpu(buffer) = frame.buffer() else { panic!("a frame in GPU memory") };
    let mut sum = 1u64;
    for plane in 0..buffer.format().planes() {
        for &byte in buffer.plane(plane).0 {
            sum = (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    sum
}
