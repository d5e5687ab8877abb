//! Black pictures: what a source that may not be captured, or no longer can be, often hands out.

use super::{RowLayout, Rows};

/// Whether every pixel is black. Alpha is ignored, and so is padding; scRGB values below black are black.
pub(crate) fn is_blank(rows: Rows<'_>) -> bool {
    (0..rows.size.height()).all(|y| match rows.layout {
        RowLayout::Bgra8 | RowLayout::Rgba8 => black8(rows.row(y)),
        RowLayout::Rgba16F => black16(rows.row(y)),
    })
}

/// Tells when a series of pictures turns blank and when it no longer is.
#[derive(Debug, Default)]
pub(crate) struct BlankWatch {
    /// Blank pictures in a row, counted up to [`ENOUGH`].
    run: u32,
}

impl BlankWatch {
    /// Takes note of one picture: `Some(true)` once [`ENOUGH`] in a row were blank, `Some(false)` at the
    /// first that is not after that, else `None`.
    pub(crate) fn look(&mut self, blank: bool) -> Option<bool> {
        let before = self.run;
        self.run = if blank { (before + 1).min(ENOUGH) } else { 0 };
        match (before == ENOUGH, self.run == ENOUGH) {
            (false, true) => Some(true),
            (true, false) => Some(false),
            _ => None,
        }
    }
}

/// Blank pictures in a row that are worth a word. One or two are normal: the first after a start or a
/// change of mode is often taken before anything was drawn.
const ENOUGH: u32 = 3;

/// Whether no colour byte of 4-byte pixels has a bit set. One pass over the row without a branch, which
/// becomes vector code.
fn black8(row: &[u8]) -> bool {
    row.as_chunks().0.iter().fold(0, |all, &pixel| all | u32::from_le_bytes(pixel)) & 0x00ff_ffff == 0
}

/// Whether no colour of 8-byte pixels is above zero. As integers, halves above zero are those above zero.
fn black16(row: &[u8]) -> bool {
    let above = |pixel: &[u8; 8]| {
        let [r0, r1, g0, g1, b0, b1, ..] = *pixel;
        let halves = [[r0, r1], [g0, g1], [b0, b1]].map(i16::from_le_bytes);
        halves[0].max(halves[1]).max(halves[2])
    };
    row.as_chunks().0.iter().fold(0, |all, pixel| above(pixel).max(all)) <= 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use yc_media::Resolution;

    use super::*;

    fn blank(bytes: &[u8], pitch: usize, (width, height): (u32, u32), layout: RowLayout) -> bool {
        is_blank(Rows::new(bytes, pitch, Resolution::new(width, height).unwrap(), layout).unwrap())
    }

    #[test]
    fn alpha_and_padding_are_not_looked_at() {
        let bytes = [0, 0, 0, 255, 0, 0, 0, 9, /* padding */ 1, 2, 0, 0, 0, 3, 0, 0, 0, 0];
        assert!(blank(&bytes, 10, (2, 2), RowLayout::Bgra8));
        assert!(!blank(&bytes, 8, (2, 2), RowLayout::Bgra8));
    }

    #[test]
    fn scrgb_is_black_at_and_below_zero() {
        let pixel = |halves: [u16; 4]| halves.map(u16::to_le_bytes).concat();
        // Zero, minus zero, -1.0 and an alpha of 1.0.
        assert!(blank(&pixel([0, 0x8000, 0xbc00, 0x3c00]), 8, (1, 1), RowLayout::Rgba16F));
        // The smallest half above zero.
        for channel in 0..3 {
            let mut halves = [0xbc00; 4];
            halves[channel] = 1;
            assert!(!blank(&pixel(halves), 8, (1, 1), RowLayout::Rgba16F));
        }
    }

    #[test]
    fn three_blank_pictures_in_a_row_are_told_once_and_so_is_their_end() {
        let mut watch = BlankWatch::default();
        let looks = [true, true, false, true, true, true, true, true, false, false, true];
        let told = looks.map(|blank| watch.look(blank));
        let mut expected = [None; 11];
        expected[5] = Some(true);
        expected[8] = Some(false);
        assert_eq!(told, expected);
    }

    proptest! {
        #[test]
        fn one_pixel_of_any_colour_is_enough(
            (width, height) in (1u32..40, 1u32..8),
            padding in 0usize..20,
            junk in any::<u8>(),
            (x, y) in (0u32..40, 0u32..8),
            channel in 0usize..3,
            value in 1u8..,
            wide in any::<bool>(),
        ) {
            let layout = if wide { RowLayout::Rgba16F } else { RowLayout::Rgba8 };
            let row = width as usize * layout.bytes();
            let pitch = row + padding;
            let mut bytes = vec![junk; pitch * height as usize];
            for line in bytes.chunks_mut(pitch) {
                line[..row].fill(0);
            }
            prop_assert!(blank(&bytes, pitch, (width, height), layout));
            let at = (y % height) as usize * pitch + (x % width) as usize * layout.bytes();
            bytes[at + channel * layout.bytes() / 4] = value;
            prop_assert!(!blank(&bytes, pitch, (width, height), layout));
        }
    }
}
