//! `SenderSession` when packets are lost and the network takes less: on a clock that is moved by hand.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::time::Duration;

use support::by_hand::{at, drain, frame};
use yc_media::{Bitrate, FrameKind, H264ProfileLevelId};
use yc_rtp::{
    ArrivalTime, CodecParams, ExtensionKind, RtpExtension, RtpHeader, RtxParams, StreamParams,
    TransportFeedback,
};
use yc_sender::{KeyframeCause, SenderConfig, SenderSession, SessionAction, SessionSeeds, Transmit};

const SSRC: u32 = 77;
const RTX: RtxParams = RtxParams { ssrc: 78, payload_type: 102 };
const TRANSPORT_CC: u8 = 5;

fn session(rtx: Option<RtxParams>) -> SenderSession {
    let profile_level_id: H264ProfileLevelId = "42c01f".parse().unwrap();
    let mut params = StreamParams::new(SSRC, 101, CodecParams::H264 { profile_level_id }, "test");
    params.extensions.push(RtpExtension { kind: ExtensionKind::TransportWideCc, id: TRANSPORT_CC });
    params.rtx = rtx;
    let seeds = SessionSeeds::new(65_530, 0xffff_ff00, at(0), Duration::from_secs(1_700_000_000));
    SenderSession::new(&SenderConfig::default(), params, seeds).unwrap()
}

/// Everything that leaves in `millis`, looked at each millisecond.
fn drain_all(session: &mut SenderSession, millis: std::ops::Range<u64>) -> Vec<Vec<u8>> {
    millis.flat_map(|millis| drain(session, millis)).collect()
}

fn nack(sequences: &[u16]) -> Vec<u8> {
    let mut rtcp = vec![0x81, 205, 0, 2 + sequences.len() as u8, 0, 0, 0, 9];
    rtcp.extend(SSRC.to_be_bytes());
    for sequence in sequences {
        rtcp.extend(sequence.to_be_bytes());
        rtcp.extend([0, 0]);
    }
    rtcp
}

fn header(packet: &[u8]) -> RtpHeader {
    RtpHeader::parse(packet).unwrap().0
}

fn keyframes_wanted(session: &mut SenderSession) -> Vec<KeyframeCause> {
    let actions = std::iter::from_fn(|| session.poll_action());
    actions
        .filter_map(|action| match action {
            SessionAction::MakeKeyframe(cause) => Some(cause),
            _ => None,
        })
        .collect()
}

#[test]
fn what_a_receiver_misses_goes_again_over_rtx_before_what_waits() {
    let mut session = session(Some(RTX));
    session.handle_frame(at(0), &frame(FrameKind::Key, 0, 6_000));
    let first = drain(&mut session, 0);
    let lost = header(&first[2]);
    session.handle_frame(at(20), &frame(FrameKind::Delta, 20, 3_000));
    session.handle_datagram(at(20), &nack(&[lost.sequence]));
    let sent = drain(&mut session, 20);

    let again = header(&sent[0]);
    assert_eq!((again.ssrc, again.payload_type), (RTX.ssrc, RTX.payload_type));
    assert_eq!((again.timestamp, again.marker), (lost.timestamp, lost.marker));
    let payload = |packet: &[u8]| packet[RtpHeader::parse(packet).unwrap().1].to_vec();
    assert_eq!(payload(&sent[0])[..2], lost.sequence.to_be_bytes(), "the number that it had");
    assert_eq!(payload(&sent[0])[2..], payload(&first[2]));
    assert_eq!((header(&sent[1]).ssrc, payload(&sent[1])), (RTX.ssrc, payload(&sent[0])), "with a copy");
    assert_eq!(header(&sent[2]).ssrc, SSRC, "and then what waited");
    let numbers: Vec<_> = first
        .iter()
        .chain(&sent)
        .map(|packet| header(packet).extensions.value(TRANSPORT_CC).map(|v| u16::from_be_bytes([v[0], v[1]])))
        .collect();
    let expected: Vec<_> = (0..numbers.len() as u16).map(Some).collect();
    assert_eq!(numbers, expected, "one row of numbers for all that the transport sends");
    assert!(sent.iter().all(|packet| packet.len() <= 1_200));
    assert_eq!(keyframes_wanted(&mut session), [], "sending again was enough");
}

#[test]
fn the_last_packet_of_a_picture_goes_again_unasked_if_nothing_comes_after_it() {
    let mut session = session(Some(RTX));
    session.handle_frame(at(0), &frame(FrameKind::Key, 0, 6_000));
    let last = header(drain(&mut session, 0).last().unwrap());
    assert_eq!(drain_all(&mut session, 1..30).len(), 0);
    session.handle_frame(at(30), &frame(FrameKind::Delta, 30, 500));
    assert_eq!(drain_all(&mut session, 30..70).len(), 1, "something came after it in time");
    assert_eq!(session.poll_timeout(), Some(at(70)));
    let again = drain(&mut session, 70);
    let payload = &again[0][RtpHeader::parse(&again[0]).unwrap().1];
    assert_eq!(payload[..2], last.sequence.wrapping_add(1).to_be_bytes());
    assert_eq!(drain_all(&mut session, 71..900).len(), 0, "once is enough as long as nothing is lost");
}

#[test]
fn without_rtx_the_packet_itself_goes_again() {
    let mut session = session(None);
    session.handle_frame(at(0), &frame(FrameKind::Key, 0, 6_000));
    let first = drain(&mut session, 0);
    session.handle_datagram(at(20), &nack(&[header(&first[1]).sequence]));
    let sent = drain(&mut session, 20);
    assert_eq!(sent.len(), 1);
    let mut again = header(&sent[0]);
    again.extensions = header(&first[1]).extensions;
    assert_eq!(again, header(&first[1]));
}

#[test]
fn a_request_repeated_within_a_round_trip_is_answered_once() {
    let mut session = session(Some(RTX));
    session.handle_frame(at(0), &frame(FrameKind::Key, 0, 3_000));
    let mut datagram = Vec::new();
    let mut report = None;
    let mut lost = None;
    while let Some(transmit) = session.poll_transmit(at(0), &mut datagram) {
        match transmit {
            Transmit::Control => report = Some(datagram.clone()),
            _ => lost = lost.or(Some(header(&datagram).sequence)),
        }
    }
    // A receiver report that answers the sender report at once, 80 ms later. RFC 3550 §6.4.2.
    let mut answer = vec![0x81, 201, 0, 7, 0, 0, 0, 9];
    answer.extend(SSRC.to_be_bytes());
    answer.extend([0; 12]);
    answer.extend(&report.unwrap()[10..14]);
    answer.extend([0; 4]);
    session.handle_datagram(at(80), &answer);
    drain_all(&mut session, 1..100);

    let lost = lost.unwrap();
    let answered: Vec<_> = (100..300)
        .filter(|millis| {
            session.handle_datagram(at(*millis), &nack(&[lost, lost]));
            let sent = drain(&mut session, *millis);
            assert!(sent.iter().all(|packet| header(packet).ssrc == RTX.ssrc));
            !sent.is_empty()
        })
        .collect();
    assert_eq!(answered, [100, 180, 260]);
}

#[test]
fn what_was_asked_for_brings_a_copy_and_what_was_lost_again_two() {
    let mut session = session(Some(RTX));
    session.handle_frame(at(0), &frame(FrameKind::Key, 0, 3_000));
    let lost = header(&drain_all(&mut session, 0..100)[0]).sequence;
    for (millis, copies) in [(100, 2), (140, 3), (180, 3)] {
        session.handle_datagram(at(millis), &nack(&[lost]));
        assert_eq!(drain_all(&mut session, millis..millis + 40).len(), copies, "{millis}");
    }
}

/// Feedback about the first packets of a share: those `lost` did not arrive, the others did.
fn told(packets: u16, lost: &[u16]) -> Vec<u8> {
    let arrived = |n: u16| (!lost.contains(&n)).then(|| ArrivalTime::from_ticks(u32::from(n)));
    let mut out = Vec::new();
    let feedback = TransportFeedback::new(0, 0, (0..packets).map(arrived).collect());
    assert_eq!(feedback.append_to(9, SSRC, &mut out), usize::from(packets));
    out
}

#[test]
fn what_feedback_tells_to_be_missing_goes_again_before_it_is_asked_for() {
    for rtx in [Some(RTX), None] {
        let mut session = session(rtx);
        session.handle_frame(at(0), &frame(FrameKind::Key, 0, 6_000));
        let mut first = drain_all(&mut session, 0..20);
        session.handle_frame(at(20), &frame(FrameKind::Delta, 20, 3_000));
        first.extend(drain_all(&mut session, 20..30));
        drain_all(&mut session, 30..100);
        let count = first.len() as u16;
        // How often the one goes that is lost. Of the other it is not known yet: what was behind it may have overtaken
        // it. What goes again as a probe comes after both.
        let mut again = |millis| {
            session.handle_datagram(at(millis), &told(count, &[2, count - 2]));
            let sent = drain(&mut session, millis);
            let numbers = sent.iter().map(|packet| {
                let payload = &packet[RtpHeader::parse(packet).unwrap().1];
                u16::from_be_bytes([payload[0], payload[1]])
            });
            numbers.take_while(|number| *number == header(&first[2]).sequence).count()
        };
        // Without RTX what goes again could not be told apart from what it was before.
        assert_eq!(again(100) > 0, rtx.is_some());
        assert_eq!(again(110), 0, "it is on its way");
    }
}

#[test]
fn what_a_long_key_frame_makes_needless_is_not_in_its_way() {
    for (bytes, goes_again) in [(6_000, true), (600_000, false)] {
        let mut session = session(Some(RTX));
        session.handle_frame(at(0), &frame(FrameKind::Key, 0, 3_000));
        let before = header(&drain(&mut session, 0)[0]).sequence;
        session.handle_frame(at(500), &frame(FrameKind::Key, 500, bytes));
        let within = header(&drain(&mut session, 500)[0]).sequence;
        for (millis, sequence, goes_again) in [(510, before, goes_again), (520, within, true)] {
            session.handle_datagram(at(millis), &nack(&[sequence]));
            let sent = drain_all(&mut session, millis..millis + 10);
            let again = sent.iter().filter(|packet| header(packet).ssrc == RTX.ssrc).count();
            assert_eq!(again > 0, goes_again, "{bytes} bytes, {sequence}: {again} packets");
        }
    }
}

#[test]
fn more_than_can_be_sent_again_in_time_is_given_up_for_a_key_frame() {
    for (bytes, given_up) in [(6_000, false), (500_000, true)] {
        let mut session = session(Some(RTX));
        session.handle_frame(at(0), &frame(FrameKind::Key, 0, bytes));
        let mut first = drain_all(&mut session, 0..400);
        session.handle_frame(at(400), &frame(FrameKind::Delta, 400, 500));
        first.extend(drain_all(&mut session, 400..430));
        let count = first.len() as u16;
        keyframes_wanted(&mut session);
        session.handle_datagram(at(450), &told(count, &(1..count - 1).collect::<Vec<_>>()));
        let again = drain_all(&mut session, 450..510);
        assert_eq!(again.is_empty(), given_up, "{bytes} bytes: {} packets", again.len());
        let causes = keyframes_wanted(&mut session);
        assert_eq!(causes, if given_up { vec![KeyframeCause::Lost] } else { vec![] }, "{bytes} bytes");
        session.handle_datagram(at(510), &nack(&[header(&first[2]).sequence]));
        let asked = drain_all(&mut session, 510..550);
        assert_eq!(asked.is_empty(), given_up, "{bytes} bytes: {} packets", asked.len());
    }
}

#[test]
fn what_is_not_kept_any_more_becomes_a_key_frame_if_it_is_still_needed() {
    let mut session = session(Some(RTX));
    session.handle_frame(at(0), &frame(FrameKind::Key, 0, 3_000));
    let before = header(&drain(&mut session, 0)[0]).sequence;
    session.handle_frame(at(500), &frame(FrameKind::Key, 500, 3_000));
    let needed = header(&drain(&mut session, 500)[0]).sequence;
    for millis in (600..3_000).step_by(100) {
        session.handle_frame(at(millis), &frame(FrameKind::Delta, millis, 500));
        drain(&mut session, millis);
    }
    drain_all(&mut session, 2_901..3_000);
    keyframes_wanted(&mut session);

    session.handle_datagram(at(3_000), &nack(&[before]));
    assert_eq!(drain(&mut session, 3_000).len(), 0);
    session.handle_timeout(at(3_001));
    assert_eq!(keyframes_wanted(&mut session), [], "nothing refers to it any more");

    session.handle_datagram(at(3_010), &nack(&[needed]));
    assert_eq!(drain(&mut session, 3_010).len(), 0);
    session.handle_timeout(at(3_011));
    assert_eq!(keyframes_wanted(&mut session), [KeyframeCause::Lost]);
}

#[test]
fn a_key_frame_is_told_from_its_namesake_a_cycle_of_numbers_later() {
    let mut session = session(Some(RTX));
    // It takes long to leave: what was before it is not sent again.
    session.handle_frame(at(0), &frame(FrameKind::Key, 0, 600_000));
    let mut newest = header(drain_all(&mut session, 0..500).last().unwrap()).sequence;
    for millis in 500..70_500 {
        session.handle_frame(at(millis), &frame(FrameKind::Delta, millis, 100));
        let sent = drain(&mut session, millis);
        newest =
            sent.iter().map(|packet| header(packet)).find(|h| h.ssrc == SSRC).map_or(newest, |h| h.sequence);
    }
    keyframes_wanted(&mut session);
    session.handle_datagram(at(70_500), &nack(&[newest.wrapping_sub(10)]));
    assert!(!drain(&mut session, 70_500).is_empty(), "it goes again");
    session.handle_datagram(at(70_510), &nack(&[newest.wrapping_sub(5_000)]));
    assert!(drain(&mut session, 70_510).is_empty());
    session.handle_timeout(at(70_511));
    assert_eq!(keyframes_wanted(&mut session), [KeyframeCause::Lost], "it was needed");
}

#[test]
fn what_never_left_is_not_sent_and_brings_no_key_frame() {
    let mut session = session(Some(RTX));
    session.handle_frame(at(0), &frame(FrameKind::Key, 0, 3_000));
    let newest = header(drain(&mut session, 0).last().unwrap()).sequence;
    let invented: Vec<u16> = (1..60).map(|n| newest.wrapping_add(n * 500)).collect();
    session.handle_datagram(at(20), &nack(&invented));
    assert_eq!(drain_all(&mut session, 20..40).len(), 0);
    session.handle_timeout(at(41));
    assert_eq!(keyframes_wanted(&mut session), []);
}

#[test]
fn a_key_frame_drops_what_waits_before_it_without_a_gap_in_the_numbers() {
    let mut session = session(Some(RTX));
    session.handle_frame(at(0), &frame(FrameKind::Key, 0, 60_000));
    let mut sent = drain(&mut session, 0);
    for millis in [1, 2, 3] {
        session.handle_frame(at(millis), &frame(FrameKind::Delta, millis, 20_000));
    }
    session.handle_frame(at(4), &frame(FrameKind::Key, 4, 20_000));
    assert!(session.backlog() < Duration::from_millis(60), "{:?}", session.backlog());
    sent.extend(drain_all(&mut session, 1..200));
    let headers: Vec<_> = sent.iter().map(|packet| header(packet)).filter(|h| h.ssrc == SSRC).collect();
    assert!(headers.windows(2).all(|pair| pair[1].sequence == pair[0].sequence.wrapping_add(1)));
    assert_eq!(headers.iter().filter(|header| header.marker).count(), 2, "both key frames are whole");
}

/// A network that takes `kbps`, tells each 100 ms what arrived, and loses nothing.
struct Bottleneck {
    kbps: u32,
    free_at: f64,
    arrived: Vec<f64>,
    told: u16,
}

impl Bottleneck {
    fn new(kbps: u32) -> Self {
        Self { kbps, free_at: 0.0, arrived: Vec::new(), told: 0 }
    }

    fn take(&mut self, millis: u64, bytes: usize) {
        let sent = millis as f64 + 10.0;
        self.free_at = self.free_at.max(sent) + bytes as f64 * 8.0 / f64::from(self.kbps);
        self.arrived.push(self.free_at);
    }

    fn feedback(&mut self, millis: u64) -> Vec<u8> {
        let known = self.arrived.iter().filter(|at| **at <= millis as f64).count() as u16;
        let ticks = |at: &f64| Some(ArrivalTime::from_ticks((at * 4.0) as u32));
        let news = self.arrived[usize::from(self.told)..usize::from(known)].iter().map(ticks).collect();
        let mut out = Vec::new();
        let told = TransportFeedback::new(self.told, 0, news).append_to(9, SSRC, &mut out);
        self.told += told as u16;
        out
    }
}

/// An encoder that keeps its rate to the bit, through `network` for `millis`; answers with the bitrate that it
/// was told last.
fn encode_through(
    session: &mut SenderSession,
    network: &mut Bottleneck,
    millis: std::ops::Range<u64>,
) -> Bitrate {
    for now in millis {
        let goal = session.goal().target;
        if now % 33 == 0 && session.backlog() < Duration::from_millis(200) {
            let bytes = goal.bitrate.bytes_in(Duration::from_millis(33));
            let kind = if now == 0 { FrameKind::Key } else { FrameKind::Delta };
            session.handle_frame(at(now), &frame(kind, now, bytes));
        }
        for packet in drain(session, now) {
            network.take(now, packet.len());
        }
        if now % 100 == 0 && now > 0 {
            session.handle_datagram(at(now), &network.feedback(now));
        }
    }
    session.goal().target.bitrate
}

#[test]
fn the_encoder_is_told_what_the_network_takes_at_once() {
    let mut session = session(Some(RTX));
    let mut network = Bottleneck::new(1_000);
    assert_eq!(session.goal().target.bitrate, SenderConfig::default().bitrate);
    let reached = encode_through(&mut session, &mut network, 0..6_000);
    assert!((600..=1_000).contains(&reached.as_kbps()), "{reached}");
    let told = std::iter::from_fn(|| session.poll_action())
        .filter_map(|action| match action {
            SessionAction::Aim(goal) => Some(goal.target.bitrate),
            _ => None,
        })
        .last();
    assert_eq!(told, Some(session.goal().target.bitrate), "what is aimed at has been told");
}

#[test]
fn a_wide_network_gets_the_whole_configured_bitrate() {
    let mut session = session(Some(RTX));
    let mut network = Bottleneck::new(50_000);
    let reached = encode_through(&mut session, &mut network, 0..3_000);
    assert_eq!(reached, SenderConfig::default().bitrate);
}
