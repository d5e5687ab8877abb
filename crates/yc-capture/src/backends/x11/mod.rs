//! X11: screens, monitors, windows and regions of the desktop that `DISPLAY` names.
//!
//! Pictures come through MIT-SHM: the server writes into memory of ours, and frames are that memory. The
//! DAMAGE extension says what changed, so an unchanged screen costs nothing and a changed one only its
//! rows; XFIXES gives the cursor, COMPOSITE the pictures of covered windows, RANDR the monitors.
//!
//! Where the server has no MIT-SHM 1.2 or is on another machine, pictures are copied through the
//! connection; where it has no COMPOSITE, windows are captured with what covers them. Either is told in
//! [`CaptureInfo::note`].

mod cursor;
mod display;
mod grab;
mod inbox;
mod list;
mod session;
mod source;
#[allow(unsafe_code)]
mod sys;

use std::sync::Arc;

use yc_media::FrameRate;

use super::CaptureEntry;
use crate::control::{Control, Worker};
use crate::{
    CaptureBackend, CaptureConfig, CaptureError, CaptureErrorKind, CaptureInfo, CaptureSink, CaptureTarget,
    clock,
};
use session::Session;

/// The backend's line in the list.
pub(super) const ENTRY: CaptureEntry = CaptureEntry { name: NAME, list: list::list, open };

const NAME: &str = "x11";

#[derive(Debug)]
struct X11Capture {
    info: CaptureInfo,
    config: CaptureConfig,
    /// Opened with the capture, for its first start.
    session: Option<Session>,
    running: Option<(Arc<Control>, Worker)>,
}

fn open(config: &CaptureConfig) -> Result<Box<dyn CaptureBackend>, CaptureError> {
    match config.target {
        CaptureTarget::Screen
        | CaptureTarget::Monitor(_)
        | CaptureTarget::Window(_)
        | CaptureTarget::Region(_) => {}
        ref other => {
            return Err(CaptureError::new(CaptureErrorKind::Unsupported, NAME, "opening the source")
                .with_source(format!("{other} is not part of an X11 desktop")));
        }
    }
    let session = Session::open(config)?;
    let mut info = CaptureInfo::new(NAME, session.size(), clock::NAME);
    info.note = session.note();
    Ok(Box::new(X11Capture { info, config: config.clone(), session: Some(session), running: None }))
}

impl CaptureBackend for X11Capture {
    fn info(&self) -> &CaptureInfo {
        &self.info
    }

    fn start(&mut self, sink: CaptureSink) -> Result<(), CaptureError> {
        if self.running.as_ref().is_some_and(|(_, worker)| worker.is_running()) {
            return Err(CaptureError::already_running(NAME));
        }
        self.running = None;
        let session = match self.session.take() {
            Some(session) => session,
            None => Session::open(&self.config)?,
        };
        let control = Arc::clone(session.control());
        let worker = Worker::spawn("yc-x11", Arc::clone(&control), move || session.run(sink))
            .map_err(|error| CaptureError::no_thread(NAME, error))?;
        self.running = Some((control, worker));
        Ok(())
    }

    fn set_frame_rate(&mut self, rate: FrameRate) {
        self.config.frame_rate = rate;
        if let Some(session) = &self.session {
            session.control().set_rate(rate);
        }
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
