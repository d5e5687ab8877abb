//! Devices, textures and mapped memory of Direct3D 11.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use windows::Win32::Foundation::HMODULE;
use windows::Win32::Graphics::Direct3D::{
    D3D_DRIVER_TYPE, D3D_DRIVER_TYPE_UNKNOWN, D3D_FEATURE_LEVEL_9_3, D3D_FEATURE_LEVEL_10_0,
    D3D_FEATURE_LEVEL_10_1, D3D_FEATURE_LEVEL_11_0, D3D_FEATURE_LEVEL_11_1,
};
use windows::Win32::Graphics::Direct3D11::{
    D3D11_BIND_RENDER_TARGET, D3D11_BIND_SHADER_RESOURCE, D3D11_BOX, D3D11_CPU_ACCESS_READ,
    D3D11_CPU_ACCESS_WRITE, D3D11_CREATE_DEVICE_BGRA_SUPPORT, D3D11_MAP_FLAG_DO_NOT_WAIT,
    D3D11_MAP_READ_WRITE, D3D11_MAPPED_SUBRESOURCE, D3D11_SDK_VERSION, D3D11_TEXTURE2D_DESC, D3D11_USAGE,
    D3D11_USAGE_DEFAULT, D3D11_USAGE_STAGING, D3D11CreateDevice, ID3D11Device, ID3D11DeviceContext,
    ID3D11Multithread, ID3D11Texture2D,
};
use windows::Win32::Graphics::Dxgi::Common::{
    DXGI_COLOR_SPACE_RGB_FULL_G2084_NONE_P2020, DXGI_FORMAT, DXGI_FORMAT_B8G8R8A8_UNORM,
    DXGI_FORMAT_R8G8B8A8_UNORM, DXGI_FORMAT_R16G16B16A16_FLOAT, DXGI_SAMPLE_DESC,
};
use windows::Win32::Graphics::Dxgi::{
    CreateDXGIFactory1, IDXGIAdapter, IDXGIAdapter1, IDXGIDevice, IDXGIFactory1, IDXGIOutput, IDXGIOutput6,
};
use windows::core::Interface;
use yc_media::{Rect, Resolution};

use super::{Fault, code};
use crate::duplication;
use crate::picture::RowLayout;

/// A device and its immediate context, which any thread may call.
///
/// "By default in D3D11, applications can only use one thread with the immediate context at a time. But,
/// applications can use this interface to change that restriction" (Microsoft Learn, "ID3D11Multithread
/// interface"): the protection is turned on for every device here, so each call takes the context's lock.
#[derive(Debug, Clone)]
pub(in crate::backends) struct Device {
    device: ID3D11Device,
    context: ID3D11DeviceContext,
    adapter: String,
    luid: u64,
    number: u32,
}

/// An output and the adapter that it hangs on.
#[derive(Debug)]
pub(in crate::backends) struct Found {
    pub(in crate::backends) adapter: IDXGIAdapter1,
    pub(in crate::backends) output: IDXGIOutput,
}

/// How a texture's pixels are stored, of those that a capture can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::backends) struct StoredFormat(pub(in crate::backends) RowLayout);

impl Found {
    /// Whether the output shows the desktop in HDR; not where the system is older than HDR.
    pub(in crate::backends) fn is_hdr(&self) -> bool {
        let Ok(output) = self.output.cast::<IDXGIOutput6>() else { return false };
        // SAFETY: the output lives, and the answer is a plain value.
        let desc = unsafe { output.GetDesc1() };
        desc.is_ok_and(|desc| desc.ColorSpace == DXGI_COLOR_SPACE_RGB_FULL_G2084_NONE_P2020)
    }
}

impl Device {
    /// On the adapter of an output, which alone can duplicate it.
    pub(in crate::backends) fn on_output(found: &Found) -> Result<Self, Fault> {
        // With an adapter the type must be "unknown" (Microsoft Learn, "D3D11CreateDevice function").
        let adapter: &IDXGIAdapter = &found.adapter;
        Self::new(Some(adapter), D3D_DRIVER_TYPE_UNKNOWN)
    }

    fn new(adapter: Option<&IDXGIAdapter>, kind: D3D_DRIVER_TYPE) -> Result<Self, Fault> {
        let fault = fault("making a Direct3D device");
        let levels = [
            D3D_FEATURE_LEVEL_11_1,
            D3D_FEATURE_LEVEL_11_0,
            D3D_FEATURE_LEVEL_10_1,
            D3D_FEATURE_LEVEL_10_0,
            D3D_FEATURE_LEVEL_9_3,
        ];
        let mut device = None;
        // SAFETY: the adapter lives, no software renderer is named, and the result is a live option.
        unsafe {
            D3D11CreateDevice(
                adapter,
                kind,
                HMODULE::default(),
                D3D11_CREATE_DEVICE_BGRA_SUPPORT,
                Some(&levels),
                D3D11_SDK_VERSION,
                Some(&raw mut device),
                None,
                None,
            )
        }
        .map_err(fault)?;
        match device {
            Some(device) => Self::adopt(device),
            None => Err(Fault { doing: "making a Direct3D device", code: code::NO_INTERFACE, reason: None }),
        }
    }

    /// A device that somebody else made. From now on its context is protected.
    pub(in crate::backends) fn adopt(device: ID3D11Device) -> Result<Self, Fault> {
        let fault = fault("preparing a Direct3D device");
        // SAFETY: the device lives.
        let context = unsafe { device.GetImmediateContext() }.map_err(&fault)?;
        let protection: ID3D11Multithread = context.cast().map_err(&fault)?;
        // SAFETY: the interface lives. The old setting does not matter.
        let _ = unsafe { protection.SetMultithreadProtected(true) };
        let dxgi: IDXGIDevice = device.cast().map_err(&fault)?;
        // SAFETY: the device lives.
        let on = unsafe { dxgi.GetAdapter() }.map_err(&fault)?;
        // SAFETY: the adapter lives, and the answer is a plain value.
        let desc = unsafe { on.GetDesc() }.map_err(&fault)?;
        static COUNT: AtomicU32 = AtomicU32::new(0);
        Ok(Self {
            device,
            context,
            adapter: text(&desc.Description),
            luid: luid(desc.AdapterLuid.HighPart, desc.AdapterLuid.LowPart),
            number: COUNT.fetch_add(1, Ordering::Relaxed),
        })
    }

    /// The adapter's name, for the user.
    pub(in crate::backends) fn adapter(&self) -> &str {
        &self.adapter
    }

    /// Tells devices of this process apart.
    pub(in crate::backends) fn number(&self) -> u32 {
        self.number
    }

    /// For the calls of other files like this one.
    pub(in crate::backends) fn device(&self) -> &ID3D11Device {
        &self.device
    }

    /// Whether it can be used for what hangs on the adapter of `found`.
    pub(in crate::backends) fn serves(&self, found: &Found) -> bool {
        // SAFETY: the adapter lives, and the answer is a plain value.
        let desc = unsafe { found.adapter.GetDesc1() };
        let same =
            desc.is_ok_and(|desc| luid(desc.AdapterLuid.HighPart, desc.AdapterLuid.LowPart) == self.luid);
        same && self.removed().is_none()
    }

    /// What failed, and why the device is gone if it is.
    pub(in crate::backends) fn fault(&self, doing: &'static str, error: &windows::core::Error) -> Fault {
        Fault { doing, code: error.code().0 as u32, reason: self.removed() }
    }

    /// Copies `part` of `source`, seen from `corner` of it, to the same place in `target`.
    ///
    /// What of it lies outside one of the two is not copied: Direct3D ignores such a call.
    pub(in crate::backends) fn copy(
        &self,
        source: &ID3D11Texture2D,
        corner: (u32, u32),
        part: Rect,
        target: &ID3D11Texture2D,
    ) {
        let (left, top) = (corner.0 + part.x, corner.1 + part.y);
        let area =
            D3D11_BOX { left, top, front: 0, right: left + part.width, bottom: top + part.height, back: 1 };
        // SAFETY: both textures are of this device and live, and the box is read before this returns.
        // Direct3D checks the box and the formats, and does nothing if they do not fit.
        unsafe {
            self.context.CopySubresourceRegion(
                target,
                0,
                part.x,
                part.y,
                0,
                source,
                0,
                Some(&raw const area),
            );
        }
    }

    /// Makes a picture on the GPU, to copy to and to hand on.
    pub(in crate::backends) fn texture(
        &self,
        size: Resolution,
        format: StoredFormat,
    ) -> Result<ID3D11Texture2D, Fault> {
        self.make(size, format, Usage::Gpu)
    }

    /// Makes memory that the GPU copies to and the CPU maps.
    pub(in crate::backends) fn staging(
        &self,
        size: Resolution,
        format: StoredFormat,
    ) -> Result<Staging, Fault> {
        let texture = self.make(size, format, Usage::Cpu)?;
        let row = size.width() as usize * format.0.bytes();
        Ok(Staging { device: self.clone(), texture, row, rows: size.height() as usize, mapped: None })
    }

    /// Hands everything asked for so far to the GPU.
    pub(in crate::backends) fn flush(&self) {
        // SAFETY: the context lives.
        unsafe { self.context.Flush() };
    }

    /// Whether the device is gone, and why.
    fn removed(&self) -> Option<u32> {
        // SAFETY: the device lives.
        unsafe { self.device.GetDeviceRemovedReason() }.err().map(|error| error.code().0 as u32)
    }

    fn make(&self, size: Resolution, format: StoredFormat, usage: Usage) -> Result<ID3D11Texture2D, Fault> {
        let doing = "making a texture";
        let (usage, bind, access) = usage.flags();
        let desc = D3D11_TEXTURE2D_DESC {
            Width: size.width(),
            Height: size.height(),
            MipLevels: 1,
            ArraySize: 1,
            Format: format.dxgi(),
            SampleDesc: DXGI_SAMPLE_DESC { Count: 1, Quality: 0 },
            Usage: usage,
            BindFlags: bind,
            CPUAccessFlags: access,
            MiscFlags: 0,
        };
        let mut texture = None;
        // SAFETY: the description is plain values, there is no initial content, and the result is a live
        // option.
        unsafe { self.device.CreateTexture2D(&raw const desc, None, Some(&raw mut texture)) }
            .map_err(|error| self.fault(doing, &error))?;
        texture.ok_or(Fault { doing, code: code::NO_INTERFACE, reason: None })
    }
}

/// What a texture is for.
#[derive(Debug, Clone, Copy)]
enum Usage {
    /// The GPU reads and writes it; encoders take it as a picture of theirs.
    Gpu,
    /// The GPU copies to it, and the CPU maps it.
    Cpu,
}

impl Usage {
    fn flags(self) -> (D3D11_USAGE, u32, u32) {
        match self {
            Self::Gpu => {
                (D3D11_USAGE_DEFAULT, (D3D11_BIND_SHADER_RESOURCE | D3D11_BIND_RENDER_TARGET).0 as u32, 0)
            }
            // Written to as well: the pointer is drawn in.
            Self::Cpu => (D3D11_USAGE_STAGING, 0, (D3D11_CPU_ACCESS_READ | D3D11_CPU_ACCESS_WRITE).0 as u32),
        }
    }
}

impl StoredFormat {
    /// `None` for one that a capture cannot read.
    pub(in crate::backends) fn from_dxgi(format: DXGI_FORMAT) -> Option<Self> {
        Some(Self(match format {
            DXGI_FORMAT_B8G8R8A8_UNORM => RowLayout::Bgra8,
            DXGI_FORMAT_R8G8B8A8_UNORM => RowLayout::Rgba8,
            DXGI_FORMAT_R16G16B16A16_FLOAT => RowLayout::Rgba16F,
            _ => return None,
        }))
    }

    fn dxgi(self) -> DXGI_FORMAT {
        match self.0 {
            RowLayout::Bgra8 => DXGI_FORMAT_B8G8R8A8_UNORM,
            RowLayout::Rgba8 => DXGI_FORMAT_R8G8B8A8_UNORM,
            RowLayout::Rgba16F => DXGI_FORMAT_R16G16B16A16_FLOAT,
        }
    }
}

/// Memory that the GPU copies to and the CPU maps. While it is mapped it is the memory of a frame; it is
/// unmapped by whoever fills it next, which is the capturing thread, and else when it is dropped.
#[derive(Debug)]
pub(in crate::backends) struct Staging {
    device: Device,
    texture: ID3D11Texture2D,
    /// Bytes of pixels in a row.
    row: usize,
    rows: usize,
    mapped: Option<Mapped>,
}

/// Where a texture is mapped.
#[derive(Debug)]
struct Mapped {
    start: NonNull<u8>,
    pitch: usize,
    len: usize,
}

impl Staging {
    /// Has the GPU copy `part` of `source`, seen from `corner` of it, to the same place in here.
    pub(in crate::backends) fn fill(&mut self, source: &ID3D11Texture2D, corner: (u32, u32), part: Rect) {
        self.unmap();
        self.device.copy(source, corner, part, &self.texture);
        // Or it might not begin before somebody waits for it.
        self.device.flush();
    }

    /// Maps it, if it is not mapped yet, unless the GPU is not done: `false`. It never waits, so the lock of
    /// the context is not held meanwhile.
    pub(in crate::backends) fn map(&mut self) -> Result<bool, Fault> {
        if self.mapped.is_some() {
            return Ok(true);
        }
        let doing = "mapping a picture";
        let mut mapped = D3D11_MAPPED_SUBRESOURCE::default();
        // SAFETY: the texture is of this device, made for the CPU to read and write, and not mapped; the
        // result is written before this returns.
        let told = unsafe {
            self.device.context.Map(
                &self.texture,
                0,
                D3D11_MAP_READ_WRITE,
                D3D11_MAP_FLAG_DO_NOT_WAIT.0 as u32,
                Some(&raw mut mapped),
            )
        };
        match told {
            Ok(()) => {}
            Err(error) if error.code().0 as u32 == code::STILL_DRAWING => {
                return match self.device.removed() {
                    // Nobody will finish it.
                    Some(reason) => Err(Fault { doing, code: code::STILL_DRAWING, reason: Some(reason) }),
                    None => Ok(false),
                };
            }
            Err(error) => return Err(self.device.fault(doing, &error)),
        }
        let pitch = mapped.RowPitch as usize;
        let start = NonNull::new(mapped.pData.cast::<u8>()).filter(|_| pitch >= self.row);
        let Some(start) = start else {
            // SAFETY: it was mapped just now, and nobody has its address.
            unsafe { self.device.context.Unmap(&self.texture, 0) };
            return Err(Fault { doing, code: code::INVALID_CALL, reason: None });
        };
        self.mapped = Some(Mapped { start, pitch, len: pitch * (self.rows - 1) + self.row });
        Ok(true)
    }

    fn unmap(&mut self) {
        if self.mapped.take().is_some() {
            // SAFETY: it is mapped, and `&mut self` says that nobody reads its bytes: the borrows that
            // `as_ref` and `bytes_mut` gave have ended.
            unsafe { self.device.context.Unmap(&self.texture, 0) };
        }
    }
}

impl AsRef<[u8]> for Staging {
    fn as_ref(&self) -> &[u8] {
        let Some(mapped) = &self.mapped else { return &[] };
        // SAFETY: RowPitch × (rows - 1) + the bytes of a row from pData on are readable until Unmap
        // (Microsoft Learn, "D3D11_MAPPED_SUBRESOURCE structure"), which takes `&mut self`. The GPU may not
        // touch a mapped texture, and we write through `&mut self` only.
        unsafe { std::slice::from_raw_parts(mapped.start.as_ptr(), mapped.len) }
    }
}

impl duplication::Staging for Staging {
    fn pitch(&self) -> usize {
        self.mapped.as_ref().map_or(0, |mapped| mapped.pitch)
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        let Some(mapped) = &self.mapped else { return &mut [] };
        // SAFETY: as in `as_ref`, it was mapped for writing too, and `&mut self` says that no other borrow
        // lives.
        unsafe { std::slice::from_raw_parts_mut(mapped.start.as_ptr(), mapped.len) }
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // On the thread that drops the last frame, when the capture has let go of it: the protection of the
        // context makes that call one of any thread.
        self.unmap();
    }
}

// SAFETY: mapped memory belongs to the process, not to a thread. The methods of devices and of what is made
// on them are free-threaded (Microsoft Learn, "Introduction to a Device in Direct3D 11", threading
// considerations), and the context, which is not, is protected.
unsafe impl Send for Staging {}
// SAFETY: through `&Staging` the memory can only be read.
unsafe impl Sync for Staging {}

/// The output called `device`, such as `\\.\DISPLAY1`, and its adapter; `None` if there is none.
pub(in crate::backends) fn find_output(device: &str) -> Result<Option<Found>, Fault> {
    let fault = fault("looking for the output");
    // A factory knows the adapters of its time only (Microsoft Learn, "IDXGIFactory1::IsCurrent").
    // SAFETY: it takes nothing but the interface's id, which the type gives.
    let factory: IDXGIFactory1 = unsafe { CreateDXGIFactory1() }.map_err(&fault)?;
    let mut adapters = 0;
    // SAFETY: any index may be asked for; one past the last is an error.
    while let Ok(adapter) = unsafe { factory.EnumAdapters1(adapters) } {
        adapters += 1;
        let mut outputs = 0;
        // SAFETY: any index may be asked for; one past the last is an error.
        while let Ok(output) = unsafe { adapter.EnumOutputs(outputs) } {
            outputs += 1;
            // SAFETY: the output lives, and the answer is a plain value.
            let desc = unsafe { output.GetDesc() };
            if desc.is_ok_and(|desc| text(&desc.DeviceName) == device) {
                return Ok(Some(Found { adapter, output }));
            }
        }
    }
    Ok(None)
}

/// A call without a device that failed.
fn fault(doing: &'static str) -> impl Fn(windows::core::Error) -> Fault {
    move |error| Fault { doing, code: error.code().0 as u32, reason: None }
}

fn luid(high: i32, low: u32) -> u64 {
    u64::from(high as u32) << 32 | u64::from(low)
}

/// What stands before the first zero.
fn text(units: &[u16]) -> String {
    let length = units.iter().position(|unit| *unit == 0).unwrap_or(units.len());
    String::from_utf16_lossy(&units[..length])
}

#[cfg(test)]
mod tests {
    use windows::Win32::Graphics::Direct3D::{D3D_DRIVER_TYPE_HARDWARE, D3D_DRIVER_TYPE_WARP};

    use super::*;
    use crate::duplication::Staging as _;

    const BGRA: StoredFormat = StoredFormat(RowLayout::Bgra8);

    /// On the adapter that Direct3D takes by default, or else on the CPU.
    fn device() -> Device {
        Device::new(None, D3D_DRIVER_TYPE_HARDWARE)
            .or_else(|_| Device::new(None, D3D_DRIVER_TYPE_WARP))
            .unwrap()
    }

    fn size(width: u32, height: u32) -> Resolution {
        Resolution::new(width, height).unwrap()
    }

    /// A picture with these bytes.
    fn picture(device: &Device, size: Resolution, format: StoredFormat, bytes: &[u8]) -> ID3D11Texture2D {
        let row = size.width() as usize * format.0.bytes();
        assert_eq!(bytes.len(), row * size.height() as usize);
        let texture = device.texture(size, format).unwrap();
        // SAFETY: `bytes` are the rows of all of the texture, as far apart as is said.
        unsafe {
            device.context.UpdateSubresource(&texture, 0, None, bytes.as_ptr().cast(), row as u32, 0);
        }
        texture
    }

    fn map(staging: &mut Staging) {
        while !staging.map().unwrap() {
            std::thread::yield_now();
        }
    }

    fn rows(staging: &Staging) -> Vec<u8> {
        staging.as_ref().chunks(staging.pitch()).flat_map(|row| &row[..staging.row]).copied().collect()
    }

    #[test]
    fn a_copy_is_mapped_byte_for_byte() {
        let device = device();
        assert!(!device.adapter().is_empty());
        for layout in [RowLayout::Bgra8, RowLayout::Rgba8, RowLayout::Rgba16F] {
            let (format, size) = (StoredFormat(layout), size(37, 11));
            // Halves of any bits are copied as they are.
            let bytes: Vec<u8> = (0..37 * 11 * layout.bytes()).map(|n| (n * 7 % 251) as u8).collect();
            let source = picture(&device, size, format, &bytes);
            let mut staging = device.staging(size, format).unwrap();
            assert!(staging.as_ref().is_empty() && staging.bytes_mut().is_empty());
            staging.fill(&source, (0, 0), size.rect());
            map(&mut staging);
            assert!(staging.pitch() >= 37 * layout.bytes());
            assert_eq!(rows(&staging), bytes, "{layout:?}");
        }
    }

    #[test]
    fn a_part_is_copied_alone_and_what_was_drawn_elsewhere_stays() {
        let device = device();
        let source = picture(&device, size(8, 8), BGRA, &[9; 256]);
        let mut staging = device.staging(size(4, 4), BGRA).unwrap();
        staging.fill(&source, (2, 2), size(4, 4).rect());
        map(&mut staging);
        staging.bytes_mut().fill(1);
        // The picture is the memory: a second look at it does not copy again.
        map(&mut staging);
        assert_eq!(rows(&staging), [1; 64]);
        staging.fill(&source, (2, 2), Rect { x: 1, y: 2, width: 2, height: 1 });
        map(&mut staging);
        let mut expected = [1; 64];
        expected[36..44].fill(9);
        assert_eq!(rows(&staging), expected);
    }

    #[test]
    fn another_thread_may_drop_what_is_mapped_while_this_one_copies() {
        let device = device();
        let source = picture(&device, size(64, 64), BGRA, &[5; 64 * 64 * 4]);
        let (sender, receiver) = std::sync::mpsc::channel::<Staging>();
        let dropper = std::thread::Builder::new()
            .spawn(move || receiver.iter().all(|staging| rows(&staging).iter().all(|&byte| byte == 5)))
            .unwrap();
        for _ in 0..50 {
            let mut staging = device.staging(size(64, 64), BGRA).unwrap();
            staging.fill(&source, (0, 0), size(64, 64).rect());
            map(&mut staging);
            sender.send(staging).unwrap();
        }
        drop(sender);
        assert!(dropper.join().unwrap());
    }

    #[test]
    fn no_output_has_a_name_that_nobody_gave() {
        assert!(find_output("no such output").unwrap().is_none());
    }
}
