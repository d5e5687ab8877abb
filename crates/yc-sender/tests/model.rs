//! The places where a sender's threads meet, under a model checker: the real sources of the lifecycle and of
//! the frame queue, with the checker's locks in place of the system's. It runs them in every order (`every`)
//! or in many random ones (`random`), and fails where an assertion does or where nobody can go on.
//!
//! What it leaves out: it takes memory as sequentially consistent, and a wait with a timeout never times out.
//! The second makes these models strict: who is not woken waits for ever, which is a failure here.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::sync::Arc;
use std::time::Duration;

use shuttle::scheduler::{DfsScheduler, PctScheduler, RandomScheduler};
use shuttle::{Config, Runner, thread};
use yc_media::{CaptureTime, CpuBuffer, FrameBuffer, PixelFormat, PlaneLayout, Resolution, VideoFrame};
use yc_sender::{Reason, SenderState};

use lifecycle::{Life, Lifecycle};
use queue::{FrameQueue, Taken};
use sync::{AtomicBool, Ordering};

#[allow(dead_code, reason = "the models use their part")]
#[path = "../src/lifecycle.rs"]
mod lifecycle;
#[allow(dead_code, unreachable_pub, reason = "the models use their part of what the crate offers")]
#[path = "../src/queue.rs"]
mod queue;
#[path = "support/seed.rs"]
mod seed;

/// In place of `src/sync.rs`.
mod sync {
    pub(crate) use shuttle::sync::atomic::{AtomicBool, Ordering};
    pub(crate) use shuttle::sync::{Condvar, Mutex, MutexGuard, PoisonError};
}

/// Longer than anything may take. The checker never lets it pass.
const EVER: Duration = Duration::from_secs(3_600);

/// Runs `model` in every order there is: a few ten thousand take about a second each.
fn every(model: fn()) {
    const TOO_MANY: usize = 200_000;
    let orders = Runner::new(DfsScheduler::new(Some(TOO_MANY), false), config()).run(model);
    println!("all {orders} orders");
    assert!((2..TOO_MANY).contains(&orders), "{orders} orders: a model to make smaller, or for `random`");
}

/// Runs `model` in `orders` random orders, and in as many of which each has few switches, where most mistakes
/// show.
fn random(model: fn(), orders: usize) {
    let seed = seed::seed();
    Runner::new(RandomScheduler::new_from_seed(seed, orders), config()).run(model);
    Runner::new(PctScheduler::new_from_seed(seed, 3, orders), config()).run(model);
}

fn config() -> Config {
    let mut config = Config::new();
    // Which warn of what the head of this file says.
    config.silence_warnings = true;
    config
}

/// Runs `body` on a thread of the checker.
fn run<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> thread::JoinHandle<T> {
    thread::spawn(body)
}

/// Whether a sender in `state` goes nowhere but to its end.
fn ends(state: SenderState) -> bool {
    state == SenderState::Stopping || state.is_over()
}

#[test]
fn of_several_stops_one_wins_and_its_reason_stays() {
    fn model(reasons: &[Reason]) {
        let life = Arc::new(Lifecycle::new());
        assert!(life.begin_start());
        let stops: Vec<_> = reasons
            .iter()
            .map(|&reason| {
                let life = Arc::clone(&life);
                run(move || {
                    let first = life.begin_stop(reason);
                    assert!(life.is_stopping());
                    first.then_some(reason)
                })
            })
            .collect();
        let won: Vec<Reason> = stops.into_iter().filter_map(|stop| stop.join().unwrap()).collect();
        assert_eq!(won.len(), 1, "{won:?}");
        assert_eq!((life.now().state, life.now().reason), (SenderState::Stopping, Some(won[0])));
        life.end(true, || {});
        assert_eq!(life.now().state == SenderState::Failed, won[0].is_failure());
        assert_eq!(life.now().reason, Some(won[0]));
    }
    every(|| model(&[Reason::Requested, Reason::EncoderHung]));
    random(|| model(&[Reason::Requested, Reason::EncoderHung, Reason::WindowClosed]), 1_000);
}

/// Does `cause`, and sees that it changed nothing if the sender was stopping before.
fn cause(life: &Lifecycle, cause: impl FnOnce(&Lifecycle) -> bool) {
    let stopping = life.is_stopping();
    let took = cause(life);
    let state = life.now().state;
    if stopping {
        assert!(!took && ends(state), "{state:?}");
    }
    // The flag and the state change together.
    assert!(!ends(state) || life.is_stopping());
}

/// What the app and the sender's thread do between the start and whatever stops them.
fn live(life: &Lifecycle) {
    cause(life, Lifecycle::begin_start);
    cause(life, Lifecycle::started);
    for held_back in [true, false] {
        cause(life, |life| {
            life.hold_back(held_back);
            false
        });
    }
}

#[test]
fn nothing_leads_back_from_stopping() {
    every(|| {
        let life = Arc::new(Lifecycle::new());
        let living = {
            let life = Arc::clone(&life);
            run(move || {
                life.begin_start();
                life.started();
                life.hold_back(true);
            })
        };
        assert!(life.begin_stop(Reason::Requested));
        assert_eq!(life.now().state, SenderState::Stopping);
        life.end(true, || {});
        assert_eq!(life.now().state, SenderState::Stopped);
        living.join().unwrap();
        assert_eq!(life.now().state, SenderState::Stopped);
    });
    random(
        || {
            let life = Arc::new(Lifecycle::new());
            let living = Arc::clone(&life);
            let living = run(move || live(&living));
            let watched = Arc::clone(&life);
            let watching = run(move || {
                let mut ending = false;
                for _ in 0..6 {
                    let Life { state, reason, .. } = watched.now();
                    assert!(ends(state) || !ending, "{state:?} after its stop");
                    assert_eq!(reason.is_some(), ends(state));
                    ending = ends(state);
                }
            });
            assert!(life.begin_stop(Reason::SocketFailed));
            life.end(false, || {});
            living.join().unwrap();
            watching.join().unwrap();
            assert_eq!(life.now().state, SenderState::Failed);
        },
        1_000,
    );
}

#[test]
fn whoever_waits_for_the_end_is_woken_also_by_one_that_came_first() {
    every(|| {
        let life = Arc::new(Lifecycle::new());
        let waiting = [(); 2].map(|()| {
            let life = Arc::clone(&life);
            run(move || life.wait_for_end(EVER))
        });
        life.begin_stop(Reason::Requested);
        life.end(true, || {});
        for waiting in waiting {
            let Life { state, reason, all_ended } = waiting.join().unwrap();
            assert_eq!((state, reason, all_ended), (SenderState::Stopped, Some(Reason::Requested), true));
        }
    });
}

#[test]
fn a_stop_by_the_app_meets_the_supervisor_that_ends_a_failed_sender() {
    every(|| {
        let life = Arc::new(Lifecycle::new());
        life.begin_start();
        life.started();
        let supervisor = {
            let life = Arc::clone(&life);
            run(move || {
                let failed = life.begin_stop(Reason::EncoderHung);
                life.end(true, || {});
                failed
            })
        };
        let asked = life.begin_stop(Reason::Requested);
        let end = life.wait_for_end(EVER);
        let failed = supervisor.join().unwrap();
        assert!(asked != failed, "one of them was first");
        let expected = if failed {
            (SenderState::Failed, Some(Reason::EncoderHung))
        } else {
            (SenderState::Stopped, Some(Reason::Requested))
        };
        assert_eq!((end.state, end.reason), expected);
        // Once more, as dropping the sender does.
        assert!(!life.begin_stop(Reason::Requested));
        assert_eq!(life.wait_for_end(EVER), end);
    });
}

fn frame(number: u64) -> VideoFrame {
    let planes = [PlaneLayout { offset: 0, stride: 8 }];
    let size = Resolution::new(2, 2).unwrap();
    let buffer = CpuBuffer::new(Arc::new(vec![0u8; 16]), PixelFormat::Bgra8, size, &planes).unwrap();
    VideoFrame::new(FrameBuffer::Cpu(buffer), CaptureTime::from_epoch(Duration::from_nanos(number)))
}

/// One taker of a queue, as an encoder's stage is one.
#[derive(Debug, Clone)]
struct Taker {
    queue: Arc<FrameQueue>,
    revoked: Arc<AtomicBool>,
}

/// What a taker had of the queue until it ended.
#[derive(Debug, Default, PartialEq, Eq)]
struct Had {
    /// The numbers of the frames it took.
    frames: Vec<u64>,
    superseded: usize,
    wakes: usize,
}

impl Taker {
    fn new(queue: &Arc<FrameQueue>) -> Self {
        Self { queue: Arc::clone(queue), revoked: Arc::new(AtomicBool::new(false)) }
    }

    /// As `Shared::revoke`.
    fn revoke(&self) {
        self.revoked.store(true, Ordering::Release);
        self.queue.wake_all();
    }

    /// Takes until it is left out, the queue is closed, it got frame `last`, or it was woken.
    fn take_all(&self, last: u64) -> Had {
        let mut had = Had::default();
        loop {
            match self.queue.take_unless(EVER, || self.revoked.load(Ordering::Acquire)) {
                Taken::Closed => return had,
                Taken::Nothing => {
                    had.wakes += 1;
                    return had;
                }
                Taken::Frame { frame, superseded } => {
                    let number = frame.captured_at().since_epoch().as_nanos() as u64;
                    had.superseded += superseded;
                    had.frames.push(number);
                    if number == last {
                        return had;
                    }
                }
            }
        }
    }

    fn start(&self, last: u64) -> thread::JoinHandle<Had> {
        let taker = self.clone();
        run(move || taker.take_all(last))
    }
}

/// `FRAMES` are captured while one taker is left out and another takes its place.
fn succession(capacity: usize, frames: u64) {
    let queue = Arc::new(FrameQueue::new(capacity));
    let (old, new) = (Taker::new(&queue), Taker::new(&queue));
    let (had_old, had_new) = (old.start(frames), new.start(frames));
    let capture = {
        let queue = Arc::clone(&queue);
        run(move || (1..=frames).map(|number| queue.push(frame(number))).sum::<usize>())
    };
    old.revoke();
    let had_old = had_old.join().unwrap();
    let dropped = capture.join().unwrap();
    if had_old.frames.last() == Some(&frames) {
        queue.close();
    }
    let had_new = had_new.join().unwrap();
    let taken = had_old.frames.len() + had_new.frames.len();
    let accounted = taken + had_old.superseded + had_new.superseded + dropped;
    assert_eq!(accounted as u64, frames, "{had_old:?}, {had_new:?}, {dropped} dropped");
    for had in [&had_old, &had_new] {
        assert!(had.frames.is_sorted(), "{had:?}");
    }
}

#[test]
fn no_frame_is_lost_to_a_taker_that_is_left_out() {
    random(|| succession(1, 1), 1_000);
    random(|| succession(2, 3), 1_000);
    random(|| succession(1, 3), 1_000);
}

#[test]
fn whoever_is_left_out_ends_though_another_waits_too() {
    let model = || {
        let queue = Arc::new(FrameQueue::new(1));
        let (old, new) = (Taker::new(&queue), Taker::new(&queue));
        let (had_old, had_new) = (old.start(1), new.start(1));
        old.revoke();
        assert_eq!(had_old.join().unwrap(), Had::default());
        queue.close();
        assert_eq!(had_new.join().unwrap(), Had::default());
    };
    random(model, 1_000);
}

#[test]
fn closing_wakes_every_taker_and_leaves_no_frame_behind() {
    fn model(takers: usize) {
        let queue = Arc::new(FrameQueue::new(1));
        let takers: Vec<_> = (0..takers).map(|_| Taker::new(&queue).start(2)).collect();
        let capture = {
            let queue = Arc::clone(&queue);
            run(move || queue.push(frame(1)))
        };
        queue.close();
        let had: Vec<u64> = takers.into_iter().flat_map(|taker| taker.join().unwrap().frames).collect();
        capture.join().unwrap();
        assert!(had.is_empty() || had == [1], "{had:?}");
        assert_eq!(queue.depth(), 0);
    }
    every(|| model(1));
    random(|| model(2), 1_000);
}

#[test]
fn a_wake_reaches_one_of_two_takers() {
    let model = || {
        let queue = Arc::new(FrameQueue::new(1));
        let (told, woken) = shuttle::sync::mpsc::channel();
        let takers = [(); 2].map(|()| {
            let (taker, told) = (Taker::new(&queue), told.clone());
            run(move || {
                let had = taker.take_all(1);
                if had.wakes > 0 {
                    told.send(()).unwrap();
                }
                had.wakes
            })
        });
        queue.wake();
        woken.recv().unwrap();
        queue.close();
        let wakes: usize = takers.into_iter().map(|taker| taker.join().unwrap()).sum();
        assert_eq!(wakes, 1);
    };
    random(model, 1_000);
}

#[test]
fn a_wake_is_not_lost_to_a_taker_that_is_left_out() {
    let model = || {
        let queue = Arc::new(FrameQueue::new(1));
        let (old, new) = (Taker::new(&queue), Taker::new(&queue));
        let (had_old, had_new) = (old.start(1), new.start(1));
        old.revoke();
        queue.wake();
        assert_eq!(had_new.join().unwrap().wakes, 1);
        assert_eq!(had_old.join().unwrap(), Had::default());
    };
    random(model, 1_000);
}
