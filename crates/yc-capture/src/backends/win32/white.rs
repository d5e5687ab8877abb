//! How bright white is on a display.

use super::sys;

/// The brightness of white on the desktop of the output called `device`, in nits: what the user set for SDR
/// content on an HDR display.
pub(crate) fn nits(device: &str) -> f32 {
    sys::white_level(device).map_or(SDR_NITS, from_level)
}

/// `SDRWhiteLevel` is in thousandths of 80 nits (Microsoft Learn, "DISPLAYCONFIG_SDR_WHITE_LEVEL structure").
fn from_level(level: u32) -> f32 {
    level as f32 * SDR_NITS / 1_000.0
}

/// What 1.0 is in scRGB.
const SDR_NITS: f32 = 80.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_of_2500_is_200_nits() {
        assert_eq!(from_level(1_000), 80.0);
        assert_eq!(from_level(2_500), 200.0);
    }

    #[test]
    fn a_display_that_nobody_knows_has_the_white_of_srgb() {
        assert_eq!(nits("no such output"), 80.0);
    }
}
