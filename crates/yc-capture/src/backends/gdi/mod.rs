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

use std::sync::Arc;

use yc_media::FrameRate;

use super::{CaptureEntry, win32};
use crate::control::{Control, Worker};
use crate::{CaptureBackend, CaptureConfig, CaptureError, CaptureInfo, CaptureSink, CaptureSource, clock};
use session::Session;

/// The backend's line in the list. It lists for all backends of Windows.
pub(super) const ENTRY: CaptureEntry = CaptureEntry { name: NAME, list, open };

const NAME: &str = "gdi";

#[derive(Debug)]
struct GdiCapture {
    info: CaptureInfo,
    config: CaptureConfig,
    running: Option<(Arc<Control>, Worker)>,
}

fn list() -> Result<Vec<CaptureSource>, CaptureError> {
    win32::list(NAME)
}

fn open(config: &CaptureConfig) -> Result<Box<dyn CaptureBackend>, CaptureError> {
    let session = Session::open(config)?;
    let mut info = CaptureInfo::new(NAME, session.size(), clock::NAME);
    info.why = win32::why(config);
    info.note = Some("GDI tells no changes: every picture is read and compared".to_owned());
    Ok(Box::new(GdiCapture { info, config: config.clone(), running: None }))
}

impl CaptureBackend for GdiCapture {
    fn info(&self) -> &CaptureInfo {
        &self.info
    }

    fn start(&mut self, sink: CaptureSink) -> Result<(), CaptureError> {
        if self.running.as_ref().is_some_and(|(_, worker)| worker.is_running()) {
            return Err(CaptureError::already_running(NAME));
        }
        self.running = None;
        let session = Session::open(&self.config)?;
        let control = Arc::new(Control::new(self.config.frame_rate));
        let thread_control = Arc::clone(&control);
        let worker =
            Worker::spawn("yc-gdi", Arc::clone(&control), move || session.run(&thread_control, sink))
                .map_err(|error| CaptureError::no_thread(NAME, error))?;
        self.running = Some((control, worker));
        Ok(())
    }

    fn set_frame_rate(&mut self, rate: FrameRate) {
        self.config.frame_rate = rate;
        if let Some((control, _)) = &self.running {
            control.set_rate(rate);
        }
    }

    fn request_frame(&mut self) {
        if let Some((control, _)) = &self.running {
            control.request_frame();
        }
    }

    fn stop(&mut self) {
        self.running = None;
    }
}
