//! Plays a recording as if it were a screen: Y4M as I420, or raw BGRA.
//!
//! A Y4M file plays at its own rate; frames above the configured rate are passed over. A raw file has no
//! rate and plays at the configured one. After its last frame the capture ends.

mod recording;
mod y4m;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use yc_media::{CaptureTime, CpuBuffer, FrameBuffer, FrameRate, Resolution, VideoFrame};

use super::CaptureEntry;
use crate::control::{Control, Wake, Worker};
use crate::pace::Pace;
use crate::pool::Pool;
use crate::{
    CaptureBackend, CaptureConfig, CaptureError, CaptureErrorKind, CaptureEvent, CaptureInfo, CaptureSink,
    CaptureSource, CaptureTarget, EndReason, clock,
};
use recording::Recording;

/// The backend's line in the list.
pub(super) const ENTRY: CaptureEntry = CaptureEntry { name: NAME, list, open };

const NAME: &str = "replay";

#[derive(Debug)]
struct ReplayCapture {
    info: CaptureInfo,
    path: PathBuf,
    raw_size: Option<Resolution>,
    rate: FrameRate,
    /// Opened with the capture, for its first start.
    recording: Option<Recording>,
    running: Option<(Arc<Control>, Worker)>,
}

/// Recordings are files that the caller names: there is nothing to list.
fn list() -> Result<Vec<CaptureSource>, CaptureError> {
    Ok(Vec::new())
}

fn open(config: &CaptureConfig) -> Result<Box<dyn CaptureBackend>, CaptureError> {
    let CaptureTarget::Replay { path, raw_size } = &config.target else {
        return Err(CaptureError::new(CaptureErrorKind::Unsupported, NAME, "opening the source")
            .with_source(format!("{} is not a recording", config.target)));
    };
    let recording = Recording::open(path, *raw_size, config.frame_rate)?;
    Ok(Box::new(ReplayCapture {
        info: CaptureInfo::new(NAME, recording.size(), clock::NAME),
        path: path.clone(),
        raw_size: *raw_size,
        rate: config.frame_rate,
        recording: Some(recording),
        running: None,
    }))
}

impl CaptureBackend for ReplayCapture {
    fn info(&self) -> &CaptureInfo {
        &self.info
    }

    /// Plays from the beginning, after a stop too.
    fn start(&mut self, sink: CaptureSink) -> Result<(), CaptureError> {
        if self.running.as_ref().is_some_and(|(_, worker)| worker.is_running()) {
            return Err(CaptureError::already_running(NAME));
        }
        let recording = match self.recording.take() {
            Some(recording) => recording,
            None => Recording::open(&self.path, self.raw_size, self.rate)?,
        };
        let control = Arc::new(Control::new(self.rate));
        let mut player =
            Player { recording, control: Arc::clone(&control), pool: Pool::new(), last: None, sink };
        let worker = Worker::spawn("yc-replay", Arc::clone(&control), move || player.run())
            .map_err(|error| CaptureError::no_thread(NAME, error))?;
        self.running = Some((control, worker));
        Ok(())
    }

    fn set_frame_rate(&mut self, rate: FrameRate) {
        self.rate = rate;
        if let Some(recording) = &mut self.recording {
            recording.set_rate(rate);
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

/// What runs on the thread.
struct Player {
    recording: Recording,
    control: Arc<Control>,
    pool: Pool<Vec<u8>, ()>,
    /// The frame delivered last, for a request to see it again.
    last: Option<VideoFrame>,
    sink: CaptureSink,
}

impl Player {
    fn run(&mut self) {
        let end = match self.play() {
            Ok(Some(reason)) => CaptureEvent::Ended(reason),
            Ok(None) => return,
            Err(error) => CaptureEvent::Failed(error),
        };
        if !self.control.stopping() {
            (self.sink)(end);
        }
    }

    /// Plays to the end; `None` if it was stopped before.
    fn play(&mut self) -> Result<Option<EndReason>, CaptureError> {
        // Frame `origin.0` of the recording is on at `origin.1`.
        let mut origin = (0, clock::now());
        let mut pace = Pace::new(self.control.rate(), origin.1);
        loop {
            let next = self.recording.next();
            let on = origin.1 + nanoseconds(self.recording.rate().time_of(next - origin.0));
            match self.control.wait_until(Some(on.max(pace.due()))) {
                Wake::Stop => return Ok(None),
                Wake::Rate(rate) => {
                    let now = clock::now();
                    pace.set_rate(rate, now);
                    self.recording.set_rate(rate);
                    // The frame that comes next is on when it was, or one interval from now.
                    origin = (next, on.min(now + nanoseconds(self.recording.rate().time_of(1))));
                }
                Wake::Refresh => {
                    if let Some(last) = &self.last {
                        let repeated = last.repeated_at(later(last.captured_at(), clock::now()));
                        self.deliver(repeated);
                    }
                }
                Wake::Due => {
                    let now = clock::now();
                    let elapsed = now.saturating_since(origin.1).as_nanos();
                    let wanted = origin.0 + self.recording.rate().frame_at(elapsed);
                    while self.recording.next() < wanted {
                        if !self.recording.skip()? {
                            return Ok(Some(EndReason::EndOfFile));
                        }
                    }
                    if !self.show_next(now)? {
                        return Ok(Some(EndReason::EndOfFile));
                    }
                    pace.taken(now);
                }
            }
        }
    }

    /// Reads and delivers the next frame. `false` at the end.
    fn show_next(&mut self, now: CaptureTime) -> Result<bool, CaptureError> {
        let bytes = self.recording.frame_bytes();
        let Ok(slot) = self.pool.take(|| Ok::<_, std::convert::Infallible>((vec![0; bytes], ())));
        let Some(slot) = slot else {
            tracing::trace!(frame = self.recording.next(), "every picture is still in use: frame skipped");
            return self.recording.skip();
        };
        if !self.recording.read(slot.parts().0)? {
            return Ok(false);
        }
        let (planes, count) = self.recording.planes();
        let (format, size) = (self.recording.format(), self.recording.size());
        let buffer = CpuBuffer::new(slot.share(), format, size, &planes[..count])
            .expect("the memory was made for this size");
        let time = self.last.as_ref().map_or(now, |last| later(last.captured_at(), now));
        self.deliver(VideoFrame::new(FrameBuffer::Cpu(buffer), time));
        Ok(true)
    }

    fn deliver(&mut self, frame: VideoFrame) {
        self.last = Some(frame.clone());
        (self.sink)(CaptureEvent::Frame(frame));
    }
}

/// `now`, or just after `last` on a clock too coarse to tell them apart.
fn later(last: CaptureTime, now: CaptureTime) -> CaptureTime {
    now.max(last + Duration::from_nanos(1))
}

fn nanoseconds(nanos: u128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}
