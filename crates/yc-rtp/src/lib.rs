//! RTP packetizers and RTCP for the yc screen-share suite: bytes in, bytes out.
//!
//! An [`RtpStream`] turns the access units of one encoder into [`RtpPacket`]s: split by the codec's payload
//! format, stamped with SSRC, sequence number, timestamp, marker and header extensions. Payloads are slices
//! of the access unit, not copies; the one copy is the one onto the wire. A
//! [`FeedbackParser`](rtcp::FeedbackParser) turns received RTCP into [`FeedbackEvent`]s, and the stream
//! writes the reports that answer it. A [`SentHistory`] keeps what left for whoever asks for it again; it
//! goes again by an [`RtxStream`], or as it is.
//!
//! What it is not: there is no socket here, no clock, no thread, no source of randomness and no policy.
//! Time, random starts and packet limits are arguments; whether a key frame is granted, the bitrate lowered
//! or a lost packet worth its bytes is decided by whoever reads the events.
//!
//! ```
//! use bytes::Bytes;
//! use std::time::Duration;
//! use yc_media::{CaptureTime, Codec, EncodedFrame, FrameKind, LayerId, Resolution};
//! use yc_rtp::rtcp::{self, FeedbackParser};
//! use yc_rtp::{CodecParams, FeedbackEvent, NtpTime, RtpPacket, RtpStream, StreamParams};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // What was agreed on with the receiver; the random starts come from the caller.
//! let codec = CodecParams::H264 { profile_level_id: "42c028".parse()? };
//! let params = StreamParams::new(0x1234_5678, 101, codec, "my-app");
//! let mut stream = RtpStream::new(params.clone(), 17_000, 0x89ab_cdef)?;
//!
//! // One access unit, as an encoder writes it.
//! let frame = EncodedFrame {
//!     data: Bytes::from_static(b"\0\0\0\x01\x67\x42\xc0\x28\0\0\0\x01\x68\xce\0\0\0\x01\x65\x88\x84"),
//!     codec: Codec::H264,
//!     kind: FrameKind::Key,
//!     captured_at: CaptureTime::from_epoch(Duration::from_millis(40)),
//!     size: Resolution::new(1920, 1080)?,
//!     layer: LayerId::default(),
//!     qp: None,
//! };
//! let mut packets: Vec<RtpPacket> = Vec::new();
//! stream.packetize(&frame, 1_200, &mut packets)?;
//!
//! // Both parameter sets and the slice fit into one packet, the last of its access unit.
//! assert_eq!(packets.len(), 1);
//! assert!(packets[0].header.marker);
//!
//! // At sending: stamp what was negotiated, write into a buffer used again, count.
//! let now = NtpTime::from_unix(Duration::from_secs(1_700_000_000));
//! let mut datagram = Vec::new();
//! for (transport_sequence, packet) in packets.iter_mut().enumerate() {
//!     stream.stamp(packet, now, transport_sequence as u16);
//!     packet.write_to(&mut datagram);
//!     // socket.send(&datagram)
//!     stream.on_sent(packet);
//! }
//!
//! // What comes back on the same port is RTCP: here a PLI.
//! let mut feedback = FeedbackParser::new([&params]);
//! let received = [0x81, 206, 0, 2, 0, 0, 0, 9, 0x12, 0x34, 0x56, 0x78];
//! assert!(rtcp::is_rtcp(&received));
//! feedback.parse(now, &received, &mut |event| {
//!     assert_eq!(event, FeedbackEvent::KeyframeWanted { ssrc: 0x1234_5678, fir: false });
//! })?;
//!
//! // Once a second: a report, with an answer to each receiver that asked for its round-trip time.
//! let mut delays = Vec::new();
//! feedback.take_delays(now, &mut delays);
//! stream.write_report(now, frame.captured_at, &delays, &mut datagram);
//! # Ok(())
//! # }
//! ```
//!
//! | codec | packetizer |
//! | --- | --- |
//! | H264 | [`packetizer::H264Packetizer`], packetization mode 1 |
//! | VP8, VP9, AV1 | none yet: [`PacketizeError::Unsupported`] |
//!
//! | RTCP | out | in |
//! | --- | --- | --- |
//! | SR, RR | [`RtpStream::write_report`] | [`FeedbackEvent::ReceiverReport`], with the round-trip time |
//! | SDES | the CNAME in every report | passed over |
//! | BYE | [`RtpStream::write_goodbye`] | [`FeedbackEvent::Bye`] |
//! | XR | DLRR in the report | RRTR: [`FeedbackEvent::ReferenceTime`] |
//! | PLI, FIR | | [`FeedbackEvent::KeyframeWanted`], repeats of a FIR left out |
//! | NACK | | [`FeedbackEvent::Nack`]; what it asks for is in [`SentHistory`] |
//! | REMB | | [`FeedbackEvent::MaxBitrate`] |
//! | transport-cc | [`TransportFeedback::append_to`], for simulated receivers | [`FeedbackEvent::TransportFeedback`] |
//!
//! | asked for again | goes as |
//! | --- | --- |
//! | RTX negotiated | [`RtxStream::write_to`]: its own SSRC, payload type and sequence numbers |
//! | RTX not negotiated | [`RtpStream::write_again`]: the original once more, stamped anew |
//! | nothing, but a path is to be probed | [`RtxStream::write_padding`]; without RTX there is no padding |
//!
//! There are no Cargo features; every platform is the same.
#![forbid(unsafe_code)]

mod error;
pub mod extension;
mod feedback;
mod history;
mod ntp;
mod packet;
pub mod packetizer;
mod params;
mod payload;
pub mod rtcp;
mod rtx;
mod stream;

pub use error::{ExtensionError, PacketizeError, ParamsError, RtcpError, RtpParseError};
pub use extension::HeaderExtensions;
pub use feedback::FeedbackEvent;
pub use history::{HistoryLimits, NotSent, SentHistory};
pub use ntp::NtpTime;
pub use packet::{RtpHeader, RtpPacket};
pub use packetizer::RtpPacketizer;
pub use params::{CodecParams, ExtensionKind, RtpExtension, RtxParams, StreamParams};
pub use payload::RtpPayload;
pub use rtcp::{ArrivalTime, TransportFeedback};
pub use rtx::RtxStream;
pub use stream::{RtpStream, SentCounters};
