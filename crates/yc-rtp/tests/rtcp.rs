//! Received RTCP, byte by byte, and what is told of it.
#![allow(clippy::unwrap_used, reason = "this file is a test")]

mod support;

use std::time::Duration;

use support::{SSRC, params};
use webrtc_rtcp::payload_feedbacks::receiver_estimated_maximum_bitrate::ReceiverEstimatedMaximumBitrate;
use webrtc_rtcp::transport_feedbacks::transport_layer_cc::{
    PacketStatusChunk, RecvDelta, RunLengthChunk, StatusChunkTypeTcc, StatusVectorChunk, SymbolSizeTypeTcc,
    SymbolTypeTcc, TransportLayerCc,
};
use webrtc_rtcp::transport_feedbacks::transport_layer_nack::{
    TransportLayerNack, nack_pairs_from_sequence_numbers,
};
use yc_media::Bitrate;
use yc_rtp::rtcp::{DelaySinceLastRr, FeedbackCounts, FeedbackParser};
use yc_rtp::{ArrivalTime, FeedbackEvent, NtpTime, RtcpError, RtxParams, TransportFeedback};

const RTX: u32 = 0x0000_0abc;
/// The example of RFC 3550, figure 2.
const NOW: NtpTime = NtpTime::from_bits(0xb44d_b710_8000_0000);

fn parser() -> FeedbackParser {
    let mut params = params();
    params.rtx = Some(RtxParams { ssrc: RTX, payload_type: 102 });
    FeedbackParser::new([&params])
}

fn read(parser: &mut FeedbackParser, datagram: &[u8]) -> Vec<FeedbackEvent> {
    let mut events = Vec::new();
    parser.parse(NOW, datagram, &mut |event| events.push(event)).unwrap();
    events
}

#[track_caller]
fn check(datagram: &[u8], expected: &[FeedbackEvent]) {
    let mut parser = parser();
    assert_eq!(read(&mut parser, datagram), expected);
    let counts = parser.counts();
    assert_eq!((counts.datagrams, counts.malformed, counts.unknown, counts.foreign), (1, 0, 0, 0));
}

/// Nothing is told of, and the counters say why.
#[track_caller]
fn check_left_out(datagram: &[u8], why: impl FnOnce(FeedbackCounts) -> [u64; 2]) {
    let mut parser = parser();
    assert_eq!(read(&mut parser, datagram), []);
    let [found, expected] = why(parser.counts());
    assert_eq!(found, expected, "{:?}", parser.counts());
}

fn keyframe(fir: bool) -> FeedbackEvent {
    FeedbackEvent::KeyframeWanted { ssrc: SSRC, fir }
}

#[test]
fn the_report_of_an_sfu_gives_loss_jitter_and_round_trip() {
    #[rustfmt::skip]
    let datagram = [
        0x81, 201, 0, 7, 0, 0, 0, 0,                // RR from 0, one block
        0x12, 0x34, 0x56, 0x78, 0x40, 0xff, 0xff, 0xfe, // a quarter lost, two more received than sent
        0x00, 0x01, 0xff, 0xf0, 0, 0, 0x11, 0x94,   // one cycle, 4,500 ticks of jitter
        0xb7, 0x05, 0x20, 0x00, 0x00, 0x05, 0x40, 0x00, // LSR, DLSR
        0x80, 207, 0, 4, 0, 0, 0, 0,                // XR from 0
        4, 0, 0, 2, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, // RRTR
    ];
    check(
        &datagram,
        &[
            FeedbackEvent::ReceiverReport {
                ssrc: SSRC,
                fraction_lost: 0.25,
                cumulative_lost: -2,
                highest_sequence: 0x0001_fff0,
                jitter: Duration::from_millis(50),
                rtt: Some(Duration::from_millis(6_125)),
            },
            FeedbackEvent::ReferenceTime { ssrc: 0, ntp_middle: 0x0304_0506 },
        ],
    );
}

#[test]
fn a_receiver_that_sends_too_reports_in_its_sender_reports() {
    #[rustfmt::skip]
    let datagram = [
        0x82, 200, 0, 18, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5,
        0, 0, 0x0a, 0xbc, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // our retransmissions
        0, 0, 0, 7, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, // somebody else's stream
    ];
    let mut parser = parser();
    let expected = FeedbackEvent::ReceiverReport {
        ssrc: RTX,
        fraction_lost: 0.0,
        cumulative_lost: 1,
        highest_sequence: 2,
        jitter: Duration::ZERO,
        rtt: None,
    };
    assert_eq!(read(&mut parser, &datagram), [expected]);
    assert_eq!(parser.counts().foreign, 1);
}

#[test]
fn key_frames_are_asked_for_by_pli_and_fir() {
    check(&[0x81, 206, 0, 2, 0, 0, 0, 9, 0x12, 0x34, 0x56, 0x78], &[keyframe(false)]);
    let fir = [0x84, 206, 0, 4, 0, 0, 0, 9, 0, 0, 0, 0, 0x12, 0x34, 0x56, 0x78, 7, 0, 0, 0];
    check(&fir, &[keyframe(true)]);
}

#[test]
fn a_fir_repeated_asks_once() {
    let mut parser = parser();
    let mut fir = [0x84, 206, 0, 4, 0, 0, 0, 9, 0, 0, 0, 0, 0x12, 0x34, 0x56, 0x78, 7, 0, 0, 0];
    assert_eq!(read(&mut parser, &fir), [keyframe(true)]);
    assert_eq!(read(&mut parser, &fir), []);
    assert_eq!(parser.counts().fir_repeats, 1);
    fir[16] = 8;
    assert_eq!(read(&mut parser, &fir), [keyframe(true)]);
    // Another asker, same number.
    fir[7] = 10;
    assert_eq!(read(&mut parser, &fir), [keyframe(true)]);
    // Two entries, one of them somebody else's.
    let two = [&[0x84, 206, 0, 6][..], &fir[4..16], &[9, 0, 0, 0, 0, 0, 0, 1, 9, 0, 0, 0]].concat();
    assert_eq!(read(&mut parser, &two), [keyframe(true)]);
    assert_eq!((parser.counts().foreign, parser.counts().fir_repeats), (1, 1));
}

#[test]
fn nacks_name_a_packet_and_sixteen_behind_it() {
    #[rustfmt::skip]
    let datagram = [
        0x81, 205, 0, 4, 0, 0, 0, 9, 0x12, 0x34, 0x56, 0x78,
        0xff, 0xfe, 0x80, 0x05, // 65534, then the first, the third and the sixteenth behind it
        0x00, 0x64, 0x00, 0x00,
    ];
    check(&datagram, &[FeedbackEvent::Nack { ssrc: SSRC, sequences: vec![65_534, 65_535, 1, 14, 100] }]);
}

#[test]
fn nacks_written_by_others_are_read_whole() {
    let lost: Vec<u16> = (0..600).step_by(3).collect();
    let nack = TransportLayerNack {
        sender_ssrc: 9,
        media_ssrc: SSRC,
        nacks: nack_pairs_from_sequence_numbers(&lost),
    };
    let datagram = webrtc_rtcp::packet::marshal(&[Box::new(nack)]).unwrap();
    check(&datagram, &[FeedbackEvent::Nack { ssrc: SSRC, sequences: lost }]);
}

#[test]
fn a_datagram_may_not_name_more_lost_packets_than_a_sender_keeps() {
    let pairs = 400_u16;
    let mut datagram =
        [&[0x81, 205][..], &(2 + pairs).to_be_bytes(), &[0, 0, 0, 9], &SSRC.to_be_bytes()].concat();
    for pair in 0..pairs {
        datagram.extend_from_slice(&(pair * 17).to_be_bytes());
        datagram.extend_from_slice(&[0xff, 0xff]);
    }
    let mut parser = parser();
    let events = read(&mut parser, &datagram);
    let [FeedbackEvent::Nack { sequences, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(*sequences, (0..1_024).collect::<Vec<u16>>());
    assert_eq!(parser.counts().nacks_refused, 400 * 17 - 1_024);
}

#[test]
fn remb_is_a_mantissa_and_an_exponent() {
    let remb = |exponent_and_mantissa: [u8; 3]| {
        let head = [0x8f, 206, 0, 6, 0, 0, 0, 9, 0, 0, 0, 0, b'R', b'E', b'M', b'B', 2];
        [&head[..], &exponent_and_mantissa, &SSRC.to_be_bytes(), &[0, 0, 0, 7]].concat()
    };
    let bound = |bitrate| FeedbackEvent::MaxBitrate { ssrcs: vec![SSRC, 7], bitrate };
    // 2^3 × 250,000, 2^0 × 0x3ffff, zero with an exponent, and more than a bitrate holds.
    check(&remb([3 << 2 | 3, 0xd0, 0x90]), &[bound(Bitrate::kbps(2_000))]);
    check(&remb([3, 0xff, 0xff]), &[bound(Bitrate::bps(0x3_ffff))]);
    check(&remb([0, 0, 0]), &[bound(Bitrate::bps(0))]);
    check(&remb([20 << 2, 0, 0]), &[bound(Bitrate::bps(0))]);
    check(&remb([63 << 2 | 3, 0xff, 0xff]), &[bound(Bitrate::bps(u32::MAX))]);

    let theirs = ReceiverEstimatedMaximumBitrate { sender_ssrc: 9, bitrate: 1_500_000.0, ssrcs: vec![SSRC] };
    let datagram = webrtc_rtcp::packet::marshal(&[Box::new(theirs)]).unwrap();
    check(&datagram, &[FeedbackEvent::MaxBitrate { ssrcs: vec![SSRC], bitrate: Bitrate::kbps(1_500) }]);
}

#[test]
fn a_goodbye_names_who_leaves() {
    check(&[0x82, 203, 0, 2, 0, 0, 0, 9, 0, 0, 0, 8], &[FeedbackEvent::Bye { ssrcs: vec![9, 8] }]);
    let with_reason = [0x81, 203, 0, 2, 0, 0, 0, 9, 3, b'e', b'n', b'd'];
    check(&with_reason, &[FeedbackEvent::Bye { ssrcs: vec![9] }]);
}

#[test]
fn reference_times_are_answered_with_the_delay_since() {
    let mut parser = parser();
    let rrtr = [0x80, 207, 0, 4, 0, 0, 0, 9, 4, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8];
    assert_eq!(read(&mut parser, &rrtr), [FeedbackEvent::ReferenceTime { ssrc: 9, ntp_middle: 0x0304_0506 }]);
    let mut delays = Vec::new();
    parser.take_delays(NOW.wrapping_add(Duration::from_millis(250)), &mut delays);
    assert_eq!(delays, [DelaySinceLastRr { ssrc: 9, last_rr: 0x0304_0506, delay: 0x4000 }]);
    parser.take_delays(NOW, &mut delays);
    assert_eq!(delays, [], "each is answered once");
}

#[test]
fn what_is_about_other_streams_is_left_out_and_counted() {
    let foreign = |counts: FeedbackCounts| [counts.foreign, 1];
    check_left_out(&[0x81, 206, 0, 2, 0, 0, 0, 9, 0, 0, 0, 1], foreign);
    check_left_out(&[0x84, 206, 0, 4, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 1, 7, 0, 0, 0], foreign);
    check_left_out(&[0x81, 205, 0, 3, 0, 0, 0, 9, 0, 0, 0, 1, 0, 7, 0, 0], foreign);
    check_left_out(
        &[0x8f, 206, 0, 5, 0, 0, 0, 9, 0, 0, 0, 0, b'R', b'E', b'M', b'B', 1, 0, 0, 9, 0, 0, 0, 1],
        foreign,
    );
}

#[test]
fn transport_cc_feedback_tells_when_packets_arrived() {
    let at = |ticks| Some(ArrivalTime::from_ticks(ticks));
    let mut feedback =
        [0x8f, 205, 0, 5, 0, 0, 0, 9, 0x12, 0x34, 0x56, 0x78, 0, 1, 0, 2, 0, 0, 1, 3, 0x20, 2, 4, 8];
    let expected = FeedbackEvent::TransportFeedback(TransportFeedback::new(1, 3, vec![at(260), at(268)]));
    check(&feedback, std::slice::from_ref(&expected));

    // It is about the transport: the stream it names may be anybody's.
    feedback[8..12].fill(0);
    let mut parser = parser();
    assert_eq!(read(&mut parser, &feedback), [expected]);
    assert_eq!((parser.counts().transport_cc, parser.counts().foreign), (1, 0));

    feedback[20] = 0x40; // deltas of two bytes
    check_left_out(&feedback, |counts| [counts.malformed, 1]);
}

#[test]
fn transport_cc_feedback_is_bounded_by_the_datagram() {
    // 65,535 packets received, announced in runs without a delta.
    let mut bomb = vec![0x8f, 205, 0, 9, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0];
    bomb.extend([0x3f, 0xff].repeat(10));
    check_left_out(&bomb, |counts| [counts.malformed, 1]);
    check_left_out(&bomb, |counts| [counts.transport_cc, 1]);

    // As many lost, twice: what one datagram tells of is bounded, what it announces is counted.
    for byte in bomb[20..].iter_mut().step_by(2) {
        *byte = 0x1f;
    }
    let mut parser = parser();
    let events = read(&mut parser, &bomb.repeat(2));
    let expected = TransportFeedback::new(0, 0, vec![None; TransportFeedback::MAX_PACKETS]);
    assert_eq!(events, [FeedbackEvent::TransportFeedback(expected)]);
    assert_eq!((parser.counts().statuses_refused, parser.counts().malformed), (2 * 65_535 - 8_192, 0));
}

#[test]
fn transport_cc_feedback_of_others_is_read() {
    // Eight packets over two chunks, as webrtc-rs writes them: padded by single bytes.
    let delta = |delta, type_tcc_packet| RecvDelta { delta, type_tcc_packet };
    let theirs = TransportLayerCc {
        sender_ssrc: 9,
        media_ssrc: SSRC,
        base_sequence_number: 0xffff,
        packet_status_count: 8,
        reference_time: 1,
        fb_pkt_count: 200,
        packet_chunks: vec![
            PacketStatusChunk::RunLengthChunk(RunLengthChunk {
                type_tcc: StatusChunkTypeTcc::RunLengthChunk,
                packet_status_symbol: SymbolTypeTcc::PacketReceivedSmallDelta,
                run_length: 3,
            }),
            PacketStatusChunk::StatusVectorChunk(StatusVectorChunk {
                type_tcc: StatusChunkTypeTcc::StatusVectorChunk,
                symbol_size: SymbolSizeTypeTcc::TwoBit,
                symbol_list: vec![
                    SymbolTypeTcc::PacketNotReceived,
                    SymbolTypeTcc::PacketReceivedLargeDelta,
                    SymbolTypeTcc::PacketReceivedLargeDelta,
                    SymbolTypeTcc::PacketReceivedSmallDelta,
                    SymbolTypeTcc::PacketReceivedSmallDelta,
                ],
            }),
        ],
        recv_deltas: vec![
            delta(0, SymbolTypeTcc::PacketReceivedSmallDelta),
            delta(63_750, SymbolTypeTcc::PacketReceivedSmallDelta),
            delta(250, SymbolTypeTcc::PacketReceivedSmallDelta),
            delta(8_191_750, SymbolTypeTcc::PacketReceivedLargeDelta),
            delta(-500, SymbolTypeTcc::PacketReceivedLargeDelta),
            delta(1_000, SymbolTypeTcc::PacketReceivedSmallDelta),
            delta(250, SymbolTypeTcc::PacketReceivedSmallDelta),
        ],
    };
    let datagram = webrtc_rtcp::packet::marshal(&[Box::new(theirs)]).unwrap();
    assert_eq!(datagram[0] & 0x20, 0x20, "padded");
    let at = |ticks| Some(ArrivalTime::from_ticks(ticks));
    let arrivals = vec![at(256), at(511), at(512), None, at(33_279), at(33_277), at(33_281), at(33_282)];
    let feedback = TransportFeedback::new(0xffff, 200, arrivals);
    check(&datagram, &[FeedbackEvent::TransportFeedback(feedback.clone())]);

    // And the other way round.
    let mut ours = Vec::new();
    assert_eq!(feedback.append_to(9, SSRC, &mut ours), 8);
    let parsed = webrtc_rtcp::packet::unmarshal(&mut ours.as_slice()).unwrap();
    let parsed = parsed[0].as_any().downcast_ref::<TransportLayerCc>().unwrap();
    let deltas: Vec<i64> = parsed.recv_deltas.iter().map(|delta| delta.delta).collect();
    assert_eq!(deltas, [0, 63_750, 250, 8_191_750, -500, 1_000, 250]);
    assert_eq!((parsed.base_sequence_number, parsed.packet_status_count), (0xffff, 8));
    assert_eq!((parsed.reference_time, parsed.fb_pkt_count), (1, 200));
}

#[test]
fn types_without_a_use_are_passed_over() {
    let unknown = |counts: FeedbackCounts| [counts.unknown, 1];
    check_left_out(&[0x80, 204, 0, 2, 0, 0, 0, 9, b'n', b'a', b'm', b'e'], unknown); // APP
    check_left_out(&[0x82, 206, 0, 3, 0, 0, 0, 9, 0x12, 0x34, 0x56, 0x78, 0, 0, 0, 0], unknown); // SLI
    check_left_out(&[0x8f, 206, 0, 3, 0, 0, 0, 9, 0, 0, 0, 0, b'O', b'T', b'H', b'R'], unknown); // not a REMB
    check_left_out(&[0x80, 223, 0, 0], unknown);
    let sdes = [0x81, 202, 0, 2, 0, 0, 0, 9, 1, 1, b'a', 0];
    check_left_out(&sdes, |counts| [counts.unknown + counts.malformed, 0]);
}

#[test]
fn one_malformed_packet_spoils_no_other() {
    #[rustfmt::skip]
    let datagram = [
        0x81, 201, 0, 1, 0, 0, 0, 9,                          // RR that announces a block it lacks
        0x81, 206, 0, 2, 0, 0, 0, 9, 0x12, 0x34, 0x56, 0x78,  // PLI
        0x84, 206, 0, 2, 0, 0, 0, 9, 0, 0, 0, 0,              // FIR without entries
        0x81, 205, 0, 1, 0, 0, 0, 9,                          // NACK without a media source
        0x80, 207, 0, 2, 0, 0, 0, 9, 4, 0, 0, 9,              // XR with a block that runs past its end
    ];
    let mut parser = parser();
    assert_eq!(read(&mut parser, &datagram), [keyframe(false)]);
    assert_eq!((parser.counts().packets, parser.counts().malformed), (5, 4));
}

#[test]
fn padding_is_not_read_as_feedback() {
    #[rustfmt::skip]
    let datagram = [
        0xa1, 205, 0, 5, 0, 0, 0, 9, 0x12, 0x34, 0x56, 0x78, 0, 7, 0, 0,
        0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 8,
    ];
    check(&datagram, &[FeedbackEvent::Nack { ssrc: SSRC, sequences: vec![7] }]);
}

#[test]
fn what_is_no_rtcp_is_refused_whole() {
    let mut parser = parser();
    let mut events = 0;
    let pli = [0x81, 206, 0, 2, 0, 0, 0, 9, 0x12, 0x34, 0x56, 0x78];
    let cut = [&pli[..], &[0x81, 206, 0, 2]].concat();
    let refused = parser.parse(NOW, &cut, &mut |_| events += 1);
    assert_eq!(refused, Err(RtcpError::Truncated { at: 12, needed: 12, left: 4 }));
    assert!(parser.parse(NOW, &[], &mut |_| events += 1).is_err());
    assert!(parser.parse(NOW, &pli.repeat(200), &mut |_| events += 1).is_err());
    assert_eq!((events, parser.counts().refused_datagrams, parser.counts().datagrams), (0, 3, 0));
}
