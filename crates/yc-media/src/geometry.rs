//! Sizes and rectangles, in physical pixels.

use std::fmt;
use std::str::FromStr;

use crate::MediaError;

/// The size of a picture in pixels. Each side is 1 to [`Resolution::MAX_SIDE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Resolution {
    width: u32,
    height: u32,
}

impl Resolution {
    /// The longest side of any picture the suite handles, in pixels.
    pub const MAX_SIDE: u32 = 16_384;

    /// A size of `width` × `height` pixels.
    ///
    /// # Errors
    ///
    /// If a side is 0 or exceeds [`Resolution::MAX_SIDE`].
    pub fn new(width: u32, height: u32) -> Result<Self, MediaError> {
        if width == 0 || width > Self::MAX_SIDE {
            return Err(MediaError::new("width", width, "1 to 16384 pixels"));
        }
        if height == 0 || height > Self::MAX_SIDE {
            return Err(MediaError::new("height", height, "1 to 16384 pixels"));
        }
        Ok(Self { width, height })
    }

    /// Pixels in a row.
    pub const fn width(self) -> u32 {
        self.width
    }

    /// Rows.
    pub const fn height(self) -> u32 {
        self.height
    }

    /// Pixels in the picture.
    pub const fn pixels(self) -> u64 {
        self.width as u64 * self.height as u64
    }

    /// The largest size with even sides inside this one, as 4:2:0 chroma needs; at least 2×2.
    #[must_use]
    pub fn even(self) -> Self {
        Self { width: (self.width & !1).max(2), height: (self.height & !1).max(2) }
    }

    /// The largest even size of the same shape that fits into `bounds`; never larger than `self`.
    #[must_use]
    pub fn fit_into(self, bounds: Self) -> Self {
        if self.width <= bounds.width && self.height <= bounds.height {
            return self.even();
        }
        let (w, h) = (u64::from(self.width), u64::from(self.height));
        let (bw, bh) = (u64::from(bounds.width), u64::from(bounds.height));
        let (width, height) =
            if w * bh >= h * bw { (bw, (h * bw / w).max(1)) } else { ((w * bh / h).max(1), bh) };
        // Both fit into u32: they are at most `bounds`.
        Self { width: width as u32, height: height as u32 }.even()
    }

    /// The whole picture as a rectangle at the origin.
    pub const fn rect(self) -> Rect {
        Rect { x: 0, y: 0, width: self.width, height: self.height }
    }
}

impl fmt::Display for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

impl FromStr for Resolution {
    type Err = MediaError;

    /// Reads `1920x1080`.
    fn from_str(text: &str) -> Result<Self, MediaError> {
        let bad = || MediaError::new("size", format!("{text:?}"), "WIDTHxHEIGHT, for example 1920x1080");
        let (width, height) = text.split_once('x').ok_or_else(bad)?;
        Self::new(width.parse().map_err(|_| bad())?, height.parse().map_err(|_| bad())?)
    }
}

/// A rectangle inside a picture: pixels from its top left corner. It may be empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Rect {
    /// Pixels from the left edge.
    pub x: u32,
    /// Rows from the top edge.
    pub y: u32,
    /// Pixels in a row of it.
    pub width: u32,
    /// Rows in it.
    pub height: u32,
}

impl Rect {
    /// Whether it holds no pixel.
    pub const fn is_empty(self) -> bool {
        self.width == 0 || self.height == 0
    }

    /// The smallest rectangle that holds both. An empty one adds nothing.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        if self.is_empty() {
            return other;
        }
        if other.is_empty() {
            return self;
        }
        let (x, y) = (self.x.min(other.x), self.y.min(other.y));
        let right = (self.x + self.width).max(other.x + other.width);
        let bottom = (self.y + self.height).max(other.y + other.height);
        Self { x, y, width: right - x, height: bottom - y }
    }

    /// The pixels that lie in both; empty if none do.
    #[must_use]
    pub fn intersect(self, other: Self) -> Self {
        let (x, y) = (self.x.max(other.x), self.y.max(other.y));
        let right = self.x.saturating_add(self.width).min(other.x.saturating_add(other.width));
        let bottom = self.y.saturating_add(self.height).min(other.y.saturating_add(other.height));
        if right <= x || bottom <= y {
            return Self::default();
        }
        Self { x, y, width: right - x, height: bottom - y }
    }

    /// Whether every pixel of `other` lies in it. An empty `other` always does.
    pub fn contains(self, other: Self) -> bool {
        other.is_empty() || self.intersect(other) == other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(width: u32, height: u32) -> Resolution {
        Resolution::new(width, height).unwrap()
    }

    #[test]
    fn a_side_out_of_bounds_is_named_with_its_bounds() {
        assert_eq!(
            Resolution::new(70_000, 1).unwrap_err().to_string(),
            "width 70000 is not allowed: 1 to 16384 pixels"
        );
        assert_eq!(
            Resolution::new(1, 0).unwrap_err().to_string(),
            "height 0 is not allowed: 1 to 16384 pixels"
        );
        assert!("1920*1080".parse::<Resolution>().is_err());
        assert_eq!("1367x769".parse::<Resolution>().unwrap(), size(1367, 769));
    }

    #[test]
    fn even_sizes_lose_at_most_one_row_and_column() {
        assert_eq!(size(1367, 769).even(), size(1366, 768));
        assert_eq!(size(1366, 768).even(), size(1366, 768));
        assert_eq!(size(1, 1).even(), size(2, 2));
    }

    #[test]
    fn fitting_keeps_the_shape_and_never_enlarges() {
        assert_eq!(size(3840, 2160).fit_into(size(1920, 1080)), size(1920, 1080));
        assert_eq!(size(1080, 1920).fit_into(size(1920, 1080)), size(606, 1080));
        assert_eq!(size(800, 601).fit_into(size(1920, 1080)), size(800, 600));
        assert_eq!(size(16_384, 1).fit_into(size(1920, 1080)), size(1920, 2));
    }

    #[test]
    fn union_ignores_what_is_empty() {
        let a = Rect { x: 4, y: 4, width: 2, height: 2 };
        assert_eq!(a.union(Rect::default()), a);
        assert_eq!(Rect::default().union(a), a);
        assert_eq!(
            a.union(Rect { x: 0, y: 5, width: 1, height: 9 }),
            Rect { x: 0, y: 4, width: 6, height: 10 }
        );
        assert!(a.intersect(Rect { x: 6, y: 4, width: 2, height: 2 }).is_empty());
    }
}
