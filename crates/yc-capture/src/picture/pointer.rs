//! The mouse pointer, which is not part of the pictures that Windows hands out.

use yc_media::{Rect, Resolution};

use super::PointerShape;

/// A mouse pointer's shape and place, and how it was drawn last. It is hidden at first.
#[derive(Debug, Default)]
pub(crate) struct Pointer {
    shape: Option<PointerShape>,
    at: (i32, i32),
    visible: bool,
    /// Counts shapes.
    version: u64,
    /// As it is in the picture drawn last.
    drawn: Option<Placement>,
}

/// One appearance of the pointer. Its corner may lie outside the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Placement {
    version: u64,
    x: i64,
    y: i64,
    size: Resolution,
}

impl Pointer {
    /// Looks like `shape` from now on.
    pub(crate) fn set_shape(&mut self, shape: PointerShape) {
        // The OS says again what it looks like at every switch of desktops.
        if self.shape.as_ref() != Some(&shape) {
            self.shape = Some(shape);
            self.version += 1;
        }
    }

    /// Shows it with its hot spot `at` this pixel of the picture, which may lie outside. A source that
    /// tells the corner of the shape instead, as desktop duplication does, has shapes with a hot spot of 0, 0.
    pub(crate) fn move_to(&mut self, at: (i32, i32)) {
        self.at = at;
        self.visible = true;
    }

    /// Hides it until it moves again.
    pub(crate) fn hide(&mut self) {
        self.visible = false;
    }

    /// What of `picture` differs from the one drawn last because of the pointer: its old and its new place,
    /// or nothing.
    pub(crate) fn damage(&self, picture: Resolution) -> Rect {
        let now = self.placement();
        if now == self.drawn {
            return Rect::default();
        }
        let area = |placement: Option<Placement>| placement.map_or(Rect::default(), |p| p.area(picture));
        area(self.drawn).union(area(now))
    }

    /// Draws it into a BGRA picture of `size` without a pointer, and returns where: what must be restored
    /// before the next time.
    ///
    /// # Panics
    ///
    /// If `pixels` has no room for the picture.
    pub(crate) fn draw(&mut self, pixels: &mut [u8], stride: usize, size: Resolution) -> Rect {
        self.drawn = self.placement();
        let (Some(at), Some(shape)) = (self.drawn, &self.shape) else { return Rect::default() };
        let area = at.area(size);
        for y in area.y..area.y + area.height {
            // Both are inside the shape: the area is.
            let (from_x, from_y) = ((i64::from(area.x) - at.x) as usize, (i64::from(y) - at.y) as usize);
            let from = &shape.pixels[from_y * shape.size.width() as usize + from_x..];
            let start = y as usize * stride + area.x as usize * 4;
            let row = pixels[start..start + area.width as usize * 4].as_chunks_mut().0;
            for (pixel, &over) in row.iter_mut().zip(from) {
                *pixel = shape.kind.lay(over, *pixel);
            }
        }
        area
    }

    fn placement(&self) -> Option<Placement> {
        let shape = self.shape.as_ref().filter(|_| self.visible)?;
        let corner = |at: i32, hotspot: i32| i64::from(at) - i64::from(hotspot);
        Some(Placement {
            version: self.version,
            x: corner(self.at.0, shape.hotspot.0),
            y: corner(self.at.1, shape.hotspot.1),
            size: shape.size,
        })
    }
}

impl Placement {
    /// The part of it that lies inside a picture of `size`.
    fn area(self, size: Resolution) -> Rect {
        let side = |at: i64, length: u32, bound: u32| {
            let start = at.clamp(0, bound.into());
            let end = (at + i64::from(length)).clamp(0, bound.into());
            // Both lie in 0..=bound.
            (start as u32, (end - start) as u32)
        };
        let (x, width) = side(self.x, self.size.width(), size.width());
        let (y, height) = side(self.y, self.size.height(), size.height());
        if width == 0 || height == 0 { Rect::default() } else { Rect { x, y, width, height } }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UNDER: u8 = 0x5a;

    fn size(width: u32, height: u32) -> Resolution {
        Resolution::new(width, height).unwrap()
    }

    /// Opaque, each pixel of a colour of its own.
    fn shape(width: u32, height: u32, hotspot: (i32, i32)) -> PointerShape {
        let bytes: Vec<u8> = (0..width * height).flat_map(|n| [n as u8, 1, 2, 255]).collect();
        PointerShape::color(&bytes, width as usize * 4, size(width, height), hotspot).unwrap()
    }

    fn pointer(shape: PointerShape, at: (i32, i32)) -> Pointer {
        let mut pointer = Pointer::default();
        pointer.set_shape(shape);
        pointer.move_to(at);
        pointer
    }

    #[test]
    fn nothing_is_drawn_before_it_has_a_shape_and_a_place_or_while_it_is_hidden() {
        let picture = size(8, 8);
        let mut pixels = [UNDER; 8 * 8 * 4];
        let mut pointer = Pointer::default();
        pointer.move_to((1, 1));
        assert!(pointer.damage(picture).is_empty() && pointer.draw(&mut pixels, 32, picture).is_empty());
        let mut pointer = Pointer::default();
        pointer.set_shape(shape(2, 2, (0, 0)));
        assert!(pointer.damage(picture).is_empty() && pointer.draw(&mut pixels, 32, picture).is_empty());
        pointer.move_to((1, 1));
        pointer.hide();
        assert!(pointer.damage(picture).is_empty() && pointer.draw(&mut pixels, 32, picture).is_empty());
        assert_eq!(pixels, [UNDER; 8 * 8 * 4]);
    }

    #[test]
    fn a_move_damages_the_old_and_the_new_place() {
        let picture = size(100, 100);
        let mut pixels = vec![0; 40_000];
        let mut pointer = pointer(shape(2, 2, (1, 1)), (11, 11));
        assert_eq!(pointer.damage(picture), Rect { x: 10, y: 10, width: 2, height: 2 });
        assert_eq!(pointer.draw(&mut pixels, 400, picture), Rect { x: 10, y: 10, width: 2, height: 2 });
        assert!(pointer.damage(picture).is_empty());
        pointer.move_to((21, 9));
        assert_eq!(pointer.damage(picture), Rect { x: 10, y: 8, width: 12, height: 4 });
        pointer.move_to((-1, -1));
        assert_eq!(pointer.damage(picture), Rect { x: 10, y: 10, width: 2, height: 2 });
        assert!(pointer.draw(&mut pixels, 400, picture).is_empty());
        pointer.move_to((500, 0));
        assert!(pointer.damage(picture).is_empty());
    }

    #[test]
    fn a_new_shape_and_hiding_damage_the_place() {
        let picture = size(100, 100);
        let mut pixels = vec![0; 40_000];
        let mut pointer = pointer(shape(2, 2, (0, 0)), (10, 10));
        pointer.draw(&mut pixels, 400, picture);
        pointer.set_shape(shape(2, 2, (0, 0)));
        assert!(pointer.damage(picture).is_empty(), "the same shape again");
        let white = PointerShape::color(&[255; 16], 8, size(2, 2), (0, 0)).unwrap();
        pointer.set_shape(white);
        assert_eq!(pointer.damage(picture), Rect { x: 10, y: 10, width: 2, height: 2 }, "other colours");
        pointer.set_shape(shape(3, 1, (0, 0)));
        assert_eq!(pointer.damage(picture), Rect { x: 10, y: 10, width: 3, height: 2 });
        pointer.draw(&mut pixels, 400, picture);
        pointer.hide();
        assert_eq!(pointer.damage(picture), Rect { x: 10, y: 10, width: 3, height: 1 });
        assert!(pointer.draw(&mut pixels, 400, picture).is_empty());
        assert!(pointer.damage(picture).is_empty());
    }

    #[test]
    fn places_at_the_ends_of_the_number_range_are_outside() {
        let picture = size(16, 16);
        let (min, max) = (i32::MIN, i32::MAX);
        for (at, hotspot) in [((min, max), (max, min)), ((max, min), (min, max)), ((min, 3), (0, 0))] {
            let mut pointer = pointer(shape(3, 3, hotspot), at);
            assert!(pointer.draw(&mut [0; 1024], 64, picture).is_empty(), "{at:?} {hotspot:?}");
        }
        // Where both cancel out it is inside.
        let mut pointer = pointer(shape(3, 3, (max, min)), (max, min));
        assert_eq!(pointer.draw(&mut [0; 1024], 64, picture), Rect { x: 0, y: 0, width: 3, height: 3 });
    }

    proptest! {
        #[test]
        fn it_is_cut_off_at_the_edges_and_touches_nothing_else(
            (width, height) in (1u32..8, 1u32..8),
            (shape_width, shape_height) in (1u32..6, 1u32..6),
            hotspot in (-2i32..8, -2i32..8),
            at in (-8i32..16, -8i32..16),
            padding in 0usize..9,
        ) {
            let stride = width as usize * 4 + padding;
            let mut pixels = vec![UNDER; stride * height as usize - padding];
            let mut pointer = pointer(shape(shape_width, shape_height, hotspot), at);
            let damage = pointer.damage(size(width, height));
            let area = pointer.draw(&mut pixels, stride, size(width, height));
            prop_assert_eq!(damage, area);

            let mut expected = vec![UNDER; pixels.len()];
            let mut drawn = Rect::default();
            for n in 0..shape_width * shape_height {
                let x = at.0 - hotspot.0 + (n % shape_width) as i32;
                let y = at.1 - hotspot.1 + (n / shape_width) as i32;
                if (0..width as i32).contains(&x) && (0..height as i32).contains(&y) {
                    let start = y as usize * stride + x as usize * 4;
                    expected[start..start + 3].copy_from_slice(&[n as u8, 1, 2]);
                    drawn = drawn.union(Rect { x: x as u32, y: y as u32, width: 1, height: 1 });
                }
            }
            prop_assert_eq!(area, drawn);
            prop_assert_eq!(pixels, expected);
        }
    }
}
