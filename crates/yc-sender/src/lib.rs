//! The native screen-share sender: capture, encode, packetize, send.
//!
//! Start reading at [`pipeline`]: it is the flow, top to bottom. Policy (when a still
//! screen is repeated, when a key frame is granted, how packets are paced) is plain code that takes the
//! time as an argument; threads and clocks live in `worker/` alone, sockets in `transport/` alone.
//!
//! This crate knows nothing of signalling. Ask [`PreparedSender::codec_params`] what to negotiate, make a
//! [`SrtpMasterKey`], exchange both however the app does (for mediasoup: `yc-sfu`), then
//! [`PreparedSender::start`].
//!
//! ```no_run
//! use yc_capture::{CaptureConfig, CaptureTarget};
//! use yc_rtp::StreamParams;
//! use yc_sender::{PreparedSender, Protection, SenderConfig, SrtpKeys, SrtpMasterKey, SrtpSuite};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let prepared = PreparedSender::open(SenderConfig::from_env()?, CaptureConfig::new(CaptureTarget::Screen))?;
//! let ours = SrtpMasterKey::generate(SrtpSuite::AeadAes128Gcm)?;
//! // Negotiate with the receiver: it takes our key and answers with an address, an SSRC, a payload type and its own.
//! # let theirs = ours.to_base64();
//! let params = StreamParams::new(0x1234_5678, 101, prepared.codec_params()?, "my-app");
//! let theirs = SrtpMasterKey::from_base64(ours.suite(), &theirs)?;
//! let protection = Protection::Srtp(SrtpKeys::new(ours, theirs)?);
//! let mut sender = prepared.start(params, "127.0.0.1:40000".parse()?, protection)?;
//! println!("{:?}", sender.status());
//! sender.stop();
//! # Ok(())
//! # }
//! ```
//!
//! | stage | thread | owned by |
//! | --- | --- | --- |
//! | capture | the backend's own | `yc-capture` |
//! | open, start, ask, stop the capture | `yc-capture` | `worker/` |
//! | convert, encode | `yc-encode` | `worker/` |
//! | packetize, pace, send, RTCP | `yc-send` | `worker/` |
//! | see who hangs or fails, change it for another | `yc-watch` | `worker/` |
//!
//! What fails, and what comes of it: [`Reason`], `docs/failures.md`. What gives way under pressure:
//! [`DegradationConfig`], `docs/degradation.md`. What it is doing: [`Sender::status`], [`SenderEvent`].
#![forbid(unsafe_code)]

mod backends;
pub mod bandwidth;
mod cadence;
mod circuit_breaker;
mod config;
mod degradation;
mod error;
mod event;
mod failure;
#[cfg(feature = "fault-injection")]
pub mod fault;
mod keyframe;
mod latency;
mod lifecycle;
#[cfg(test)]
mod lifecycle_tests;
mod metrics;
mod mirror;
mod outbox;
mod pacer;
pub mod pipeline;
mod protection;
mod queue;
#[cfg(test)]
mod queue_tests;
mod rate_control;
mod reason;
mod recovery;
mod retreat;
mod session;
mod silence;
mod srtp;
mod status;
mod sync;
mod token_bucket;
mod transport;
mod worker;

pub use backends::{Backends, CaptureChoice, EncoderChoice, OpenCapture, OpenEncoder};
pub use config::{
    ConfigError, ContentHint, DegradationConfig, DropTolerance, FailureConfig, KeyframeConfig, PacingConfig,
    RetreatConfig, SenderConfig, StillConfig, Threshold, Tolerance, WatchdogConfig,
};
pub use degradation::{DegradationKnob, DegradationStatus, LevelChange, Pressure, PressureCause};
pub use error::{SenderError, SenderErrorKind};
pub use event::{FallbackStep, KeyframeCause, SenderEvent};
pub use latency::{LatencySummary, StageLatencies};
pub use mirror::MirrorCounters;
pub use pipeline::{PreparedSender, Sender, StopHandle};
pub use protection::Protection;
pub use queue::{FrameQueue, Taken};
pub use reason::{Reason, ReasonStage};
pub use recovery::RecoveryCounters;
pub use session::{Goal, SenderSession, SessionAction, SessionSeeds, Transmit};
pub use srtp::{
    SrtpError, SrtpErrorKind, SrtpKeys, SrtpMasterKey, SrtpRejections, SrtpStatus, SrtpSuite, SrtpTransport,
};
pub use status::{
    DropCounters, FallbackStatus, FeedbackCounters, KeyframeCounters, LifecycleCounters, LimitedBy,
    NetworkStatus, ProducerState, SenderState, SenderStatus, StartupTimes, TransportState,
};
pub use transport::{PacketTransport, Refused, TransportError, TransportWaker, UdpTransport};
