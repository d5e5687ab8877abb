//! What becomes of access units, as tables.
#![allow(clippy::unwrap_used, reason = "this file is a test")]

mod support;

use support::{FrameBuilder, frame, reassemble, stream};
use yc_media::Codec;
use yc_rtp::packetizer::{H264Packetizer, for_codec};
use yc_rtp::{PacketizeError, RtpHeader, RtpPacket};

/// Packetizes `frame` for packets of `max_packet_len` bytes and compares what they hold, in words.
#[track_caller]
fn check(frame: FrameBuilder, max_packet_len: usize, expected: &[&str]) {
    let mut packets = Vec::new();
    let count = stream().packetize(&frame.build(), max_packet_len, &mut packets).unwrap();
    assert_eq!(count, packets.len());
    assert_eq!(packets.iter().map(describe).collect::<Vec<_>>(), expected);
    assert_eq!(reassemble(&packets, max_packet_len), frame.sendable);
}

#[track_caller]
fn check_refused(frame: FrameBuilder, max_packet_len: usize, expected: &str) {
    let mut packets: Vec<RtpPacket> = Vec::new();
    let mut stream = stream();
    let error = stream.packetize(&frame.build(), max_packet_len, &mut packets).unwrap_err();
    assert_eq!(error.to_string(), expected);
    assert!(packets.is_empty());
    assert_eq!(stream.next_sequence(), 0);
}

/// `STAP-A 7 8 60`: types and length; `FU-A 5 start 1186`; `NAL 1 20 marker`.
fn describe(packet: &RtpPacket) -> String {
    let mut bytes = Vec::new();
    packet.payload.append_to(&mut bytes);
    let mut words = match bytes[0] & 0x1f {
        24 => {
            let mut words = "STAP-A".to_owned();
            let mut at = 1;
            while at < bytes.len() {
                words += &format!(" {}", bytes[at + 2] & 0x1f);
                at += 2 + usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
            }
            words
        }
        28 => {
            let position = match bytes[1] & 0xc0 {
                0x80 => " start",
                0x40 => " end",
                _ => "",
            };
            format!("FU-A {}{position}", bytes[1] & 0x1f)
        }
        single => format!("NAL {single}"),
    };
    words += &format!(" {}", bytes.len());
    if packet.header.marker {
        words += " marker";
    }
    words
}

/// Fixed header; no extensions here.
const HEADER: usize = RtpHeader::FIXED_LEN;

#[test]
fn a_small_delta_frame_is_one_packet() {
    check(frame().slice(20), 1_200, &["NAL 1 20 marker"]);
    check(frame().slice(1), 1_200, &["NAL 1 1 marker"]);
}

#[test]
fn a_large_idr_is_fragmented_after_its_parameter_sets() {
    check(
        frame().sps().pps().idr(3_000),
        1_200,
        &["STAP-A 7 8 21", "FU-A 5 start 1002", "FU-A 5 1002", "FU-A 5 end 1001 marker"],
    );
}

#[test]
fn a_unit_is_fragmented_only_when_it_exceeds_the_limit() {
    check(frame().slice(100), HEADER + 100, &["NAL 1 100 marker"]);
    check(frame().slice(101), HEADER + 100, &["FU-A 1 start 52", "FU-A 1 end 52 marker"]);
    check(frame().slice(102), HEADER + 100, &["FU-A 1 start 53", "FU-A 1 end 52 marker"]);
    // 197 bytes behind the header byte: two fragments hold 196.
    check(frame().slice(197), HEADER + 100, &["FU-A 1 start 100", "FU-A 1 end 100 marker"]);
    check(frame().slice(198), HEADER + 100, &["FU-A 1 start 68", "FU-A 1 68", "FU-A 1 end 67 marker"]);
}

#[test]
fn neighbours_are_aggregated_up_to_the_limit_and_not_beyond() {
    // 1 + (2 + 20) + (2 + 30) = 55.
    check(frame().slice(20).slice(30), HEADER + 55, &["STAP-A 1 1 55 marker"]);
    check(frame().slice(20).slice(30), HEADER + 54, &["NAL 1 20", "NAL 1 30 marker"]);
    check(
        frame().slice(50).slice(20).slice(20).slice(60),
        HEADER + 64,
        &["NAL 1 50", "STAP-A 1 1 45", "NAL 1 60 marker"],
    );
    check(
        frame().slice(5).slice(5).slice(5).slice(5).slice(5).slice(5),
        1_200,
        &["STAP-A 1 1 1 1 29", "STAP-A 1 1 15 marker"],
    );
}

#[test]
fn decoding_order_is_kept_around_fragments() {
    check(
        frame().sps().pps().sei(10).idr(150).idr(20).sei(7),
        HEADER + 100,
        &["STAP-A 7 8 6 33", "FU-A 5 start 77", "FU-A 5 end 76", "STAP-A 5 6 32 marker"],
    );
}

#[test]
fn every_parameter_set_is_sent() {
    check(
        frame().sps().filled(0x67, 20).pps().filled(0x68, 5).filled(0x68, 6).idr(30),
        1_200,
        &["STAP-A 7 7 8 8 50", "STAP-A 8 5 41 marker"],
    );
}

#[test]
fn large_parameter_sets_are_fragmented_not_dropped() {
    check(
        frame().filled(0x67, 250).filled(0x68, 130).idr(40),
        HEADER + 100,
        &[
            "FU-A 7 start 85",
            "FU-A 7 85",
            "FU-A 7 end 85",
            "FU-A 8 start 67",
            "FU-A 8 end 66",
            "NAL 5 40 marker",
        ],
    );
    // Together they do not fit into one STAP-A, each alone does.
    check(
        frame().filled(0x67, 90).filled(0x68, 20).idr(40),
        HEADER + 100,
        &["NAL 7 90", "STAP-A 8 5 65 marker"],
    );
}

#[test]
fn delimiters_and_filler_stay_behind_without_parting_neighbours() {
    check(frame().aud().sps().filler(40).pps().idr(30).filler(2_000), 1_200, &["STAP-A 7 8 5 53 marker"]);
}

#[test]
fn the_byte_stream_stays_behind() {
    let nal = |header: u8| vec![header, 0, 0, 3, 1, 0x80];
    check(
        frame().nal(2, nal(0x67)).nal(3, nal(0x68)).nal(9, nal(0x65)).trailing_zeros(5),
        1_200,
        &["STAP-A 7 8 5 25 marker"],
    );
}

#[test]
fn f_and_nri_of_the_units_go_into_aggregates_and_fragments() {
    // F of the second, NRI of the third.
    check(frame().filled(0x01, 5).filled(0xa1, 5).filled(0x41, 5), 1_200, &["STAP-A 1 1 1 22 marker"]);
    check(frame().filled(0xe1, 150), HEADER + 100, &["FU-A 1 start 77", "FU-A 1 end 76 marker"]);
}

#[test]
fn an_idr_alone_is_sent_after_the_parameter_sets_of_the_one_before() {
    let mut stream = stream();
    let mut packets = Vec::new();
    let first = frame().sps().pps().idr(30);
    stream.packetize(&first.build(), 1_200, &mut packets).unwrap();
    packets.clear();
    stream.packetize(&frame().idr(40).build(), 1_200, &mut packets).unwrap();
    assert_eq!(packets.iter().map(describe).collect::<Vec<_>>(), ["STAP-A 7 8 5 63 marker"]);
    let units = reassemble(&packets, 1_200);
    assert_eq!(units[..2], first.sendable[..2]);
    check_refused(
        frame().idr(30),
        1_200,
        "malformed H264 access unit: an IDR picture whose SPS or PPS was never seen",
    );
}

#[test]
fn the_smallest_limit_still_sends_everything() {
    check(
        frame().slice(4),
        HEADER + H264Packetizer::LEAST_PAYLOAD,
        &["FU-A 1 start 3", "FU-A 1 3", "FU-A 1 end 3 marker"],
    );
    check_refused(frame().slice(4), HEADER + 2, "payload limit 14 is below 15 bytes");
    check_refused(frame().slice(4), 0, "payload limit 0 is below 15 bytes");
}

#[test]
fn aggregates_keep_to_sixteen_bit_sizes_under_a_huge_limit() {
    check(frame().slice(65_535), 1_000_000, &["NAL 1 65535 marker"]);
    check(frame().slice(65_536), 1_000_000, &["FU-A 1 start 32770", "FU-A 1 end 32769 marker"]);
    check(frame().slice(40_000).slice(40_000), 1_000_000, &["NAL 1 40000", "NAL 1 40000 marker"]);
}

#[test]
fn what_is_no_access_unit_is_refused() {
    let malformed = |what: &str| format!("malformed H264 access unit: {what}");
    check_refused(frame(), 1_200, &malformed("no start code"));
    check_refused(frame().aud().filler(9), 1_200, &malformed("no NAL unit but delimiters and filler"));
    check_refused(frame().trailing_zeros(4), 1_200, &malformed("no start code"));
    for header in [0x00, 0x60, 0x78, 0x7c, 0x7f] {
        check_refused(
            frame().slice(9).filled(header, 5),
            1_200,
            &malformed("a NAL unit of type 0 or 24 to 31"),
        );
    }
    let mut mp4 = frame().slice(9);
    mp4.stream.splice(0..4, [0, 0, 0, 9]);
    check_refused(mp4, 1_200, &malformed("no start code"));
}

#[test]
fn other_codecs_are_refused() {
    let mut vp8 = frame().slice(9).build();
    vp8.codec = Codec::Vp8;
    let refused = stream().packetize(&vp8, 1_200, &mut Vec::new());
    let expected = PacketizeError::WrongCodec { frame: Codec::Vp8, packetizer: Codec::H264 };
    assert_eq!(refused, Err(expected));
    for codec in [Codec::Vp8, Codec::Vp9, Codec::Av1] {
        assert_eq!(for_codec(codec).unwrap_err(), PacketizeError::Unsupported(codec));
    }
}

#[test]
fn the_packetizer_goes_on_after_a_malformed_frame() {
    let mut stream = stream();
    let mut packets: Vec<RtpPacket> = Vec::new();
    assert!(stream.packetize(&frame().slice(9).filled(0x78, 5).build(), 1_200, &mut packets).is_err());
    stream.packetize(&frame().slice(9).build(), 1_200, &mut packets).unwrap();
    assert_eq!(packets.iter().map(describe).collect::<Vec<_>>(), ["NAL 1 9 marker"]);
}
