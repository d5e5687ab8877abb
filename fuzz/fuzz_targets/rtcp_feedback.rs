//! Datagrams from the network to [`FeedbackParser`].
#![no_main]

use libfuzzer_sys::fuzz_target;
use yc_rtp::rtcp::{FeedbackParser, is_rtcp};
use yc_rtp::{CodecParams, FeedbackEvent, NtpTime, RtxParams, StreamParams, TransportFeedback};

fuzz_target!(|input: &[u8]| {
    let Some((now, datagram)) = input.split_first_chunk::<8>() else { return };
    let now = NtpTime::from_bits(u64::from_be_bytes(*now));
    let mut params = StreamParams::new(0x1234_5678, 101, CodecParams::Vp8, "fuzz");
    params.rtx = Some(RtxParams { ssrc: 0, payload_type: 102 });
    let mut parser = FeedbackParser::new([&params]);
    // Twice: the second time FIR commands are repeats, and reference times are known.
    for _ in 0..2 {
        let (mut events, mut lost, mut told) = (0, 0, 0);
        let read = parser.parse(now, datagram, &mut |event| {
            events += 1;
            match event {
                FeedbackEvent::Nack { sequences, .. } => lost += sequences.len(),
                FeedbackEvent::TransportFeedback(feedback) => {
                    told += feedback.arrivals.len();
                    assert_eq!(feedback.arrivals.capacity(), feedback.arrivals.len());
                    check_written(&feedback);
                }
                _ => {}
            }
        });
        assert!(lost <= 1_024 && told <= TransportFeedback::MAX_PACKETS && events <= datagram.len() / 4);
        assert!(read.is_ok() || events == 0);
        assert!(read.is_err() || is_rtcp(datagram));
    }
    let mut delays = Vec::new();
    parser.take_delays(now, &mut delays);
    assert!(delays.len() <= 32);
});

/// Whatever was read is written so that the same is read of it.
fn check_written(feedback: &TransportFeedback) {
    let mut datagram = Vec::new();
    let told = feedback.append_to(1, 2, &mut datagram);
    assert!((1..=feedback.arrivals.len()).contains(&told) && datagram.len() <= 1_200);
    let expected =
        TransportFeedback::new(feedback.base_sequence, feedback.count, feedback.arrivals[..told].to_vec());
    let mut again = None;
    let mut parser = FeedbackParser::new([]);
    parser.parse(NtpTime::default(), &datagram, &mut |event| again = Some(event)).expect("well-formed");
    assert_eq!(again, Some(FeedbackEvent::TransportFeedback(expected)));
}
