//! What the tests of the running sender share: a receiver on loopback and a capture that is driven by hand.
#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod by_hand;
#[cfg(target_os = "linux")]
pub(crate) mod held;
pub(crate) mod seed;

use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use yc_capture::{CaptureBackend, CaptureError, CaptureEvent, CaptureInfo, CaptureSink, clock};
use yc_media::{CpuBuffer, FrameBuffer, FrameRate, PixelFormat, PlaneLayout, Resolution, VideoFrame};
use yc_rtp::{RtpHeader, StreamParams};
use yc_sender::PreparedSender;

pub(crate) const SSRC: u32 = 0x5eed_0001;
pub(crate) const PAYLOAD_TYPE: u8 = 101;

/// Longer than anything takes on a busy machine; a test that waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A receiver on loopback.
pub(crate) struct Receiver {
    socket: UdpSocket,
    peer: Option<SocketAddr>,
    buffer: Vec<u8>,
}

/// One frame as it arrived: the NAL unit types of its packets' payloads, in order.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) timestamp: u32,
    pub(crate) packets: usize,
    pub(crate) bytes: usize,
    pub(crate) has_sps: bool,
}

impl Receiver {
    #[expect(clippy::disallowed_methods, reason = "the far end of the sender under test")]
    pub(crate) fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        Self { socket, peer: None, buffer: vec![0; 2_048] }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// The next datagram within `timeout`.
    #[expect(clippy::disallowed_methods, reason = "bounds the wait")]
    pub(crate) fn datagram(&mut self, timeout: Duration) -> Option<Vec<u8>> {
        let until = Instant::now() + timeout;
        loop {
            if let Ok((len, from)) = self.socket.recv_from(&mut self.buffer) {
                self.peer = Some(from);
                return Some(self.buffer[..len].to_vec());
            }
            if Instant::now() >= until {
                return None;
            }
        }
    }

    /// The next whole frame, or `None` if none ends within `timeout`. RTCP is left out.
    #[expect(clippy::disallowed_methods, reason = "bounds the wait")]
    pub(crate) fn frame(&mut self, timeout: Duration) -> Option<Arrived> {
        let until = Instant::now() + timeout;
        let mut arrived = Arrived { timestamp: 0, packets: 0, bytes: 0, has_sps: false };
        loop {
            let datagram = self.datagram(until.saturating_duration_since(Instant::now()))?;
            if yc_rtp::rtcp::is_rtcp(&datagram) {
                continue;
            }
            let (header, payload) = RtpHeader::parse(&datagram).unwrap();
            assert_eq!((header.ssrc, header.payload_type), (SSRC, PAYLOAD_TYPE));
            let payload = &datagram[payload];
            arrived.timestamp = header.timestamp;
            arrived.packets += 1;
            arrived.bytes += datagram.len();
            arrived.has_sps |= match payload[0] & 0x1f {
                7 => true,
                24 => payload[3] & 0x1f == 7,
                28 => payload[1] & 0x9f == 0x87,
                _ => false,
            };
            if header.marker {
                return Some(arrived);
            }
        }
    }

    /// Sends RTCP back to whoever sent last.
    pub(crate) fn reply(&self, rtcp: &[u8]) {
        self.socket.send_to(rtcp, self.peer.expect("something arrived before")).unwrap();
    }

    /// A bound of `kbps` on the bitrate (REMB), at most 2,097.
    pub(crate) fn reply_remb(&self, kbps: u32) {
        let mut rtcp = vec![0x8f, 206, 0, 5, 0, 0, 0, 9, 0, 0, 0, 0];
        rtcp.extend(*b"REMB");
        // 6 bits of exponent, 18 of mantissa: kbps × 125 × 2³ bits a second.
        let (exponent, mantissa) = (3u32, kbps * 125);
        rtcp.extend(((1u32 << 24) | (exponent << 18) | mantissa).to_be_bytes());
        rtcp.extend(SSRC.to_be_bytes());
        self.reply(&rtcp);
    }

    /// An empty receiver report and a PLI. [RFC 4585 §6.3.1]
    pub(crate) fn reply_pli(&self) {
        let mut rtcp = vec![0x80, 201, 0, 1, 0, 0, 0, 9];
        rtcp.extend([0x81, 206, 0, 2, 0, 0, 0, 9]);
        rtcp.extend(SSRC.to_be_bytes());
        self.reply(&rtcp);
    }
}

pub(crate) fn params(prepared: &PreparedSender) -> StreamParams {
    StreamParams::new(SSRC, PAYLOAD_TYPE, prepared.codec_params().unwrap(), "test")
}

/// A capture that delivers what the test says, beside the real ones.
#[derive(Debug)]
pub(crate) struct DrivenCapture {
    info: CaptureInfo,
    driver: Driver,
}

/// The test's end of a [`DrivenCapture`].
#[derive(Clone)]
pub(crate) struct Driver {
    sink: Arc<Mutex<Option<CaptureSink>>>,
    /// The picture that the source shows.
    last: Arc<Mutex<Option<VideoFrame>>>,
    size: Resolution,
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Driver")
    }
}

impl DrivenCapture {
    pub(crate) fn new(width: u32, height: u32) -> (Box<Self>, Driver) {
        let size = Resolution::new(width, height).unwrap();
        let driver = Driver { sink: Arc::default(), last: Arc::default(), size };
        let info = CaptureInfo::new("driven", size, "CLOCK_MONOTONIC");
        (Box::new(Self { info, driver: driver.clone() }), driver)
    }
}

impl CaptureBackend for DrivenCapture {
    fn info(&self) -> &CaptureInfo {
        &self.info
    }

    fn start(&mut self, sink: CaptureSink) -> Result<(), CaptureError> {
        *self.driver.sink.lock().unwrap() = Some(sink);
        Ok(())
    }

    fn set_frame_rate(&mut self, _: FrameRate) {}

    fn request_frame(&mut self) {
        let last = self.driver.last.lock().unwrap().clone();
        if let Some(frame) = last {
            self.driver.deliver(CaptureEvent::Frame(frame.repeated_at(clock::now())));
        }
    }

    fn stop(&mut self) {
        *self.driver.sink.lock().unwrap() = None;
    }
}

impl Driver {
    /// Delivers an event; answers whether the capture runs.
    pub(crate) fn deliver(&self, event: CaptureEvent) -> bool {
        if let CaptureEvent::Frame(frame) = &event {
            *self.last.lock().unwrap() = Some(frame.clone());
        }
        match &mut *self.sink.lock().unwrap() {
            Some(sink) => {
                sink(event);
                true
            }
            None => false,
        }
    }

    /// Delivers a picture of text-like noise that `seed` decides.
    pub(crate) fn picture(&self, seed: u32) -> bool {
        self.deliver(CaptureEvent::Frame(picture(self.size, seed)))
    }
}

pub(crate) fn picture(size: Resolution, seed: u32) -> VideoFrame {
    let stride = size.width() as usize * 4;
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let mut pixels = Vec::with_capacity(stride * size.height() as usize);
    for y in 0..size.height() {
        for x in 0..size.width() {
            if x % 8 == 0 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223 + y);
            }
            let dark = (state >> (x % 8 + 20)) & 1 == 1;
            pixels.extend(if dark { [30, 30, 30, 255] } else { [220, 220, 220, 255] });
        }
    }
    let planes = [PlaneLayout { offset: 0, stride }];
    let buffer = CpuBuffer::new(Arc::new(pixels), PixelFormat::Bgra8, size, &planes).unwrap();
    VideoFrame::new(FrameBuffer::Cpu(buffer), clock::now())
}
