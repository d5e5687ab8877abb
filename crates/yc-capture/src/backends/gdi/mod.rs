//! GDI: the desktop, its monitors and windows by `BitBlt`, which works on every Windows and needs no GPU.
//!
//! GDI tells no changes, so each picture is compared with the one before by the hashes of its blocks, and one that
//! shows nothing new is not delivered. The frame is the memory that GDI drew to.
//!
//! A window is read from its device context, which has it also where others cover it. What a GPU draws into a window
//! is not in there: a window that is black is printed by the compositor instead, which costs more.

mod pictures;
mod session;
mod source;
#[allow(unsafe_code)]
mod sys;

use super::win32::Session as _;
use super::{CaptureEntry, win32};
use crate::{CaptureBackend, CaptureConfig, CaptureError, CaptureInfo, CaptureSource, clock};
use session::Session;

/// The backend's line in the list. It lists for all backends of Windows.
pub(super) const ENTRY: CaptureEntry = CaptureEntry { name: NAME, list, open };

const NAME: &str = "gdi";

fn list() -> Result<Vec<CaptureSource>, CaptureError> {
    win32::list(NAME)
}

fn open(config: &CaptureConfig) -> Result<Box<dyn CaptureBackend>, CaptureError> {
    let session = Session::open(config)?;
    let mut info = CaptureInfo::new(NAME, session.size(), clock::NAME);
    info.why = win32::why(config);
    info.note = Some("GDI tells no changes: every picture is read and compared".to_owned());
    // Opened again at the start, with the size of then: it holds nothing of the system.
    Ok(Box::new(win32::Capture::<Session>::new(info, config, None)))
}
