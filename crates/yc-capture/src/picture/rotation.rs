//! How a turned display's picture is stored, and where its pixels belong.

use yc_media::{Rect, Resolution};

/// How far the stored picture must be turned clockwise to be upright.
///
/// A display that stands on its side is still scanned out, and duplicated, as if it lay. These are the
/// values of `DXGI_MODE_ROTATION` (Microsoft Learn, "DXGI_MODE_ROTATION enumeration" and
/// "DXGI_OUTDUPL_DESC structure").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Rotation {
    /// Not at all: `UNSPECIFIED` and `IDENTITY`.
    #[default]
    None,
    /// By 90°: `ROTATE90`.
    Quarter,
    /// By 180°: `ROTATE180`.
    Half,
    /// By 270°: `ROTATE270`.
    ThreeQuarters,
}

impl Rotation {
    /// The size of the upright picture that is stored in `size`.
    pub(crate) fn upright(self, size: Resolution) -> Resolution {
        match self {
            Self::None | Self::Half => size,
            Self::Quarter | Self::ThreeQuarters => {
                Resolution::new(size.height(), size.width()).expect("both sides have the same bounds")
            }
        }
    }

    /// Where `rect` of a stored picture of `stored` lies in the upright one. What of it is outside the
    /// picture is left out.
    pub(crate) fn rect(self, rect: Rect, stored: Resolution) -> Rect {
        let rect = rect.intersect(stored.rect());
        let Rect { x, y, width, height } = rect;
        // What is left of the picture to the right of it and below it.
        let (right, below) = (stored.width() - x - width, stored.height() - y - height);
        match self {
            Self::None => rect,
            Self::Quarter => Rect { x: below, y: x, width: height, height: width },
            Self::Half => Rect { x: right, y: below, ..rect },
            Self::ThreeQuarters => Rect { x: y, y: right, width: height, height: width },
        }
    }

    /// Where the pixel at `x`, `y` of the upright picture is stored in one of `stored`.
    ///
    /// `x` and `y` must lie inside the upright picture.
    pub(super) fn pixel(self, (x, y): (u32, u32), stored: Resolution) -> (u32, u32) {
        let (right, bottom) = (stored.width() - 1, stored.height() - 1);
        match self {
            Self::None => (x, y),
            Self::Quarter => (y, bottom - x),
            Self::Half => (right - x, bottom - y),
            Self::ThreeQuarters => (right - y, x),
        }
    }

    /// Bytes from where a pixel is stored to where its right neighbour in the upright picture is, for pixels
    /// of `pixel` bytes and rows `pitch` bytes apart.
    pub(super) fn step(self, pixel: usize, pitch: usize) -> isize {
        match self {
            Self::None => pixel as isize,
            Self::Quarter => (pitch as isize).wrapping_neg(),
            Self::Half => -(pixel as isize),
            Self::ThreeQuarters => pitch as isize,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(in crate::picture) const ALL: [Rotation; 4] =
        [Rotation::None, Rotation::Quarter, Rotation::Half, Rotation::ThreeQuarters];

    fn size(width: u32, height: u32) -> Resolution {
        Resolution::new(width, height).unwrap()
    }

    #[test]
    fn the_first_stored_pixel_goes_round_the_corners_clockwise() {
        let stored = size(4, 3);
        let first = Rect { x: 0, y: 0, width: 1, height: 1 };
        let corners = ALL.map(|rotation| {
            let rect = rotation.rect(first, stored);
            (rect.x, rect.y, rotation.upright(stored).to_string())
        });
        let expected =
            [(0, 0, "4x3"), (2, 0, "3x4"), (3, 2, "4x3"), (0, 3, "3x4")].map(|(x, y, s)| (x, y, s.into()));
        assert_eq!(corners, expected);
    }

    #[test]
    fn a_part_outside_the_picture_is_left_out() {
        let outside = Rect { x: 2, y: 1, width: u32::MAX, height: 1 };
        assert_eq!(Rotation::Quarter.rect(outside, size(4, 3)), Rect { x: 1, y: 2, width: 1, height: 2 });
        for rotation in ALL {
            assert!(rotation.rect(Rect { x: 9, y: 9, width: 5, height: 5 }, size(4, 3)).is_empty());
        }
    }

    proptest! {
        #[test]
        fn a_rectangle_turns_as_its_pixels_do(
            rotation in prop::sample::select(ALL.to_vec()),
            (width, height) in (1u32..12, 1u32..12),
            (x, y, w, h) in (0u32..14, 0u32..14, 0u32..14, 0u32..14),
        ) {
            let stored = size(width, height);
            let rect = Rect { x, y, width: w, height: h };
            let turned = rotation.rect(rect, stored);
            let upright = rotation.upright(stored);
            for y in 0..upright.height() {
                for x in 0..upright.width() {
                    let (sx, sy) = rotation.pixel((x, y), stored);
                    let one = |x, y| Rect { x, y, width: 1, height: 1 };
                    prop_assert!(stored.rect().contains(one(sx, sy)));
                    prop_assert_eq!(turned.contains(one(x, y)), rect.contains(one(sx, sy)));
                }
            }
        }
    }
}
