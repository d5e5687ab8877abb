//! What is asked of Windows.Graphics.Capture, of that which this Windows has.

use std::time::Duration;

use windows_capture::graphics_capture_api::{Error as ApiError, GraphicsCaptureApi};
use windows_capture::settings::{
    ColorFormat, CursorCaptureSettings, DirtyRegionSettings, DrawBorderSettings,
    MinimumUpdateIntervalSettings, SecondaryWindowSettings,
};
use yc_media::FrameRate;

use super::NAME;
use crate::backends::d3d11;
use crate::backends::win32::{self, Monitor};
use crate::{CaptureConfig, CaptureError, CaptureErrorKind};

/// What this Windows can be asked for: each setting came with another version, and asking for one that is not there
/// fails the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Supported {
    pub(super) cursor: bool,
    pub(super) border: bool,
    pub(super) secondary_windows: bool,
    pub(super) minimum_interval: bool,
    pub(super) dirty_regions: bool,
}

impl Supported {
    /// # Errors
    ///
    /// If there is no Windows.Graphics.Capture here at all.
    pub(super) fn here() -> Result<Self, CaptureError> {
        let missing = |why: String| {
            CaptureError::new(CaptureErrorKind::Unsupported, NAME, "looking for the system's capture").with_source(
                format!("this system has no Windows.Graphics.Capture, which Windows has since Windows 10, version 1903{why}"),
            )
        };
        match GraphicsCaptureApi::is_supported() {
            Ok(true) => {}
            Ok(false) => return Err(missing(String::new())),
            Err(error) => return Err(missing(format!(": {error}"))),
        }
        // A question that fails is about something that is not there.
        let has = |answer: Result<bool, ApiError>| answer.unwrap_or(false);
        Ok(Self {
            cursor: has(GraphicsCaptureApi::is_cursor_settings_supported()),
            border: has(GraphicsCaptureApi::is_border_settings_supported()),
            secondary_windows: has(GraphicsCaptureApi::is_secondary_windows_supported()),
            minimum_interval: has(GraphicsCaptureApi::is_minimum_update_interval_supported()),
            dirty_regions: has(GraphicsCaptureApi::is_dirty_region_supported()),
        })
    }
}

/// The settings of one capture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Wishes {
    pub(super) cursor: CursorCaptureSettings,
    pub(super) border: DrawBorderSettings,
    pub(super) secondary_windows: SecondaryWindowSettings,
    pub(super) minimum_interval: MinimumUpdateIntervalSettings,
    pub(super) dirty_regions: DirtyRegionSettings,
    pub(super) format: ColorFormat,
    /// The brightness of white on an HDR desktop, in nits.
    pub(super) white: f32,
}

impl Wishes {
    /// For `config` on `monitor`. What this Windows cannot be asked for is told in `notes`.
    pub(super) fn new(
        config: &CaptureConfig,
        supported: Supported,
        monitor: Option<&Monitor>,
        notes: &mut Vec<String>,
    ) -> Self {
        let hdr = monitor.is_some_and(|monitor| {
            d3d11::find_output(&monitor.device).is_ok_and(|found| found.is_some_and(|found| found.is_hdr()))
        });
        let white = monitor.filter(|_| hdr).map_or(0.0, |monitor| win32::white_nits(&monitor.device));
        if !supported.border {
            notes.push("this Windows draws a border around what is captured".to_owned());
        }
        if !supported.cursor && !config.cursor {
            notes.push("this Windows leaves the cursor in the picture".to_owned());
        }
        Self::choose(config.cursor, config.frame_rate, supported, hdr.then_some(white))
    }

    /// For tests that start nothing.
    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self::choose(true, FrameRate::new(30).expect("30 is inside 1 to 240"), Supported::default(), None)
    }

    fn choose(cursor: bool, rate: FrameRate, supported: Supported, white: Option<f32>) -> Self {
        Self {
            cursor: match (supported.cursor, cursor) {
                (false, _) => CursorCaptureSettings::Default,
                (true, true) => CursorCaptureSettings::WithCursor,
                (true, false) => CursorCaptureSettings::WithoutCursor,
            },
            border: if supported.border {
                DrawBorderSettings::WithoutBorder
            } else {
                DrawBorderSettings::Default
            },
            secondary_windows: if supported.secondary_windows {
                SecondaryWindowSettings::Include
            } else {
                SecondaryWindowSettings::Default
            },
            minimum_interval: if supported.minimum_interval {
                MinimumUpdateIntervalSettings::Custom(minimum_interval(rate))
            } else {
                MinimumUpdateIntervalSettings::Default
            },
            dirty_regions: if supported.dirty_regions {
                DirtyRegionSettings::ReportOnly
            } else {
                DirtyRegionSettings::Default
            },
            // What the compositor makes of an HDR desktop in 8 bits is cut off at white.
            format: if white.is_some() { ColorFormat::Rgba16F } else { ColorFormat::Bgra8 },
            white: white.unwrap_or_default(),
        }
    }
}

/// Half of what frames are apart, so that none is missed that could be delivered on time.
///
/// Without one Windows 11, version 24H2, gives at most 60 pictures a second, and one below 1 ms makes it give fewer.
fn minimum_interval(rate: FrameRate) -> Duration {
    (rate.interval() / 2).max(Duration::from_millis(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(fps: u32) -> FrameRate {
        FrameRate::new(fps).unwrap()
    }

    #[test]
    fn an_old_windows_is_asked_for_nothing_that_it_does_not_have() {
        let wishes = Wishes::choose(false, rate(30), Supported::default(), None);
        assert_eq!(wishes.cursor, CursorCaptureSettings::Default);
        assert_eq!(wishes.border, DrawBorderSettings::Default);
        assert_eq!(wishes.secondary_windows, SecondaryWindowSettings::Default);
        assert_eq!(wishes.minimum_interval, MinimumUpdateIntervalSettings::Default);
        assert_eq!(wishes.dirty_regions, DirtyRegionSettings::Default);
        assert_eq!(wishes.format, ColorFormat::Bgra8);
    }

    #[test]
    fn a_new_windows_is_asked_for_all_of_it() {
        let all = Supported {
            cursor: true,
            border: true,
            secondary_windows: true,
            minimum_interval: true,
            dirty_regions: true,
        };
        let wishes = Wishes::choose(true, rate(60), all, Some(200.0));
        assert_eq!(wishes.cursor, CursorCaptureSettings::WithCursor);
        assert_eq!(wishes.border, DrawBorderSettings::WithoutBorder);
        assert_eq!(wishes.secondary_windows, SecondaryWindowSettings::Include);
        assert_eq!(wishes.dirty_regions, DirtyRegionSettings::ReportOnly);
        assert_eq!((wishes.format, wishes.white), (ColorFormat::Rgba16F, 200.0));
        let wishes = Wishes::choose(false, rate(60), all, None);
        assert_eq!(wishes.cursor, CursorCaptureSettings::WithoutCursor);
    }

    #[test]
    fn the_minimum_interval_is_half_a_frames_and_never_below_a_millisecond() {
        assert_eq!(minimum_interval(rate(50)), Duration::from_millis(10));
        assert_eq!(minimum_interval(rate(240)), rate(240).interval() / 2);
        for fps in 1..=240 {
            assert!(minimum_interval(rate(fps)) >= Duration::from_millis(1));
        }
    }
}
