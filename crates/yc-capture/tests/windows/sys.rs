//! What this process holds of the system.

use std::fs::File;
use std::os::windows::io::AsRawHandle;

use windows::Win32::Graphics::Gdi::{CreateRectRgn, HRGN};
use windows::Win32::System::Threading::{
    GR_GDIOBJECTS, GetCurrentProcess, GetGuiResources, GetProcessHandleCount,
};
use windows::core::Owned;

/// What a process holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) handles: usize,
    pub(crate) gdi_objects: usize,
}

impl Held {
    pub(crate) fn now() -> Self {
        Self { handles: handles(), gdi_objects: gdi_objects() }
    }
}

/// A GDI object.
pub(crate) fn region() -> Owned<HRGN> {
    try_region().expect("there is room for a GDI object")
}

/// Kernel handles. Wine 8 says that there are none: but it gives each new one the least number that is free, so that
/// a leak shows in the number of the next.
fn handles() -> usize {
    let mut count = 0;
    // SAFETY: `count` is a live u32, and the pseudo handle of the process needs no closing.
    unsafe { GetProcessHandleCount(GetCurrentProcess(), &mut count) }
        .expect("a process can ask about itself");
    if count > 0 {
        return count as usize;
    }
    File::open("NUL").expect("NUL is always there").as_raw_handle() as usize
}

/// GDI objects. Wine 8 says that there are none: then they are counted by how many more there is room for.
fn gdi_objects() -> usize {
    // SAFETY: it takes the pseudo handle of the process, which needs no closing, and a constant.
    let count = unsafe { GetGuiResources(GetCurrentProcess(), GR_GDIOBJECTS) } as usize;
    if count > 0 {
        return count;
    }
    let room = std::iter::from_fn(try_region).collect::<Vec<_>>().len();
    MOST_OBJECTS - room
}

/// The most that a session can have:
/// <https://learn.microsoft.com/windows/win32/sysinfo/gdi-objects>; in Wine it is a process's own limit.
const MOST_OBJECTS: usize = 65_536;

fn try_region() -> Option<Owned<HRGN>> {
    // SAFETY: it takes nothing but numbers.
    let region = unsafe { CreateRectRgn(0, 0, 1, 1) };
    // SAFETY: the region was just made, and this is its only owner.
    (!region.is_invalid()).then(|| unsafe { Owned::new(region) })
}
