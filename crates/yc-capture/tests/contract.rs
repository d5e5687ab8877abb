//! The contract of `CaptureBackend`, for every backend that needs no desktop. Those that do pass the same
//! checks in test targets of their own, which start one.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::io::Write;

use common::{check_contract, rate};
use yc_capture::backends::synthetic::SyntheticCapture;
use yc_capture::synthetic::SceneKind;
use yc_capture::{CaptureBackend, CaptureConfig, CaptureTarget, ENABLED};
use yc_media::{FrameRate, Resolution};

#[test]
fn every_backend_is_checked_somewhere() {
    for entry in ENABLED {
        // Only a Windows machine has what wgc and dxgi capture by: scripts play it to their session, in
        // src/duplication.
        assert!(
            matches!(entry.name, "synthetic" | "replay" | "x11" | "gdi" | "wgc" | "dxgi"),
            "{} is in no contract test: add it here, or in a target that starts a desktop for it",
            entry.name
        );
    }
}

#[test]
fn synthetic() {
    let size = Resolution::new(501, 283).unwrap();
    check_contract(&|rate| open(CaptureTarget::Synthetic(size), rate), &|rate| {
        Box::new(SyntheticCapture::new(size, SceneKind::Static, rate))
    });
}

#[test]
fn replay_of_y4m() {
    let (moving, still) = (y4m(33, 17, "100:1", 1_000), y4m(33, 17, "1:30", 2));
    check_contract(&|rate| open(replay(&moving, None), rate), &|rate| open(replay(&still, None), rate));
}

#[test]
fn a_raw_recording_plays_at_the_rate_asked_for_and_ends() {
    let size = Resolution::new(3, 5).unwrap();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    for frame in 0..4u8 {
        file.write_all(&[frame; 3 * 5 * 4]).unwrap();
    }
    // Slow: a machine so busy that it is a frame late would pass over one.
    let mut backend = open(replay(&file, Some(size)), rate(3));
    let events = common::start(&mut *backend);
    for frame in 0..4u8 {
        let picture = common::next_frame(&events);
        let yc_media::FrameBuffer::Cpu(buffer) = picture.buffer() else { panic!("not in CPU memory") };
        assert_eq!(buffer.plane(0).0, &[frame; 60]);
    }
    let end = events.recv_timeout(common::WAIT).unwrap();
    assert!(matches!(end, yc_capture::CaptureEvent::Ended(yc_capture::EndReason::EndOfFile)), "{end:?}");
    assert!(events.recv_timeout(common::WAIT).is_err());
    backend.stop();
}

#[test]
fn a_fast_recording_is_thinned_to_the_rate_asked_for_and_keeps_its_speed() {
    // 2 s at 100 fps, played at 20 fps.
    let file = y4m(16, 16, "100:1", 200);
    let mut backend = open(replay(&file, None), rate(20));
    let events = common::start(&mut *backend);
    let mut lumas = Vec::new();
    let mut times = Vec::new();
    while let Ok(yc_capture::CaptureEvent::Frame(frame)) = events.recv_timeout(common::WAIT) {
        let yc_media::FrameBuffer::Cpu(buffer) = frame.buffer() else { panic!("not in CPU memory") };
        lumas.push(buffer.plane(0).0[0]);
        times.push(frame.captured_at());
    }
    assert!((30..=42).contains(&lumas.len()), "{} frames", lumas.len());
    let span = times.last().unwrap().saturating_since(times[0]).as_secs_f64();
    let played = f64::from(lumas.last().unwrap() - lumas[0]) / 100.0;
    assert!((span - played).abs() < 0.2, "{played} s of recording in {span} s");
}

fn open(target: CaptureTarget, rate: FrameRate) -> Box<dyn CaptureBackend> {
    yc_capture::open(&CaptureConfig::new(target).with_frame_rate(rate)).unwrap().backend
}

fn replay(file: &tempfile::NamedTempFile, raw_size: Option<Resolution>) -> CaptureTarget {
    CaptureTarget::Replay { path: file.path().to_owned(), raw_size }
}

/// A recording whose luma is its frame number, modulo 256.
fn y4m(width: usize, height: usize, rate: &str, frames: usize) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let chroma = width.div_ceil(2) * height.div_ceil(2);
    let mut bytes = format!("YUV4MPEG2 W{width} H{height} F{rate} Ip C420jpeg\n").into_bytes();
    for frame in 0..frames {
        bytes.extend_from_slice(b"FRAME\n");
        bytes.extend(std::iter::repeat_n(frame as u8, width * height));
        bytes.extend(std::iter::repeat_n(128, 2 * chroma));
    }
    file.write_all(&bytes).unwrap();
    file
}
