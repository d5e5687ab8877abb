//! The life of one sender: the one state machine, and where its threads meet over it.
//!
//! ```text
//!  Idle ─► Starting ─► Running ⇄ Degraded
//!   │         │           │          │
//!   └─────────┴───────────┴──────────┴─► Stopping ─► Stopped, or Failed
//! ```
//!
//! Whoever comes first decides why it stops; whoever comes later changes nothing. Everything that waits for
//! the end waits here, with a bound.

use std::time::Duration;

use crate::sync::{AtomicBool, Condvar, Mutex, MutexGuard, Ordering, PoisonError};
use crate::{Reason, SenderState};

/// The state of one sender, shared by its threads.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    machine: Mutex<Machine>,
    /// Told when it has stopped.
    ended: Condvar,
    /// Whether the state is `Stopping` or later: read once a packet, so without the lock.
    stopping: AtomicBool,
}

/// How a sender is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) state: SenderState,
    /// Why it stops, from `Stopping` on.
    pub(crate) reason: Option<Reason>,
    /// Whether every thread had ended, once it stopped.
    pub(crate) all_ended: bool,
}

/// What is changed under the lock.
#[derive(Debug)]
struct Machine {
    life: Life,
    /// Whether the degradation ladder holds something back.
    held_back: bool,
}

impl Machine {
    /// Goes on to `state`, if the machine allows it from where it is. Answers whether it did.
    fn go(&mut self, state: SenderState) -> bool {
        let allowed = allows(self.life.state, state);
        if allowed {
            self.life.state = state;
        }
        allowed
    }
}

impl Lifecycle {
    /// A sender that has not been started.
    pub(crate) fn new() -> Self {
        let life = Life { state: SenderState::Idle, reason: None, all_ended: false };
        let machine = Mutex::new(Machine { life, held_back: false });
        Self { machine, ended: Condvar::new(), stopping: AtomicBool::new(false) }
    }

    /// As it is now.
    pub(crate) fn now(&self) -> Life {
        self.lock().life
    }

    /// The app starts it. Answers whether it may: once, and not after a stop.
    pub(crate) fn begin_start(&self) -> bool {
        self.lock().go(SenderState::Starting)
    }

    /// A whole frame left. Answers whether it was the first: later ones change nothing.
    pub(crate) fn started(&self) -> bool {
        let mut machine = self.lock();
        let first = machine.life.state == SenderState::Starting && machine.go(SenderState::Running);
        if first && machine.held_back {
            machine.go(SenderState::Degraded);
        }
        first
    }

    /// Whether the degradation ladder holds something back from now on. It may begin to before the first
    /// frame left: that counts once it has.
    pub(crate) fn hold_back(&self, held_back: bool) {
        let mut machine = self.lock();
        machine.held_back = held_back;
        if machine.life.state != SenderState::Starting {
            machine.go(if held_back { SenderState::Degraded } else { SenderState::Running });
        }
    }

    /// Begins to stop for `reason`, if nothing did before. Answers whether this call was the first.
    pub(crate) fn begin_stop(&self, reason: Reason) -> bool {
        let mut machine = self.lock();
        let first = machine.go(SenderState::Stopping);
        if first {
            machine.life.reason = Some(reason);
            self.stopping.store(true, Ordering::Release);
        }
        first
    }

    /// It has stopped: `all_ended` says whether every thread ended or one was abandoned. `tell` is called if
    /// nobody said so before: who is told by it finds the state as it then is, and who waits for the end is
    /// woken after it. It must not block.
    pub(crate) fn end(&self, all_ended: bool, tell: impl FnOnce()) {
        let mut machine = self.lock();
        let failed = machine.life.reason.is_some_and(Reason::is_failure);
        let state = if failed { SenderState::Failed } else { SenderState::Stopped };
        if machine.go(state) {
            machine.life.all_ended = all_ended;
            tell();
        }
        drop(machine);
        self.ended.notify_all();
    }

    /// Whether it is stopping or has stopped.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Waits up to `timeout` until it has stopped. Answers how it is then.
    pub(crate) fn wait_for_end(&self, timeout: Duration) -> Life {
        let machine = self.lock();
        let (machine, _) = self
            .ended
            .wait_timeout_while(machine, timeout, |machine| !machine.life.state.is_over())
            .unwrap_or_else(PoisonError::into_inner);
        machine.life
    }

    fn lock(&self) -> MutexGuard<'_, Machine> {
        // No code that can panic runs under the lock.
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The machine: every transition there is.
pub(crate) const fn allows(from: SenderState, to: SenderState) -> bool {
    use SenderState::{Degraded, Failed, Idle, Running, Starting, Stopped, Stopping};
    matches!(
        (from, to),
        (Idle, Starting)
            | (Starting, Running)
            | (Running, Degraded)
            | (Degraded, Running)
            | (Idle | Starting | Running | Degraded, Stopping)
            | (Stopping, Stopped | Failed)
    )
}
