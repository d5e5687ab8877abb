//! What holds for every access unit and every compound packet.
#![allow(clippy::unwrap_used, reason = "this file is a test")]

mod support;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use support::{FrameBuilder, encoded, frame, params, params_with_extensions, reassemble};
use webrtc_rtp::codec::h264::H264Packet;
use webrtc_rtp::packetizer::Depacketizer;
use yc_media::CaptureTime;
use yc_rtp::extension::{ExtensionMap, PlayoutDelay, VideoOrientation};
use yc_rtp::rtcp::{FeedbackParser, is_rtcp};
use yc_rtp::{
    ArrivalTime, ExtensionKind, FeedbackEvent, HeaderExtensions, NtpTime, RtpHeader, RtpPacket, RtpStream,
    StreamParams, TransportFeedback,
};

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn packetizing_and_taking_apart_is_the_identity(
        frame in any_frame(),
        max_payload in prop_oneof![3usize..40, 40usize..1_200, Just(1_188), 1_200usize..70_000],
        first_sequence: u16,
        timestamp_offset: u32,
    ) {
        let max_packet_len = RtpHeader::FIXED_LEN + max_payload;
        let mut stream = RtpStream::new(params(), first_sequence, timestamp_offset).unwrap();
        let mut packets: VecDeque<RtpPacket> = VecDeque::new();
        let count = stream.packetize(&frame.build(), max_packet_len, &mut packets).unwrap();
        prop_assert_eq!(count, packets.len());
        prop_assert_eq!(packets[0].header.sequence, first_sequence);
        prop_assert_eq!(stream.next_sequence(), first_sequence.wrapping_add(count as u16));
        prop_assert_eq!(reassemble(packets.make_contiguous(), max_packet_len), frame.sendable);
    }

    /// A reader that others wrote. It refuses payloads of one or two bytes and drops F: the units here
    /// have neither.
    #[test]
    fn a_foreign_depacketizer_finds_the_same_units(
        frame in frame_of(any_nal().prop_filter("see above", |nal| nal.len() > 2 && nal[0] < 0x80)),
        max_payload in 4usize..3_000,
    ) {
        let mut packets = Vec::new();
        let max_packet_len = RtpHeader::FIXED_LEN + max_payload;
        RtpStream::new(params(), 0, 0)?.packetize(&frame.build(), max_packet_len, &mut packets)?;
        let mut depacketizer = H264Packet::default();
        let mut found = Vec::new();
        for packet in &packets {
            let mut payload = Vec::new();
            packet.payload.append_to(&mut payload);
            found.extend_from_slice(&depacketizer.depacketize(&Bytes::from(payload))?);
        }
        let expected: Vec<u8> =
            frame.sendable.iter().flat_map(|unit| [&[0, 0, 0, 1], &unit[..]].concat()).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn the_limit_covers_every_extension(
        frame in any_frame(),
        max_packet_len in 80usize..1_500,
        key: bool,
        transport_sequence: u16,
        now: u64,
    ) {
        let mut stream = RtpStream::new(params_with_extensions(), 0, 0)?;
        stream.set_capture_epoch(Some(NtpTime::from_bits(now)));
        stream.set_playout_delay(Some(PlayoutDelay::NONE));
        stream.set_orientation(Some(VideoOrientation::Upright));
        let access_unit = encoded(Bytes::from(frame.stream.clone()), key, Duration::from_secs(9));
        let mut packets = Vec::new();
        stream.packetize(&access_unit, max_packet_len, &mut packets)?;
        let last = packets.len() - 1;
        for (at, packet) in packets.iter_mut().enumerate() {
            let before = packet.wire_len();
            stream.stamp(packet, NtpTime::from_bits(now), transport_sequence);
            prop_assert_eq!(packet.wire_len(), before, "stamping keeps the length");
            let has = |kind| packet.header.extensions.value(stream.extension_id(kind).unwrap()).is_some();
            prop_assert!(has(ExtensionKind::Mid));
            prop_assert_eq!(has(ExtensionKind::AbsCaptureTime), at == 0);
            prop_assert_eq!(has(ExtensionKind::PlayoutDelay), at == 0);
            prop_assert_eq!(has(ExtensionKind::VideoOrientation), key && at == last);
        }
        prop_assert_eq!(reassemble(&packets, max_packet_len), frame.sendable);
    }

    #[test]
    fn timestamps_follow_the_capture_clock(
        nanos in 0u64..=u64::MAX >> 1,
        gap in 0u64..10_000_000_000,
        offset: u32,
    ) {
        let stream = RtpStream::new(params(), 0, offset)?;
        let at = CaptureTime::from_epoch(Duration::from_nanos(nanos));
        let ticks = stream.timestamp(at + Duration::from_nanos(gap)).wrapping_sub(stream.timestamp(at));
        prop_assert!(u64::from(ticks).abs_diff(gap * 9 / 100_000) <= 1);
    }

    #[test]
    fn any_bytes_make_packets_or_an_error(
        data in vec(prop_oneof![3 => Just(0u8), 2 => Just(1u8), 2 => Just(0x65u8), 1 => any::<u8>()], 0..300),
        max_packet_len in 0usize..200,
    ) {
        let mut stream = RtpStream::new(params(), 0, 0)?;
        let mut packets = Vec::new();
        let access_unit = encoded(Bytes::from(data), false, Duration::ZERO);
        match stream.packetize(&access_unit, max_packet_len, &mut packets) {
            Ok(_) => { reassemble(&packets, max_packet_len); }
            Err(_) => prop_assert!(packets.is_empty()),
        }
    }

    #[test]
    fn headers_are_read_back_as_they_were_written(
        header in any_header(),
        payload in vec(any::<u8>(), 0..40),
    ) {
        let mut wire = Vec::new();
        header.append_to(&mut wire);
        prop_assert_eq!(wire.len(), header.wire_len());
        wire.extend_from_slice(&payload);
        let (parsed, range) = RtpHeader::parse(&wire)?;
        prop_assert_eq!(parsed, header);
        prop_assert_eq!(&wire[range], payload);
    }

    #[test]
    fn any_bytes_are_a_header_or_an_error(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok((header, payload)) = RtpHeader::parse(&bytes) {
            prop_assert!(payload.start >= RtpHeader::FIXED_LEN && payload.end <= bytes.len());
            prop_assert!(header.wire_len() <= RtpHeader::FIXED_LEN + 4 + HeaderExtensions::CAPACITY);
        }
    }

    #[test]
    fn agreed_ids_are_found_again(ids in vec(1u8..=14, 7).prop_filter("distinct", |ids| {
        ids.iter().collect::<std::collections::HashSet<_>>().len() == ids.len()
    })) {
        let agreed: Vec<_> = ExtensionKind::ALL
            .into_iter()
            .zip(&ids)
            .map(|(kind, &id)| yc_rtp::RtpExtension { kind, id })
            .collect();
        let map = ExtensionMap::new(&agreed)?;
        prop_assert!(agreed.iter().all(|extension| map.id(extension.kind) == Some(extension.id)));
    }

    #[test]
    fn transport_feedback_is_read_as_it_was_written(
        base_sequence: u16,
        count: u8,
        first: u32,
        runs in vec(any_run(), 1..12),
    ) {
        let mut ticks = first;
        let mut arrivals = Vec::new();
        for (len, delta) in runs {
            arrivals.extend((0..len).map(|_| delta.map(|delta| {
                ticks = ticks.wrapping_add_signed(delta);
                ArrivalTime::from_ticks(ticks)
            })));
        }
        // In as many packets as it takes; each is its own datagram.
        let mut rest = &arrivals[..];
        let mut sequence = base_sequence;
        while !rest.is_empty() {
            let written = TransportFeedback::new(sequence, count, rest.to_vec());
            let mut datagram = Vec::new();
            let told = written.append_to(9, support::SSRC, &mut datagram);
            prop_assert!(told > 0 && datagram.len() <= 1_200 && datagram.len().is_multiple_of(4));
            let mut events = Vec::new();
            let mut parser = FeedbackParser::new([&own()]);
            parser.parse(NtpTime::default(), &datagram, &mut |event| events.push(event))?;
            let expected = TransportFeedback::new(sequence, count, rest[..told].to_vec());
            prop_assert_eq!(events, [FeedbackEvent::TransportFeedback(expected)]);
            rest = &rest[told..];
            sequence = sequence.wrapping_add(told as u16);
        }
    }

    /// Bodies that begin like feedback and go on anyhow.
    #[test]
    fn any_chunks_are_feedback_or_malformed(
        count in prop_oneof![0u16..40, any::<u16>()],
        chunks in vec(any::<u8>(), 0..64),
    ) {
        let fixed = [&[0, 0, 0, 9, 0, 0, 0, 1, 0xff, 0xf0][..], &count.to_be_bytes(), &[0xff, 0xff, 0xff, 0]];
        let mut body = fixed.concat();
        body.extend(chunks);
        body.resize(body.len().next_multiple_of(4), 0);
        let datagram = [&[0x8f, 205, 0, (body.len() / 4) as u8][..], &body].concat();
        let mut parser = FeedbackParser::new([&own()]);
        let mut told = None;
        parser.parse(NtpTime::default(), &datagram, &mut |event| {
            let FeedbackEvent::TransportFeedback(feedback) = event else { panic!("{event:?}") };
            told = Some((feedback.arrivals.len(), feedback.arrivals.capacity(), feedback.packets().count()));
        })?;
        let counts = parser.counts();
        prop_assert_eq!((counts.transport_cc, counts.malformed), (1, u64::from(told.is_none())));
        let expected = usize::from(count).min(TransportFeedback::MAX_PACKETS);
        prop_assert!(told.is_none_or(|told| told == (expected, expected, expected)));
        prop_assert!(told.is_none() || counts.statuses_refused == u64::from(count) - expected as u64);
    }

    /// Mutated feedback: no panic, and no more told of than a datagram may.
    #[test]
    fn hostile_feedback_is_harmless(
        mutations in vec((0usize..200, any::<u8>()), 0..12),
        cut in 0usize..260,
        now: u64,
    ) {
        let mut datagram = support_compound();
        for (at, byte) in mutations {
            let len = datagram.len();
            datagram[at % len] = byte;
        }
        datagram.truncate(datagram.len().min(cut.max(4)));
        let mut parser = FeedbackParser::new([&own()]);
        let (mut lost, mut told) = (0, 0);
        let mut on_event = |event| match event {
            FeedbackEvent::Nack { sequences, .. } => lost += sequences.len(),
            FeedbackEvent::TransportFeedback(feedback) => told += feedback.arrivals.len(),
            _ => {}
        };
        let read = parser.parse(NtpTime::from_bits(now), &datagram, &mut on_event);
        prop_assert!(lost <= 1_024 && told <= TransportFeedback::MAX_PACKETS);
        prop_assert_eq!(parser.counts().refused_datagrams, u64::from(read.is_err()));
        prop_assert!(read.is_err() || is_rtcp(&datagram));
    }
}

fn own() -> StreamParams {
    params()
}

/// One packet of every type that is read, about our stream.
fn support_compound() -> Vec<u8> {
    let ssrc = support::SSRC.to_be_bytes();
    let mut datagram = Vec::new();
    for (head, body) in [
        (&[0x81, 201][..], &[&[0, 0, 0, 9][..], &ssrc, &[1; 20]].concat()[..]),
        (&[0x81, 200], &[&[0, 0, 0, 9][..], &[2; 20], &ssrc, &[3; 20]].concat()),
        (&[0x81, 202], &[&[0, 0, 0, 9][..], &[1, 1, b'a', 0]].concat()),
        (&[0x80, 207], &[&[0, 0, 0, 9][..], &[4, 0, 0, 2], &[5; 8]].concat()),
        (&[0x81, 205], &[&[0, 0, 0, 9][..], &ssrc, &[0, 7, 0xff, 0xff]].concat()),
        (&[0x8f, 205], &[&[0, 0, 0, 9][..], &ssrc, &[0, 1, 0, 2, 0, 0, 1, 0, 0x20, 2, 4, 8]].concat()),
        (&[0x81, 206], &[&[0, 0, 0, 9][..], &ssrc].concat()),
        (&[0x84, 206], &[&[0, 0, 0, 9, 0, 0, 0, 0][..], &ssrc, &[5, 0, 0, 0]].concat()),
        (&[0x8f, 206], &[&[0, 0, 0, 9, 0, 0, 0, 0][..], b"REMB", &[1, 0x12, 0x34, 0x56], &ssrc].concat()),
        (&[0x81, 203], &[0, 0, 0, 9]),
    ] {
        datagram.extend_from_slice(head);
        datagram.extend_from_slice(&((body.len() / 4) as u16).to_be_bytes());
        datagram.extend_from_slice(body);
    }
    datagram
}

#[test]
fn the_feedback_that_is_mutated_is_right_to_begin_with() {
    let mut parser = FeedbackParser::new([&own()]);
    let mut events = 0;
    parser.parse(NtpTime::default(), &support_compound(), &mut |_| events += 1).unwrap();
    let counts = parser.counts();
    assert_eq!((events, counts.packets, counts.malformed, counts.foreign), (9, 10, 0, 0));
}

/// Packets one after the other that were all lost, or arrived so many ticks behind the one before.
fn any_run() -> impl Strategy<Value = (usize, Option<i32>)> {
    let delta = prop_oneof![
        3 => (0i32..256).prop_map(Some),
        2 => (-600i32..600).prop_map(Some),
        1 => (-40_000i32..40_000).prop_map(Some),
        3 => Just(None),
    ];
    (prop_oneof![8 => 1usize..4, 3 => 4usize..40, 1 => 40usize..9_000], delta)
}

fn any_header() -> impl Strategy<Value = RtpHeader> {
    let extensions = vec((1u8..=14, vec(any::<u8>(), 1..=16)), 0..6);
    (any::<(bool, u16, u32, u32)>(), 0u8..128, extensions).prop_map(
        |((marker, sequence, timestamp, ssrc), payload_type, extensions)| {
            let mut header = RtpHeader::new(payload_type, sequence, timestamp, ssrc);
            header.marker = marker;
            for (id, value) in extensions {
                // What exceeds the room is refused, and leaves the rest.
                let _ = header.extensions.set(id, &value);
            }
            header
        },
    )
}

/// Any units in any order; sets stand before them, so that an IDR picture may be among them.
fn any_frame() -> impl Strategy<Value = FrameBuilder> {
    frame_of(any_nal())
}

fn frame_of(nal: impl Strategy<Value = Vec<u8>> + Clone) -> impl Strategy<Value = FrameBuilder> {
    let set = |kind: u8| {
        nal.clone().prop_map(move |mut unit| {
            unit[0] = (unit[0] & 0xe0) | kind;
            unit
        })
    };
    let units = vec((2usize..6, nal.clone()), 1..12);
    (vec((2usize..4, set(7)), 1..4), vec((2usize..4, set(8)), 1..4), units, 0usize..4).prop_map(
        |(sps, pps, units, zeros)| {
            let all = sps.into_iter().chain(pps).chain(units);
            all.fold(frame(), |frame, (zeros, unit)| frame.nal(zeros, unit)).trailing_zeros(zeros)
        },
    )
}

/// A NAL unit of any type that an encoder writes, small, of about a packet, or large.
fn any_nal() -> impl Strategy<Value = Vec<u8>> + Clone {
    let kind = prop_oneof![6 => Just(1u8), 3 => Just(5u8), 2 => 6u8..10, 1 => Just(12u8), 1 => 1u8..24];
    let len = prop_oneof![6 => 0usize..60, 3 => 900usize..1_500, 1 => 2_000usize..12_000];
    let f = prop_oneof![9 => Just(0u8), 1 => Just(0x80u8)];
    (kind, 0u8..4, f, len, any::<u64>()).prop_map(|(kind, nri, f, len, seed)| {
        let mut nal = vec![f | nri << 5 | kind];
        let mut state = seed | 1;
        for _ in 0..len {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Many small values, so that emulation prevention has something to do.
            let byte = if state >> 63 == 0 { (state >> 40) as u8 % 4 } else { (state >> 40) as u8 };
            if byte < 4 && nal.ends_with(&[0, 0]) && nal.len() > 2 {
                nal.push(3);
            }
            nal.push(byte);
        }
        if nal.last() == Some(&0) {
            nal.push(0x80);
        }
        nal
    })
}
