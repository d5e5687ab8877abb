//! RTP packetizers and RTCP for the yc screen-share suite: bytes in, bytes out.
#![forbid(unsafe_code)]

mod error;
mod feedback;
mod packet;
pub mod packetizer;
mod params;

pub use error::PacketizeError;
pub use feedback::FeedbackEvent;
pub use packet::{RtpHeader, RtpPacket, RtpPayload};
pub use packetizer::RtpPacketizer;
pub use params::{CodecParams, ExtensionKind, RtpExtension, RtxParams, StreamParams};
