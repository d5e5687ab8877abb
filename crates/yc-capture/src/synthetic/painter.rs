//! Clipped drawing into a BGRA buffer.

use yc_media::{Rect, Resolution};

use super::font::{Font, GLYPH_HEIGHT, GLYPH_WIDTH};

/// One pixel in memory order B, G, R, X.
pub(super) type Pixel = [u8; 4];

/// The pixel of a colour written as `0xRRGGBB`.
pub(super) const fn rgb(colour: u32) -> Pixel {
    let [_, r, g, b] = colour.to_be_bytes();
    [b, g, r, 0xff]
}

/// Draws into the part of a BGRA buffer that lies inside a clip rectangle. Coordinates are the picture's.
pub(super) struct Painter<'a> {
    pixels: &'a mut [u8],
    stride: usize,
    clip: Rect,
}

impl<'a> Painter<'a> {
    /// Draws into all of a picture of `size` whose rows are `stride` bytes apart.
    ///
    /// # Panics
    ///
    /// If a row does not fit into `stride` or the picture not into `pixels`.
    pub(super) fn new(pixels: &'a mut [u8], stride: usize, size: Resolution) -> Self {
        let row = size.width() as usize * 4;
        let needed = stride * (size.height() as usize - 1) + row;
        assert!(
            stride >= row && pixels.len() >= needed,
            "a {size} picture with stride {stride} in {} bytes",
            pixels.len()
        );
        Self { pixels, stride, clip: size.rect() }
    }

    /// Draws into what lies in `clip` as well.
    pub(super) fn clipped(&mut self, clip: Rect) -> Painter<'_> {
        Painter { clip: self.clip.intersect(clip), stride: self.stride, pixels: &mut *self.pixels }
    }

    /// Where it draws.
    pub(super) fn clip(&self) -> Rect {
        self.clip
    }

    /// The pixels of row `y` from `x`, `width` of them. All must lie inside the picture.
    pub(super) fn row(&mut self, x: u32, y: u32, width: u32) -> &mut [Pixel] {
        let start = y as usize * self.stride + x as usize * 4;
        self.pixels[start..start + width as usize * 4].as_chunks_mut().0
    }

    /// Fills `rect` with one colour.
    pub(super) fn fill(&mut self, rect: Rect, colour: Pixel) {
        let rect = self.clip.intersect(rect);
        for y in rect.y..rect.y + rect.height {
            self.row(rect.x, y, rect.width).fill(colour);
        }
    }

    /// Writes one line of ASCII text whose first glyph has its top left corner at (`x`, `y`). What is not
    /// printable ASCII is left blank.
    pub(super) fn text(&mut self, font: &Font, x: u32, y: u32, text: &[u8], colour: Pixel) {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX).saturating_mul(GLYPH_WIDTH);
        let area = self.clip.intersect(Rect { x, y, width: length, height: GLYPH_HEIGHT });
        if area.is_empty() {
            return;
        }
        let first = (area.x - x) / GLYPH_WIDTH;
        let last = (area.x + area.width - x).div_ceil(GLYPH_WIDTH);
        for line in area.y..area.y + area.height {
            let row = self.row(area.x, line, area.width);
            for (index, &code) in (first..last).zip(&text[first as usize..last as usize]) {
                let mut bits = font.row(code, line - y);
                // Bit 0 is the glyph's leftmost pixel, `at` that pixel's place in `row`; it may lie left of it.
                let at = (x + index * GLYPH_WIDTH).wrapping_sub(area.x);
                while bits != 0 {
                    let place = at.wrapping_add(bits.trailing_zeros()) as usize;
                    if let Some(pixel) = row.get_mut(place) {
                        *pixel = colour;
                    }
                    bits &= bits - 1;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clipped_text_is_the_same_text_cut_off() {
        let size = Resolution::new(64, 24).unwrap();
        let font = Font::new();
        let draw = |clip: Rect| {
            let mut pixels = vec![0; 64 * 24 * 4];
            let mut painter = Painter::new(&mut pixels, 64 * 4, size);
            painter.clipped(clip).text(&font, 3, 2, b"yc {x}~", rgb(0xffffff));
            pixels
        };
        let whole = draw(size.rect());
        assert!(whole.iter().filter(|&&b| b == 0xff).count() > 100);
        for clip in [
            Rect { x: 7, y: 5, width: 20, height: 7 },
            Rect { x: 0, y: 0, width: 4, height: 24 },
            Rect { x: 50, y: 3, width: 14, height: 2 },
        ] {
            let cut = draw(clip);
            for y in 0..24 {
                for x in 0..64 {
                    let at = (y * 64 + x) * 4;
                    let inside = clip.contains(Rect { x: x as u32, y: y as u32, width: 1, height: 1 });
                    let expected = if inside { &whole[at..at + 4] } else { &[0; 4] };
                    assert_eq!(&cut[at..at + 4], expected, "({x}, {y}) with {clip:?}");
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "a 4x2 picture with stride 16 in 31 bytes")]
    fn a_buffer_that_is_too_small_is_refused() {
        Painter::new(&mut [0; 31], 16, Resolution::new(4, 2).unwrap());
    }
}
