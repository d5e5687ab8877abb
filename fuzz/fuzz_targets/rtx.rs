//! Packets to the history, and what it hands out through [`RtxStream`] to a receiver that puts the original
//! together again.
#![no_main]

use std::num::NonZeroU8;
use std::time::Duration;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use yc_media::CaptureTime;
use yc_rtp::{
    CodecParams, ExtensionKind, HistoryLimits, NtpTime, RtpExtension, RtpHeader, RtpPacket, RtpPayload,
    RtxParams, RtxStream, SentHistory, StreamParams,
};

fuzz_target!(|input: &[u8]| {
    let Some((&[first_high, first_low, bytes], mut steps)) = input.split_first_chunk::<3>() else { return };
    let params = params();
    let mut sequence = u16::from_be_bytes([first_high, first_low]);
    let mut rtx = RtxStream::new(&params, sequence).expect("good parameters");
    let mut limits = HistoryLimits::default();
    limits.max_packets = 20;
    limits.max_bytes = 8 * usize::from(bytes);
    let mut history = SentHistory::new(limits);
    let mut now = CaptureTime::default();
    let mut wire = Vec::new();
    // A step is what to do and how much of it.
    while let Some((&[what, value], rest)) = steps.split_first_chunk::<2>() {
        steps = rest;
        match what % 4 {
            0 => now = now + Duration::from_millis(value.into()),
            1 => {
                sequence = sequence.wrapping_add(1 + u16::from(what / 64));
                history.insert(now, packet(sequence, value));
                assert!(history.len() <= 20 && history.bytes() <= limits.max_bytes);
            }
            2 => {
                let wanted = sequence.wrapping_sub(u16::from(value)).wrapping_add(u16::from(what / 64));
                let rtt = Duration::from_millis(u64::from(what / 4));
                let Ok(found) = history.retransmit(now, Some(rtt), wanted) else { continue };
                let number = rtx.next_sequence();
                rtx.write_to(found, NtpTime::default(), wanted, &mut wire);
                check_restored(found, wanted, number, &wire);
            }
            _ => {
                let Some(len) = NonZeroU8::new(value) else { continue };
                rtx.write_padding(len, 7, NtpTime::default(), sequence, &mut wire);
                let (header, payload) = RtpHeader::parse(&wire).expect("padding is a packet");
                assert_eq!((header.ssrc, payload.len()), (rtx.ssrc(), 0));
                assert_eq!(wire.len(), rtx.padding_overhead() + usize::from(value));
            }
        }
    }
});

fn params() -> StreamParams {
    let mut params = StreamParams::new(1, 101, CodecParams::Vp8, "fuzz");
    params.rtx = Some(RtxParams { ssrc: 2, payload_type: 102 });
    params.extensions = vec![RtpExtension { kind: ExtensionKind::TransportWideCc, id: 5 }];
    params
}

fn packet(sequence: u16, len: u8) -> RtpPacket {
    let mut header = RtpHeader::new(101, sequence, sequence.into(), 1);
    header.marker = len.is_multiple_of(2);
    header.extensions.set(5, &[0; 2]).expect("it fits");
    let payload = RtpPayload::single(&sequence.to_be_bytes(), Bytes::from(vec![len; len.into()]));
    RtpPacket { header, payload }
}

fn check_restored(original: &RtpPacket, wanted: u16, number: u16, wire: &[u8]) {
    let (header, payload) = RtpHeader::parse(wire).expect("what was written is a packet");
    assert_eq!((header.ssrc, header.payload_type, header.sequence), (2, 102, number));
    assert_eq!((header.timestamp, header.marker), (wanted.into(), original.header.marker));
    assert_eq!(header.extensions.value(5), Some(&wanted.to_be_bytes()[..]));
    let mut expected = wanted.to_be_bytes().to_vec();
    original.payload.append_to(&mut expected);
    assert_eq!(wire[payload], expected);
}
