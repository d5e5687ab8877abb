//! One RTP packet. [RFC 3550 §5.1](https://www.rfc-editor.org/rfc/rfc3550#section-5.1).

use std::ops::Range;

use crate::extension::{BLOCK_HEADER_LEN, ONE_BYTE_PROFILE};
use crate::{HeaderExtensions, RtpParseError, RtpPayload};

/// The header of an RTP packet without contributing sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RtpHeader {
    /// Marks the last packet of an access unit.
    pub marker: bool,
    /// What the payload is, 0 to 127.
    pub payload_type: u8,
    /// One more than that of the packet before, wrapping.
    pub sequence: u16,
    /// When the picture was captured, in ticks of the stream's clock, from a random start.
    pub timestamp: u32,
    /// The stream that the packet belongs to.
    pub ssrc: u32,
    /// Header extensions in the one-byte form.
    pub extensions: HeaderExtensions,
}

impl RtpHeader {
    /// Bytes of a header without extensions.
    pub const FIXED_LEN: usize = 12;

    /// A header without marker and extensions.
    pub const fn new(payload_type: u8, sequence: u16, timestamp: u32, ssrc: u32) -> Self {
        let extensions = HeaderExtensions::new();
        Self { marker: false, payload_type, sequence, timestamp, ssrc, extensions }
    }

    /// Bytes on the wire, extensions included.
    pub const fn wire_len(&self) -> usize {
        Self::FIXED_LEN + self.extensions.wire_len()
    }

    /// Appends the header to `out`.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        let mut fixed = [0; Self::FIXED_LEN];
        fixed[0] = VERSION_2 | if self.extensions.is_empty() { 0 } else { EXTENSION_BIT };
        fixed[1] = (self.payload_type & 0x7f) | if self.marker { MARKER_BIT } else { 0 };
        fixed[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        fixed[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        fixed[8..].copy_from_slice(&self.ssrc.to_be_bytes());
        out.extend_from_slice(&fixed);
        self.extensions.write_to(out);
    }

    /// Reads the header of a whole packet, and where in it the payload lies, padding left out.
    ///
    /// Contributing sources are passed over, and so are header extensions in another form than the
    /// one-byte one.
    ///
    /// # Errors
    ///
    /// If `packet` is not a whole RTP packet of version 2, or carries more extensions than
    /// [`HeaderExtensions::CAPACITY`] holds.
    pub fn parse(packet: &[u8]) -> Result<(Self, Range<usize>), RtpParseError> {
        let short = |needed| RtpParseError::Short { len: packet.len(), needed };
        let fixed = packet.first_chunk::<{ Self::FIXED_LEN }>().ok_or(short(Self::FIXED_LEN))?;
        if fixed[0] & 0xc0 != VERSION_2 {
            return Err(RtpParseError::Version(fixed[0] >> 6));
        }
        let mut header = Self::new(
            fixed[1] & 0x7f,
            u16::from_be_bytes([fixed[2], fixed[3]]),
            u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
        );
        header.marker = fixed[1] & MARKER_BIT != 0;

        let mut start = Self::FIXED_LEN + 4 * usize::from(fixed[0] & CSRC_COUNT);
        if fixed[0] & EXTENSION_BIT != 0 {
            let block = packet.get(start..start + BLOCK_HEADER_LEN).ok_or(short(start + BLOCK_HEADER_LEN))?;
            let profile = u16::from_be_bytes([block[0], block[1]]);
            let len = 4 * usize::from(u16::from_be_bytes([block[2], block[3]]));
            start += BLOCK_HEADER_LEN;
            let elements = packet.get(start..start + len).ok_or(short(start + len))?;
            if profile == ONE_BYTE_PROFILE {
                header.extensions = HeaderExtensions::parse(elements)?;
            }
            start += len;
        }
        let padding = match packet.last() {
            Some(&count) if fixed[0] & PADDING_BIT != 0 => usize::from(count),
            _ => 0,
        };
        let has_padding = fixed[0] & PADDING_BIT != 0;
        match packet.len().checked_sub(padding) {
            Some(end) if end >= start && (padding > 0 || !has_padding) => Ok((header, start..end)),
            _ if has_padding && packet.len() > start => Err(RtpParseError::Padding(padding)),
            _ => Err(short(start + usize::from(has_padding))),
        }
    }
}

/// One RTP packet, header stamped, ready to pace.
///
/// What is known only at sending (`abs-send-time`, the transport-wide sequence number) is stamped into the
/// header by [`RtpStream::stamp`](crate::RtpStream::stamp) just before
/// [`write_to`](Self::write_to); packetization leaves room for it, so the length does not change.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "RFC 3550 gives a packet these two")]
pub struct RtpPacket {
    /// Everything before the payload.
    pub header: RtpHeader,
    /// The codec's part.
    pub payload: RtpPayload,
}

impl RtpPacket {
    /// Bytes on the wire: the payload of a UDP datagram, before SRTP adds its tag.
    pub fn wire_len(&self) -> usize {
        self.header.wire_len() + self.payload.len()
    }

    /// Replaces what is in `out` by the packet: the one copy of the payload that a sender makes, so that it
    /// can be encrypted in place. A buffer that is used again allocates nothing.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.clear();
        out.reserve(self.wire_len());
        self.header.append_to(out);
        self.payload.append_to(out);
    }
}

const VERSION_2: u8 = 2 << 6;
pub(crate) const PADDING_BIT: u8 = 1 << 5;
const EXTENSION_BIT: u8 = 1 << 4;
const CSRC_COUNT: u8 = 0x0f;
const MARKER_BIT: u8 = 1 << 7;

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::ExtensionError;

    fn packet() -> RtpPacket {
        let mut header = RtpHeader::new(101, 0xfffe, 0x0102_0304, 0xdead_beef);
        header.marker = true;
        header.extensions.set(4, b"0").unwrap();
        RtpPacket { header, payload: RtpPayload::single(&[0x7c, 0x85], Bytes::from_static(b"abc")) }
    }

    #[test]
    fn a_packet_is_written_as_the_rfc_draws_it() {
        let mut wire = vec![0xff; 3];
        packet().write_to(&mut wire);
        let expected = [
            0x90, 0xe5, 0xff, 0xfe, 1, 2, 3, 4, 0xde, 0xad, 0xbe, 0xef, // fixed header
            0xbe, 0xde, 0, 1, 0x40, b'0', 0, 0, // one extension
            0x7c, 0x85, b'a', b'b', b'c',
        ];
        assert_eq!(wire, expected);
        assert_eq!(packet().wire_len(), wire.len());
        assert_eq!(RtpHeader::parse(&wire), Ok((packet().header, 20..25)));
    }

    #[test]
    fn stamping_at_sending_keeps_the_length() {
        let mut packet = packet();
        let before = packet.wire_len();
        packet.header.extensions.set(4, b"1").unwrap();
        assert_eq!(packet.wire_len(), before);
    }

    #[test]
    fn sources_foreign_extensions_and_padding_are_passed_over() {
        let wire = [
            0xb2, 0x65, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, // two sources, extension, padding
            0, 0, 0, 4, 0, 0, 0, 5, // the sources
            0x10, 0x00, 0, 1, 1, 1, 7, 0, // the two-byte form
            b'p', 0, 0, 3,
        ];
        assert_eq!(RtpHeader::parse(&wire), Ok((RtpHeader::new(101, 1, 2, 3), 28..29)));
    }

    #[test]
    fn what_is_cut_off_is_refused_with_the_length_it_needs() {
        let mut wire = Vec::new();
        packet().write_to(&mut wire);
        for (len, needed) in [(0, 12), (11, 12), (12, 16), (15, 16), (16, 20), (19, 20)] {
            assert_eq!(RtpHeader::parse(&wire[..len]), Err(RtpParseError::Short { len, needed }));
        }
        assert_eq!(RtpHeader::parse(&wire[..20]).unwrap().1, 20..20, "a payload may be empty");
        wire[0] = 0x10;
        assert_eq!(RtpHeader::parse(&wire), Err(RtpParseError::Version(0)));
    }

    #[test]
    fn padding_may_not_reach_into_the_header() {
        let mut wire = vec![0xa0; 12];
        assert_eq!(RtpHeader::parse(&wire), Err(RtpParseError::Short { len: 12, needed: 13 }));
        for (count, expected) in
            [(0, Err(RtpParseError::Padding(0))), (1, Ok(12..12)), (2, Err(RtpParseError::Padding(2)))]
        {
            wire.resize(12, 0);
            wire.push(count);
            assert_eq!(RtpHeader::parse(&wire).map(|(_, payload)| payload), expected, "{count}");
        }
    }

    #[test]
    fn more_extensions_than_there_is_room_for_are_refused() {
        let mut wire = vec![0x90, 101, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xbe, 0xde, 0, 17];
        for id in 1..=4 {
            wire.push(id << 4 | 15);
            wire.extend([id; 16]);
        }
        assert_eq!(RtpHeader::parse(&wire), Err(ExtensionError::NoRoom { id: 4, len: 16 }.into()));
    }
}
