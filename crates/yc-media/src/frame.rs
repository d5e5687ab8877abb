//! One picture, in CPU memory or on a GPU.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::{CaptureTime, MediaError, Rect, Resolution};

/// How the pixels of a [`CpuBuffer`] are laid out. The format also says the colour space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PixelFormat {
    /// One plane, 4 bytes a pixel in memory order B, G, R, X; X is ignored. sRGB.
    Bgra8,
    /// Three planes: Y, then U and V at half width and half height. BT.709, limited range.
    I420,
    /// Two planes: Y, then U and V interleaved at half width and half height. BT.709, limited range.
    Nv12,
}

impl PixelFormat {
    /// How many planes it has.
    pub const fn planes(self) -> usize {
        match self {
            Self::Bgra8 => 1,
            Self::I420 => 3,
            Self::Nv12 => 2,
        }
    }

    /// Bytes in a row and rows of `plane` for a picture of `size`, without padding. Chroma planes round up.
    ///
    /// # Panics
    ///
    /// If `plane` is not below [`PixelFormat::planes`].
    pub fn plane_size(self, plane: usize, size: Resolution) -> (usize, usize) {
        assert!(plane < self.planes(), "plane {plane} of {self:?}");
        let (width, height) = (size.width() as usize, size.height() as usize);
        let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
        match (self, plane) {
            (Self::Bgra8, _) => (width * 4, height),
            (Self::I420 | Self::Nv12, 0) => (width, height),
            (Self::I420, _) => (half_width, half_height),
            (Self::Nv12, _) => (half_width * 2, half_height),
        }
    }
}

/// Where a plane lies in its memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PlaneLayout {
    /// Bytes from the start of the memory to the plane's first row.
    pub offset: usize,
    /// Bytes from one row to the next, padding included.
    pub stride: usize,
}

/// Memory that holds pixels: a pooled vector, a shared-memory segment, a mapped texture. It goes back to
/// where it came from when its last owner drops it.
pub trait PixelMemory: AsRef<[u8]> + Send + Sync {}

impl<T: AsRef<[u8]> + Send + Sync> PixelMemory for T {}

/// Pixels in CPU memory, shared and read-only.
#[derive(Clone)]
pub struct CpuBuffer {
    memory: Arc<dyn PixelMemory>,
    format: PixelFormat,
    size: Resolution,
    planes: [PlaneLayout; 3],
}

impl CpuBuffer {
    /// Pixels of `format` and `size` whose planes lie in `memory` as `planes` says.
    ///
    /// # Errors
    ///
    /// If there are not as many planes as the format has, a stride is shorter than a row, or a plane
    /// reaches past the end of `memory`.
    pub fn new(
        memory: Arc<dyn PixelMemory>,
        format: PixelFormat,
        size: Resolution,
        planes: &[PlaneLayout],
    ) -> Result<Self, MediaError> {
        if planes.len() != format.planes() {
            return Err(MediaError::new(
                "plane count",
                planes.len(),
                "as many planes as the pixel format has",
            ));
        }
        let available = (*memory).as_ref().len();
        let mut layout = [PlaneLayout::default(); 3];
        for (index, plane) in planes.iter().enumerate() {
            let (row, rows) = format.plane_size(index, size);
            if plane.stride < row {
                return Err(MediaError::new(
                    "stride",
                    plane.stride,
                    "at least the bytes of one row of the plane",
                ));
            }
            let end = plane
                .stride
                .checked_mul(rows - 1)
                .and_then(|b| b.checked_add(row))
                .and_then(|b| b.checked_add(plane.offset));
            if end.is_none_or(|end| end > available) {
                return Err(MediaError::new(
                    "plane end",
                    end.unwrap_or(usize::MAX),
                    "inside the frame's memory",
                ));
            }
            layout[index] = *plane;
        }
        Ok(Self { memory, format, size, planes: layout })
    }

    /// The layout of the pixels.
    pub fn format(&self) -> PixelFormat {
        self.format
    }

    /// The size of the stored picture in pixels.
    pub fn size(&self) -> Resolution {
        self.size
    }

    /// Where each plane lies in the memory.
    pub fn planes(&self) -> &[PlaneLayout] {
        &self.planes[..self.format.planes()]
    }

    /// The bytes of `plane` from its first row to the last byte of its last row, and its stride.
    ///
    /// # Panics
    ///
    /// If `plane` is not below the format's number of planes, or the memory shrank since
    /// [`CpuBuffer::new`] checked it.
    pub fn plane(&self, plane: usize) -> (&[u8], usize) {
        let PlaneLayout { offset, stride } = self.planes()[plane];
        let (row, rows) = self.format.plane_size(plane, self.size);
        let bytes = &(*self.memory).as_ref()[offset..offset + stride * (rows - 1) + row];
        (bytes, stride)
    }
}

impl fmt::Debug for CpuBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CpuBuffer")
            .field("format", &self.format)
            .field("size", &self.size)
            .field("planes", &self.planes())
            .finish_non_exhaustive()
    }
}

/// Which API a [`GpuBuffer`] belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GpuApi {
    /// An `ID3D11Texture2D` on Windows.
    D3d11,
    /// A Linux dma-buf.
    DmaBuf,
}

/// A picture on a GPU: an opaque owner that a backend of the same platform knows how to open.
#[derive(Clone)]
pub struct GpuBuffer {
    owner: Arc<dyn Any + Send + Sync>,
    api: GpuApi,
    size: Resolution,
}

impl GpuBuffer {
    /// A picture of `size` that `owner` keeps alive.
    pub fn new(owner: Arc<dyn Any + Send + Sync>, api: GpuApi, size: Resolution) -> Self {
        Self { owner, api, size }
    }

    /// Which API it belongs to.
    pub fn api(&self) -> GpuApi {
        self.api
    }

    /// The size of the stored picture in pixels.
    pub fn size(&self) -> Resolution {
        self.size
    }

    /// The owner as the type that the capture backend documents, or `None` if it is another.
    pub fn owner<T: Any>(&self) -> Option<&T> {
        self.owner.downcast_ref()
    }
}

impl fmt::Debug for GpuBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GpuBuffer").field("api", &self.api).field("size", &self.size).finish_non_exhaustive()
    }
}

/// The pixels of a frame.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum FrameBuffer {
    /// In CPU memory.
    Cpu(CpuBuffer),
    /// On a GPU.
    Gpu(GpuBuffer),
}

/// What changed since the frame before it in the same capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "nothing, a part or all of it: there is no fourth")]
pub enum Damage {
    /// Nothing: the picture is the one before it.
    None,
    /// No pixel outside the rectangle.
    Part(Rect),
    /// Anything, or it is not known.
    Full,
}

impl Damage {
    /// What changed over both: for a frame that stands for a dropped one as well.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        match (self, other) {
            (Self::None, other) => other,
            (this, Self::None) => this,
            (Self::Part(a), Self::Part(b)) => Self::Part(a.union(b)),
            (Self::Full, _) | (_, Self::Full) => Self::Full,
        }
    }
}

/// One picture of a capture. Cheap to clone: the pixels are shared.
#[derive(Debug, Clone)]
pub struct VideoFrame {
    buffer: FrameBuffer,
    visible: Rect,
    damage: Damage,
    captured_at: CaptureTime,
}

impl VideoFrame {
    /// A frame that shows all of `buffer`, with everything in it changed.
    pub fn new(buffer: FrameBuffer, captured_at: CaptureTime) -> Self {
        let visible = match &buffer {
            FrameBuffer::Cpu(cpu) => cpu.size().rect(),
            FrameBuffer::Gpu(gpu) => gpu.size().rect(),
        };
        Self { buffer, visible, damage: Damage::Full, captured_at }
    }

    /// Shows only `visible` of the stored picture: the rest is padding or stale.
    ///
    /// # Errors
    ///
    /// If `visible` is empty or reaches outside the stored picture.
    pub fn with_visible(mut self, visible: Rect) -> Result<Self, MediaError> {
        if visible.is_empty() || !self.stored_size().rect().contains(visible) {
            return Err(MediaError::new(
                "visible rectangle",
                format!("{}x{}+{}+{}", visible.width, visible.height, visible.x, visible.y),
                "not empty, inside the stored picture",
            ));
        }
        self.visible = visible;
        Ok(self)
    }

    /// Says what changed since the frame before it.
    #[must_use]
    pub fn with_damage(mut self, damage: Damage) -> Self {
        self.damage = damage;
        self
    }

    /// Stamps it with another capture time.
    #[must_use]
    pub fn with_captured_at(mut self, captured_at: CaptureTime) -> Self {
        self.captured_at = captured_at;
        self
    }

    /// The same picture at a later time: what a still screen repeats.
    #[must_use]
    pub fn repeated_at(&self, captured_at: CaptureTime) -> Self {
        Self { captured_at, damage: Damage::None, ..self.clone() }
    }

    /// The pixels.
    pub fn buffer(&self) -> &FrameBuffer {
        &self.buffer
    }

    /// The size of the picture that is to be seen, in pixels: that of the visible rectangle.
    ///
    /// # Panics
    ///
    /// Never: the visible rectangle is not empty and inside a valid size.
    pub fn size(&self) -> Resolution {
        Resolution::new(self.visible.width, self.visible.height).expect("checked when the rectangle was set")
    }

    /// The part of the stored picture that is to be seen.
    pub fn visible(&self) -> Rect {
        self.visible
    }

    /// What changed since the frame before it, in pixels of the stored picture.
    pub fn damage(&self) -> Damage {
        self.damage
    }

    /// When it was captured.
    pub fn captured_at(&self) -> CaptureTime {
        self.captured_at
    }

    fn stored_size(&self) -> Resolution {
        match &self.buffer {
            FrameBuffer::Cpu(cpu) => cpu.size(),
            FrameBuffer::Gpu(gpu) => gpu.size(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bgra(width: u32, height: u32, stride: usize, bytes: usize) -> Result<CpuBuffer, MediaError> {
        CpuBuffer::new(
            Arc::new(vec![0u8; bytes]),
            PixelFormat::Bgra8,
            Resolution::new(width, height).unwrap(),
            &[PlaneLayout { offset: 0, stride }],
        )
    }

    #[test]
    fn the_last_row_needs_no_padding() {
        let buffer = bgra(3, 2, 16, 16 + 12).unwrap();
        assert_eq!(buffer.plane(0).0.len(), 28);
        assert_eq!(buffer.plane(0).1, 16);
    }

    #[test]
    fn a_plane_outside_its_memory_is_refused() {
        assert!(bgra(3, 2, 16, 27).unwrap_err().to_string().starts_with("plane end 28 "));
        assert!(bgra(3, 2, 11, 100).unwrap_err().to_string().starts_with("stride 11 "));
        assert!(bgra(3, 2, usize::MAX, 100).unwrap_err().to_string().starts_with("plane end "));
    }

    #[test]
    fn chroma_planes_round_up() {
        let size = Resolution::new(5, 3).unwrap();
        assert_eq!(PixelFormat::I420.plane_size(1, size), (3, 2));
        assert_eq!(PixelFormat::Nv12.plane_size(1, size), (6, 2));
    }

    #[test]
    fn the_visible_part_lies_inside_the_picture() {
        let frame = VideoFrame::new(FrameBuffer::Cpu(bgra(4, 4, 16, 64).unwrap()), CaptureTime::default());
        assert_eq!(frame.size().to_string(), "4x4");
        let part = Rect { x: 2, y: 1, width: 2, height: 3 };
        assert_eq!(frame.clone().with_visible(part).unwrap().size().to_string(), "2x3");
        assert!(frame.clone().with_visible(Rect { x: 3, ..part }).is_err());
        assert!(frame.with_visible(Rect::default()).is_err());
    }

    #[test]
    fn merged_damage_covers_both() {
        let (a, b) = (Rect { x: 0, y: 0, width: 1, height: 1 }, Rect { x: 4, y: 4, width: 1, height: 1 });
        assert_eq!(Damage::Part(a).merge(Damage::Part(b)), Damage::Part(a.union(b)));
        assert_eq!(Damage::None.merge(Damage::Part(a)), Damage::Part(a));
        assert_eq!(Damage::Part(a).merge(Damage::Full), Damage::Full);
    }
}
