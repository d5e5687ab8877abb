//! A `SenderSession` fed and drained on a clock that is moved by hand.

use std::time::Duration;

use bytes::Bytes;
use yc_media::{CaptureTime, Codec, EncodedFrame, FrameKind, LayerId, Resolution};
use yc_sender::{SenderSession, Transmit};

pub(crate) fn at(millis: u64) -> CaptureTime {
    CaptureTime::from_epoch(Duration::from_secs(50) + Duration::from_millis(millis))
}

/// An access unit of `bytes` bytes: parameter sets and an IDR slice, or one slice.
pub(crate) fn frame(kind: FrameKind, millis: u64, bytes: usize) -> EncodedFrame {
    let mut data = Vec::new();
    if kind == FrameKind::Key {
        data.extend([0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1f, 0xd9, 0, 0, 0, 1, 0x68, 0xce, 0x3c, 0x80]);
    }
    data.extend([0, 0, 0, 1, if kind == FrameKind::Key { 0x65 } else { 0x41 }]);
    data.resize(bytes.max(data.len() + 1), 0x55);
    EncodedFrame {
        data: Bytes::from(data),
        codec: Codec::H264,
        kind,
        captured_at: at(millis),
        size: Resolution::new(1280, 720).unwrap(),
        layer: LayerId::default(),
        qp: None,
    }
}

/// Everything that leaves at `millis`, RTP only.
pub(crate) fn drain(session: &mut SenderSession, millis: u64) -> Vec<Vec<u8>> {
    let mut datagram = Vec::new();
    let mut sent = Vec::new();
    session.handle_timeout(at(millis));
    while let Some(transmit) = session.poll_transmit(at(millis), &mut datagram) {
        session.on_sent(transmit, datagram.len());
        if transmit != Transmit::Control {
            sent.push(datagram.clone());
        }
    }
    sent
}
