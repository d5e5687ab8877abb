//! The rate is followed, up and down, in bytes.

use yc_encode::FrameOptions;
use yc_media::{Bitrate, FrameRate, RateTarget};

use crate::scenes::{Kind, Scene};
use crate::stream::{Stream, config, for_each_encoder, for_each_picture_encoder, rate, size, sps_of};

/// Content that can use any rate asked for here.
fn video() -> Scene {
    Scene::new(Kind::Video, size(640, 360))
}

/// Kilobits a second over `seconds` of `scene` from frame `*n` on.
fn kbps(stream: &mut Stream, scene: &Scene, n: &mut u64, fps: u32, frames: u64) -> f64 {
    let bytes: usize = (*n..*n + frames)
        .filter_map(|n| stream.encode(&scene.frame(n, fps), FrameOptions::delta()))
        .map(|frame| frame.data.len())
        .sum();
    *n += frames;
    bytes as f64 * 8.0 / 1_000.0 * f64::from(fps) / frames as f64
}

fn assert_within_a_tenth(measured: f64, target: f64, what: &str) {
    println!("{what}: {measured:.0} kbit/s of {target:.0}");
    assert!((measured / target - 1.0).abs() < 0.10, "{what}: {measured:.0} kbit/s of {target:.0}");
}

#[test]
fn a_raised_and_a_lowered_bitrate_are_followed_within_a_tenth() {
    for_each_encoder(|entry| {
        let scene = video();
        let mut stream = Stream::open(entry, &config(1_500, size(640, 360)));
        let mut n = 0;
        // The key frame at the start is paid off.
        kbps(&mut stream, &scene, &mut n, 30, 90);
        for target in [1_500, 6_000, 1_000, 3_000] {
            stream.encoder.set_rate(rate(target, 30, size(640, 360))).unwrap();
            // A third of a second for the quantizer to arrive: it moves by steps.
            kbps(&mut stream, &scene, &mut n, 30, 10);
            let measured = kbps(&mut stream, &scene, &mut n, 30, 60);
            assert_within_a_tenth(measured, f64::from(target), &format!("{} to {target}", entry.name));
        }
    });
}

#[test]
fn a_changed_frame_rate_keeps_the_bitrate() {
    for_each_encoder(|entry| {
        let scene = video();
        let mut stream = Stream::open(entry, &config(1_000, size(640, 360)));
        let mut n = 0;
        kbps(&mut stream, &scene, &mut n, 30, 120);
        for fps in [15, 60, 120, 5, 30] {
            stream.encoder.set_rate(rate(1_000, fps, size(640, 360))).unwrap();
            // Capture times go on: frame numbers count at the new rate from here.
            n = n * u64::from(fps) / 30 + 1;
            kbps(&mut stream, &scene, &mut n, fps, 16);
            let measured = kbps(&mut stream, &scene, &mut n, fps, u64::from(fps) * 2);
            assert_within_a_tenth(measured, 1_000.0, &format!("{} at {fps} fps", entry.name));
            n = n * 30 / u64::from(fps) + 30;
        }
    });
}

#[test]
fn a_resize_keeps_the_bitrate_and_begins_with_a_key_frame() {
    for_each_encoder(|entry| {
        let mut stream = Stream::open(entry, &config(1_000, size(640, 360)));
        stream.max = size(1920, 1080);
        let mut n = 0;
        kbps(&mut stream, &video(), &mut n, 30, 30);
        stream.encoder.set_rate(rate(2_000, 30, size(640, 360))).unwrap();
        kbps(&mut stream, &video(), &mut n, 30, 30);
        // Odd sizes come through the converter; the last is larger than what it was opened for.
        for (width, height) in [(801, 451), (433, 243), (1280, 720)] {
            let even = size(width, height).even();
            let scene = Scene::new(Kind::Video, size(width, height));
            let first = stream.encode(&scene.frame(n, 30), FrameOptions::delta()).expect("not skipped");
            assert!(first.is_key() && first.size == even, "{first:?}");
            let sps = sps_of(&first).expect("a new SPS");
            assert_eq!((sps.width, sps.height), (even.width(), even.height()));
            n += 1;
            // The key frame is paid off.
            kbps(&mut stream, &scene, &mut n, 30, 90);
            let measured = kbps(&mut stream, &scene, &mut n, 30, 60);
            assert_within_a_tenth(measured, 2_000.0, &format!("{} at {width}x{height}", entry.name));
        }
    });
}

#[test]
fn any_rate_is_taken_as_the_nearest_that_can_be_kept() {
    for_each_encoder(|entry| {
        let scene = video();
        let mut stream = Stream::open(entry, &config(0, size(640, 360)));
        for (n, bps) in [0, u32::MAX, 1, 50_000_000, 0].into_iter().enumerate() {
            for fps in [1, FrameRate::MAX] {
                let target = RateTarget::new(Bitrate::bps(bps), FrameRate::new(fps).unwrap(), size(640, 360));
                stream.encoder.set_rate(target).unwrap_or_else(|error| panic!("{target:?}: {error}"));
                let at = (n as u64 * 2 + u64::from(fps > 1)) * 3;
                (at..at + 3).for_each(|n| drop(stream.encode(&scene.frame(n, 30), FrameOptions::delta())));
            }
        }
    });
}

#[test]
fn the_quantizer_is_told_for_each_frame() {
    for_each_picture_encoder(|entry| {
        let scene = video();
        let mut stream = Stream::open(entry, &config(6_000, size(640, 360)));
        let qp = |stream: &mut Stream, from: u64| -> Vec<u8> {
            (from..from + 30)
                .filter_map(|n| stream.encode(&scene.frame(n, 30), FrameOptions::delta())?.qp)
                .collect()
        };
        let rich = qp(&mut stream, 0);
        stream.encoder.set_rate(rate(600, 30, size(640, 360))).unwrap();
        let poor = qp(&mut stream, 30);
        if rich.is_empty() {
            return; // An encoder may not know.
        }
        assert!(rich.iter().chain(&poor).all(|&qp| qp <= 51));
        assert!(poor[29] > rich[29] + 5, "{rich:?} {poor:?}");
        assert!(poor.windows(2).any(|two| two[0] != two[1]), "one value for many frames: {poor:?}");
    });
}
