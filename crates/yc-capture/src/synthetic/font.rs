//! The bitmap font of the scene: X11's public-domain 9x15, unpacked for fast drawing.

use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Point, Size};
use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::mono_font::ascii::FONT_9X15;
use embedded_graphics::pixelcolor::BinaryColor;
use embedded_graphics::text::Baseline;
use embedded_graphics::text::renderer::TextRenderer;

/// Pixels from one glyph to the next.
pub(super) const GLYPH_WIDTH: u32 = 9;
/// Rows in a glyph.
pub(super) const GLYPH_HEIGHT: u32 = 15;

/// The glyphs of printable ASCII.
pub(super) struct Font {
    glyphs: Vec<Glyph>,
}

/// One glyph: a word a row, bit 0 the leftmost pixel.
type Glyph = [u16; GLYPH_HEIGHT as usize];

impl Font {
    pub(super) fn new() -> Self {
        let style = MonoTextStyle::new(&FONT_9X15, BinaryColor::On);
        let glyphs = (b' '..=b'~')
            .map(|code| {
                let mut glyph = GlyphTarget(Glyph::default());
                let text = [code];
                let text = std::str::from_utf8(&text).expect("printable ASCII is UTF-8");
                let Ok(_) = style.draw_string(text, Point::zero(), Baseline::Top, &mut glyph);
                glyph.0
            })
            .collect();
        Self { glyphs }
    }

    /// The pixels of `row` of the glyph of `code`, bit 0 the leftmost. Blank for what it has no glyph of.
    pub(super) fn row(&self, code: u8, row: u32) -> u16 {
        let glyph = self.glyphs.get(usize::from(code.wrapping_sub(b' ')));
        glyph.map_or(0, |rows| rows[row as usize])
    }
}

/// What embedded-graphics draws one glyph into.
struct GlyphTarget(Glyph);

impl OriginDimensions for GlyphTarget {
    fn size(&self) -> Size {
        Size::new(GLYPH_WIDTH, GLYPH_HEIGHT)
    }
}

impl DrawTarget for GlyphTarget {
    type Color = BinaryColor;
    type Error = std::convert::Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<BinaryColor>>>(
        &mut self,
        pixels: I,
    ) -> Result<(), Self::Error> {
        for Pixel(at, colour) in pixels {
            let inside = (0..GLYPH_WIDTH as i32).contains(&at.x) && (0..GLYPH_HEIGHT as i32).contains(&at.y);
            if inside && colour.is_on() {
                self.0[at.y as usize] |= 1 << at.x;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printable_characters_have_glyphs_of_their_own() {
        let font = Font::new();
        let glyph = |code| (0..GLYPH_HEIGHT).map(|row| font.row(code, row)).collect::<Vec<_>>();
        assert!(glyph(b' ').iter().all(|&row| row == 0));
        assert!(glyph(b'\n').iter().all(|&row| row == 0));
        assert!(glyph(200).iter().all(|&row| row == 0));
        for code in b'!'..b'~' {
            assert_ne!(glyph(code), glyph(code + 1));
        }
    }
}
