//! Recorded access units in, exact packets out: see `vectors/README.md`.
#![allow(clippy::unwrap_used, reason = "this file is a test")]

mod support;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use support::{encoded, params, reassemble};
use yc_rtp::{ExtensionKind, RtpExtension, RtpPacket, RtpStream};

#[test]
fn openh264_in_screen_content_mode() {
    check(include_bytes!("vectors/openh264-screen.h264"), include_str!("vectors/openh264-screen.packets"));
}

#[test]
fn x264_with_slices_delimiters_and_sei() {
    check(include_bytes!("vectors/x264-slices.h264"), include_str!("vectors/x264-slices.packets"));
}

#[track_caller]
fn check(stream: &'static [u8], expected: &str) {
    let mut params = params();
    params.mid = Some("0".into());
    params.extensions =
        [(ExtensionKind::Mid, 1), (ExtensionKind::AbsSendTime, 4), (ExtensionKind::TransportWideCc, 5)]
            .map(|(kind, id)| RtpExtension { kind, id })
            .to_vec();
    let mut rtp = RtpStream::new(params, 65_530, 0xffff_f000).unwrap();

    let mut rest = Bytes::from_static(stream);
    let mut packets: VecDeque<RtpPacket> = VecDeque::new();
    let mut wire = Vec::new();
    for (number, line) in expected.lines().enumerate() {
        if let Some(frame) = line.strip_prefix("frame ") {
            assert!(packets.is_empty(), "line {number}: {} packets more than expected", packets.len());
            let [len, kind, nanos] = frame.split(' ').collect::<Vec<_>>()[..] else { panic!("{frame}") };
            let data = rest.split_to(len.parse().unwrap());
            let captured_at = Duration::from_nanos(nanos.parse().unwrap());
            rtp.packetize(&encoded(data, kind == "key", captured_at), 1_200, &mut packets).unwrap();
            reassemble(packets.make_contiguous(), 1_200);
        } else {
            let packet = packets.pop_front().unwrap_or_else(|| panic!("line {number}: no packet is left"));
            packet.write_to(&mut wire);
            assert_eq!(hex(&wire), line, "line {number}");
        }
    }
    assert!(packets.is_empty() && rest.is_empty());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
