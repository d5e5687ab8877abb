//! What `queue.rs` promises, one thread at a time; `tests/model.rs` has the threads.

use std::sync::Arc;
use std::time::Duration;

use yc_media::{
    CaptureTime, CpuBuffer, Damage, FrameBuffer, PixelFormat, PlaneLayout, Rect, Resolution, VideoFrame,
};

use crate::{FrameQueue, Taken};

fn frame(millis: u64, x: u32) -> VideoFrame {
    let size = Resolution::new(16, 2).unwrap();
    let memory = Arc::new(vec![0u8; 128]);
    let planes = [PlaneLayout { offset: 0, stride: 64 }];
    let buffer = CpuBuffer::new(memory, PixelFormat::Bgra8, size, &planes).unwrap();
    VideoFrame::new(FrameBuffer::Cpu(buffer), CaptureTime::from_epoch(Duration::from_millis(millis)))
        .with_damage(Damage::Part(Rect { x, y: 0, width: 1, height: 1 }))
}

fn newest(queue: &FrameQueue) -> (u64, usize, Damage) {
    match queue.take(Duration::ZERO) {
        Taken::Frame { frame, superseded } => {
            (frame.captured_at().since_epoch().as_millis() as u64, superseded, frame.damage())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_newest_frame_wins_and_stands_for_the_damage_of_the_others() {
    let queue = FrameQueue::new(6);
    for n in 0..3 {
        assert_eq!(queue.push(frame(n, n as u32)), 0);
    }
    assert_eq!(queue.depth(), 3);
    let damage = Damage::Part(Rect { x: 0, y: 0, width: 3, height: 1 });
    assert_eq!(newest(&queue), (2, 2, damage));
    assert!(matches!(queue.take(Duration::ZERO), Taken::Nothing));
}

#[test]
fn a_full_queue_drops_its_oldest_and_keeps_its_damage() {
    let queue = FrameQueue::new(2);
    let dropped: usize = (0..5).map(|n| queue.push(frame(n, n as u32))).sum();
    assert_eq!(dropped, 3);
    assert_eq!(newest(&queue), (4, 1, Damage::Part(Rect { x: 0, y: 0, width: 5, height: 1 })));
}

#[test]
fn a_queue_of_one_keeps_the_damage_too() {
    let queue = FrameQueue::new(1);
    queue.push(frame(0, 0));
    assert_eq!(queue.push(frame(1, 7)), 1);
    assert_eq!(newest(&queue), (1, 0, Damage::Part(Rect { x: 0, y: 0, width: 8, height: 1 })));
}

#[test]
fn closing_ends_a_waiting_take_and_frees_the_frames() {
    let queue = Arc::new(FrameQueue::new(2));
    let waiting = {
        let queue = Arc::clone(&queue);
        #[expect(clippy::disallowed_methods, reason = "joined below")]
        std::thread::spawn(move || matches!(queue.take(Duration::from_secs(60)), Taken::Closed))
    };
    queue.close();
    assert!(waiting.join().unwrap());
    assert_eq!(queue.push(frame(0, 0)), 1);
    assert_eq!(queue.depth(), 0);
}

#[test]
fn a_taker_that_is_left_out_leaves_the_frame_to_the_next() {
    let queue = FrameQueue::new(2);
    queue.push(frame(0, 0));
    assert!(matches!(queue.take_unless(Duration::ZERO, || true), Taken::Closed));
    assert_eq!(queue.depth(), 1);
    assert_eq!(newest(&queue).0, 0);
}

#[test]
fn a_wake_before_the_take_is_not_lost() {
    let queue = FrameQueue::new(2);
    queue.wake();
    assert!(matches!(queue.take(Duration::from_secs(60)), Taken::Nothing));
}
