//! What the network takes: estimated at the sender, from when each packet left and when it arrived.
//!
//! A [`BandwidthEstimator`] is plain code: packets that left and feedback go in, an [`Estimate`] and probes
//! come out. It knows no clock, no socket, no thread; the time is an argument. [`SentLedger`] stands before
//! it: it turns the transport-wide feedback of the wire
//! ([draft-holmer-rmcat-transport-wide-cc-extensions-01](https://datatracker.ietf.org/doc/html/draft-holmer-rmcat-transport-wide-cc-extensions-01))
//! into [`PacketOutcome`]s and believes none of it that cannot be true.

mod gcc;
mod ledger;

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use yc_media::{Bitrate, CaptureTime};

pub use gcc::GccEstimator;
pub use ledger::{LedgerCounters, SentLedger};

/// Estimates the bitrate that the way to the receiver takes.
///
/// # Contract
///
/// - Each packet is told once by [`on_sent`](Self::on_sent), when it leaves, in the order of leaving.
/// - Each feedback is told once by [`on_feedback`](Self::on_feedback); a packet may occur in several.
/// - Call [`handle_timeout`](Self::handle_timeout) when the time that [`poll_timeout`](Self::poll_timeout)
///   names has come. After any call, take probes by [`poll_probe`](Self::poll_probe) until there is none,
///   and read [`estimate`](Self::estimate).
/// - Times that stand still or go backwards are borne: they are taken for the latest time seen.
/// - No order of calls and no argument panics, and the estimate stays within its configured bounds.
pub trait BandwidthEstimator: Send + fmt::Debug {
    /// A packet left.
    fn on_sent(&mut self, packet: &SentPacket);
    /// One feedback came at `now`: what became of some packets, in the order of sending, lost and received.
    fn on_feedback(&mut self, now: CaptureTime, outcomes: &[PacketOutcome]);
    /// The time from here to the receiver and back was measured, by whatever means.
    fn on_round_trip(&mut self, now: CaptureTime, rtt: Duration);
    /// The most that the receiver thinks can be received (REMB), or that it says so no more. An upper bound
    /// only: it never raises the estimate.
    fn set_receiver_bound(&mut self, now: CaptureTime, bound: Option<Bitrate>);
    /// What is sent at full quality: there is no need to look for much more than this.
    fn set_wanted(&mut self, now: CaptureTime, wanted: Bitrate);
    /// The time that [`poll_timeout`](Self::poll_timeout) named has come.
    fn handle_timeout(&mut self, now: CaptureTime);
    /// When [`handle_timeout`](Self::handle_timeout) wants to be called next.
    fn poll_timeout(&self) -> Option<CaptureTime>;
    /// A cluster of packets to be sent at once, at a bitrate above the estimate, to see whether it arrives.
    fn poll_probe(&mut self) -> Option<ProbeCluster>;
    /// What is thought of the network now.
    fn estimate(&self) -> Estimate;
}

/// A packet that left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SentPacket {
    /// Its transport-wide sequence number, unwrapped: each packet's is one more than that of the packet
    /// before.
    pub sequence: u64,
    /// When it left.
    pub at: CaptureTime,
    /// Its length in bytes, RTP header included. Those of UDP and IP are not known here.
    pub bytes: usize,
    /// The [`ProbeCluster::id`] it was sent for.
    pub probe: Option<u32>,
}

impl SentPacket {
    /// A packet of `bytes` that left `at`, for no probe.
    pub const fn new(sequence: u64, at: CaptureTime, bytes: usize) -> Self {
        Self { sequence, at, bytes, probe: None }
    }

    /// The same, sent for the probe cluster `probe` if any.
    #[must_use]
    pub const fn with_probe(mut self, probe: Option<u32>) -> Self {
        self.probe = probe;
        self
    }
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PacketOutcome {
    /// The packet.
    pub sent: SentPacket,
    /// When it arrived, by the receiver's clock, since an epoch of that clock's own. `None`: it was lost, or
    /// has not arrived yet.
    pub arrived: Option<Duration>,
}

impl PacketOutcome {
    /// `sent` arrived, or did not.
    pub const fn new(sent: SentPacket, arrived: Option<Duration>) -> Self {
        Self { sent, arrived }
    }
}

/// Packets to be sent at once, to see whether the network takes `bitrate`.
///
/// Both bounds are to be met: at least `min_packets` packets, and at least `min_bytes` bytes. Media that
/// waits is sent for it; where there is too little of it, padding or repeated packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProbeCluster {
    /// Goes into [`SentPacket::probe`] of each of its packets. Counts up, never used twice.
    pub id: u32,
    /// At what rate its packets leave.
    pub bitrate: Bitrate,
    /// The fewest packets that say something.
    pub min_packets: u32,
    /// The fewest bytes that say something.
    pub min_bytes: usize,
}

impl ProbeCluster {
    /// At least `min_packets` packets and `min_bytes` bytes, to leave at `bitrate`, as the probe `id`.
    pub const fn new(id: u32, bitrate: Bitrate, min_packets: u32, min_bytes: usize) -> Self {
        Self { id, bitrate, min_packets, min_bytes }
    }
}

/// What is thought of the network.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Estimate {
    /// What it takes, in bits of RTP per second. Bounds of configuration and receiver are applied.
    pub bitrate: Bitrate,
    /// The part of the packets lost lately, 0.0 to 1.0.
    pub loss: f32,
    /// The latest round-trip time, where it was ever measured.
    pub round_trip: Option<Duration>,
    /// Whether queues on the way grow.
    pub usage: Usage,
    /// Less is sent than the estimate allows, so that what arrives says little of what could.
    pub application_limited: bool,
}

impl Estimate {
    /// It takes `bitrate`, and nothing else is known of it.
    pub const fn new(bitrate: Bitrate) -> Self {
        Self { bitrate, loss: 0.0, round_trip: None, usage: Usage::Normal, application_limited: false }
    }
}

/// How the way to the receiver is used, by the growth of the delay.
/// [draft-ietf-rmcat-gcc-02 §5.4](https://datatracker.ietf.org/doc/html/draft-ietf-rmcat-gcc-02#section-5.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Usage {
    /// Queues drain.
    Under,
    /// Queues stay as they are.
    #[default]
    Normal,
    /// Queues grow: more is sent than leaves the bottleneck.
    Over,
}

/// Where an estimator starts, and its bounds.
///
/// A `max` below `min` counts as `min`, and `start` is taken into both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BandwidthConfig {
    /// The estimate before anything is known, and what is wanted until
    /// [`BandwidthEstimator::set_wanted`] says otherwise. Default: 6 Mbit/s.
    pub start: Bitrate,
    /// The estimate never falls below this. Default: 150 kbit/s, at which text stays readable at a few
    /// frames a second.
    pub min: Bitrate,
    /// The estimate never exceeds this. Default: 100 Mbit/s.
    pub max: Bitrate,
}

impl BandwidthConfig {
    /// Starts at `start`; bounds as by default.
    pub fn new(start: Bitrate) -> Self {
        Self { start, ..Self::default() }
    }

    /// The same with other bounds.
    #[must_use]
    pub fn with_bounds(mut self, min: Bitrate, max: Bitrate) -> Self {
        self.min = min;
        self.max = max;
        self
    }
}

impl Default for BandwidthConfig {
    fn default() -> Self {
        Self { start: Bitrate::kbps(6_000), min: Bitrate::kbps(150), max: Bitrate::kbps(100_000) }
    }
}
