//! Whether what is shown is a video, for who did not say.

use yc_media::CaptureTime;

use super::window::Stretch;
use crate::DegradationConfig;

/// Judges by how much of the picture changes how often, while the capture is not held back.
#[derive(Debug, Default)]
pub(super) struct Content {
    moving: bool,
    /// Since when every window looked like a video.
    since: Option<CaptureTime>,
}

impl Content {
    /// A window, seen at full frame rate.
    pub(super) fn on_window(&mut self, now: CaptureTime, measured: &Stretch, config: &DegradationConfig) {
        if measured.captured < config.moving_pictures || measured.damaged < config.moving_damage {
            *self = Self::default();
            return;
        }
        let since = *self.since.get_or_insert(now);
        self.moving |= now.saturating_since(since) >= config.judge_for;
    }

    /// The frame rate may go down: what comes from now on says nothing of the content. What was found stays
    /// until the full frame rate says otherwise.
    pub(super) fn on_degraded(&mut self) {
        self.since = None;
    }

    pub(super) fn is_moving(&self) -> bool {
        self.moving
    }
}
