//! Datagrams from the network to [`FeedbackParser`].
#![no_main]

use libfuzzer_sys::fuzz_target;
use yc_rtp::rtcp::{FeedbackParser, is_rtcp};
use yc_rtp::{CodecParams, FeedbackEvent, NtpTime, RtxParams, StreamParams};

fuzz_target!(|input: &[u8]| {
    let Some((now, datagram)) = input.split_first_chunk::<8>() else { return };
    let now = NtpTime::from_bits(u64::from_be_bytes(*now));
    let mut params = StreamParams::new(0x1234_5678, 101, CodecParams::Vp8, "fuzz");
    params.rtx = Some(RtxParams { ssrc: 0, payload_type: 102 });
    let mut parser = FeedbackParser::new([&params]);
    // Twice: the second time FIR commands are repeats, and reference times are known.
    for _ in 0..2 {
        let (mut events, mut lost) = (0, 0);
        let read = parser.parse(now, datagram, &mut |event| {
            events += 1;
            if let FeedbackEvent::Nack { sequences, .. } = event {
                lost += sequences.len();
            }
        });
        assert!(lost <= 1_024 && events <= datagram.len() / 4);
        assert!(read.is_ok() || events == 0);
        assert!(read.is_err() || is_rtcp(datagram));
    }
    let mut delays = Vec::new();
    parser.take_delays(now, &mut delays);
    assert!(delays.len() <= 32);
});
