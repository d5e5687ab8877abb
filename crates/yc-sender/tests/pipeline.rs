//! The whole sender with a real encoder and real sockets, and a capture driven by hand.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::time::Duration;

use support::{DrivenCapture, PATIENCE, Receiver, params};
use yc_capture::{CaptureError, CaptureErrorKind, CaptureEvent, EndReason, PauseReason};
use yc_media::Resolution;
use yc_sender::{
    PreparedSender, Protection, Reason, Sender, SenderConfig, SenderErrorKind, SenderEvent, SenderState,
};

fn start(config: SenderConfig) -> (Sender, support::Driver, Receiver) {
    let (capture, driver) = DrivenCapture::new(320, 180);
    let receiver = Receiver::new();
    let prepared = PreparedSender::with_capture(config, capture).unwrap();
    let params = params(&prepared);
    (prepared.start(params, receiver.address(), Protection::PlainOnLoopback).unwrap(), driver, receiver)
}

fn wait_for(sender: &Sender, wanted: impl Fn(&SenderEvent) -> bool) -> SenderEvent {
    let mut seen = Vec::new();
    while let Some(event) = sender.next_event(PATIENCE) {
        if wanted(&event) {
            return event;
        }
        seen.push(event);
    }
    panic!("the event did not come; these did: {seen:?}");
}

#[test]
fn the_first_picture_arrives_as_a_key_frame_with_its_parameter_sets() {
    let (mut sender, driver, mut receiver) = start(SenderConfig::default());
    assert_eq!(sender.status().state, SenderState::Starting);
    assert!(driver.picture(1));
    assert!(receiver.frame(PATIENCE).unwrap().has_sps);
    let event = wait_for(&sender, |_| true);
    assert_eq!(event, SenderEvent::SenderStarted { encoder_backend: "openh264", capture_backend: "driven" });
    let status = sender.status();
    assert_eq!((status.state, status.key_frames.start), (SenderState::Running, 1));
    assert!(status.startup.first_sent_ms.is_some());
    assert!(sender.stop());
}

#[test]
fn a_still_screen_sharpens_then_repeats_and_answers_a_pli_at_once() {
    let mut config = SenderConfig::default();
    config.still.repeat_interval = Duration::from_millis(400);
    let (mut sender, driver, mut receiver) = start(config);
    driver.picture(1);
    assert!(receiver.frame(PATIENCE).unwrap().has_sps);
    // No further picture is captured, and frames still come.
    for _ in 0..6 {
        assert!(!receiver.frame(PATIENCE).unwrap().has_sps);
    }
    receiver.reply_pli();
    let after_pli = (0..5).find(|_| receiver.frame(PATIENCE).unwrap().has_sps);
    assert!(after_pli.is_some(), "no key frame within five frames of the PLI");
    let status = sender.status();
    assert_eq!((status.frames_captured, status.key_frames.pli), (1, 1));
    assert!(status.frames_repeated >= 7);
    assert_eq!(status.feedback.plis, 1);
    assert!(sender.stop());
}

#[test]
fn a_storm_of_plis_causes_few_key_frames() {
    let (mut sender, driver, mut receiver) = start(SenderConfig::default());
    driver.picture(1);
    receiver.frame(PATIENCE).unwrap();
    for n in 0..200 {
        receiver.reply_pli();
        if n % 20 == 0 {
            receiver.frame(PATIENCE).unwrap();
        }
    }
    while sender.status().feedback.plis < 200 {
        receiver.frame(PATIENCE).unwrap();
    }
    let status = sender.status();
    let bound = 2 + status.uptime_ms / 300;
    assert!(
        status.key_frames.total <= bound,
        "{} key frames in {} ms",
        status.key_frames.total,
        status.uptime_ms
    );
    assert!(sender.stop());
}

#[test]
fn timestamps_rise_and_the_sender_report_comes_with_the_first_frame() {
    let (mut sender, driver, mut receiver) = start(SenderConfig::default());
    driver.picture(1);
    let first = receiver.datagram(PATIENCE).unwrap();
    assert!(!yc_rtp::rtcp::is_rtcp(&first));
    let second = receiver.datagram(PATIENCE).unwrap();
    assert!(yc_rtp::rtcp::is_rtcp(&second));
    assert_eq!(second[1], 200, "a sender report");
    let mut last = receiver.frame(PATIENCE).unwrap().timestamp;
    for seed in 2..8 {
        driver.picture(seed);
        let next = receiver.frame(PATIENCE).unwrap().timestamp;
        let step = next.wrapping_sub(last);
        assert!(step > 0 && step < 90_000 * 30, "{last} then {next}");
        last = next;
    }
    assert!(sender.stop());
}

#[test]
fn a_picture_of_another_size_starts_over_with_a_key_frame() {
    let (mut sender, driver, mut receiver) = start(SenderConfig::default());
    driver.picture(1);
    assert!(receiver.frame(PATIENCE).unwrap().has_sps);
    let size = Resolution::new(259, 131).unwrap();
    driver.deliver(CaptureEvent::Resized(size));
    driver.deliver(CaptureEvent::Frame(support::picture(size, 2)));
    let resized = (0..20).find(|_| receiver.frame(PATIENCE).unwrap().has_sps);
    assert!(resized.is_some());
    let status = sender.status();
    assert_eq!(status.source_size, Some(size));
    assert_eq!(status.encoded_size, Some(Resolution::new(258, 130).unwrap()));
    assert_eq!(status.key_frames.resize, 1);
    wait_for(&sender, |event| *event == SenderEvent::SourceResized { size });
    assert!(sender.stop());
}

#[test]
fn stopping_says_goodbye_and_may_be_repeated() {
    let (mut sender, driver, mut receiver) = start(SenderConfig::default());
    driver.picture(1);
    receiver.frame(PATIENCE).unwrap();
    assert!(sender.stop());
    assert!(sender.stop());
    assert!(!driver.picture(2), "the capture was stopped");
    let mut goodbye = false;
    while let Some(datagram) = receiver.datagram(Duration::from_millis(200)) {
        goodbye |= yc_rtp::rtcp::is_rtcp(&datagram) && datagram.windows(2).any(|w| w == [0x81, 203]);
    }
    assert!(goodbye);
    let event = wait_for(&sender, |event| matches!(event, SenderEvent::SenderStopped { .. }));
    assert_eq!(event, SenderEvent::SenderStopped { reason: Reason::Requested, detail: None });
    let status = sender.status();
    assert_eq!((status.state, status.stop_reason), (SenderState::Stopped, Some(Reason::Requested)));
}

#[test]
fn stopping_before_the_first_picture_and_dropping_leave_nothing_running() {
    let (mut sender, driver, _receiver) = start(SenderConfig::default());
    assert!(sender.stop());
    assert!(!driver.picture(1));
    let (sender, driver, _receiver) = start(SenderConfig::default());
    drop(sender);
    assert!(!driver.picture(1));
}

#[test]
fn pictures_that_are_black_all_over_are_told_in_the_status() {
    let (sender, driver, _receiver) = start(SenderConfig::default());
    driver.picture(1);
    assert!(!sender.status().capture_blank);
    driver.deliver(CaptureEvent::Blank(true));
    assert!(sender.status().capture_blank);
    driver.deliver(CaptureEvent::Blank(false));
    assert!(!sender.status().capture_blank);
}

#[test]
fn a_closed_window_ends_the_share_with_its_reason() {
    let (mut sender, driver, mut receiver) = start(SenderConfig::default());
    driver.picture(1);
    receiver.frame(PATIENCE).unwrap();
    driver.deliver(CaptureEvent::Paused(PauseReason::Unmapped));
    driver.deliver(CaptureEvent::Resumed);
    driver.deliver(CaptureEvent::Ended(EndReason::WindowClosed));
    wait_for(&sender, |event| *event == SenderEvent::SourcePaused);
    wait_for(&sender, |event| *event == SenderEvent::SourceResumed);
    let event = wait_for(&sender, |event| matches!(event, SenderEvent::SenderStopped { .. }));
    assert_eq!(event, SenderEvent::SenderStopped { reason: Reason::WindowClosed, detail: None });
    assert!(sender.stop());
    assert_eq!(sender.status().state, SenderState::Stopped);
}

#[test]
fn a_broken_capture_ends_the_share_as_failed() {
    let (sender, driver, _receiver) = start(SenderConfig::default());
    let error = CaptureError::new(CaptureErrorKind::DeviceLost, "driven", "reading the display");
    driver.deliver(CaptureEvent::Failed(error));
    let event = wait_for(&sender, |event| matches!(event, SenderEvent::SenderStopped { .. }));
    let SenderEvent::SenderStopped { reason, detail } = event else { unreachable!("just matched") };
    assert_eq!(reason, Reason::CaptureDeviceLost);
    assert!(detail.unwrap().contains("device lost"));
    assert_eq!(sender.status().state, SenderState::Failed);
}

#[test]
fn garbage_on_the_port_is_counted_and_harmless() {
    let (mut sender, driver, mut receiver) = start(SenderConfig::default());
    driver.picture(1);
    receiver.frame(PATIENCE).unwrap();
    for len in [0, 1, 3, 7, 8, 200, 1_400] {
        receiver.reply(&vec![0x81; len]);
        let mut rtcp_like = vec![0xcd; len.max(8)];
        rtcp_like[..2].copy_from_slice(&[0x81, 205]);
        receiver.reply(&rtcp_like);
    }
    while sender.status().feedback.malformed < 14 {
        assert!(receiver.frame(PATIENCE).is_some());
    }
    driver.picture(2);
    assert!(receiver.frame(PATIENCE).is_some());
    assert_eq!(sender.status().state, SenderState::Running);
    assert!(sender.stop());
}

#[test]
fn a_receiver_that_is_not_there_is_told_and_does_not_end_the_share() {
    let (capture, driver) = DrivenCapture::new(320, 180);
    let receiver = Receiver::new();
    let nobody = receiver.address();
    drop(receiver);
    let prepared = PreparedSender::with_capture(SenderConfig::default(), capture).unwrap();
    let params = params(&prepared);
    let mut sender = prepared.start(params, nobody, Protection::PlainOnLoopback).unwrap();
    for seed in 0..3 {
        driver.picture(seed);
    }
    let event = wait_for(&sender, |event| matches!(event, SenderEvent::TransportError { .. }));
    let SenderEvent::TransportError { reason, fatal, .. } = event else { unreachable!("just matched") };
    assert_eq!((reason, fatal), (Reason::PeerUnreachable, false));
    assert_ne!(sender.status().state, SenderState::Failed);
    assert!(sender.stop());
}

#[test]
fn what_cannot_be_opened_is_refused_by_its_stage() {
    let (capture, _) = DrivenCapture::new(320, 180);
    let mut config = SenderConfig::default();
    config.encoders = vec!["nonesuch".into()];
    let error = PreparedSender::with_capture(config, capture).unwrap_err();
    assert_eq!(error.kind(), SenderErrorKind::Encode);
    assert!(error.to_string().contains("nonesuch"), "{error}");

    let (capture, _) = DrivenCapture::new(320, 180);
    let mut config = SenderConfig::default();
    config.frame_queue_capacity = 0;
    assert_eq!(PreparedSender::with_capture(config, capture).unwrap_err().kind(), SenderErrorKind::Config);

    let (capture, _) = DrivenCapture::new(320, 180);
    let prepared = PreparedSender::with_capture(SenderConfig::default(), capture).unwrap();
    let params = yc_rtp::StreamParams::new(1, 101, yc_rtp::CodecParams::Vp8, "test");
    let error =
        prepared.start(params, "127.0.0.1:9".parse().unwrap(), Protection::PlainOnLoopback).unwrap_err();
    assert_eq!(error.kind(), SenderErrorKind::Negotiation);
}

#[test]
fn that_it_stopped_is_told_although_nobody_took_the_events_before() {
    let (mut sender, driver, _receiver) = start(SenderConfig::default());
    for n in 0..400 {
        driver.deliver(CaptureEvent::Resized(Resolution::new(320 + n, 180).unwrap()));
    }
    assert!(sender.stop());
    let events: Vec<_> = std::iter::from_fn(|| sender.next_event(Duration::ZERO)).collect();
    let stopped = SenderEvent::SenderStopped { reason: Reason::Requested, detail: None };
    assert_eq!(events.last(), Some(&stopped));
    // The newest are kept last: what was lost for it is one of the oldest.
    assert_eq!(events.len() as u64 + sender.status().events_lost, 401);
}

#[test]
fn a_degraded_sender_stays_degraded_while_frames_leave() {
    let mut config = SenderConfig::default();
    config.frame_queue_capacity = 1;
    let (mut sender, driver, mut receiver) = start(config);
    let mut seed = 0;
    let mut started = 0;
    // Far more pictures than the queue takes, until the ladder goes down for it.
    loop {
        for _ in 0..20 {
            seed += 1;
            driver.picture(seed);
        }
        receiver.frame(PATIENCE).unwrap();
        match sender.next_event(Duration::ZERO) {
            Some(SenderEvent::SenderStarted { .. }) => started += 1,
            Some(SenderEvent::DegradationChanged { level, .. }) if level > 0 => break,
            _ => {}
        }
    }
    for _ in 0..3 {
        receiver.frame(PATIENCE).unwrap();
        assert_eq!(sender.status().state, SenderState::Degraded);
    }
    assert!(sender.stop());
    let events = std::iter::from_fn(|| sender.next_event(Duration::ZERO));
    started += events.filter(|event| matches!(event, SenderEvent::SenderStarted { .. })).count();
    assert_eq!(started, 1);
}
