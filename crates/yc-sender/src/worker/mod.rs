//! The threads, and the only place that reads the clock.

mod encode;
mod send;
mod shared;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, TryRecvError, bounded};
use yc_capture::clock;
use yc_media::CaptureTime;

use crate::{SenderError, SenderErrorKind, StopReason};

pub(crate) use encode::{Encoding, run_encode};
pub(crate) use send::run_send;
pub(crate) use shared::{Shared, capture_sink};

/// Now, on the capture clock.
pub(crate) fn now() -> CaptureTime {
    clock::now()
}

/// The time of day at `at`: since 1970-01-01T00:00:00Z.
pub(crate) fn unix(at: CaptureTime) -> Duration {
    clock::to_unix(at)
}

/// One of the sender's own threads.
#[derive(Debug)]
pub(crate) struct Worker {
    thread: Option<JoinHandle<()>>,
    ended: Receiver<()>,
}

impl Worker {
    /// Runs `body` on a thread called `name`. A panic in it ends the sender, not the process.
    pub(crate) fn spawn(
        name: &'static str,
        shared: Arc<Shared>,
        body: impl FnOnce() + Send + 'static,
    ) -> Result<Self, SenderError> {
        let (end, ended) = bounded(1);
        let on_failure = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
            if let Err(panic) = result {
                let text = panic
                    .downcast_ref::<&str>()
                    .map(|text| (*text).to_owned())
                    .or_else(|| panic.downcast_ref::<String>().cloned())
                    .unwrap_or_else(|| "no message".to_owned());
                shared.finish(StopReason::InternalError, Some(format!("{name} panicked: {text}")));
            }
            drop(end);
        });
        match thread {
            Ok(thread) => Ok(Self { thread: Some(thread), ended }),
            Err(error) => {
                on_failure.finish(StopReason::InternalError, Some(error.to_string()));
                Err(SenderError::new(SenderErrorKind::Resources, error))
            }
        }
    }
}

/// Waits up to `deadline` in all for the workers to end; abandons the rest. Answers whether all ended.
pub(crate) fn join_all(workers: &mut Vec<Worker>, deadline: Duration) -> bool {
    let until = now() + deadline;
    let mut all = true;
    for mut worker in workers.drain(..) {
        // The other end is dropped when the thread's work is done: that is the signal.
        let _ = worker.ended.recv_timeout(until.saturating_since(now()));
        let ended = matches!(worker.ended.try_recv(), Err(TryRecvError::Disconnected));
        match worker.thread.take() {
            Some(thread) if ended => {
                // It caught its own panics.
                let _ = thread.join();
            }
            _ => {
                tracing::error!(?deadline, "a thread of the sender does not end and is abandoned");
                all = false;
            }
        }
    }
    all
}
