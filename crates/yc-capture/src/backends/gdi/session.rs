//! One capture of one source, from its first picture to its end.

use std::time::Duration;

use yc_media::Resolution;

use super::NAME;
use super::pictures::Pictures;
use super::source::{Source, Status, View};
use super::sys;
use crate::backends::win32::{self, DpiAware};
use crate::control::{Control, Wake};
use crate::pace::Pace;
use crate::{
    CaptureConfig, CaptureError, CaptureErrorKind, CaptureEvent, CaptureSink, EndReason, PauseReason, clock,
};

/// A source that was found and can be captured.
#[derive(Debug)]
pub(super) struct Session {
    config: CaptureConfig,
    source: Source,
    size: Resolution,
}

impl win32::Session for Session {
    const THREAD: &'static str = "yc-gdi";

    fn open(config: &CaptureConfig) -> Result<Self, CaptureError> {
        let _pixels = DpiAware::enter();
        let source = Source::find(&config.target)?;
        let size = match source.status()? {
            Status::Visible(View { size, .. }) | Status::Hidden(size) => size,
            Status::Gone(reason) => {
                return Err(CaptureError::new(CaptureErrorKind::NotFound, NAME, "looking at the source")
                    .with_source(format!("{}: {reason}", config.target)));
            }
        };
        Ok(Self { config: config.clone(), source, size })
    }

    fn run(self, control: &Control, mut sink: CaptureSink) {
        let _pixels = DpiAware::enter();
        let last = match self.capture(control, &mut sink) {
            Ok(Some(reason)) => CaptureEvent::Ended(reason),
            Ok(None) => return,
            Err(error) => CaptureEvent::Failed(error),
        };
        if !control.stopping() {
            sink(last);
        }
    }
}

impl Session {
    pub(super) fn size(&self) -> Resolution {
        self.size
    }

    /// `None` if it was stopped.
    fn capture(&self, control: &Control, sink: &mut CaptureSink) -> Result<Option<EndReason>, CaptureError> {
        let mut pace = Pace::new(control.rate(), clock::now());
        let mut pictures = Pictures::new(self.size, self.config.cursor).map_err(failed)?;
        let mut paused = None;
        let mut wanted = false;
        let mut refusals = 0;
        loop {
            match control.wait_until(Some(pace.due())) {
                Wake::Stop => return Ok(None),
                Wake::Rate(rate) => {
                    pace.set_rate(rate, clock::now());
                    continue;
                }
                // It comes with the next picture, at most one interval from now.
                Wake::Refresh => {
                    wanted = true;
                    continue;
                }
                Wake::Due => pace.taken(clock::now()),
            }
            let view = match self.source.status()? {
                Status::Gone(reason) => return Ok(Some(reason)),
                Status::Hidden(_) => Err(PauseReason::Unmapped),
                Status::Visible(view) => Ok(view),
            };
            let taken = view.and_then(|view| {
                if pictures.set_size(view.size) {
                    sink(CaptureEvent::Resized(view.size));
                }
                match pictures.take(view, wanted) {
                    // The machine is locked, or asks for consent, on another desktop that nobody may read.
                    Err(_) if !sys::sees_input_desktop() => Err(PauseReason::DesktopUnavailable),
                    taken => Ok(taken),
                }
            });
            match taken {
                Ok(Ok(taken)) => {
                    refusals = 0;
                    if paused.take().is_some() {
                        sink(CaptureEvent::Resumed);
                    }
                    if let Some(blank) = taken.blank {
                        sink(CaptureEvent::Blank(blank));
                    }
                    if let Some(frame) = taken.frame {
                        wanted = false;
                        sink(CaptureEvent::Frame(frame));
                    }
                }
                // A window that is closed just now is refused once: the next look finds out.
                Ok(Err(error)) if refusals == MOST_REFUSALS => return Err(failed(error)),
                Ok(Err(error)) => {
                    refusals += 1;
                    tracing::debug!(%error, refusals, "GDI refused a picture");
                }
                Err(reason) => {
                    if paused.replace(reason) != Some(reason) {
                        sink(CaptureEvent::Paused(reason));
                    }
                    // With nothing to see, a look now and then is enough.
                    pace = Pace::new(control.rate(), clock::now() + HIDDEN_INTERVAL);
                }
            }
        }
    }
}

fn failed(error: windows::core::Error) -> CaptureError {
    CaptureError::new(CaptureErrorKind::Failed, NAME, "taking a picture").with_source(error)
}

/// Between two looks at a source that is hidden.
const HIDDEN_INTERVAL: Duration = Duration::from_millis(100);

/// How often in a row GDI may refuse a picture of a source that is there.
const MOST_REFUSALS: u32 = 10;
