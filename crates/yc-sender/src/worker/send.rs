//! The sender's thread: packets out, RTCP in, and every quarter of a second a look at how all keep up.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;
use yc_media::CaptureTime;

use super::shared::{Encoded, Shared};
use super::stage::{Call, Stage, StageKind, Watchdog};
use super::{Worker, end_by_panic, now};
use crate::circuit_breaker::Path;
use crate::degradation::PressureSample;
use crate::failure::{self, Action, BlockedWatch, DROP_LOOK, DropWatch, Failure, RollingWindow, Severity};
use crate::metrics::PressureCounts;
use crate::session::Transmit;
use crate::transport::{TransportErrorKind, refusal_of};
use crate::{
    PacketTransport, Refused, SenderConfig, SenderError, SenderEvent, SenderSession, SessionAction,
    TransportError,
};

/// The largest datagram that a receiver sends us: RTCP compounds stay far below it.
const RECEIVE_BUFFER: usize = 2_048;
/// Room for a datagram of ours and what a transport appends to it, in bytes.
const DATAGRAM: usize = 2_048;
/// Datagrams taken in one round, so that a flood of them does not starve what is to be sent.
const RECEIVE_BATCH: usize = 64;
/// The most datagrams that leave in one flush. More than any burst that the pacer releases, as a rule.
const LARGEST_TURN: usize = 256;
/// How long the sending side waits when it has nothing to wait for.
pub(super) const SEND_IDLE: Duration = Duration::from_millis(250);
/// How often the pressure is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// Starts the sender's thread.
///
/// # Errors
///
/// `Resources` if the OS gives no thread.
pub(crate) fn spawn_send(
    shared: &Arc<Shared>,
    config: &Arc<SenderConfig>,
    session: SenderSession,
    transport: Box<dyn PacketTransport>,
    encoded: Receiver<Encoded>,
) -> Result<SendThread, SenderError> {
    let stage = Arc::new(Stage::new(StageKind::Transport, 0));
    let (own, its, config) = (Arc::clone(shared), Arc::clone(&stage), Arc::clone(config));
    let body = move || run_send(&own, &its, &config, session, transport, &encoded);
    let worker = Worker::spawn(StageKind::Transport.thread(), body, end_by_panic(shared))?;
    Ok(SendThread { stage, worker: Some(worker), watchdog: Watchdog::default() })
}

/// The sender's thread, as the supervisor holds it. It is never replaced: the receiver knows one socket of
/// ours.
#[derive(Debug)]
pub(crate) struct SendThread {
    pub(super) stage: Arc<Stage>,
    pub(super) worker: Option<Worker>,
    pub(super) watchdog: Watchdog,
}

/// Packets out, RTCP in, until the sender stops.
fn run_send(
    shared: &Shared,
    stage: &Stage,
    config: &SenderConfig,
    mut session: SenderSession,
    mut transport: Box<dyn PacketTransport>,
    encoded: &Receiver<Encoded>,
) {
    let _span = tracing::debug_span!("send").entered();
    let mut outgoing = Outgoing::new();
    let mut received = vec![0; RECEIVE_BUFFER];
    let mut errors = ErrorReports::new(config);
    let mut looks = Looks::new(config, now());
    while !shared.is_stopping() {
        let mut drained = true;
        for round in 0..RECEIVE_BATCH {
            match stage.call(Call::Receive, || transport.recv(&mut received)) {
                Ok(Some(len)) => session.handle_datagram(now(), &received[..len]),
                Ok(None) => break,
                Err(error) => errors.on_error(shared, &error),
            }
            drained = round + 1 < RECEIVE_BATCH;
        }
        if let Some(cause) = shared.take_wanted_keyframe() {
            session.request_keyframe(cause);
        }
        while let Ok(Encoded { generation, frame, at }) = encoded.try_recv() {
            if generation < shared.encoder_generation() {
                // Its encoder was replaced meanwhile: what follows does not refer to it.
                shared.metrics().encode().lost_on_the_way += 1;
                continue;
            }
            let _span = tracing::trace_span!("packetize", bytes = frame.data.len()).entered();
            session.handle_encoded(now(), &frame, at);
        }
        looks.look(now(), shared, &mut session);
        session.handle_timeout(now());
        outgoing.send_due(shared, stage, &mut session, &mut *transport, &mut errors);
        while let Some(action) = session.poll_action() {
            act(shared, action);
        }
        shared.set_room(session.has_room());
        session.publish(now(), &mut shared.metrics().send());
        let until = session.poll_timeout().map_or(SEND_IDLE, |at| at.saturating_since(now()));
        let timeout = if drained { until.min(SEND_IDLE) } else { Duration::ZERO };
        if let Err(error) = stage.call(Call::Wait, || transport.wait(timeout)) {
            errors.on_error(shared, &error);
        }
    }
    outgoing.send_goodbye(stage, &mut session, &mut *transport);
    session.publish(now(), &mut shared.metrics().send());
    stage.call(Call::Drop, || drop(transport));
}

fn act(shared: &Shared, action: SessionAction) {
    match action {
        SessionAction::MakeKeyframe(cause) => shared.order(|o| o.keyframe = o.keyframe.or(Some(cause))),
        SessionAction::Aim(goal) => shared.set_goal(goal),
        SessionAction::Degrade(change) => {
            shared.on_level(change.to);
            tracing::info!(from = change.from, to = change.to, cause = change.cause.code(), "degradation");
            shared.emit(SenderEvent::DegradationChanged {
                level: change.to,
                from: change.from,
                cause: change.cause,
            });
        }
        SessionAction::ReceiverSilent(silence) => {
            let mut detail = format!("no RTCP for {:.1} s", silence.as_secs_f32());
            let unheard = shared.metrics().send().path == Path::Unheard;
            if let Some(srtp) = shared.metrics().life().srtp.as_ref().filter(|_| unheard) {
                let suite = srtp.status().suite;
                detail += &format!(", and none before, under {suite}: the receiver may have another key");
            }
            shared.finish(failure::judge(Failure::RtcpTimeout).reason, Some(detail));
        }
    }
}

/// The first whole frame left.
fn started(shared: &Shared) {
    if !shared.lifecycle.started() {
        return;
    }
    let (encoder_backend, capture_backend) = shared.metrics().backends();
    shared.emit(SenderEvent::SenderStarted { encoder_backend, capture_backend });
}

/// The datagrams of one turn: what the pacer releases now leaves in one flush, and its fate is told then.
#[derive(Debug)]
struct Outgoing {
    datagram: Vec<u8>,
    /// What the transport took since the last flush, and how many bytes each had.
    taken: Vec<(Transmit, usize)>,
    refused: Vec<Refused>,
}

impl Outgoing {
    fn new() -> Self {
        Self {
            datagram: Vec::with_capacity(DATAGRAM),
            taken: Vec::with_capacity(LARGEST_TURN),
            refused: Vec::new(),
        }
    }

    /// Sends all that may leave by now.
    fn send_due(
        &mut self,
        shared: &Shared,
        stage: &Stage,
        session: &mut SenderSession,
        transport: &mut dyn PacketTransport,
        errors: &mut ErrorReports,
    ) {
        while let Some(transmit) = session.poll_transmit(now(), &mut self.datagram) {
            // The transport may make it longer.
            let bytes = self.datagram.len();
            match stage.call(Call::Send, || transport.send(&mut self.datagram)) {
                Ok(()) => self.taken.push((transmit, bytes)),
                Err(error) => {
                    // In their order: those before it may have left.
                    self.flush(shared, stage, session, transport, errors);
                    session.on_refused(transmit);
                    errors.on_refused(shared, &error);
                }
            }
            if self.taken.len() == LARGEST_TURN {
                self.flush(shared, stage, session, transport, errors);
            }
        }
        self.flush(shared, stage, session, transport, errors);
    }

    /// Flushes, and tells of each datagram whether it left.
    fn flush(
        &mut self,
        shared: &Shared,
        stage: &Stage,
        session: &mut SenderSession,
        transport: &mut dyn PacketTransport,
        errors: &mut ErrorReports,
    ) {
        if self.taken.is_empty() {
            return;
        }
        stage.call(Call::Send, || transport.flush(&mut self.refused));
        for (number, (transmit, bytes)) in self.taken.drain(..).enumerate() {
            if let Some(error) = refusal_of(&self.refused, number) {
                session.on_refused(transmit);
                errors.on_refused(shared, error);
                continue;
            }
            session.on_sent(transmit, bytes);
            errors.on_sent();
            if transmit == Transmit::FrameEnd {
                started(shared);
            }
        }
        self.refused.clear();
    }

    /// The last that leaves.
    fn send_goodbye(
        &mut self,
        stage: &Stage,
        session: &mut SenderSession,
        transport: &mut dyn PacketTransport,
    ) {
        if !session.goodbye(now(), &mut self.datagram) {
            return;
        }
        // The receiver learns of the end by its signalling too, so a lost goodbye costs nothing.
        let _ = stage.call(Call::Send, || transport.send(&mut self.datagram));
        stage.call(Call::Send, || transport.flush(&mut self.refused));
    }
}

/// Looks at the pressure in steady steps, and at the drops in larger ones.
#[derive(Debug)]
struct Looks {
    at: CaptureTime,
    counts: PressureCounts,
    drops: DropWatch,
    drops_at: CaptureTime,
    captured: u64,
    taken: u64,
}

impl Looks {
    fn new(config: &SenderConfig, at: CaptureTime) -> Self {
        Self {
            at,
            counts: PressureCounts::default(),
            drops: DropWatch::new(config.failures.queue_drops),
            drops_at: at,
            captured: 0,
            taken: 0,
        }
    }

    fn look(&mut self, now: CaptureTime, shared: &Shared, session: &mut SenderSession) {
        if now.saturating_since(self.at) < LOOK {
            return;
        }
        self.at = now;
        let counts = shared.metrics().pressure();
        let encode = shared.metrics().encode().pressure.take();
        let before = std::mem::replace(&mut self.counts, counts);
        let sample = PressureSample {
            source: counts.source_size,
            captured: (counts.captured - before.captured) as u32,
            damaged: (counts.damaged - before.damaged) as f32,
            takes: encode.takes,
            waiting: encode.waiting,
            waiting_peak: encode.waiting_peak,
            encoded: encode.encoded,
            encode_time: encode.time,
            dropped: (counts.send_drops - before.send_drops) as u32,
            backlog: session.backlog(),
            available: session.available(),
        };
        session.handle_pressure(now, &sample);

        if now.saturating_since(self.drops_at) < DROP_LOOK {
            return;
        }
        let looked = std::mem::replace(&mut self.drops_at, now);
        let captured = counts.captured - std::mem::replace(&mut self.captured, counts.captured);
        let taken = counts.taken - std::mem::replace(&mut self.taken, counts.taken);
        // What was not taken was dropped or waits, and about as many waited at the last look. The drops' own
        // counts come in handfuls: when the encoder takes the newest.
        let dropped = captured.saturating_sub(taken);
        if !self.drops.on_sample(looked, now, captured, dropped) {
            return;
        }
        let degrade = failure::judge(Failure::QueueDrops).action == Action::Degrade;
        if !(degrade && session.force_down(now)) {
            let detail = format!("{dropped} of {captured} pictures were dropped in the last second");
            shared.finish(failure::judge(Failure::Overloaded).reason, Some(detail));
        }
    }
}

/// Tells the app of transport errors, each kind once in a row: a dead peer refuses every packet.
#[derive(Debug)]
struct ErrorReports {
    last: Option<TransportErrorKind>,
    refused: RollingWindow,
    blocked: BlockedWatch,
}

impl ErrorReports {
    fn new(config: &SenderConfig) -> Self {
        let failures = &config.failures;
        Self {
            last: None,
            refused: RollingWindow::new(failures.send_errors),
            blocked: BlockedWatch::new(failures.send_blocked),
        }
    }

    fn on_sent(&mut self) {
        self.blocked.on_sent();
    }

    fn on_refused(&mut self, shared: &Shared, error: &TransportError) {
        self.on_error(shared, error);
        if self.blocked.on_refused(now()) {
            shared.finish(failure::judge(Failure::SendErrors).reason, Some(error.to_string()));
        }
    }

    fn on_error(&mut self, shared: &Shared, error: &TransportError) {
        let verdict = failure::judge(Failure::Transport(error.kind()));
        if self.last.replace(error.kind()) != Some(error.kind()) {
            shared.emit(SenderEvent::TransportError {
                reason: verdict.reason,
                detail: error.to_string(),
                fatal: verdict.severity == Severity::Fatal,
            });
        }
        if verdict.action == Action::End {
            shared.finish(verdict.reason, Some(error.to_string()));
        } else if self.refused.note(now()) {
            shared.finish(failure::judge(Failure::SendErrors).reason, Some(error.to_string()));
        }
    }
}
