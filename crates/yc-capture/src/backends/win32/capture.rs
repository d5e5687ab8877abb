//! What a capture of a Windows desktop is, whichever way its pictures are taken.

use std::fmt;
use std::sync::Arc;

use yc_media::FrameRate;

use super::{Mmcss, OwnWindows};
use crate::control::{Control, Worker};
use crate::{CaptureBackend, CaptureConfig, CaptureError, CaptureInfo, CaptureSink};

/// One capture of one source, from its first picture to its end.
pub(crate) trait Session: fmt::Debug + Send + Sized + 'static {
    /// The name of the thread that it runs on.
    const THREAD: &'static str;

    /// Finds the source.
    fn open(config: &CaptureConfig) -> Result<Self, CaptureError>;

    /// Delivers events until the source ends, the capture breaks or is stopped.
    fn run(self, control: &Control, sink: CaptureSink);
}

/// A backend whose sessions are `S`.
#[derive(Debug)]
pub(crate) struct Capture<S> {
    info: CaptureInfo,
    config: CaptureConfig,
    /// For the first start.
    session: Option<S>,
    running: Option<(Arc<Control>, Worker)>,
}

impl<S: Session> Capture<S> {
    /// With a session for the first start, where one that is opened then would come later.
    pub(crate) fn new(info: CaptureInfo, config: &CaptureConfig, session: Option<S>) -> Self {
        Self { info, config: config.clone(), session, running: None }
    }
}

impl<S: Session> CaptureBackend for Capture<S> {
    fn info(&self) -> &CaptureInfo {
        &self.info
    }

    fn start(&mut self, sink: CaptureSink) -> Result<(), CaptureError> {
        let backend = self.info.backend;
        if self.running.as_ref().is_some_and(|(_, worker)| worker.is_running()) {
            return Err(CaptureError::already_running(backend));
        }
        self.running = None;
        let session = match self.session.take() {
            Some(session) => session,
            None => S::open(&self.config)?,
        };
        let control = Arc::new(Control::new(self.config.frame_rate));
        let thread_control = Arc::clone(&control);
        let (priority, own_windows) = (self.config.high_priority, self.config.own_windows);
        let worker = Worker::spawn(S::THREAD, Arc::clone(&control), move || {
            let _scheduling = priority.then(Mmcss::enter).flatten();
            let _own_windows = (!own_windows).then(OwnWindows::exclude);
            session.run(&thread_control, sink);
        })
        .map_err(|error| CaptureError::no_thread(backend, error))?;
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
