//! The three kinds of mouse pointers that Windows has.

use std::fmt;

use yc_media::{MediaError, Resolution};

use super::{RowLayout, Rows};

/// How a mouse pointer looks. `DXGI_OUTDUPL_POINTER_SHAPE_TYPE` names the three kinds (Microsoft Learn,
/// "DXGI_OUTDUPL_POINTER_SHAPE_TYPE enumeration"); GDI's icons are of the same kinds.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PointerShape {
    pub(crate) size: Resolution,
    /// The pixel that points, from the shape's top left corner. It may lie outside.
    pub(crate) hotspot: (i32, i32),
    pub(super) kind: ShapeKind,
    /// B, G, R and what `kind` makes of the fourth byte, row by row.
    pub(super) pixels: Vec<[u8; 4]>,
}

/// What the fourth byte of a [`PointerShape`]'s pixels means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ShapeKind {
    /// Alpha, not multiplied into the colour.
    Color,
    /// A mask: 0 if the colour replaces what is below, else the two are XORed.
    MaskedColor,
}

impl PointerShape {
    /// A shape in colours with alpha: BGRA rows `pitch` bytes apart, the alpha not multiplied in.
    ///
    /// # Errors
    ///
    /// As [`Rows::new`].
    pub(crate) fn color(
        bytes: &[u8],
        pitch: usize,
        size: Resolution,
        hotspot: (i32, i32),
    ) -> Result<Self, MediaError> {
        Self::colours(bytes, pitch, size, hotspot, ShapeKind::Color)
    }

    /// A shape in colours with a mask: BGRA rows `pitch` bytes apart. Where A is 0 the colour replaces the
    /// screen's, where it is 0xFF the two are XORed. Windows allows no other masks; they count as 0xFF.
    ///
    /// # Errors
    ///
    /// As [`Rows::new`].
    pub(crate) fn masked_color(
        bytes: &[u8],
        pitch: usize,
        size: Resolution,
        hotspot: (i32, i32),
    ) -> Result<Self, MediaError> {
        Self::colours(bytes, pitch, size, hotspot, ShapeKind::MaskedColor)
    }

    /// A shape in black, white, nothing and the inverse of the screen: two masks of `size`, a bit per pixel
    /// from the highest of each byte on, rows `pitch` bytes apart. Windows stores the XOR mask below the
    /// AND mask and counts the rows of both; `size` is that of one.
    ///
    /// # Errors
    ///
    /// If a row does not fit into the pitch, or the last row of a mask reaches past its end.
    pub(crate) fn monochrome(
        and: &[u8],
        xor: &[u8],
        pitch: usize,
        size: Resolution,
        hotspot: (i32, i32),
    ) -> Result<Self, MediaError> {
        check_mask(and, pitch, size)?;
        check_mask(xor, pitch, size)?;
        let (width, height) = (size.width() as usize, size.height() as usize);
        let mut pixels = Vec::with_capacity(width * height);
        for y in 0..height {
            let bit = |mask: &[u8], x: usize| mask[y * pitch + x / 8] & (0x80 >> (x % 8)) != 0;
            // screen AND mask XOR mask: the AND mask tells whether the screen's colour stays in the game,
            // which is what the mask of a masked colour does.
            pixels.extend((0..width).map(|x| {
                let colour = if bit(xor, x) { 0xff } else { 0 };
                [colour, colour, colour, if bit(and, x) { 0xff } else { 0 }]
            }));
        }
        Ok(Self { size, hotspot, kind: ShapeKind::MaskedColor, pixels })
    }

    fn colours(
        bytes: &[u8],
        pitch: usize,
        size: Resolution,
        hotspot: (i32, i32),
        kind: ShapeKind,
    ) -> Result<Self, MediaError> {
        let rows = Rows::new(bytes, pitch, size, RowLayout::Bgra8)?;
        let mut pixels = Vec::with_capacity(size.width() as usize * size.height() as usize);
        for y in 0..size.height() {
            pixels.extend_from_slice(rows.row(y).as_chunks().0);
        }
        Ok(Self { size, hotspot, kind, pixels })
    }
}

impl ShapeKind {
    /// Lays a pixel of a shape over B, G, R, X of the screen. X stays.
    pub(super) fn lay(self, [b, g, r, fourth]: [u8; 4], under: [u8; 4]) -> [u8; 4] {
        let mix = |over: u8, under: u8| match (self, fourth) {
            (Self::Color, alpha) => blend(over, under, alpha),
            (Self::MaskedColor, 0) => over,
            (Self::MaskedColor, _) => over ^ under,
        };
        [mix(b, under[0]), mix(g, under[1]), mix(r, under[2]), under[3]]
    }
}

impl fmt::Debug for PointerShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PointerShape")
            .field("size", &self.size)
            .field("hotspot", &self.hotspot)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// The rounded mean of two values, weighted by `alpha` of 255.
fn blend(over: u8, under: u8, alpha: u8) -> u8 {
    let [over, under, alpha] = [over, under, alpha].map(u32::from);
    // At most 255: the weights add up to 255.
    ((over * alpha + under * (255 - alpha) + 127) / 255) as u8
}

fn check_mask(mask: &[u8], pitch: usize, size: Resolution) -> Result<(), MediaError> {
    let row = size.width().div_ceil(8) as usize;
    if pitch < row {
        return Err(MediaError::new("mask pitch", pitch, "at least a bit for each pixel of a row"));
    }
    let end = pitch.checked_mul(size.height() as usize - 1).and_then(|start| start.checked_add(row));
    if end.is_none_or(|end| end > mask.len()) {
        let end = end.unwrap_or(usize::MAX);
        return Err(MediaError::new("end of the mask's last row", end, "inside the bytes of the mask"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn size(width: u32, height: u32) -> Resolution {
        Resolution::new(width, height).unwrap()
    }

    fn laid(shape: &PointerShape, at: usize, under: [u8; 4]) -> [u8; 4] {
        shape.kind.lay(shape.pixels[at], under)
    }

    #[test]
    fn colour_is_blended_by_its_alpha_and_rounded() {
        let bytes = [1, 2, 3, 255, 200, 100, 0, 128, 9, 9, 9, 0];
        let shape = PointerShape::color(&bytes, 12, size(3, 1), (0, 0)).unwrap();
        let under = [10, 20, 31, 40];
        assert_eq!(laid(&shape, 0, under), [1, 2, 3, 40]);
        // (200×128 + 10×127) / 255 = 105.4, (100×128 + 20×127) / 255 = 60.2, 31×127 / 255 = 15.4
        assert_eq!(laid(&shape, 1, under), [105, 60, 15, 40]);
        assert_eq!(laid(&shape, 2, under), under);
    }

    #[test]
    fn masked_colour_replaces_or_inverts() {
        let bytes = [1, 2, 3, 0, 0xf0, 0x0f, 0xff, 0xff, 0, 0, 0, 0xff, 0xff, 0, 0, 7];
        let shape = PointerShape::masked_color(&bytes, 16, size(4, 1), (0, 0)).unwrap();
        let under = [0xaa, 0xaa, 0xaa, 5];
        assert_eq!(laid(&shape, 0, under), [1, 2, 3, 5]);
        assert_eq!(laid(&shape, 1, under), [0x5a, 0xa5, 0x55, 5]);
        assert_eq!(laid(&shape, 2, under), under);
        assert_eq!(laid(&shape, 3, under), [0x55, 0xaa, 0xaa, 5]);
    }

    #[test]
    fn monochrome_is_black_white_nothing_and_inverse() {
        // AND 0 0 1 1, XOR 0 1 0 1, in the highest bits; the lowest are junk.
        let shape = PointerShape::monochrome(&[0x3f], &[0x5a], 1, size(4, 1), (0, 0)).unwrap();
        let under = [10, 20, 30, 40];
        let all: Vec<_> = (0..4).map(|at| laid(&shape, at, under)).collect();
        assert_eq!(all, [[0, 0, 0, 40], [255, 255, 255, 40], [10, 20, 30, 40], [245, 235, 225, 40]]);
    }

    #[test]
    fn masks_and_colours_outside_their_bytes_are_refused() {
        let mask = |and: usize, xor: usize, pitch| {
            let made = PointerShape::monochrome(&vec![0; and], &vec![0; xor], pitch, size(9, 3), (0, 0));
            made.map(|shape| shape.pixels.len()).map_err(|error| error.to_string())
        };
        assert_eq!(mask(10, 10, 4), Ok(27));
        let at_end = "end of the mask's last row 10 is not allowed: inside the bytes of the mask";
        assert_eq!(mask(9, 10, 4), Err(at_end.into()));
        assert_eq!(mask(10, 9, 4), Err(at_end.into()));
        let pitch = "mask pitch 1 is not allowed: at least a bit for each pixel of a row";
        assert_eq!(mask(99, 99, 1), Err(pitch.into()));
        assert!(mask(99, 99, usize::MAX).is_err());
        assert!(PointerShape::color(&[0; 7], 4, size(1, 2), (0, 0)).is_err());
        assert!(PointerShape::masked_color(&[0; 99], 3, size(1, 2), (0, 0)).is_err());
    }

    proptest! {
        #[test]
        fn blending_is_within_half_a_step_of_the_exact_value(over: u8, under: u8, alpha: u8) {
            let share = f64::from(alpha) / 255.0;
            let exact = f64::from(over) * share + f64::from(under) * (1.0 - share);
            prop_assert!((f64::from(blend(over, under, alpha)) - exact).abs() <= 0.5 + 1e-9);
        }

        #[test]
        fn monochrome_does_what_and_and_xor_do(
            (width, height) in (1u32..40, 1u32..6),
            padding in 0usize..4,
            bytes in prop::collection::vec(any::<u8>(), 2 * 9 * 6),
            under: u8,
        ) {
            let pitch = width.div_ceil(8) as usize + padding;
            let (and, xor) = bytes.split_at(9 * 6);
            let shape = PointerShape::monochrome(and, xor, pitch, size(width, height), (0, 0)).unwrap();
            for y in 0..height as usize {
                for x in 0..width as usize {
                    // The mask of a byte: its bit, for all bits of the screen's.
                    let mask = |mask: &[u8]| match mask[y * pitch + x / 8] >> (7 - x % 8) & 1 {
                        1 => 0xff,
                        _ => 0u8,
                    };
                    let expected = (under & mask(and)) ^ mask(xor);
                    let got = laid(&shape, y * width as usize + x, [under, under, under, 3]);
                    prop_assert_eq!(got, [expected, expected, expected, 3]);
                }
            }
        }
    }
}
