//! Windows.Graphics.Capture: monitors, windows and games as the compositor has them, on the GPU.
//!
//! The library `windows-capture` calls the system and hands out each picture on a thread of its own, where it is
//! copied on the GPU and put into a mailbox. From there on it is as with DXGI, which is asked for its pictures: see
//! [`duplication`](crate::duplication). So a picture that comes too soon is not read by the CPU, nor one that nobody
//! will encode.

mod handler;
mod item;
mod output;
mod wishes;

use std::sync::Arc;

use yc_media::FrameRate;

use super::CaptureEntry;
use super::win32::{self, Mmcss, OwnWindows, Place};
use crate::control::{Control, Worker};
use crate::duplication::Options;
use crate::{
    CaptureBackend, CaptureConfig, CaptureError, CaptureErrorKind, CaptureInfo, CaptureSink, CaptureSource,
    CaptureTarget, FrameMemory, clock,
};
use output::{Source, WgcOutput};
use wishes::{Supported, Wishes};

/// The backend's line in the list.
pub(super) const ENTRY: CaptureEntry = CaptureEntry { name: NAME, list, open };

const NAME: &str = "wgc";

type Session = crate::duplication::Session<WgcOutput>;

#[derive(Debug)]
struct WgcCapture {
    info: CaptureInfo,
    config: CaptureConfig,
    /// Opened with the capture, for its first start.
    session: Option<Session>,
    running: Option<(Arc<Control>, Worker)>,
}

/// GDI lists for all backends of Windows.
fn list() -> Result<Vec<CaptureSource>, CaptureError> {
    Ok(Vec::new())
}

fn open(config: &CaptureConfig) -> Result<Box<dyn CaptureBackend>, CaptureError> {
    let (session, note) = open_session(config)?;
    let mut info = CaptureInfo::new(NAME, session.size(), clock::NAME);
    info.why = win32::why(config);
    info.note = note;
    Ok(Box::new(WgcCapture { info, config: config.clone(), session: Some(session), running: None }))
}

/// Finds the source and begins to capture it. Also tells what is not as good as it could be.
fn open_session(config: &CaptureConfig) -> Result<(Session, Option<String>), CaptureError> {
    let doing = "looking for the source";
    let error = |kind| CaptureError::new(kind, NAME, doing);
    let place = Place::find(&config.target).map_err(|why| {
        let kind = match config.target {
            CaptureTarget::Window(_) | CaptureTarget::Monitor(_) | CaptureTarget::Screen => {
                CaptureErrorKind::NotFound
            }
            CaptureTarget::Region(_) => CaptureErrorKind::InvalidInput,
            _ => CaptureErrorKind::Unsupported,
        };
        error(kind).with_source(why)
    })?;
    let supported = Supported::here()?;
    let mut notes = Vec::new();
    let (source, monitor, area) = match place {
        Place::Window(window) => (Source::Window(window), win32::monitor_of(window), None),
        Place::Monitor { monitor, part } => {
            let whole = (part.width, part.height) == (monitor.area.width, monitor.area.height);
            (Source::Monitor(monitor.device.clone()), Some(monitor), (!whole).then_some(part))
        }
        Place::Desktop(_) => {
            return Err(error(CaptureErrorKind::Unsupported).with_source(format!(
                "{} reaches over several monitors, of which Windows.Graphics.Capture knows one each",
                config.target
            )));
        }
    };
    if let Some(adapter) = monitor.as_ref().and_then(win32::other_adapter) {
        notes.push(format!(
            "the monitor hangs on the adapter {adapter}: pictures are copied to the default one"
        ));
    }
    let wishes = Wishes::new(config, supported, monitor.as_ref(), &mut notes);
    let options = Options {
        area,
        rate: config.frame_rate,
        // It is the compositor's work.
        cursor: false,
        gpu: config.memory == FrameMemory::Gpu,
        compare: !supported.dirty_regions,
    };
    let session = Session::open(WgcOutput::new(source, wishes), options, clock::now)?;
    Ok((session, (!notes.is_empty()).then(|| notes.join("; "))))
}

impl CaptureBackend for WgcCapture {
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
            None => open_session(&self.config)?.0,
        };
        let control = Arc::new(Control::new(self.config.frame_rate));
        let thread_control = Arc::clone(&control);
        let (priority, own_windows) = (self.config.high_priority, self.config.own_windows);
        let worker = Worker::spawn("yc-wgc", Arc::clone(&control), move || {
            let _scheduling = priority.then(Mmcss::enter).flatten();
            let _own_windows = (!own_windows).then(OwnWindows::exclude);
            session.run(&thread_control, sink);
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(target: &str) -> CaptureError {
        open(&CaptureConfig::new(target.parse().unwrap())).err().unwrap()
    }

    #[test]
    fn wine_has_no_graphics_capture_and_says_so() {
        for target in ["monitor:0", "screen", "region:64x64+0+0"] {
            let error = refused(target);
            assert_eq!(error.kind(), CaptureErrorKind::Unsupported, "{error}");
            assert!(error.to_string().contains("Windows 10, version 1903"), "{error}");
        }
    }

    #[test]
    fn a_source_that_is_not_there_is_named() {
        let error = refused("window:0x7ffffff0");
        assert_eq!(error.kind(), CaptureErrorKind::NotFound);
        assert!(error.to_string().contains("there is no window 0x7ffffff0"), "{error}");
        assert_eq!(refused("synthetic").kind(), CaptureErrorKind::Unsupported);
    }
}
