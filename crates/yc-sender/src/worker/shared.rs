//! What the threads of one sender share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, unbounded};
use yc_capture::{CaptureError, CaptureInfo};
use yc_encode::{EncodeError, EncoderInfo};
use yc_media::{CaptureTime, EncodedFrame, FrameRate, RateTarget, VideoFrame};

use super::now;
use super::stage::Stage;
use crate::failure::Failure;
use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;
use crate::{
    FallbackStep, FrameQueue, Goal, KeyframeCause, Reason, SenderConfig, SenderEvent, SenderStatus,
    TransportWaker,
};

/// Access units on their way from the encoder to the sender's thread: half a second at 30 fps. More wait
/// only when that thread is stuck, since what cannot be sent in time is not encoded at all.
const ENCODED_FRAMES_IN_FLIGHT: usize = 16;

/// Events that wait to be taken. More are dropped and counted.
const EVENTS_WAITING: usize = 256;

/// What the threads of one sender share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(super) queue: FrameQueue,
    pub(crate) lifecycle: Lifecycle,
    metrics: Metrics,
    orders: Mutex<Orders>,
    goal: Mutex<Goal>,
    wanted: Mutex<Option<KeyframeCause>>,
    /// The picture captured last: what an encoder that comes into use begins with.
    last: Mutex<Option<VideoFrame>>,
    /// Capture time of the picture encoded last, in nanoseconds.
    last_encoded: AtomicU64,
    /// Whether another picture may be encoded: what waits to be sent leaves soon.
    has_room: AtomicBool,
    encoded: Sender<Encoded>,
    /// What an encoder of an older generation made is not sent.
    encoder_generation: AtomicU64,
    generations: AtomicU64,
    events: Sender<SenderEvent>,
    /// The app's end, for what makes room.
    oldest_event: Receiver<SenderEvent>,
    reports: Sender<Report>,
    waker: OnceLock<TransportWaker>,
}

/// The ends of the channels that one thread each takes from.
#[derive(Debug)]
pub(crate) struct Ends {
    pub(crate) events: Receiver<SenderEvent>,
    pub(crate) encoded: Receiver<Encoded>,
}

/// One access unit on its way to the sender's thread.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub(super) generation: u64,
    pub(super) frame: EncodedFrame,
    pub(super) at: CaptureTime,
}

/// What the sending side wants of the encoding side.
#[derive(Debug, Default)]
pub(super) struct Orders {
    pub(super) keyframe: Option<KeyframeCause>,
    pub(super) goal: Option<Goal>,
}

/// What the stages tell the supervisor, by generation. A stage tells only a few of these in its life, so the
/// channel needs no bound.
#[derive(Debug)]
pub(crate) enum Report {
    CaptureOpened(u64, Result<CaptureInfo, CaptureError>),
    CaptureStarted(u64, Result<(), CaptureError>),
    CaptureFailed(u64, CaptureError),
    EncoderOpened(u64, Result<EncoderInfo, EncodeError>),
    EncoderFailed(u64, Failure, String),
    /// The first picture or access unit came out of a stage.
    FirstOutput(u64),
    /// The capture shall be paced so.
    FrameRate(FrameRate),
    /// The sender stops.
    Stopping,
}

impl Shared {
    /// What is shared, what the app and the sender's thread take from, and what the supervisor does.
    pub(crate) fn new(
        config: &SenderConfig,
        metrics: Metrics,
        target: RateTarget,
    ) -> (Arc<Self>, Ends, Receiver<Report>) {
        let (events_in, events) = bounded(EVENTS_WAITING);
        let (encoded_in, encoded) = bounded(ENCODED_FRAMES_IN_FLIGHT);
        let (reports_in, reports) = unbounded();
        let shared = Self {
            queue: FrameQueue::new(config.frame_queue_capacity),
            lifecycle: Lifecycle::new(),
            metrics,
            orders: Mutex::default(),
            goal: Mutex::new(Goal::new(target, None)),
            wanted: Mutex::default(),
            last: Mutex::default(),
            last_encoded: AtomicU64::new(0),
            has_room: AtomicBool::new(true),
            encoded: encoded_in,
            encoder_generation: AtomicU64::new(0),
            generations: AtomicU64::new(0),
            events: events_in,
            oldest_event: events.clone(),
            reports: reports_in,
            waker: OnceLock::new(),
        };
        (Arc::new(shared), Ends { events, encoded }, reports)
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Everything, as it is now.
    pub(crate) fn status(&self) -> SenderStatus {
        self.metrics.snapshot(now(), self.lifecycle.now())
    }

    /// Ends the sender for `reason`, if nothing ended it before.
    pub(crate) fn finish(&self, reason: Reason, detail: Option<String>) {
        if !self.lifecycle.begin_stop(reason) {
            return;
        }
        match &detail {
            Some(detail) => tracing::warn!(%reason, detail, "the sender stops"),
            None => tracing::info!(%reason, "the sender stops"),
        }
        if reason.is_failure() {
            // Nothing is left to try here: the app takes the browser's path.
            let (step, detail) = (FallbackStep::Browser, detail.clone().unwrap_or_default());
            self.metrics.on_step(step, reason);
            self.send_event(SenderEvent::FallbackTriggered {
                step,
                from: "native",
                to: "browser",
                reason,
                detail,
            });
        }
        self.metrics.life().detail = detail;
        self.queue.close();
        self.report(Report::Stopping);
        self.wake_sending();
    }

    /// It has stopped: tells the app as the last event. `all_ended` says whether every thread ended.
    pub(crate) fn end(&self, all_ended: bool) {
        let reason = self.lifecycle.now().reason.unwrap_or(Reason::Requested);
        let detail = self.metrics.life().detail.clone();
        let mut stopped = SenderEvent::SenderStopped { reason, detail };
        self.lifecycle.end(all_ended, || {
            while let Err(TrySendError::Full(unsent)) = self.events.try_send(stopped) {
                // Nobody takes them, and this one is what an app must not miss: the oldest makes room.
                stopped = unsent;
                let oldest = self.oldest_event.try_recv();
                self.metrics.life().events_lost += u64::from(oldest.is_ok());
            }
        });
    }

    /// The number of a new stage.
    pub(super) fn next_generation(&self) -> u64 {
        self.generations.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Sends what encoders of `generation` and later make, and nothing older.
    pub(super) fn set_encoder_generation(&self, generation: u64) {
        self.encoder_generation.store(generation, Ordering::Release);
    }

    pub(super) fn encoder_generation(&self) -> u64 {
        self.encoder_generation.load(Ordering::Acquire)
    }

    /// How the sender's thread is woken, once there is one.
    pub(crate) fn set_waker(&self, waker: TransportWaker) {
        // A sender starts once.
        let _ = self.waker.set(waker);
    }

    /// Tells the supervisor.
    pub(super) fn report(&self, report: Report) {
        // It takes reports until it has ended the sender; after that they do not matter.
        let _ = self.reports.send(report);
    }

    /// Asks the session for a key frame.
    pub(crate) fn request_keyframe_from_session(&self, cause: KeyframeCause) {
        lock(&self.wanted).get_or_insert(cause);
        self.wake_sending();
    }

    /// Tells the app, unless the sender is stopping.
    pub(super) fn emit(&self, event: SenderEvent) {
        if !self.lifecycle.is_stopping() {
            self.send_event(event);
        }
    }

    /// Tells the app.
    pub(super) fn send_event(&self, event: SenderEvent) {
        if self.events.try_send(event).is_err() {
            self.metrics.life().events_lost += 1;
        }
    }

    /// What the session wants of `stage` since it was asked last: nothing, once that is revoked.
    pub(super) fn take_orders(&self, stage: &Stage) -> Orders {
        let mut orders = lock(&self.orders);
        if stage.is_revoked() {
            return Orders::default();
        }
        std::mem::take(&mut *orders)
    }

    /// The key frame that the app wants since it was asked last.
    pub(super) fn take_wanted_keyframe(&self) -> Option<KeyframeCause> {
        lock(&self.wanted).take()
    }

    /// What to aim at.
    pub(super) fn goal(&self) -> Goal {
        *lock(&self.goal)
    }

    /// Aims at `goal` from now on: encoder, capture, and whatever comes into use later.
    pub(super) fn set_goal(&self, goal: Goal) {
        let before = std::mem::replace(&mut *lock(&self.goal), goal);
        self.metrics.encode().target = goal.target;
        self.order(|orders| orders.goal = Some(goal));
        if before.target.frame_rate != goal.target.frame_rate {
            self.report(Report::FrameRate(goal.target.frame_rate));
        }
    }

    /// Tells the goal to an encoder that comes into use.
    pub(super) fn renew_goal(&self) {
        let goal = self.goal();
        self.order(|orders| orders.goal = Some(goal));
    }

    /// Keeps the picture captured last. Answers with the one before.
    pub(super) fn keep_last(&self, frame: &VideoFrame) -> Option<VideoFrame> {
        lock(&self.last).replace(frame.clone())
    }

    /// The picture captured last.
    pub(super) fn last_captured(&self) -> Option<VideoFrame> {
        lock(&self.last).clone()
    }

    /// Gives the memory of the picture captured last back.
    pub(super) fn forget_last(&self) {
        let last = lock(&self.last).take();
        drop(last);
    }

    /// The capture time of the next picture to encode: `wanted`, or later than that of the one before.
    pub(super) fn next_encode_time(&self, wanted: CaptureTime) -> CaptureTime {
        let last = self.last_encoded.load(Ordering::Acquire);
        let earliest = if last == 0 { Duration::ZERO } else { Duration::from_nanos(last) + ONE_TICK };
        let at = wanted.max(CaptureTime::from_epoch(earliest));
        self.last_encoded.fetch_max(at.since_epoch().as_nanos() as u64, Ordering::AcqRel);
        at
    }

    /// Hands an access unit to the sender's thread. Answers whether there was room.
    pub(super) fn hand_over(&self, encoded: Encoded) -> bool {
        let sent = match self.encoded.try_send(encoded) {
            Ok(()) => true,
            // That thread is stuck; what follows needs the lost frame.
            Err(TrySendError::Full(_)) => false,
            // It ended: the sender stops, and nothing is lost that anybody waits for.
            Err(TrySendError::Disconnected(_)) => true,
        };
        self.wake_sending();
        sent
    }

    /// Says whether another picture may be encoded.
    pub(super) fn set_room(&self, has_room: bool) {
        self.has_room.store(has_room, Ordering::Relaxed);
    }

    pub(super) fn has_room(&self) -> bool {
        self.has_room.load(Ordering::Relaxed)
    }

    pub(super) fn order(&self, change: impl FnOnce(&mut Orders)) {
        change(&mut lock(&self.orders));
        self.queue.wake();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.lifecycle.is_stopping()
    }

    /// The ladder is at `level` now.
    pub(super) fn on_level(&self, level: u8) {
        self.lifecycle.hold_back(level > 0);
    }

    /// Nothing that `stage` does counts from now on.
    pub(super) fn revoke(&self, stage: &Stage) {
        {
            // An order that comes from now on is for the stage that takes its place: see `take_orders`.
            let _orders = lock(&self.orders);
            stage.revoke();
        }
        self.queue.wake_all();
    }

    fn wake_sending(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake();
        }
    }
}

/// One tick of the RTP clock, rounded up: capture times that differ by less share a timestamp.
const ONE_TICK: Duration = Duration::from_nanos(11_112);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Only whole values are assigned under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::stage::StageKind;

    #[test]
    fn an_order_waits_for_the_stage_that_takes_the_place_of_a_revoked_one() {
        let config = SenderConfig::default();
        let target = RateTarget::new(config.bitrate, config.frame_rate, config.max_resolution);
        let (shared, _ends, _reports) = Shared::new(&config, Metrics::new(&config, now(), target), target);
        let [old, new] = [1, 2].map(|generation| Stage::new(StageKind::Encoder, generation));
        shared.order(|orders| orders.keyframe = Some(KeyframeCause::App));
        shared.revoke(&old);
        assert_eq!(shared.take_orders(&old).keyframe, None);
        assert_eq!(shared.take_orders(&new).keyframe, Some(KeyframeCause::App));
        assert_eq!(shared.take_orders(&new).keyframe, None);
    }
}
