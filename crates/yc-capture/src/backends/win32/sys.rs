//! What the desktop of Windows tells: all the unsafe of this room.

use std::ffi::c_void;
use std::mem::size_of;

use windows::Wdk::System::SystemServices::RtlGetVersion;
use windows::Win32::Devices::Display::{
    DISPLAYCONFIG_DEVICE_INFO_GET_SDR_WHITE_LEVEL, DISPLAYCONFIG_DEVICE_INFO_GET_SOURCE_NAME,
    DISPLAYCONFIG_DEVICE_INFO_HEADER, DISPLAYCONFIG_MODE_INFO, DISPLAYCONFIG_PATH_INFO,
    DISPLAYCONFIG_SDR_WHITE_LEVEL, DISPLAYCONFIG_SOURCE_DEVICE_NAME, DisplayConfigGetDeviceInfo,
    GetDisplayConfigBufferSizes, QDC_ONLY_ACTIVE_PATHS, QueryDisplayConfig,
};
use windows::Win32::Foundation::{CloseHandle, HANDLE, HWND, LPARAM, RECT};
use windows::Win32::Graphics::Dwm::{DWMWA_CLOAKED, DWMWA_EXTENDED_FRAME_BOUNDS, DwmGetWindowAttribute};
use windows::Win32::Graphics::Dxgi::{CreateDXGIFactory1, IDXGIFactory1};
use windows::Win32::Graphics::Gdi::{
    DISPLAY_DEVICEW, EnumDisplayDevicesW, EnumDisplayMonitors, GetMonitorInfoW, HDC, HMONITOR,
    MONITOR_DEFAULTTONEAREST, MONITORINFO, MONITORINFOEXW, MonitorFromWindow,
};
use windows::Win32::System::SystemInformation::OSVERSIONINFOW;
use windows::Win32::System::Threading::{
    AvRevertMmThreadCharacteristics, AvSetMmThreadCharacteristicsW, GetCurrentProcessId, OpenProcess,
    PROCESS_NAME_WIN32, PROCESS_QUERY_LIMITED_INFORMATION, QueryFullProcessImageNameW,
};
use windows::Win32::UI::HiDpi::{
    DPI_AWARENESS_CONTEXT, DPI_AWARENESS_CONTEXT_PER_MONITOR_AWARE_V2, SetThreadDpiAwarenessContext,
};
use windows::Win32::UI::WindowsAndMessaging::{
    EnumWindows, GW_OWNER, GWL_EXSTYLE, GetWindow, GetWindowDisplayAffinity, GetWindowLongPtrW,
    GetWindowRect, GetWindowThreadProcessId, InternalGetWindowText, IsIconic, IsWindow, IsWindowVisible,
    MONITORINFOF_PRIMARY, SetWindowDisplayAffinity, WDA_EXCLUDEFROMCAPTURE, WDA_NONE,
    WINDOW_DISPLAY_AFFINITY, WS_EX_TOOLWINDOW,
};
use windows::core::{BOOL, PCWSTR, PWSTR, w};

use super::area::Area;

/// A monitor as the system tells it.
#[derive(Debug)]
pub(super) struct MonitorFacts {
    pub(super) handle: isize,
    pub(super) area: Area,
    /// `\\.\DISPLAY1`.
    pub(super) device: String,
    /// The monitor's own name, or what Windows calls it.
    pub(super) name: String,
    pub(super) primary: bool,
}

pub(super) fn monitors() -> Vec<MonitorFacts> {
    unsafe extern "system" fn add(monitor: HMONITOR, _: HDC, _: *mut RECT, found: LPARAM) -> BOOL {
        // SAFETY: `found` is the address of the vector below, which outlives the enumeration, and nobody else
        // uses it meanwhile.
        let found = unsafe { &mut *(found.0 as *mut Vec<HMONITOR>) };
        found.push(monitor);
        true.into()
    }
    let mut found = Vec::<HMONITOR>::new();
    let to = LPARAM(&raw mut found as isize);
    // SAFETY: the callback is called before this returns only, with `to` as it is.
    let _ = unsafe { EnumDisplayMonitors(None, None, Some(add), to) };
    found.into_iter().filter_map(monitor).collect()
}

fn monitor(handle: HMONITOR) -> Option<MonitorFacts> {
    let mut info = MONITORINFOEXW::default();
    info.monitorInfo.cbSize = size_of::<MONITORINFOEXW>() as u32;
    // SAFETY: `info` is a MONITORINFOEXW and says so by its size; it begins with a MONITORINFO.
    let told = unsafe { GetMonitorInfoW(handle, (&raw mut info).cast::<MONITORINFO>()) };
    if !told.as_bool() {
        return None;
    }
    let mut device = DISPLAY_DEVICEW { cb: size_of::<DISPLAY_DEVICEW>() as u32, ..Default::default() };
    // SAFETY: the name ends with a zero, GetMonitorInfoW wrote it; `device` says its size.
    let named = unsafe { EnumDisplayDevicesW(PCWSTR(info.szDevice.as_ptr()), 0, &mut device, 0) };
    Some(MonitorFacts {
        handle: handle.0 as isize,
        area: area(info.monitorInfo.rcMonitor)?,
        device: text(&info.szDevice),
        name: if named.as_bool() { text(&device.DeviceString) } else { String::new() },
        primary: info.monitorInfo.dwFlags & MONITORINFOF_PRIMARY != 0,
    })
}

/// A graphics adapter and the monitors on it; the first is the one that Direct3D takes by default.
#[derive(Debug)]
pub(super) struct AdapterFacts {
    pub(super) name: String,
    pub(super) monitors: Vec<isize>,
}

pub(super) fn adapters() -> Vec<AdapterFacts> {
    // SAFETY: it takes nothing but the interface's id, which the type gives.
    let factory: Result<IDXGIFactory1, _> = unsafe { CreateDXGIFactory1() };
    let Ok(factory) = factory else { return Vec::new() };
    let mut adapters = Vec::new();
    // SAFETY: any index may be asked for; one past the last is an error.
    while let Ok(adapter) = unsafe { factory.EnumAdapters1(adapters.len() as u32) } {
        // SAFETY: the adapter lives, and the answer is a plain value.
        let name = unsafe { adapter.GetDesc1() }.map(|desc| text(&desc.Description)).unwrap_or_default();
        let mut monitors = Vec::new();
        // SAFETY: any index may be asked for; one past the last is an error.
        while let Ok(output) = unsafe { adapter.EnumOutputs(monitors.len() as u32) } {
            // SAFETY: the output lives, and the answer is a plain value.
            let desc = unsafe { output.GetDesc() };
            // One that does not tell keeps its number.
            monitors.push(desc.map_or(0, |desc| desc.Monitor.0 as isize));
        }
        adapters.push(AdapterFacts { name, monitors });
    }
    adapters
}

/// The `SDRWhiteLevel` of the output called `device`, if the system knows it.
pub(super) fn white_level(device: &str) -> Option<u32> {
    let (mut paths, mut modes) = (0, 0);
    // SAFETY: both numbers are written before this returns.
    let told = unsafe { GetDisplayConfigBufferSizes(QDC_ONLY_ACTIVE_PATHS, &raw mut paths, &raw mut modes) };
    told.ok().ok()?;
    let mut path = vec![DISPLAYCONFIG_PATH_INFO::default(); paths as usize];
    let mut mode = vec![DISPLAYCONFIG_MODE_INFO::default(); modes as usize];
    // SAFETY: both arrays have as many elements as is said, and the numbers of those that are used are
    // written.
    let told = unsafe {
        QueryDisplayConfig(
            QDC_ONLY_ACTIVE_PATHS,
            &raw mut paths,
            path.as_mut_ptr(),
            &raw mut modes,
            mode.as_mut_ptr(),
            None,
        )
    };
    told.ok().ok()?;
    path.iter().take(paths as usize).find_map(|path| {
        let mut source = DISPLAYCONFIG_SOURCE_DEVICE_NAME {
            header: DISPLAYCONFIG_DEVICE_INFO_HEADER {
                r#type: DISPLAYCONFIG_DEVICE_INFO_GET_SOURCE_NAME,
                size: size_of::<DISPLAYCONFIG_SOURCE_DEVICE_NAME>() as u32,
                adapterId: path.sourceInfo.adapterId,
                id: path.sourceInfo.id,
            },
            ..Default::default()
        };
        // SAFETY: the header is that of a structure of the type and the size that it says.
        let told = unsafe { DisplayConfigGetDeviceInfo((&raw mut source).cast()) };
        if told != 0 || text(&source.viewGdiDeviceName) != device {
            return None;
        }
        let mut white = DISPLAYCONFIG_SDR_WHITE_LEVEL {
            header: DISPLAYCONFIG_DEVICE_INFO_HEADER {
                r#type: DISPLAYCONFIG_DEVICE_INFO_GET_SDR_WHITE_LEVEL,
                size: size_of::<DISPLAYCONFIG_SDR_WHITE_LEVEL>() as u32,
                adapterId: path.targetInfo.adapterId,
                id: path.targetInfo.id,
            },
            ..Default::default()
        };
        // SAFETY: as above.
        let told = unsafe { DisplayConfigGetDeviceInfo((&raw mut white).cast()) };
        (told == 0).then_some(white.SDRWhiteLevel)
    })
}

/// All top-level windows, from the front to the back.
pub(super) fn windows() -> Vec<u64> {
    unsafe extern "system" fn add(window: HWND, found: LPARAM) -> BOOL {
        // SAFETY: `found` is the address of the vector below, which outlives the enumeration, and nobody else
        // uses it meanwhile.
        let found = unsafe { &mut *(found.0 as *mut Vec<u64>) };
        found.push(window.0 as u64);
        true.into()
    }
    let mut found = Vec::<u64>::new();
    let to = LPARAM(&raw mut found as isize);
    // SAFETY: the callback is called before this returns only, with `to` as it is.
    let _ = unsafe { EnumWindows(Some(add), to) };
    found
}

/// What is asked of a window. A handle that is none, or no longer one, is answered with nothing: the system
/// checks every handle that it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window(u64);

impl Window {
    pub(crate) fn new(id: u64) -> Self {
        Self(id)
    }

    pub(crate) fn exists(self) -> bool {
        // SAFETY: any value may be asked about.
        unsafe { IsWindow(Some(self.handle())) }.as_bool()
    }

    /// Shown on the desktop that the user sees: a window of another virtual desktop is cloaked.
    pub(crate) fn is_visible(self) -> bool {
        // SAFETY: any value may be asked about.
        let visible = unsafe { IsWindowVisible(self.handle()) }.as_bool();
        visible && !self.is_cloaked()
    }

    pub(crate) fn is_minimised(self) -> bool {
        // SAFETY: any value may be asked about.
        unsafe { IsIconic(self.handle()) }.as_bool()
    }

    fn is_cloaked(self) -> bool {
        let mut cloaked = 0u32;
        // SAFETY: the attribute is a DWORD (Microsoft Learn, "DWMWINDOWATTRIBUTE"), and so is `cloaked`.
        let told = unsafe {
            DwmGetWindowAttribute(
                self.handle(),
                DWMWA_CLOAKED,
                (&raw mut cloaked).cast::<c_void>(),
                size_of::<u32>() as u32,
            )
        };
        told.is_ok() && cloaked != 0
    }

    /// Its frame as the user sees it: without the invisible borders by which it is resized, where the
    /// compositor tells it.
    pub(crate) fn frame(self) -> Option<Area> {
        let mut rect = RECT::default();
        // SAFETY: the attribute is a RECT (Microsoft Learn, "DWMWINDOWATTRIBUTE"), and so is `rect`.
        let told = unsafe {
            DwmGetWindowAttribute(
                self.handle(),
                DWMWA_EXTENDED_FRAME_BOUNDS,
                (&raw mut rect).cast::<c_void>(),
                size_of::<RECT>() as u32,
            )
        };
        if told.is_ok() { area(rect) } else { self.outer() }
    }

    /// Its rectangle with the invisible borders: where its device context begins.
    pub(crate) fn outer(self) -> Option<Area> {
        let mut rect = RECT::default();
        // SAFETY: any value may be asked about; `rect` is written.
        unsafe { GetWindowRect(self.handle(), &mut rect) }.ok()?;
        area(rect)
    }

    /// The `HMONITOR` that most of it is on.
    pub(super) fn monitor(self) -> isize {
        // SAFETY: any value may be asked about.
        unsafe { MonitorFromWindow(self.handle(), MONITOR_DEFAULTTONEAREST) }.0 as isize
    }

    pub(super) fn title(self) -> String {
        let mut title = [0; 256];
        // SAFETY: it writes at most the slice. It sends no message, so a window that hangs does not hold us.
        let length = unsafe { InternalGetWindowText(self.handle(), &mut title) };
        String::from_utf16_lossy(&title[..usize::try_from(length).unwrap_or_default()])
    }

    /// A floating toolbar or a tip, which is in no list of windows.
    pub(super) fn is_tool(self) -> bool {
        // SAFETY: any value may be asked about.
        let style = unsafe { GetWindowLongPtrW(self.handle(), GWL_EXSTYLE) };
        style as u32 & WS_EX_TOOLWINDOW.0 != 0
    }

    /// A dialogue or a palette of another window.
    pub(super) fn is_owned(self) -> bool {
        // SAFETY: any value may be asked about.
        unsafe { GetWindow(self.handle(), GW_OWNER) }.is_ok_and(|owner| !owner.is_invalid())
    }

    fn process(self) -> u32 {
        let mut process = 0;
        // SAFETY: any value may be asked about; `process` is written.
        unsafe { GetWindowThreadProcessId(self.handle(), Some(&raw mut process)) };
        process
    }

    pub(super) fn is_own(self) -> bool {
        // SAFETY: it has no preconditions.
        self.process() == unsafe { GetCurrentProcessId() }
    }

    /// The file name of the program that owns it.
    pub(super) fn program(self) -> Option<String> {
        // SAFETY: any number may be asked for; an error if there is no such process or it may not be asked.
        let process =
            unsafe { OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, false, self.process()) }.ok()?;
        let mut path = [0; 1_024];
        let mut length = path.len() as u32;
        // SAFETY: `path` has room for `length` characters.
        let told = unsafe {
            QueryFullProcessImageNameW(process, PROCESS_NAME_WIN32, PWSTR(path.as_mut_ptr()), &mut length)
        };
        // SAFETY: the handle was opened above and is used no more.
        let _ = unsafe { CloseHandle(process) };
        told.ok()?;
        let path = String::from_utf16_lossy(&path[..length as usize]);
        path.rsplit(['\\', '/']).next().map(str::to_owned)
    }

    /// Whether captures leave it out, if it is a window of this process. The value is what to set it back to.
    pub(super) fn exclude_from_capture(self) -> Option<u32> {
        let mut before = WDA_NONE.0;
        // SAFETY: any value may be asked about; `before` is written.
        unsafe { GetWindowDisplayAffinity(self.handle(), &raw mut before) }.ok()?;
        // SAFETY: any value may be asked for; the system refuses windows of other processes.
        unsafe { SetWindowDisplayAffinity(self.handle(), WDA_EXCLUDEFROMCAPTURE) }.ok()?;
        Some(before)
    }

    pub(super) fn set_capture_affinity(self, affinity: u32) {
        // SAFETY: any value may be asked for. A window that is gone needs nothing set back.
        let _ = unsafe { SetWindowDisplayAffinity(self.handle(), WINDOW_DISPLAY_AFFINITY(affinity)) };
    }

    pub(crate) fn handle(self) -> HWND {
        HWND(self.0 as *mut c_void)
    }
}

/// The build number of the system: 22000 and up is Windows 11.
pub(super) fn build() -> u32 {
    let mut version =
        OSVERSIONINFOW { dwOSVersionInfoSize: size_of::<OSVERSIONINFOW>() as u32, ..Default::default() };
    // SAFETY: `version` says its size. It never fails (Microsoft Learn, "RtlGetVersion function").
    let _ = unsafe { RtlGetVersion(&mut version) };
    version.dwBuildNumber
}

/// Makes the calls of this thread speak of real pixels, whatever the program is declared as; set back on drop.
#[derive(Debug)]
pub(crate) struct DpiAware(DPI_AWARENESS_CONTEXT);

impl DpiAware {
    pub(crate) fn enter() -> Self {
        // SAFETY: it takes one of the constants and changes this thread only.
        Self(unsafe { SetThreadDpiAwarenessContext(DPI_AWARENESS_CONTEXT_PER_MONITOR_AWARE_V2) })
    }
}

impl Drop for DpiAware {
    fn drop(&mut self) {
        // SAFETY: it is what the call above gave for this very thread: the guard is not Send.
        unsafe { SetThreadDpiAwarenessContext(self.0) };
    }
}

/// This thread as a task of the multimedia class scheduler; an ordinary one again on drop.
#[derive(Debug)]
pub(crate) struct Mmcss(HANDLE);

impl Mmcss {
    /// `None` where the system refuses.
    pub(crate) fn enter() -> Option<Self> {
        let mut task = 0;
        // SAFETY: the name is a constant that ends with a zero, and `task` is written.
        unsafe { AvSetMmThreadCharacteristicsW(w!("Capture"), &mut task) }.ok().map(Self)
    }
}

impl Drop for Mmcss {
    fn drop(&mut self) {
        // SAFETY: the handle is of this very thread: the guard is not Send.
        let _ = unsafe { AvRevertMmThreadCharacteristics(self.0) };
    }
}

fn area(rect: RECT) -> Option<Area> {
    Area::between(rect.left, rect.top, rect.right, rect.bottom)
}

/// What stands before the first zero.
fn text(units: &[u16]) -> String {
    let length = units.iter().position(|unit| *unit == 0).unwrap_or(units.len());
    String::from_utf16_lossy(&units[..length])
}
