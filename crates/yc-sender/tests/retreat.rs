//! What fails in mid-stream, and how the sender goes on or ends: real encoder, real sockets, real pictures, and
//! faults injected between them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::time::Duration;

use support::{PATIENCE, Receiver, SSRC, params};
use yc_capture::{CaptureConfig, CaptureTarget};
use yc_sender::fault::Faults;
use yc_sender::{
    Backends, FallbackStep, PreparedSender, Protection, Reason, Sender, SenderConfig, SenderErrorKind,
    SenderEvent, SenderState, SenderStatus, UdpTransport,
};

/// A sender on its way, with faults between its stages.
struct Run {
    sender: Sender,
    receiver: Receiver,
    faults: Faults,
    seen: Vec<SenderEvent>,
}

/// Quick to notice: a tenth of a second is long for a picture of 320x180.
fn quick() -> SenderConfig {
    let mut config = SenderConfig::default();
    config.watchdog.encode = Duration::from_millis(400);
    config.watchdog.capture = Duration::from_millis(400);
    config.watchdog.send = Duration::from_millis(400);
    config.watchdog.open = Duration::from_millis(1_500);
    config.retreat.restart_delay = Duration::ZERO;
    config
}

fn backends(config: &SenderConfig) -> Backends {
    let target: CaptureTarget = "synthetic:320x180".parse().unwrap();
    let compiled = Backends::compiled_in(config, CaptureConfig::new(target)).unwrap();
    // Without what the display of the machine would add.
    let captures = compiled.captures.into_iter().filter(|choice| choice.name == "synthetic").collect();
    Backends::new(captures, compiled.encoders)
}

impl Run {
    fn new(config: SenderConfig, script: &str) -> Self {
        let all = backends(&config);
        Self::from(config, all, script)
    }

    fn from(config: SenderConfig, backends: Backends, script: &str) -> Self {
        let faults = Faults::new(script.parse().unwrap());
        let receiver = Receiver::new();
        let prepared = PreparedSender::open_from(config, faults.backends(backends)).unwrap();
        let params = params(&prepared);
        let transport = UdpTransport::connect(receiver.address()).unwrap();
        let sender = prepared
            .start_on(params, faults.transport(Box::new(transport)), Protection::PlainAnywhere)
            .unwrap();
        Self { sender, receiver, faults, seen: Vec::new() }
    }

    /// Two encoders of the same kind, the first of which is `#0` to the script.
    fn with_two_encoders(config: SenderConfig, script: &str) -> Self {
        let mut all = backends(&config);
        all.encoders.push(all.encoders[0].clone());
        Self::from(config, all, script)
    }

    fn event(&mut self, wanted: impl Fn(&SenderEvent) -> bool) -> SenderEvent {
        while let Some(event) = self.sender.next_event(PATIENCE) {
            self.seen.push(event.clone());
            if wanted(&event) {
                return event;
            }
        }
        panic!("the event did not come; these did: {:#?}\n{:#?}", self.seen, self.sender.status());
    }

    /// Waits until the step was triggered for `reason` and completed.
    fn step(&mut self, step: FallbackStep, reason: Reason) {
        let event = self.event(|event| matches!(event, SenderEvent::FallbackTriggered { .. }));
        let SenderEvent::FallbackTriggered { step: triggered, reason: why, .. } = event else {
            unreachable!()
        };
        assert_eq!((triggered, why), (step, reason), "{:#?}", self.seen);
        let event = self.event(|event| matches!(event, SenderEvent::FallbackCompleted { .. }));
        let SenderEvent::FallbackCompleted { step: completed, .. } = event else { unreachable!() };
        assert_eq!(completed, step);
    }

    /// Waits for the end, which must be a failure for `reason` that sends the app to the browser.
    fn gives_up(&mut self, reason: Reason) -> String {
        let event = self.event(|event| matches!(event, SenderEvent::SenderStopped { .. }));
        let SenderEvent::SenderStopped { reason: why, detail } = event else { unreachable!() };
        assert_eq!(why, reason, "{detail:?}");
        assert!(self.sender.next_event(Duration::ZERO).is_none(), "nothing follows the last event");
        self.sender.stop();
        let status = self.sender.status();
        assert_eq!((status.state, status.stop_reason), (SenderState::Failed, Some(reason)));
        assert!(self.told_to_use_the_browser(), "{:#?}", self.seen);
        assert_eq!(status.lifecycle.gave_up, 1);
        detail.unwrap_or_default()
    }

    fn told_to_use_the_browser(&self) -> bool {
        let is = |event: &SenderEvent| {
            matches!(event, SenderEvent::FallbackTriggered { step: FallbackStep::Browser, to: "browser", .. })
        };
        self.seen.iter().any(is)
    }

    fn status(&self) -> SenderStatus {
        self.sender.status()
    }

    /// Reads frames, so that what was sent before is out of the way, until one with parameter sets.
    fn key_frame(&mut self) {
        while !self.receiver.frame(PATIENCE).unwrap().has_sps {}
    }

    /// Stops, in the end, and leaves nothing hanging.
    fn end(mut self) {
        self.faults.release();
        assert!(self.sender.stop());
        assert_eq!(self.status().state, SenderState::Stopped);
    }
}

#[test]
fn a_lost_encoder_is_opened_again_on_the_same_stream() {
    let mut run = Run::new(quick(), "encoder.submit@10=fail:device_lost");
    let mut last = None;
    let mut keys = 0;
    // Every packet of every frame, before and after: one SSRC, no gap in the sequence, no step back in time.
    while keys < 2 {
        let datagram = run.receiver.datagram(PATIENCE).unwrap();
        if yc_rtp::rtcp::is_rtcp(&datagram) {
            continue;
        }
        let (header, payload) = yc_rtp::RtpHeader::parse(&datagram).unwrap();
        assert_eq!(header.ssrc, SSRC);
        if let Some((sequence, timestamp)) = last {
            assert_eq!(header.sequence, u16::wrapping_add(sequence, 1));
            assert!(header.timestamp.wrapping_sub(timestamp) < 90_000 * 10);
        }
        last = Some((header.sequence, header.timestamp));
        // A STAP-A that begins with an SPS is a key frame.
        keys += u32::from(datagram[payload.start] & 0x1f == 24 && datagram[payload.start + 3] & 0x1f == 7);
    }
    run.step(FallbackStep::RestartEncoder, Reason::EncoderDeviceLost);
    let status = run.status();
    assert_eq!((status.lifecycle.encoder_restarts, status.key_frames.restart), (1, 1));
    assert_eq!(status.state, SenderState::Running);
    assert!(status.encoder_why_not[0].contains("device lost"), "{:?}", status.encoder_why_not);
    run.end();
}

#[test]
fn an_encoder_that_fails_again_and_again_is_left_for_the_next_and_not_tried_before_its_cool_down() {
    let mut run = Run::with_two_encoders(quick(), "encoder#0.submit@5..=fail:failed");
    // No restart brings a picture, so only the last step is completed.
    let event = run.event(|event| matches!(event, SenderEvent::FallbackCompleted { .. }));
    assert!(matches!(event, SenderEvent::FallbackCompleted { step: FallbackStep::NextEncoder, .. }));
    assert!(matches!(event, SenderEvent::FallbackCompleted { from: "openh264", to: "openh264", .. }));
    let lifecycle = run.status().lifecycle;
    assert_eq!((lifecycle.encoder_restarts, lifecycle.encoder_switches, lifecycle.went_back), (2, 1, 0));
    for _ in 0..30 {
        run.receiver.frame(PATIENCE).unwrap();
    }
    assert_eq!(run.status().lifecycle, lifecycle, "it stays where it is");
    run.end();
}

#[test]
fn a_better_encoder_is_gone_back_to_after_its_cool_down_while_the_other_goes_on() {
    let mut config = quick();
    config.retreat.max_restarts = 0;
    config.retreat.cool_down = Duration::from_secs(1);
    let mut run = Run::with_two_encoders(config, "encoder#0.submit@5=fail:device_lost");
    run.step(FallbackStep::NextEncoder, Reason::EncoderDeviceLost);
    run.step(FallbackStep::PreferredEncoder, Reason::CoolDownOver);
    assert_eq!(run.status().lifecycle.went_back, 1);
    assert_eq!(run.status().dropped.encode_failed, 1, "only the picture that was lost at first");
    run.key_frame();
    run.end();
}

#[test]
fn without_any_encoder_left_the_app_is_told_to_use_the_browser() {
    let mut run = Run::with_two_encoders(quick(), "encoder.submit@20..=fail:device_lost");
    let detail = run.gives_up(Reason::EncoderDeviceLost);
    assert!(detail.contains("device lost"), "{detail}");
}

#[test]
fn an_encoder_that_is_no_longer_supported_is_not_opened_again() {
    let mut run = Run::with_two_encoders(quick(), "encoder#0.submit@5=fail:unsupported");
    run.step(FallbackStep::NextEncoder, Reason::EncoderUnsupported);
    assert_eq!(run.status().lifecycle.encoder_restarts, 0);
    run.end();
}

#[test]
fn an_encoder_that_hangs_is_abandoned_and_its_late_output_is_not_sent() {
    for (call, at) in [("submit", 8), ("poll", 15), ("set_rate", 1)] {
        let mut run = Run::new(quick(), &format!("encoder.{call}@{at}=hang"));
        run.key_frame();
        run.receiver.reply_remb(1_000);
        assert!(run.faults.wait_hanging(1, PATIENCE), "{call}");
        run.step(FallbackStep::RestartEncoder, Reason::EncoderHung);
        let status = run.status();
        assert_eq!(status.lifecycle.stages_hung, 1, "{call}");
        assert_eq!(status.lifecycle.threads_abandoned, 1, "{call}");
        run.key_frame();
        run.faults.release();
        // The abandoned thread ends by itself once the call returns.
        while run.status().lifecycle.threads_abandoned > 0 {
            run.receiver.frame(PATIENCE).unwrap();
        }
        run.end();
    }
}

#[test]
fn an_encoder_that_hangs_while_it_opens_is_passed_over() {
    let mut config = quick();
    config.watchdog.open = Duration::from_millis(300);
    let mut run = Run::with_two_encoders(config, "encoder#0.open=hang");
    run.key_frame();
    let status = run.status();
    assert!(status.encoder_why_not[0].contains("does not return"), "{:?}", status.encoder_why_not);
    run.end();
}

#[test]
fn a_few_refused_pictures_are_skipped_and_too_many_restart_the_encoder() {
    let mut config = quick();
    config.failures.encode_errors.count = 5;
    let mut run = Run::new(config.clone(), "encoder.submit@5..9=fail:invalid_input");
    let event = run.event(|event| matches!(event, SenderEvent::EncodeError { .. }));
    assert!(
        matches!(event, SenderEvent::EncodeError { reason: Reason::FrameRefused, fatal: false, .. }),
        "{event:?}"
    );
    while run.status().frames_encoded < 10 {
        run.receiver.frame(PATIENCE).unwrap();
    }
    assert_eq!(run.status().dropped.encode_failed, 5);
    assert_eq!(run.status().lifecycle.encoder_restarts, 0);
    run.end();

    let mut run = Run::new(config, "encoder.submit@5..10=fail:invalid_input");
    run.step(FallbackStep::RestartEncoder, Reason::EncodeErrors);
    run.end();
}

#[test]
fn a_panic_in_a_stage_ends_the_share_and_not_the_app() {
    for script in
        ["encoder.submit@3=panic", "encoder.poll@3=panic", "transport.send@3=panic", "capture.frame@3=panic"]
    {
        let mut run = Run::new(quick(), script);
        let detail = run.gives_up(Reason::InternalError);
        assert!(detail.contains("panicked"), "{detail}");
    }
}

#[test]
fn a_panic_before_the_share_runs_is_an_error_of_the_stage() {
    let config = quick();
    for (script, kind) in [
        ("capture.open=panic", SenderErrorKind::Capture),
        ("encoder.open=panic", SenderErrorKind::Encode),
        ("capture.start=panic", SenderErrorKind::Capture),
    ] {
        let faults = Faults::new(script.parse().unwrap());
        let receiver = Receiver::new();
        let opened = PreparedSender::open_from(config.clone(), faults.backends(backends(&config)));
        let error = match opened {
            Ok(prepared) => {
                let params = params(&prepared);
                prepared.start(params, receiver.address(), Protection::PlainOnLoopback).unwrap_err()
            }
            Err(error) => error,
        };
        assert_eq!(error.kind(), kind, "{script}: {error}");
        assert!(error.to_string().contains("panicked"), "{script}: {error}");
    }
}

#[test]
fn a_lost_capture_is_opened_again_and_the_picture_goes_on() {
    let mut run = Run::new(quick(), "capture.frame@10=fail:device_lost");
    run.step(FallbackStep::RestartCapture, Reason::CaptureDeviceLost);
    let before = run.status().frames_captured;
    while run.status().frames_captured < before + 10 {
        run.receiver.frame(PATIENCE).unwrap();
    }
    assert_eq!(run.status().lifecycle.capture_restarts, 1);
    assert_eq!(run.status().key_frames.total, 1, "the encoder was not touched");
    run.end();
}

#[test]
fn a_capture_that_fails_again_and_again_is_left_for_the_next_and_in_the_end_for_the_browser() {
    let config = quick();
    let mut all = backends(&config);
    all.captures.push(all.captures[0].clone());
    let mut run = Run::from(config, all, "capture#0.frame@5..=fail:failed;capture#1.frame@20..=fail:failed");
    run.gives_up(Reason::CaptureFailed);
    let lifecycle = run.status().lifecycle;
    assert_eq!(lifecycle.capture_switches, 1);
}

#[test]
fn a_capture_that_is_forbidden_ends_the_share_at_once() {
    let mut run = Run::new(quick(), "capture.frame@5=fail:permission_denied");
    run.gives_up(Reason::CaptureDenied);
    assert_eq!(run.status().lifecycle.capture_restarts, 0);
}

#[test]
fn a_capture_that_hangs_in_starting_is_passed_over_at_the_start_already() {
    let config = quick();
    let mut all = backends(&config);
    all.captures.push(all.captures[0].clone());
    let mut run = Run::from(config, all, "capture#0.start=hang");
    run.key_frame();
    assert!(run.status().capture_why_not[0].contains("does not return"), "{:?}", run.status());
    run.end();
}

#[test]
fn a_capture_that_falls_silent_is_asked_and_opened_again() {
    let mut config = quick();
    config.failures.capture_silence = Some(Duration::from_millis(500));
    config.failures.capture_answer = Duration::from_millis(300);
    let mut run = Run::new(config, "capture.frame@10..40=drop;capture.request_frame=drop");
    run.step(FallbackStep::RestartCapture, Reason::CaptureSilent);
    run.end();
}

#[test]
fn a_still_capture_that_answers_is_left_alone_and_its_answers_are_not_encoded() {
    let mut config = quick();
    config.failures.capture_silence = Some(Duration::from_millis(500));
    config.still.refine_for = Duration::ZERO;
    let (capture, driver) = support::DrivenCapture::new(320, 180);
    let mut receiver = Receiver::new();
    let prepared = PreparedSender::with_capture(config, capture).unwrap();
    let params = params(&prepared);
    let mut sender = prepared.start(params, receiver.address(), Protection::PlainOnLoopback).unwrap();
    driver.picture(1);
    while sender.status().capture_probes < 4 {
        receiver.frame(PATIENCE).unwrap();
    }
    let status = sender.status();
    assert_eq!((status.frames_captured, status.changes_missed), (1, 0));
    assert_eq!(status.lifecycle.capture_restarts, 0);
    assert!(sender.stop());
}

#[test]
fn a_receiver_that_is_silent_for_too_long_ends_the_share() {
    let mut config = quick();
    config.failures.rtcp_timeout = Some(Duration::from_secs(3));
    let mut run = Run::new(config, "");
    let detail = run.gives_up(Reason::RtcpTimeout);
    assert!(detail.contains("no RTCP for 3"), "{detail}");
}

#[test]
fn a_network_that_is_away_for_a_moment_is_borne_and_for_longer_is_not() {
    let mut config = quick();
    config.failures.send_errors.count = 20;
    let mut run = Run::new(config.clone(), "transport.send@10..25=fail:unreachable");
    let event = run.event(|event| matches!(event, SenderEvent::TransportError { .. }));
    assert!(
        matches!(event, SenderEvent::TransportError { reason: Reason::PeerUnreachable, fatal: false, .. }),
        "{event:?}"
    );
    while run.status().packets_sent < 40 {
        run.receiver.frame(PATIENCE).unwrap();
    }
    assert_eq!(run.status().dropped.packets_refused, 16);
    run.end();

    let mut run = Run::new(config, "transport.send@10..=fail:unreachable");
    run.gives_up(Reason::SendErrors);
}

#[test]
fn a_broken_socket_ends_the_share() {
    let mut run = Run::new(quick(), "transport.send@10=fail:failed");
    run.gives_up(Reason::SocketFailed);
}

#[test]
fn a_transport_that_hangs_ends_the_share() {
    for call in ["send", "recv", "wait"] {
        let mut run = Run::new(quick(), &format!("transport.{call}@10=hang"));
        let detail = run.gives_up(Reason::TransportHung);
        assert!(detail.contains("does not return"), "{detail}");
        assert_eq!(run.status().lifecycle.threads_abandoned, 1);
        run.faults.release();
    }
}

#[test]
fn pictures_whose_size_flips_are_encoded_in_each_size() {
    let mut run = Run::new(quick(), "capture.frame@/2=size:200x120");
    while run.status().key_frames.resize < 5 {
        run.key_frame();
    }
    assert_eq!(run.status().dropped.encode_failed, 0);
    run.end();
}
