//! The thread of a capture, and what its owner tells it.

use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use yc_media::{CaptureTime, FrameRate};

use crate::clock;

/// What the owner of a capture asks of its thread.
pub(crate) struct Control {
    state: Mutex<State>,
    changed: Condvar,
    /// Wakes a thread that waits for something else than [`Control::wait_until`].
    wake: Option<Box<dyn Fn() + Send + Sync>>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    rate: FrameRate,
    rate_changed: bool,
    refresh: bool,
    stop: bool,
    finished: bool,
}

/// Why [`Control::wait_until`] returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    /// The time has come.
    Due,
    /// The current picture is wanted again.
    Refresh,
    /// The frame rate changed.
    Rate(FrameRate),
    /// The capture must end.
    Stop,
}

impl Control {
    /// For a thread that waits in [`Control::wait_until`].
    pub(crate) fn new(rate: FrameRate) -> Self {
        Self {
            state: Mutex::new(State {
                rate,
                rate_changed: false,
                refresh: false,
                stop: false,
                finished: false,
            }),
            changed: Condvar::new(),
            wake: None,
        }
    }

    /// For a thread that waits elsewhere and is woken by `wake`, which is called after every change.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "for backends that wait in the OS"))]
    pub(crate) fn with_wake(rate: FrameRate, wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self { wake: Some(Box::new(wake)), ..Self::new(rate) }
    }

    pub(crate) fn set_rate(&self, rate: FrameRate) {
        self.change(|state| {
            state.rate_changed |= state.rate != rate;
            state.rate = rate;
        });
    }

    pub(crate) fn request_frame(&self) {
        self.change(|state| state.refresh = true);
    }

    /// The frame rate to pace to.
    pub(crate) fn rate(&self) -> FrameRate {
        self.lock().rate
    }

    /// Whether the capture must end.
    pub(crate) fn stopping(&self) -> bool {
        self.lock().stop
    }

    /// Takes the wish for the current picture, if there is one.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "for backends that wait in the OS"))]
    pub(crate) fn take_refresh(&self) -> bool {
        std::mem::take(&mut self.lock().refresh)
    }

    /// Waits until `due`, or for ever without one, or until the owner wants something.
    pub(crate) fn wait_until(&self, due: Option<CaptureTime>) -> Wake {
        let mut state = self.lock();
        loop {
            if state.stop {
                return Wake::Stop;
            }
            if std::mem::take(&mut state.rate_changed) {
                return Wake::Rate(state.rate);
            }
            if std::mem::take(&mut state.refresh) {
                return Wake::Refresh;
            }
            state = match due.map(|due| due.saturating_since(clock::now())) {
                Some(Duration::ZERO) => return Wake::Due,
                Some(left) => {
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
        if let Some(wake) = &self.wake {
            wake();
        }
    }

    /// The state is plain values, consistent at every moment: a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Control").field(&*self.lock()).finish()
    }
}

/// A running capture thread. Dropping it stops the thread.
#[derive(Debug)]
pub(crate) struct Worker {
    control: Arc<Control>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Runs `body` on a thread called `name` until it returns; it must return soon after
    /// [`Control::stopping`] turned true.
    ///
    /// # Errors
    ///
    /// If the OS gives no thread.
    pub(crate) fn spawn(
        name: &str,
        control: Arc<Control>,
        body: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let finish = Finish(Arc::clone(&control));
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let _finish = finish;
            body();
        })?;
        Ok(Self { control, thread: Some(thread) })
    }

    /// Whether the thread has not ended by itself.
    pub(crate) fn is_running(&self) -> bool {
        self.thread.is_some() && !self.control.lock().finished
    }

    /// Ends the thread and waits for it, at most [`STOP_BOUND`]. One that hangs longer, in a sink that
    /// does not return, is left to itself; it delivers nothing more.
    pub(crate) fn stop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.control.change(|state| state.stop = true);
        if thread.thread().id() == std::thread::current().id() {
            // Called by the sink, on the very thread: it ends when the sink returns.
            return;
        }
        let (state, _) = self
            .control
            .changed
            .wait_timeout_while(self.control.lock(), STOP_BOUND, |state| !state.finished)
            .unwrap_or_else(PoisonError::into_inner);
        let finished = state.finished;
        drop(state);
        if finished {
            // A panic of the sink has been printed by the panic hook; there is nobody to hand it to.
            let _ = thread.join();
        } else {
            tracing::warn!(thread = thread.thread().name(), "capture thread hangs, leaving it behind");
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Says that the thread is over, also when it panics.
struct Finish(Arc<Control>);

impl Drop for Finish {
    fn drop(&mut self) {
        self.0.lock().finished = true;
        self.0.changed.notify_all();
    }
}

/// How long stopping waits for the thread: less than the 250 ms that the contract gives.
const STOP_BOUND: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn rate(fps: u32) -> FrameRate {
        FrameRate::new(fps).unwrap()
    }

    #[test]
    fn wishes_are_told_before_the_time_has_come_and_only_once() {
        let control = Control::new(rate(30));
        control.request_frame();
        control.set_rate(rate(30));
        control.set_rate(rate(10));
        let past = Some(CaptureTime::default());
        assert_eq!(control.wait_until(past), Wake::Rate(rate(10)));
        assert_eq!(control.wait_until(past), Wake::Refresh);
        assert_eq!(control.wait_until(past), Wake::Due);
    }

    #[test]
    fn stopping_wakes_the_thread_and_waits_for_it() {
        let control = Arc::new(Control::new(rate(30)));
        let (sender, receiver) = mpsc::channel();
        let thread_control = Arc::clone(&control);
        let mut worker = Worker::spawn("test", control, move || {
            sender.send(thread_control.wait_until(None)).unwrap();
        })
        .unwrap();
        worker.stop();
        assert_eq!(receiver.try_recv(), Ok(Wake::Stop));
        assert!(!worker.is_running());
        worker.stop();
    }

    #[test]
    fn a_thread_that_hangs_is_left_behind_within_the_bound() {
        let (release, held) = mpsc::channel::<()>();
        let mut worker = Worker::spawn("test", Arc::new(Control::new(rate(30))), move || {
            let _ = held.recv();
        })
        .unwrap();
        let before = clock::now();
        worker.stop();
        let took = clock::now().saturating_since(before);
        assert!(took >= STOP_BOUND && took < Duration::from_millis(250), "{took:?}");
        drop(release);
    }

    #[test]
    fn a_panic_in_the_thread_ends_it() {
        let mut worker =
            Worker::spawn("test", Arc::new(Control::new(rate(30))), || panic!("the sink broke")).unwrap();
        worker.stop();
        assert!(!worker.is_running());
    }
}
