//! What a receiver tells the sender.

use std::time::Duration;

use yc_media::Bitrate;

use crate::TransportFeedback;

/// One fact from a received RTCP packet that concerns a stream of ours.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum FeedbackEvent {
    /// The receiver needs a key frame. PLI: [RFC 4585 §6.3.1](https://www.rfc-editor.org/rfc/rfc4585#section-6.3.1).
    /// FIR: [RFC 5104 §4.3.1](https://www.rfc-editor.org/rfc/rfc5104#section-4.3.1), repeats of the same
    /// command left out.
    KeyframeWanted {
        /// The stream it is wanted of.
        ssrc: u32,
        /// Whether it was asked by FIR.
        fir: bool,
    },
    /// Packets that did not arrive. [RFC 4585 §6.2.1](https://www.rfc-editor.org/rfc/rfc4585#section-6.2.1).
    Nack {
        /// The stream they belong to.
        ssrc: u32,
        /// Their sequence numbers.
        sequences: Vec<u16>,
    },
    /// How a stream arrives. [RFC 3550 §6.4.2](https://www.rfc-editor.org/rfc/rfc3550#section-6.4.2).
    ReceiverReport {
        /// The stream it is about.
        ssrc: u32,
        /// Part of the packets lost since the report before, 0.0 to 1.0.
        fraction_lost: f32,
        /// Packets lost since the start; duplicates can make it negative.
        cumulative_lost: i32,
        /// The highest sequence number received, with its cycles.
        highest_sequence: u32,
        /// Interarrival jitter.
        jitter: Duration,
        /// Round-trip time, where the report answers a sender report of ours.
        rtt: Option<Duration>,
    },
    /// The most that the receiver thinks can be received. REMB.
    MaxBitrate {
        /// The streams it covers, together.
        ssrcs: Vec<u32>,
        /// The bound.
        bitrate: Bitrate,
    },
    /// Which packets of the transport arrived, and when; it concerns every stream of it.
    /// [draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1](https://datatracker.ietf.org/doc/html/draft-holmer-rmcat-transport-wide-cc-extensions-01#section-3.1).
    TransportFeedback(TransportFeedback),
    /// The receiver asks for its round-trip time. RRTR,
    /// [RFC 3611 §4.4](https://www.rfc-editor.org/rfc/rfc3611#section-4.4); answer with DLRR.
    ReferenceTime {
        /// Who asks.
        ssrc: u32,
        /// The middle 32 bits of its NTP time.
        ntp_middle: u32,
    },
    /// The receiver says goodbye. [RFC 3550 §6.6](https://www.rfc-editor.org/rfc/rfc3550#section-6.6).
    Bye {
        /// Who leaves.
        ssrcs: Vec<u32>,
    },
}
