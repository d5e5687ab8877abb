//! Running for long costs nothing more, and stopping at any time leaves nothing behind.

use std::collections::VecDeque;

use yc_encode::{EncoderEntry, FrameOptions};
use yc_media::{Damage, Rect, Resolution, VideoFrame};

use crate::memory;
use crate::scenes::{Kind, Scene};
use crate::stream::{Stream, config, for_each_encoder_alone, size};

/// A second of frames, drawn before anything is counted, with the damage of typing in each.
fn typing() -> Vec<VideoFrame> {
    let scene = Scene::new(Kind::Typing, size(640, 360));
    let part = Rect { x: 0, y: 120, width: 640, height: 120 };
    (0..30).map(|n| scene.frame(n, 30).with_damage(Damage::Part(part))).collect()
}

#[test]
fn nothing_is_allocated_for_a_frame_once_the_stream_runs() {
    for_each_encoder_alone(|entry| {
        nothing_is_allocated(entry, size(640, 360));
        nothing_is_allocated(entry, size(400, 400));
    });
}

/// As the encoder takes it, or scaled down first.
fn nothing_is_allocated(entry: &EncoderEntry, bounds: Resolution) {
    let pictures = typing();
    let mut stream = Stream::open(entry, &config(2_000, bounds));
    // What the network side keeps for repair: a second of access units.
    let mut kept = VecDeque::with_capacity(64);
    let mut run = |stream: &mut Stream, frames: std::ops::Range<u64>| {
        let mut most = 0;
        for n in frames {
            let picture = &pictures[n as usize % 30];
            let at = picture.captured_at() + std::time::Duration::from_secs(n / 30);
            let picture = if n % 3 == 2 {
                picture.repeated_at(at)
            } else {
                picture.repeated_at(at).with_damage(picture.damage())
            };
            let options = if n % 70 == 69 { FrameOptions::keyframe() } else { FrameOptions::delta() };
            // C++ allocates elsewhere.
            let encode = || kept.extend(stream.encode(&picture, options));
            most = most.max(allocation_counter::measure(encode).count_total);
            while kept.len() > 30 {
                kept.pop_front();
            }
        }
        most
    };
    run(&mut stream, 0..150);
    let resident = memory::resident();
    let most = run(&mut stream, 150..600);
    assert_eq!(most, 0, "{} allocates in its steady state", entry.name);
    if let (Some(before), Some(after)) = (resident, memory::resident()) {
        let grown = after.saturating_sub(before) / 1024;
        println!("{}: {grown} KiB grown over 15 seconds", entry.name);
        assert!(grown < 16 * 1024, "{grown} KiB grown over 15 seconds");
    }
}

#[test]
fn dropping_in_mid_stream_leaves_nothing_behind() {
    for_each_encoder_alone(|entry| {
        let pictures = typing();
        let run = |threads: u8, frames: usize| {
            let mut stream = Stream::open(entry, &config(2_000, size(640, 360)).with_threads(threads));
            for picture in &pictures[..frames] {
                stream.encode(picture, FrameOptions::delta());
            }
            // The last frame is submitted and never polled.
            let picture = stream.prepare(&pictures[frames]);
            stream.encoder.submit(&picture, FrameOptions::keyframe()).unwrap();
        };
        for cycle in 0..10 {
            run(1 + cycle % 4, 2);
        }
        let (resident, threads) = (memory::resident(), threads());
        for cycle in 0..40 {
            run(1 + cycle % 4, usize::from(cycle % 4));
        }
        if let (Some(before), Some(after)) = (resident, memory::resident()) {
            let grown = after.saturating_sub(before) / 1024;
            println!("{}: {grown} KiB grown over 40 cycles", entry.name);
            assert!(grown < 24 * 1024, "{grown} KiB grown over 40 cycles");
        }
        assert_eq!(self::threads(), threads, "threads are left behind");
    });
}

/// Streams with threads that begin, change their size and end beside each other do not harm each other.
#[test]
fn streams_with_threads_come_and_go_beside_each_other() {
    for_each_encoder_alone(|entry| {
        std::thread::scope(|scope| {
            for worker in 0..3u32 {
                scope.spawn(move || {
                    let scene = Scene::new(Kind::Scroll, size(320, 192));
                    let other = Scene::new(Kind::Scroll, size(352, 288));
                    for cycle in 0..40u32 {
                        let threads = 2 + ((worker + cycle) % 3) as u8;
                        let mut stream =
                            Stream::open(entry, &config(1_000, size(352, 288)).with_threads(threads));
                        for n in 0..3 {
                            let picture = if n == 1 { other.frame(n, 30) } else { scene.frame(n, 30) };
                            stream.encode(&picture, FrameOptions::delta()).unwrap();
                        }
                    }
                });
            }
        });
    });
}

/// Threads of this process; 0 where the system does not say.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}
