//! Source description. [RFC 3550 §6.5](https://www.rfc-editor.org/rfc/rfc3550#section-6.5).

use super::{HEADER_LEN, SDES, SSRC_LEN, append_header};

/// Appends a source description with the CNAME of `ssrc`. Of a CNAME longer than 255 bytes, which
/// [`StreamParams::validate`](crate::StreamParams::validate) refuses, the first 255 are written.
pub fn append_cname(ssrc: u32, cname: &str, out: &mut Vec<u8>) {
    let text = &cname.as_bytes()[..cname.len().min(usize::from(u8::MAX))];
    let items = ITEM_HEADER_LEN + text.len();
    // At least one zero byte ends the items, as many as fill the word (§6.5).
    let padded = (items + 1).next_multiple_of(4);
    append_header(1, SDES, HEADER_LEN + SSRC_LEN + padded, out);
    out.extend_from_slice(&ssrc.to_be_bytes());
    out.extend_from_slice(&[CNAME, text.len() as u8]);
    out.extend_from_slice(text);
    out.resize(out.len() + padded - items, 0);
}

/// [RFC 3550 §12.2](https://www.rfc-editor.org/rfc/rfc3550#section-12.2).
const CNAME: u8 = 1;
/// Item type and length.
const ITEM_HEADER_LEN: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(cname: &str, expected: &[u8]) {
        let mut out = Vec::new();
        append_cname(0x0102_0304, cname, &mut out);
        assert_eq!(out, expected);
    }

    #[test]
    fn the_cname_is_ended_and_padded_to_a_word() {
        check("a", &[0x81, 202, 0, 2, 1, 2, 3, 4, 1, 1, b'a', 0]);
        check("ab", &[0x81, 202, 0, 3, 1, 2, 3, 4, 1, 2, b'a', b'b', 0, 0, 0, 0]);
        check("abc", &[0x81, 202, 0, 3, 1, 2, 3, 4, 1, 3, b'a', b'b', b'c', 0, 0, 0]);
    }

    #[test]
    fn an_overlong_cname_is_cut() {
        let mut out = Vec::new();
        append_cname(1, &"é".repeat(200), &mut out);
        assert_eq!((out.len(), out[9]), (4 + 4 + 260, 255));
    }
}
