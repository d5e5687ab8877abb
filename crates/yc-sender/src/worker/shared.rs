//! What the threads of one sender share, and what the capture's thread does with it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::Sender;
use yc_capture::{CaptureEvent, CaptureSink};
use yc_media::RateTarget;

use crate::failure::{self, Action};
use crate::metrics::Metrics;
use crate::{FrameQueue, KeyframeCause, SenderConfig, SenderEvent, SenderState, StopReason, TransportWaker};

/// What the threads of one sender share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(super) queue: FrameQueue,
    metrics: Metrics,
    orders: Mutex<Orders>,
    wanted: Mutex<Option<KeyframeCause>>,
    /// How long what waits to be sent takes to leave, in microseconds.
    backlog: AtomicU64,
    max_backlog: Duration,
    stopping: AtomicBool,
    events: Sender<SenderEvent>,
    waker: TransportWaker,
}

/// What the sending side wants of the encoding side.
#[derive(Debug, Default)]
pub(super) struct Orders {
    pub(super) keyframe: Option<KeyframeCause>,
    pub(super) target: Option<RateTarget>,
}

impl Shared {
    pub(crate) fn new(
        config: &SenderConfig,
        metrics: Metrics,
        events: Sender<SenderEvent>,
        waker: TransportWaker,
    ) -> Self {
        Self {
            queue: FrameQueue::new(config.frame_queue_capacity),
            metrics,
            orders: Mutex::default(),
            wanted: Mutex::default(),
            backlog: AtomicU64::new(0),
            max_backlog: config.pacing.max_backlog,
            stopping: AtomicBool::new(false),
            events,
            waker,
        }
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Ends the sender for `reason`, if nothing ended it before.
    pub(crate) fn finish(&self, reason: StopReason, detail: Option<String>) {
        {
            let mut life = self.metrics.life();
            if life.stop_reason.is_some() {
                return;
            }
            life.stop_reason = Some(reason);
            life.state = if reason.is_failure() { SenderState::Failed } else { SenderState::Stopped };
        }
        match &detail {
            Some(detail) => tracing::warn!(%reason, detail, "the sender stops"),
            None => tracing::info!(%reason, "the sender stops"),
        }
        self.send_event(SenderEvent::SenderStopped { reason, detail });
        self.stopping.store(true, Ordering::Release);
        self.queue.close();
        self.waker.wake();
    }

    /// Asks the session for a key frame.
    pub(crate) fn request_keyframe_from_session(&self, cause: KeyframeCause) {
        lock(&self.wanted).get_or_insert(cause);
        self.waker.wake();
    }

    pub(super) fn emit(&self, event: SenderEvent) {
        if !self.is_stopping() {
            self.send_event(event);
        }
    }

    /// What the session wants since it was asked last.
    pub(super) fn take_orders(&self) -> Orders {
        std::mem::take(&mut *lock(&self.orders))
    }

    /// The key frame that the app wants since it was asked last.
    pub(super) fn take_wanted_keyframe(&self) -> Option<KeyframeCause> {
        lock(&self.wanted).take()
    }

    /// Says how long what waits to be sent takes to leave.
    pub(super) fn set_backlog(&self, backlog: Duration) {
        self.backlog.store(backlog.as_micros() as u64, Ordering::Relaxed);
    }

    /// Something is there to be sent.
    pub(super) fn wake_sending(&self) {
        self.waker.wake();
    }

    fn send_event(&self, event: SenderEvent) {
        if self.events.try_send(event).is_err() {
            self.metrics.life().events_lost += 1;
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    pub(super) fn backlog_is_full(&self) -> bool {
        Duration::from_micros(self.backlog.load(Ordering::Relaxed)) > self.max_backlog
    }

    pub(super) fn order(&self, change: impl FnOnce(&mut Orders)) {
        change(&mut lock(&self.orders));
        self.queue.wake();
    }
}

/// Takes what the capture tells: frames into the queue, the rest to the app.
pub(crate) fn capture_sink(shared: Arc<Shared>) -> CaptureSink {
    Box::new(move |event| match event {
        CaptureEvent::Frame(frame) => {
            let (size, captured_at) = (frame.size(), frame.captured_at());
            let dropped = shared.queue.push(frame);
            let mut stats = shared.metrics.capture();
            stats.frames += 1;
            stats.queue_full += dropped as u64;
            stats.size = Some(size);
            stats.first_at.get_or_insert(captured_at);
        }
        CaptureEvent::Resized(size) => shared.emit(SenderEvent::SourceResized { size }),
        CaptureEvent::Paused(_) => shared.emit(SenderEvent::SourcePaused),
        CaptureEvent::Resumed => shared.emit(SenderEvent::SourceResumed),
        CaptureEvent::Ended(reason) => shared.finish(failure::on_capture_end(reason), None),
        CaptureEvent::Failed(error) => match failure::on_capture_error(error.kind()) {
            Action::Stop(reason) => shared.finish(reason, Some(error.to_string())),
            Action::Count | Action::SkipFrame => {}
        },
        _ => {}
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Only whole values are assigned under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
