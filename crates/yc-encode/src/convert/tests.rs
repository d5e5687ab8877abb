use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use yc_media::{CaptureTime, GpuApi, GpuBuffer, PlaneLayout};

use super::*;

const I420: FrameInput = FrameInput::Cpu(PixelFormat::I420);
const NV12: FrameInput = FrameInput::Cpu(PixelFormat::Nv12);
const BGRA: FrameInput = FrameInput::Cpu(PixelFormat::Bgra8);

fn size(width: u32, height: u32) -> Resolution {
    Resolution::new(width, height).unwrap()
}

fn at(number: u64) -> CaptureTime {
    CaptureTime::from_epoch(Duration::from_millis(number))
}

fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..bytes).map(|_| next()).collect()
}

fn bgra(pixels: Vec<u8>, width: u32, height: u32) -> VideoFrame {
    let layout = [PlaneLayout { offset: 0, stride: width as usize * 4 }];
    let buffer = CpuBuffer::new(Arc::new(pixels), PixelFormat::Bgra8, size(width, height), &layout).unwrap();
    VideoFrame::new(FrameBuffer::Cpu(buffer), at(0))
}

fn planar(format: PixelFormat, bytes: Vec<u8>, width: u32, height: u32) -> VideoFrame {
    let mut layout = Vec::new();
    let mut offset = 0;
    for plane in 0..format.planes() {
        let (row, rows) = format.plane_size(plane, size(width, height));
        layout.push(PlaneLayout { offset, stride: row });
        offset += row * rows;
    }
    let buffer = CpuBuffer::new(Arc::new(bytes), format, size(width, height), &layout).unwrap();
    VideoFrame::new(FrameBuffer::Cpu(buffer), at(0))
}

/// The visible bytes of each plane, without padding.
fn pixels(frame: &VideoFrame) -> Vec<Vec<u8>> {
    let FrameBuffer::Cpu(buffer) = frame.buffer() else { panic!("not in CPU memory") };
    let visible = frame.visible();
    (0..buffer.format().planes())
        .map(|plane| {
            let (bytes, stride) = buffer.plane(plane);
            let (row, rows) = buffer.format().plane_size(plane, frame.size());
            let (wide, high) = buffer.format().plane_size(plane, size(2, 2));
            let (x, y) = (visible.x as usize * wide / 2, visible.y as usize * high / 2);
            (0..rows).flat_map(|r| bytes[(y + r) * stride + x..][..row].to_vec()).collect()
        })
        .collect()
}

fn memory_of(frame: &VideoFrame) -> *const u8 {
    let FrameBuffer::Cpu(buffer) = frame.buffer() else { panic!("not in CPU memory") };
    buffer.plane(0).0.as_ptr()
}

const HUGE: u32 = Resolution::MAX_SIDE;

#[test]
fn a_picture_that_is_accepted_passes_through_untouched() {
    let frame = planar(PixelFormat::I420, noise(64 * 48 * 3 / 2, 1), 64, 48).with_damage(Damage::None);
    let mut converter = Converter::new();
    let prepared = converter.prepare(&frame, &[NV12, I420], size(64, 48)).unwrap();
    assert_eq!(memory_of(&prepared), memory_of(&frame));
    assert_eq!(prepared.damage(), Damage::None);

    let frame = bgra(noise(64 * 48 * 4, 1), 64, 48);
    let prepared = converter.prepare(&frame, &[BGRA], size(HUGE, HUGE)).unwrap();
    assert_eq!(memory_of(&prepared), memory_of(&frame));
}

#[test]
fn odd_sizes_are_cropped_to_even() {
    let mut converter = Converter::new();
    let frame = bgra(noise(1367 * 769 * 4, 3), 1367, 769);
    let prepared = converter.prepare(&frame, &[I420], size(HUGE, HUGE)).unwrap();
    assert_eq!(prepared.size(), size(1366, 768));
    let even = bgra(
        pixels(&frame)[0].chunks(1367 * 4).take(768).flat_map(|row| row[..1366 * 4].to_vec()).collect(),
        1366,
        768,
    );
    assert_eq!(
        pixels(&prepared),
        pixels(&Converter::new().prepare(&even, &[I420], size(HUGE, HUGE)).unwrap())
    );

    let odd = planar(PixelFormat::I420, noise(33 * 17 + 2 * 17 * 9, 5), 33, 17);
    let prepared = converter.prepare(&odd, &[I420], size(HUGE, HUGE)).unwrap();
    assert_eq!(
        (prepared.size(), memory_of(&prepared)),
        (size(32, 16), memory_of(&odd)),
        "cropped, not copied"
    );
}

#[test]
fn only_the_visible_part_is_converted() {
    let whole = noise(60 * 40 * 4, 7);
    let visible = Rect { x: 5, y: 3, width: 32, height: 20 };
    let frame = bgra(whole.clone(), 60, 40).with_visible(visible).unwrap();
    let part: Vec<u8> =
        whole.chunks(60 * 4).skip(3).take(20).flat_map(|row| row[5 * 4..37 * 4].to_vec()).collect();
    let expected = Converter::new().prepare(&bgra(part, 32, 20), &[NV12], size(HUGE, HUGE)).unwrap();
    let prepared = Converter::new().prepare(&frame, &[NV12], size(HUGE, HUGE)).unwrap();
    assert_eq!(pixels(&prepared), pixels(&expected));
}

#[test]
fn larger_pictures_are_scaled_into_the_bounds() {
    let grey = [90u8, 90, 90, 0].repeat(1280 * 720);
    for format in [I420, NV12, BGRA] {
        let prepared =
            Converter::new().prepare(&bgra(grey.clone(), 1280, 720), &[format], size(640, 640)).unwrap();
        assert_eq!(prepared.size(), size(640, 360));
        let luma = if format == BGRA { 90 } else { 93 };
        assert!(pixels(&prepared)[0].chunks(4).all(|four| four[..3] == [luma; 3]), "{format:?}");
    }
    let frame = planar(
        PixelFormat::I420,
        [vec![50; 320 * 180], vec![60; 160 * 90], vec![70; 160 * 90]].concat(),
        320,
        180,
    );
    for (accepts, chroma) in [(I420, vec![60, 60]), (NV12, vec![60, 70])] {
        let prepared = Converter::new().prepare(&frame, &[accepts], size(160, 160)).unwrap();
        assert_eq!(prepared.size(), size(160, 90));
        let planes = pixels(&prepared);
        assert!(planes[0].iter().all(|&luma| luma == 50));
        assert!(planes[1].chunks(2).all(|pair| pair == chroma), "{accepts:?}");
    }
}

#[test]
fn one_plane_layout_becomes_the_other_and_back() {
    let bytes = noise(64 * 48 * 3 / 2, 9);
    let frame = planar(PixelFormat::I420, bytes, 64, 48);
    let nv12 = Converter::new().prepare(&frame, &[NV12], size(HUGE, HUGE)).unwrap();
    let FrameBuffer::Cpu(buffer) = nv12.buffer() else { panic!() };
    assert_eq!(buffer.format(), PixelFormat::Nv12);
    let back = Converter::new().prepare(&nv12, &[I420], size(HUGE, HUGE)).unwrap();
    assert_eq!(pixels(&back), pixels(&frame));
    let scaled = Converter::new().prepare(&nv12, &[I420], size(32, 32)).unwrap();
    let direct = Converter::new().prepare(&frame, &[I420], size(32, 32)).unwrap();
    assert_eq!(pixels(&scaled), pixels(&direct));
}

#[test]
fn tiny_pictures_get_black_beside_them() {
    let mut converter = Converter::new();
    for (width, height) in [(1, 1), (2, 3), (15, 16), (3, 200)] {
        let white = bgra(vec![255; (width * height * 4) as usize], width, height);
        let prepared = converter.prepare(&white, &[I420], size(HUGE, HUGE)).unwrap();
        let (coded, content) = (prepared.size(), size(width, height).even());
        assert_eq!((coded.width(), coded.height()), (content.width().max(16), content.height().max(16)));
        let luma = &pixels(&prepared)[0];
        for (at, &value) in luma.iter().enumerate() {
            let (x, y) = (at as u32 % coded.width(), at as u32 / coded.width());
            let inside = x < content.width() && y < content.height();
            assert_eq!(value, if inside { 235 } else { 16 }, "{width}x{height} at {x},{y}");
        }
    }
}

#[test]
fn what_cannot_be_made_is_refused_with_what_is_accepted() {
    let mut converter = Converter::new();
    let frame = planar(PixelFormat::Nv12, vec![0; 32 * 32 * 3 / 2], 32, 32);
    let error = converter.prepare(&frame, &[BGRA], size(HUGE, HUGE)).unwrap_err();
    assert_eq!(error.kind(), EncodeErrorKind::Unsupported);
    assert!(error.to_string().contains("Nv12") && error.to_string().contains("Bgra8"), "{error}");
    assert!(converter.prepare(&frame, &[], size(HUGE, HUGE)).is_err());

    let gpu = GpuBuffer::new(Arc::new(()), GpuApi::D3d11, size(641, 480));
    let frame = VideoFrame::new(FrameBuffer::Gpu(gpu), at(0));
    let accepts = [FrameInput::Gpu(GpuApi::D3d11), I420];
    assert_eq!(converter.prepare(&frame, &accepts, size(HUGE, HUGE)).unwrap().size(), size(640, 480));
    assert!(converter.prepare(&frame, &accepts, size(320, 240)).is_err(), "too large, and not scalable here");
    assert!(converter.prepare(&frame, &[I420], size(HUGE, HUGE)).is_err());
}

#[test]
fn an_unchanged_picture_is_not_converted_again() {
    let mut converter = Converter::new();
    let frame = bgra(noise(64 * 48 * 4, 1), 64, 48);
    let first = converter.prepare(&frame, &[I420], size(HUGE, HUGE)).unwrap();
    let again = converter.prepare(&frame.repeated_at(at(5)), &[I420], size(HUGE, HUGE)).unwrap();
    assert_eq!(memory_of(&first), memory_of(&again));
    assert_eq!((again.damage(), again.captured_at()), (Damage::None, at(5)));
    let scaled = converter.prepare(&frame.repeated_at(at(6)), &[I420], size(32, 32)).unwrap();
    assert_eq!(scaled.damage(), Damage::Full, "another size is another picture");
    let again = converter.prepare(&frame.repeated_at(at(7)), &[I420], size(32, 32)).unwrap();
    assert_eq!(memory_of(&scaled), memory_of(&again));
}

#[test]
fn damage_is_scaled_and_rounded_outward() {
    let mut converter = Converter::new();
    let frame = bgra(noise(640 * 480 * 4, 1), 640, 480);
    converter.prepare(&frame, &[I420], size(320, 240)).unwrap();
    let part =
        frame.repeated_at(at(1)).with_damage(Damage::Part(Rect { x: 101, y: 51, width: 3, height: 3 }));
    let Damage::Part(rect) = converter.prepare(&part, &[I420], size(320, 240)).unwrap().damage() else {
        panic!("not a part")
    };
    assert!(rect.contains(Rect { x: 49, y: 24, width: 4, height: 4 }), "{rect:?}");
    assert!(rect.width <= 8 && rect.height <= 8, "{rect:?}");
    let corner =
        frame.repeated_at(at(2)).with_damage(Damage::Part(Rect { x: 639, y: 479, width: 1, height: 1 }));
    let Damage::Part(rect) = converter.prepare(&corner, &[I420], size(320, 240)).unwrap().damage() else {
        panic!("not a part")
    };
    assert!(size(320, 240).rect().contains(rect));

    let view = Rect { x: 10, y: 10, width: 100, height: 100 };
    let outside = frame.with_visible(view).unwrap();
    converter.prepare(&outside, &[I420], size(HUGE, HUGE)).unwrap();
    let outside =
        outside.repeated_at(at(3)).with_damage(Damage::Part(Rect { x: 300, y: 0, width: 9, height: 9 }));
    assert_eq!(converter.prepare(&outside, &[I420], size(HUGE, HUGE)).unwrap().damage(), Damage::None);
}

proptest! {
    /// Whatever changes, however long the prepared pictures are held, and wherever the damage lies: the
    /// picture is the one that a fresh converter makes.
    #[test]
    fn incremental_conversion_equals_full_conversion(
        width in 16u32..70,
        height in 16u32..50,
        inset in 0u32..4,
        max in prop_oneof![Just(HUGE), 16u32..60],
        nv12 in any::<bool>(),
        steps in prop::collection::vec((any::<u64>(), 0u32..70, 0u32..50, 0u32..40, 0u32..30, 0usize..6), 1..20),
    ) {
        let accepts = [if nv12 { NV12 } else { I420 }];
        let max = size(max, max);
        let visible = Rect { x: inset, y: inset, width: width - 2 * inset, height: height - 2 * inset };
        let mut picture = noise((width * height * 4) as usize, 42);
        let mut converter = Converter::new();
        let mut held = Vec::new();
        let mut damage = Damage::Full;
        for (number, (seed, x, y, w, h, hold)) in steps.into_iter().enumerate() {
            let frame = bgra(picture.clone(), width, height).with_visible(visible).unwrap().with_damage(damage);
            let prepared = converter.prepare(&frame, &accepts, max).unwrap();
            let expected = Converter::new().prepare(&frame, &accepts, max).unwrap();
            prop_assert_eq!(pixels(&prepared), pixels(&expected), "picture {} after {:?}", number, damage);
            held.push((pixels(&prepared), prepared));
            while held.len() > hold {
                let (was, frame) = held.remove(0);
                prop_assert_eq!(pixels(&frame), was, "a held picture changed");
            }
            let changed = Rect { x, y, width: w, height: h }.intersect(size(width, height).rect());
            let new = noise((changed.width * changed.height * 4) as usize, seed);
            for row in 0..changed.height {
                let to = ((changed.y + row) * width + changed.x) as usize * 4;
                let (from, len) = ((row * changed.width) as usize * 4, changed.width as usize * 4);
                picture[to..to + len].copy_from_slice(&new[from..from + len]);
            }
            damage = match seed % 5 {
                0 => Damage::Full,
                _ if changed.is_empty() => Damage::None,
                _ => Damage::Part(changed),
            };
        }
    }

    /// The damage of a prepared picture covers every pixel that differs from the picture before.
    #[test]
    fn prepared_damage_covers_what_changed(
        x in 0u32..96, y in 0u32..64, w in 1u32..30, h in 1u32..30,
        max in prop_oneof![Just(HUGE), 16u32..90],
    ) {
        let changed = Rect { x, y, width: w, height: h }.intersect(size(96, 64).rect());
        let mut picture = noise(96 * 64 * 4, 1);
        let mut converter = Converter::new();
        let before = converter.prepare(&bgra(picture.clone(), 96, 64), &[I420], size(max, max)).unwrap();
        for row in changed.y..changed.y + changed.height {
            let at = (row * 96 + changed.x) as usize * 4;
            picture[at..at + changed.width as usize * 4].iter_mut().for_each(|byte| *byte = !*byte);
        }
        let frame = bgra(picture, 96, 64).with_damage(Damage::Part(changed));
        let after = converter.prepare(&frame, &[I420], size(max, max)).unwrap();
        let covered = match after.damage() {
            Damage::Part(rect) => rect,
            Damage::Full => after.size().rect(),
            Damage::None => Rect::default(),
        };
        let (before, now) = (&pixels(&before)[0], &pixels(&after)[0]);
        for (at, (a, b)) in before.iter().zip(now).enumerate() {
            let (x, y) = (at as u32 % after.size().width(), at as u32 / after.size().width());
            prop_assert!(a == b || covered.contains(Rect { x, y, width: 1, height: 1 }), "{},{} {:?}", x, y, covered);
        }
    }
}
