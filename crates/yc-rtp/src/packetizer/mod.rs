//! Splitting access units into RTP payloads, one file per codec.

use std::fmt;

use yc_media::EncodedFrame;

use crate::{PacketizeError, RtpPayload};

/// Splits access units of one codec into RTP payloads. Headers are
/// [`RtpStream`](crate::RtpStream)'s job.
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
