//! Captures of a real X11 desktop. Each test starts an Xvfb of its own.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "../common/mod.rs"]
mod common;
mod desktop;
mod failures;
mod leaks;
mod listing;
mod pictures;
mod showing;
mod windows;

use yc_capture::{CaptureBackend, CaptureConfig, CaptureError, CaptureTarget};
use yc_media::FrameRate;

/// Opens `target` without the cursor, which would lie in the middle of many pictures.
fn open(target: CaptureTarget) -> Box<dyn CaptureBackend> {
    try_open(&config(target)).unwrap()
}

fn try_open(config: &CaptureConfig) -> Result<Box<dyn CaptureBackend>, CaptureError> {
    let entry = yc_capture::ENABLED.iter().find(|entry| entry.name == "x11").unwrap();
    (entry.open)(config)
}

fn config(target: CaptureTarget) -> CaptureConfig {
    CaptureConfig::new(target).with_cursor(false).with_frame_rate(FrameRate::new(100).unwrap())
}
