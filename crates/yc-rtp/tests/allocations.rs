//! Nothing is allocated per frame or per packet once the stream runs.
#![allow(clippy::unwrap_used, reason = "this file is a test")]

mod support;

use std::collections::VecDeque;
use std::num::NonZeroU8;
use std::time::Duration;

use bytes::Bytes;
use support::{FrameBuilder, encoded, frame, params_with_extensions};
use yc_media::EncodedFrame;
use yc_rtp::extension::PlayoutDelay;
use yc_rtp::rtcp::FeedbackParser;
use yc_rtp::{
    ArrivalTime, FeedbackEvent, HistoryLimits, NtpTime, RtpPacket, RtpStream, RtxParams, RtxStream,
    SentHistory, TransportFeedback,
};

/// What `work` allocates or grows in this thread.
fn allocations(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).count_total
}

/// A slice of a shared buffer, as an encoder's pool hands it out.
fn shared(frame: &FrameBuilder, key: bool, at: u64) -> EncodedFrame {
    encoded(Bytes::from_owner(frame.stream.clone()), key, Duration::from_millis(33 * at))
}

#[test]
fn packetizing_stamping_and_writing_allocate_nothing_in_the_steady_state() {
    let mut stream = RtpStream::new(params_with_extensions(), 0, 0).unwrap();
    stream.set_capture_epoch(Some(NtpTime::default()));
    stream.set_playout_delay(Some(PlayoutDelay::NONE));
    let key = frame().aud().sps().filled(0x67, 14).pps().filled(0x68, 5).sei(30).idr(168_000);
    let delta = frame().slice(6_000).slice(40).slice(30);
    let still = frame().sei(12).slice(20).slice(20).slice(20).slice(20).slice(20);
    let frames: Vec<_> = (0..90)
        .map(|at| match at % 30 {
            0 => shared(&key, true, at),
            17 => shared(&still, false, at),
            _ => shared(&delta, false, at),
        })
        .collect();

    let mut queue: VecDeque<RtpPacket> = VecDeque::new();
    let mut wire = Vec::new();
    let mut report = Vec::new();
    let mut sequence = 0_u16;
    let mut send = |frame: &EncodedFrame| {
        stream.packetize(frame, 1_200, &mut queue).unwrap();
        let mut packets = 0;
        while let Some(mut packet) = queue.pop_front() {
            sequence = sequence.wrapping_add(1);
            stream.stamp(&mut packet, NtpTime::from_bits(u64::from(sequence)), sequence);
            packet.write_to(&mut wire);
            stream.on_sent(&packet);
            packets += 1;
        }
        stream.write_report(NtpTime::default(), frame.captured_at, &[], &mut report);
        packets
    };

    assert!(allocations(|| _ = send(&frames[0])) > 0, "the counter counts");

    let mut packets = 0;
    let allocated = allocations(|| packets = frames[1..].iter().map(&mut send).sum::<u64>());
    println!("{allocated} allocations for {packets} packets of {} frames", frames.len() - 1);
    assert!(packets > 700);
    assert_eq!(allocated, 0);
}

#[test]
fn keeping_and_sending_again_allocate_nothing_in_the_steady_state() {
    let mut params = params_with_extensions();
    params.rtx = Some(RtxParams { ssrc: 2, payload_type: 102 });
    let mut stream = RtpStream::new(params.clone(), 0, 0).unwrap();
    let mut rtx = RtxStream::new(&params, 0).unwrap();
    let mut limits = HistoryLimits::default();
    // Full after some frames, so that the steady state is one of giving way.
    limits.max_packets = 256;
    let mut history = SentHistory::new(limits);
    let delta = frame().slice(20_000).slice(40);
    let frames: Vec<_> = (0..100).map(|at| shared(&delta, false, at)).collect();

    let mut queue: VecDeque<RtpPacket> = VecDeque::new();
    let mut wire = Vec::new();
    let mut send = |frame: &EncodedFrame| {
        stream.packetize(frame, 1_200, &mut queue).unwrap();
        let mut again = 0;
        while let Some(packet) = queue.pop_front() {
            let sequence = packet.header.sequence;
            history.insert(frame.captured_at, packet);
            if sequence.is_multiple_of(3) {
                let packet = history.retransmit(frame.captured_at, None, sequence).unwrap();
                rtx.write_to(packet, NtpTime::default(), sequence, &mut wire);
                stream.write_again(packet, NtpTime::default(), sequence, &mut wire);
                again += 1;
            }
            rtx.write_padding(NonZeroU8::MAX, 0, NtpTime::default(), sequence, &mut wire);
        }
        again
    };
    frames[..30].iter().map(&mut send).for_each(drop);

    let mut again = 0;
    let allocated = allocations(|| again = frames[30..].iter().map(&mut send).sum::<u64>());
    println!("{allocated} allocations for {again} packets sent again, {} kept", history.len());
    assert!(again > 300 && history.len() == 256);
    assert_eq!(allocated, 0);
}

#[test]
fn transport_feedback_is_read_into_one_allocation() {
    let arrivals = (0..100).map(|at| (at % 7 != 3).then_some(ArrivalTime::from_ticks(at * 40)));
    let mut datagram = Vec::new();
    assert_eq!(TransportFeedback::new(0, 0, arrivals.collect()).append_to(9, 1, &mut datagram), 100);
    let mut parser = FeedbackParser::new([&params_with_extensions()]);
    let mut told = 0;
    let mut on_event = |event| {
        if let FeedbackEvent::TransportFeedback(feedback) = event {
            told += feedback.arrivals.len();
        }
    };
    let allocated = allocations(|| {
        for _ in 0..50 {
            parser.parse(NtpTime::default(), &datagram, &mut on_event).unwrap();
        }
    });
    assert_eq!((allocated, told), (50, 5_000));
}
