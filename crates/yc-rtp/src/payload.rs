//! The payload of one packet: slices of the access unit, never copies of it.

use std::fmt;

use bytes::Bytes;
use smallvec::SmallVec;

/// The payload of one RTP packet.
///
/// A list of parts, each a few bytes of payload format (an FU header, the size field of an aggregate)
/// followed by a slice of the access unit. Up to [`RtpPayload::INLINE_PARTS`] parts need no allocation.
#[derive(Clone, Default)]
pub struct RtpPayload {
    parts: SmallVec<[Part; Self::INLINE_PARTS]>,
    len: usize,
}

impl RtpPayload {
    /// Parts that are held in place.
    pub const INLINE_PARTS: usize = 4;

    /// The longest prefix that a part may have, in bytes.
    pub const MAX_PREFIX: usize = 7;

    /// A payload of no bytes.
    pub fn new() -> Self {
        Self::default()
    }

    /// A payload of one part.
    ///
    /// # Panics
    ///
    /// If `prefix` is longer than [`MAX_PREFIX`](Self::MAX_PREFIX): a packetizer's mistake.
    pub fn single(prefix: &[u8], data: Bytes) -> Self {
        let mut payload = Self::new();
        payload.push(prefix, data);
        payload
    }

    /// Appends `prefix`, then `data`; either may be empty.
    ///
    /// # Panics
    ///
    /// If `prefix` is longer than [`MAX_PREFIX`](Self::MAX_PREFIX): a packetizer's mistake.
    pub fn push(&mut self, prefix: &[u8], data: Bytes) {
        assert!(prefix.len() <= Self::MAX_PREFIX, "a prefix of {} bytes exceeds a part's", prefix.len());
        let mut part = Part { data, prefix: [0; Self::MAX_PREFIX], prefix_len: prefix.len() as u8 };
        part.prefix[..prefix.len()].copy_from_slice(prefix);
        self.len += prefix.len() + part.data.len();
        self.parts.push(part);
    }

    /// Bytes on the wire.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes, in order, in as many pieces as they lie in; none of them empty.
    pub fn chunks(&self) -> impl Iterator<Item = &[u8]> {
        self.parts.iter().flat_map(|part| [part.prefix(), &part.data]).filter(|chunk| !chunk.is_empty())
    }

    /// Appends the bytes to `out`.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        for part in &self.parts {
            out.extend_from_slice(part.prefix());
            out.extend_from_slice(&part.data);
        }
    }

    /// The first byte, where codecs keep what kind of payload it is.
    pub fn first_byte(&self) -> Option<u8> {
        self.chunks().next().map(|chunk| chunk[0])
    }
}

impl PartialEq for RtpPayload {
    /// Whether the bytes are the same, however they are cut into parts.
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.chunks().flatten().eq(other.chunks().flatten())
    }
}

impl Eq for RtpPayload {}

impl fmt::Debug for RtpPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes>", self.len)
    }
}

#[derive(Clone)]
struct Part {
    data: Bytes,
    prefix: [u8; RtpPayload::MAX_PREFIX],
    prefix_len: u8,
}

impl Part {
    fn prefix(&self) -> &[u8] {
        &self.prefix[..usize::from(self.prefix_len)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_in_order_and_without_empty_chunks() {
        let buffer = Bytes::from_static(b"abcdef");
        let mut payload = RtpPayload::single(&[1, 2, 3], buffer.slice(..2));
        payload.push(&[], buffer.slice(2..3));
        payload.push(&[4], Bytes::new());
        payload.push(&[], Bytes::new());
        assert_eq!(payload.chunks().collect::<Vec<_>>(), [&[1, 2, 3][..], b"ab", b"c", &[4]]);
        let mut bytes = vec![0xff];
        payload.append_to(&mut bytes);
        assert_eq!(bytes, b"\xff\x01\x02\x03abc\x04");
        assert_eq!((payload.len(), payload.first_byte()), (7, Some(1)));
        assert_eq!(payload, RtpPayload::single(&[], Bytes::copy_from_slice(&bytes[1..])));
        assert_eq!(format!("{payload:?}"), "<7 bytes>");
    }

    #[test]
    fn slices_share_the_buffer() {
        let buffer = Bytes::from(vec![7; 100]);
        let payload = RtpPayload::single(&[], buffer.slice(10..20));
        assert_eq!(payload.chunks().next().unwrap().as_ptr(), buffer[10..].as_ptr());
        assert!(RtpPayload::new().is_empty());
        assert_eq!(RtpPayload::new().first_byte(), None);
    }
}
