//! The queue between capture and encoder: bounded, and the newest frame wins.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use yc_media::VideoFrame;

/// Frames on their way to the encoder. The capture's thread puts in and never waits; the encoder's thread
/// takes the newest and leaves the rest.
#[derive(Debug)]
pub struct FrameQueue {
    state: Mutex<State>,
    changed: Condvar,
    capacity: usize,
}

#[derive(Debug, Default)]
struct State {
    frames: VecDeque<VideoFrame>,
    woken: bool,
    closed: bool,
}

/// What [`FrameQueue::take`] found.
#[derive(Debug)]
#[non_exhaustive]
pub enum Taken {
    /// The newest frame. Its damage covers the older ones that were left out.
    Frame {
        /// The frame.
        frame: VideoFrame,
        /// How many older frames were left out for it.
        superseded: usize,
    },
    /// The time is up, or somebody called [`FrameQueue::wake`].
    Nothing,
    /// The queue is closed.
    Closed,
}

impl FrameQueue {
    /// An empty queue that holds up to `capacity` frames, at least one.
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        let state = State { frames: VecDeque::with_capacity(capacity), ..State::default() };
        Self { state: Mutex::new(state), changed: Condvar::new(), capacity }
    }

    /// Puts `frame` in. If there is no room the oldest frame makes it, and its damage goes to the one after
    /// it. Answers how many frames were dropped: 0 or 1; a closed queue drops `frame` itself.
    pub fn push(&self, frame: VideoFrame) -> usize {
        let mut state = self.lock();
        if state.closed {
            return 1;
        }
        let oldest = if state.frames.len() == self.capacity { state.frames.pop_front() } else { None };
        state.frames.push_back(frame);
        if let (Some(oldest), Some(next)) = (&oldest, state.frames.front_mut()) {
            let damage = oldest.damage().merge(next.damage());
            *next = next.clone().with_damage(damage);
        }
        drop(state);
        self.changed.notify_one();
        // The dropped frame's memory goes back to its pool here, outside the lock.
        usize::from(oldest.is_some())
    }

    /// Waits up to `timeout` for a frame and takes the newest.
    pub fn take(&self, timeout: Duration) -> Taken {
        let state = self.lock();
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, timeout, |state| {
                state.frames.is_empty() && !state.woken && !state.closed
            })
            .unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return Taken::Closed;
        }
        state.woken = false;
        let Some(mut frame) = state.frames.pop_back() else { return Taken::Nothing };
        let superseded = state.frames.len();
        for older in state.frames.drain(..) {
            let damage = older.damage().merge(frame.damage());
            frame = frame.with_damage(damage);
        }
        Taken::Frame { frame, superseded }
    }

    /// Ends the present or the next [`take`](Self::take) early.
    pub fn wake(&self) {
        self.lock().woken = true;
        self.changed.notify_one();
    }

    /// Drops what is in it and takes nothing more; `take` answers [`Taken::Closed`] from now on.
    pub fn close(&self) {
        let frames = {
            let mut state = self.lock();
            state.closed = true;
            std::mem::take(&mut state.frames)
        };
        self.changed.notify_all();
        drop(frames);
    }

    /// How many frames wait.
    pub fn depth(&self) -> usize {
        self.lock().frames.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock, so a poisoned state is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use yc_media::{CaptureTime, CpuBuffer, Damage, FrameBuffer, PixelFormat, PlaneLayout, Rect, Resolution};

    use super::*;

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
    fn a_wake_before_the_take_is_not_lost() {
        let queue = FrameQueue::new(2);
        queue.wake();
        assert!(matches!(queue.take(Duration::from_secs(60)), Taken::Nothing));
    }
}
