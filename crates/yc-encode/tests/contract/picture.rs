//! What is decoded is what was captured, in its own colours, and text gets sharp.

use std::sync::Arc;
use std::time::Duration;

use yc_encode::FrameOptions;
use yc_media::{CaptureTime, CpuBuffer, FrameBuffer, PixelFormat, PlaneLayout, VideoFrame};

use crate::decoder::Decoder;
use crate::scenes::{Kind, Scene};
use crate::stream::{Stream, config, for_each_picture_encoder, size};

#[test]
fn still_text_is_sharp_within_a_second() {
    for_each_picture_encoder(|entry| {
        let scene = Scene::new(Kind::Still, size(1280, 720));
        let mut stream = Stream::open(entry, &config(4_000, size(1280, 720)));
        let mut decoder = Decoder::new();
        let mut psnr = 0.0;
        for n in 0..30 {
            let prepared = stream.prepare(&scene.frame(n, 30));
            if let Some(frame) = stream.encode(&scene.frame(n, 30), FrameOptions::delta()) {
                let decoded = decoder.decode(&frame.data);
                if n % 29 == 0 {
                    psnr = decoded.psnr(0, &prepared);
                    println!("{}: frame {n} {psnr:.1} dB, qp {:?}", entry.name, frame.qp);
                }
            }
        }
        assert!(psnr >= 40.0, "{psnr:.1} dB after a second");
    });
}

#[test]
fn moving_pictures_are_decoded_as_they_were_given() {
    for_each_picture_encoder(|entry| {
        for kind in [Kind::Typing, Kind::Scroll, Kind::Video] {
            let scene = Scene::new(kind, size(640, 360));
            let mut stream = Stream::open(entry, &config(4_000, size(640, 360)));
            let mut decoder = Decoder::new();
            for n in 0..30 {
                let prepared = stream.prepare(&scene.frame(n, 30));
                let Some(frame) = stream.encode(&scene.frame(n, 30), FrameOptions::delta()) else { continue };
                let decoded = decoder.decode(&frame.data);
                assert_eq!((decoded.width, decoded.height), (640, 360));
                for plane in 0..3 {
                    let psnr = decoded.psnr(plane, &prepared);
                    assert!(psnr > 29.0, "{kind:?} frame {n} plane {plane}: {psnr:.1} dB");
                }
            }
        }
    });
}

#[test]
fn colours_arrive_as_bt709_limited() {
    // B, G, R and what BT.709 limited range makes of them.
    let bars: [([u8; 3], [u8; 3]); 8] = [
        ([255, 255, 255], [235, 128, 128]),
        ([0, 255, 255], [219, 16, 138]),
        ([255, 255, 0], [188, 154, 16]),
        ([0, 255, 0], [173, 42, 26]),
        ([255, 0, 255], [78, 214, 230]),
        ([0, 0, 255], [63, 102, 240]),
        ([255, 0, 0], [32, 240, 118]),
        ([0, 0, 0], [16, 128, 128]),
    ];
    let row: Vec<u8> = bars.iter().flat_map(|(bgr, _)| [bgr[0], bgr[1], bgr[2], 0].repeat(64)).collect();
    let pixels = Arc::new(row.repeat(128));
    let layout = [PlaneLayout { offset: 0, stride: 512 * 4 }];
    let buffer = CpuBuffer::new(pixels, PixelFormat::Bgra8, size(512, 128), &layout).unwrap();
    let frame = VideoFrame::new(FrameBuffer::Cpu(buffer), CaptureTime::default());
    for_each_picture_encoder(|entry| {
        let mut stream = Stream::open(entry, &config(2_000, size(512, 128)));
        let mut decoder = Decoder::new();
        for n in 1..=10 {
            let at = CaptureTime::from_epoch(Duration::from_millis(n * 33));
            let frame = stream.encode(&frame.repeated_at(at), FrameOptions::delta()).unwrap();
            let decoded = decoder.decode(&frame.data);
            for (bar, (bgr, expected)) in bars.iter().enumerate() {
                for (plane, expected) in expected.iter().enumerate() {
                    let shift = usize::from(plane > 0);
                    // The middle of the bar: its edges are the neighbours' too.
                    let (x, y) = ((bar * 64 + 32) >> shift, 64 >> shift);
                    let value = decoded.planes[plane][y * (512 >> shift) + x];
                    assert!(
                        value.abs_diff(*expected) <= 4,
                        "{bgr:?} plane {plane}: {value} and not {expected} in picture {n}"
                    );
                }
            }
        }
    });
}
