//! The queue between capture and encoder: bounded, and the newest frame wins.

use std::collections::VecDeque;
use std::time::Duration;

use yc_media::VideoFrame;

use crate::sync::{Condvar, Mutex, MutexGuard, PoisonError};

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
        // All, not one: a taker that is being left out would swallow the only call, and the frame wait until
        // `wake_all`.
        self.changed.notify_all();
        // The dropped frame's memory goes back to its pool here, outside the lock.
        usize::from(oldest.is_some())
    }

    /// Waits up to `timeout` for a frame and takes the newest.
    pub fn take(&self, timeout: Duration) -> Taken {
        self.take_unless(timeout, || false)
    }

    /// As [`take`](Self::take), for one of several takers: one for whom `left_out` holds takes nothing and is
    /// answered [`Taken::Closed`]. Who changes what `left_out` says calls [`wake_all`](Self::wake_all).
    pub fn take_unless(&self, timeout: Duration, left_out: impl Fn() -> bool) -> Taken {
        let state = self.lock();
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, timeout, |state| {
                state.frames.is_empty() && !state.woken && !state.closed && !left_out()
            })
            .unwrap_or_else(PoisonError::into_inner);
        if state.closed || left_out() {
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
        self.changed.notify_all();
    }

    /// Lets every taker look again whether it is left out.
    pub fn wake_all(&self) {
        drop(self.lock());
        self.changed.notify_all();
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
