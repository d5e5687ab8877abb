//! The built-in moving desktop as a capture.

use std::sync::Arc;

use yc_media::{
    CaptureTime, CpuBuffer, FrameBuffer, FrameRate, PixelFormat, PlaneLayout, Rect, Resolution, VideoFrame,
};

use super::CaptureEntry;
use crate::control::{Control, Wake, Worker};
use crate::pace::Pace;
use crate::pool::Pool;
use crate::synthetic::{Scene, SceneKind, damage_of};
use crate::{
    CaptureBackend, CaptureConfig, CaptureError, CaptureErrorKind, CaptureEvent, CaptureInfo, CaptureSink,
    CaptureSource, CaptureTarget, SourceKind, clock,
};

/// The backend's line in the list.
pub(super) const ENTRY: CaptureEntry = CaptureEntry { name: NAME, list, open };

const NAME: &str = "synthetic";

/// Captures the built-in moving desktop: see [`synthetic`](crate::synthetic). It counts frames at the
/// configured rate from its start, and skips numbers when the machine is late.
#[derive(Debug)]
pub struct SyntheticCapture {
    info: CaptureInfo,
    kind: SceneKind,
    rate: FrameRate,
    running: Option<(Arc<Control>, Worker)>,
}

impl SyntheticCapture {
    /// A capture of the scene `kind` in pictures of `size`, at `rate`.
    pub fn new(size: Resolution, kind: SceneKind, rate: FrameRate) -> Self {
        Self { info: CaptureInfo::new(NAME, size, clock::NAME), kind, rate, running: None }
    }
}

impl CaptureBackend for SyntheticCapture {
    fn info(&self) -> &CaptureInfo {
        &self.info
    }

    fn start(&mut self, sink: CaptureSink) -> Result<(), CaptureError> {
        if self.running.as_ref().is_some_and(|(_, worker)| worker.is_running()) {
            return Err(CaptureError::already_running(NAME));
        }
        let scene = Scene::new(self.info.size, self.kind);
        let control = Arc::new(Control::new(self.rate));
        let mut player = Player {
            scene,
            control: Arc::clone(&control),
            pool: Pool::new(),
            changed: Vec::new(),
            delivered: None,
            sink,
        };
        let worker = Worker::spawn("yc-synthetic", Arc::clone(&control), move || player.run())
            .map_err(|error| CaptureError::no_thread(NAME, error))?;
        self.running = Some((control, worker));
        Ok(())
    }

    fn set_frame_rate(&mut self, rate: FrameRate) {
        self.rate = rate;
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

fn list() -> Result<Vec<CaptureSource>, CaptureError> {
    let size = Resolution::new(1920, 1080).expect("1920x1080 is inside the bounds");
    let target = CaptureTarget::Synthetic(size);
    Ok(vec![CaptureSource::new(target, SourceKind::Test, "Synthetic desktop".to_owned(), size, NAME)])
}

fn open(config: &CaptureConfig) -> Result<Box<dyn CaptureBackend>, CaptureError> {
    match config.target {
        CaptureTarget::Synthetic(size) => {
            Ok(Box::new(SyntheticCapture::new(size, SceneKind::default(), config.frame_rate)))
        }
        ref other => Err(CaptureError::new(CaptureErrorKind::Unsupported, NAME, "opening the source")
            .with_source(format!("{other} is not a synthetic source"))),
    }
}

/// What runs on the thread.
struct Player {
    scene: Scene,
    control: Arc<Control>,
    /// Each memory knows which frame it shows.
    pool: Pool<Vec<u8>, Option<u32>>,
    changed: Vec<Rect>,
    /// The frame delivered last: its number and its time.
    delivered: Option<(u32, CaptureTime)>,
    sink: CaptureSink,
}

impl Player {
    fn run(&mut self) {
        let mut rate = self.control.rate();
        let mut pace = Pace::new(rate, clock::now());
        // Frame number and time that the numbers count from: moved when the rate changes.
        let mut origin = (0, pace.due());
        let mut still = false;
        loop {
            let wake = self.control.wait_until((!still).then(|| pace.due()));
            let now = clock::now();
            // Rounded: the beat's rounded interval and a late wake-up must not repeat a number.
            let elapsed = now.saturating_since(origin.1).as_nanos() * u128::from(rate.as_fps());
            let mut n = origin.0 + ((elapsed + 500_000_000) / 1_000_000_000) as u32;
            match wake {
                Wake::Stop => return,
                Wake::Rate(new) => {
                    rate = new;
                    origin = (n, now);
                    pace.set_rate(new, now);
                    continue;
                }
                Wake::Refresh => n = self.delivered.map_or(n, |(shown, _)| shown),
                Wake::Due => {}
            }
            self.deliver(n, now);
            pace.taken(now);
            still = self.scene.kind() == SceneKind::Static && self.delivered.is_some();
        }
    }

    fn deliver(&mut self, n: u32, now: CaptureTime) {
        let size = self.scene.size();
        let stride = size.width() as usize * 4;
        let make = || Ok::<_, std::convert::Infallible>((vec![0; stride * size.height() as usize], None));
        let Ok(slot) = self.pool.take(make);
        let Some(slot) = slot else {
            tracing::trace!(n, "every picture is still in use: frame skipped");
            return;
        };
        let (pixels, shown) = slot.parts();
        match *shown {
            Some(from) => self.scene.update(from, n, pixels, stride, &mut self.changed),
            None => self.scene.render(n, pixels, stride),
        }
        *shown = Some(n);
        let buffer =
            CpuBuffer::new(slot.share(), PixelFormat::Bgra8, size, &[PlaneLayout { offset: 0, stride }])
                .expect("the memory was made for this size");
        // Two frames on one tick of a coarse clock still get times of their own.
        let time = match self.delivered {
            Some((_, last)) if now <= last => last + std::time::Duration::from_nanos(1),
            _ => now,
        };
        let mut frame = VideoFrame::new(FrameBuffer::Cpu(buffer), time);
        if let Some((last, _)) = self.delivered {
            self.changed.clear();
            self.scene.changes(last, n, &mut self.changed);
            frame = frame.with_damage(damage_of(&self.changed));
        }
        self.delivered = Some((n, time));
        (self.sink)(CaptureEvent::Frame(frame));
    }
}
