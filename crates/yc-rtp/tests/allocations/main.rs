//! Nothing is allocated per frame or per packet once the stream runs.
#![allow(clippy::unwrap_used, reason = "this file is a test")]

#[path = "../support/mod.rs"]
mod support;
mod sys;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use support::{FrameBuilder, encoded, frame, params_with_extensions};
use yc_media::EncodedFrame;
use yc_rtp::extension::PlayoutDelay;
use yc_rtp::{NtpTime, RtpPacket, RtpStream};

#[global_allocator]
static ALLOCATOR: sys::Counting = sys::Counting;

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

    let warm_up = sys::allocations();
    send(&frames[0]);
    assert!(sys::allocations() > warm_up, "the counter counts");

    let before = sys::allocations();
    let packets: u64 = frames[1..].iter().map(&mut send).sum();
    let allocated = sys::allocations() - before;
    println!("{allocated} allocations for {packets} packets of {} frames", frames.len() - 1);
    assert!(packets > 700);
    assert_eq!(allocated, 0);
}
