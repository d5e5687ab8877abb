//! RTP packetizers and RTCP for the yc screen-share suite: bytes in, bytes out.
#![forbid(unsafe_code)]

mod error;
pub mod extension;
mod feedback;
mod ntp;
mod packet;
pub mod packetizer;
mod params;
mod payload;
pub mod rtcp;
mod stream;

pub use error::{ExtensionError, PacketizeError, ParamsError, RtcpError, RtpParseError};
pub use extension::HeaderExtensions;
pub use feedback::FeedbackEvent;
pub use ntp::NtpTime;
pub use packet::{RtpHeader, RtpPacket};
pub use packetizer::RtpPacketizer;
pub use params::{CodecParams, ExtensionKind, RtpExtension, RtxParams, StreamParams};
pub use payload::RtpPayload;
pub use stream::{RtpStream, SentCounters};
