//! The duplication of an output, and what the display configuration tells of it.

use std::time::Duration;

use windows::Win32::Foundation::RECT;
use windows::Win32::Graphics::Direct3D11::{D3D11_TEXTURE2D_DESC, ID3D11Texture2D};
use windows::Win32::Graphics::Dxgi::Common::{
    DXGI_FORMAT, DXGI_FORMAT_B8G8R8A8_UNORM, DXGI_FORMAT_R16G16B16A16_FLOAT, DXGI_MODE_ROTATION,
    DXGI_MODE_ROTATION_ROTATE90, DXGI_MODE_ROTATION_ROTATE180, DXGI_MODE_ROTATION_ROTATE270,
};
use windows::Win32::Graphics::Dxgi::{
    DXGI_OUTDUPL_FRAME_INFO, DXGI_OUTDUPL_MOVE_RECT, DXGI_OUTDUPL_POINTER_SHAPE_INFO,
    DXGI_OUTDUPL_POINTER_SHAPE_TYPE, DXGI_OUTDUPL_POINTER_SHAPE_TYPE_COLOR,
    DXGI_OUTDUPL_POINTER_SHAPE_TYPE_MASKED_COLOR, DXGI_OUTDUPL_POINTER_SHAPE_TYPE_MONOCHROME, IDXGIOutput1,
    IDXGIOutput5, IDXGIOutputDuplication, IDXGIResource,
};
use windows::core::Interface;
use yc_media::{Rect, Resolution};

use super::NAME;
use crate::backends::d3d11::{Device, Fault, Found, Staging, StoredFormat, code};
use crate::duplication::{Duplication, Edges, Loss, Mode, News, PointerNews};
use crate::picture::{PointerShape, Rotation, RowLayout};
use crate::{CaptureError, CaptureErrorKind, clock};

/// Asks for a duplication in BGRA, or in scRGB where the desktop is in HDR; in BGRA alone where the system is
/// older than that choice (Windows 10, version 1703).
pub(super) fn duplicate(found: &Found, device: &Device) -> Result<IDXGIOutputDuplication, Fault> {
    let fault = |error: windows::core::Error| device.fault("duplicating the output", &error);
    let formats = [DXGI_FORMAT_B8G8R8A8_UNORM, DXGI_FORMAT_R16G16B16A16_FLOAT];
    let newer = found.output.cast::<IDXGIOutput5>().and_then(|output| {
        // SAFETY: both live, the device is of the output's adapter, and no flags are defined.
        unsafe { output.DuplicateOutput1(device.device(), 0, &formats) }
    });
    match newer.map_err(fault) {
        Err(fault) if OLDER.contains(&fault.code) && fault.reason.is_none() => {}
        told => return told,
    }
    let older = found.output.cast::<IDXGIOutput1>().and_then(|output| {
        // SAFETY: as above.
        unsafe { output.DuplicateOutput(device.device()) }
    });
    older.map_err(fault)
}

/// What a system says that may duplicate outputs, but not in a choice of formats.
const OLDER: [u32; 4] =
    [code::INVALID_ARGUMENT, code::UNSUPPORTED, code::NO_INTERFACE, code::NOT_IMPLEMENTED];

/// A duplication and the picture that is kept of it.
///
/// It is used by one thread at a time, as `&mut self` says.
#[derive(Debug)]
pub(super) struct DxgiDuplication {
    device: Device,
    duplication: IDXGIOutputDuplication,
    mode: Mode,
    white: f32,
    acquired: Option<ID3D11Texture2D>,
    /// Our copy, in the size and format of the mode.
    kept: Option<ID3D11Texture2D>,
    moves: Vec<DXGI_OUTDUPL_MOVE_RECT>,
    dirty: Vec<RECT>,
    shape: Vec<u8>,
}

impl DxgiDuplication {
    /// `white`: the brightness of white on the desktop, should it be in HDR.
    pub(super) fn new(
        device: Device,
        duplication: IDXGIOutputDuplication,
        white: f32,
    ) -> Result<Self, CaptureError> {
        // SAFETY: the duplication lives, and the answer is a plain value.
        let desc = unsafe { duplication.GetDesc() };
        let rotation = rotation(desc.Rotation);
        let upright = Resolution::new(desc.ModeDesc.Width, desc.ModeDesc.Height).map_err(out_of_bounds)?;
        // The mode is told as the desktop sees it, and turned back it is as it is stored. If a system sees
        // that differently, the first picture shows it.
        let size = rotation.upright(upright);
        // What is told here in a format of its own is corrected by the first picture.
        let layout =
            StoredFormat::from_dxgi(desc.ModeDesc.Format).map_or(RowLayout::Bgra8, |format| format.0);
        let mode = Mode { size, layout, rotation, white: white_of(layout, white), device: device.number() };
        Ok(Self {
            device,
            duplication,
            mode,
            white,
            acquired: None,
            kept: None,
            moves: Vec::new(),
            dirty: Vec::new(),
            shape: Vec::new(),
        })
    }

    /// Reads what was acquired.
    fn read(
        &mut self,
        info: &DXGI_OUTDUPL_FRAME_INFO,
        resource: Option<IDXGIResource>,
        news: &mut News,
    ) -> Result<(), Loss> {
        let doing = "reading a picture";
        let texture: ID3D11Texture2D = match resource.as_ref().map(Interface::cast) {
            Some(Ok(texture)) => texture,
            Some(Err(error)) => return Err(self.loss(doing, &error)),
            None => return Err(broken(Fault { doing, code: code::NO_INTERFACE, reason: None })),
        };
        let mut desc = D3D11_TEXTURE2D_DESC::default();
        // SAFETY: the texture lives, and `desc` is written before this returns.
        unsafe { texture.GetDesc(&raw mut desc) };
        let layout =
            StoredFormat::from_dxgi(desc.Format).ok_or_else(|| Loss::Broken(unknown_format(desc.Format)))?.0;
        let size =
            Resolution::new(desc.Width, desc.Height).map_err(|error| Loss::Broken(out_of_bounds(error)))?;
        let mode = Mode { size, layout, white: white_of(layout, self.white), ..self.mode };
        if mode != self.mode {
            self.mode = mode;
            self.kept = None;
        }
        self.acquired = Some(texture);

        news.presented = clock::from_counter(info.LastPresentTime);
        if news.presented.is_some() && info.TotalMetadataBufferSize > 0 {
            self.read_changes(info.TotalMetadataBufferSize, &mut news.changed);
        }
        news.pointer = clock::from_counter(info.LastMouseUpdateTime).map(|at| {
            let (visible, place) = (info.PointerPosition.Visible.as_bool(), info.PointerPosition.Position);
            PointerNews { at, position: visible.then_some((place.x, place.y)) }
        });
        if info.PointerShapeBufferSize > 0 {
            news.shape = self.read_shape(info.PointerShapeBufferSize);
        }
        Ok(())
    }

    /// Leaves `changed` empty, which means that it is not known, if the system does not tell.
    fn read_changes(&mut self, bytes: u32, changed: &mut Vec<Edges>) {
        let room = |one: usize| bytes as usize / one + 1;
        self.moves.resize(room(size_of::<DXGI_OUTDUPL_MOVE_RECT>()), DXGI_OUTDUPL_MOVE_RECT::default());
        let mut told = 0;
        // SAFETY: the buffer has the bytes that are said, and the number of them that are used is written.
        let moves = unsafe {
            self.duplication.GetFrameMoveRects(
                size_of_val(&self.moves[..]) as u32,
                self.moves.as_mut_ptr(),
                &raw mut told,
            )
        };
        let moves = moves.map(|()| told as usize / size_of::<DXGI_OUTDUPL_MOVE_RECT>());
        self.dirty.resize(room(size_of::<RECT>()), RECT::default());
        // SAFETY: as above.
        let dirty = unsafe {
            self.duplication.GetFrameDirtyRects(
                size_of_val(&self.dirty[..]) as u32,
                self.dirty.as_mut_ptr(),
                &raw mut told,
            )
        };
        let dirty = dirty.map(|()| told as usize / size_of::<RECT>());
        if let (Ok(moves), Ok(dirty)) = (moves, dirty) {
            // What something was moved away from is drawn to, and so among the dirty ones.
            changed.extend(self.moves.iter().take(moves).map(|moved| edges(moved.DestinationRect)));
            changed.extend(self.dirty.iter().take(dirty).copied().map(edges));
        }
    }

    /// `None` for a shape that cannot be read: the one before stays.
    fn read_shape(&mut self, bytes: u32) -> Option<PointerShape> {
        self.shape.resize(bytes as usize, 0);
        let mut info = DXGI_OUTDUPL_POINTER_SHAPE_INFO::default();
        let mut told = 0;
        // SAFETY: the buffer has the bytes that are said; the two results are written before this returns.
        let read = unsafe {
            self.duplication.GetFramePointerShape(
                bytes,
                self.shape.as_mut_ptr().cast(),
                &raw mut told,
                &raw mut info,
            )
        };
        let shape = match read {
            Ok(()) => pointer_shape(&info, self.shape.get(..told as usize).unwrap_or(&self.shape)),
            Err(error) => Err(error.to_string()),
        };
        shape.inspect_err(|error| tracing::debug!(error, "the pointer's shape cannot be read")).ok()
    }

    fn loss(&self, doing: &'static str, error: &windows::core::Error) -> Loss {
        let fault = self.device.fault(doing, error);
        match fault.code {
            _ if fault.is_device_gone() => broken(fault),
            // A call of ours at the wrong time is mended by a new duplication as well.
            code::ACCESS_LOST | code::ACCESS_DENIED | code::DISCONNECTED | code::INVALID_CALL => {
                tracing::debug!(%fault, doing, "access to the output is lost");
                Loss::Access
            }
            _ => broken(fault),
        }
    }

    fn format(&self) -> StoredFormat {
        StoredFormat(self.mode.layout)
    }
}

impl Duplication for DxgiDuplication {
    const NAME: &'static str = NAME;

    type Staging = Staging;
    /// What [`FrameMemory::Gpu`](crate::FrameMemory::Gpu) promises.
    type Texture = ID3D11Texture2D;

    fn mode(&self) -> Mode {
        self.mode
    }

    fn acquire(&mut self, timeout: Duration, news: &mut News) -> Result<bool, Loss> {
        news.clear();
        let mut info = DXGI_OUTDUPL_FRAME_INFO::default();
        let mut resource = None;
        let milliseconds = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
        // SAFETY: it lives, nothing of it is acquired, and both results are written before this returns.
        let told =
            unsafe { self.duplication.AcquireNextFrame(milliseconds, &raw mut info, &raw mut resource) };
        match told {
            Ok(()) => {}
            Err(error) if error.code().0 as u32 == code::TIMEOUT => return Ok(false),
            Err(error) => return Err(self.loss("waiting for a picture", &error)),
        }
        match self.read(&info, resource, news) {
            Ok(()) => Ok(true),
            Err(loss) => {
                // The first reason counts.
                let _ = self.release();
                Err(loss)
            }
        }
    }

    fn keep(&mut self, part: Rect) -> Result<(), Loss> {
        let Some(acquired) = &self.acquired else {
            return Err(broken(Fault { doing: "keeping a picture", code: code::INVALID_CALL, reason: None }));
        };
        let kept = match self.kept.take() {
            Some(kept) => kept,
            None => self.device.texture(self.mode.size, self.format()).map_err(broken)?,
        };
        self.device.copy(acquired, (part.x, part.y), Rect { x: part.x, y: part.y, ..part }, &kept);
        self.kept = Some(kept);
        Ok(())
    }

    fn release(&mut self) -> Result<(), Loss> {
        self.acquired = None;
        // SAFETY: the duplication lives. What was acquired was let go of above.
        unsafe { self.duplication.ReleaseFrame() }.map_err(|error| self.loss("giving a picture back", &error))
    }

    fn make_staging(&mut self, size: Resolution) -> Result<Staging, Loss> {
        self.device.staging(size, self.format()).map_err(broken)
    }

    fn stage(&mut self, corner: (u32, u32), part: Rect, staging: &mut Staging) -> Result<(), Loss> {
        if let Some(kept) = &self.kept {
            staging.fill(kept, corner, part);
        }
        Ok(())
    }

    fn map(&mut self, staging: &mut Staging) -> Result<bool, Loss> {
        staging.map().map_err(broken)
    }

    fn make_texture(&mut self, size: Resolution) -> Result<ID3D11Texture2D, Loss> {
        self.device.texture(size, self.format()).map_err(broken)
    }

    fn copy(&mut self, corner: (u32, u32), part: Rect, texture: &mut ID3D11Texture2D) -> Result<(), Loss> {
        if let Some(kept) = &self.kept {
            self.device.copy(kept, corner, part, texture);
            self.device.flush();
        }
        Ok(())
    }
}

/// The shape that the system hands out. Its place is told by its corner, so its hot spot is 0, 0.
fn pointer_shape(info: &DXGI_OUTDUPL_POINTER_SHAPE_INFO, bytes: &[u8]) -> Result<PointerShape, String> {
    let kind = DXGI_OUTDUPL_POINTER_SHAPE_TYPE(info.Type as i32);
    let (pitch, hotspot) = (info.Pitch as usize, (0, 0));
    let size = |height| Resolution::new(info.Width, height).map_err(|error| error.to_string());
    match kind {
        DXGI_OUTDUPL_POINTER_SHAPE_TYPE_COLOR => {
            PointerShape::color(bytes, pitch, size(info.Height)?, hotspot)
        }
        DXGI_OUTDUPL_POINTER_SHAPE_TYPE_MASKED_COLOR => {
            PointerShape::masked_color(bytes, pitch, size(info.Height)?, hotspot)
        }
        DXGI_OUTDUPL_POINTER_SHAPE_TYPE_MONOCHROME => {
            // The XOR mask stands below the AND mask, and the height is that of both.
            let height = info.Height / 2;
            let (and, xor) = bytes
                .split_at_checked(pitch.saturating_mul(height as usize))
                .ok_or_else(|| format!("masks of {height} rows of {pitch} bytes in {} bytes", bytes.len()))?;
            PointerShape::monochrome(and, xor, pitch, size(height)?, hotspot)
        }
        other => return Err(format!("a shape of type {} is none of 1, 2, 4", other.0)),
    }
    .map_err(|error| error.to_string())
}

fn rotation(told: DXGI_MODE_ROTATION) -> Rotation {
    match told {
        DXGI_MODE_ROTATION_ROTATE90 => Rotation::Quarter,
        DXGI_MODE_ROTATION_ROTATE180 => Rotation::Half,
        DXGI_MODE_ROTATION_ROTATE270 => Rotation::ThreeQuarters,
        _ => Rotation::None,
    }
}

fn edges(rect: RECT) -> Edges {
    Edges { left: rect.left, top: rect.top, right: rect.right, bottom: rect.bottom }
}

/// Only scRGB has a white of its own: in other layouts a new value must not count as a new mode.
fn white_of(layout: RowLayout, white: f32) -> f32 {
    if layout == RowLayout::Rgba16F { white } else { 0.0 }
}

fn broken(fault: Fault) -> Loss {
    Loss::Broken(fault.into_error(NAME, None))
}

fn out_of_bounds(error: yc_media::MediaError) -> CaptureError {
    CaptureError::new(CaptureErrorKind::InvalidInput, NAME, "reading the output's size").with_source(error)
}

fn unknown_format(format: DXGI_FORMAT) -> CaptureError {
    CaptureError::new(CaptureErrorKind::Unsupported, NAME, "reading a picture").with_source(format!(
        "DXGI_FORMAT {} is none of B8G8R8A8_UNORM (87), R8G8B8A8_UNORM (28), R16G16B16A16_FLOAT (10)",
        format.0
    ))
}

#[cfg(test)]
mod tests {
    use windows::Win32::Foundation::POINT;

    use super::*;

    fn shape(kind: u32, height: u32, pitch: u32, bytes: &[u8]) -> Result<PointerShape, String> {
        let info = DXGI_OUTDUPL_POINTER_SHAPE_INFO {
            Type: kind,
            Width: 8,
            Height: height,
            Pitch: pitch,
            HotSpot: POINT { x: 3, y: 3 },
        };
        pointer_shape(&info, bytes)
    }

    #[test]
    fn the_three_kinds_of_pointers_are_read_and_a_fourth_is_refused() {
        assert_eq!(shape(2, 4, 32, &[0; 128]).unwrap().size.to_string(), "8x4");
        assert_eq!(shape(4, 4, 32, &[0; 128]).unwrap().size.to_string(), "8x4");
        let masks = shape(1, 8, 1, &[0; 8]).unwrap();
        assert_eq!((masks.size.to_string().as_str(), masks.hotspot), ("8x4", (0, 0)));
        assert!(shape(3, 4, 32, &[0; 128]).unwrap_err().contains("type 3"));
    }

    #[test]
    fn shapes_that_do_not_fit_their_bytes_are_refused() {
        for (kind, height, pitch, bytes) in [
            (2, 4, 32, 127),
            (4, 4, 31, 999),
            (1, 8, 1, 7),
            (1, 8, u32::MAX, 64),
            (1, 1, 1, 64),
            (2, u32::MAX, 32, 64),
        ] {
            assert!(shape(kind, height, pitch, &vec![0; bytes]).is_err(), "{kind} {height} {pitch} {bytes}");
        }
    }

    #[test]
    fn a_format_that_cannot_be_read_is_named() {
        assert!(StoredFormat::from_dxgi(DXGI_FORMAT(24)).is_none());
        assert!(unknown_format(DXGI_FORMAT(24)).to_string().contains("DXGI_FORMAT 24 is none of"));
    }

    #[test]
    fn turned_modes_are_told_apart() {
        let turned = [0, 1, 2, 3, 4].map(|told| rotation(DXGI_MODE_ROTATION(told)));
        let none = Rotation::None;
        assert_eq!(turned, [none, none, Rotation::Quarter, Rotation::Half, Rotation::ThreeQuarters]);
    }
}
