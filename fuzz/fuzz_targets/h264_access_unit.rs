//! Access units to the H264 packetizer, and its packets to the reassembler of the crate's tests.
#![no_main]

use std::time::Duration;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

#[path = "../../crates/yc-rtp/tests/support/mod.rs"]
mod support;

fuzz_target!(|input: &[u8]| {
    // Limits from too small to larger than a packet; the rest is two access units.
    let Some((&[limit, cut], data)) = input.split_first_chunk::<2>() else { return };
    let max_packet_len = 10 + usize::from(limit) * 7;
    let (first, second) = data.split_at(data.len() * usize::from(cut) / 256);
    let mut stream = support::stream();
    for (at, data) in [first, second].into_iter().enumerate() {
        let time = Duration::from_millis(33 * at as u64);
        let frame = support::encoded(Bytes::copy_from_slice(data), false, time);
        let mut packets = Vec::new();
        match stream.packetize(&frame, max_packet_len, &mut packets) {
            Ok(count) => {
                assert_eq!(count, packets.len());
                support::reassemble(&packets, max_packet_len);
            }
            Err(_) => assert!(packets.is_empty()),
        }
    }
});
