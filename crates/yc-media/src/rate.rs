//! How much, how often, how large.

use std::fmt;
use std::time::Duration;

use crate::{MediaError, Resolution};

/// Bits per second of media.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Bitrate(u32);

impl Bitrate {
    /// `bps` bits a second.
    pub const fn bps(bps: u32) -> Self {
        Self(bps)
    }

    /// `kbps` thousand bits a second. Saturates at the largest bitrate, 4.29 Gbit/s.
    pub const fn kbps(kbps: u32) -> Self {
        Self(kbps.saturating_mul(1_000))
    }

    /// Bits a second.
    pub const fn as_bps(self) -> u32 {
        self.0
    }

    /// Thousands of bits a second, rounded down.
    pub const fn as_kbps(self) -> u32 {
        self.0 / 1_000
    }

    /// How long `bytes` take at this bitrate. Zero bitrate takes for ever: `Duration::MAX`.
    pub fn time_for(self, bytes: usize) -> Duration {
        if self.0 == 0 {
            return Duration::MAX;
        }
        Duration::from_nanos(
            (bytes as u128 * 8 * 1_000_000_000 / u128::from(self.0)).min(u128::from(u64::MAX)) as u64,
        )
    }

    /// How many whole bytes fit into `time` at this bitrate.
    pub fn bytes_in(self, time: Duration) -> usize {
        (u128::from(self.0) * time.as_nanos() / 8_000_000_000) as usize
    }
}

impl fmt::Display for Bitrate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} kbit/s", self.as_kbps())
    }
}

/// Frames per second, 1 to [`FrameRate::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct FrameRate(u32);

impl FrameRate {
    /// The highest frame rate, in frames per second.
    pub const MAX: u32 = 240;

    /// `fps` frames per second.
    ///
    /// # Errors
    ///
    /// If `fps` is 0 or exceeds [`FrameRate::MAX`].
    pub fn new(fps: u32) -> Result<Self, MediaError> {
        if fps == 0 || fps > Self::MAX {
            return Err(MediaError::new("frame rate", fps, "1 to 240 frames per second"));
        }
        Ok(Self(fps))
    }

    /// Frames per second.
    pub const fn as_fps(self) -> u32 {
        self.0
    }

    /// Time from one frame to the next.
    pub fn interval(self) -> Duration {
        Duration::from_secs(1) / self.0
    }
}

impl fmt::Display for FrameRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} fps", self.0)
    }
}

/// What the encoder should aim at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct RateTarget {
    /// Bits per second of encoded video.
    pub bitrate: Bitrate,
    /// The most frames per second that will be submitted; the encoder budgets by it.
    pub frame_rate: FrameRate,
    /// The largest picture to encode. What is captured larger is scaled down into it, shape kept.
    pub resolution: Resolution,
}

impl RateTarget {
    /// Aims at all three.
    pub const fn new(bitrate: Bitrate, frame_rate: FrameRate, resolution: Resolution) -> Self {
        Self { bitrate, frame_rate, resolution }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_time_are_each_other_s_inverse() {
        let rate = Bitrate::kbps(4_000);
        assert_eq!(rate.time_for(500_000), Duration::from_secs(1));
        assert_eq!(rate.bytes_in(Duration::from_secs(1)), 500_000);
        assert_eq!(Bitrate::bps(0).time_for(1), Duration::MAX);
    }

    #[test]
    fn a_frame_rate_out_of_bounds_is_named() {
        assert_eq!(
            FrameRate::new(0).unwrap_err().to_string(),
            "frame rate 0 is not allowed: 1 to 240 frames per second"
        );
        assert!(FrameRate::new(241).is_err());
        assert_eq!(FrameRate::new(30).unwrap().interval(), Duration::from_nanos(33_333_333));
    }
}
