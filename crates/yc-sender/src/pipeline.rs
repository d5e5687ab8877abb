//! The flow, top to bottom: capture → queue → convert → encode → packetize → pace → send.
//!
//! ```text
//!   capture's thread            yc-encode                          yc-send
//!   CaptureBackend ─► FrameQueue ─► Converter ─► VideoEncoderBackend ─► channel ─► SenderSession ─► PacketTransport
//!                     newest wins       ▲                                          packetize, pace      │
//!                                       └──── key frame, rate ◄──── SessionAction ◄──── RTCP ◄──────────┘
//! ```

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use yc_capture::{CaptureBackend, CaptureConfig};
use yc_encode::{Converter, EncoderConfig, VideoEncoderBackend};
use yc_media::{Codec, RateTarget};
use yc_rtp::{CodecParams, StreamParams};

use crate::metrics::{Facts, Metrics};
use crate::session::{SenderSession, SessionSeeds};
use crate::worker::{self, Encoding, Shared, Worker};
use crate::{
    ConfigError, KeyframeCause, PacketTransport, SenderConfig, SenderError, SenderErrorKind, SenderEvent,
    SenderStatus, StopReason, UdpTransport,
};

/// Access units on their way from the encoder to the sender's thread: half a second at 30 fps. More wait
/// only when that thread is stuck, since what cannot be sent in time is not encoded at all.
const ENCODED_FRAMES_IN_FLIGHT: usize = 16;

/// Events that wait to be taken. More are dropped and counted.
const EVENTS_WAITING: usize = 256;

/// A sender with its source and its encoder open, before it knows its receiver.
///
/// Opening first is what lets the negotiation say what the encoder will really send.
#[derive(Debug)]
pub struct PreparedSender {
    config: SenderConfig,
    capture: Box<dyn CaptureBackend>,
    capture_why_not: Vec<String>,
    encoder: Box<dyn VideoEncoderBackend>,
    encoder_why_not: Vec<String>,
}

impl PreparedSender {
    /// Opens the source and the encoder, each as the first backend that works.
    ///
    /// # Errors
    ///
    /// `Config` for a setting out of bounds, `Capture` or `Encode` if no backend works, with all reasons.
    pub fn open(config: SenderConfig, capture: CaptureConfig) -> Result<Self, SenderError> {
        let opened = yc_capture::open(&capture.with_frame_rate(config.frame_rate))?;
        let mut prepared = Self::with_capture(config, opened.backend)?;
        prepared.capture_why_not = opened.why_not.iter().map(ToString::to_string).collect();
        Ok(prepared)
    }

    /// As [`PreparedSender::open`], with a capture that the app opened itself.
    ///
    /// # Errors
    ///
    /// `Config` for a setting out of bounds, `Encode` if no encoder works, with all reasons.
    pub fn with_capture(config: SenderConfig, capture: Box<dyn CaptureBackend>) -> Result<Self, SenderError> {
        config.validate()?;
        let size = capture.info().size.fit_into(config.max_resolution);
        let rate = RateTarget::new(config.bitrate, config.frame_rate, size);
        let order: Vec<&str> = config.encoders.iter().map(String::as_str).collect();
        let opened = yc_encode::open(&order, &EncoderConfig::screen(config.codec, rate))?;
        let encoder_why_not = opened.why_not.iter().map(ToString::to_string).collect();
        let encoder = opened.encoder;
        Ok(Self { config, capture, capture_why_not: Vec::new(), encoder, encoder_why_not })
    }

    /// As [`PreparedSender::open`], with a capture and an encoder that the app opened itself.
    ///
    /// # Errors
    ///
    /// If a setting is out of bounds.
    pub fn with_backends(
        config: SenderConfig,
        capture: Box<dyn CaptureBackend>,
        encoder: Box<dyn VideoEncoderBackend>,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        let (capture_why_not, encoder_why_not) = (Vec::new(), Vec::new());
        Ok(Self { config, capture, capture_why_not, encoder, encoder_why_not })
    }

    /// What to offer the receiver: the codec, with what the encoder's real parameter sets say.
    ///
    /// # Errors
    ///
    /// `Encode` if an H264 encoder does not tell its profile.
    pub fn codec_params(&self) -> Result<CodecParams, SenderError> {
        let info = self.encoder.info();
        Ok(match info.codec {
            Codec::H264 => CodecParams::H264 {
                profile_level_id: info.profile_level_id.ok_or_else(|| {
                    let reason = format!("{} does not tell its profile-level-id", info.name);
                    SenderError::new(SenderErrorKind::Encode, reason)
                })?,
            },
            Codec::Vp8 => CodecParams::Vp8,
            Codec::Vp9 => CodecParams::Vp9,
            Codec::Av1 => CodecParams::Av1,
        })
    }

    /// The capture backend that was opened.
    pub fn capture_backend(&self) -> &'static str {
        self.capture.info().backend
    }

    /// The encoder backend that was opened.
    pub fn encoder_backend(&self) -> &'static str {
        self.encoder.info().name
    }

    /// Starts to send to `target` over UDP, as the stream that was negotiated.
    ///
    /// # Errors
    ///
    /// `Negotiation` if `params` is of another codec than the encoder's, `Transport` if there is no way to
    /// `target`, `Capture` if the source is gone, `Resources` if the OS gives no thread.
    pub fn start(self, params: StreamParams, target: SocketAddr) -> Result<Sender, SenderError> {
        let target = self.config.rtp_target.unwrap_or(target);
        let transport = UdpTransport::connect(target)?;
        self.start_on(params, Box::new(transport))
    }

    /// As [`PreparedSender::start`], over a transport of the app's own.
    ///
    /// # Errors
    ///
    /// As [`PreparedSender::start`].
    pub fn start_on(
        mut self,
        params: StreamParams,
        transport: Box<dyn PacketTransport>,
    ) -> Result<Sender, SenderError> {
        let offered = self.codec_params()?.codec();
        let negotiated = params.codec.codec();
        if offered != negotiated {
            let reason = format!("negotiated {negotiated}, but the encoder makes {offered}");
            return Err(SenderError::new(SenderErrorKind::Negotiation, reason));
        }
        let started_at = worker::now();
        let seeds = SessionSeeds::random(started_at, worker::unix(started_at))?;
        let session = SenderSession::new(&self.config, params, seeds)?;
        let target = session.target();

        let (events_in, events) = bounded(EVENTS_WAITING);
        let metrics = Metrics::new(self.facts(started_at), target);
        let shared = Arc::new(Shared::new(&self.config, metrics, events_in, transport.waker()));

        let (encoded_in, encoded) = bounded(ENCODED_FRAMES_IN_FLIGHT);
        self.capture.start(worker::capture_sink(Arc::clone(&shared)))?;
        let encoding = Encoding::new(&self.config, target, Converter::new(), self.encoder, encoded_in);
        let capture = self.capture;
        let mut sender = Sender {
            shared: Arc::clone(&shared),
            events,
            workers: Vec::new(),
            deadline: self.config.stop_deadline,
        };
        let on_encode = Arc::clone(&shared);
        sender.workers.push(Worker::spawn("yc-encode", Arc::clone(&shared), move || {
            worker::run_encode(&on_encode, capture, encoding);
        })?);
        let on_send = Arc::clone(&shared);
        sender.workers.push(Worker::spawn("yc-send", shared, move || {
            worker::run_send(&on_send, session, transport, &encoded);
        })?);
        Ok(sender)
    }

    fn facts(&self, started_at: yc_media::CaptureTime) -> Facts {
        let encoder = self.encoder.info();
        Facts {
            started_at,
            capture_backend: self.capture.info().backend,
            capture_note: self.capture.info().note.clone(),
            capture_why_not: self.capture_why_not.clone(),
            encoder_backend: encoder.name,
            encoder_hardware: encoder.hardware,
            encoder_accelerated: encoder.accelerated,
            encoder_why_not: self.encoder_why_not.clone(),
            codec: encoder.codec,
        }
    }
}

/// A running share. Dropping it stops it.
#[derive(Debug)]
pub struct Sender {
    shared: Arc<Shared>,
    events: Receiver<SenderEvent>,
    workers: Vec<Worker>,
    deadline: Duration,
}

impl Sender {
    /// What it is doing. Also after it stopped.
    pub fn status(&self) -> SenderStatus {
        self.shared.metrics().snapshot(worker::now())
    }

    /// Takes the next event, waiting up to `timeout` for it. After `SenderStopped` there is none.
    pub fn next_event(&self, timeout: Duration) -> Option<SenderEvent> {
        self.events.recv_timeout(timeout).ok()
    }

    /// Asks for a key frame. It is granted under the same bounds as a receiver's request.
    pub fn request_keyframe(&self) {
        self.shared.request_keyframe_from_session(KeyframeCause::App);
    }

    /// Stops: nothing is captured or sent after it returns, but for a thread that hung in a call of the OS
    /// or the encoder: it is abandoned after `SenderConfig::stop_deadline` and ends when that call returns.
    /// Answers whether every thread ended. May be called again, and after it stopped by itself.
    pub fn stop(&mut self) -> bool {
        self.shared.finish(StopReason::Requested, None);
        worker::join_all(&mut self.workers, self.deadline)
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.stop();
    }
}
