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

use super::CaptureEntry;
use super::win32::{self, Place};
use crate::control::Control;
use crate::duplication::Options;
use crate::{
    CaptureBackend, CaptureConfig, CaptureError, CaptureErrorKind, CaptureInfo, CaptureSink, CaptureSource,
    FrameMemory, clock,
};
use output::{Source, WgcOutput};
use wishes::{Supported, Wishes};

/// The backend's line in the list.
pub(super) const ENTRY: CaptureEntry = CaptureEntry { name: NAME, list, open };

const NAME: &str = "wgc";

type Session = crate::duplication::Session<WgcOutput>;

/// GDI lists for all backends of Windows.
fn list() -> Result<Vec<CaptureSource>, CaptureError> {
    Ok(Vec::new())
}

fn open(config: &CaptureConfig) -> Result<Box<dyn CaptureBackend>, CaptureError> {
    let (session, note) = open_session(config)?;
    let mut info = CaptureInfo::new(NAME, session.size(), clock::NAME);
    info.why = win32::why(config);
    info.note = note;
    Ok(Box::new(win32::Capture::new(info, config, Some(session))))
}

/// Finds the source and begins to capture it. Also tells what is not as good as it could be.
fn open_session(config: &CaptureConfig) -> Result<(Session, Option<String>), CaptureError> {
    let doing = "looking for the source";
    let error = |kind| CaptureError::new(kind, NAME, doing);
    let place = Place::find(&config.target).map_err(|why| error(why.kind()).with_source(why))?;
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

impl win32::Session for Session {
    const THREAD: &'static str = "yc-wgc";

    fn open(config: &CaptureConfig) -> Result<Self, CaptureError> {
        open_session(config).map(|(session, _)| session)
    }

    fn run(self, control: &Control, sink: CaptureSink) {
        Self::run(self, control, sink);
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
