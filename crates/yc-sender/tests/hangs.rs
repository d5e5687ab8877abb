//! `stop()` returns within 250 ms whatever hangs: a backend that hangs for ever, in each of its calls.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::time::{Duration, Instant};

use support::{PATIENCE, Receiver, params};
use yc_capture::{CaptureConfig, CaptureTarget};
use yc_sender::fault::Faults;
use yc_sender::{
    Backends, PreparedSender, Protection, SenderConfig, SenderErrorKind, SenderEvent, SenderState,
    UdpTransport,
};

/// What stopping may take, in all.
const BOUND: Duration = Duration::from_millis(250);

/// The machine that runs the test may be busy: the bound is the sender's, so the best of a few counts.
const TRIES: usize = 3;

fn backends(config: &SenderConfig, faults: &Faults) -> Backends {
    let target: CaptureTarget = "synthetic:320x180".parse().unwrap();
    let compiled = Backends::compiled_in(config, CaptureConfig::new(target)).unwrap();
    let captures = compiled.captures.into_iter().filter(|choice| choice.name == "synthetic").collect();
    faults.backends(Backends::new(captures, compiled.encoders))
}

/// Runs a share in which `call` hangs for ever, stops it, and answers how long that took and how it ended.
#[expect(clippy::disallowed_methods, reason = "measures from outside")]
fn stopping(call: &str) -> (Duration, SenderState) {
    // What is called for each picture hangs at the second, the rest at once.
    let each =
        matches!(call, "capture.frame" | "encoder.submit" | "encoder.poll") || call.starts_with("transport");
    let script = if each { format!("{call}@2") } else { call.to_owned() };
    let faults = Faults::new(format!("{script}=hang").parse().unwrap());
    let mut config = SenderConfig::default();
    config.failures.capture_silence = Some(Duration::from_millis(500));
    // Half of what is asked for is a level down: that sets the encoder's and the capture's rate.
    config.degradation.window = Duration::from_millis(500);
    config.degradation.hold_worse = Duration::from_millis(100);
    let all = backends(&config, &faults);
    let mut receiver = Receiver::new();
    let prepared = PreparedSender::open_from(config, all).unwrap();
    let params = params(&prepared);
    let transport = UdpTransport::connect(receiver.address()).unwrap();
    let mut sender =
        prepared.start_on(params, faults.transport(Box::new(transport)), Protection::PlainAnywhere).unwrap();
    let at_the_end = matches!(call, "capture.stop" | "encoder.drop");
    if !at_the_end {
        while faults.hanging() == 0 {
            if receiver.frame(Duration::from_millis(50)).is_some() {
                receiver.reply_remb(500);
            }
        }
    }
    let began = Instant::now();
    let ended = sender.stop();
    let took = began.elapsed();
    assert!(faults.hanging() > 0, "{call} was not called");
    let mut last = None;
    while let Some(event) = sender.next_event(Duration::ZERO) {
        last = Some(event);
    }
    assert!(matches!(last, Some(SenderEvent::SenderStopped { .. })), "{call}: {last:?}");
    // The thread that delivers pictures is the backend's own, and the backend bounds its stop itself.
    if call != "capture.frame" {
        assert_eq!((sender.status().lifecycle.threads_abandoned, ended), (1, false), "{call}");
    }
    let state = sender.status().state;
    faults.release();
    (took, state)
}

#[test]
fn stopping_is_bounded_whatever_call_hangs() {
    for call in [
        "capture.stop",
        "capture.set_frame_rate",
        "capture.frame",
        "encoder.submit",
        "encoder.poll",
        "encoder.set_rate",
        "encoder.drop",
        "transport.send",
        "transport.recv",
        "transport.wait",
    ] {
        let mut quickest = Duration::MAX;
        for _ in 0..TRIES {
            let (took, state) = stopping(call);
            assert_eq!(state, SenderState::Stopped, "{call}");
            quickest = quickest.min(took);
            if quickest <= BOUND {
                break;
            }
        }
        println!("{call:<24} stopped after {quickest:?}");
        assert!(quickest <= BOUND, "{call}: {quickest:?}");
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "measures from outside")]
fn a_backend_that_hangs_while_it_opens_delays_no_longer_than_its_deadline() {
    for (call, kind) in
        [("capture.open", SenderErrorKind::Capture), ("encoder.open", SenderErrorKind::Encode)]
    {
        let faults = Faults::new(format!("{call}=hang").parse().unwrap());
        let mut config = SenderConfig::default();
        config.watchdog.open = Duration::from_millis(200);
        let all = backends(&config, &faults);
        let began = Instant::now();
        let error = PreparedSender::open_from(config, all).unwrap_err();
        let took = began.elapsed();
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains("does not return"), "{error}");
        assert!(took < Duration::from_secs(5), "{call}: {took:?}");
        faults.release();
    }
}

#[test]
fn a_start_that_hangs_is_stopped_from_another_thread() {
    let faults = Faults::new("capture.start=hang".parse().unwrap());
    let config = SenderConfig::default();
    let all = backends(&config, &faults);
    let receiver = Receiver::new();
    let prepared = PreparedSender::open_from(config, all).unwrap();
    let (params, handle) = (params(&prepared), prepared.stop_handle());
    #[expect(clippy::disallowed_methods, reason = "joined below")]
    let starting = std::thread::spawn({
        let address = receiver.address();
        move || prepared.start(params, address, Protection::PlainOnLoopback)
    });
    assert!(faults.wait_hanging(1, PATIENCE));
    handle.stop();
    let error = starting.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), SenderErrorKind::Stopped);
    faults.release();
}
