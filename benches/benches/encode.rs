//! Encoding: making captured pictures what an encoder takes, and OpenH264 on four kinds of desktop.
//!
//! Everything is 1920x1080 on one thread. `convert_1080p` states pictures a second and captured bytes a
//! second; `openh264_1080p` states pictures a second in a stream at 4 Mbit/s and 30 pictures a second, and
//! prints beforehand what the stream came to.

use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use yc_capture::synthetic::{Scene, SceneKind};
use yc_encode::{Converter, EncoderConfig, FrameInput, FrameOptions, VideoEncoderBackend};
use yc_media::{
    Bitrate, CaptureTime, Codec, CpuBuffer, Damage, EncodedFrame, FrameBuffer, FrameRate, PixelFormat,
    PlaneLayout, RateTarget, Rect, Resolution, VideoFrame,
};

const FPS: u32 = 30;

fn size(width: u32, height: u32) -> Resolution {
    Resolution::new(width, height).expect("a size inside the bounds")
}

/// Frame `n` of a scene as a capture hands it over.
fn capture(scene: &Scene, n: u32) -> VideoFrame {
    let (size, stride) = (scene.size(), scene.size().width() as usize * 4);
    let mut pixels = vec![0; stride * size.height() as usize];
    scene.render(n, &mut pixels, stride);
    let layout = [PlaneLayout { offset: 0, stride }];
    let buffer = CpuBuffer::new(Arc::new(pixels), PixelFormat::Bgra8, size, &layout)
        .expect("the pixels are those of one plane");
    VideoFrame::new(FrameBuffer::Cpu(buffer), at(n.into()))
}

fn at(n: u64) -> CaptureTime {
    CaptureTime::from_epoch(Duration::from_secs(1) + Duration::from_secs(n) / FPS)
}

fn convert(c: &mut Criterion) {
    let full = size(1920, 1080);
    let scene = Scene::new(full, SceneKind::Desktop);
    let frames: Vec<_> = (0..4).map(|n| capture(&scene, n)).collect();
    let line = Damage::Part(Rect { x: 300, y: 501, width: 400, height: 20 });
    let (i420, nv12) = ([FrameInput::Cpu(PixelFormat::I420)], [FrameInput::Cpu(PixelFormat::Nv12)]);

    let mut group = c.benchmark_group("convert_1080p");
    group.throughput(Throughput::ElementsAndBytes { elements: 1, bytes: full.pixels() * 4 });
    let cases = [
        ("to_i420", &i420, full, Damage::Full),
        ("to_nv12", &nv12, full, Damage::Full),
        ("to_i420_one_line_changed", &i420, full, line),
        ("to_i420_unchanged", &i420, full, Damage::None),
        ("to_i420_scaled_to_720p", &i420, size(1280, 720), Damage::Full),
        ("to_i420_scaled_to_540p", &i420, size(960, 540), Damage::Full),
    ];
    for (name, accepts, max, damage) in cases {
        let mut converter = Converter::new();
        let mut n = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                n += 1;
                let frame = frames[n % frames.len()].repeated_at(at(n as u64)).with_damage(damage);
                converter.prepare(&frame, accepts, max).expect("BGRA becomes what every encoder takes")
            });
        });
    }
    group.finish();
}

/// Two seconds of a scene, ready to encode, to be played to and fro.
struct Reel(Vec<VideoFrame>);

impl Reel {
    fn new(kind: SceneKind, accepts: &[FrameInput]) -> Self {
        let scene = Scene::new(size(1920, 1080), kind);
        let frames = (0..60).map(|n| {
            // A converter each: the pool of one would wait for them all to come back.
            Converter::new()
                .prepare(&capture(&scene, n), accepts, scene.size())
                .expect("BGRA becomes what every encoder takes")
        });
        Self(frames.collect())
    }

    fn frame(&self, n: u64) -> VideoFrame {
        let (turn, last) = (n % (2 * self.0.len() as u64 - 2), self.0.len() as u64 - 1);
        self.0[(if turn <= last { turn } else { 2 * last - turn }) as usize].repeated_at(at(n))
    }
}

fn open(threads: u8) -> Box<dyn VideoEncoderBackend> {
    let frame_rate = FrameRate::new(FPS).expect("a rate inside the bounds");
    let rate = RateTarget::new(Bitrate::kbps(4_000), frame_rate, size(1920, 1080));
    let config = EncoderConfig::screen(Codec::H264, rate).with_threads(threads);
    yc_encode::open(&["openh264"], &config).expect("OpenH264 opens anywhere").encoder
}

fn encode(
    encoder: &mut dyn VideoEncoderBackend,
    frame: &VideoFrame,
    options: FrameOptions,
) -> Option<EncodedFrame> {
    encoder.submit(frame, options).expect("a picture that was prepared for it");
    encoder.poll().expect("an encoder that has not failed")
}

fn openh264(c: &mut Criterion) {
    let accepts = open(1).info().accepts;
    println!("OpenH264 runs with SIMD: {}", open(1).info().accelerated);
    let mut group = c.benchmark_group("openh264_1080p");
    group.throughput(Throughput::Elements(1)).sample_size(20).measurement_time(Duration::from_secs(10));
    for kind in [SceneKind::Desktop, SceneKind::Text, SceneKind::Video, SceneKind::Static] {
        let reel = Reel::new(kind, accepts);
        let mut encoder = open(1);
        // The key frame at the start is paid off, and the quantizer has settled.
        let warm = 90;
        let mut first = 0;
        let (mut bytes, mut qp) = (0, 0);
        for n in 0..warm + 60 {
            let Some(unit) = encode(&mut *encoder, &reel.frame(n), FrameOptions::delta()) else { continue };
            if n == 0 {
                first = unit.data.len();
            }
            if n >= warm {
                bytes += unit.data.len();
                qp += u64::from(unit.qp.unwrap_or(0));
            }
        }
        println!(
            "{kind}: key frame {} KB, then {} kbit/s at mean QP {}",
            first / 1_000,
            bytes * 8 / 2 / 1_000,
            qp / 60
        );
        let mut n = warm + 60;
        group.bench_function(kind.name(), |b| {
            b.iter(|| {
                n += 1;
                encode(&mut *encoder, &reel.frame(n), FrameOptions::delta())
            });
        });
    }
    let reel = Reel::new(SceneKind::Desktop, accepts);
    for (name, threads, options) in
        [("desktop_key_frames", 1, FrameOptions::keyframe()), ("desktop_2_threads", 2, FrameOptions::delta())]
    {
        let (mut encoder, mut n) = (open(threads), 0);
        group.bench_function(name, |b| {
            b.iter(|| {
                n += 1;
                encode(&mut *encoder, &reel.frame(n), options)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, convert, openh264);
criterion_main!(benches);
