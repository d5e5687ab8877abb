//! The threads, and the only place that reads the clock.

mod capture;
mod encode;
mod lines;
mod send;
mod shared;
mod stage;
mod stages;
mod supervise;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, TryRecvError, bounded};
use yc_capture::clock;
use yc_media::CaptureTime;

use crate::failure::{self, Failure};
use crate::{SenderError, SenderErrorKind};

pub(crate) use send::spawn_send;
pub(crate) use shared::{Encoded, Ends, Shared};
pub(crate) use stages::{Stages, stopped};
pub(crate) use supervise::Supervisor;

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
    name: &'static str,
    thread: Option<JoinHandle<()>>,
    ended: Receiver<()>,
}

impl Worker {
    /// Runs `body` on a thread called `name`. A panic in it is given to `on_panic` in words.
    pub(crate) fn spawn(
        name: &'static str,
        body: impl FnOnce() + Send + 'static,
        on_panic: impl FnOnce(String) + Send + 'static,
    ) -> Result<Self, SenderError> {
        let (end, ended) = bounded(1);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
            if let Err(panic) = result {
                let text = panic
                    .downcast_ref::<&str>()
                    .map(|text| (*text).to_owned())
                    .or_else(|| panic.downcast_ref::<String>().cloned())
                    .unwrap_or_else(|| "no message".to_owned());
                on_panic(format!("{name} panicked: {text}"));
            }
            drop(end);
        });
        let thread = thread.map_err(|error| SenderError::new(SenderErrorKind::Resources, error))?;
        Ok(Self { name, thread: Some(thread), ended })
    }

    /// Whether its work is done.
    pub(crate) fn has_ended(&self) -> bool {
        // The other end is dropped when the work is done: that is the signal.
        matches!(self.ended.try_recv(), Err(TryRecvError::Disconnected))
    }

    /// Waits until `until` for it to end. One that does not is left to itself; the answer is then `false`.
    pub(crate) fn join_by(mut self, until: CaptureTime) -> bool {
        let _ = self.ended.recv_timeout(until.saturating_since(now()));
        let ended = self.has_ended();
        if ended && let Some(thread) = self.thread.take() {
            // It caught its own panics.
            let _ = thread.join();
        }
        if !ended {
            tracing::error!(thread = self.name, "a thread of the sender does not end and is abandoned");
        }
        ended
    }
}

/// Ends the sender because one of its own threads panicked.
fn end_by_panic(shared: &Arc<Shared>) -> impl FnOnce(String) + Send + 'static {
    let shared = Arc::clone(shared);
    move |text| shared.finish(failure::judge(Failure::Panicked).reason, Some(text))
}
