//! What every capture backend does.

use std::fmt;

use yc_media::{FrameRate, Resolution, VideoFrame};

use crate::CaptureError;

/// Where a capture hands its events. It is called on the backend's own thread, so it must not block.
pub type CaptureSink = Box<dyn FnMut(CaptureEvent) + Send>;

/// One capture of one source.
///
/// # Contract
///
/// - Nothing is delivered before [`start`](Self::start) and nothing after [`stop`](Self::stop) returned.
/// - The first event is a frame or the reason why there is none.
/// - A frame is delivered only when the picture may have changed: an unchanged screen is silent. Frames
///   come at most at the configured rate, with strictly increasing capture times.
/// - After [`CaptureEvent::Ended`] or [`CaptureEvent::Failed`] nothing follows.
/// - `stop` is idempotent and returns within 250 ms; dropping stops.
pub trait CaptureBackend: Send + fmt::Debug {
    /// Facts fixed at opening.
    fn info(&self) -> &CaptureInfo;

    /// Starts to deliver events to `sink`, on a thread of the backend's own.
    ///
    /// # Errors
    ///
    /// If the capture runs already, or the source can no longer be captured.
    fn start(&mut self, sink: CaptureSink) -> Result<(), CaptureError>;

    /// Paces frames to at most `rate` from the next frame on. May be called at any time.
    fn set_frame_rate(&mut self, rate: FrameRate);

    /// Delivers the current picture as a frame once more, even if nothing changed, as soon as the source
    /// can give it. May be called at any time.
    fn request_frame(&mut self);

    /// Stops. Nothing is delivered after it returns.
    fn stop(&mut self);
}

/// What a backend knows of its capture when it is opened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CaptureInfo {
    /// The backend's name, as in its [`CaptureEntry`](crate::CaptureEntry).
    pub backend: &'static str,
    /// The size of the source when it was opened, in pixels.
    pub size: Resolution,
    /// The clock that stamps the frames, by its name in the OS's documentation.
    pub clock: &'static str,
    /// Why it is this backend, where there was a choice, in words.
    pub why: Option<String>,
    /// What is not as good as it could be on this machine, in words for the user.
    pub note: Option<String>,
}

impl CaptureInfo {
    /// The facts of one opened capture.
    pub fn new(backend: &'static str, size: Resolution, clock: &'static str) -> Self {
        Self { backend, size, clock, why: None, note: None }
    }
}

/// What a capture tells.
#[derive(Debug)]
#[non_exhaustive]
pub enum CaptureEvent {
    /// A picture that may differ from the one before it.
    Frame(VideoFrame),
    /// The source has a new size; the frames after this have it.
    Resized(Resolution),
    /// There is nothing to see for now; the last picture stands.
    Paused(PauseReason),
    /// There are pictures again.
    Resumed,
    /// Whether the pictures are black all over, told when that changes and from some in a row on: protected
    /// content and some drivers' faults look like it, and so does a screen that is black.
    Blank(bool),
    /// The source is gone. The last event.
    Ended(EndReason),
    /// The capture broke. The last event.
    Failed(CaptureError),
}

/// Why a source shows nothing for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PauseReason {
    /// The window is minimised or unmapped.
    Unmapped,
    /// Part of the window lies outside the screen, and this display cannot capture it there.
    OffScreen,
    /// The desktop is locked, shows a question of the system's, or belongs to another session.
    DesktopUnavailable,
}

/// Why a source is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndReason {
    /// The window was closed.
    WindowClosed,
    /// The monitor was removed.
    MonitorRemoved,
    /// A recording came to its end.
    EndOfFile,
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WindowClosed => "the window was closed",
            Self::MonitorRemoved => "the monitor was removed",
            Self::EndOfFile => "the recording ended",
        })
    }
}
