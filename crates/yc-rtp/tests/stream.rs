//! Headers, extensions and reports of a stream.
#![allow(clippy::unwrap_used, reason = "this file is a test")]

mod support;

use std::time::Duration;

use support::{PAYLOAD_TYPE, SSRC, encoded, frame, params, params_with_extensions, reassemble};
use webrtc_rtcp::packet::unmarshal;
use yc_media::CaptureTime;
use yc_rtp::extension::{PlayoutDelay, VideoOrientation};
use yc_rtp::rtcp::{DelaySinceLastRr, is_rtcp};
use yc_rtp::{
    CodecParams, ExtensionKind, NtpTime, ParamsError, RtpExtension, RtpPacket, RtpStream, StreamParams,
};

fn at(millis: u64) -> CaptureTime {
    CaptureTime::from_epoch(Duration::from_millis(millis))
}

#[test]
fn sequence_and_timestamp_wrap() {
    let mut stream = RtpStream::new(params(), 0xffff, u32::MAX - 8_999).unwrap();
    let mut packets: Vec<RtpPacket> = Vec::new();
    let data = frame().slice(3_000).build().data;
    stream.packetize(&encoded(data.clone(), false, Duration::from_millis(50)), 1_200, &mut packets).unwrap();
    stream.packetize(&encoded(data, false, Duration::from_millis(150)), 1_200, &mut packets).unwrap();
    let stamps: Vec<_> =
        packets.iter().map(|packet| (packet.header.sequence, packet.header.timestamp)).collect();
    let early = u32::MAX - 8_999 + 4_500;
    let expected = [(0xffff, early), (0, early), (1, early), (2, 4_500), (3, 4_500), (4, 4_500)];
    assert_eq!(stamps, expected);
    assert!(packets.iter().all(|packet| packet.header.ssrc == SSRC));
    assert!(packets.iter().all(|packet| packet.header.payload_type == PAYLOAD_TYPE));
    assert_eq!(
        packets.iter().map(|packet| packet.header.marker).collect::<Vec<_>>(),
        [false, false, true].repeat(2)
    );
}

#[test]
fn extensions_stand_where_the_table_says() {
    let mut stream = RtpStream::new(params_with_extensions(), 0, 0).unwrap();
    stream.set_capture_epoch(Some(NtpTime::from_bits(0x1_0000_0000)));
    stream.set_playout_delay(Some(PlayoutDelay::new(Duration::ZERO, Duration::from_millis(500)).unwrap()));
    stream.set_orientation(Some(VideoOrientation::Clockwise90));
    let mut packets = Vec::new();
    let key = frame().sps().pps().idr(2_000);
    stream.packetize(&key.build(), 1_200, &mut packets).unwrap();
    assert_eq!(reassemble(&packets, 1_200), key.sendable);

    let now = NtpTime::from_bits(0x0000_0002_4000_0000);
    for (packet, sequence) in packets.iter_mut().zip([0xfffe, 0xffff, 0]) {
        stream.stamp(packet, now, sequence);
    }
    let written: Vec<Vec<(u8, &[u8])>> =
        packets.iter().map(|packet| packet.header.extensions.iter().collect()).collect();
    let common = |sequence: &'static [u8]| [(1, &b"0"[..]), (4, &[0x09, 0, 0]), (5, sequence)];
    let captured = [0, 0, 0, 1, 0x19, 0x99, 0x99, 0x99];
    let first = [&common(&[0xff, 0xfe])[..], &[(13, &captured), (14, &[0, 0, 50])]].concat();
    let last = [&common(&[0, 0])[..], &[(11, &[1])]].concat();
    assert_eq!(written, [first, common(&[0xff, 0xff]).to_vec(), last]);

    // One packet is first and last at once; a delta frame says nothing of orientation.
    packets.clear();
    stream.packetize(&frame().sps().pps().idr(20).build(), 1_200, &mut packets).unwrap();
    stream.packetize(&frame().slice(20).build(), 1_200, &mut packets).unwrap();
    let ids: Vec<Vec<u8>> =
        packets.iter().map(|packet| packet.header.extensions.iter().map(|(id, _)| id).collect()).collect();
    assert_eq!(ids, [vec![1, 4, 5, 13, 14, 11], vec![1, 4, 5, 13, 14]]);
}

#[test]
fn what_was_not_negotiated_is_not_sent() {
    let mut stream = RtpStream::new(params(), 0, 0).unwrap();
    stream.set_capture_epoch(Some(NtpTime::default()));
    stream.set_playout_delay(Some(PlayoutDelay::NONE));
    stream.set_orientation(Some(VideoOrientation::Upright));
    let mut packets = Vec::new();
    stream.packetize(&frame().sps().pps().idr(20).build(), 1_200, &mut packets).unwrap();
    stream.stamp(&mut packets[0], NtpTime::default(), 1);
    assert!(packets[0].header.extensions.is_empty());
    assert_eq!(stream.extension_id(ExtensionKind::AbsSendTime), None);
}

#[test]
fn each_extension_stands_alone_under_the_id_agreed_on() {
    let captured = [0, 0, 0, 0, 0x19, 0x99, 0x99, 0x99];
    for (kind, value) in [
        (ExtensionKind::Mid, &b"0"[..]),
        (ExtensionKind::AbsSendTime, &[0, 0, 1]),
        (ExtensionKind::TransportWideCc, &[0, 9]),
        (ExtensionKind::AbsCaptureTime, &captured),
        (ExtensionKind::PlayoutDelay, &[0, 0, 0]),
        (ExtensionKind::VideoOrientation, &[2]),
    ] {
        for id in [1, 14] {
            let mut params = params();
            params.mid = Some("0".into());
            params.extensions = vec![RtpExtension { kind, id }];
            let mut stream = RtpStream::new(params, 0, 0).unwrap();
            stream.set_capture_epoch(Some(NtpTime::default()));
            stream.set_playout_delay(Some(PlayoutDelay::NONE));
            stream.set_orientation(Some(VideoOrientation::Clockwise180));
            let mut packets = Vec::new();
            stream.packetize(&frame().sps().pps().idr(20).build(), 1_200, &mut packets).unwrap();
            stream.stamp(&mut packets[0], NtpTime::from_bits(0x4000), 9);
            let found: Vec<_> = packets[0].header.extensions.iter().collect();
            assert_eq!(found, [(id, value)], "{kind}");

            // What was agreed on and is not set says nothing; the mid and the stamps always stand.
            stream.set_capture_epoch(None);
            stream.set_playout_delay(None);
            stream.set_orientation(None);
            packets.clear();
            stream.packetize(&frame().sps().pps().idr(20).build(), 1_200, &mut packets).unwrap();
            let stands = matches!(
                kind,
                ExtensionKind::Mid | ExtensionKind::AbsSendTime | ExtensionKind::TransportWideCc
            );
            assert_eq!(!packets[0].header.extensions.is_empty(), stands, "{kind}");
        }
    }
}

#[test]
fn parameters_that_cannot_be_sent_with_are_refused() {
    let mut bad = params();
    bad.payload_type = 72;
    assert_eq!(RtpStream::new(bad, 0, 0).unwrap_err(), ParamsError::PayloadType(72));
    let mut bad = params();
    bad.extensions.push(RtpExtension { kind: ExtensionKind::Mid, id: 15 });
    assert!(RtpStream::new(bad, 0, 0).unwrap_err().to_string().contains("is not 1 to 14"));
    let vp8 = StreamParams::new(SSRC, PAYLOAD_TYPE, CodecParams::Vp8, "cname");
    assert_eq!(RtpStream::new(vp8, 0, 0).unwrap_err().to_string(), "no packetizer for VP8 is compiled in");
}

#[test]
fn reports_count_what_was_sent_and_tie_the_clocks_together() {
    let mut stream = RtpStream::new(params(), 0, 1_000).unwrap();
    let now = NtpTime::from_bits(0x0102_0304_0506_0708);
    let mut packets = Vec::new();
    stream.packetize(&frame().slice(2_000).build(), 1_200, &mut packets).unwrap();

    let mut out = vec![1, 2, 3];
    stream.write_report(now, at(1_000), &[], &mut out);
    let cname =
        [0x81, 202, 0, 4, 0x12, 0x34, 0x56, 0x78, 1, 7, b'y', b'c', b'-', b't', b'e', b's', b't', 0, 0, 0];
    let nothing_sent = [&[0x80, 201, 0, 1, 0x12, 0x34, 0x56, 0x78][..], &cname].concat();
    assert_eq!(out, nothing_sent);

    for packet in &packets {
        stream.on_sent(packet);
    }
    // 1,999 bytes behind the header byte, and two bytes of FU-A before each half.
    assert_eq!((stream.sent().packets, stream.sent().payload_octets), (2, 2_003));
    let delay = DelaySinceLastRr { ssrc: 9, last_rr: 0x0a0b_0c0d, delay: 77 };
    stream.write_report(now, at(1_000), &[delay], &mut out);
    let report = [
        0x80, 200, 0, 6, 0x12, 0x34, 0x56, 0x78, 1, 2, 3, 4, 5, 6, 7, 8, // SR, NTP time
        0, 1, 0x63, 0x78, 0, 0, 0, 2, 0, 0, 7, 0xd3, // 91,000 ticks, 2 packets, 2,003 bytes
    ];
    let dlrr = [
        0x80, 207, 0, 5, 0x12, 0x34, 0x56, 0x78, 5, 0, 0, 3, 0, 0, 0, 9, 0x0a, 0x0b, 0x0c, 0x0d, 0, 0, 0, 77,
    ];
    assert_eq!(out, [&report[..], &cname, &dlrr].concat());

    stream.write_goodbye(now, at(1_000), &mut out);
    let bye = [0x81, 203, 0, 1, 0x12, 0x34, 0x56, 0x78];
    assert_eq!(out, [&report[..], &cname, &bye].concat());
    assert!(is_rtcp(&out));
}

#[test]
fn a_foreign_reader_understands_our_reports() {
    let mut stream = RtpStream::new(params(), 0, 0).unwrap();
    let mut packets = Vec::new();
    stream.packetize(&frame().slice(20).build(), 1_200, &mut packets).unwrap();
    stream.on_sent(&packets[0]);
    let mut out = Vec::new();
    let delay = DelaySinceLastRr { ssrc: 9, last_rr: 8, delay: 7 };
    stream.write_report(NtpTime::from_bits(5), at(2_000), &[delay; 3], &mut out);
    let parsed = unmarshal(&mut out.as_slice()).unwrap();
    let words: Vec<String> = parsed.iter().map(|packet| format!("{packet:?}")).collect();
    assert_eq!(words.len(), 3);
    assert!(
        words[0].contains("ntp_time: 5, rtp_time: 180000, packet_count: 1, octet_count: 20"),
        "{words:?}"
    );
    assert!(words[1].contains("b\"yc-test\""), "{words:?}");
    assert_eq!(words[2].matches("DLRRReport { ssrc: 9, last_rr: 8, dlrr: 7 }").count(), 3, "{words:?}");
}
