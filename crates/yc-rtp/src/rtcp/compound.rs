//! Finding the packets of one datagram.
//! [RFC 3550 §6.1, §A.2](https://www.rfc-editor.org/rfc/rfc3550#section-6.1).

use super::{HEADER_LEN, RTPFB, VERSION, twcc};
use crate::RtcpError;

/// One packet of a datagram, padding left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    /// The count or format field: five bits.
    pub(super) count: u8,
    pub(super) packet_type: u8,
    /// What follows the common header: whole words, but for transport-wide feedback.
    pub(super) body: &'a [u8],
}

/// The packets of `datagram`, once the framing of all of them has been checked.
///
/// A datagram may hold feedback alone, without a report before it
/// ([RFC 5506 §3.4.1](https://www.rfc-editor.org/rfc/rfc5506#section-3.4.1)): mediasoup sends such.
pub(super) fn packets(datagram: &[u8]) -> Result<impl Iterator<Item = Packet<'_>>, RtcpError> {
    if datagram.len() > MAX_DATAGRAM {
        return Err(RtcpError::TooLong { len: datagram.len(), max: MAX_DATAGRAM });
    }
    let mut at = 0;
    while at < datagram.len() || at == 0 {
        at += packet(datagram, at)?.1;
    }
    let mut at = 0;
    Ok(std::iter::from_fn(move || {
        if at >= datagram.len() {
            return None;
        }
        let (packet, len) = packet(datagram, at).ok()?;
        at += len;
        Some(packet)
    }))
}

/// The packet that starts at `at`, and its length with header and padding.
fn packet(datagram: &[u8], at: usize) -> Result<(Packet<'_>, usize), RtcpError> {
    let rest = &datagram[at..];
    let truncated = |needed| RtcpError::Truncated { at, needed, left: rest.len() };
    let &[first, packet_type, high, low] = rest.first_chunk().ok_or(truncated(HEADER_LEN))?;
    if first >> 6 != VERSION {
        return Err(RtcpError::Version { at, version: first >> 6 });
    }
    if !(192..=223).contains(&packet_type) {
        return Err(RtcpError::PacketType { at, packet_type });
    }
    let len = HEADER_LEN + 4 * usize::from(u16::from_be_bytes([high, low]));
    let whole = rest.get(HEADER_LEN..len).ok_or(truncated(len))?;
    let mut body = whole;
    if first & PADDING_BIT != 0 {
        let padding = usize::from(whole.last().copied().unwrap_or(0));
        // Only the last packet may be padded, and by whole words (§6.4.1). libwebrtc and pion fill up
        // transport-wide feedback by single bytes, and libwebrtc wherever it stands.
        let is_regular = len == rest.len() && padding.is_multiple_of(4);
        let is_feedback = (packet_type, first & COUNT) == (RTPFB, twcc::FORMAT);
        if padding == 0 || padding > whole.len() || !(is_regular || is_feedback) {
            return Err(RtcpError::Padding { at });
        }
        body = &whole[..whole.len() - padding];
    }
    Ok((Packet { count: first & COUNT, packet_type, body }, len))
}

/// The longest datagram that is read, in bytes. Receivers keep to their MTU, 1,500 bytes or less.
pub(super) const MAX_DATAGRAM: usize = 2_048;

const PADDING_BIT: u8 = 0x20;
const COUNT: u8 = 0x1f;

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(count: u8, packet_type: u8, body: &[u8]) -> Packet<'_> {
        Packet { count, packet_type, body }
    }

    #[track_caller]
    fn check(datagram: &[u8], expected: Result<&[Packet<'_>], RtcpError>) {
        let found = packets(datagram).map(Iterator::collect::<Vec<_>>);
        assert_eq!(found.as_deref().map_err(Clone::clone), expected);
    }

    #[test]
    fn packets_follow_one_another_to_the_end() {
        let datagram =
            [0x81, 201, 0, 1, 1, 2, 3, 4, 0x80, 203, 0, 0, 0xa1, 206, 0, 2, 5, 6, 7, 8, 0, 0, 0, 4];
        check(
            &datagram,
            Ok(&[packet(1, 201, &[1, 2, 3, 4]), packet(0, 203, &[]), packet(1, 206, &[5, 6, 7, 8])]),
        );
    }

    #[test]
    fn bad_framing_is_refused_before_anything_is_used() {
        check(&[], Err(RtcpError::Truncated { at: 0, needed: 4, left: 0 }));
        check(&[0x80, 201, 0], Err(RtcpError::Truncated { at: 0, needed: 4, left: 3 }));
        check(&[0x80, 201, 0, 1, 0], Err(RtcpError::Truncated { at: 0, needed: 8, left: 5 }));
        check(
            &[0x80, 203, 0, 0, 0x80, 201, 0xff, 0xff],
            Err(RtcpError::Truncated { at: 4, needed: 262_144, left: 4 }),
        );
        check(&[0x80, 203, 0, 0, 0x40, 201, 0, 0], Err(RtcpError::Version { at: 4, version: 1 }));
        check(&[0x80, 0x65, 0, 0], Err(RtcpError::PacketType { at: 0, packet_type: 0x65 }));
        check(&[0; 2_049], Err(RtcpError::TooLong { len: 2_049, max: 2_048 }));
    }

    #[test]
    fn padding_stands_at_the_end_and_is_whole_words() {
        check(&[0xa0, 203, 0, 0], Err(RtcpError::Padding { at: 0 }));
        for padding in [0, 3, 8] {
            check(&[0xa0, 203, 0, 1, 0, 0, 0, padding], Err(RtcpError::Padding { at: 0 }));
        }
        check(&[0xa0, 203, 0, 1, 0, 0, 0, 4], Ok(&[packet(0, 203, &[])]));
        check(&[0xa0, 203, 0, 1, 0, 0, 0, 4, 0x80, 203, 0, 0], Err(RtcpError::Padding { at: 0 }));
    }

    #[test]
    fn transport_wide_feedback_is_filled_up_as_others_do() {
        let datagram = [0xaf, 205, 0, 1, 1, 2, 0, 2, 0x80, 203, 0, 0];
        check(&datagram, Ok(&[packet(15, 205, &[1, 2]), packet(0, 203, &[])]));
        for padding in [0, 5] {
            check(&[0xaf, 205, 0, 1, 0, 0, 0, padding], Err(RtcpError::Padding { at: 0 }));
        }
        check(&[0xa1, 205, 0, 1, 1, 2, 0, 2], Err(RtcpError::Padding { at: 0 }));
    }
}
