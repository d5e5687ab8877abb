//! What was lost goes again: requests in, packets out of the history, by RTX or as they are.
#![allow(clippy::unwrap_used, reason = "this file is a test")]

mod support;

use std::num::NonZeroU8;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use support::{SSRC, frame, params_with_extensions, reassemble};
use yc_media::CaptureTime;
use yc_rtp::extension::{PlayoutDelay, VideoOrientation};
use yc_rtp::rtcp::FeedbackParser;
use yc_rtp::{
    FeedbackEvent, HistoryLimits, NotSent, NtpTime, RtpHeader, RtpPacket, RtpPayload, RtpStream, RtxParams,
    RtxStream, SentHistory, StreamParams,
};

const RTX: RtxParams = RtxParams { ssrc: 0x0000_0abc, payload_type: 102 };
const LIMIT: usize = 1_200;
const FIRST: NtpTime = NtpTime::from_bits(0x0000_0001_0000_0000);
const AGAIN: NtpTime = NtpTime::from_bits(0x0000_0001_4000_0000);

fn params_with_rtx() -> StreamParams {
    let mut params = params_with_extensions();
    params.rtx = Some(RTX);
    params
}

fn stream(params: StreamParams) -> RtpStream {
    let mut stream = RtpStream::new(params, 65_533, 0).unwrap();
    stream.set_capture_epoch(Some(NtpTime::from_bits(77)));
    stream.set_playout_delay(Some(PlayoutDelay::NONE));
    stream.set_orientation(Some(VideoOrientation::Upright));
    stream
}

fn at(millis: u64) -> CaptureTime {
    CaptureTime::from_epoch(Duration::from_millis(millis))
}

/// The packets of a key frame, sent as they are and kept.
fn send(stream: &mut RtpStream, history: &mut SentHistory) -> Vec<Vec<u8>> {
    let mut packets: Vec<RtpPacket> = Vec::new();
    stream.packetize(&frame().sps().pps().idr(5_000).build(), LIMIT, &mut packets).unwrap();
    let mut datagrams = Vec::new();
    for (number, mut packet) in packets.into_iter().enumerate() {
        stream.stamp(&mut packet, FIRST, number as u16);
        let mut datagram = Vec::new();
        packet.write_to(&mut datagram);
        datagrams.push(datagram);
        stream.on_sent(&packet);
        history.insert(at(0), packet);
    }
    datagrams
}

/// What a receiver makes of an RTX packet: the original, and the header that it came under.
/// RFC 4588 §4.
fn restored(datagram: &[u8]) -> (Vec<u8>, RtpHeader) {
    let (header, payload) = RtpHeader::parse(datagram).unwrap();
    let [high, low, rest @ ..] = &datagram[payload] else { panic!("no original sequence number") };
    let mut original = header;
    original.ssrc = SSRC;
    original.payload_type = support::PAYLOAD_TYPE;
    original.sequence = u16::from_be_bytes([*high, *low]);
    let mut bytes = Vec::new();
    original.append_to(&mut bytes);
    bytes.extend_from_slice(rest);
    (bytes, header)
}

/// The same packet but for the stamps of sending.
#[track_caller]
fn check_original(found: &[u8], sent: &[u8], transport_sequence: u16) {
    let (mut expected, payload) = RtpHeader::parse(sent).unwrap();
    expected.extensions.set(4, &[0x05, 0, 0]).unwrap();
    expected.extensions.set(5, &transport_sequence.to_be_bytes()).unwrap();
    let (header, range) = RtpHeader::parse(found).unwrap();
    assert_eq!(header, expected);
    assert_eq!(found[range], sent[payload]);
}

#[test]
fn a_request_brings_the_packets_in_the_retransmission_stream() {
    let params = params_with_rtx();
    let mut stream = stream(params.clone());
    let mut rtx = RtxStream::new(&params, 65_535).unwrap();
    let mut history = SentHistory::new(HistoryLimits::default());
    let sent = send(&mut stream, &mut history);
    assert_eq!(sent.len(), 6);

    // The second and the fourth packet, 65534 and 0, and one that is yet to come.
    let nack = [0x81, 205, 0, 4, 0, 0, 0, 9, 0x12, 0x34, 0x56, 0x78, 0xff, 0xfe, 0, 2, 0, 3, 0, 0];
    let mut sequences = Vec::new();
    let mut parser = FeedbackParser::new([&params]);
    parser
        .parse(AGAIN, &nack, &mut |event| {
            let FeedbackEvent::Nack { ssrc: SSRC, sequences: lost } = event else { panic!("{event:?}") };
            sequences.extend(lost);
        })
        .unwrap();
    assert_eq!(sequences, [65_534, 0, 3]);

    let mut datagram = Vec::new();
    let mut again = Vec::new();
    for sequence in sequences {
        match history.retransmit(at(100), None, sequence) {
            Ok(packet) => {
                rtx.write_to(packet, AGAIN, 100 + again.len() as u16, &mut datagram);
                assert!(datagram.len() <= LIMIT);
                again.push(restored(&datagram));
            }
            Err(why) => assert_eq!((why, sequence), (NotSent::Unknown, 3)),
        }
    }
    check_original(&again[0].0, &sent[1], 100);
    check_original(&again[1].0, &sent[3], 101);
    let headers = again.iter().map(|(_, header)| (header.ssrc, header.payload_type, header.sequence));
    assert_eq!(headers.collect::<Vec<_>>(), [(RTX.ssrc, 102, 65_535), (RTX.ssrc, 102, 0)]);
    assert_eq!(rtx.sent().packets, 2);
    assert_eq!(history.times_sent(0), Some(2));
    // What its own report says is read by whoever reads the media's.
    let mut report = Vec::new();
    stream.write_report(AGAIN, at(100), &[], &mut report);
    rtx.append_report(AGAIN, stream.timestamp(at(100)), &mut report);
    let mut counts = FeedbackParser::new([]);
    counts.parse(AGAIN, &report, &mut |event| panic!("{event:?}")).unwrap();
    assert_eq!((counts.counts().packets, counts.counts().malformed), (4, 0));
}

#[test]
fn without_rtx_the_original_goes_again() {
    let mut stream = stream(params_with_extensions());
    let mut history = SentHistory::new(HistoryLimits::default());
    let sent = send(&mut stream, &mut history);
    let before = stream.sent().packets;
    let mut datagram = vec![1, 2, 3];
    for (number, first) in sent.iter().enumerate() {
        let sequence = 65_533_u16.wrapping_add(number as u16);
        let packet = history.retransmit(at(100), None, sequence).unwrap();
        stream.write_again(packet, AGAIN, 100 + number as u16, &mut datagram);
        assert_eq!(datagram.len(), first.len());
        check_original(&datagram, first, 100 + number as u16);
        stream.on_sent(packet);
    }
    assert_eq!(stream.sent().packets, before + 6);
}

#[test]
fn room_for_the_original_sequence_number_is_left_where_rtx_was_negotiated() {
    let longest = |params: StreamParams, limit: usize| {
        let mut packets: Vec<RtpPacket> = Vec::new();
        let frame = frame().slice(20_000);
        stream(params).packetize(&frame.build(), limit, &mut packets).unwrap();
        assert_eq!(reassemble(&packets, limit), frame.sendable);
        packets.iter().map(RtpPacket::wire_len).max().unwrap()
    };
    for limit in 300..320 {
        assert!(longest(params_with_rtx(), limit) + RtxStream::OVERHEAD <= limit);
        assert_eq!(longest(params_with_rtx(), limit + 2), longest(params_with_extensions(), limit));
    }
    let error = stream(params_with_rtx()).packetize(&frame().slice(20).build(), 10, &mut Vec::new());
    let without = stream(params_with_extensions()).packetize(&frame().slice(20).build(), 10, &mut Vec::new());
    assert_eq!(
        (error.unwrap_err().to_string(), without.unwrap_err().to_string()),
        ("payload limit 10 is below 45 bytes".into(), "payload limit 10 is below 43 bytes".into())
    );
}

#[derive(Debug, Clone)]
enum Step {
    /// Time goes on by so many milliseconds.
    Wait(u64),
    /// A packet leaves, so many sequence numbers behind the one before, with so many bytes of payload.
    Send(u16, usize),
    /// The packet so many sequence numbers before the next one is asked for.
    Ask(u16),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0u64..40).prop_map(Step::Wait),
        5 => (1u16..3, 0usize..60).prop_map(|(ahead, len)| Step::Send(ahead, len)),
        1 => (1u16..32_768, 0usize..60).prop_map(|(ahead, len)| Step::Send(ahead, len)),
        5 => (0u16..60).prop_map(Step::Ask),
        1 => any::<u16>().prop_map(Step::Ask),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    /// Beside a history that forgets nothing.
    #[test]
    fn a_history_hands_out_what_it_may_and_nothing_else(
        first: u16,
        rtt in prop_oneof![Just(0u64), 1u64..60],
        max_packets in 1usize..50,
        max_bytes in 0usize..2_000,
        steps in vec(any_step(), 1..200),
    ) {
        let mut limits = HistoryLimits::default();
        limits.min_age = Duration::from_millis(100);
        limits.max_packets = max_packets;
        limits.max_bytes = max_bytes;
        let mut history = SentHistory::new(limits);
        let mut all: Vec<(u16, u64, usize, Option<u64>)> = Vec::new();
        let mut now = 1_000;
        for step in steps {
            let newest = all.last().map(|sent| sent.0);
            match step {
                Step::Wait(millis) => now += millis,
                Step::Send(ahead, len) => {
                    let sequence = newest.map_or(first, |newest| newest.wrapping_add(ahead));
                    let payload = RtpPayload::single(&[], vec![7; len].into());
                    history.insert(at(now), RtpPacket { header: RtpHeader::new(96, sequence, 0, 1), payload });
                    all.push((sequence, now, len, None));
                    prop_assert!(history.len() <= max_packets && history.bytes() <= max_bytes);
                }
                Step::Ask(behind) => {
                    let sequence = newest.map_or(first, |newest| newest.wrapping_sub(behind));
                    let answer = history.retransmit(at(now), Some(Duration::from_millis(rtt)), sequence);
                    let answer = answer.map(|packet| packet.header.sequence);
                    // The latest under this number, unless it is more than half a cycle ago.
                    let known = all.iter_mut().rev().find(|sent| sent.0 == sequence);
                    match (answer, known) {
                        (Ok(found), Some((_, sent, _, again))) => {
                            prop_assert_eq!(found, sequence);
                            prop_assert!(now - *sent <= 100.max(3 * rtt));
                            prop_assert!(again.is_none_or(|again| now - again >= rtt.max(5)));
                            *again = Some(now);
                        }
                        (Ok(_), None) => prop_assert!(false, "{} was never sent", sequence),
                        (Err(NotSent::TooSoon), Some((_, _, _, again))) => {
                            prop_assert!(again.is_some_and(|again| now - again < rtt.max(5)));
                        }
                        (Err(NotSent::TooSoon), None) => prop_assert!(false, "{} never left", sequence),
                        (Err(_), _) => {
                            // The newest that fits into the limits is always there.
                            let is_newest = newest == Some(sequence);
                            let fits = all.last().is_some_and(|&(_, sent, len, _)| {
                                len <= max_bytes && now - sent <= 100.max(3 * rtt)
                            });
                            prop_assert!(!(is_newest && fits));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn padding_is_read_back_as_a_packet_without_payload(len: NonZeroU8, timestamp: u32, now: u64, first: u16) {
        let mut rtx = RtxStream::new(&params_with_rtx(), first).unwrap();
        let mut datagram = Vec::new();
        rtx.write_padding(len, timestamp, NtpTime::from_bits(now), first, &mut datagram);
        let (header, payload) = RtpHeader::parse(&datagram)?;
        prop_assert_eq!(payload, datagram.len() - usize::from(len.get())..datagram.len() - usize::from(len.get()));
        prop_assert_eq!((header.sequence, header.timestamp, header.marker), (first, timestamp, false));
        prop_assert_eq!(header.extensions.value(5), Some(&first.to_be_bytes()[..]));
        prop_assert_eq!(datagram.len(), rtx.padding_overhead() + usize::from(len.get()));
    }
}
