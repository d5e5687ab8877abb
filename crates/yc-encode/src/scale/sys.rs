//! All the `unsafe` of scaling: rows of pixels with padding between them, as the scaler's source.

use fast_image_resize::ImageView;
use fast_image_resize::pixels::InnerPixel;

/// A picture inside a larger memory: `width` pixels of each row, `stride` pixels from row to row.
#[derive(Debug)]
pub(super) struct Rows<'a, P> {
    pixels: &'a [P],
    stride: usize,
    width: usize,
    height: usize,
}

impl<'a, P: InnerPixel> Rows<'a, P> {
    /// `height` rows of `width` pixels from the start of `bytes`, `stride` bytes apart. `None` if they do
    /// not lie in `bytes`, or rows do not begin at whole pixels.
    pub(super) fn new(bytes: &'a [u8], stride: usize, width: u32, height: u32) -> Option<Self> {
        let (width, height) = (width as usize, height as usize);
        if !stride.is_multiple_of(size_of::<P>()) {
            return None;
        }
        // SAFETY: the pixel types are arrays of `u8` without padding or invalid values (`InnerPixel` is
        // sealed to those and wider ones; the callers' are U8, U8x2 and U8x4).
        let (before, pixels, _) = unsafe { bytes.align_to::<P>() };
        let stride = stride / size_of::<P>();
        let fits = before.is_empty()
            && 0 < width
            && width <= stride
            && 0 < height
            && stride * (height - 1) + width <= pixels.len();
        fits.then_some(Self { pixels, stride, width, height })
    }
}

// SAFETY: every row that `iter_rows` gives is `width` pixels long: it slices exactly that many, and `new`
// checked that the last row has them too.
unsafe impl<P: InnerPixel> ImageView for Rows<'_, P> {
    type Pixel = P;

    fn width(&self) -> u32 {
        self.width as u32
    }

    fn height(&self) -> u32 {
        self.height as u32
    }

    fn iter_rows(&self, start_row: u32) -> impl Iterator<Item = &[P]> {
        let rows = self.pixels.chunks(self.stride).take(self.height).skip(start_row as usize);
        rows.map(|row| &row[..self.width])
    }
}

#[cfg(test)]
mod tests {
    use fast_image_resize::pixels::{U8, U8x4};

    use super::*;

    #[test]
    fn rows_skip_the_padding_and_the_last_needs_none() {
        let bytes: Vec<u8> = (0..2 * 16 + 8).collect();
        let rows = Rows::<U8x4>::new(&bytes, 16, 2, 3).unwrap();
        let first: Vec<_> = rows.iter_rows(1).map(|row| row[1].0).collect();
        assert_eq!(first, [[20, 21, 22, 23], [36, 37, 38, 39]]);
    }

    #[test]
    fn rows_outside_the_memory_are_refused() {
        let bytes = [0u8; 40];
        assert!(Rows::<U8x4>::new(&bytes, 16, 2, 3).is_some());
        assert!(Rows::<U8x4>::new(&bytes, 16, 3, 3).is_none());
        assert!(Rows::<U8x4>::new(&bytes, 18, 2, 2).is_none(), "rows at fractions of a pixel");
        assert!(Rows::<U8>::new(&bytes, 10, 11, 1).is_none(), "rows longer than the stride");
        assert!(Rows::<U8>::new(&bytes, 10, 0, 1).is_none());
    }
}
