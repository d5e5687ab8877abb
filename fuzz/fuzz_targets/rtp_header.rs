//! Packets to [`RtpHeader::parse`].
#![no_main]

use libfuzzer_sys::fuzz_target;
use yc_rtp::RtpHeader;

fuzz_target!(|packet: &[u8]| {
    let Ok((header, payload)) = RtpHeader::parse(packet) else { return };
    let payload = &packet[payload];
    let mut written = Vec::new();
    header.append_to(&mut written);
    assert_eq!(written.len(), header.wire_len());
    written.extend_from_slice(payload);
    let (again, range) = RtpHeader::parse(&written).expect("what was written is a packet");
    assert_eq!(again, header);
    assert_eq!(&written[range], payload);
});
