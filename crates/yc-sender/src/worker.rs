//! The threads, and the only place that reads the clock.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use yc_capture::{CaptureBackend, CaptureEvent, CaptureSink, clock};
use yc_encode::{Converter, EncodeError, FrameOptions, VideoEncoderBackend};
use yc_media::{CaptureTime, EncodedFrame, RateTarget, VideoFrame};

use crate::cadence::Cadence;
use crate::failure::{self, Action};
use crate::metrics::Metrics;
use crate::queue::Taken;
use crate::session::Transmit;
use crate::transport::TransportErrorKind;
use crate::{
    FrameQueue, KeyframeCause, PacketTransport, SenderConfig, SenderError, SenderErrorKind, SenderEvent,
    SenderSession, SenderState, SessionAction, StopReason, TransportError, TransportWaker,
};

/// Now, on the capture clock.
pub(crate) fn now() -> CaptureTime {
    clock::now()
}

/// What the threads of one sender share.
#[derive(Debug)]
pub(crate) struct Shared {
    queue: FrameQueue,
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
struct Orders {
    keyframe: Option<KeyframeCause>,
    target: Option<RateTarget>,
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

    fn emit(&self, event: SenderEvent) {
        if !self.is_stopping() {
            self.send_event(event);
        }
    }

    fn send_event(&self, event: SenderEvent) {
        if self.events.try_send(event).is_err() {
            self.metrics.life().events_lost += 1;
        }
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    fn backlog_is_full(&self) -> bool {
        Duration::from_micros(self.backlog.load(Ordering::Relaxed)) > self.max_backlog
    }

    fn order(&self, change: impl FnOnce(&mut Orders)) {
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

/// One of the sender's own threads.
#[derive(Debug)]
pub(crate) struct Worker {
    thread: Option<JoinHandle<()>>,
    ended: Receiver<()>,
}

impl Worker {
    /// Runs `body` on a thread called `name`. A panic in it ends the sender, not the process.
    pub(crate) fn spawn(
        name: &'static str,
        shared: Arc<Shared>,
        body: impl FnOnce() + Send + 'static,
    ) -> Result<Self, SenderError> {
        let (end, ended) = bounded(1);
        let on_failure = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
            if let Err(panic) = result {
                let text = panic
                    .downcast_ref::<&str>()
                    .map(|text| (*text).to_owned())
                    .or_else(|| panic.downcast_ref::<String>().cloned())
                    .unwrap_or_else(|| "no message".to_owned());
                shared.finish(StopReason::InternalError, Some(format!("{name} panicked: {text}")));
            }
            drop(end);
        });
        match thread {
            Ok(thread) => Ok(Self { thread: Some(thread), ended }),
            Err(error) => {
                on_failure.finish(StopReason::InternalError, Some(error.to_string()));
                Err(SenderError::new(SenderErrorKind::Resources, error))
            }
        }
    }
}

/// Waits up to `deadline` in all for the workers to end; abandons the rest. Answers whether all ended.
pub(crate) fn join_all(workers: &mut Vec<Worker>, deadline: Duration) -> bool {
    let until = now() + deadline;
    let mut all = true;
    for mut worker in workers.drain(..) {
        // The other end is dropped when the thread's work is done: that is the signal.
        let _ = worker.ended.recv_timeout(until.saturating_since(now()));
        let ended = matches!(worker.ended.try_recv(), Err(crossbeam_channel::TryRecvError::Disconnected));
        match worker.thread.take() {
            Some(thread) if ended => {
                // It caught its own panics.
                let _ = thread.join();
            }
            _ => {
                tracing::error!(?deadline, "a thread of the sender does not end and is abandoned");
                all = false;
            }
        }
    }
    all
}

/// The encoding side: converter, encoder, and when a still picture is encoded again.
#[derive(Debug)]
pub(crate) struct Encoding {
    converter: Converter,
    encoder: Box<dyn VideoEncoderBackend>,
    cadence: Cadence,
    target: RateTarget,
    encoded: Sender<EncodedFrame>,
    /// The last picture as the encoder took it: what a still screen repeats.
    last: Option<VideoFrame>,
    last_time: CaptureTime,
    /// A captured picture that waits until there is room to send it.
    postponed: Option<VideoFrame>,
    keyframe: Option<KeyframeCause>,
}

/// How often the encoding side looks again while something waits for room to be sent.
const BACKLOG_POLL: Duration = Duration::from_millis(5);
/// How long the encoding side waits for a first picture before it looks around again.
const IDLE_POLL: Duration = Duration::from_secs(1);
/// One tick of the RTP clock, rounded up: capture times that differ by less share a timestamp.
const ONE_TICK: Duration = Duration::from_nanos(11_112);

impl Encoding {
    pub(crate) fn new(
        config: &SenderConfig,
        target: RateTarget,
        converter: Converter,
        encoder: Box<dyn VideoEncoderBackend>,
        encoded: Sender<EncodedFrame>,
    ) -> Self {
        Self {
            converter,
            encoder,
            cadence: Cadence::new(config.still, config.frame_rate.interval()),
            target,
            encoded,
            last: None,
            last_time: CaptureTime::default(),
            postponed: None,
            keyframe: Some(KeyframeCause::Start),
        }
    }

    /// How long to wait for a new picture before something else is due.
    fn timeout(&self, now: CaptureTime) -> Duration {
        if self.postponed.is_some() {
            return BACKLOG_POLL;
        }
        self.cadence.due_at().map_or(IDLE_POLL, |due| due.saturating_since(now))
    }

    /// Encodes what is due: a captured picture, a wanted key frame, or the last picture once more.
    fn step(&mut self, shared: &Shared, captured: Option<VideoFrame>) -> Result<(), EncodeError> {
        if let Some(frame) = captured {
            if let Some(older) = self.postponed.take() {
                shared.metrics.encode().backlog += 1;
                self.postponed = Some(frame.clone().with_damage(older.damage().merge(frame.damage())));
            } else {
                self.postponed = Some(frame);
            }
        }
        if shared.backlog_is_full() {
            return Ok(());
        }
        let started = now();
        if let Some(frame) = self.postponed.take() {
            let picture =
                self.converter.prepare(&frame, self.encoder.info().accepts, self.target.resolution)?;
            // The captured memory goes back to its pool before the encoder runs.
            drop(frame);
            self.cadence.on_fresh(started);
            return self.encode(shared, picture, started);
        }
        let Some(last) = &self.last else { return Ok(()) };
        let wanted = self.keyframe.is_some();
        if !wanted && self.cadence.due_at().is_none_or(|due| due > started) {
            return Ok(());
        }
        let picture = last.repeated_at(started);
        if wanted {
            self.cadence.on_fresh(started);
        } else {
            self.cadence.on_repeat(started);
        }
        shared.metrics.encode().repeated += 1;
        self.encode(shared, picture, started)
    }

    fn encode(
        &mut self,
        shared: &Shared,
        picture: VideoFrame,
        started: CaptureTime,
    ) -> Result<(), EncodeError> {
        // A repeat is stamped when it is made, and may be followed by a picture captured just before.
        let captured_at = picture.captured_at().max(self.last_time + ONE_TICK);
        let picture = picture.with_captured_at(captured_at);
        self.last_time = captured_at;
        let options = if self.keyframe.is_some() { FrameOptions::keyframe() } else { FrameOptions::delta() };
        let size = picture.size();
        let resized = self.last.as_ref().is_some_and(|last| last.size() != size);
        self.encoder.submit(&picture, options)?;
        self.last = Some(picture);
        let mut any = false;
        while let Some(frame) = self.encoder.poll()? {
            any = true;
            self.cadence.on_quantizer(frame.qp);
            self.hand_over(shared, frame, resized);
        }
        let mut stats = shared.metrics.encode();
        stats.on_encode_time(now().saturating_since(started));
        if !any {
            stats.skipped += 1;
        }
        Ok(())
    }

    fn hand_over(&mut self, shared: &Shared, frame: EncodedFrame, resized: bool) {
        let (is_key, size, qp) = (frame.is_key(), frame.size, frame.qp);
        let sent = match self.encoded.try_send(frame) {
            Ok(()) => true,
            // The receiving thread is stuck or gone; what follows needs the lost frame.
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        };
        let mut stats = shared.metrics.encode();
        stats.frames += 1;
        stats.size = Some(size);
        stats.quantizer = qp;
        stats.first_at.get_or_insert_with(now);
        if is_key {
            let unasked = if resized { KeyframeCause::Resize } else { KeyframeCause::Start };
            stats.on_keyframe(self.keyframe.take().unwrap_or(unasked));
        }
        if !sent {
            stats.lost_on_the_way += 1;
            self.keyframe = Some(KeyframeCause::Lost);
        }
        drop(stats);
        shared.waker.wake();
    }

    fn obey(&mut self, shared: &Shared) -> Result<(), EncodeError> {
        let Orders { keyframe, target } = std::mem::take(&mut *lock(&shared.orders));
        self.keyframe = self.keyframe.or(keyframe);
        if let Some(target) = target {
            self.encoder.set_rate(target)?;
            self.cadence.set_frame_interval(target.frame_rate.interval());
            self.target = target;
            shared.metrics.encode().target = target;
        }
        Ok(())
    }
}

/// The encoder's thread. It owns the capture too, so that a capture that hangs in stopping hangs nobody else.
pub(crate) fn run_encode(shared: &Shared, mut capture: Box<dyn CaptureBackend>, mut encoding: Encoding) {
    loop {
        let captured = match shared.queue.take(encoding.timeout(now())) {
            Taken::Closed => break,
            Taken::Nothing => None,
            Taken::Frame { frame, superseded } => {
                shared.metrics.encode().superseded += superseded as u64;
                Some(frame)
            }
        };
        let result = encoding.obey(shared).and_then(|()| encoding.step(shared, captured));
        if let Err(error) = result {
            shared.metrics.encode().failed += 1;
            let action = failure::on_encode_error(error.kind());
            shared.emit(SenderEvent::EncodeError {
                reason: failure::encode_reason(error.kind()),
                detail: error.to_string(),
                fatal: matches!(action, Action::Stop(_)),
            });
            if let Action::Stop(reason) = action {
                shared.finish(reason, Some(error.to_string()));
            }
        }
    }
    capture.stop();
}

/// The largest datagram that a receiver sends us: RTCP compounds stay far below it.
const RECEIVE_BUFFER: usize = 2_048;
/// Datagrams taken in one round, so that a flood of them does not starve what is to be sent.
const RECEIVE_BATCH: usize = 64;
/// How long the sending side waits when it has nothing to wait for.
const SEND_IDLE: Duration = Duration::from_millis(250);

/// The sender's thread: packets out, RTCP in.
pub(crate) fn run_send(
    shared: &Shared,
    mut session: SenderSession,
    mut transport: Box<dyn PacketTransport>,
    encoded: &Receiver<EncodedFrame>,
) {
    let mut datagram = Vec::with_capacity(RECEIVE_BUFFER);
    let mut received = vec![0; RECEIVE_BUFFER];
    let mut errors = ErrorReports::default();
    while !shared.is_stopping() {
        let mut drained = true;
        for round in 0..RECEIVE_BATCH {
            match transport.recv(&mut received) {
                Ok(Some(len)) => session.handle_datagram(now(), &received[..len]),
                Ok(None) => break,
                Err(error) => errors.on_error(shared, &error),
            }
            drained = round + 1 < RECEIVE_BATCH;
        }
        if let Some(cause) = lock(&shared.wanted).take() {
            session.request_keyframe(cause);
        }
        while let Ok(frame) = encoded.try_recv() {
            session.handle_frame(now(), &frame);
        }
        session.handle_timeout(now());
        while let Some(transmit) = session.poll_transmit(now(), &mut datagram) {
            match transport.send(&datagram) {
                Ok(()) => session.on_sent(transmit, datagram.len()),
                Err(error) => {
                    session.on_refused(transmit);
                    errors.on_error(shared, &error);
                }
            }
            if transmit == Transmit::FrameEnd {
                started(shared);
            }
        }
        while let Some(action) = session.poll_action() {
            match action {
                SessionAction::MakeKeyframe(cause) => {
                    shared.order(|o| o.keyframe = o.keyframe.or(Some(cause)))
                }
                SessionAction::SetTarget(target) => shared.order(|o| o.target = Some(target)),
            }
        }
        shared.backlog.store(session.backlog().as_micros() as u64, Ordering::Relaxed);
        session.publish(now(), &mut shared.metrics.send());
        let until = session.poll_timeout().map_or(SEND_IDLE, |at| at.saturating_since(now()));
        let timeout = if drained { until.min(SEND_IDLE) } else { Duration::ZERO };
        if let Err(error) = transport.wait(timeout) {
            errors.on_error(shared, &error);
        }
    }
    if session.goodbye(now(), &mut datagram) {
        // The receiver learns of the end by its signalling too, so a lost goodbye costs nothing.
        let _ = transport.send(&datagram);
    }
    session.publish(now(), &mut shared.metrics.send());
}

/// The first whole frame left.
fn started(shared: &Shared) {
    {
        let mut life = shared.metrics.life();
        if life.state != SenderState::Starting {
            return;
        }
        life.state = SenderState::Running;
    }
    let facts = shared.metrics.facts();
    shared.emit(SenderEvent::SenderStarted {
        encoder_backend: facts.encoder_backend,
        capture_backend: facts.capture_backend,
    });
}

/// Tells the app of transport errors, each kind once in a row: a dead peer refuses every packet.
#[derive(Debug, Default)]
struct ErrorReports {
    last: Option<TransportErrorKind>,
}

impl ErrorReports {
    fn on_error(&mut self, shared: &Shared, error: &TransportError) {
        let action = failure::on_transport_error(error.kind());
        if self.last.replace(error.kind()) != Some(error.kind()) {
            shared.emit(SenderEvent::TransportError {
                reason: error.kind().code(),
                detail: error.to_string(),
                fatal: matches!(action, Action::Stop(_)),
            });
        }
        if let Action::Stop(reason) = action {
            shared.finish(reason, Some(error.to_string()));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Only whole values are assigned under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
