//! The calls of GDI: all the unsafe of this backend.

use std::ffi::c_void;
use std::mem::size_of;
use std::slice;

use windows::Win32::Graphics::Gdi::{
    BI_RGB, BITMAP, BITMAPINFO, BITMAPINFOHEADER, BitBlt, CAPTUREBLT, CreateCompatibleDC, CreateDIBSection,
    DIB_RGB_COLORS, DeleteDC, DeleteObject, GdiFlush, GetDC, GetDIBits, GetObjectW, GetWindowDC, HBITMAP,
    HDC, HGDIOBJ, RGBQUAD, ReleaseDC, SRCCOPY, SelectObject,
};
use windows::Win32::Storage::Xps::{PRINT_WINDOW_FLAGS, PrintWindow};
use windows::Win32::System::StationsAndDesktops::{
    CloseDesktop, DESKTOP_CONTROL_FLAGS, DESKTOP_READOBJECTS, OpenInputDesktop,
};
use windows::Win32::UI::WindowsAndMessaging::{
    CURSOR_SHOWING, CURSORINFO, GetCursorInfo, GetIconInfo, HCURSOR, HICON, ICONINFO, IsHungAppWindow,
    PW_RENDERFULLCONTENT,
};
use windows::core::{Error, Result};
use yc_media::Resolution;

use super::source::View;
use crate::backends::win32::Window;
use crate::picture::PointerShape;

/// A picture that GDI draws to and we read: BGRA, rows from the top, without padding.
#[derive(Debug)]
pub(super) struct Canvas {
    bitmap: HBITMAP,
    bits: *mut u8,
    length: usize,
}

// SAFETY: the bitmap belongs to the process, not to a thread, and is selected into a device context only while
// `Painter` holds `&mut Canvas`. Its memory is ours until the bitmap is deleted, which is when this is dropped.
unsafe impl Send for Canvas {}
// SAFETY: through `&Canvas` the memory is only read.
unsafe impl Sync for Canvas {}

impl Canvas {
    pub(super) fn new(size: Resolution) -> Result<Self> {
        let info = bitmap_info(size, 32);
        let mut bits = std::ptr::null_mut::<c_void>();
        // SAFETY: `info` describes 32 bits a pixel without a colour table; `bits` is written. The system makes
        // the memory, as no section is given.
        let bitmap =
            unsafe { CreateDIBSection(None, (&raw const info).cast(), DIB_RGB_COLORS, &mut bits, None, 0) }?;
        let length = size.width() as usize * size.height() as usize * 4;
        Ok(Self { bitmap, bits: bits.cast(), length })
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: the memory has `length` bytes (32 bits a pixel need no padding) and lives as long as the
        // bitmap; `&mut self` says that nobody else looks, and `Painter` flushed what GDI had to draw.
        unsafe { slice::from_raw_parts_mut(self.bits, self.length) }
    }
}

impl AsRef<[u8]> for Canvas {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: as in `bytes_mut`; nobody writes while it is shared.
        unsafe { slice::from_raw_parts(self.bits, self.length) }
    }
}

impl Drop for Canvas {
    fn drop(&mut self) {
        // SAFETY: it was made in `new`, is selected nowhere and used no more.
        let _ = unsafe { DeleteObject(self.bitmap.into()) };
    }
}

/// Draws what is on the screen into canvases.
#[derive(Debug)]
pub(super) struct Painter(HDC);

impl Painter {
    pub(super) fn new() -> Result<Self> {
        // SAFETY: it has no preconditions.
        let context = unsafe { CreateCompatibleDC(None) };
        if context.is_invalid() { Err(Error::from_thread()) } else { Ok(Self(context)) }
    }

    /// Copies what `view` shows into a canvas of its size.
    pub(super) fn copy(&self, canvas: &mut Canvas, view: View) -> Result<()> {
        let source = SourceContext::of(view.window)?;
        let (width, height) = (view.size.width() as i32, view.size.height() as i32);
        let (x, y) = view.at;
        self.with(canvas, |memory| {
            // SAFETY: both contexts live through the call. What lies outside the source is left as it is, and
            // the canvas is as large as the copy.
            unsafe { BitBlt(memory, 0, 0, width, height, Some(source.context), x, y, SRCCOPY | CAPTUREBLT) }
        })
    }

    /// Lets the compositor draw a window: what a hardware-drawn one shows is not in its context.
    pub(super) fn print(&self, canvas: &mut Canvas, window: Window) -> Result<()> {
        // SAFETY: any value may be asked about.
        if unsafe { IsHungAppWindow(window.handle()) }.as_bool() {
            return Err(Error::new(windows::Win32::Foundation::E_FAIL, "the window does not answer"));
        }
        self.with(canvas, |memory| {
            // SAFETY: the context lives through the call.
            unsafe { PrintWindow(window.handle(), memory, PRINT_WINDOW_FLAGS(PW_RENDERFULLCONTENT)) }.ok()
        })
    }

    fn with(&self, canvas: &mut Canvas, draw: impl FnOnce(HDC) -> Result<()>) -> Result<()> {
        // SAFETY: the context is ours and the bitmap is selected into no other.
        let before = unsafe { SelectObject(self.0, canvas.bitmap.into()) };
        if before.is_invalid() {
            return Err(Error::from_thread());
        }
        let drawn = draw(self.0);
        // SAFETY: it gives the context back what it had. GDI may batch calls: the flush ends them before the
        // memory is read (Microsoft Learn, "CreateDIBSection function").
        unsafe {
            SelectObject(self.0, before);
            let _ = GdiFlush();
        }
        drawn
    }
}

impl Drop for Painter {
    fn drop(&mut self) {
        // SAFETY: it was made in `new` and is used no more.
        let _ = unsafe { DeleteDC(self.0) };
    }
}

/// The context of the desktop or of a window, for one copy.
struct SourceContext {
    window: Option<Window>,
    context: HDC,
}

impl SourceContext {
    fn of(window: Option<Window>) -> Result<Self> {
        // SAFETY: any value may be asked for.
        let context = match window {
            // SAFETY: any value may be asked for.
            Some(window) => unsafe { GetWindowDC(Some(window.handle())) },
            // SAFETY: it has no preconditions.
            None => unsafe { GetDC(None) },
        };
        if context.is_invalid() { Err(Error::from_thread()) } else { Ok(Self { window, context }) }
    }
}

impl Drop for SourceContext {
    fn drop(&mut self) {
        // SAFETY: the same thread got it: the guard lives inside one call.
        unsafe { ReleaseDC(self.window.map(Window::handle), self.context) };
    }
}

/// Whether this process may look at the desktop that has the input: not while the machine is locked or asks
/// for consent, nor from another session.
pub(super) fn sees_input_desktop() -> bool {
    // SAFETY: it takes plain values.
    match unsafe { OpenInputDesktop(DESKTOP_CONTROL_FLAGS(0), false, DESKTOP_READOBJECTS) } {
        // SAFETY: it was opened just now.
        Ok(desktop) => unsafe { CloseDesktop(desktop) }.is_ok(),
        Err(_) => false,
    }
}

/// The pointer now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PointerNow {
    /// Its shape, by the system's handle.
    pub(super) shape: isize,
    /// Where its hotspot is on the desktop.
    pub(super) at: (i32, i32),
}

/// `None` while there is none to be seen.
pub(super) fn pointer() -> Option<PointerNow> {
    let mut info = CURSORINFO { cbSize: size_of::<CURSORINFO>() as u32, ..Default::default() };
    // SAFETY: `info` says its size.
    unsafe { GetCursorInfo(&mut info) }.ok()?;
    let shown = info.flags.0 & CURSOR_SHOWING.0 != 0 && !info.hCursor.is_invalid();
    shown.then_some(PointerNow {
        shape: info.hCursor.0 as isize,
        at: (info.ptScreenPos.x, info.ptScreenPos.y),
    })
}

/// What a pointer looks like; `None` if the handle is no longer one.
pub(super) fn shape(handle: isize) -> Option<PointerShape> {
    let cursor = HCURSOR(handle as *mut c_void);
    let mut info = ICONINFO::default();
    // SAFETY: a handle that is none is an error; `info` is written.
    unsafe { GetIconInfo(HICON(cursor.0), &mut info) }.ok()?;
    let (mask, colour) = (Owned(info.hbmMask), Owned(info.hbmColor));
    let hotspot = (info.xHotspot as i32, info.yHotspot as i32);
    let context = Painter::new().ok()?;
    let mask_size = bitmap_size(mask.0)?;
    let and = bits(&context, mask.0, mask_size, 1)?;
    let pitch = mask_size.width().div_ceil(32) as usize * 4;
    if colour.0.is_invalid() {
        // The AND mask stands above the XOR mask (Microsoft Learn, "ICONINFO structure").
        let size = Resolution::new(mask_size.width(), mask_size.height() / 2).ok()?;
        let (and, xor) = and.split_at(pitch * size.height() as usize);
        return PointerShape::monochrome(and, xor, pitch, size, hotspot).ok();
    }
    let size = bitmap_size(colour.0)?;
    let mut pixels = bits(&context, colour.0, size, 32)?;
    let stride = size.width() as usize * 4;
    if pixels.chunks_exact(4).any(|pixel| pixel[3] != 0) {
        return PointerShape::color(&pixels, stride, size, hotspot).ok();
    }
    // A cursor from before there was alpha: its mask says where it is inverted with the screen.
    if mask_size != size {
        return None;
    }
    for (row, mask) in pixels.chunks_exact_mut(stride).zip(and.chunks_exact(pitch)) {
        for (x, pixel) in row.chunks_exact_mut(4).enumerate() {
            pixel[3] = if mask[x / 8] & (0x80 >> (x % 8)) == 0 { 0 } else { 0xff };
        }
    }
    PointerShape::masked_color(&pixels, stride, size, hotspot).ok()
}

/// A bitmap that is ours to delete.
struct Owned(HBITMAP);

impl Drop for Owned {
    fn drop(&mut self) {
        if !self.0.is_invalid() {
            // SAFETY: GetIconInfo made it for us, and it is selected nowhere.
            let _ = unsafe { DeleteObject(self.0.into()) };
        }
    }
}

fn bitmap_size(bitmap: HBITMAP) -> Option<Resolution> {
    let mut facts = BITMAP::default();
    // SAFETY: for a bitmap a BITMAP is written, for which there is room.
    let written = unsafe {
        GetObjectW(HGDIOBJ::from(bitmap), size_of::<BITMAP>() as i32, Some((&raw mut facts).cast::<c_void>()))
    };
    if written == 0 {
        return None;
    }
    Resolution::new(facts.bmWidth.try_into().ok()?, facts.bmHeight.try_into().ok()?).ok()
}

/// The rows of a bitmap from the top, each padded to 4 bytes.
fn bits(context: &Painter, bitmap: HBITMAP, size: Resolution, depth: u16) -> Option<Vec<u8>> {
    let pitch = (size.width() as usize * usize::from(depth)).div_ceil(32) * 4;
    let mut rows = vec![0; pitch * size.height() as usize];
    let mut info = bitmap_info(size, depth);
    // SAFETY: `rows` has room for all rows of this depth, `info` for the two colours of a depth of 1, and the
    // bitmap is selected into no context.
    let read = unsafe {
        GetDIBits(
            context.0,
            bitmap,
            0,
            size.height(),
            Some(rows.as_mut_ptr().cast()),
            (&raw mut info).cast(),
            DIB_RGB_COLORS,
        )
    };
    (read as u32 == size.height()).then_some(rows)
}

/// A BITMAPINFO with room for two colours.
#[repr(C)]
struct Info {
    header: BITMAPINFOHEADER,
    colours: [RGBQUAD; 2],
}

const _: () = assert!(size_of::<Info>() >= size_of::<BITMAPINFO>());

fn bitmap_info(size: Resolution, depth: u16) -> Info {
    let header = BITMAPINFOHEADER {
        biSize: size_of::<BITMAPINFOHEADER>() as u32,
        biWidth: size.width() as i32,
        // Negative: the first row is the top one.
        biHeight: -(size.height() as i32),
        biPlanes: 1,
        biBitCount: depth,
        biCompression: BI_RGB.0,
        ..Default::default()
    };
    Info { header, colours: [RGBQUAD::default(); 2] }
}
