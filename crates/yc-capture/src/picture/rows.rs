//! The rows of a picture as an OS maps them: a pitch apart, in one of three layouts.

use std::fmt;

use yc_media::{MediaError, Rect, Resolution};

/// Rows of pixels to read. Bytes between the end of a row and the next one's start mean nothing.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    /// From the first byte of the first row on; the last row needs no padding after it.
    pub(crate) bytes: &'a [u8],
    /// Bytes from one row to the next.
    pub(crate) pitch: usize,
    /// Pixels in a row, and rows.
    pub(crate) size: Resolution,
    /// How a pixel is stored.
    pub(crate) layout: RowLayout,
}

/// How a pixel of [`Rows`] is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowLayout {
    /// B, G, R, A: a byte each, sRGB. `DXGI_FORMAT_B8G8R8A8_UNORM` and what GDI calls 32 bits per pixel.
    Bgra8,
    /// R, G, B, A: a byte each, sRGB. `DXGI_FORMAT_R8G8B8A8_UNORM`.
    Rgba8,
    /// R, G, B, A: a half-precision float each, little-endian, scRGB. `DXGI_FORMAT_R16G16B16A16_FLOAT`.
    Rgba16F,
}

impl<'a> Rows<'a> {
    /// Rows of `size` pixels in `bytes`, `pitch` bytes apart.
    ///
    /// # Errors
    ///
    /// If a row does not fit into the pitch, or the last row reaches past the end of `bytes`.
    pub(crate) fn new(
        bytes: &'a [u8],
        pitch: usize,
        size: Resolution,
        layout: RowLayout,
    ) -> Result<Self, MediaError> {
        let row = size.width() as usize * layout.bytes();
        if pitch < row {
            return Err(MediaError::new("pitch", pitch, "at least the bytes of one row of pixels"));
        }
        let end = pitch.checked_mul(size.height() as usize - 1).and_then(|start| start.checked_add(row));
        if end.is_none_or(|end| end > bytes.len()) {
            let end = end.unwrap_or(usize::MAX);
            return Err(MediaError::new("end of the last row", end, "inside the bytes of the picture"));
        }
        Ok(Self { bytes, pitch, size, layout })
    }

    /// The pixels of row `y`, without padding.
    ///
    /// # Panics
    ///
    /// If there is no row `y`.
    pub(crate) fn row(self, y: u32) -> &'a [u8] {
        assert!(y < self.size.height(), "row {y} of {}", self.size);
        let start = y as usize * self.pitch;
        &self.bytes[start..start + self.size.width() as usize * self.layout.bytes()]
    }

    /// The pixels inside `part`.
    ///
    /// # Panics
    ///
    /// If `part` is empty or not inside the picture.
    pub(crate) fn part(self, part: Rect) -> Self {
        assert!(self.size.rect().contains(part), "{part:?} of {}", self.size);
        let size = Resolution::new(part.width, part.height).expect("inside a valid size, and not empty");
        let start = part.y as usize * self.pitch + part.x as usize * self.layout.bytes();
        Self { bytes: &self.bytes[start..], size, ..self }
    }
}

impl fmt::Debug for Rows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows")
            .field("bytes", &format_args!("<{} bytes>", self.bytes.len()))
            .field("pitch", &self.pitch)
            .field("size", &self.size)
            .field("layout", &self.layout)
            .finish()
    }
}

impl RowLayout {
    /// Bytes of one pixel.
    pub(crate) const fn bytes(self) -> usize {
        match self {
            Self::Bgra8 | Self::Rgba8 => 4,
            Self::Rgba16F => 8,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn size(width: u32, height: u32) -> Resolution {
        Resolution::new(width, height).unwrap()
    }

    #[test]
    fn the_last_row_needs_no_padding() {
        let rows = Rows::new(&[7; 16 + 12], 16, size(3, 2), RowLayout::Bgra8).unwrap();
        assert_eq!(rows.row(1).len(), 12);
        assert_eq!(format!("{rows:?}").split(',').next(), Some("Rows { bytes: <28 bytes>"));
    }

    #[test]
    fn rows_outside_their_bytes_are_refused_with_the_value() {
        let refused = |bytes: usize, pitch, size, layout| {
            Rows::new(&vec![0; bytes], pitch, size, layout).unwrap_err().to_string()
        };
        assert!(
            refused(27, 16, size(3, 2), RowLayout::Bgra8)
                .starts_with("end of the last row 28 is not allowed")
        );
        assert!(refused(100, 11, size(3, 2), RowLayout::Rgba8).starts_with("pitch 11 is not allowed"));
        assert!(refused(100, 23, size(3, 2), RowLayout::Rgba16F).starts_with("pitch 23 is not allowed"));
        let none = format!("end of the last row {} is not allowed", usize::MAX);
        assert!(refused(100, usize::MAX, size(3, 3), RowLayout::Bgra8).starts_with(&none));
    }

    proptest! {
        #[test]
        fn a_part_of_a_part_shows_the_pixels_of_the_whole(
            layout in prop::sample::select(vec![RowLayout::Bgra8, RowLayout::Rgba8, RowLayout::Rgba16F]),
            (width, height) in (1u32..20, 1u32..20),
            padding in 0usize..30,
            seeds in any::<[u32; 8]>(),
        ) {
            let within = |outer: Rect, seeds: [u32; 4]| {
                let (x, y) = (seeds[0] % outer.width, seeds[1] % outer.height);
                let (w, h) = (seeds[2] % (outer.width - x) + 1, seeds[3] % (outer.height - y) + 1);
                Rect { x, y, width: w, height: h }
            };
            let pitch = width as usize * layout.bytes() + padding;
            let bytes: Vec<u8> = (0..pitch * height as usize - padding).map(|at| at as u8).collect();
            let rows = Rows::new(&bytes, pitch, size(width, height), layout).unwrap();

            let outer = within(rows.size.rect(), [seeds[0], seeds[1], seeds[2], seeds[3]]);
            let inner = within(
                Rect { x: 0, y: 0, ..outer },
                [seeds[4], seeds[5], seeds[6], seeds[7]],
            );
            let part = rows.part(outer).part(inner);
            prop_assert_eq!((part.size.width(), part.size.height()), (inner.width, inner.height));
            for y in 0..inner.height {
                let start = (outer.x + inner.x) as usize * layout.bytes();
                let end = start + inner.width as usize * layout.bytes();
                prop_assert_eq!(part.row(y), &rows.row(outer.y + inner.y + y)[start..end]);
            }
        }
    }
}
