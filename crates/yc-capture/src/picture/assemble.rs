//! From mapped rows to the upright BGRA picture of a frame.

use std::sync::LazyLock;

use yc_media::Rect;

use super::{Rotation, RowLayout, Rows, ToneMap};

/// Writes what lies in `area` of the upright picture of `source` to a BGRA picture whose rows are `stride`
/// bytes apart. Nothing else in `target` is touched; what of `area` is outside the picture is left out.
///
/// `tone` is for [`RowLayout::Rgba16F`]; without one its white has 80 nits.
///
/// # Panics
///
/// If `target` has no room for the upright picture, or a row of it does not fit into `stride`.
pub(crate) fn assemble(
    source: Rows<'_>,
    rotation: Rotation,
    tone: Option<&ToneMap>,
    area: Rect,
    target: &mut [u8],
    stride: usize,
) {
    let upright = rotation.upright(source.size);
    assert!(stride >= upright.width() as usize * 4, "a stride of {stride} bytes for {upright}");
    let area = area.intersect(upright.rect());
    if area.is_empty() {
        return;
    }
    let mut target = Target { bytes: target, stride };
    match source.layout {
        RowLayout::Bgra8 => write(source, rotation, area, &mut target, Copy),
        RowLayout::Rgba8 => write(source, rotation, area, &mut target, Swap),
        RowLayout::Rgba16F => {
            write(source, rotation, area, &mut target, tone.unwrap_or_else(|| &PLAIN));
        }
    }
}

/// For an HDR picture of which nobody knows how bright its white is.
static PLAIN: LazyLock<ToneMap> = LazyLock::new(|| ToneMap::new(80.0));

/// The side of the squares in which turned pictures are written. A square of the widest pixels is 8 KiB,
/// a quarter of a small first-level cache, so each line of it is fetched once.
const BLOCK: u32 = 32;

/// The picture to write.
struct Target<'a> {
    bytes: &'a mut [u8],
    stride: usize,
}

impl Target<'_> {
    fn row(&mut self, x: u32, y: u32, width: u32) -> &mut [u8] {
        let start = y as usize * self.stride + x as usize * 4;
        &mut self.bytes[start..start + width as usize * 4]
    }
}

/// What becomes of a pixel of `N` bytes.
trait Convert<const N: usize> {
    fn row(&self, source: &[u8], target: &mut [u8]);
    fn pixel(&self, source: [u8; N]) -> [u8; 4];
}

/// BGRA stays as it is.
struct Copy;

impl Convert<4> for Copy {
    fn row(&self, source: &[u8], target: &mut [u8]) {
        target.copy_from_slice(source);
    }

    fn pixel(&self, source: [u8; 4]) -> [u8; 4] {
        source
    }
}

/// RGBA becomes BGRA.
struct Swap;

impl Convert<4> for Swap {
    fn row(&self, source: &[u8], target: &mut [u8]) {
        for (from, to) in source.as_chunks().0.iter().zip(target.as_chunks_mut().0) {
            *to = self.pixel(*from);
        }
    }

    fn pixel(&self, [r, g, b, a]: [u8; 4]) -> [u8; 4] {
        [b, g, r, a]
    }
}

impl Convert<8> for &ToneMap {
    fn row(&self, source: &[u8], target: &mut [u8]) {
        ToneMap::row(self, source, target);
    }

    fn pixel(&self, source: [u8; 8]) -> [u8; 4] {
        ToneMap::pixel(self, source)
    }
}

/// `area` is inside the upright picture and not empty.
fn write<const N: usize>(
    source: Rows<'_>,
    rotation: Rotation,
    area: Rect,
    target: &mut Target<'_>,
    convert: impl Convert<N>,
) {
    if rotation == Rotation::None {
        let part = source.part(area);
        for y in 0..area.height {
            convert.row(part.row(y), target.row(area.x, area.y + y, area.width));
        }
        return;
    }
    let (right, bottom) = (area.x + area.width, area.y + area.height);
    for y in (area.y..bottom).step_by(BLOCK as usize) {
        for x in (area.x..right).step_by(BLOCK as usize) {
            let block = Rect { x, y, width: BLOCK.min(right - x), height: BLOCK.min(bottom - y) };
            turn(source, rotation, block, target, &convert);
        }
    }
}

/// Writes one block of a turned picture, row by row of the upright one.
fn turn<const N: usize>(
    source: Rows<'_>,
    rotation: Rotation,
    block: Rect,
    target: &mut Target<'_>,
    convert: &impl Convert<N>,
) {
    let step = rotation.step(N, source.pitch);
    for y in block.y..block.y + block.height {
        let (from_x, from_y) = rotation.pixel((block.x, y), source.size);
        let mut from = from_y as usize * source.pitch + from_x as usize * N;
        for to in target.row(block.x, y, block.width).as_chunks_mut().0 {
            let pixel = source.bytes[from..].first_chunk().expect("rows hold all their pixels");
            *to = convert.pixel(*pixel);
            // Past the last one it may leave the picture; nothing is read there.
            from = from.wrapping_add_signed(step);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use yc_media::Resolution;

    use super::super::rotation::tests::ALL;
    use super::super::tone::tests::{half, pixel};
    use super::*;

    /// A picture whose pixels say where they are, with junk between the rows.
    struct Picture {
        bytes: Vec<u8>,
        pitch: usize,
        size: Resolution,
        layout: RowLayout,
    }

    impl Picture {
        fn new((width, height): (u32, u32), padding: usize, layout: RowLayout) -> Self {
            let size = Resolution::new(width, height).unwrap();
            let pitch = width as usize * layout.bytes() + padding;
            let mut bytes = vec![0xe7; pitch * height as usize];
            for y in 0..height {
                for x in 0..width {
                    let start = y as usize * pitch + x as usize * layout.bytes();
                    let [b, g, r, a] = colour(x, y);
                    let stored = match layout {
                        RowLayout::Bgra8 => vec![b, g, r, a],
                        RowLayout::Rgba8 => vec![r, g, b, a],
                        RowLayout::Rgba16F => pixel([linear(r), linear(g), linear(b), 0]).to_vec(),
                    };
                    bytes[start..start + stored.len()].copy_from_slice(&stored);
                }
            }
            bytes.truncate(bytes.len() - padding);
            Self { bytes, pitch, size, layout }
        }

        fn rows(&self) -> Rows<'_> {
            Rows::new(&self.bytes, self.pitch, self.size, self.layout).unwrap()
        }
    }

    /// The colour of the stored pixel at `x`, `y`.
    fn colour(x: u32, y: u32) -> [u8; 4] {
        [x as u8, y as u8, (x * 31 + y * 7) as u8, 255]
    }

    fn linear(code: u8) -> u16 {
        let coded = f64::from(code) / 255.0;
        half(if coded <= 0.04045 { coded / 12.92 } else { ((coded + 0.055) / 1.055).powf(2.4) })
    }

    /// Walks the stored picture's pixels to their upright places, the other way round from the code.
    fn place(rotation: Rotation, (x, y): (u32, u32), stored: Resolution) -> (u32, u32) {
        let (w, h) = (stored.width(), stored.height());
        match rotation {
            Rotation::None => (x, y),
            Rotation::Quarter => (h - 1 - y, x),
            Rotation::Half => (w - 1 - x, h - 1 - y),
            Rotation::ThreeQuarters => (y, w - 1 - x),
        }
    }

    #[test]
    fn a_quarter_turn_brings_the_left_column_to_the_top() {
        // 1 2 3      4 1
        // 4 5 6  →   5 2
        //            6 3
        let bytes: Vec<u8> = (1..=6).flat_map(|n| [n; 4]).collect();
        let rows = Rows::new(&bytes, 12, Resolution::new(3, 2).unwrap(), RowLayout::Bgra8).unwrap();
        let mut target = [0; 24];
        assemble(rows, Rotation::Quarter, None, Rect { x: 0, y: 0, width: 2, height: 3 }, &mut target, 8);
        assert_eq!(target.chunks(4).map(|pixel| pixel[0]).collect::<Vec<_>>(), [4, 1, 5, 2, 6, 3]);
    }

    #[test]
    fn white_is_as_bright_as_the_tone_map_says() {
        let bytes = pixel([half(2.5); 4]);
        let rows = Rows::new(&bytes, 8, Resolution::new(1, 1).unwrap(), RowLayout::Rgba16F).unwrap();
        let shown = |tone: Option<&ToneMap>| {
            let mut target = [0; 4];
            assemble(rows, Rotation::None, tone, rows.size.rect(), &mut target, 4);
            target
        };
        assert_eq!(shown(Some(&ToneMap::new(200.0))), [255; 4]);
        assert_eq!(shown(Some(&ToneMap::new(400.0))), [188, 188, 188, 255]);
        assert_eq!(shown(None), [255; 4]);
    }

    #[test]
    #[should_panic = "a stride of 11 bytes for 3x2"]
    fn a_stride_shorter_than_a_row_is_a_bug() {
        let picture = Picture::new((3, 2), 0, RowLayout::Bgra8);
        assemble(picture.rows(), Rotation::None, None, picture.size.rect(), &mut [0; 24], 11);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]
        #[test]
        fn every_pixel_of_the_area_comes_to_its_place_and_no_other_is_touched(
            layout in prop::sample::select(vec![RowLayout::Bgra8, RowLayout::Rgba8, RowLayout::Rgba16F]),
            rotation in prop::sample::select(ALL.to_vec()),
            side in (1u32..80, 1u32..80),
            (padding, target_padding) in (0usize..40, 0usize..20),
            (x, y, width, height) in (0u32..90, 0u32..90, 0u32..100, 0u32..100),
        ) {
            let picture = Picture::new(side, padding, layout);
            let upright = rotation.upright(picture.size);
            let stride = upright.width() as usize * 4 + target_padding;
            let before = vec![0x5a; stride * upright.height() as usize - target_padding];
            let area = Rect { x, y, width, height };

            let mut expected = before.clone();
            for y in 0..side.1 {
                for x in 0..side.0 {
                    let at = place(rotation, (x, y), picture.size);
                    if area.contains(Rect { x: at.0, y: at.1, width: 1, height: 1 }) {
                        let start = at.1 as usize * stride + at.0 as usize * 4;
                        expected[start..start + 4].copy_from_slice(&colour(x, y));
                    }
                }
            }
            let mut target = before;
            assemble(picture.rows(), rotation, None, area, &mut target, stride);
            prop_assert!(target == expected);
        }
    }
}
