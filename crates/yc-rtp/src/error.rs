//! Why a frame could not be packetized.

/// A frame that does not make packets. The message names what was wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PacketizeError {
    /// The frame is of another codec than the packetizer.
    #[error("a {frame} frame was given to the {packetizer} packetizer")]
    WrongCodec {
        /// The frame's.
        frame: yc_media::Codec,
        /// The packetizer's.
        packetizer: yc_media::Codec,
    },
    /// The frame's bytes are not what its codec's encoder writes.
    #[error("malformed {codec} access unit: {reason}")]
    Malformed {
        /// Its codec.
        codec: yc_media::Codec,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The packets may not be that small.
    #[error("payload limit {max_len} is below {least} bytes")]
    LimitTooSmall {
        /// What was asked for.
        max_len: usize,
        /// The least that works.
        least: usize,
    },
    /// There is no packetizer for the codec yet.
    #[error("no packetizer for {0} is compiled in")]
    Unsupported(yc_media::Codec),
}
