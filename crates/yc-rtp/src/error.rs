//! Why something was refused. Every message names the value and its bounds.

use std::time::Duration;

use crate::ExtensionKind;

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

/// Stream parameters that cannot be sent with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParamsError {
    /// A payload type that would be taken for RTCP, or is none.
    #[error("payload type {0} is not 0 to 63 or 96 to 127 (RFC 5761 §4)")]
    PayloadType(u8),
    /// Media and retransmission share an SSRC or a payload type.
    #[error("{what} {value} is both the media's and the retransmission's")]
    RtxClash {
        /// Which of the two.
        what: &'static str,
        /// The value.
        value: u32,
    },
    /// An extension id outside the one-byte form.
    #[error("id {id} of header extension {kind} is not 1 to 14")]
    ExtensionId {
        /// What it should carry.
        kind: ExtensionKind,
        /// The id.
        id: u8,
    },
    /// An id or an extension that stands in the list twice.
    #[error("header extension {kind} or its id {id} stands twice")]
    ExtensionTwice {
        /// The later one.
        kind: ExtensionKind,
        /// Its id.
        id: u8,
    },
    /// A text that its field cannot hold.
    #[error("{what} is {len} bytes long, not 1 to {max}")]
    TextLength {
        /// Which text.
        what: &'static str,
        /// Its length.
        len: usize,
        /// The longest that the field holds.
        max: usize,
    },
    /// The codec cannot be packetized.
    #[error(transparent)]
    Packetizer(#[from] PacketizeError),
}

/// A header extension that cannot be carried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExtensionError {
    /// An id outside the one-byte form.
    #[error("header extension id {0} is not 1 to 14")]
    Id(u8),
    /// A value that the one-byte form cannot hold.
    #[error("header extension {id} is {len} bytes long, not 1 to 16")]
    Length {
        /// Its id.
        id: u8,
        /// The value's length.
        len: usize,
    },
    /// No room is left in the packet's extensions.
    #[error(
        "header extension {id} of {len} bytes exceeds the {} bytes of a packet's extensions",
        crate::HeaderExtensions::CAPACITY
    )]
    NoRoom {
        /// Its id.
        id: u8,
        /// The value's length.
        len: usize,
    },
    /// A received value runs past the end of the extensions.
    #[error("header extension {id} of {len} bytes has only {left} left")]
    Truncated {
        /// Its id.
        id: u8,
        /// The length it gives.
        len: usize,
        /// The bytes there are.
        left: usize,
    },
    /// Bounds that `playout-delay` cannot say.
    #[error("playout delay {min:?} to {max:?} is not within 0 to {:?}", crate::extension::PlayoutDelay::MAX)]
    PlayoutDelay {
        /// The lower bound.
        min: Duration,
        /// The upper bound.
        max: Duration,
    },
}

/// Bytes that are not an RTP packet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RtpParseError {
    /// It ends before what its header announces.
    #[error("{len} bytes are no RTP packet: its header needs {needed}")]
    Short {
        /// Its length.
        len: usize,
        /// The least its header needs.
        needed: usize,
    },
    /// It is of another version than 2.
    #[error("RTP version {0} is not 2")]
    Version(u8),
    /// It announces no padding byte, or more than there are.
    #[error("{0} bytes of RTP padding are none, or reach into the header")]
    Padding(usize),
    /// Its extensions are malformed or too many.
    #[error(transparent)]
    Extension(#[from] ExtensionError),
}

/// A datagram that is not RTCP. Nothing of it was used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RtcpError {
    /// It exceeds what any receiver sends in one datagram.
    #[error("an RTCP datagram of {len} bytes exceeds {max}")]
    TooLong {
        /// Its length.
        len: usize,
        /// The most that is read.
        max: usize,
    },
    /// It is empty, or one of its packets runs past its end.
    #[error("the RTCP packet at byte {at} needs {needed} bytes of {left}")]
    Truncated {
        /// Where the packet starts.
        at: usize,
        /// The length its header gives.
        needed: usize,
        /// The bytes there are.
        left: usize,
    },
    /// A packet of another version than 2.
    #[error("the RTCP packet at byte {at} is of version {version}, not 2")]
    Version {
        /// Where the packet starts.
        at: usize,
        /// Its version.
        version: u8,
    },
    /// A packet type outside 192 to 223.
    #[error("the packet at byte {at} is of type {packet_type}, not 192 to 223 (RFC 5761 §4)")]
    PacketType {
        /// Where the packet starts.
        at: usize,
        /// Its type.
        packet_type: u8,
    },
    /// Padding before the last packet, or of a length that cannot be.
    #[error("the RTCP packet at byte {at} has padding where or as long as it may not")]
    Padding {
        /// Where the packet starts.
        at: usize,
    },
}
