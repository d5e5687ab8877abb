//! What cannot be encoded is refused with its reason, and nothing crashes.

use std::sync::Arc;
use std::time::Duration;

use yc_encode::{ENABLED, EncodeErrorKind, EncoderConfig, FrameOptions};
use yc_media::{
    CaptureTime, Codec, CpuBuffer, FrameBuffer, GpuApi, GpuBuffer, PixelFormat, PlaneLayout, Rect,
    Resolution, VideoFrame,
};

use crate::stream::{Stream, config, for_each_encoder, for_each_picture_encoder, size};

fn i420(size: Resolution, at: u64) -> VideoFrame {
    let (mut layout, mut bytes) = (Vec::new(), 0);
    for plane in 0..3 {
        let (row, rows) = PixelFormat::I420.plane_size(plane, size);
        layout.push(PlaneLayout { offset: bytes, stride: row });
        bytes += row * rows;
    }
    let buffer = CpuBuffer::new(Arc::new(vec![100; bytes]), PixelFormat::I420, size, &layout).unwrap();
    VideoFrame::new(FrameBuffer::Cpu(buffer), CaptureTime::from_epoch(Duration::from_millis(at)))
}

fn refused(frame: &VideoFrame) -> Vec<String> {
    let messages = std::cell::RefCell::new(Vec::new());
    for_each_encoder(|entry| {
        let mut stream = Stream::open(entry, &config(1_000, size(64, 64)));
        if !stream.encoder.info().accepts.contains(&yc_encode::FrameInput::Cpu(PixelFormat::I420)) {
            return;
        }
        let error = stream.encoder.submit(frame, FrameOptions::delta()).unwrap_err();
        assert_eq!(error.kind(), EncodeErrorKind::InvalidInput, "{error}");
        assert_eq!(error.encoder(), entry.name);
        messages.borrow_mut().push(error.to_string());
    });
    messages.into_inner()
}

#[test]
fn pictures_it_does_not_take_are_refused() {
    refused(&i420(size(65, 64), 1));
    refused(&i420(size(64, 63), 1));
    refused(&i420(size(14, 64), 1));
    refused(&i420(size(2, 2), 1));
    let gpu = GpuBuffer::new(Arc::new(()), GpuApi::D3d11, size(64, 64));
    refused(&VideoFrame::new(FrameBuffer::Gpu(gpu), CaptureTime::default()));
    let layout = [PlaneLayout { offset: 0, stride: 256 }];
    let bgra =
        CpuBuffer::new(Arc::new(vec![0; 256 * 64]), PixelFormat::Bgra8, size(64, 64), &layout).unwrap();
    refused(&VideoFrame::new(FrameBuffer::Cpu(bgra), CaptureTime::default()));
}

#[test]
fn a_refusal_names_the_value_and_its_bounds() {
    let says = |frame: &VideoFrame, what: &str| {
        for message in refused(frame).iter().filter(|message| message.starts_with("openh264")) {
            assert!(message.contains(what), "{message}");
        }
    };
    says(&i420(size(1367, 769), 1), "1367x769 has an odd side: crop it to 1366x768");
    says(&i420(size(14, 64), 1), "14x64 has a side below 16 pixels");
    says(
        &i420(size(5120, 2880), 1),
        "5120x2880 exceeds the largest picture of H264 level 5.2, 36864 macroblocks",
    );
    let odd = i420(size(64, 64), 1).with_visible(Rect { x: 1, y: 0, width: 32, height: 32 }).unwrap();
    says(&odd, "begins at 1,0");
}

#[test]
fn capture_times_must_increase() {
    for_each_encoder(|entry| {
        let mut stream = Stream::open(entry, &config(1_000, size(64, 64)));
        let mut last = None;
        for at in [5, 6, 1_000, 1_001, 100_000] {
            if let Some(frame) = stream.encode(&i420(size(64, 64), at), FrameOptions::delta()) {
                assert!(last < Some(frame.captured_at));
                last = Some(frame.captured_at);
            }
        }
        let error = stream.encoder.submit(&i420(size(64, 64), 100_000), FrameOptions::delta()).unwrap_err();
        assert_eq!(error.kind(), EncodeErrorKind::InvalidInput);
    });
}

#[test]
fn a_part_of_a_stored_picture_is_encoded_from_its_place() {
    for_each_picture_encoder(|entry| {
        let mut stream = Stream::open(entry, &config(4_000, size(64, 64)));
        let part = Rect { x: 8, y: 4, width: 64, height: 48 };
        let frame = i420(size(128, 96), 1).with_visible(part).unwrap();
        let coded = stream.encode(&frame, FrameOptions::delta()).unwrap();
        assert_eq!(coded.size, size(64, 48));
    });
}

#[test]
fn configurations_out_of_bounds_are_refused() {
    let Some(openh264) = ENABLED.iter().find(|entry| entry.name == "openh264") else {
        return; // Not compiled in.
    };
    let good = || config(1_000, size(640, 360));
    let cases: [(EncoderConfig, EncodeErrorKind, &str); 7] = [
        (good().with_temporal_layers(0), EncodeErrorKind::InvalidInput, "0 temporal layers are not 1 to 3"),
        (good().with_temporal_layers(4), EncodeErrorKind::InvalidInput, "4 temporal layers are not 1 to 3"),
        (good().with_threads(0), EncodeErrorKind::InvalidInput, "0 threads are not 1 to 4"),
        (good().with_threads(5), EncodeErrorKind::InvalidInput, "5 threads are not 1 to 4"),
        (config(1_000, size(8, 8)), EncodeErrorKind::InvalidInput, "8x8 has a side below 16 pixels"),
        (config(1_000, size(7680, 4320)), EncodeErrorKind::InvalidInput, "7680x4320 exceeds"),
        (
            EncoderConfig::screen(Codec::Vp8, good().rate),
            EncodeErrorKind::Unsupported,
            "encodes H264, not VP8",
        ),
    ];
    for (config, kind, what) in cases {
        let error = (openh264.open)(&config).unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[test]
fn an_error_ends_the_instance() {
    for_each_picture_encoder(|entry| {
        let mut stream = Stream::open(entry, &config(1_000, size(64, 64)));
        assert!(stream.encoder.submit(&i420(size(64, 63), 1), FrameOptions::delta()).is_err());
        assert!(stream.encoder.submit(&i420(size(64, 64), 2), FrameOptions::delta()).is_err());
        assert!(stream.encoder.set_rate(config(500, size(64, 64)).rate).is_err());
        assert!(stream.encoder.poll().unwrap().is_none());
    });
}
