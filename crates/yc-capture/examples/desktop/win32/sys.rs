//! A window of this process, on the thread that made it.

use std::time::Duration;

use windows::Win32::Foundation::{ERROR_CLASS_ALREADY_EXISTS, GetLastError, HWND, LPARAM, LRESULT, WPARAM};
use windows::Win32::Graphics::Gdi::{
    BI_RGB, BITMAPINFO, BITMAPINFOHEADER, DIB_RGB_COLORS, GetDC, ReleaseDC, SetDIBitsToDevice, ValidateRect,
};
use windows::Win32::System::LibraryLoader::GetModuleHandleW;
use windows::Win32::UI::HiDpi::{DPI_AWARENESS_CONTEXT_PER_MONITOR_AWARE_V2, SetProcessDpiAwarenessContext};
use windows::Win32::UI::WindowsAndMessaging::{
    CreateWindowExW, DefWindowProcW, DestroyWindow, DispatchMessageW, GetSystemMetrics, IsWindow, MSG,
    MWMO_INPUTAVAILABLE, MsgWaitForMultipleObjectsEx, PM_REMOVE, PeekMessageW, QS_ALLINPUT, RegisterClassExW,
    SM_CXSCREEN, SM_CYSCREEN, WM_PAINT, WNDCLASSEXW, WS_EX_TOPMOST, WS_POPUP, WS_VISIBLE,
};
use windows::core::{Error, HSTRING, PCWSTR, Result, w};
use yc_media::{Rect, Resolution};

/// A window without a frame: what is painted is all that there is of it.
#[derive(Debug)]
pub(crate) struct Window(HWND);

/// What its messages said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    /// Part of it must be painted again.
    pub(crate) exposed: bool,
    /// It is there no longer.
    pub(crate) closed: bool,
}

impl Window {
    /// Shows it at `place`; with `over`, over all other windows.
    pub(crate) fn open(title: &str, place: Rect, over: bool) -> Result<Self> {
        // SAFETY: without a name it takes no pointer, and answers with this program's own module.
        let module = unsafe { GetModuleHandleW(PCWSTR::null()) }?;
        let class = WNDCLASSEXW {
            cbSize: size_of::<WNDCLASSEXW>() as u32,
            lpfnWndProc: Some(procedure),
            hInstance: module.into(),
            lpszClassName: CLASS,
            ..WNDCLASSEXW::default()
        };
        // SAFETY: the structure and the name in it live through the call, and `procedure` as long as the program.
        if unsafe { RegisterClassExW(&class) } == 0 {
            // SAFETY: it takes nothing and reads this thread's own value.
            let error = unsafe { GetLastError() };
            if error != ERROR_CLASS_ALREADY_EXISTS {
                return Err(error.into());
            }
        }
        let title = HSTRING::from(title);
        let style = if over { WS_EX_TOPMOST } else { Default::default() };
        // The sides and places of a screen are far below what an i32 holds.
        let [x, y, width, height] = [place.x, place.y, place.width, place.height].map(|side| side as i32);
        // SAFETY: both names live through the call, the class is registered, and there is no parent, menu or
        // parameter.
        let window = unsafe {
            CreateWindowExW(
                style,
                CLASS,
                &title,
                WS_POPUP | WS_VISIBLE,
                x,
                y,
                width,
                height,
                None,
                None,
                Some(module.into()),
                None,
            )
        }?;
        Ok(Self(window))
    }

    /// The number that other programs know it by.
    pub(crate) fn id(&self) -> u64 {
        self.0.0 as u64
    }

    /// Paints `area` of a picture of BGRA rows, one right after the other, in one go: nobody sees half of it.
    ///
    /// # Panics
    ///
    /// If `area` is not inside the picture, or the picture not inside `bgra`.
    pub(crate) fn paint(&self, bgra: &[u8], size: Resolution, area: Rect) -> Result<()> {
        assert!(area.x + area.width <= size.width() && area.y + area.height <= size.height());
        let stride = size.width() as usize * 4;
        // Only the rows of the area: whether rows are counted from the top or from the bottom is then no question.
        let rows = &bgra[area.y as usize * stride..(area.y + area.height) as usize * stride];
        let info = BITMAPINFO {
            bmiHeader: BITMAPINFOHEADER {
                biSize: size_of::<BITMAPINFOHEADER>() as u32,
                biWidth: size.width() as i32,
                // Negative: the first row is the upper one.
                biHeight: -(area.height as i32),
                biPlanes: 1,
                biBitCount: 32,
                biCompression: BI_RGB.0,
                ..BITMAPINFOHEADER::default()
            },
            ..BITMAPINFO::default()
        };
        // SAFETY: it takes the window by value; one that is gone is an error.
        let device = unsafe { GetDC(Some(self.0)) };
        if device.is_invalid() {
            return Err(Error::from_thread());
        }
        // SAFETY: `rows` holds the `area.height` rows of `size.width()` pixels of 4 bytes that `info` describes, and
        // both live through the call, which keeps neither.
        let painted = unsafe {
            SetDIBitsToDevice(
                device,
                area.x as i32,
                area.y as i32,
                area.width,
                area.height,
                area.x as i32,
                0,
                0,
                area.height,
                rows.as_ptr().cast(),
                &info,
                DIB_RGB_COLORS,
            )
        };
        let error = Error::from_thread();
        // SAFETY: the device is the one that was got for this window, and nothing uses it after this.
        unsafe { ReleaseDC(Some(self.0), device) };
        // https://learn.microsoft.com/windows/win32/api/wingdi/nf-wingdi-setdibitstodevice: 0 is a failure.
        if painted == 0 { Err(error) } else { Ok(()) }
    }

    /// Handles what messages there are.
    pub(crate) fn messages(&self) -> Told {
        let mut exposed = false;
        let mut message = MSG::default();
        // SAFETY: `message` is a live MSG, which it fills; the window belongs to this thread, since it is not Send.
        while unsafe { PeekMessageW(&mut message, None, 0, 0, PM_REMOVE) }.as_bool() {
            if message.message == WM_PAINT {
                exposed = true;
                // SAFETY: it takes the window by value, and no rectangle.
                let _ = unsafe { ValidateRect(Some(message.hwnd), None) };
            } else {
                // SAFETY: `message` is what the call above filled.
                unsafe { DispatchMessageW(&message) };
            }
        }
        // SAFETY: it takes the number of a window by value and says whether there is one.
        Told { exposed, closed: !unsafe { IsWindow(Some(self.0)) }.as_bool() }
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // SAFETY: it takes the window by value, on the thread that made it; one that is gone already is an error
        // that does not matter.
        let _ = unsafe { DestroyWindow(self.0) };
    }
}

/// Waits until this thread has a message or `timeout` is over.
pub(crate) fn wait_for_message(timeout: Duration) {
    let milliseconds = u32::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX);
    // SAFETY: there are no handles to be kept alive.
    unsafe { MsgWaitForMultipleObjectsEx(None, milliseconds, QS_ALLINPUT, MWMO_INPUTAVAILABLE) };
}

/// Lets this process see the screen's own pixels, whatever the scale. One that does already is left as it is.
pub(crate) fn see_own_pixels() {
    // SAFETY: the value is one of the system's constants.
    let _ = unsafe { SetProcessDpiAwarenessContext(DPI_AWARENESS_CONTEXT_PER_MONITOR_AWARE_V2) };
}

/// The primary monitor's width and height in pixels.
pub(crate) fn screen_size() -> [i32; 2] {
    // SAFETY: the index is one of the system's constants.
    [SM_CXSCREEN, SM_CYSCREEN].map(|side| unsafe { GetSystemMetrics(side) })
}

const CLASS: PCWSTR = w!("SyntheticDesktop");

/// All as by default: a window that is asked to close is destroyed.
extern "system" fn procedure(window: HWND, message: u32, first: WPARAM, second: LPARAM) -> LRESULT {
    // SAFETY: the arguments are those that the system passes for this very message.
    unsafe { DefWindowProcW(window, message, first, second) }
}
