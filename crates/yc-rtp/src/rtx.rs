//! Retransmission in a stream of its own. [RFC 4588](https://www.rfc-editor.org/rfc/rfc4588).

use std::fmt;
use std::num::NonZeroU8;

use crate::extension::ExtensionMap;
use crate::packet::PADDING_BIT;
use crate::rtcp::{self, SenderReport};
use crate::stream::{common_extensions, stamp};
use crate::{HeaderExtensions, NtpTime, RtpHeader, RtpPacket, RtxParams, SentCounters, StreamParams};

/// The retransmission stream beside an [`RtpStream`](crate::RtpStream): packets that left go again under
/// its own SSRC, payload type and sequence numbers, with the original sequence number before their payload.
///
/// Both are in one RTP session, told apart by their SSRCs
/// ([RFC 4588 §5](https://www.rfc-editor.org/rfc/rfc4588#section-5)). A receiver that counts what it gets
/// of the media stream thus learns how much was lost, retransmitted or not, and a packet sent twice is not
/// taken for one that the network doubled.
///
/// Where RTX was not negotiated there is no such stream: packets go again as they are
/// ([`RtpStream::write_again`](crate::RtpStream::write_again)), and there is no padding. Padding under the
/// media SSRC would take sequence numbers between the packets of an access unit, which receivers then miss.
pub struct RtxStream {
    rtx: RtxParams,
    cname: String,
    ids: ExtensionMap,
    /// What stands on padding.
    common: HeaderExtensions,
    next_sequence: u16,
    sent: SentCounters,
}

impl RtxStream {
    /// Bytes by which a packet is longer than its original: the original sequence number.
    /// [RFC 4588 §4](https://www.rfc-editor.org/rfc/rfc4588#section-4).
    pub const OVERHEAD: usize = 2;

    /// The retransmission stream agreed on in `params`; none if it was not, or if `params` cannot be sent
    /// with, which [`RtpStream::new`](crate::RtpStream::new) has an error for.
    ///
    /// `first_sequence` should be random and is independent of the media's
    /// ([RFC 4588 §4](https://www.rfc-editor.org/rfc/rfc4588#section-4)).
    pub fn new(params: &StreamParams, first_sequence: u16) -> Option<Self> {
        let rtx = params.rtx?;
        let ids = params.validate().ok()?;
        Some(Self {
            rtx,
            cname: params.cname.clone(),
            common: common_extensions(&ids, params),
            ids,
            next_sequence: first_sequence,
            sent: SentCounters::default(),
        })
    }

    /// The stream's own SSRC.
    pub fn ssrc(&self) -> u32 {
        self.rtx.ssrc
    }

    /// The sequence number of the next packet.
    pub fn next_sequence(&self) -> u16 {
        self.next_sequence
    }

    /// Replaces what is in `out` by `original` sent again, and counts it. A buffer that is used again
    /// allocates nothing.
    ///
    /// Timestamp, marker and header extensions are the original's
    /// ([RFC 4588 §4](https://www.rfc-editor.org/rfc/rfc4588#section-4)), except for what is stamped at
    /// sending. `original` is a packet of the media stream that this one belongs to; that stream leaves
    /// room for [`OVERHEAD`](Self::OVERHEAD), so the limit given to
    /// [`RtpStream::packetize`](crate::RtpStream::packetize) holds here, too.
    pub fn write_to(
        &mut self,
        original: &RtpPacket,
        at: NtpTime,
        transport_sequence: u16,
        out: &mut Vec<u8>,
    ) {
        let mut header = self.next_header(original.header.timestamp, original.header.extensions);
        header.marker = original.header.marker;
        stamp(&self.ids, &mut header.extensions, at, transport_sequence);
        out.clear();
        out.reserve(original.wire_len() + Self::OVERHEAD);
        header.append_to(out);
        out.extend_from_slice(&original.header.sequence.to_be_bytes());
        original.payload.append_to(out);
        self.count(Self::OVERHEAD + original.payload.len());
    }

    /// Replaces what is in `out` by a packet of `len` bytes of padding and no payload, and counts it: what
    /// a path is probed with when there is nothing to send again. Receivers count its arrival and look no
    /// further.
    ///
    /// `timestamp` is that of the media stream's latest packet, or of now. The padding's last byte says its
    /// length, hence 1 to 255 bytes ([RFC 3550 §5.1](https://www.rfc-editor.org/rfc/rfc3550#section-5.1)).
    pub fn write_padding(
        &mut self,
        len: NonZeroU8,
        timestamp: u32,
        at: NtpTime,
        transport_sequence: u16,
        out: &mut Vec<u8>,
    ) {
        let mut header = self.next_header(timestamp, self.common);
        stamp(&self.ids, &mut header.extensions, at, transport_sequence);
        out.clear();
        out.reserve(header.wire_len() + usize::from(len.get()));
        header.append_to(out);
        out[0] |= PADDING_BIT;
        out.resize(out.len() + usize::from(len.get()) - 1, 0);
        out.push(len.get());
        self.count(0);
    }

    /// Bytes of a packet of padding beside the padding itself.
    pub fn padding_overhead(&self) -> usize {
        RtpHeader::FIXED_LEN + self.common.wire_len()
    }

    /// What has left so far. The original sequence number is payload, padding is none.
    pub fn sent(&self) -> SentCounters {
        self.sent
    }

    /// Appends the stream's sender report and CNAME to a compound packet that begins with the media
    /// stream's; nothing before the first packet left.
    ///
    /// Every source that sends has to report
    /// ([RFC 3550 §6.4](https://www.rfc-editor.org/rfc/rfc3550#section-6.4)), and by the CNAME a receiver
    /// knows whose retransmissions these are
    /// ([RFC 4588 §5.2](https://www.rfc-editor.org/rfc/rfc4588#section-5.2)). mediasoup answers with a
    /// round-trip time.
    ///
    /// `timestamp` is the media stream's at `now_ntp`: both count from the same start.
    pub fn append_report(&self, now_ntp: NtpTime, timestamp: u32, out: &mut Vec<u8>) {
        if self.sent.packets == 0 {
            return;
        }
        let report = SenderReport {
            ssrc: self.rtx.ssrc,
            ntp: now_ntp,
            rtp_timestamp: timestamp,
            packets: self.sent.packets,
            payload_octets: self.sent.payload_octets,
        };
        report.append_to(out);
        rtcp::append_cname(self.rtx.ssrc, &self.cname, out);
    }

    /// Appends the stream's BYE to the media stream's last compound packet; nothing before the first packet
    /// left.
    pub fn append_goodbye(&self, out: &mut Vec<u8>) {
        if self.sent.packets > 0 {
            rtcp::append_bye(&[self.rtx.ssrc], out);
        }
    }

    fn next_header(&mut self, timestamp: u32, extensions: HeaderExtensions) -> RtpHeader {
        let mut header = RtpHeader::new(self.rtx.payload_type, self.next_sequence, timestamp, self.rtx.ssrc);
        header.extensions = extensions;
        self.next_sequence = self.next_sequence.wrapping_add(1);
        header
    }

    fn count(&mut self, payload_octets: usize) {
        self.sent.packets = self.sent.packets.wrapping_add(1);
        self.sent.payload_octets = self.sent.payload_octets.wrapping_add(payload_octets as u32);
    }
}

impl fmt::Debug for RtxStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RtxStream")
            .field("ssrc", &self.rtx.ssrc)
            .field("next_sequence", &self.next_sequence)
            .field("sent", &self.sent)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{CodecParams, ExtensionKind, RtpExtension, RtpPayload};

    const NOW: NtpTime = NtpTime::from_bits(0x0000_0002_4000_0000);

    fn params() -> StreamParams {
        let mut params = StreamParams::new(1, 101, CodecParams::Vp8, "a");
        params.rtx = Some(RtxParams { ssrc: 0xdead_beef, payload_type: 102 });
        params.mid = Some("0".into());
        let agreed =
            [(ExtensionKind::Mid, 1), (ExtensionKind::AbsSendTime, 4), (ExtensionKind::TransportWideCc, 5)];
        params.extensions = agreed.map(|(kind, id)| RtpExtension { kind, id }).to_vec();
        params
    }

    fn original() -> RtpPacket {
        let mut header = RtpHeader::new(101, 0xfffe, 0x0102_0304, 1);
        header.marker = true;
        for (id, value) in [(1, &b"0"[..]), (4, &[9; 3]), (5, &[9; 2]), (13, &[8; 8])] {
            header.extensions.set(id, value).unwrap();
        }
        RtpPacket { header, payload: RtpPayload::single(&[0x7c, 0x85], Bytes::from_static(b"abc")) }
    }

    #[test]
    fn a_packet_goes_again_as_the_rfc_draws_it() {
        let mut stream = RtxStream::new(&params(), 0xffff).unwrap();
        let mut wire = vec![0xff; 3];
        stream.write_to(&original(), NOW, 0x1234, &mut wire);
        let expected = [
            0x90,
            0x80 | 102,
            0xff,
            0xff,
            1,
            2,
            3,
            4,
            0xde,
            0xad,
            0xbe,
            0xef, // its own header, old timestamp
            0xbe,
            0xde,
            0,
            5,
            0x10,
            b'0',
            0x42,
            0x09,
            0,
            0,
            0x51,
            0x12,
            0x34, // stamped anew
            0xd7,
            8,
            8,
            8,
            8,
            8,
            8,
            8,
            8,
            0,
            0, // as it was
            0xff,
            0xfe,
            0x7c,
            0x85,
            b'a',
            b'b',
            b'c', // original sequence number, payload
        ];
        assert_eq!(wire, expected);
        assert_eq!(wire.len(), original().wire_len() + RtxStream::OVERHEAD);
        assert_eq!(stream.next_sequence(), 0);
        assert_eq!(stream.sent(), SentCounters { packets: 1, payload_octets: 7 });
    }

    #[test]
    fn padding_is_a_packet_without_payload() {
        let mut stream = RtxStream::new(&params(), 7).unwrap();
        let mut wire = Vec::new();
        stream.write_padding(NonZeroU8::new(3).unwrap(), 0x0102_0304, NOW, 0x1234, &mut wire);
        let expected = [
            0xb0, 102, 0, 7, 1, 2, 3, 4, 0xde, 0xad, 0xbe, 0xef, // padding bit, no marker
            0xbe, 0xde, 0, 3, 0x10, b'0', 0x42, 0x09, 0, 0, 0x51, 0x12, 0x34, 0, 0, 0, //
            0, 0, 3,
        ];
        assert_eq!(wire, expected);
        assert_eq!(stream.padding_overhead() + 3, wire.len());
        for len in [1, 255] {
            stream.write_padding(NonZeroU8::new(len).unwrap(), 0, NOW, 0, &mut wire);
            let (_, payload) = RtpHeader::parse(&wire).unwrap();
            assert_eq!((payload.len(), wire.len()), (0, stream.padding_overhead() + usize::from(len)));
        }
        assert_eq!(stream.sent(), SentCounters { packets: 3, payload_octets: 0 });
    }

    #[test]
    fn it_reports_and_says_goodbye_once_it_has_sent() {
        let mut stream = RtxStream::new(&params(), 7).unwrap();
        let mut out = vec![7];
        stream.append_report(NOW, 90_000, &mut out);
        stream.append_goodbye(&mut out);
        assert_eq!(out, [7]);

        stream.write_to(&original(), NOW, 0, &mut Vec::new());
        stream.append_report(NOW, 90_000, &mut out);
        stream.append_goodbye(&mut out);
        let expected = [
            7, 0x80, 200, 0, 6, 0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 2, 0x40, 0, 0, 0, 0, 1, 0x5f,
            0x90, // SR
            0, 0, 0, 1, 0, 0, 0, 7, // 1 packet, 7 bytes
            0x81, 202, 0, 2, 0xde, 0xad, 0xbe, 0xef, 1, 1, b'a', 0, // SDES
            0x81, 203, 0, 1, 0xde, 0xad, 0xbe, 0xef, // BYE
        ];
        assert_eq!(out, expected);
    }

    #[test]
    fn there_is_none_where_it_was_not_negotiated() {
        let mut params = params();
        params.payload_type = 72;
        assert!(RtxStream::new(&params, 0).is_none(), "a payload type that would be taken for RTCP");
        params.payload_type = 101;
        params.rtx = None;
        assert!(RtxStream::new(&params, 0).is_none());
    }
}
