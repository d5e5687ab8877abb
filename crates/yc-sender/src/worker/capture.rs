//! The capture's owner: opens, starts, asks and stops it, each call watched. Pictures do not pass here: the
//! backend's own thread puts them into the queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::Receiver;
use yc_capture::{CaptureBackend, CaptureEvent, CaptureSink};
use yc_media::{Damage, FrameRate, VideoFrame};

use super::shared::{Report, Shared};
use super::stage::{Call, Stage};
use crate::failure::{self, Failure};
use crate::{OpenCapture, SenderEvent};

/// What the owner of a capture is told to do.
#[derive(Debug)]
pub(super) enum CaptureOrder {
    Start,
    SetFrameRate(FrameRate),
    /// Ask for the present picture, to see that the capture lives and misses nothing.
    Probe,
    Stop,
}

/// Owns one capture from opening to closing. Ends when told to, or when nobody can tell it any more.
pub(super) fn run_capture(
    shared: &Arc<Shared>,
    stage: &Arc<Stage>,
    open: &OpenCapture,
    orders: &Receiver<CaptureOrder>,
) {
    let _span = tracing::debug_span!("capture", generation = stage.generation).entered();
    let opened = stage.call(Call::Open, || open().map(|capture| (capture.info().clone(), capture)));
    let mut capture = match opened {
        Ok((info, capture)) => {
            shared.report(Report::CaptureOpened(stage.generation, Ok(info)));
            capture
        }
        Err(error) => return shared.report(Report::CaptureOpened(stage.generation, Err(error))),
    };
    let probing = Arc::new(AtomicBool::new(false));
    while let Ok(order) = orders.recv() {
        match order {
            CaptureOrder::Start => {
                let sink = sink(Arc::clone(shared), Arc::clone(stage), Arc::clone(&probing));
                let started = stage.call(Call::Start, || capture.start(sink));
                shared.report(Report::CaptureStarted(stage.generation, started));
            }
            CaptureOrder::SetFrameRate(rate) => {
                stage.call(Call::SetFrameRate, || capture.set_frame_rate(rate));
            }
            CaptureOrder::Probe => {
                probing.store(true, Ordering::Release);
                stage.call(Call::RequestFrame, || capture.request_frame());
            }
            CaptureOrder::Stop => break,
        }
        if stage.is_revoked() {
            break;
        }
    }
    close(stage, capture);
}

fn close(stage: &Stage, mut capture: Box<dyn CaptureBackend>) {
    stage.call(Call::StopCapture, || capture.stop());
    stage.call(Call::Drop, || drop(capture));
}

/// Takes what the capture tells: pictures into the queue, the rest to the app or the supervisor.
fn sink(shared: Arc<Shared>, stage: Arc<Stage>, probing: Arc<AtomicBool>) -> CaptureSink {
    let mut first = true;
    let edge = Edge(shared, stage);
    Box::new(move |event| {
        let Edge(shared, stage) = &edge;
        if stage.is_revoked() {
            return;
        }
        match event {
            CaptureEvent::Frame(frame) => {
                if first {
                    first = false;
                    shared.report(Report::FirstOutput(stage.generation));
                }
                let probe = probing.swap(false, Ordering::AcqRel);
                take_frame(shared, frame, probe);
            }
            CaptureEvent::Resized(size) => shared.emit(SenderEvent::SourceResized { size }),
            CaptureEvent::Paused(_) => {
                shared.metrics().capture().paused = true;
                shared.emit(SenderEvent::SourcePaused);
            }
            CaptureEvent::Resumed => {
                shared.metrics().capture().paused = false;
                shared.emit(SenderEvent::SourceResumed);
            }
            CaptureEvent::Blank(blank) => shared.metrics().capture().blank = blank,
            CaptureEvent::Ended(reason) => shared.finish(failure::on_capture_end(reason), None),
            CaptureEvent::Failed(error) => shared.report(Report::CaptureFailed(stage.generation, error)),
            _ => {}
        }
    })
}

/// The edge of the backend's own thread, which is not ours to catch: a panic there drops its sink.
struct Edge(Arc<Shared>, Arc<Stage>);

impl Drop for Edge {
    fn drop(&mut self) {
        let Self(shared, stage) = self;
        if std::thread::panicking() && !stage.is_revoked() {
            let reason = failure::judge(Failure::Panicked).reason;
            shared.finish(reason, Some("the capture's own thread panicked".to_owned()));
        }
    }
}

/// One picture; `probe` says that it was asked for, and is of interest only if it is another than the last.
fn take_frame(shared: &Shared, frame: VideoFrame, probe: bool) {
    let (size, captured_at) = (frame.size(), frame.captured_at());
    let last = shared.keep_last(&frame);
    let same = probe && last.is_some_and(|last| shows_the_same(&last, &frame));
    let damaged = damaged_share(&frame);
    let dropped = if same { 0 } else { shared.queue.push(frame) };
    let mut stats = shared.metrics().capture();
    stats.on_seen(probe, same);
    if same {
        return;
    }
    stats.frames += 1;
    stats.damaged += f64::from(damaged);
    stats.queue_full += dropped as u64;
    stats.size = Some(size);
    stats.first_at.get_or_insert(captured_at);
}

/// Whether two pictures in CPU memory show the same. Those on a GPU cannot be looked at: they do.
fn shows_the_same(last: &VideoFrame, frame: &VideoFrame) -> bool {
    use yc_media::FrameBuffer::Cpu;
    let (Cpu(a), Cpu(b)) = (last.buffer(), frame.buffer()) else { return true };
    if (a.size(), a.format(), last.visible()) != (b.size(), b.format(), frame.visible()) {
        return false;
    }
    (0..a.format().planes()).all(|plane| {
        let ((from, stride_a), (to, stride_b)) = (a.plane(plane), b.plane(plane));
        let (bytes, rows) = a.format().plane_size(plane, a.size());
        (0..rows).all(|row| from[row * stride_a..][..bytes] == to[row * stride_b..][..bytes])
    })
}

/// How much of the picture may have changed: 0.0 to 1.0.
fn damaged_share(frame: &VideoFrame) -> f32 {
    match frame.damage() {
        Damage::None => 0.0,
        Damage::Full => 1.0,
        Damage::Part(rect) => {
            let area = u64::from(rect.width) * u64::from(rect.height);
            (area as f32 / frame.size().pixels().max(1) as f32).min(1.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use yc_media::{CaptureTime, CpuBuffer, FrameBuffer, PixelFormat, PlaneLayout, Rect, Resolution};

    use super::*;

    fn at(millis: u64) -> CaptureTime {
        CaptureTime::from_epoch(Duration::from_secs(1_000) + Duration::from_millis(millis))
    }

    fn frame(fill: u8, stride: usize) -> VideoFrame {
        let size = Resolution::new(4, 2).unwrap();
        let mut memory = vec![0xee; stride * 2];
        for row in 0..2 {
            memory[row * stride..][..16].fill(fill);
        }
        let planes = [PlaneLayout { offset: 0, stride }];
        let buffer = CpuBuffer::new(Arc::new(memory), PixelFormat::Bgra8, size, &planes).unwrap();
        VideoFrame::new(FrameBuffer::Cpu(buffer), at(0))
    }

    #[test]
    fn pictures_are_compared_without_what_pads_their_rows() {
        assert!(shows_the_same(&frame(1, 16), &frame(1, 32)));
        assert!(!shows_the_same(&frame(1, 16), &frame(2, 16)));
        let part = frame(1, 16).with_visible(Rect { x: 0, y: 0, width: 2, height: 2 }).unwrap();
        assert!(!shows_the_same(&frame(1, 16), &part));
        let quarter = frame(1, 16).with_damage(Damage::Part(Rect { x: 0, y: 0, width: 2, height: 1 }));
        assert!((damaged_share(&quarter) - 0.25).abs() < 1e-6);
    }
}
