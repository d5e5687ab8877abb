//! Splitting access units into RTP payloads, one file per codec.

mod h264;

use std::fmt;

use yc_media::{Codec, EncodedFrame};

use crate::{PacketizeError, RtpPayload};

pub use h264::H264Packetizer;

/// Splits access units of one codec into RTP payloads. Headers are
/// [`RtpStream`](crate::RtpStream)'s job.
///
/// # Contract
///
/// - Payload bytes are slices of the frame's buffer, not copies.
/// - Once buffers have grown, nothing is allocated per frame.
pub trait RtpPacketizer: Send + fmt::Debug {
    /// Appends the payloads of `frame` to `out` in sending order, each at most `max_len` bytes. On an error
    /// nothing is appended.
    ///
    /// # Errors
    ///
    /// If the frame is not what its codec's encoder writes, or `max_len` is too small to hold any of it.
    fn packetize(
        &mut self,
        frame: &EncodedFrame,
        max_len: usize,
        out: &mut Vec<RtpPayload>,
    ) -> Result<(), PacketizeError>;
}

/// The packetizer for `codec`.
///
/// # Errors
///
/// [`PacketizeError::Unsupported`] if there is none.
pub fn for_codec(codec: Codec) -> Result<Box<dyn RtpPacketizer>, PacketizeError> {
    match codec {
        Codec::H264 => Ok(Box::new(H264Packetizer::new())),
        Codec::Vp8 | Codec::Vp9 | Codec::Av1 => Err(PacketizeError::Unsupported(codec)),
    }
}
