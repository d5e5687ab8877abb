//! RTP header extensions. [RFC 8285](https://www.rfc-editor.org/rfc/rfc8285).
//!
//! Which of them a packet carries, and under which ids, is what [`StreamParams`](crate::StreamParams)
//! say; nothing here knows an id.

use std::fmt;
use std::time::Duration;

use crate::{ExtensionError, ExtensionKind, NtpTime, ParamsError, RtpExtension};

/// The header extensions of one packet, in the one-byte form, held in place.
/// [RFC 8285 §4.2](https://www.rfc-editor.org/rfc/rfc8285#section-4.2).
#[derive(Clone, Copy)]
pub struct HeaderExtensions {
    /// Elements one after the other, unpadded, as they go onto the wire.
    bytes: [u8; Self::CAPACITY],
    len: u8,
}

impl HeaderExtensions {
    /// The most bytes of elements that one packet may carry: every extension that the suite knows, at its
    /// longest.
    pub const CAPACITY: usize = 60;

    /// No extension.
    pub const fn new() -> Self {
        Self { bytes: [0; Self::CAPACITY], len: 0 }
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes on the wire: 0 without extensions, else the four-byte header and the elements, padded to
    /// whole words.
    pub const fn wire_len(&self) -> usize {
        if self.is_empty() { 0 } else { BLOCK_HEADER_LEN + (self.len as usize).next_multiple_of(4) }
    }

    /// The value under `id`.
    pub fn value(&self, id: u8) -> Option<&[u8]> {
        self.iter().find(|(at, _)| *at == id).map(|(_, value)| value)
    }

    /// Every id with its value, in the order written.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &[u8])> {
        let mut rest = &self.bytes[..usize::from(self.len)];
        std::iter::from_fn(move || {
            let (&head, tail) = rest.split_first()?;
            let (value, after) = tail.split_at(value_len(head));
            rest = after;
            Some((head >> 4, value))
        })
    }

    /// Writes `value` under `id`, over the value that was there.
    ///
    /// A value of the same length is replaced in place, so a packet keeps its length when what it was
    /// given room for at packetization is stamped at sending.
    ///
    /// # Errors
    ///
    /// If `id` is not 1 to 14, `value` is not 1 to 16 bytes long, or [`CAPACITY`](Self::CAPACITY) is
    /// exceeded. Nothing is changed then.
    pub fn set(&mut self, id: u8, value: &[u8]) -> Result<(), ExtensionError> {
        if !(1..=14).contains(&id) {
            return Err(ExtensionError::Id(id));
        }
        if !(1..=16).contains(&value.len()) {
            return Err(ExtensionError::Length { id, len: value.len() });
        }
        let found = self.position(id);
        if let Some(at) = found
            && value_len(self.bytes[at]) == value.len()
        {
            self.bytes[at + 1..=at + value.len()].copy_from_slice(value);
            return Ok(());
        }
        let freed = found.map_or(0, |at| 1 + value_len(self.bytes[at]));
        let end = usize::from(self.len) - freed;
        if end + 1 + value.len() > Self::CAPACITY {
            return Err(ExtensionError::NoRoom { id, len: value.len() });
        }
        if let Some(at) = found {
            self.bytes.copy_within(at + freed..usize::from(self.len), at);
        }
        self.bytes[end] = (id << 4) | (value.len() - 1) as u8;
        self.bytes[end + 1..=end + value.len()].copy_from_slice(value);
        self.len = (end + 1 + value.len()) as u8;
        Ok(())
    }

    fn position(&self, id: u8) -> Option<usize> {
        let mut at = 0;
        while at < usize::from(self.len) {
            if self.bytes[at] >> 4 == id {
                return Some(at);
            }
            at += 1 + value_len(self.bytes[at]);
        }
        None
    }

    pub(crate) fn write_to(&self, out: &mut Vec<u8>) {
        if self.is_empty() {
            return;
        }
        let words = usize::from(self.len).div_ceil(4);
        out.extend_from_slice(&ONE_BYTE_PROFILE.to_be_bytes());
        out.extend_from_slice(&(words as u16).to_be_bytes());
        out.extend_from_slice(&self.bytes[..usize::from(self.len)]);
        out.resize(out.len() + words * 4 - usize::from(self.len), 0);
    }

    /// Reads the elements of a one-byte extension block: what follows its four-byte header. The first of
    /// several values under one id counts.
    pub(crate) fn parse(mut block: &[u8]) -> Result<Self, ExtensionError> {
        let mut extensions = Self::new();
        while let Some((&head, rest)) = block.split_first() {
            match head >> 4 {
                // Padding; its length bits are meaningless when the whole byte is 0.
                0 if head == 0 => block = rest,
                // Reserved: ends the block (RFC 8285 §4.2).
                15 => break,
                id => {
                    let Some((value, after)) = rest.split_at_checked(value_len(head)) else {
                        return Err(ExtensionError::Truncated { id, len: value_len(head), left: rest.len() });
                    };
                    // Id 0 with a length: skipped whole, as the RFC says of what is not understood.
                    if id != 0 && extensions.position(id).is_none() {
                        extensions.set(id, value)?;
                    }
                    block = after;
                }
            }
        }
        Ok(extensions)
    }
}

impl Default for HeaderExtensions {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for HeaderExtensions {
    fn eq(&self, other: &Self) -> bool {
        // What lies beyond `len` is left over from values set before.
        self.bytes[..usize::from(self.len)] == other.bytes[..usize::from(other.len)]
    }
}

impl Eq for HeaderExtensions {}

impl fmt::Debug for HeaderExtensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// The ids agreed on, by what they carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExtensionMap {
    /// By [`ExtensionKind`]; 0 where nothing was agreed on.
    ids: [u8; ExtensionKind::ALL.len()],
}

impl ExtensionMap {
    /// The ids of `extensions`.
    ///
    /// # Errors
    ///
    /// If an id is not 1 to 14, stands twice, or an extension stands twice.
    pub fn new(extensions: &[RtpExtension]) -> Result<Self, ParamsError> {
        let mut map = Self::default();
        for &RtpExtension { kind, id } in extensions {
            if !(1..=14).contains(&id) {
                return Err(ParamsError::ExtensionId { kind, id });
            }
            if map.ids.contains(&id) || map.id(kind).is_some() {
                return Err(ParamsError::ExtensionTwice { kind, id });
            }
            map.ids[kind as usize] = id;
        }
        Ok(map)
    }

    /// The id agreed on for `kind`.
    pub const fn id(&self, kind: ExtensionKind) -> Option<u8> {
        match self.ids[kind as usize] {
            0 => None,
            id => Some(id),
        }
    }
}

/// The value of `abs-send-time`: 6.18 fixed-point seconds, wrapping every 64 s.
/// [Definition](https://webrtc.googlesource.com/src/+/refs/heads/main/docs/native-code/rtp-hdrext/abs-send-time/).
pub const fn abs_send_time(at: NtpTime) -> [u8; 3] {
    let [_, bytes @ ..] = (((at.bits() >> 14) & 0x00ff_ffff) as u32).to_be_bytes();
    bytes
}

/// The value of the transport-wide sequence number.
/// [draft-holmer-rmcat-transport-wide-cc-extensions-01 §2](https://datatracker.ietf.org/doc/html/draft-holmer-rmcat-transport-wide-cc-extensions-01#section-2).
pub const fn transport_sequence(sequence: u16) -> [u8; 2] {
    sequence.to_be_bytes()
}

/// The value of `abs-capture-time`, short form: NTP time of capture.
/// [Definition](https://webrtc.googlesource.com/src/+/refs/heads/main/docs/native-code/rtp-hdrext/abs-capture-time/).
pub const fn abs_capture_time(at: NtpTime) -> [u8; 8] {
    at.bits().to_be_bytes()
}

/// How long a receiver may hold a picture back before it shows it.
/// [Definition](https://webrtc.googlesource.com/src/+/refs/heads/main/docs/native-code/rtp-hdrext/playout-delay/).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlayoutDelay {
    min: u16,
    max: u16,
}

impl PlayoutDelay {
    /// The longest bound that can be written: 40.95 s.
    pub const MAX: Duration = Duration::from_millis(40_950);

    /// Show each picture as soon as it is decoded.
    pub const NONE: Self = Self { min: 0, max: 0 };

    /// Between `min` and `max`, in steps of 10 ms, rounded down.
    ///
    /// # Errors
    ///
    /// If `min` exceeds `max`, or `max` exceeds [`PlayoutDelay::MAX`].
    pub fn new(min: Duration, max: Duration) -> Result<Self, ExtensionError> {
        if min > max || max > Self::MAX {
            return Err(ExtensionError::PlayoutDelay { min, max });
        }
        let steps = |delay: Duration| (delay.as_millis() / 10) as u16;
        Ok(Self { min: steps(min), max: steps(max) })
    }

    /// The value of `playout-delay`: two 12-bit numbers.
    pub const fn to_bytes(self) -> [u8; 3] {
        [(self.min >> 4) as u8, ((self.min << 4) | (self.max >> 8)) as u8, self.max as u8]
    }
}

/// How far the receiver must turn the picture clockwise to show it upright.
/// [3GPP TS 26.114 §7.4.5](https://www.etsi.org/deliver/etsi_ts/126100_126199/126114/).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_enums, reason = "two bits of rotation are all that the extension has")]
pub enum VideoOrientation {
    /// It is upright.
    #[default]
    Upright,
    /// By 90°.
    Clockwise90,
    /// By 180°.
    Clockwise180,
    /// By 270°.
    Clockwise270,
}

impl VideoOrientation {
    /// The value of `video-orientation`: front camera bit and flip bit 0.
    pub const fn to_bytes(self) -> [u8; 1] {
        [match self {
            Self::Upright => 0,
            // The extension's rotation counts what the sender has turned, anticlockwise: R = 1 is shown
            // upright after a clockwise turn by 90°.
            Self::Clockwise90 => 1,
            Self::Clockwise180 => 2,
            Self::Clockwise270 => 3,
        }]
    }
}

/// The length of an element's value, from its first byte.
const fn value_len(head: u8) -> usize {
    (head & 0x0f) as usize + 1
}

/// "defined by profile" bits of the one-byte form.
/// [RFC 8285 §4.2](https://www.rfc-editor.org/rfc/rfc8285#section-4.2).
pub(crate) const ONE_BYTE_PROFILE: u16 = 0xbede;
/// Profile bits and length in words.
pub(crate) const BLOCK_HEADER_LEN: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn written(extensions: &HeaderExtensions) -> Vec<u8> {
        let mut out = Vec::new();
        extensions.write_to(&mut out);
        assert_eq!(out.len(), extensions.wire_len());
        out
    }

    #[test]
    fn elements_are_written_in_order_and_padded_to_a_word() {
        let mut extensions = HeaderExtensions::new();
        assert_eq!(written(&extensions), []);
        extensions.set(3, &[0xaa, 0xbb, 0xcc]).unwrap();
        extensions.set(5, &[0x12, 0x34]).unwrap();
        let expected = [0xbe, 0xde, 0, 2, 0x32, 0xaa, 0xbb, 0xcc, 0x51, 0x12, 0x34, 0];
        assert_eq!(written(&extensions), expected);
        assert_eq!(HeaderExtensions::parse(&expected[4..]), Ok(extensions));
    }

    #[test]
    fn a_value_is_replaced_in_place_or_moved_to_the_end() {
        let mut extensions = HeaderExtensions::new();
        extensions.set(1, &[1, 1, 1]).unwrap();
        extensions.set(2, &[2, 2]).unwrap();
        extensions.set(1, &[9, 9, 9]).unwrap();
        assert_eq!(extensions.iter().collect::<Vec<_>>(), [(1, &[9, 9, 9][..]), (2, &[2, 2])]);
        extensions.set(1, &[7]).unwrap();
        assert_eq!(extensions.iter().collect::<Vec<_>>(), [(2, &[2, 2][..]), (1, &[7])]);
        assert_eq!(extensions.value(2), Some(&[2, 2][..]));
        assert_eq!(extensions.value(3), None);
    }

    #[test]
    fn what_does_not_fit_is_refused_and_changes_nothing() {
        let mut extensions = HeaderExtensions::new();
        assert_eq!(extensions.set(0, &[1]), Err(ExtensionError::Id(0)));
        assert_eq!(extensions.set(15, &[1]), Err(ExtensionError::Id(15)));
        assert_eq!(extensions.set(1, &[]), Err(ExtensionError::Length { id: 1, len: 0 }));
        assert_eq!(extensions.set(1, &[0; 17]), Err(ExtensionError::Length { id: 1, len: 17 }));
        for id in 1..=3 {
            extensions.set(id, &[id; 16]).unwrap();
        }
        let before = extensions;
        assert_eq!(extensions.set(4, &[0; 9]), Err(ExtensionError::NoRoom { id: 4, len: 9 }));
        assert_eq!(extensions, before);
        extensions.set(4, &[0; 8]).unwrap();
        assert_eq!(extensions.wire_len(), 4 + HeaderExtensions::CAPACITY);
        // Replacing may use the room of what it replaces.
        extensions.set(1, &[5; 15]).unwrap();
        assert_eq!(extensions.value(4), Some(&[0; 8][..]));
    }

    #[test]
    fn every_known_extension_fits_at_its_longest() {
        let mut extensions = HeaderExtensions::new();
        for (id, len) in [(1, 16), (2, 3), (3, 2), (4, 8), (5, 3), (6, 1), (7, 16)] {
            extensions.set(id, &[0; 16][..len]).unwrap();
        }
    }

    #[test]
    fn parsing_skips_padding_and_stops_at_id_15() {
        let parsed = HeaderExtensions::parse(&[0, 0x10, 7, 0, 0x02, 1, 2, 3, 0x20, 8, 0xf0, 0x30]).unwrap();
        assert_eq!(parsed.iter().collect::<Vec<_>>(), [(1, &[7][..]), (2, &[8])]);
        assert_eq!(
            HeaderExtensions::parse(&[0x13, 1, 2]),
            Err(ExtensionError::Truncated { id: 1, len: 4, left: 2 })
        );
        assert!(HeaderExtensions::parse(&[0x1f; 17 * 4]).is_ok(), "one value of 16 bytes, repeated");
    }

    #[test]
    fn ids_come_from_what_was_agreed_on() {
        let agreed = |list: &[(ExtensionKind, u8)]| {
            ExtensionMap::new(&list.iter().map(|&(kind, id)| RtpExtension { kind, id }).collect::<Vec<_>>())
        };
        let map = agreed(&[(ExtensionKind::Mid, 14), (ExtensionKind::AbsSendTime, 2)]).unwrap();
        assert_eq!(map.id(ExtensionKind::Mid), Some(14));
        assert_eq!(map.id(ExtensionKind::TransportWideCc), None);
        for (list, message) in [
            (&[(ExtensionKind::Mid, 0)][..], "id 0 of header extension urn:ietf:params:rtp-hdrext:sdes:mid"),
            (&[(ExtensionKind::Mid, 15)], "is not 1 to 14"),
            (&[(ExtensionKind::Mid, 1), (ExtensionKind::AbsSendTime, 1)], "stands twice"),
            (&[(ExtensionKind::Mid, 1), (ExtensionKind::Mid, 2)], "stands twice"),
        ] {
            let error = agreed(list).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn values_are_written_as_their_definitions_say() {
        // 1.5 s into a 64 s cycle: 1.5 × 2^18.
        assert_eq!(abs_send_time(NtpTime::from_bits(0x0000_0001_8000_0000)), [0x06, 0x00, 0x00]);
        assert_eq!(abs_send_time(NtpTime::from_bits(u64::MAX)), [0xff, 0xff, 0xff]);
        assert_eq!(transport_sequence(0x1234), [0x12, 0x34]);
        assert_eq!(abs_capture_time(NtpTime::from_bits(0x0102_0304_0506_0708)), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(PlayoutDelay::NONE.to_bytes(), [0, 0, 0]);
        let delay = PlayoutDelay::new(Duration::from_millis(100), PlayoutDelay::MAX).unwrap();
        assert_eq!(delay.to_bytes(), [0x00, 0xaf, 0xff]);
        let backwards = PlayoutDelay::new(Duration::from_millis(20), Duration::from_millis(10));
        assert!(backwards.unwrap_err().to_string().contains("20ms to 10ms"));
        assert_eq!(VideoOrientation::Clockwise270.to_bytes(), [3]);
    }
}
