//! What is made of what, and where a change of the one shows in the other.

use yc_media::{Damage, PixelFormat, PlaneLayout, Rect, Resolution};

use crate::scale;

/// What is made of what. As long as it stands, pictures follow from the ones before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) from: PixelFormat,
    pub(super) stored: Resolution,
    /// What is read of the stored picture.
    pub(super) visible: Rect,
    pub(super) to: PixelFormat,
    /// The picture inside the output, from its top left corner.
    pub(super) content: Resolution,
    /// The output.
    pub(super) coded: Resolution,
}

/// What changed in the output, content coordinates.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Changed(pub(super) Option<Rect>);

impl Plan {
    /// Whether content is another size than what is read, and not only without its last column or row.
    pub(super) fn scales(&self) -> bool {
        let (width, height) = (self.visible.width, self.visible.height);
        self.content.width() > width
            || self.content.height() > height
            || width - self.content.width() > 1
            || height - self.content.height() > 1
    }

    /// The planes of the output one after the other, and all their bytes.
    pub(super) fn layout(&self) -> ([PlaneLayout; 3], usize) {
        let mut layout = [PlaneLayout::default(); 3];
        let mut end = 0;
        for (plane, at) in layout.iter_mut().enumerate().take(self.to.planes()) {
            let (row, rows) = self.to.plane_size(plane, self.coded);
            *at = PlaneLayout { offset: end, stride: row };
            end += row * rows;
        }
        (layout, end)
    }

    /// Makes all of the output black.
    pub(super) fn blacken(&self, bytes: &mut [u8]) {
        let luma = (self.coded.pixels() as usize).min(bytes.len());
        if self.to == PixelFormat::Bgra8 {
            bytes.fill(0);
        } else {
            bytes[..luma].fill(16);
            bytes[luma..].fill(128);
        }
    }

    /// Where `damage` of the stored picture shows in the output, rounded outward.
    pub(super) fn changed(&self, damage: Damage) -> Changed {
        let content = self.content.rect();
        let rect = match damage {
            Damage::None => return Changed(None),
            Damage::Full => return Changed(Some(content)),
            Damage::Part(rect) => rect.intersect(self.visible),
        };
        if rect.is_empty() {
            return Changed(None);
        }
        let (x, y) = (rect.x - self.visible.x, rect.y - self.visible.y);
        let (right, bottom) = (x + rect.width, y + rect.height);
        let (left, right) = span(x, right, self.visible.width, self.content.width(), self.scales());
        let (top, bottom) = span(y, bottom, self.visible.height, self.content.height(), self.scales());
        if left >= right || top >= bottom {
            return Changed(None);
        }
        Changed(Some(Rect { x: left, y: top, width: right - left, height: bottom - top }))
    }
}

/// The even pixels of an output side that change with the pixels `from` to `to` of an input side.
fn span(from: u32, to: u32, input: u32, output: u32, scales: bool) -> (u32, u32) {
    let (from, to) = if scales {
        let scale = f64::from(output) / f64::from(input);
        // Where the output has more pixels, the filter is as wide as an input pixel.
        let reach = scale::SUPPORT * scale.max(1.0) + 0.5;
        let (from, to) = (f64::from(from) * scale - reach, f64::from(to) * scale + reach);
        (from.floor().max(0.0) as u32, to.ceil() as u32)
    } else {
        (from, to)
    };
    (from & !1, to.saturating_add(1).min(output.saturating_add(1)) & !1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_even_and_rounded_outward() {
        assert_eq!(span(3, 4, 100, 100, false), (2, 4));
        assert_eq!(span(4, 6, 100, 100, false), (4, 6));
        assert_eq!(span(0, 1367, 1367, 1366, false), (0, 1366));
        assert_eq!(span(1366, 1367, 1367, 1366, false), (1366, 1366), "the cropped column shows nowhere");
        let (from, to) = span(300, 303, 1920, 1280, true);
        assert!(from <= 198 && to >= 204 && from >= 194 && to <= 208, "{from} to {to}");
        assert_eq!(span(0, 1920, 1920, 1280, true), (0, 1280));
    }
}
