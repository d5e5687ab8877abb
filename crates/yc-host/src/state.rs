//! What a host holds, and the steps between. No call into the OS, an encoder or the app is made under its lock.

use std::sync::mpsc::SyncSender;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

use yc_sender::{PreparedSender, Sender, SenderStatus, SrtpMasterKey, StopHandle};
use yc_sfu::messages::NativeSenderOffer;

use crate::abandon::Calls;
use crate::{Around, HostConfig, HostError, HostEvent, Phase, Prepared};

/// A source and an encoder that are open. The sender goes first: it may need what is around it to end.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) sender: PreparedSender,
    pub(crate) offer: NativeSenderOffer,
    /// The key in the offer; none where plain RTP was offered.
    pub(crate) key: Option<SrtpMasterKey>,
    pub(crate) stop_deadline: Duration,
    pub(crate) around: Around,
}

/// A share that runs. Its pump holds it until its last event was told.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) sender: Sender,
    pub(crate) stop_deadline: Duration,
    /// The thread that tells its events.
    pub(crate) pump: OnceLock<ThreadId>,
    _around: Around,
}

impl Running {
    pub(crate) fn new(sender: Sender, stop_deadline: Duration, around: Around) -> Self {
        Self { sender, stop_deadline, pump: OnceLock::new(), _around: around }
    }
}

/// Where a host is, with what it holds there.
#[derive(Debug)]
pub(crate) enum Step {
    Idle,
    /// Who waits for the prepare is told by this.
    Preparing(SyncSender<Result<Prepared, HostError>>),
    Prepared(Box<Ready>),
    Starting(StopHandle),
    Running(std::sync::Arc<Running>),
    Over,
}

#[derive(Debug)]
pub(crate) struct State {
    /// Counts prepares, starts and what ended them: what an older one still brings is not wanted.
    pub(crate) generation: u64,
    pub(crate) step: Step,
    /// The last status of the last share, since the last prepare.
    pub(crate) last: Option<SenderStatus>,
    /// Prepares and starts that are not wanted any more and have not closed what they opened.
    pub(crate) closing: usize,
}

impl State {
    /// Goes on to `step`. Answers with the step before, to be dropped outside the lock, and the new generation.
    pub(crate) fn go(&mut self, step: Step) -> (Step, u64) {
        self.generation += 1;
        let before = std::mem::replace(&mut self.step, step);
        (before, self.generation)
    }

    /// As [`State::go`], where what is under way is not wanted any more.
    pub(crate) fn cut_short(&mut self, step: Step) -> (Step, u64) {
        self.closing += usize::from(matches!(self.step, Step::Preparing(_) | Step::Starting(_)));
        self.go(step)
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.step {
            Step::Idle => Phase::Idle,
            Step::Preparing(_) => Phase::Preparing,
            Step::Prepared(_) => Phase::Prepared,
            Step::Starting(_) => Phase::Starting,
            Step::Running(_) => Phase::Running,
            Step::Over => Phase::Over,
        }
    }

    /// Refuses while a share is starting or running.
    pub(crate) fn refuse_second(&self) -> Result<(), HostError> {
        match self.step {
            Step::Starting(_) | Step::Running(_) => Err(HostError::new(
                HostError::ALREADY_RUNNING,
                "a share is starting or running: one at a time; stop it first",
            )),
            Step::Idle | Step::Preparing(_) | Step::Prepared(_) | Step::Over => Ok(()),
        }
    }
}

/// What the app's threads, an opening thread and a pump share.
pub(crate) struct Shared {
    pub(crate) config: HostConfig,
    pub(crate) calls: Calls,
    on_event: Box<dyn Fn(HostEvent) + Send + Sync>,
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    pub(crate) fn new(config: HostConfig, on_event: Box<dyn Fn(HostEvent) + Send + Sync>) -> Self {
        let state = State { generation: 0, step: Step::Idle, last: None, closing: 0 };
        let (state, changed) = (Mutex::new(state), Condvar::new());
        Self { config, calls: Calls::default(), on_event, state, changed }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // Nothing of ours panics under the lock; if it did, every step is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn notify(&self) {
        self.changed.notify_all();
    }

    /// Waits while `busy`, up to `bound`. Answers with the state and whether the time was enough.
    pub(crate) fn wait_while(
        &self,
        bound: Duration,
        busy: impl Fn(&State) -> bool,
    ) -> (MutexGuard<'_, State>, bool) {
        let (state, timeout) = self
            .changed
            .wait_timeout_while(self.state(), bound, |state| busy(state))
            .unwrap_or_else(PoisonError::into_inner);
        (state, !timeout.timed_out())
    }

    /// One prepare or start that was not wanted has closed what it opened.
    pub(crate) fn closed(&self) {
        self.state().closing -= 1;
        self.notify();
    }

    /// Tells the app. A panic of its own is its own: the share goes on.
    pub(crate) fn tell(&self, event: HostEvent) {
        let name = event.name();
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (self.on_event)(event)));
        if told.is_err() {
            tracing::error!(event = name, "the app's listener panicked");
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("config", &self.config).finish_non_exhaustive()
    }
}
