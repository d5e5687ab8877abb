//! What the H264 backends share: NAL units of an Annex B stream, and which level a picture needs.

use yc_media::{Bitrate, FrameRate, Resolution};

/// The NAL units of an Annex B stream, header byte first, without start codes and trailing zeros.
pub(crate) fn nal_units(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = after_start_code(stream);
    std::iter::from_fn(move || {
        let from = rest?;
        let end = find_start_code(from).unwrap_or(from.len());
        rest = after_start_code(&from[end..]);
        let nal = &from[..end];
        let kept = nal.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        Some(&nal[..kept])
    })
    .filter(|nal| !nal.is_empty())
}

fn find_start_code(bytes: &[u8]) -> Option<usize> {
    bytes.windows(3).position(|three| three == [0, 0, 1])
}

fn after_start_code(bytes: &[u8]) -> Option<&[u8]> {
    find_start_code(bytes).map(|at| &bytes[at + 3..])
}

/// One row of ITU-T H.264 table A-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Level {
    /// level_idc: ten times the level number.
    pub(crate) idc: u8,
    max_macroblocks_per_second: u64,
    max_macroblocks: u64,
    max_kbps: u32,
}

impl Level {
    /// The lowest level from 3.1 on that holds pictures of `size` at `frame_rate` and `bitrate`, or `None`
    /// if the picture is larger than any. What is only too fast or too rich for the highest level gets the
    /// highest.
    ///
    /// Not below 3.1: every WebRTC receiver decodes it (RFC 7742 §6.2), and it leaves a small picture room
    /// to raise its bitrate later.
    pub(crate) fn for_stream(size: Resolution, frame_rate: FrameRate, bitrate: Bitrate) -> Option<Self> {
        let (width, height) = (u64::from(size.width()).div_ceil(16), u64::from(size.height()).div_ceil(16));
        let macroblocks = width * height;
        let holds = |level: &&Level| {
            // §A.3.1 f and g: no side is longer than √(8 × MaxFS).
            let side = level.max_macroblocks * 8;
            macroblocks <= level.max_macroblocks && width * width <= side && height * height <= side
        };
        let quick = |level: &&Level| {
            macroblocks * u64::from(frame_rate.as_fps()) <= level.max_macroblocks_per_second
                && bitrate <= level.max_bitrate()
        };
        LEVELS
            .iter()
            .find(|level| holds(level) && quick(level))
            .or_else(|| LEVELS.iter().rfind(|level| holds(level)))
            .copied()
    }

    /// The highest bitrate of the stream, NAL unit headers included: MaxBR × cpbBrNalFactor of the
    /// baseline profile, §A.3.1 j.
    pub(crate) fn max_bitrate(&self) -> Bitrate {
        Bitrate::bps(self.max_kbps * 1_200)
    }
}

const fn level(idc: u8, per_second: u64, macroblocks: u64, kbps: u32) -> Level {
    Level { idc, max_macroblocks_per_second: per_second, max_macroblocks: macroblocks, max_kbps: kbps }
}

const LEVELS: &[Level] = &[
    level(31, 108_000, 3_600, 14_000),
    level(32, 216_000, 5_120, 20_000),
    level(40, 245_760, 8_192, 20_000),
    level(41, 245_760, 8_192, 50_000),
    level(42, 522_240, 8_704, 50_000),
    level(50, 589_824, 22_080, 135_000),
    level(51, 983_040, 36_864, 240_000),
    level(52, 2_073_600, 36_864, 240_000),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn level_idc(width: u32, height: u32, fps: u32, kbps: u32) -> Option<u8> {
        let size = Resolution::new(width, height).unwrap();
        Level::for_stream(size, FrameRate::new(fps).unwrap(), Bitrate::kbps(kbps)).map(|level| level.idc)
    }

    #[test]
    fn the_level_fits_size_rate_and_bitrate() {
        assert_eq!(level_idc(320, 180, 5, 100), Some(31));
        assert_eq!(level_idc(1280, 720, 30, 4_000), Some(31));
        assert_eq!(level_idc(1280, 720, 60, 4_000), Some(32));
        assert_eq!(level_idc(1920, 1080, 30, 4_000), Some(40));
        assert_eq!(level_idc(1920, 1080, 30, 25_000), Some(41));
        assert_eq!(level_idc(1920, 1080, 60, 4_000), Some(42));
        assert_eq!(level_idc(2560, 1440, 30, 4_000), Some(50));
        assert_eq!(level_idc(3840, 2160, 30, 8_000), Some(51));
        assert_eq!(level_idc(3840, 2160, 60, 8_000), Some(52));
        assert_eq!(level_idc(3840, 2160, 240, 8_000), Some(52), "too fast for any: the highest");
    }

    #[test]
    fn a_picture_larger_than_any_level_has_none() {
        assert_eq!(level_idc(5120, 2880, 30, 8_000), None);
        assert_eq!(level_idc(16_384, 16, 30, 8_000), None, "a side longer than the square root of 8 MaxFS");
    }

    #[test]
    fn nal_units_are_split_at_both_start_codes() {
        let stream = [0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x68, 3, 0, 0, 0, 1, 0x65, 4, 0];
        let nals: Vec<_> = nal_units(&stream).collect();
        assert_eq!(nals, [&[0x67, 1, 2][..], &[0x68, 3], &[0x65, 4]]);
        assert_eq!(nal_units(&[]).count(), 0);
        assert_eq!(nal_units(&[0, 0, 1]).count(), 0);
        assert_eq!(nal_units(&[9, 9, 9]).count(), 0);
    }
}
