//! Which part of an output's stored picture is captured, and how that becomes the upright one.

use yc_media::{Rect, Resolution};

use super::Mode;
use crate::picture::{Rotation, RowLayout};

/// A rectangle as the system tells it: it may be empty, and reach outside the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edges {
    pub(crate) left: i32,
    pub(crate) top: i32,
    /// Excluded.
    pub(crate) right: i32,
    /// Excluded.
    pub(crate) bottom: i32,
}

impl Edges {
    /// The smallest that holds both.
    pub(crate) fn union(self, other: Self) -> Self {
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }

    /// What of it lies in a picture of `size`.
    pub(super) fn within(self, size: Resolution) -> Rect {
        // Both lie in 0..=bound, which is at most 16384.
        let side = |from: i32, to: i32, bound: u32| {
            let (from, to) = (from.clamp(0, bound as i32), to.clamp(0, bound as i32));
            (from as u32, (to - from).max(0) as u32)
        };
        let (x, width) = side(self.left, self.right, size.width());
        let (y, height) = side(self.top, self.bottom, size.height());
        if width == 0 || height == 0 { Rect::default() } else { Rect { x, y, width, height } }
    }
}

/// The captured part of an output in one mode.
///
/// There are three pictures: the stored one, the captured part of it as it is stored, and that part
/// upright, which is what frames show.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct View {
    pub(super) mode: Mode,
    /// In the stored picture.
    pub(super) window: Rect,
    /// The part as it is stored.
    pub(super) stored: Resolution,
    /// The part upright.
    pub(super) size: Resolution,
    /// Where the upright part begins on the upright output.
    origin: (u32, u32),
}

impl View {
    /// What is left of `area` of the upright output in `mode`, or the whole of it; `None` if nothing is.
    pub(super) fn new(mode: Mode, area: Option<Rect>) -> Option<Self> {
        let upright = mode.rotation.upright(mode.size);
        let area = area.map_or(upright.rect(), |area| area.intersect(upright.rect()));
        let size = Resolution::new(area.width, area.height).ok()?;
        let window = back(mode.rotation).rect(area, upright);
        let stored = Resolution::new(window.width, window.height).ok()?;
        Some(Self { mode, window, stored, size, origin: (area.x, area.y) })
    }

    /// Where the captured part begins in the stored picture.
    pub(super) fn corner(&self) -> (u32, u32) {
        (self.window.x, self.window.y)
    }

    /// What of `changed` in the stored picture lies in the captured part, seen from its corner.
    pub(super) fn stored_part(&self, changed: Rect) -> Rect {
        let part = changed.intersect(self.window);
        if part.is_empty() {
            return Rect::default();
        }
        Rect { x: part.x - self.window.x, y: part.y - self.window.y, ..part }
    }

    /// The same in the upright part.
    pub(super) fn upright(&self, part: Rect) -> Rect {
        if part.is_empty() { part } else { self.mode.rotation.rect(part, self.stored) }
    }

    /// A place on the upright output, seen from the corner of the upright part.
    pub(super) fn place(&self, (x, y): (i32, i32)) -> (i32, i32) {
        // The corner is at most at 16384.
        (x.saturating_sub(self.origin.0 as i32), y.saturating_sub(self.origin.1 as i32))
    }

    /// Whether the stored pixels are those of a frame.
    pub(super) fn is_plain(&self) -> bool {
        self.mode.rotation == Rotation::None && self.mode.layout == RowLayout::Bgra8
    }
}

/// The way from the upright picture back to the stored one.
fn back(rotation: Rotation) -> Rotation {
    match rotation {
        Rotation::Quarter => Rotation::ThreeQuarters,
        Rotation::ThreeQuarters => Rotation::Quarter,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(rotation: Rotation) -> Mode {
        let size = Resolution::new(40, 30).unwrap();
        Mode { size, layout: RowLayout::Bgra8, rotation, white: 80.0, device: 0 }
    }

    #[test]
    fn what_the_system_tells_is_cut_to_the_picture() {
        let size = Resolution::new(40, 30).unwrap();
        let within = |left, top, right, bottom| Edges { left, top, right, bottom }.within(size);
        assert_eq!(within(-5, 10, 7, 99), Rect { x: 0, y: 10, width: 7, height: 20 });
        assert_eq!(within(i32::MIN, i32::MIN, i32::MAX, i32::MAX), size.rect());
        assert_eq!(within(7, 0, 3, 30), Rect::default());
        assert_eq!(within(40, 0, 99, 30), Rect::default());
    }

    #[test]
    fn a_part_of_a_turned_output_is_looked_for_where_it_is_stored() {
        let area = Rect { x: 3, y: 4, width: 10, height: 20 };
        for rotation in [Rotation::None, Rotation::Quarter, Rotation::Half, Rotation::ThreeQuarters] {
            let view = View::new(mode(rotation), Some(area)).unwrap();
            // The way there and back again.
            assert_eq!(rotation.rect(view.window, view.mode.size), area, "{rotation:?}");
            assert_eq!(view.upright(view.stored.rect()), view.size.rect());
            assert_eq!(rotation.upright(view.stored), view.size);
            assert_eq!(view.place((3, 3)), (0, -1));
        }
    }

    #[test]
    fn changes_outside_the_part_are_none() {
        let view =
            View::new(mode(Rotation::None), Some(Rect { x: 30, y: 20, width: 10, height: 10 })).unwrap();
        assert_eq!(
            view.stored_part(Rect { x: 0, y: 0, width: 31, height: 30 }),
            Rect { x: 0, y: 0, width: 1, height: 10 }
        );
        assert!(view.stored_part(Rect { x: 0, y: 0, width: 30, height: 30 }).is_empty());
        assert!(view.upright(Rect::default()).is_empty());
    }

    #[test]
    fn a_part_that_the_mode_no_longer_has_is_cut_off_or_gone() {
        let area = Rect { x: 30, y: 20, width: 100, height: 100 };
        let view = View::new(mode(Rotation::None), Some(area)).unwrap();
        assert_eq!(view.size.to_string(), "10x10");
        assert_eq!(View::new(mode(Rotation::Quarter), Some(area)), None);
        assert_eq!(View::new(mode(Rotation::Quarter), None).unwrap().size.to_string(), "30x40");
    }
}
