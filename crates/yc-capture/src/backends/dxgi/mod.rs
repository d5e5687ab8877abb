//! DXGI desktop duplication: one monitor, or a part of one, with what changed told by the system.
//!
//! The system's picture is copied on the GPU, where it changed, and given back; frames are memory that the
//! GPU copied it to. The CPU copies only what must be turned or brought from HDR to sRGB. What to do with
//! what the system tells is in [`duplication`](crate::duplication).

mod output;
#[allow(unsafe_code)]
mod sys;

use super::CaptureEntry;
use super::win32::{self, Place};
use crate::control::Control;
use crate::duplication::Options;
use crate::{
    CaptureBackend, CaptureConfig, CaptureError, CaptureErrorKind, CaptureInfo, CaptureSink, CaptureSource,
    FrameMemory, clock,
};
use output::DxgiOutput;

/// The backend's line in the list.
pub(super) const ENTRY: CaptureEntry = CaptureEntry { name: NAME, list, open };

const NAME: &str = "dxgi";

type Session = crate::duplication::Session<DxgiOutput>;

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

/// Duplicates the output that the source is on. Also tells what is not as good as it could be.
fn open_session(config: &CaptureConfig) -> Result<(Session, Option<String>), CaptureError> {
    let doing = "looking for the source";
    let error = |kind| CaptureError::new(kind, NAME, doing);
    let place = Place::find(&config.target).map_err(|why| error(why.kind()).with_source(why))?;
    let (monitor, part) = match place {
        Place::Monitor { monitor, part } => (monitor, part),
        Place::Window(_) | Place::Desktop(_) => {
            return Err(error(CaptureErrorKind::Unsupported).with_source(format!(
                "{} is not on one monitor alone, and an output is all that DXGI can duplicate",
                config.target
            )));
        }
    };
    let whole = (part.width, part.height) == (monitor.area.width, monitor.area.height);
    let options = Options {
        area: (!whole).then_some(part),
        rate: config.frame_rate,
        cursor: config.cursor,
        gpu: config.memory == FrameMemory::Gpu,
        compare: false,
    };
    let note = (options.gpu && options.cursor)
        .then(|| "frames are in CPU memory: the cursor is drawn there".to_owned());
    Ok((Session::open(DxgiOutput::new(monitor.device), options, clock::now)?, note))
}

impl win32::Session for Session {
    const THREAD: &'static str = "yc-dxgi";

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
    fn what_is_not_on_one_monitor_is_not_supported() {
        let error = refused("synthetic");
        assert_eq!(error.kind(), CaptureErrorKind::Unsupported);
        assert!(error.to_string().contains("synthetic"), "{error}");
        let error = refused("monitor:99");
        assert_eq!(error.kind(), CaptureErrorKind::NotFound);
        assert!(error.to_string().contains("monitor 99 is not one of 0 to "), "{error}");
        assert_eq!(refused("region:9x9+16000+0").kind(), CaptureErrorKind::InvalidInput);
    }

    #[test]
    fn wine_duplicates_no_output_and_says_so() {
        for target in ["monitor:0", "screen", "region:64x64+0+0"] {
            let error = refused(target);
            assert_eq!(error.kind(), CaptureErrorKind::Unsupported, "{error}");
            let text = error.to_string();
            assert!(text.contains("cannot duplicate outputs") && text.contains("0x80004001"), "{text}");
        }
    }

    #[test]
    fn it_lists_nothing_of_its_own() {
        assert_eq!(list().unwrap(), []);
    }
}
