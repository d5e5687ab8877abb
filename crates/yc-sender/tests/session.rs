//! `SenderSession` on a clock that is moved by hand: no thread, no socket.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::time::Duration;

use support::by_hand::{at, drain, frame};
use yc_media::{FrameKind, H264ProfileLevelId};
use yc_rtp::{CodecParams, ExtensionKind, RtpExtension, RtpHeader, StreamParams, rtcp};
use yc_sender::{KeyframeCause, SenderConfig, SenderSession, SessionAction, SessionSeeds, Transmit};

const SSRC: u32 = 77;

fn session(config: &SenderConfig) -> SenderSession {
    let profile_level_id: H264ProfileLevelId = "42c01f".parse().unwrap();
    let mut params = StreamParams::new(SSRC, 101, CodecParams::H264 { profile_level_id }, "test");
    params.extensions.push(RtpExtension { kind: ExtensionKind::TransportWideCc, id: 5 });
    let seeds = SessionSeeds::new(65_530, 0xffff_ff00, at(0), Duration::from_secs(1_700_000_000));
    SenderSession::new(config, params, seeds).unwrap()
}

fn pli() -> Vec<u8> {
    let mut rtcp = vec![0x81, 206, 0, 2, 0, 0, 0, 9];
    rtcp.extend(SSRC.to_be_bytes());
    rtcp
}

#[test]
fn a_key_frame_is_paced_and_numbered_through_the_wrap() {
    let mut session = session(&SenderConfig::default());
    session.handle_frame(at(0), &frame(FrameKind::Key, 0, 120_000));
    let at_once = drain(&mut session, 0).len();
    // 6 Mbit/s × 2.5 in 10 ms are 18,750 bytes: 17 packets of nearly 1,200 bytes cross that line.
    assert_eq!(at_once, 17);
    assert!(session.backlog() > Duration::from_millis(50));
    let mut packets = Vec::new();
    for millis in 1..60 {
        packets.extend(drain(&mut session, millis));
    }
    assert_eq!(session.backlog(), Duration::ZERO);
    let headers: Vec<_> = packets.iter().map(|packet| RtpHeader::parse(packet).unwrap().0).collect();
    assert!(packets.iter().all(|packet| packet.len() <= 1_200));
    assert_eq!(headers[0].sequence, 65_530u16.wrapping_add(17));
    assert!(headers.windows(2).all(|pair| pair[1].sequence == pair[0].sequence.wrapping_add(1)));
    assert_eq!(headers.iter().filter(|header| header.marker).count(), 1);
    assert!(headers.last().unwrap().marker);
    let sequence = |header: &RtpHeader| header.extensions.value(5).map(|v| u16::from_be_bytes([v[0], v[1]]));
    assert_eq!(sequence(&headers[0]), Some(17), "the transport's own numbers count from 0");
}

#[test]
fn a_report_leaves_with_the_first_frame_and_each_second() {
    let mut session = session(&SenderConfig::default());
    let mut datagram = Vec::new();
    assert_eq!(session.poll_transmit(at(0), &mut datagram), None);
    assert!(!session.goodbye(at(0), &mut datagram), "a stream that never began does not end");
    session.handle_frame(at(0), &frame(FrameKind::Key, 0, 100));
    let mut reports = Vec::new();
    for millis in 0..3_500 {
        while let Some(transmit) = session.poll_transmit(at(millis), &mut datagram) {
            session.on_sent(transmit, datagram.len());
            if transmit == Transmit::Control {
                assert!(rtcp::is_rtcp(&datagram));
                reports.push((millis, datagram.clone()));
            }
        }
    }
    assert_eq!(reports.iter().map(|(millis, _)| *millis).collect::<Vec<_>>(), [0, 1_000, 2_000, 3_000]);
    // RTP time of the report: 51 s and 1 s later on the capture clock, 90,000 ticks each, from the offset.
    let report = &reports[1].1;
    assert_eq!((report[1], &report[4..8]), (200, &SSRC.to_be_bytes()[..]));
    let rtp_time = u32::from_be_bytes(report[16..20].try_into().unwrap());
    assert_eq!(rtp_time, (51u32 * 90_000).wrapping_add(0xffff_ff00));
    let ntp_seconds = u32::from_be_bytes(report[8..12].try_into().unwrap());
    assert_eq!(ntp_seconds, 1_700_000_001 + 2_208_988_800u64 as u32);
    assert!(session.goodbye(at(3_600), &mut datagram));
}

#[test]
fn a_pli_becomes_a_wanted_key_frame_and_a_storm_stays_bounded() {
    let mut session = session(&SenderConfig::default());
    session.handle_frame(at(0), &frame(FrameKind::Key, 0, 1_000));
    drain(&mut session, 0);
    let mut wanted = 0;
    for millis in (1..3_000).step_by(5) {
        session.handle_datagram(at(millis), &pli());
        session.handle_timeout(at(millis));
        while let Some(action) = session.poll_action() {
            assert_eq!(action, SessionAction::MakeKeyframe(KeyframeCause::Pli));
            wanted += 1;
            session.handle_frame(at(millis), &frame(FrameKind::Key, millis, 1_000));
        }
        drain(&mut session, millis);
    }
    assert_eq!(wanted, 10, "the first at once after the start, then one in each 300 ms of 3 s");
}

#[test]
fn what_cannot_leave_in_time_is_dropped_whole_until_a_key_frame() {
    let config = SenderConfig::default();
    let mut session = session(&config);
    // 15 Mbit/s leave; 1.5 MB are 800 ms, the bound.
    session.handle_frame(at(0), &frame(FrameKind::Key, 0, 1_600_000));
    session.handle_frame(at(33), &frame(FrameKind::Delta, 33, 5_000));
    session.handle_frame(at(66), &frame(FrameKind::Delta, 66, 5_000));
    session.handle_timeout(at(400));
    let mut sent = Vec::new();
    for millis in 66..1_200 {
        sent.extend(drain(&mut session, millis));
    }
    assert_eq!(session.backlog(), Duration::ZERO);
    session.handle_frame(at(1_200), &frame(FrameKind::Delta, 1_200, 5_000));
    assert!(drain(&mut session, 1_200).is_empty(), "it depends on what was dropped");
    session.handle_timeout(at(2_100));
    assert_eq!(session.poll_action(), Some(SessionAction::MakeKeyframe(KeyframeCause::Lost)));
    session.handle_frame(at(2_100), &frame(FrameKind::Key, 2_100, 5_000));
    let next = drain(&mut session, 2_100);
    let (last, first) =
        (RtpHeader::parse(sent.last().unwrap()).unwrap().0, RtpHeader::parse(&next[0]).unwrap().0);
    assert_eq!(first.sequence, last.sequence.wrapping_add(1), "a dropped frame leaves no gap");
}

#[test]
fn a_bound_from_the_receiver_lowers_the_target() {
    let mut session = session(&SenderConfig::default());
    // REMB, 1 Mbit/s: draft-alvestrand-rmcat-remb-03 §2.2: 6 bits exponent, 18 bits mantissa.
    let mut remb = vec![0x8f, 206, 0, 5, 0, 0, 0, 9, 0, 0, 0, 0];
    remb.extend(*b"REMB");
    let (exponent, mantissa) = (3u32, 125_000u32);
    remb.extend(((1u32 << 24) | (exponent << 18) | mantissa).to_be_bytes());
    remb.extend(SSRC.to_be_bytes());
    session.handle_datagram(at(0), &remb);
    let Some(SessionAction::Aim(goal)) = session.poll_action() else { panic!("no new goal") };
    assert_eq!(goal.target.bitrate.as_kbps(), 1_000);
    assert_eq!((session.goal(), goal.cap), (goal, None));
}

#[test]
fn a_receiver_that_falls_silent_is_told_once_and_only_after_the_first_packet() {
    let mut session = session(&SenderConfig::default());
    (0..100).for_each(|second| session.handle_timeout(at(second * 1_000)));
    assert_eq!(session.poll_action(), None, "nothing was sent that anybody could report of");
    session.handle_frame(at(100_000), &frame(FrameKind::Key, 100_000, 1_000));
    drain(&mut session, 100_000);
    let silent: Vec<u64> = (101..150)
        .filter(|second| {
            session.handle_timeout(at(second * 1_000));
            matches!(session.poll_action(), Some(SessionAction::ReceiverSilent(_)))
        })
        .collect();
    assert_eq!(silent, [116], "15 s after the look at the first packet");
}

#[test]
fn no_byte_string_harms_the_session() {
    let mut session = session(&SenderConfig::default());
    session.handle_frame(at(0), &frame(FrameKind::Key, 0, 1_000));
    let mut state = 0x1234_5678u32;
    for round in 0..20_000u64 {
        let mut datagram: Vec<u8> = (0..state % 64)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if let [first, second, ..] = &mut datagram[..] {
            (*first, *second) = (0x80 | (*first & 0x1f), 200 + *second % 8);
        }
        session.handle_datagram(at(round), &datagram);
        while session.poll_action().is_some() {}
    }
    assert!(!drain(&mut session, 20_000).is_empty());
}

#[test]
fn after_refused_packets_one_key_frame_is_asked_for_as_soon_as_the_path_takes_packets_again() {
    let mut session = session(&SenderConfig::default());
    session.handle_frame(at(0), &frame(FrameKind::Key, 0, 1_000));
    drain(&mut session, 0);
    session.handle_frame(at(1_000), &frame(FrameKind::Delta, 1_000, 4_000));
    let mut datagram = Vec::new();
    let mut refused = 0;
    while let Some(transmit) = session.poll_transmit(at(1_000), &mut datagram) {
        session.on_refused(transmit);
        refused += u32::from(transmit != Transmit::Control);
    }
    assert!(refused > 2);
    session.handle_timeout(at(1_010));
    assert_eq!(session.poll_action(), None, "it would be lost as well");
    session.handle_frame(at(2_000), &frame(FrameKind::Delta, 2_000, 4_000));
    drain(&mut session, 2_000);
    session.handle_timeout(at(2_001));
    assert_eq!(session.poll_action(), Some(SessionAction::MakeKeyframe(KeyframeCause::Lost)));
    assert_eq!(session.poll_action(), None);
}
