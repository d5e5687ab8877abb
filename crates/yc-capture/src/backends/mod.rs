//! The capture backends, one `cfg` line each, and the list of those compiled in.

#[cfg(windows)]
mod d3d11;
#[cfg(windows)]
mod dxgi;
#[cfg(windows)]
mod gdi;
mod replay;
pub mod synthetic;
#[cfg(windows)]
mod wgc;
#[cfg(windows)]
mod win32;
#[cfg(target_os = "linux")]
mod x11;

use crate::{CaptureBackend, CaptureConfig, CaptureError, CaptureSource};

/// One backend as the registry knows it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct CaptureEntry {
    /// Its name: the OS API's, in lower case.
    pub name: &'static str,
    /// Lists what it can capture now.
    pub list: fn() -> Result<Vec<CaptureSource>, CaptureError>,
    /// Opens one capture. [`CaptureErrorKind::Unsupported`](crate::CaptureErrorKind::Unsupported) if the
    /// target is of a kind that this backend does not capture.
    pub open: fn(&CaptureConfig) -> Result<Box<dyn CaptureBackend>, CaptureError>,
}

/// Every backend compiled in. [`candidates`](crate::candidates) says in which order they are tried.
pub const ENABLED: &[CaptureEntry] = &[
    #[cfg(target_os = "linux")]
    x11::ENTRY,
    #[cfg(windows)]
    wgc::ENTRY,
    #[cfg(windows)]
    dxgi::ENTRY,
    #[cfg(windows)]
    gdi::ENTRY,
    synthetic::ENTRY,
    replay::ENTRY,
];

/// The backends to try first for one picture: they begin at once, and draw nothing around what they capture.
pub(crate) const FOR_ONE_PICTURE: &[&str] = &["gdi"];

/// The backends to try first for `config`, where that depends on more than the list.
#[cfg(not(windows))]
pub(crate) fn order(_config: &CaptureConfig) -> &'static [&'static str] {
    &[]
}
#[cfg(windows)]
pub(crate) use win32::order;
