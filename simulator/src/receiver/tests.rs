use yc_rtp::rtcp::FeedbackParser;
use yc_rtp::{FeedbackEvent, RtpPacket, RtpStream, TransportFeedback};

use super::*;
use crate::clock::clock;
use crate::run::stream_params;
use yc_media::Bitrate;

use crate::Encoder;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A sender without policy, and the receiver it sends to.
struct Ends {
    stream: RtpStream,
    encoder: Encoder,
    transport_sequence: u16,
    parser: FeedbackParser,
    receiver: Receiver,
}

impl Ends {
    fn new() -> Self {
        let params = stream_params();
        let rate = yc_media::RateTarget::new(
            Bitrate::kbps(1_000),
            yc_media::FrameRate::new(30).unwrap(),
            yc_media::Resolution::new(1920, 1080).unwrap(),
        );
        Self {
            receiver: Receiver::new(&params),
            parser: FeedbackParser::new([&params]),
            stream: RtpStream::new(params, 65_530, 0xffff_0000).unwrap(),
            encoder: Encoder::new(rate),
            transport_sequence: 65_530,
        }
    }

    /// The packets of the next frame, as they are on the wire.
    fn frame(&mut self, millis: u64, kind: yc_media::FrameKind) -> Vec<Vec<u8>> {
        let frame = self.encoder.encode(ms(millis), clock(ms(millis)), kind);
        let mut packets: Vec<RtpPacket> = Vec::new();
        self.stream.packetize(&frame.encoded, 1_200, &mut packets).unwrap();
        let mut wire = Vec::new();
        for mut packet in packets {
            self.stream.stamp(&mut packet, NtpTime::from_unix(ms(millis)), self.transport_sequence);
            self.transport_sequence = self.transport_sequence.wrapping_add(1);
            let mut datagram = Vec::new();
            packet.write_to(&mut datagram);
            self.stream.on_sent(&packet);
            wire.push(datagram);
        }
        wire
    }

    fn key(&mut self, millis: u64) -> Vec<Vec<u8>> {
        self.frame(millis, yc_media::FrameKind::Key)
    }

    fn delta(&mut self, millis: u64) -> Vec<Vec<u8>> {
        self.encoder.on_change(0.2);
        self.frame(millis, yc_media::FrameKind::Delta)
    }

    fn arrive<'a>(&mut self, millis: u64, packets: impl IntoIterator<Item = &'a Vec<u8>>) {
        packets.into_iter().for_each(|packet| self.receiver.handle_datagram(ms(millis), packet));
    }

    /// What the sender hears of all that the receiver says by `millis`.
    fn said(&mut self, millis: u64) -> Vec<FeedbackEvent> {
        let mut events = Vec::new();
        let mut datagram = Vec::new();
        while self.receiver.poll_transmit(ms(millis), &mut datagram) {
            assert!(datagram.len() <= 1_200);
            let now = NtpTime::from_unix(ms(millis));
            self.parser.parse(now, &datagram, &mut |event| events.push(event)).unwrap();
        }
        assert_eq!(self.parser.counts().malformed, 0);
        events
    }

    fn shown(&mut self) -> Vec<u32> {
        let mut shown = Vec::new();
        self.receiver.take_shown(&mut shown);
        shown.into_iter().map(|shown| shown.number).collect()
    }
}

fn nacked(events: &[FeedbackEvent]) -> Vec<u16> {
    let sequences = events.iter().filter_map(|event| match event {
        FeedbackEvent::Nack { sequences, .. } => Some(sequences.clone()),
        _ => None,
    });
    sequences.flatten().collect()
}

fn plis(events: &[FeedbackEvent]) -> usize {
    events.iter().filter(|event| matches!(event, FeedbackEvent::KeyframeWanted { fir: false, .. })).count()
}

fn transport(events: &[FeedbackEvent]) -> Vec<TransportFeedback> {
    let feedback = events.iter().filter_map(|event| match event {
        FeedbackEvent::TransportFeedback(feedback) => Some(feedback.clone()),
        _ => None,
    });
    feedback.collect()
}

#[test]
fn frames_are_seen_once_they_are_whole_though_sequence_and_time_wrap() {
    let mut ends = Ends::new();
    let key = ends.key(0);
    assert!(key.len() > 10);
    ends.arrive(1, &key[..key.len() - 1]);
    assert_eq!(ends.shown(), []);
    ends.arrive(2, &key[key.len() - 1..]);
    let delta = ends.delta(33);
    ends.arrive(33, &delta);
    assert_eq!(ends.shown(), [0, 1]);
    assert_eq!(ends.receiver.stats().keyframes, 1);
}

#[test]
fn a_lost_packet_is_asked_for_and_its_frame_seen_when_it_comes_by_rtx() {
    let mut ends = Ends::new();
    let key = ends.key(0);
    ends.arrive(0, key.iter().enumerate().filter(|(at, _)| *at != 5).map(|(_, packet)| packet));
    assert_eq!(nacked(&ends.said(5)), []);
    let lost = RtpHeader::parse(&key[5]).unwrap().0.sequence;
    assert_eq!(nacked(&ends.said(40)), [lost]);
    assert_eq!(nacked(&ends.said(80)), [], "a round trip of 100 ms is taken until one is measured");
    assert_eq!(nacked(&ends.said(160)), [lost]);

    let (header, payload) = RtpHeader::parse(&key[5]).unwrap();
    let rtx = stream_params().rtx.unwrap();
    let mut again = header;
    (again.ssrc, again.payload_type, again.sequence) = (rtx.ssrc, rtx.payload_type, 9);
    let mut wire = Vec::new();
    again.append_to(&mut wire);
    wire.extend(header.sequence.to_be_bytes());
    wire.extend(&key[5][payload]);
    ends.arrive(170, [&wire]);
    assert_eq!(ends.shown(), [0]);
    assert_eq!(nacked(&ends.said(400)), []);
    let stats = ends.receiver.stats();
    assert_eq!((stats.missed, stats.recovered, stats.recovered_by_nack, stats.rtx_packets), (1, 1, 1, 1));
    ends.arrive(180, [&wire]);
    assert_eq!(ends.receiver.stats().redundant, 1);
}

#[test]
fn an_overtaken_packet_is_not_asked_for() {
    let mut ends = Ends::new();
    let mut key = ends.key(0);
    key.swap(3, 4);
    ends.arrive(0, &key);
    assert_eq!(nacked(&ends.said(200)), []);
    assert_eq!(ends.shown(), [0]);
    let stats = ends.receiver.stats();
    assert_eq!((stats.missed, stats.recovered, stats.recovered_by_nack), (1, 1, 0));
}

#[test]
fn a_viewer_s_join_brings_one_pli_a_second_until_a_key_frame_comes() {
    let mut ends = Ends::new();
    ends.receiver.on_join();
    assert_eq!(plis(&ends.said(0)), 0, "nobody is asked before the first packet");
    let key = ends.key(0);
    ends.arrive(0, &key);
    ends.receiver.on_join();
    let asked: Vec<u64> = (0..2_500).filter(|at| plis(&ends.said(*at)) > 0).collect();
    assert_eq!(asked, [0, 1_000, 2_000]);
    let key = ends.key(2_500);
    ends.arrive(2_500, &key);
    assert_eq!((2_500..5_000).filter(|at| plis(&ends.said(*at)) > 0).count(), 0);
}

#[test]
fn a_packet_that_is_given_up_brings_a_pli_unless_a_key_frame_made_it_superfluous() {
    let run = |key_comes: bool| {
        let mut ends = Ends::new();
        let key = ends.key(0);
        ends.arrive(0, &key[..5]);
        ends.arrive(0, &key[6..]);
        let asked: usize = (0..500).map(|at| nacked(&ends.said(at)).len()).sum();
        // At 40 ms and each 120: steps of 40 ms that are 100 or more after the last time.
        assert_eq!(asked, 4);
        if key_comes {
            let key = ends.key(500);
            ends.arrive(500, &key);
        }
        let said: Vec<_> = (500..3_000).flat_map(|at| ends.said(at)).collect();
        assert_eq!(nacked(&said).len(), 6, "ten times in all");
        (plis(&said), ends.shown().len())
    };
    assert_eq!(run(false), (2, 0));
    assert_eq!(run(true), (0, 1));
}

#[test]
fn feedback_tells_of_every_packet_and_when_it_arrived() {
    let mut ends = Ends::new();
    let key = ends.key(0);
    for (at, packet) in key.iter().enumerate().filter(|(at, _)| *at != 3) {
        ends.arrive(at as u64, [packet]);
    }
    assert!(transport(&ends.said(99)).is_empty());
    let told = transport(&ends.said(100));
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].base_sequence, told[0].count, told[0].arrivals.len()), (65_530, 0, key.len()));
    for (at, arrival) in told[0].arrivals.iter().enumerate() {
        assert_eq!(arrival.map(|arrival| arrival.ticks()), (at != 3).then_some(at as u32 * 4));
    }
    // One that comes late is told of with those after it.
    ends.arrive(150, [&key[3]]);
    let told = transport(&ends.said(200));
    assert_eq!((told[0].base_sequence, told[0].count, told[0].arrivals.len()), (65_533, 1, key.len() - 3));
    assert_eq!(told[0].arrivals[0].map(|arrival| arrival.ticks()), Some(600));
    assert!(transport(&ends.said(300)).is_empty(), "nothing came since");
}

#[test]
fn reports_tell_of_loss_and_both_ends_learn_the_round_trip() {
    let mut ends = Ends::new();
    let key = ends.key(0);
    let lost = key.len() / 4;
    ends.arrive(0, &key[lost..]);
    // A report that leaves at 0 and takes 20 ms; the receiver's leaves at 1,000 ms and takes 30.
    let mut report = Vec::new();
    ends.stream.write_report(NtpTime::from_unix(ms(0)), clock(ms(0)), &[], &mut report);
    ends.arrive(20, [&report]);
    let mut datagram = Vec::new();
    assert!(ends.receiver.poll_transmit(ms(1_000), &mut datagram));
    let mut events = Vec::new();
    ends.parser.parse(NtpTime::from_unix(ms(1_030)), &datagram, &mut |event| events.push(event)).unwrap();
    let [
        FeedbackEvent::ReceiverReport { fraction_lost, cumulative_lost, rtt, .. },
        FeedbackEvent::ReferenceTime { .. },
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    // The first packets are not known to be missing: what counts is from the first that came.
    assert_eq!((*fraction_lost, *cumulative_lost), (0.0, 0));
    assert!(rtt.unwrap().abs_diff(ms(50)) < Duration::from_micros(100), "{rtt:?}");

    let mut delays = Vec::new();
    ends.parser.take_delays(NtpTime::from_unix(ms(1_100)), &mut delays);
    ends.stream.write_report(NtpTime::from_unix(ms(1_100)), clock(ms(1_100)), &delays, &mut report);
    ends.arrive(1_120, [&report]);
    assert!(ends.receiver.round_trip().unwrap().abs_diff(ms(50)) < Duration::from_micros(100));

    let delta = ends.delta(1_200);
    ends.arrive(1_200, delta.iter().enumerate().filter(|(at, _)| at % 4 != 1).map(|(_, packet)| packet));
    let reported = ends.said(2_000).into_iter().find_map(|event| match event {
        FeedbackEvent::ReceiverReport { fraction_lost, cumulative_lost, .. } => {
            Some((fraction_lost, cumulative_lost))
        }
        _ => None,
    });
    let missed = ends.receiver.stats().missed;
    let (fraction, cumulative) = reported.unwrap();
    assert_eq!(u64::try_from(cumulative), Ok(missed));
    assert!((f64::from(fraction) - missed as f64 / delta.len() as f64).abs() < 0.01, "{fraction} {missed}");
}

#[test]
fn hundreds_of_missing_packets_are_asked_for_in_packets_that_fit() {
    let mut ends = Ends::new();
    let key = ends.key(0);
    ends.arrive(0, &key);
    let mut packets: Vec<Vec<u8>> = Vec::new();
    for frame in 1..200 {
        packets.extend(ends.delta(frame * 33));
    }
    // Each 18th: no two of them share an item.
    let some: Vec<_> = packets.chunks(18).map(|chunk| chunk[0].clone()).collect();
    let apart: Vec<_> =
        packets.iter().enumerate().filter(|(at, _)| at % 2 == 0).map(|(_, one)| one).collect();
    ends.arrive(10, apart.into_iter().take(some.len().max(900)));
    let asked = nacked(&ends.said(60));
    assert!(asked.len() > 300, "{}", asked.len());
    assert!(asked.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == 2));
}

#[test]
fn no_byte_string_harms_the_receiver() {
    let mut ends = Ends::new();
    let mut random = crate::Random::new(5);
    let key = ends.key(0);
    for round in 0..5_000_u64 {
        let mut datagram = key[round as usize % key.len()].clone();
        for _ in 0..1 + random.next_u64() % 8 {
            let at = random.next_u64() as usize % datagram.len().min(40);
            datagram[at] = random.next_u64() as u8;
        }
        datagram.truncate(random.next_u64() as usize % (datagram.len() + 1));
        ends.receiver.handle_datagram(ms(round), &datagram);
        let mut out = Vec::new();
        while ends.receiver.poll_transmit(ms(round), &mut out) {}
    }
    assert!(ends.receiver.stats().foreign > 0);
}
