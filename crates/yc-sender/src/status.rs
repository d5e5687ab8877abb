//! What a sender is doing, as a snapshot that serializes.

use serde::Serialize;
use yc_media::{Codec, RateTarget, Resolution};

use crate::bandwidth::Usage;
use crate::{
    DegradationStatus, FallbackStep, MirrorCounters, Reason, RecoveryCounters, SrtpStatus, StageLatencies,
};

/// A snapshot of a sender. Counters count since it started.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SenderStatus {
    /// Where it is in its life.
    pub state: SenderState,
    /// Why it stops or stopped, from `Stopping` on.
    pub stop_reason: Option<Reason>,
    /// Time since it was started, in milliseconds.
    pub uptime_ms: u64,
    /// The capture backend in use.
    pub capture_backend: &'static str,
    /// Why it is this one, where the system and the source leave a choice; none where there is none.
    pub capture_why: Option<String>,
    /// What it had to do without, in words; none if nothing.
    pub capture_note: Option<String>,
    /// Capture backends that were tried before it, each with its reason.
    pub capture_why_not: Vec<String>,
    /// Whether the source shows nothing for now; the last picture stands.
    pub capture_paused: bool,
    /// Whether its pictures are black all over: protected content looks like that, and so does a black screen.
    pub capture_blank: bool,
    /// The size of the captured source in pixels, once a frame came.
    pub source_size: Option<Resolution>,
    /// The encoder backend in use.
    pub encoder_backend: &'static str,
    /// Whether it encodes by dedicated hardware.
    pub encoder_hardware: bool,
    /// Whether it runs at the speed it was made for: `false` for a software encoder without its SIMD.
    pub encoder_accelerated: bool,
    /// Encoder backends that were tried before it, each with its reason.
    pub encoder_why_not: Vec<String>,
    /// What it encodes into.
    pub codec: Codec,
    /// The size of the encoded picture in pixels, once there is one.
    pub encoded_size: Option<Resolution>,
    /// What the encoder aims at.
    pub target: RateTarget,
    /// What holds the picture back most.
    pub limited_by: LimitedBy,
    /// The degradation ladder: level, cause, time in each level.
    pub degradation: DegradationStatus,
    /// The last step of the retreat from a backend that failed.
    pub fallback: FallbackStatus,
    /// What happened in this sender's life.
    pub lifecycle: LifecycleCounters,
    /// The way to the receiver.
    pub transport_state: TransportState,
    /// The receiver's producer, as the app was told: see `Sender::set_producer_state`.
    pub producer_state: ProducerState,
    /// What it is protected with, and what was rejected; none before the start, and where it is plain RTP.
    pub srtp: Option<SrtpStatus>,
    /// Changed pictures that the capture delivered.
    pub frames_captured: u64,
    /// How often a silent capture was asked for its present picture and answered.
    pub capture_probes: u64,
    /// Answers that showed a change that the capture had not told by itself.
    pub changes_missed: u64,
    /// Pictures that the encoder made an access unit of, repeats included.
    pub frames_encoded: u64,
    /// Pictures encoded although the screen did not change, to sharpen it or to keep the stream alive.
    pub frames_repeated: u64,
    /// Access units whose last packet left.
    pub frames_sent: u64,
    /// Access units that left in the last second.
    pub fps: u32,
    /// Bits that left in the last second, headers included, in thousands; what SRTP adds is left out.
    pub bitrate_kbps: u32,
    /// The mean quantizer of the last picture in the codec's scale, where the encoder tells it.
    pub quantizer: Option<u8>,
    /// Time to convert and encode a picture in milliseconds: moving average over about 16 pictures.
    pub encode_ms: f32,
    /// The longest time to convert and encode one picture, in milliseconds.
    pub encode_ms_max: f32,
    /// How long each stage takes, over the last minute.
    pub latency: StageLatencies,
    /// Key frames by cause.
    pub key_frames: KeyframeCounters,
    /// Pictures and packets that were dropped, by where it happened.
    pub dropped: DropCounters,
    /// RTP packets that left.
    pub packets_sent: u64,
    /// Bytes of RTP that left, headers included; what SRTP adds is left out.
    pub bytes_sent: u64,
    /// Time that the packets now waiting take to leave, in milliseconds.
    pub send_backlog_ms: u32,
    /// What the receiver said.
    pub feedback: FeedbackCounters,
    /// What is known of the network.
    pub network: NetworkStatus,
    /// What was done about packets that did not arrive.
    pub recovery: RecoveryCounters,
    /// How long the start took.
    pub startup: StartupTimes,
    /// The diagnostic mirror, where there is one.
    pub mirror: Option<MirrorCounters>,
    /// Events that were dropped because nobody took them.
    pub events_lost: u64,
}

/// Where a sender is in its life. ARCHITECTURE.md draws it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SenderState {
    /// Its capture and its encoder are open; it was not started.
    Idle,
    /// It was started; no packet left yet.
    Starting,
    /// Packets leave.
    Running,
    /// Packets leave, and the degradation ladder holds something back.
    Degraded,
    /// It ends: its threads are being waited for.
    Stopping,
    /// It ended as it was asked to, or with its source.
    Stopped,
    /// It ended because something broke.
    Failed,
}

impl SenderState {
    /// Whether it has ended.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Stopped | Self::Failed)
    }
}

/// What holds the picture back most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LimitedBy {
    /// Nothing.
    None,
    /// The machine: converting and encoding take too long.
    Cpu,
    /// The network.
    Bandwidth,
    /// The source: it shows nothing for now.
    Source,
}

/// The way to the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TransportState {
    /// Nothing was sent yet.
    New,
    /// Packets leave; the receiver has not been heard.
    Sending,
    /// The receiver reports.
    Connected,
    /// The receiver has not reported for four seconds or more.
    Silent,
    /// The sender has ended.
    Closed,
}

/// The receiver's producer, as signalling tells it to the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProducerState {
    /// The app has not said.
    Unknown,
    /// It takes packets and hands them on.
    Open,
    /// It is paused: packets go nowhere.
    Paused,
    /// It is gone.
    Closed,
}

/// The last step of the retreat from a backend that failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FallbackStatus {
    /// Which step; none if nothing failed.
    pub step: Option<FallbackStep>,
    /// Why the last step away from a backend was taken.
    pub reason: Option<Reason>,
}

/// What happened in a sender's life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LifecycleCounters {
    /// Times the same encoder backend was opened again.
    pub encoder_restarts: u32,
    /// Times the next encoder backend took over.
    pub encoder_switches: u32,
    /// Times the same capture backend was opened again.
    pub capture_restarts: u32,
    /// Times the next capture backend took over.
    pub capture_switches: u32,
    /// Times a better backend was gone back to.
    pub went_back: u32,
    /// Times no backend was left: at most one.
    pub gave_up: u32,
    /// Calls into a stage that did not return in time.
    pub stages_hung: u32,
    /// Threads of abandoned stages that have not ended yet.
    pub threads_abandoned: u32,
}

/// Key frames by cause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KeyframeCounters {
    /// All of them.
    pub total: u64,
    /// The first of the stream.
    pub start: u64,
    /// Because a receiver asked by PLI.
    pub pli: u64,
    /// Because a receiver asked by FIR.
    pub fir: u64,
    /// Because the app asked.
    pub app: u64,
    /// Because a frame was lost between encoder and network, or packets that the OS refused.
    pub lost: u64,
    /// Because the picture changed its size.
    pub resize: u64,
    /// Because another encoder, or a new instance of the same, came into use.
    pub restart: u64,
    /// How often one was asked for, storms included.
    pub requests: u64,
}

/// Pictures and packets that were dropped, by where it happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DropCounters {
    /// Pictures: the queue before the encoder was full.
    pub queue_full: u64,
    /// Pictures: a newer one was there when the encoder got to it.
    pub superseded: u64,
    /// Pictures: too much waited to be sent.
    pub backlog: u64,
    /// Pictures: the bitrate is capped by the degradation ladder.
    pub rate_capped: u64,
    /// Pictures: the encoder refused or failed.
    pub encode_failed: u64,
    /// Pictures: the encoder made nothing of them, to keep its rate.
    pub skipped_by_encoder: u64,
    /// Access units: encoded, but not sent.
    pub during_send: u64,
    /// Packets: the OS refused them.
    pub packets_refused: u64,
}

/// What the receiver said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FeedbackCounters {
    /// RTCP datagrams received.
    pub rtcp_received: u64,
    /// Datagrams that were no well-formed RTCP, and RTCP packets whose bodies were not what their types say.
    pub malformed: u64,
    /// Reports and requests about streams that are not ours.
    pub foreign: u64,
    /// Transport-wide congestion control feedback.
    pub transport_cc: u64,
    /// Key frames asked for by PLI.
    pub plis: u64,
    /// Key frames asked for by FIR, repeats left out.
    pub firs: u64,
    /// Packets that were said to be missing.
    pub nacked_packets: u64,
    /// Receiver reports about our stream.
    pub receiver_reports: u64,
    /// Part of the packets lost, 0.0 to 1.0, in the last report.
    pub fraction_lost: f32,
    /// Round-trip time in milliseconds, from the last report that allows to tell it.
    pub rtt_ms: Option<f32>,
    /// The receiver's bound on the bitrate, in thousands of bits a second, where it sent one.
    pub max_bitrate_kbps: Option<u32>,
}

/// What is known of the network, from when packets left and when the receiver says that they arrived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct NetworkStatus {
    /// The bitrate that it takes, in thousands of bits a second: the estimate, or the receiver's bound where
    /// that is lower. None before the first feedback, and where there is none.
    pub available_kbps: Option<u32>,
    /// The most that leaves, in thousands of bits a second.
    pub pacing_kbps: u32,
    /// Part of the packets lost lately, 0.0 to 1.0.
    pub loss: f32,
    /// Whether queues on the way grow, where it is measured.
    pub usage: Option<Usage>,
    /// Less is sent than the network takes, so that what arrives says little of what could.
    pub application_limited: bool,
    /// Packets in transport-wide feedback that were not believed: never sent, or told of before.
    pub feedback_refused: u64,
}

/// How long the start took: milliseconds since it was started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StartupTimes {
    /// Until the first picture was captured.
    pub first_captured_ms: Option<f32>,
    /// Until the first access unit was encoded.
    pub first_encoded_ms: Option<f32>,
    /// Until the last packet of the first access unit left.
    pub first_sent_ms: Option<f32>,
}
