//! The sender's thread: packets out, RTCP in.

use std::time::Duration;

use crossbeam_channel::Receiver;
use yc_media::EncodedFrame;

use super::now;
use super::shared::Shared;
use crate::failure::{self, Action};
use crate::session::Transmit;
use crate::transport::TransportErrorKind;
use crate::{PacketTransport, SenderEvent, SenderSession, SenderState, SessionAction, TransportError};

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
        if let Some(cause) = shared.take_wanted_keyframe() {
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
        shared.set_backlog(session.backlog());
        session.publish(now(), &mut shared.metrics().send());
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
    session.publish(now(), &mut shared.metrics().send());
}

/// The first whole frame left.
fn started(shared: &Shared) {
    {
        let mut life = shared.metrics().life();
        if life.state != SenderState::Starting {
            return;
        }
        life.state = SenderState::Running;
    }
    let facts = shared.metrics().facts();
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
