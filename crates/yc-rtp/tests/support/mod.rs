//! Access units to packetize, and a receiver that forgives nothing.
#![allow(dead_code, clippy::unwrap_used, reason = "tests and fuzz targets each use a part of it")]

use std::time::Duration;

use bytes::Bytes;
use yc_media::{CaptureTime, Codec, EncodedFrame, FrameKind, H264ProfileLevelId, LayerId, Resolution};
use yc_rtp::{CodecParams, ExtensionKind, RtpExtension, RtpHeader, RtpPacket, RtpStream, StreamParams};

pub(crate) const SSRC: u32 = 0x1234_5678;
pub(crate) const PAYLOAD_TYPE: u8 = 101;
pub(crate) const CNAME: &str = "yc-test";

/// An H264 stream without header extensions.
pub(crate) fn params() -> StreamParams {
    let profile_level_id = H264ProfileLevelId { profile_idc: 0x42, constraints: 0xc0, level_idc: 0x28 };
    StreamParams::new(SSRC, PAYLOAD_TYPE, CodecParams::H264 { profile_level_id }, CNAME)
}

/// The extensions that mediasoup negotiates with a sender of ours.
pub(crate) fn params_with_extensions() -> StreamParams {
    let mut params = params();
    params.mid = Some("0".into());
    params.extensions = [
        (ExtensionKind::Mid, 1),
        (ExtensionKind::AbsSendTime, 4),
        (ExtensionKind::TransportWideCc, 5),
        (ExtensionKind::AbsCaptureTime, 13),
        (ExtensionKind::PlayoutDelay, 14),
        (ExtensionKind::VideoOrientation, 11),
    ]
    .map(|(kind, id)| RtpExtension { kind, id })
    .to_vec();
    params
}

pub(crate) fn stream() -> RtpStream {
    RtpStream::new(params(), 0, 0).unwrap()
}

/// An access unit in the making.
#[derive(Debug, Clone, Default)]
pub(crate) struct FrameBuilder {
    pub(crate) stream: Vec<u8>,
    /// What is expected on the other side.
    pub(crate) sendable: Vec<Vec<u8>>,
    key: bool,
}

/// An access unit without NAL units.
pub(crate) fn frame() -> FrameBuilder {
    FrameBuilder::default()
}

impl FrameBuilder {
    /// Appends a NAL unit behind a start code of three or four bytes, or more zeros yet.
    pub(crate) fn nal(mut self, zeros: usize, nal: Vec<u8>) -> Self {
        assert!(zeros >= 2);
        self.stream.extend(std::iter::repeat_n(0, zeros));
        self.stream.push(1);
        self.stream.extend_from_slice(&nal);
        self.key |= nal[0] & 0x1f == 5;
        if !matches!(nal[0] & 0x1f, 9 | 12) {
            self.sendable.push(nal);
        }
        self
    }

    /// Appends a NAL unit of `len` bytes that begins with `header`.
    pub(crate) fn filled(self, header: u8, len: usize) -> Self {
        let nal = std::iter::once(header).chain((1..len).map(|at| (at % 250) as u8 + 4)).collect();
        self.nal(3, nal)
    }

    pub(crate) fn sps(self) -> Self {
        self.filled(0x67, 12)
    }

    pub(crate) fn pps(self) -> Self {
        self.filled(0x68, 4)
    }

    pub(crate) fn sei(self, len: usize) -> Self {
        self.filled(0x06, len)
    }

    pub(crate) fn aud(self) -> Self {
        self.nal(3, vec![0x09, 0xf0])
    }

    pub(crate) fn filler(self, len: usize) -> Self {
        let mut nal = vec![0xff; len];
        nal[0] = 0x0c;
        nal[len - 1] = 0x80;
        self.nal(2, nal)
    }

    pub(crate) fn idr(self, len: usize) -> Self {
        self.filled(0x65, len)
    }

    pub(crate) fn slice(self, len: usize) -> Self {
        self.filled(0x41, len)
    }

    pub(crate) fn trailing_zeros(mut self, count: usize) -> Self {
        self.stream.extend(std::iter::repeat_n(0, count));
        self
    }

    pub(crate) fn build(&self) -> EncodedFrame {
        encoded(Bytes::copy_from_slice(&self.stream), self.key, Duration::from_millis(100))
    }
}

pub(crate) fn encoded(data: Bytes, key: bool, captured_at: Duration) -> EncodedFrame {
    EncodedFrame {
        data,
        codec: Codec::H264,
        kind: if key { FrameKind::Key } else { FrameKind::Delta },
        captured_at: CaptureTime::from_epoch(captured_at),
        size: Resolution::new(1920, 1080).unwrap(),
        layer: LayerId::default(),
        qp: None,
    }
}

/// Takes the packets of one access unit apart again, from their bytes on the wire, and panics at anything
/// that RFC 6184 or this suite's rules forbid.
pub(crate) fn reassemble(packets: &[RtpPacket], max_packet_len: usize) -> Vec<Vec<u8>> {
    assert!(!packets.is_empty(), "an access unit makes at least one packet");
    let mut units: Vec<Vec<u8>> = Vec::new();
    let mut fragmented: Option<Fragments> = None;
    let mut wire = vec![0xee; 7];
    let first = packets[0].header;
    for (at, packet) in packets.iter().enumerate() {
        packet.write_to(&mut wire);
        assert_eq!(wire.len(), packet.wire_len());
        assert!(wire.len() <= max_packet_len, "packet {at}: {} bytes exceed {max_packet_len}", wire.len());
        let (header, payload) = RtpHeader::parse(&wire).unwrap();
        assert_eq!(header, packet.header);
        assert_eq!(payload.len(), packet.payload.len());
        assert_eq!(header.sequence, first.sequence.wrapping_add(at as u16), "packet {at}");
        assert_eq!((header.timestamp, header.ssrc), (first.timestamp, first.ssrc), "packet {at}");
        assert_eq!(header.marker, at + 1 == packets.len(), "packet {at}: the marker ends the access unit");

        let payload = &wire[payload];
        match payload[0] & 0x1f {
            1..=23 => {
                assert!(fragmented.is_none(), "packet {at}: inside a fragmented unit");
                units.push(payload.to_vec());
            }
            24 => {
                assert!(fragmented.is_none(), "packet {at}: inside a fragmented unit");
                units.extend(disaggregate(payload));
            }
            28 => {
                let [indicator, fu_header, data @ ..] = payload else { panic!("packet {at}: no FU header") };
                assert!(!data.is_empty(), "packet {at}: an FU without payload");
                let (start, end) = (fu_header & 0x80 != 0, fu_header & 0x40 != 0);
                assert!(!(start && end), "packet {at}: S and E");
                assert_eq!(fu_header & 0x20, 0, "packet {at}: R is reserved");
                let nal_header = (indicator & 0xe0) | (fu_header & 0x1f);
                if start {
                    assert!(fragmented.is_none(), "packet {at}: S inside a fragmented unit");
                    fragmented = Some(Fragments { unit: vec![nal_header], sizes: Vec::new() });
                }
                let open = fragmented.as_mut().expect("a fragmented unit begins with S");
                assert_eq!(open.unit[0], nal_header, "packet {at}: F, NRI and type are the unit's");
                open.unit.extend_from_slice(data);
                open.sizes.push(data.len());
                if end {
                    units.extend(fragmented.take().map(Fragments::finish));
                }
            }
            other => panic!("packet {at}: type {other} is not of packetization mode 1"),
        }
    }
    assert!(fragmented.is_none(), "the last fragmented unit has no end");
    for unit in &units {
        let kind = unit[0] & 0x1f;
        assert!(!matches!(kind, 0 | 9 | 12 | 24..), "type {kind} does not belong on the wire");
        assert!(!unit.windows(3).any(|three| three == [0, 0, 1]), "a start code on the wire");
        assert_ne!(unit.last(), Some(&0), "a zero byte that belongs to the byte stream");
    }
    units
}

struct Fragments {
    unit: Vec<u8>,
    sizes: Vec<usize>,
}

impl Fragments {
    fn finish(self) -> Vec<u8> {
        let (least, most) = (self.sizes.iter().min().unwrap(), self.sizes.iter().max().unwrap());
        assert!(self.sizes.len() >= 2, "a fragmented unit has two fragments at least");
        assert!(most - least <= 1, "fragments of {least} to {most} bytes are not of equal size");
        self.unit
    }
}

fn disaggregate(payload: &[u8]) -> Vec<Vec<u8>> {
    let mut units = Vec::new();
    let mut rest = &payload[1..];
    while !rest.is_empty() {
        let (size, tail) = rest.split_first_chunk::<2>().expect("a size field");
        let (unit, tail) = tail.split_at(usize::from(u16::from_be_bytes(*size)));
        assert!(!unit.is_empty(), "an empty unit in a STAP-A");
        units.push(unit.to_vec());
        rest = tail;
    }
    assert!(units.len() >= 2, "a STAP-A of one unit is a waste");
    let f = units.iter().fold(0, |bit, unit| bit | (unit[0] & 0x80));
    let nri = units.iter().map(|unit| unit[0] & 0x60).max().unwrap();
    assert_eq!(payload[0], f | nri | 24, "F is the units' or, NRI their maximum");
    units
}
