//! How to capture.

use yc_media::FrameRate;

use crate::CaptureTarget;

/// What to capture and how.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CaptureConfig {
    /// What to capture. Default: the whole screen.
    pub target: CaptureTarget,
    /// The most frames per second to deliver. Default: 30.
    pub frame_rate: FrameRate,
    /// Whether the mouse cursor is drawn into the picture. Default: true.
    pub cursor: bool,
}

impl CaptureConfig {
    /// Captures `target` at up to 30 frames per second with the cursor in it.
    ///
    /// # Panics
    ///
    /// Never.
    pub fn new(target: CaptureTarget) -> Self {
        Self { target, frame_rate: FrameRate::new(30).expect("30 is inside 1 to 240"), cursor: true }
    }

    /// Delivers at most `frame_rate`.
    #[must_use]
    pub fn with_frame_rate(mut self, frame_rate: FrameRate) -> Self {
        self.frame_rate = frame_rate;
        self
    }

    /// Draws the cursor into the picture, or not.
    #[must_use]
    pub fn with_cursor(mut self, cursor: bool) -> Self {
        self.cursor = cursor;
        self
    }
}
