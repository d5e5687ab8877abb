//! Key frames come when they are asked for, whole, and not otherwise; layers and slices are as configured.

use yc_encode::FrameOptions;
use yc_media::{EncodedFrame, H264Profile};

use crate::decoder::Decoder;
use crate::scenes::{Kind, Scene};
use crate::sps::Colour;
use crate::stream::{
    Stream, config, for_each_encoder, for_each_encoder_alone, for_each_picture_encoder, rate, size, sps_of,
    types,
};

fn assert_whole_key(frame: &EncodedFrame) {
    let types = types(frame);
    let slices = types.iter().position(|&kind| kind == 5).unwrap_or(types.len());
    let (sets, slices) = types.split_at(slices);
    assert!(
        frame.is_key() && sets.contains(&7) && sets.contains(&8),
        "parameter sets before the IDR: {types:?}"
    );
    assert!(sets.iter().all(|kind| [7, 8].contains(kind)), "only parameter sets before the IDR: {types:?}");
    assert!(!slices.is_empty() && slices.iter().all(|&kind| kind == 5), "only IDR slices after: {types:?}");
}

#[test]
fn a_forced_key_frame_is_that_very_frame_and_no_other_is_one() {
    for_each_encoder(|entry| {
        let scene = Scene::new(Kind::Typing, size(640, 360));
        let mut stream = Stream::open(entry, &config(1_000, size(640, 360)));
        for n in 0..60 {
            let asked = [7, 8, 30, 59].contains(&n);
            let options = if asked { FrameOptions::keyframe() } else { FrameOptions::delta() };
            let frame = stream.encode(&scene.frame(n, 30), options);
            if asked || n == 0 {
                assert_whole_key(&frame.expect("a key frame is not skipped"));
            } else if let Some(frame) = frame {
                assert!(!frame.is_key(), "frame {n} is a key frame that nobody asked for");
                assert!(types(&frame).iter().all(|&kind| kind == 1), "frame {n}: {:?}", types(&frame));
            }
        }
    });
}

#[test]
fn there_is_no_periodic_key_frame() {
    for_each_encoder(|entry| {
        let scene = Scene::new(Kind::Typing, size(320, 180));
        let mut stream = Stream::open(entry, &config(500, size(320, 180)));
        // Longer than any GOP that an encoder would choose by itself: 20 seconds.
        let keys = (0..600).filter(|&n| {
            stream
                .encode(&scene.frame(n / 8 * 8, 30).repeated_at(scene_time(n)), FrameOptions::delta())
                .is_some_and(|frame| frame.is_key())
        });
        assert_eq!(keys.collect::<Vec<_>>(), [0]);
    });
}

fn scene_time(n: u64) -> yc_media::CaptureTime {
    yc_media::CaptureTime::from_epoch(std::time::Duration::from_millis(1_000 + n * 33))
}

#[test]
fn the_parameter_sets_say_what_the_stream_is() {
    for_each_encoder(|entry| {
        for (width, height, fps, level) in [
            (640, 360, 30, 31),
            (1280, 720, 30, 31),
            (1920, 1080, 30, 40),
            (1920, 1080, 60, 42),
            (3840, 2160, 30, 51),
        ] {
            let mut config = config(4_000, size(width, height));
            config.rate = rate(4_000, fps, size(width, height));
            let mut stream = Stream::open(entry, &config);
            let promised =
                stream.encoder.info().profile_level_id.expect("the profile is known once it is open");
            assert_eq!(promised.profile(), Some(H264Profile::ConstrainedBaseline));

            let picture = Scene::new(Kind::Still, size(width, height)).frame(0, fps);
            let frame = stream.encode(&picture, FrameOptions::delta()).unwrap();
            let sps = sps_of(&frame).unwrap();
            assert_eq!(
                (sps.profile_idc, sps.constraints, sps.level_idc),
                (promised.profile_idc, promised.constraints, promised.level_idc)
            );
            assert_eq!(sps.level_idc, level, "{width}x{height} at {fps} fps");
            assert_eq!((sps.width, sps.height), (width, height));
            assert_eq!(frame.size, size(width, height));
        }
    });
}

#[test]
fn the_parameter_sets_say_bt709_limited_range_and_square_pixels() {
    for_each_picture_encoder(|entry| {
        let mut stream = Stream::open(entry, &config(1_000, size(640, 360)));
        let picture = Scene::new(Kind::Still, size(640, 360)).frame(0, 30);
        let sps = sps_of(&stream.encode(&picture, FrameOptions::delta()).unwrap()).unwrap();
        assert_eq!(sps.colour, Some(Colour { full_range: false, primaries: 1, transfer: 1, matrix: 1 }));
        assert!(sps.square_pixels);
    });
}

#[test]
fn temporal_layers_are_marked_and_the_upper_ones_can_be_left_out() {
    for_each_picture_encoder(|entry| {
        for layers in 1..=3u8 {
            let picture_size = size(640, 360);
            let scene = Scene::new(Kind::Typing, picture_size);
            for kept in 0..layers {
                let mut stream =
                    Stream::open(entry, &config(2_000, picture_size).with_temporal_layers(layers));
                let mut decoder = Decoder::new();
                let mut seen = Vec::new();
                for n in 0..17 {
                    let prepared = stream.prepare(&scene.frame(n, 30));
                    let frame = stream.encode(&scene.frame(n, 30), FrameOptions::delta()).unwrap();
                    seen.push(frame.layer.temporal);
                    if frame.layer.temporal <= kept {
                        let psnr = decoder.decode(&frame.data).psnr(0, &prepared);
                        assert!(psnr > 30.0, "frame {n} of layer {} has {psnr:.1} dB", frame.layer.temporal);
                    }
                }
                let period = [&[0u8][..], &[0, 1], &[0, 2, 1, 2]][usize::from(layers) - 1];
                assert!(
                    seen.iter().zip(period.iter().cycle()).all(|(a, b)| a == b),
                    "{layers} layers: {seen:?}"
                );
            }
        }
    });
}

#[test]
fn threads_share_a_picture_by_slices() {
    for_each_encoder_alone(|entry| {
        if entry.name == "fake" {
            return; // It shows no picture.
        }
        for (threads, picture_size) in
            [(2, size(1280, 720)), (4, size(1280, 720)), (3, size(1000, 562)), (4, size(64, 48))]
        {
            let scene = Scene::new(Kind::Scroll, picture_size);
            let mut stream = Stream::open(entry, &config(4_000, picture_size).with_threads(threads));
            let mut decoder = Decoder::new();
            let mut slices = 0;
            for n in 0..6 {
                let prepared = stream.prepare(&scene.frame(n, 30));
                let options = if n == 3 { FrameOptions::keyframe() } else { FrameOptions::delta() };
                let frame = stream.encode(&scene.frame(n, 30), options).unwrap();
                if frame.is_key() {
                    assert_whole_key(&frame);
                }
                slices = types(&frame).iter().filter(|&&kind| kind == 1 || kind == 5).count();
                assert!(decoder.decode(&frame.data).psnr(0, &prepared) > 28.0);
            }
            if entry.name == "openh264" && picture_size == size(1280, 720) {
                assert_eq!(slices, usize::from(threads), "OpenH264's threads work on slices");
            }
        }
    });
}
