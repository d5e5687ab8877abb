//! What OpenH264 is told, and why each setting is as it is.

use openh264_sys2::{
    ASP_1x1, CAMERA_VIDEO_REAL_TIME, CM_BT709, CONSTANT_ID, CP_BT709, EUsageType, LOW_COMPLEXITY,
    PRO_BASELINE, RC_BITRATE_MODE, SCREEN_CONTENT_REAL_TIME, SEncParamExt, SM_FIXEDSLCNUM_SLICE,
    SM_SINGLE_SLICE, TRC_BT709, VF_UNDEF,
};
use yc_media::{Bitrate, FrameRate, Resolution};

use crate::backends::h264::Level;

/// The sharpest quantizer. A range that contains 0, as its default does, OpenH264 replaces by 26 to 35 for
/// screen content: text stays soft, and a bitrate that allows better is left unused. Below 12, which is
/// where its rate control ends anyway, text gains nothing that can be seen.
pub(super) const MIN_QP: i32 = 10;

/// The coarsest quantizer: all of the codec's range, so that a low bitrate is kept.
pub(super) const MAX_QP: i32 = 51;

/// OpenH264 multiplies a bitrate by 50 in 32 bits (`RcUpdateBitrateFps`): beyond 42.9 Mbit/s it overflows.
const MAX_BITRATE: Bitrate = Bitrate::kbps(40_000);

/// Below this its rate control has nothing to decide; a lower target is taken as this.
const MIN_BITRATE: Bitrate = Bitrate::kbps(16);

/// It budgets for no more frames a second than this (`MAX_FRAME_RATE`).
const MAX_FPS: u32 = 60;

/// The stream as this backend wants it. Everything else follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stream {
    pub(super) size: Resolution,
    pub(super) bitrate: Bitrate,
    pub(super) frame_rate: FrameRate,
    pub(super) temporal_layers: u8,
    pub(super) threads: u8,
    pub(super) level: Level,
}

impl Stream {
    /// The bitrate it is given: within what the level and its arithmetic allow, and lower in proportion
    /// if more frames come than it can count.
    pub(super) fn target_bps(&self) -> i32 {
        let highest = self.level.max_bitrate().min(MAX_BITRATE);
        let bitrate = self.bitrate.clamp(MIN_BITRATE, highest).as_bps();
        let fps = self.frame_rate.as_fps();
        let counted = u64::from(bitrate) * u64::from(fps.min(MAX_FPS)) / u64::from(fps);
        // A multiple of 8 survives its way through a `float` unrounded.
        (counted & !7) as i32
    }

    /// The frame rate it is given.
    pub(super) fn target_fps(&self) -> f32 {
        self.frame_rate.as_fps().min(MAX_FPS) as f32
    }

    /// Screen content, as long as it can be: with three temporal layers a frame has two references, which
    /// OpenH264's screen tools do not know and stop the process over (an `assert` in `UpdateBlockStatic`).
    fn usage(&self) -> EUsageType {
        if self.temporal_layers > 2 { CAMERA_VIDEO_REAL_TIME } else { SCREEN_CONTENT_REAL_TIME }
    }

    /// Its parameters for this stream, from its `defaults`.
    pub(super) fn params(&self, defaults: &SEncParamExt) -> SEncParamExt {
        let mut params = *defaults;
        let (width, height) = (self.size.width() as i32, self.size.height() as i32);
        // The ceiling is set once, here, as high as the level goes: with OpenH264's ceiling at the first
        // target, a later raise of the target is refused.
        let ceiling = self.level.max_bitrate().min(MAX_BITRATE).as_bps() as i32;

        params.iUsageType = self.usage();
        params.iPicWidth = width;
        params.iPicHeight = height;
        params.fMaxFrameRate = self.target_fps();
        params.iRCMode = RC_BITRATE_MODE;
        params.iTargetBitrate = self.target_bps();
        params.iMaxBitrate = ceiling;
        params.iMinQp = MIN_QP;
        params.iMaxQp = MAX_QP;
        params.bEnableFrameSkip = FRAME_SKIP;
        params.iComplexityMode = LOW_COMPLEXITY;
        // Key frames on request and at scene changes only.
        params.uiIntraPeriod = 0;
        // The parameter sets of a new size replace the old ones: one SPS and one PPS for ever.
        params.eSpsPpsIdStrategy = CONSTANT_ID;
        params.iTemporalLayerNum = i32::from(self.temporal_layers);
        params.iSpatialLayerNum = 1;
        // CAVLC: baseline has no other.
        params.iEntropyCodingModeFlag = 0;
        params.iMultipleThreadIdc = u16::from(self.threads);
        // OpenH264 turns these off for screen content, with a warning each.
        params.bEnableAdaptiveQuant = false;
        params.bEnableBackgroundDetection = false;

        let layer = &mut params.sSpatialLayers[0];
        layer.iVideoWidth = width;
        layer.iVideoHeight = height;
        layer.fFrameRate = self.target_fps();
        layer.iSpatialBitrate = self.target_bps();
        layer.iMaxSpatialBitrate = ceiling;
        layer.uiProfileIdc = PRO_BASELINE;
        layer.uiLevelIdc = i32::from(self.level.idc);
        // Threads work on slices; without slices they sleep.
        layer.sSliceArgument.uiSliceMode =
            if self.threads > 1 { SM_FIXEDSLCNUM_SLICE } else { SM_SINGLE_SLICE };
        layer.sSliceArgument.uiSliceNum = u32::from(self.threads);
        // What the conversion makes: BT.709 limited range, square pixels.
        layer.bVideoSignalTypePresent = true;
        layer.uiVideoFormat = VF_UNDEF as u8;
        layer.bFullRange = false;
        layer.bColorDescriptionPresent = true;
        layer.uiColorPrimaries = CP_BT709 as u8;
        layer.uiTransferCharacteristics = TRC_BT709 as u8;
        layer.uiColorMatrix = CM_BT709 as u8;
        layer.bAspectRatioPresent = true;
        layer.eAspectRatio = ASP_1x1;
        params
    }
}

/// Whether its rate control may leave frames out to keep the bitrate.
///
/// It may not. Measured with a page of dense text that scrolls at 720p and 1 to 4 Mbit/s, it leaves out 3 to
/// 37 of 90 frames after a key frame, and the text sharpens later. Without, no frame is left out, and the
/// seconds after a key frame are as large: what was overdrawn is paid back by the quantizer
/// (`bFixRCOverShoot`, on by default), and delay is the pacer's to keep.
const FRAME_SKIP: bool = false;

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(kbps: u32, fps: u32) -> Stream {
        let (size, frame_rate) = (Resolution::new(1920, 1080).unwrap(), FrameRate::new(fps).unwrap());
        let bitrate = Bitrate::kbps(kbps);
        let level = Level::for_stream(size, FrameRate::new(30).unwrap(), Bitrate::kbps(4_000)).unwrap();
        Stream { size, bitrate, frame_rate, temporal_layers: 1, threads: 1, level }
    }

    #[test]
    fn the_target_stays_within_level_and_arithmetic() {
        assert_eq!(stream(4_000, 30).target_bps(), 4_000_000);
        assert_eq!(stream(0, 30).target_bps(), 16_000);
        assert_eq!(stream(100_000, 30).target_bps(), 24_000_000, "MaxBR of level 4.0");
        let level =
            Level::for_stream(Resolution::new(3840, 2160).unwrap(), FrameRate::new(60).unwrap(), MAX_BITRATE);
        let wide = Stream { level: level.unwrap(), ..stream(100_000, 30) };
        assert_eq!(wide.target_bps(), 40_000_000);
        assert!(wide.target_bps().checked_mul(50).is_some(), "what OpenH264 computes with it");
    }

    #[test]
    fn frames_beyond_what_it_counts_share_the_bitrate() {
        assert_eq!((stream(4_000, 60).target_bps(), stream(4_000, 60).target_fps()), (4_000_000, 60.0));
        assert_eq!((stream(4_000, 120).target_bps(), stream(4_000, 120).target_fps()), (2_000_000, 60.0));
        assert_eq!(stream(4_000, 1).target_fps(), 1.0);
    }
}
