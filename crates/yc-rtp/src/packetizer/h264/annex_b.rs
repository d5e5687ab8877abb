//! The byte stream that encoders write. ITU-T H.264 Annex B.

use bytes::Bytes;
use memchr::memmem;

use super::TYPE;

/// Finds NAL units in a byte stream.
#[derive(Debug)]
pub(super) struct NalUnits {
    start_code: memmem::Finder<'static>,
}

impl NalUnits {
    pub(super) fn new() -> Self {
        Self { start_code: memmem::Finder::new(&START_CODE) }
    }

    /// The NAL units of `stream`, header byte first, without start codes and the zero bytes around them;
    /// none is empty.
    pub(super) fn split<'a>(
        &'a self,
        stream: &'a Bytes,
    ) -> Result<impl Iterator<Item = Bytes> + 'a, &'static str> {
        let first = self.start_code.find(stream).ok_or("no start code")?;
        // A four-byte start code is a three-byte one after a zero byte.
        if stream[..first].iter().any(|&byte| byte != 0) {
            return Err("bytes before the first start code");
        }
        let mut starts = self.start_code.find_iter(&stream[first + START_CODE.len()..]);
        let mut next = Some(first + START_CODE.len());
        let offset = first + START_CODE.len();
        Ok(std::iter::from_fn(move || {
            loop {
                let start = next?;
                let code = starts.next().map(|at| at + offset);
                next = code.map(|at| at + START_CODE.len());
                let unit = &stream[start..code.unwrap_or(stream.len())];
                // No NAL unit ends in a zero byte: these belong to the next start code, or are
                // trailing_zero_8bits.
                if let Some(last) = unit.iter().rposition(|&byte| byte != 0) {
                    return Some(stream.slice(start..=start + last));
                }
            }
        }))
    }
}

/// What a NAL unit is, as far as packetization cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NalType {
    Idr,
    Sps,
    Pps,
    Delimiter,
    Filler,
    /// A type that stands for a packet structure on the wire, or for nothing.
    NotSendable,
    Other,
}

impl NalType {
    /// ITU-T H.264 table 7-1.
    pub(super) fn of(unit: &[u8]) -> Self {
        match unit.first().map_or(0, |header| header & TYPE) {
            0 | 24..=31 => Self::NotSendable,
            5 => Self::Idr,
            7 => Self::Sps,
            8 => Self::Pps,
            9 => Self::Delimiter,
            12 => Self::Filler,
            _ => Self::Other,
        }
    }
}

const START_CODE: [u8; 3] = [0, 0, 1];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(stream: &[u8], expected: Result<&[&[u8]], &'static str>) {
        let finder = NalUnits::new();
        let stream = Bytes::copy_from_slice(stream);
        let units = finder.split(&stream).map(Iterator::collect::<Vec<_>>);
        match (units, expected) {
            (Ok(units), Ok(expected)) => assert_eq!(units, expected),
            (Err(reason), Err(expected)) => assert_eq!(reason, expected),
            (units, _) => panic!("{units:?} is not {expected:?}"),
        }
    }

    #[test]
    fn both_start_codes_are_found_and_zero_bytes_around_them_left_out() {
        check(b"\0\0\x01\x67a\0\0\0\x01\x68b\0\0\x01\x65c", Ok(&[b"\x67a", b"\x68b", b"\x65c"]));
        check(b"\0\0\0\0\0\x01\x65a\0\0\0", Ok(&[b"\x65a"]));
        check(
            b"\0\0\x01\x65\0\0\x03\0\0\x03\x01\0\0\0\0\x01\x41",
            Ok(&[b"\x65\0\0\x03\0\0\x03\x01", b"\x41"]),
        );
    }

    #[test]
    fn empty_units_are_passed_over() {
        check(b"\0\0\x01\0\0\x01\x65a\0\0\x01\0\0\x01", Ok(&[b"\x65a"]));
        check(b"\0\0\x01", Ok(&[]));
        check(b"\0\0\x01\0\0\0\0\0", Ok(&[]));
    }

    #[test]
    fn what_is_no_byte_stream_is_refused() {
        check(b"", Err("no start code"));
        check(b"\0\0\0", Err("no start code"));
        check(b"\x65abc", Err("no start code"));
        check(b"a\0\0\x01\x65", Err("bytes before the first start code"));
        // A length instead of a start code, as in MP4.
        check(b"\0\0\0\x05\x65abcd\0\0\x01\x41", Err("bytes before the first start code"));
    }

    #[test]
    fn units_are_slices_of_the_stream() {
        let finder = NalUnits::new();
        let stream = Bytes::from(b"\0\0\0\x01\x65abc".to_vec());
        let unit = finder.split(&stream).unwrap().next().unwrap();
        assert_eq!(unit.as_ptr(), stream[4..].as_ptr());
    }

    #[test]
    fn types_are_read_from_the_low_five_bits() {
        for (header, expected) in [
            (0x65, NalType::Idr),
            (0x25, NalType::Idr),
            (0x67, NalType::Sps),
            (0x68, NalType::Pps),
            (0x09, NalType::Delimiter),
            (0x0c, NalType::Filler),
            (0x41, NalType::Other),
            (0x06, NalType::Other),
            (0x60, NalType::NotSendable),
            (0x78, NalType::NotSendable),
            (0x7c, NalType::NotSendable),
        ] {
            assert_eq!(NalType::of(&[header]), expected, "{header:#x}");
        }
    }
}
