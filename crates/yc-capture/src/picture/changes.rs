//! What changed between two pictures of a source that does not tell.

use yc_media::{Rect, Resolution};

use super::Rows;

/// Finds the parts of a picture that changed, by a 64-bit hash of each square of [`BLOCK`] pixels.
///
/// It keeps hashes, not pixels: a look reads the picture once and writes 8 bytes a square. A change that
/// hashes to the same value is missed, once in about 2^64 changed squares.
#[derive(Debug)]
pub(crate) struct Changes {
    size: Resolution,
    /// Row by row; meaningless until `seen`.
    hashes: Vec<u64>,
    seen: bool,
}

impl Changes {
    /// For pictures of `size`, none of which was seen yet.
    pub(crate) fn new(size: Resolution) -> Self {
        let blocks = size.width().div_ceil(BLOCK) as usize * size.height().div_ceil(BLOCK) as usize;
        Self { size, hashes: vec![0; blocks], seen: false }
    }

    /// The smallest rectangle of whole squares (cut off at the picture's edges) around all that changed
    /// since the last look in the squares that `within` touches. The other squares are not read.
    ///
    /// The first look, and the first at a picture of another size, reads everything, whatever `within` is,
    /// and returns all of it.
    pub(crate) fn look(&mut self, rows: Rows<'_>, within: Rect) -> Rect {
        if rows.size != self.size {
            *self = Self::new(rows.size);
        }
        let all = self.size.rect();
        let first = !self.seen;
        self.seen = true;
        let within = if first { all } else { within.intersect(all) };
        if within.is_empty() {
            return Rect::default();
        }
        let columns = self.size.width().div_ceil(BLOCK);
        let mut changed = Rect::default();
        for row in within.y / BLOCK..(within.y + within.height).div_ceil(BLOCK) {
            for column in within.x / BLOCK..(within.x + within.width).div_ceil(BLOCK) {
                let square = Rect { x: column * BLOCK, y: row * BLOCK, width: BLOCK, height: BLOCK };
                let square = square.intersect(all);
                let hash = hash(rows.part(square));
                let known = &mut self.hashes[(row * columns + column) as usize];
                if *known != hash {
                    *known = hash;
                    changed = changed.union(square);
                }
            }
        }
        if first { all } else { changed }
    }
}

/// The side of a square in pixels: its rows are four cache lines of 4-byte pixels, and a typed letter
/// changes one or two squares of the 510 of 1920×1080.
const BLOCK: u32 = 64;

/// As many sums as keep the multiplier busy: one takes 3 or 4 cycles and can start every cycle.
const LANES: usize = 8;

/// Odd, and with no pattern in its bits: the fractional part of the golden ratio.
const MULTIPLIER: u128 = 0x9e37_79b9_7f4a_7c15;

/// A hash of the pixels, padding left out. Words of 8 bytes go into 8 sums in turn, each by multiply and
/// fold; the sums go into one at the end in the same way.
fn hash(rows: Rows<'_>) -> u64 {
    // Not zero, so that leading zeros count, and different, so that the order of the sums counts.
    let mut lanes: [u64; LANES] = std::array::from_fn(|lane| fold(lane as u64 + 1));
    for y in 0..rows.size.height() {
        let (groups, rest) = rows.row(y).as_chunks::<{ LANES * 8 }>();
        for group in groups {
            let words = group.as_chunks().0;
            lanes = std::array::from_fn(|lane| fold(lanes[lane] ^ u64::from_le_bytes(words[lane])));
        }
        let (words, rest) = rest.as_chunks();
        for (lane, word) in lanes.iter_mut().zip(words) {
            *lane = fold(*lane ^ u64::from_le_bytes(*word));
        }
        // A pixel of 4 bytes at the end of an odd row.
        if let Some(pixel) = rest.first_chunk() {
            lanes[LANES - 1] = fold(lanes[LANES - 1] ^ u64::from(u32::from_le_bytes(*pixel)));
        }
    }
    lanes.into_iter().fold(0, |hash, lane| fold(hash ^ lane))
}

/// Both halves of the 128-bit product: each bit of the value reaches bits above it by the lower half and
/// below it by the upper one.
fn fold(value: u64) -> u64 {
    let product = u128::from(value) * MULTIPLIER;
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::RowLayout;
    use super::*;

    /// A picture with a row pitch of its own, and what lies between the rows.
    struct Picture {
        bytes: Vec<u8>,
        pitch: usize,
        size: Resolution,
        layout: RowLayout,
    }

    impl Picture {
        fn new((width, height): (u32, u32), padding: usize, layout: RowLayout) -> Self {
            let pitch = width as usize * layout.bytes() + padding;
            let size = Resolution::new(width, height).unwrap();
            Self { bytes: vec![0; pitch * height as usize], pitch, size, layout }
        }

        fn rows(&self) -> Rows<'_> {
            Rows::new(&self.bytes, self.pitch, self.size, self.layout).unwrap()
        }

        fn byte(&mut self, x: u32, y: u32, of_pixel: usize) -> &mut u8 {
            &mut self.bytes[y as usize * self.pitch + x as usize * self.layout.bytes() + of_pixel]
        }

        fn fill_padding(&mut self, junk: u8) {
            let row = self.size.width() as usize * self.layout.bytes();
            self.bytes.chunks_mut(self.pitch).for_each(|line| line[row..].fill(junk));
        }
    }

    #[test]
    fn the_first_look_returns_everything() {
        let picture = Picture::new((200, 130), 8, RowLayout::Bgra8);
        let all = picture.size.rect();
        let corner = Rect { x: 0, y: 0, width: 1, height: 1 };
        let mut changes = Changes::new(picture.size);
        assert_eq!(changes.look(picture.rows(), corner), all);
        assert!(changes.look(picture.rows(), all).is_empty());
    }

    #[test]
    fn a_picture_of_another_size_is_looked_at_afresh() {
        let small = Picture::new((10, 10), 0, RowLayout::Bgra8);
        let large = Picture::new((70, 70), 0, RowLayout::Bgra8);
        let mut changes = Changes::new(small.size);
        changes.look(small.rows(), small.size.rect());
        assert_eq!(changes.look(large.rows(), small.size.rect()), large.size.rect());
        assert!(changes.look(large.rows(), large.size.rect()).is_empty());
    }

    #[test]
    fn changes_are_grown_to_squares_and_joined_and_cut_off_at_the_edges() {
        let mut picture = Picture::new((200, 130), 8, RowLayout::Bgra8);
        let all = picture.size.rect();
        let mut changes = Changes::new(picture.size);
        changes.look(picture.rows(), all);
        *picture.byte(70, 3, 1) = 9;
        assert_eq!(changes.look(picture.rows(), all), Rect { x: 64, y: 0, width: 64, height: 64 });
        *picture.byte(199, 129, 2) = 9;
        assert_eq!(changes.look(picture.rows(), all), Rect { x: 192, y: 128, width: 8, height: 2 });
        *picture.byte(0, 64, 0) = 9;
        *picture.byte(130, 129, 0) = 9;
        assert_eq!(changes.look(picture.rows(), all), Rect { x: 0, y: 64, width: 192, height: 66 });
    }

    #[test]
    fn what_is_not_looked_at_is_found_later() {
        let mut picture = Picture::new((200, 130), 8, RowLayout::Bgra8);
        let all = picture.size.rect();
        let mut changes = Changes::new(picture.size);
        changes.look(picture.rows(), all);
        *picture.byte(10, 10, 0) = 1;
        assert!(changes.look(picture.rows(), Rect { x: 64, y: 0, width: 900, height: 900 }).is_empty());
        assert!(changes.look(picture.rows(), Rect { x: 900, y: 0, width: 9, height: 9 }).is_empty());
        // One pixel of the square is enough to look at all of it.
        let one = Rect { x: 63, y: 63, width: 1, height: 1 };
        assert_eq!(changes.look(picture.rows(), one), Rect { x: 0, y: 0, width: 64, height: 64 });
    }

    #[test]
    fn a_moved_word_is_a_change() {
        // Text that scrolls: the same words at other places of a square.
        let layout = RowLayout::Bgra8;
        let mut hashes: Vec<_> = (0..64 * 64)
            .map(|at| {
                let mut picture = Picture::new((64, 64), 0, layout);
                picture.bytes[at as usize * 4..][..4].fill(0xff);
                hash(picture.rows())
            })
            .collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), 64 * 64);
    }

    proptest! {
        #[test]
        fn any_single_changed_pixel_is_found_and_junk_between_rows_is_not(
            layout in prop::sample::select(vec![RowLayout::Bgra8, RowLayout::Rgba8, RowLayout::Rgba16F]),
            side in (1u32..150, 1u32..150),
            padding in 0usize..40,
            (x, y, byte) in (any::<u32>(), any::<u32>(), any::<usize>()),
            flipped in 1u8..,
            (fill, junk) in (any::<u8>(), any::<u8>()),
        ) {
            let mut picture = Picture::new(side, padding, layout);
            for (at, byte) in picture.bytes.iter_mut().enumerate() {
                *byte = (at as u8).wrapping_mul(fill);
            }
            let all = picture.size.rect();
            let mut changes = Changes::new(picture.size);
            changes.look(picture.rows(), all);
            picture.fill_padding(junk);
            prop_assert!(changes.look(picture.rows(), all).is_empty());

            let (x, y) = (x % side.0, y % side.1);
            *picture.byte(x, y, byte % layout.bytes()) ^= flipped;
            picture.fill_padding(!junk);
            let pixel = Rect { x, y, width: 1, height: 1 };
            let found = changes.look(picture.rows(), pixel);
            let square = Rect { x: x / 64 * 64, y: y / 64 * 64, width: 64, height: 64 };
            prop_assert_eq!(found, square.intersect(all));
            prop_assert!(changes.look(picture.rows(), all).is_empty());
        }
    }
}
