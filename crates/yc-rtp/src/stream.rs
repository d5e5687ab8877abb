//! One outgoing stream: stamps what packetizers do not know.

use std::fmt;

use yc_media::{CaptureTime, EncodedFrame};

use crate::extension::{self, ExtensionMap, PlayoutDelay, VideoOrientation};
use crate::rtcp::{self, DelaySinceLastRr, SenderReport};
use crate::{
    ExtensionKind, HeaderExtensions, NtpTime, PacketizeError, ParamsError, RtpHeader, RtpPacket,
    RtpPacketizer, RtpPayload, RtxStream, StreamParams, packetizer,
};

/// One outgoing RTP stream: access units in, packets with SSRC, sequence number, timestamp, marker and
/// header extensions out; and what its sender reports say.
///
/// | extension | stands on | value |
/// | --- | --- | --- |
/// | mid | every packet | [`StreamParams::mid`] |
/// | abs-send-time, transport-wide sequence | every packet | [`stamp`](Self::stamp), at sending |
/// | abs-capture-time | the first packet of an access unit | [`set_capture_epoch`](Self::set_capture_epoch) |
/// | playout-delay | the first packet of an access unit | [`set_playout_delay`](Self::set_playout_delay) |
/// | video-orientation | the last packet of a key frame | [`set_orientation`](Self::set_orientation) |
///
/// Each only where it was negotiated, under the id agreed on.
pub struct RtpStream {
    params: StreamParams,
    clock_rate: u32,
    ids: ExtensionMap,
    packetizer: Box<dyn RtpPacketizer>,
    next_sequence: u16,
    timestamp_offset: u32,
    /// What stands on every packet, with room for what is stamped at sending.
    common: HeaderExtensions,
    capture_epoch: Option<NtpTime>,
    playout_delay: Option<PlayoutDelay>,
    orientation: Option<VideoOrientation>,
    /// Reused from frame to frame.
    payloads: Vec<RtpPayload>,
    sent: SentCounters,
}

/// What has left so far, as sender reports count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SentCounters {
    /// Packets, wrapping.
    pub packets: u32,
    /// Bytes of their payloads, headers and padding left out, wrapping.
    pub payload_octets: u32,
}

impl RtpStream {
    /// A stream as agreed on in `params`.
    ///
    /// `first_sequence` and `timestamp_offset` should be random, and not to be guessed where packets are
    /// encrypted ([RFC 3550 §5.1](https://www.rfc-editor.org/rfc/rfc3550#section-5.1)); this crate has no
    /// source of randomness.
    ///
    /// # Errors
    ///
    /// If `params` cannot be sent with, or there is no packetizer for its codec.
    pub fn new(
        params: StreamParams,
        first_sequence: u16,
        timestamp_offset: u32,
    ) -> Result<Self, ParamsError> {
        let ids = params.validate()?;
        let codec = params.codec.codec();
        Ok(Self {
            clock_rate: codec.clock_rate(),
            common: common_extensions(&ids, &params),
            ids,
            packetizer: packetizer::for_codec(codec)?,
            next_sequence: first_sequence,
            timestamp_offset,
            capture_epoch: None,
            playout_delay: None,
            orientation: None,
            payloads: Vec::new(),
            sent: SentCounters::default(),
            params,
        })
    }

    /// What the stream was made of.
    pub fn params(&self) -> &StreamParams {
        &self.params
    }

    /// The id agreed on for `kind`.
    pub fn extension_id(&self, kind: ExtensionKind) -> Option<u8> {
        self.ids.id(kind)
    }

    /// The sequence number of the next packet.
    pub fn next_sequence(&self) -> u16 {
        self.next_sequence
    }

    /// Takes back the numbers from `sequence` on, of packets that were dropped before they left: what is
    /// packetized next bears them, so that a receiver sees no gap.
    pub fn rewind(&mut self, sequence: u16) {
        self.next_sequence = sequence;
    }

    /// The RTP timestamp of `at`: ticks of the stream's clock from its random start, wrapping.
    pub fn timestamp(&self, at: CaptureTime) -> u32 {
        (at.to_ticks(self.clock_rate) as u32).wrapping_add(self.timestamp_offset)
    }

    /// Says which wall-clock time the epoch of the capture clock is; from now on `abs-capture-time` stands
    /// on access units, if it was negotiated. `None` ends that.
    pub fn set_capture_epoch(&mut self, epoch: Option<NtpTime>) {
        self.capture_epoch = epoch;
    }

    /// Says how long receivers may hold a picture back, if `playout-delay` was negotiated. `None` leaves it
    /// to them. Default: `None`.
    pub fn set_playout_delay(&mut self, delay: Option<PlayoutDelay>) {
        self.playout_delay = delay;
    }

    /// Says how pictures are turned, if `video-orientation` was negotiated. `None` says nothing, which
    /// means upright. Default: `None`.
    pub fn set_orientation(&mut self, orientation: Option<VideoOrientation>) {
        self.orientation = orientation;
    }

    /// Appends the packets of `frame` to `out` in sending order, each at most `max_packet_len` bytes on the
    /// wire with header and extensions, and when it is sent again in a negotiated retransmission stream, too;
    /// answers with how many they are. The last one is marked. On an error nothing is appended and no
    /// sequence number used.
    ///
    /// # Errors
    ///
    /// If the frame is of another codec or not what its encoder writes, or the limit leaves no room for
    /// payload.
    pub fn packetize(
        &mut self,
        frame: &EncodedFrame,
        max_packet_len: usize,
        out: &mut impl Extend<RtpPacket>,
    ) -> Result<usize, PacketizeError> {
        let first = self.first_extensions(frame);
        let last_of = |mut extensions: HeaderExtensions| {
            if let (Some(id), Some(orientation), true) =
                (self.ids.id(ExtensionKind::VideoOrientation), self.orientation, frame.is_key())
            {
                set(&mut extensions, id, &orientation.to_bytes());
            }
            extensions
        };
        // A packet may be first and last at once; budgeting every packet by that one costs a few bytes and
        // keeps the payloads of a frame equally long.
        let only = last_of(first);
        let last = last_of(self.common);
        let rtx = if self.params.rtx.is_some() { RtxStream::OVERHEAD } else { 0 };
        let overhead = RtpHeader::FIXED_LEN + only.wire_len() + rtx;

        self.payloads.clear();
        let max_len = max_packet_len.saturating_sub(overhead);
        if let Err(error) = self.packetizer.packetize(frame, max_len, &mut self.payloads) {
            self.payloads.clear();
            return Err(match error {
                PacketizeError::LimitTooSmall { least, .. } => {
                    PacketizeError::LimitTooSmall { max_len: max_packet_len, least: least + overhead }
                }
                other => other,
            });
        }

        let count = self.payloads.len();
        let mut header = RtpHeader::new(
            self.params.payload_type,
            self.next_sequence,
            self.timestamp(frame.captured_at),
            self.params.ssrc,
        );
        self.next_sequence = self.next_sequence.wrapping_add(count as u16);
        let common = self.common;
        out.extend(self.payloads.drain(..).enumerate().map(|(at, payload)| {
            header.marker = at + 1 == count;
            header.extensions = match (at == 0, header.marker) {
                (true, true) => only,
                (true, false) => first,
                (false, true) => last,
                (false, false) => common,
            };
            let packet = RtpPacket { header, payload };
            header.sequence = header.sequence.wrapping_add(1);
            packet
        }));
        Ok(count)
    }

    /// Stamps what is known only at sending, where it was negotiated: the time of it and the packet's
    /// number among all that the transport sends. Call it last before
    /// [`RtpPacket::write_to`]; the packet's length does not change.
    pub fn stamp(&self, packet: &mut RtpPacket, at: NtpTime, transport_sequence: u16) {
        stamp(&self.ids, &mut packet.header.extensions, at, transport_sequence);
    }

    /// Replaces what is in `out` by `packet`, one of this stream that may have left before, stamped anew as
    /// by [`stamp`](Self::stamp): how a packet is sent again where RTX was not negotiated, the original once
    /// more. A buffer that is used again allocates nothing.
    pub fn write_again(&self, packet: &RtpPacket, at: NtpTime, transport_sequence: u16, out: &mut Vec<u8>) {
        let mut header = packet.header;
        stamp(&self.ids, &mut header.extensions, at, transport_sequence);
        out.clear();
        out.reserve(packet.wire_len());
        header.append_to(out);
        packet.payload.append_to(out);
    }

    /// Counts a packet that has left, be it for the first time or again
    /// ([RFC 3550 §6.4.1](https://www.rfc-editor.org/rfc/rfc3550#section-6.4.1)).
    pub fn on_sent(&mut self, packet: &RtpPacket) {
        self.sent.packets = self.sent.packets.wrapping_add(1);
        self.sent.payload_octets = self.sent.payload_octets.wrapping_add(packet.payload.len() as u32);
    }

    /// What has left so far.
    pub fn sent(&self) -> SentCounters {
        self.sent
    }

    /// What the stream reports at `now`, read from the wall clock and the capture clock at once.
    pub fn sender_report(&self, now_ntp: NtpTime, now: CaptureTime) -> SenderReport {
        SenderReport {
            ssrc: self.params.ssrc,
            ntp: now_ntp,
            rtp_timestamp: self.timestamp(now),
            packets: self.sent.packets,
            payload_octets: self.sent.payload_octets,
        }
    }

    /// Replaces what is in `out` by one compound RTCP packet: a sender report (a receiver report as long as
    /// nothing has left), the CNAME, and an answer to each of `delays`.
    pub fn write_report(
        &self,
        now_ntp: NtpTime,
        now: CaptureTime,
        delays: &[DelaySinceLastRr],
        out: &mut Vec<u8>,
    ) {
        out.clear();
        if self.sent.packets == 0 {
            rtcp::append_empty_receiver_report(self.params.ssrc, out);
        } else {
            self.sender_report(now_ntp, now).append_to(out);
        }
        rtcp::append_cname(self.params.ssrc, &self.params.cname, out);
        rtcp::append_dlrr(self.params.ssrc, delays, out);
    }

    /// Replaces what is in `out` by the last compound RTCP packet of the stream: its report, the CNAME and
    /// a BYE.
    pub fn write_goodbye(&self, now_ntp: NtpTime, now: CaptureTime, out: &mut Vec<u8>) {
        self.write_report(now_ntp, now, &[], out);
        rtcp::append_bye(&[self.params.ssrc], out);
    }

    /// The extensions of the first packet of `frame`, unless it is also the last.
    fn first_extensions(&self, frame: &EncodedFrame) -> HeaderExtensions {
        let mut extensions = self.common;
        if let (Some(id), Some(epoch)) = (self.ids.id(ExtensionKind::AbsCaptureTime), self.capture_epoch) {
            let captured = epoch.wrapping_add(frame.captured_at.since_epoch());
            set(&mut extensions, id, &extension::abs_capture_time(captured));
        }
        if let (Some(id), Some(delay)) = (self.ids.id(ExtensionKind::PlayoutDelay), self.playout_delay) {
            set(&mut extensions, id, &delay.to_bytes());
        }
        extensions
    }
}

impl fmt::Debug for RtpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RtpStream")
            .field("ssrc", &self.params.ssrc)
            .field("next_sequence", &self.next_sequence)
            .field("sent", &self.sent)
            .finish_non_exhaustive()
    }
}

/// What stands on every packet of a stream, with room for what is stamped at sending.
pub(crate) fn common_extensions(ids: &ExtensionMap, params: &StreamParams) -> HeaderExtensions {
    let mut common = HeaderExtensions::new();
    if let (Some(id), Some(mid)) = (ids.id(ExtensionKind::Mid), &params.mid) {
        set(&mut common, id, mid.as_bytes());
    }
    if let Some(id) = ids.id(ExtensionKind::AbsSendTime) {
        set(&mut common, id, &[0; 3]);
    }
    if let Some(id) = ids.id(ExtensionKind::TransportWideCc) {
        set(&mut common, id, &[0; 2]);
    }
    common
}

/// Stamps what is known only at sending.
pub(crate) fn stamp(
    ids: &ExtensionMap,
    extensions: &mut HeaderExtensions,
    at: NtpTime,
    transport_sequence: u16,
) {
    if let Some(id) = ids.id(ExtensionKind::AbsSendTime) {
        set(extensions, id, &extension::abs_send_time(at));
    }
    if let Some(id) = ids.id(ExtensionKind::TransportWideCc) {
        set(extensions, id, &extension::transport_sequence(transport_sequence));
    }
}

fn set(extensions: &mut HeaderExtensions, id: u8, value: &[u8]) {
    // Ids are 1 to 14 by `ExtensionMap`, the mid's length by `StreamParams::validate`, and all known
    // extensions together fit by a test of `extension`.
    extensions.set(id, value).expect("ids and lengths were checked when the stream was made");
}
