//! The flow, top to bottom: capture → queue → convert → encode → packetize → pace → send.
//!
//! ```text
//!   capture's thread            yc-encode                          yc-send
//!   CaptureBackend ─► FrameQueue ─► Converter ─► VideoEncoderBackend ─► channel ─► SenderSession ─► PacketTransport
//!                     newest wins       ▲                                          packetize, pace      │
//!                                       └──── key frame, goal ◄──── SessionAction ◄──── RTCP ◄──────────┘
//! ```
//!
//! `yc-watch` sees which of them hangs or fails, changes it for another, and ends them all in time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;
use yc_capture::{CaptureBackend, CaptureConfig};
use yc_encode::VideoEncoderBackend;
use yc_media::{Codec, RateTarget};
use yc_rtp::{CodecParams, StreamParams};

use crate::metrics::Metrics;
use crate::mirror::mirrored;
use crate::session::{SenderSession, SessionSeeds};
use crate::worker::{self, Encoded, Ends, Shared, Stages, Supervisor, Worker};
use crate::{
    Backends, CaptureChoice, EncoderChoice, KeyframeCause, PacketTransport, ProducerState, Protection,
    Reason, SenderConfig, SenderError, SenderErrorKind, SenderEvent, SenderStatus, UdpTransport,
};

/// A sender with its source and its encoder open, before it knows its receiver. Dropping it closes both.
///
/// Opening first is what lets the negotiation say what the encoder will really send.
#[derive(Debug)]
pub struct PreparedSender {
    config: Arc<SenderConfig>,
    shared: Arc<Shared>,
    /// Taken when it starts.
    opened: Option<(Stages, Ends)>,
}

impl PreparedSender {
    /// Opens the source and the encoder, each as the first backend that works.
    ///
    /// # Errors
    ///
    /// `Config` for a setting out of bounds, `Capture` or `Encode` if no backend works, with all reasons,
    /// `Resources` if the OS gives no thread.
    pub fn open(config: SenderConfig, capture: CaptureConfig) -> Result<Self, SenderError> {
        let backends = Backends::compiled_in(&config, capture)?;
        Self::open_from(config, backends)
    }

    /// As [`PreparedSender::open`], with a capture that the app opened itself.
    ///
    /// # Errors
    ///
    /// As [`PreparedSender::open`].
    pub fn with_capture(config: SenderConfig, capture: Box<dyn CaptureBackend>) -> Result<Self, SenderError> {
        let backends = Backends::with_capture(&config, capture)?;
        Self::open_from(config, backends)
    }

    /// As [`PreparedSender::open`], with a capture and an encoder that the app opened itself.
    ///
    /// # Errors
    ///
    /// As [`PreparedSender::open`].
    pub fn with_backends(
        config: SenderConfig,
        capture: Box<dyn CaptureBackend>,
        encoder: Box<dyn VideoEncoderBackend>,
    ) -> Result<Self, SenderError> {
        let backends = Backends::new(vec![CaptureChoice::once(capture)], vec![EncoderChoice::once(encoder)]);
        Self::open_from(config, backends)
    }

    /// As [`PreparedSender::open`], from these backends. A backend that does not open within
    /// `WatchdogConfig::open` is passed over, and its thread abandoned.
    ///
    /// # Errors
    ///
    /// As [`PreparedSender::open`].
    pub fn open_from(config: SenderConfig, backends: Backends) -> Result<Self, SenderError> {
        config.validate()?;
        let config = Arc::new(config);
        let target = RateTarget::new(config.bitrate, config.frame_rate, config.max_resolution);
        let metrics = Metrics::new(&config, worker::now(), target);
        let (shared, ends, reports) = Shared::new(&config, metrics, target);
        let stages = Stages::open(Arc::clone(&shared), Arc::clone(&config), backends, reports)?;
        shared.metrics().on_capture(stages.capture_info());
        shared.metrics().on_encoder(stages.encoder_info());
        Ok(Self { config, shared, opened: Some((stages, ends)) })
    }

    /// What to offer the receiver: the codec, with what the encoder's real parameter sets say.
    ///
    /// # Errors
    ///
    /// `Encode` if an H264 encoder does not tell its profile.
    pub fn codec_params(&self) -> Result<CodecParams, SenderError> {
        let Some((stages, _)) = &self.opened else { return Err(worker::stopped()) };
        let info = stages.encoder_info();
        Ok(match info.codec {
            Codec::H264 => CodecParams::H264 {
                profile_level_id: info.profile_level_id.ok_or_else(|| {
                    let reason = format!("{} does not tell its profile-level-id", info.name);
                    SenderError::new(SenderErrorKind::Encode, reason).with_reason(Reason::EncoderUnsupported)
                })?,
            },
            Codec::Vp8 => CodecParams::Vp8,
            Codec::Vp9 => CodecParams::Vp9,
            Codec::Av1 => CodecParams::Av1,
        })
    }

    /// The capture backend that was opened.
    pub fn capture_backend(&self) -> &'static str {
        self.shared.metrics().backends().1
    }

    /// The encoder backend that was opened.
    pub fn encoder_backend(&self) -> &'static str {
        self.shared.metrics().backends().0
    }

    /// What it is doing: it is `Idle`.
    pub fn status(&self) -> SenderStatus {
        self.shared.status()
    }

    /// Stops it from another thread, also while it starts.
    pub fn stop_handle(&self) -> StopHandle {
        StopHandle(Arc::clone(&self.shared))
    }

    /// Starts to send to `target` over UDP, as the stream that was negotiated, protected as was negotiated.
    ///
    /// # Errors
    ///
    /// `Config` if it would send in the clear to another machine and [`Protection::PlainAnywhere`] does not say so,
    /// `Negotiation` if `params` is of another codec than the encoder's, `Transport` if there is no way to
    /// `target`, `Capture` if no capture backend starts, `Resources` if the OS gives no thread, `Stopped` if
    /// it was stopped meanwhile.
    pub fn start(
        self,
        params: StreamParams,
        target: SocketAddr,
        protection: Protection,
    ) -> Result<Sender, SenderError> {
        self.start_through(params, target, protection, |transport| transport)
    }

    /// As [`PreparedSender::start`], with something of the app's own around the transport: what passes there is
    /// protected already.
    ///
    /// # Errors
    ///
    /// As [`PreparedSender::start`].
    pub fn start_through(
        self,
        params: StreamParams,
        target: SocketAddr,
        protection: Protection,
        around: impl FnOnce(Box<dyn PacketTransport>) -> Box<dyn PacketTransport>,
    ) -> Result<Sender, SenderError> {
        let target = self.config.rtp_target.unwrap_or(target);
        protection.check(Some(target))?;
        let transport = UdpTransport::connect(target)?;
        self.begin(params, around(Box::new(transport)), protection)
    }

    /// As [`PreparedSender::start`], over a transport of the app's own. Where that leads is not known, so that
    /// plain RTP needs [`Protection::PlainAnywhere`].
    ///
    /// # Errors
    ///
    /// As [`PreparedSender::start`].
    pub fn start_on(
        self,
        params: StreamParams,
        transport: Box<dyn PacketTransport>,
        protection: Protection,
    ) -> Result<Sender, SenderError> {
        protection.check(None)?;
        self.begin(params, transport, protection)
    }

    fn begin(
        mut self,
        params: StreamParams,
        transport: Box<dyn PacketTransport>,
        protection: Protection,
    ) -> Result<Sender, SenderError> {
        let offered = self.codec_params()?.codec();
        let negotiated = params.codec.codec();
        if offered != negotiated {
            let reason = format!("negotiated {negotiated}, but the encoder makes {offered}");
            return Err(SenderError::new(SenderErrorKind::Negotiation, reason));
        }
        let started_at = worker::now();
        let seeds = SessionSeeds::random(started_at, worker::unix(started_at))?;
        // What is protected is no larger on the wire than what is not.
        let max_packet_len = self.config.max_packet_len - protection.rtp_overhead();
        let config = SenderConfig { max_packet_len, ..SenderConfig::clone(&self.config) };
        let mut session = SenderSession::new(&config, params, seeds)?;
        if matches!(protection, Protection::Srtp(_)) {
            session.keep_as_sent();
        }
        let (transport, srtp) = protection.around(transport);
        let (transport, mirror) = mirrored(transport, self.config.diagnostic_mirror)?;
        if !self.shared.lifecycle.begin_start() {
            return Err(worker::stopped());
        }
        {
            let mut life = self.shared.metrics().life();
            (life.started_at, life.srtp, life.mirror) = (started_at, srtp, mirror);
        }
        self.shared.set_waker(transport.waker());
        let Some((stages, Ends { events, encoded })) = self.opened.take() else {
            return Err(worker::stopped());
        };
        let supervisor = self.run(stages, session, transport, encoded).inspect_err(|error| {
            // What was spawned before the error ends by this.
            let reason = error.reason().unwrap_or(Reason::of_start(error.kind()));
            self.shared.finish(reason, Some(error.to_string()));
            self.shared.end(true);
        })?;
        let deadline = self.config.stop_deadline;
        Ok(Sender { shared: Arc::clone(&self.shared), events, supervisor: Some(supervisor), deadline })
    }

    fn run(
        &self,
        mut stages: Stages,
        session: SenderSession,
        transport: Box<dyn PacketTransport>,
        encoded: Receiver<Encoded>,
    ) -> Result<Worker, SenderError> {
        if let Err(error) = stages.start_capture() {
            stages.close();
            return Err(error);
        }
        stages.start_encoder();
        let send = worker::spawn_send(&self.shared, &self.config, session, transport, encoded)?;
        Supervisor::spawn(stages, send)
    }
}

impl Drop for PreparedSender {
    fn drop(&mut self) {
        if let Some((stages, _)) = self.opened.take() {
            self.shared.finish(Reason::Requested, None);
            stages.close();
            self.shared.end(true);
        }
    }
}

/// A running share. Dropping it stops it.
#[derive(Debug)]
pub struct Sender {
    shared: Arc<Shared>,
    events: Receiver<SenderEvent>,
    supervisor: Option<Worker>,
    deadline: Duration,
}

impl Sender {
    /// What it is doing. Also after it stopped.
    pub fn status(&self) -> SenderStatus {
        self.shared.status()
    }

    /// Takes the next event, waiting up to `timeout` for it. After `SenderStopped` there is none.
    pub fn next_event(&self, timeout: Duration) -> Option<SenderEvent> {
        self.events.recv_timeout(timeout).ok()
    }

    /// Asks for a key frame. It is granted under the same bounds as a receiver's request.
    pub fn request_keyframe(&self) {
        self.shared.request_keyframe_from_session(KeyframeCause::App);
    }

    /// Says what signalling told of the receiver's producer, so that the status holds it beside the rest.
    pub fn set_producer_state(&self, state: ProducerState) {
        self.shared.metrics().life().producer = state;
    }

    /// Stops it from another thread.
    pub fn stop_handle(&self) -> StopHandle {
        StopHandle(Arc::clone(&self.shared))
    }

    /// Stops, within `SenderConfig::stop_deadline` whatever hangs: nothing is captured or sent after it
    /// returns, but for a thread that hangs in a call of the OS, a driver or the encoder. Such a thread is
    /// abandoned and ends when that call returns. Answers whether every thread ended. May be called again,
    /// and after it stopped by itself.
    pub fn stop(&mut self) -> bool {
        self.shared.finish(Reason::Requested, None);
        let life = self.shared.lifecycle.wait_for_end(self.deadline);
        if let Some(supervisor) = self.supervisor.take_if(|_| life.state.is_over()) {
            // It ended the sender as the last thing it did.
            supervisor.join_by(worker::now() + self.deadline);
        }
        life.all_ended
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Stops a sender from another thread: while it is being started, or while somebody else waits for its events.
#[derive(Debug, Clone)]
pub struct StopHandle(Arc<Shared>);

impl StopHandle {
    /// Asks the sender to stop, and returns at once. A start that is under way fails with
    /// [`SenderErrorKind::Stopped`]. May be called again, and after it stopped.
    pub fn stop(&self) {
        self.0.finish(Reason::Requested, None);
    }
}
