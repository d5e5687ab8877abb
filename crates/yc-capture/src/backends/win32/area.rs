//! A part of the desktop. Its coordinates may be negative: the primary monitor's corner is 0, 0.

use yc_media::{MediaError, Rect, Resolution};

/// A rectangle of the desktop that is not empty, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Area {
    pub(crate) left: i32,
    pub(crate) top: i32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl Area {
    /// What lies between these edges, right and bottom excluded; `None` if nothing does.
    pub(crate) fn between(left: i32, top: i32, right: i32, bottom: i32) -> Option<Self> {
        let side =
            |from: i32, to: i32| u32::try_from(i64::from(to) - i64::from(from)).ok().filter(|side| *side > 0);
        Some(Self { left, top, width: side(left, right)?, height: side(top, bottom)? })
    }

    pub(crate) fn right(self) -> i32 {
        self.left.saturating_add_unsigned(self.width)
    }

    pub(crate) fn bottom(self) -> i32 {
        self.top.saturating_add_unsigned(self.height)
    }

    /// The smallest that holds both.
    pub(crate) fn union(self, other: Self) -> Self {
        let (left, top) = (self.left.min(other.left), self.top.min(other.top));
        let (right, bottom) = (self.right().max(other.right()), self.bottom().max(other.bottom()));
        Self { left, top, width: right.abs_diff(left), height: bottom.abs_diff(top) }
    }

    pub(crate) fn intersect(self, other: Self) -> Option<Self> {
        Self::between(
            self.left.max(other.left),
            self.top.max(other.top),
            self.right().min(other.right()),
            self.bottom().min(other.bottom()),
        )
    }

    pub(crate) fn contains(self, other: Self) -> bool {
        self.intersect(other) == Some(other)
    }

    /// `part`, which is counted from this one's corner.
    pub(crate) fn part(self, part: Rect) -> Option<Self> {
        let left = i32::try_from(i64::from(self.left) + i64::from(part.x)).ok()?;
        let top = i32::try_from(i64::from(self.top) + i64::from(part.y)).ok()?;
        let part = Self { left, top, width: part.width, height: part.height };
        (part.width > 0 && part.height > 0 && self.contains(part)).then_some(part)
    }

    /// Its sides as the size of a picture.
    pub(crate) fn size(self) -> Result<Resolution, MediaError> {
        Resolution::new(self.width, self.height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEFT_MONITOR: Area = Area { left: -1_280, top: -100, width: 1_280, height: 1_024 };
    const PRIMARY: Area = Area { left: 0, top: 0, width: 1_920, height: 1_080 };

    #[test]
    fn nothing_lies_between_edges_that_meet_or_cross() {
        assert_eq!(Area::between(0, 0, 0, 5), None);
        assert_eq!(Area::between(5, 0, 4, 5), None);
        assert_eq!(Area::between(i32::MIN, 0, i32::MAX, 1).unwrap().width, u32::MAX);
        assert_eq!(Area::between(-2, -3, 1, 1), Some(Area { left: -2, top: -3, width: 3, height: 4 }));
    }

    #[test]
    fn monitors_to_the_left_are_counted_from_the_corner_of_the_desktop() {
        let desktop = LEFT_MONITOR.union(PRIMARY);
        assert_eq!(desktop, Area { left: -1_280, top: -100, width: 3_200, height: 1_180 });
        let part = desktop.part(Rect { x: 1_280, y: 100, width: 1_920, height: 1_080 });
        assert_eq!(part, Some(PRIMARY));
        assert_eq!(desktop.part(Rect { x: 1_281, y: 100, width: 1_920, height: 1_080 }), None);
        assert_eq!(desktop.part(Rect::default()), None);
        assert_eq!(LEFT_MONITOR.intersect(PRIMARY), None);
        assert!(desktop.contains(LEFT_MONITOR));
    }
}
