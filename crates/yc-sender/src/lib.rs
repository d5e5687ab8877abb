//! The native screen-share sender: capture, encode, packetize, send.
//!
//! Start reading at [`pipeline`]: it is the flow, top to bottom. Policy (when a still
//! screen is repeated, when a key frame is granted, how packets are paced) is plain code that takes the
//! time as an argument; threads and clocks live in `worker/` alone, sockets in `transport.rs` alone.
//!
//! This crate knows nothing of signalling. Ask [`PreparedSender::codec_params`] what to negotiate, do it
//! however the app does (for mediasoup: `yc-sfu`), then [`PreparedSender::start`].
//!
//! ```no_run
//! use yc_capture::{CaptureConfig, CaptureTarget};
//! use yc_rtp::StreamParams;
//! use yc_sender::{PreparedSender, SenderConfig};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let prepared = PreparedSender::open(SenderConfig::from_env()?, CaptureConfig::new(CaptureTarget::Screen))?;
//! // Negotiate with the receiver: it answers with an address, an SSRC and a payload type.
//! let params = StreamParams::new(0x1234_5678, 101, prepared.codec_params()?, "my-app");
//! let mut sender = prepared.start(params, "127.0.0.1:40000".parse()?)?;
//! println!("{:?}", sender.status());
//! sender.stop();
//! # Ok(())
//! # }
//! ```
//!
//! | stage | thread | owned by |
//! | --- | --- | --- |
//! | capture | the backend's own | `yc-capture` |
//! | convert, encode | `yc-encode` | `worker/` |
//! | packetize, pace, send, RTCP | `yc-send` | `worker/` |
#![forbid(unsafe_code)]

mod backends;
mod cadence;
mod config;
#[cfg_attr(not(test), expect(dead_code, reason = "the threads do not sample it yet"))]
mod degradation;
mod error;
mod event;
mod failure;
#[cfg(feature = "fault-injection")]
pub mod fault;
mod keyframe;
mod latency;
mod metrics;
mod mirror;
mod pacer;
pub mod pipeline;
mod queue;
mod rate_control;
mod session;
mod status;
#[cfg_attr(not(test), expect(dead_code, reason = "no encoder is capped by it yet"))]
mod token_bucket;
mod transport;
mod worker;

pub use backends::{Backends, CaptureChoice, EncoderChoice, OpenCapture, OpenEncoder};
pub use config::{
    ConfigError, ContentHint, DegradationConfig, KeyframeConfig, PacingConfig, SenderConfig, StillConfig,
    Threshold,
};
pub use degradation::{DegradationKnob, DegradationStatus, Pressure, PressureCause};
pub use error::{SenderError, SenderErrorKind};
pub use event::{KeyframeCause, SenderEvent, StopReason};
pub use latency::{LatencySummary, StageLatencies};
pub use mirror::MirrorCounters;
pub use pipeline::{PreparedSender, Sender};
pub use queue::{FrameQueue, Taken};
pub use session::{SenderSession, SessionAction, SessionSeeds, Transmit};
pub use status::{DropCounters, FeedbackCounters, KeyframeCounters, SenderState, SenderStatus, StartupTimes};
pub use transport::{PacketTransport, TransportError, TransportWaker, UdpTransport};
