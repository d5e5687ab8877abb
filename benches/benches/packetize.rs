//! H264 access units into packets, beside the payloader of webrtc-rs.
//!
//! `packets` ends with `RtpPacket`s whose payloads are slices, `wire` with their bytes in one reused buffer,
//! as they go to the socket. webrtc-rs's payloader copies into one allocation a payload and writes no
//! header: compare it with `packets`; for `wire` its payloads are written behind its own header.

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use webrtc_rtp::codec::h264::H264Payloader;
use webrtc_rtp::packetizer::Payloader;
use yc_media::{CaptureTime, Codec, EncodedFrame, FrameKind, H264ProfileLevelId, LayerId, Resolution};
use yc_rtp::{
    CodecParams, ExtensionKind, NtpTime, RtpExtension, RtpHeader, RtpPacket, RtpStream, StreamParams,
};

fn packetize(c: &mut Criterion) {
    let mut group = c.benchmark_group("packetize_h264");
    for (name, frame) in [("idr_168kB", key_frame(168_000)), ("delta_6kB", delta_frame(6_000))] {
        group.throughput(Throughput::Bytes(frame.data.len() as u64));
        group.bench_with_input(BenchmarkId::new("yc/packets", name), &frame, |bench, frame| {
            let mut stream = stream();
            let mut packets = VecDeque::new();
            bench.iter(|| {
                stream.packetize(black_box(frame), MAX_PACKET_LEN, &mut packets).expect("a good frame");
                packets.drain(..).for_each(|packet| drop(black_box(packet)));
            });
        });
        group.bench_with_input(BenchmarkId::new("yc/wire", name), &frame, |bench, frame| {
            let mut stream = stream();
            let mut packets: VecDeque<RtpPacket> = VecDeque::new();
            let mut wire = Vec::new();
            let mut sequence = 0_u16;
            bench.iter(|| {
                stream.packetize(black_box(frame), MAX_PACKET_LEN, &mut packets).expect("a good frame");
                for mut packet in packets.drain(..) {
                    sequence = sequence.wrapping_add(1);
                    stream.stamp(&mut packet, NtpTime::from_bits(u64::from(sequence)), sequence);
                    packet.write_to(&mut wire);
                    black_box(&wire);
                }
            });
        });
        group.bench_with_input(BenchmarkId::new("webrtc-rs/packets", name), &frame, |bench, frame| {
            let mut payloader = H264Payloader::default();
            bench.iter(|| {
                let payloads = payloader.payload(MAX_PAYLOAD, black_box(&frame.data)).expect("a good frame");
                payloads.into_iter().for_each(|payload| drop(black_box(payload)));
            });
        });
        group.bench_with_input(BenchmarkId::new("webrtc-rs/wire", name), &frame, |bench, frame| {
            let mut payloader = H264Payloader::default();
            let mut wire = Vec::new();
            let mut sequence = 0_u16;
            bench.iter(|| {
                for payload in payloader.payload(MAX_PAYLOAD, black_box(&frame.data)).expect("a good frame") {
                    sequence = sequence.wrapping_add(1);
                    // The same header as ours, so that only the payloads differ.
                    let mut header = RtpHeader::new(101, sequence, 0, 1);
                    for (id, value) in [(1, &b"0"[..]), (4, &[0; 3]), (5, &sequence.to_be_bytes())] {
                        header.extensions.set(id, value).expect("they fit");
                    }
                    wire.clear();
                    header.append_to(&mut wire);
                    wire.extend_from_slice(&payload);
                    black_box(&wire);
                }
            });
        });
    }
    group.finish();
}

fn stream() -> RtpStream {
    let profile_level_id = H264ProfileLevelId { profile_idc: 0x42, constraints: 0xc0, level_idc: 0x28 };
    let mut params = StreamParams::new(1, 101, CodecParams::H264 { profile_level_id }, "bench");
    params.mid = Some("0".into());
    params.extensions =
        [(ExtensionKind::Mid, 1), (ExtensionKind::AbsSendTime, 4), (ExtensionKind::TransportWideCc, 5)]
            .map(|(kind, id)| RtpExtension { kind, id })
            .to_vec();
    RtpStream::new(params, 0, 0).expect("good parameters")
}

/// SPS, PPS and one slice of `len` bytes.
fn key_frame(len: usize) -> EncodedFrame {
    let mut data =
        b"\0\0\0\x01\x67\x42\xc0\x28\xd9\0\x78\x02\x27\xe5\x84\0\0\0\x01\x68\xcb\x83\xcb\x20".to_vec();
    slice(0x65, len, &mut data);
    frame(data, FrameKind::Key)
}

/// One slice of `len` bytes.
fn delta_frame(len: usize) -> EncodedFrame {
    let mut data = Vec::new();
    slice(0x41, len, &mut data);
    frame(data, FrameKind::Delta)
}

/// Bytes as evenly distributed as entropy-coded ones, with emulation prevention.
fn slice(header: u8, len: usize, data: &mut Vec<u8>) {
    data.extend_from_slice(&[0, 0, 0, 1, header]);
    let end = data.len() + len - 1;
    let mut state = 0x1234_5678_9abc_def1_u64;
    while data.len() < end {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let byte = (state >> 56) as u8;
        if byte < 4 && data.ends_with(&[0, 0]) {
            data.push(3);
        }
        data.push(byte);
    }
    data.push(0x80);
}

fn frame(data: Vec<u8>, kind: FrameKind) -> EncodedFrame {
    EncodedFrame {
        data: Bytes::from_owner(data),
        codec: Codec::H264,
        kind,
        captured_at: CaptureTime::from_epoch(Duration::from_secs(1)),
        size: Resolution::new(1920, 1080).expect("a size"),
        layer: LayerId::default(),
        qp: None,
    }
}

const MAX_PACKET_LEN: usize = 1_200;
/// What the packets of `stream` have left: fixed header, and three extensions.
const MAX_PAYLOAD: usize = MAX_PACKET_LEN - 12 - 16;

criterion_group!(benches, packetize);
criterion_main!(benches);
