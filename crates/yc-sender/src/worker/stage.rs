//! One stage's thread as it is seen from outside: which call it is in, and whether it still counts.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use crate::WatchdogConfig;
use crate::backends::BackendKind;

/// The three stages whose calls leave our own code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StageKind {
    Capture,
    Encoder,
    Transport,
}

impl From<BackendKind> for StageKind {
    fn from(kind: BackendKind) -> Self {
        match kind {
            BackendKind::Capture => Self::Capture,
            BackendKind::Encoder => Self::Encoder,
        }
    }
}

impl StageKind {
    /// The name of its thread.
    pub(crate) const fn thread(self) -> &'static str {
        match self {
            Self::Capture => "yc-capture",
            Self::Encoder => "yc-encode",
            Self::Transport => "yc-send",
        }
    }
}

/// A call that leaves our own code: into the OS, a driver, an encoder, or a backend of the app's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Call {
    Open,
    Start,
    SetFrameRate,
    RequestFrame,
    StopCapture,
    Convert,
    Submit,
    Poll,
    SetRate,
    Send,
    Receive,
    Wait,
    Drop,
}

impl Call {
    const ALL: [Self; 13] = [
        Self::Open,
        Self::Start,
        Self::SetFrameRate,
        Self::RequestFrame,
        Self::StopCapture,
        Self::Convert,
        Self::Submit,
        Self::Poll,
        Self::SetRate,
        Self::Send,
        Self::Receive,
        Self::Wait,
        Self::Drop,
    ];

    /// In words, after "is".
    pub(crate) const fn doing(self) -> &'static str {
        match self {
            Self::Open => "opening",
            Self::Start => "starting",
            Self::SetFrameRate => "setting the frame rate",
            Self::RequestFrame => "asking for a picture",
            Self::StopCapture => "stopping",
            Self::Convert => "converting a picture",
            Self::Submit => "encoding a picture",
            Self::Poll => "taking an access unit",
            Self::SetRate => "setting the rate",
            Self::Send => "sending",
            Self::Receive => "receiving",
            Self::Wait => "waiting",
            Self::Drop => "closing",
        }
    }

    /// How long it may take.
    pub(crate) fn deadline(self, kind: StageKind, config: &WatchdogConfig) -> Duration {
        match (self, kind) {
            (Self::Open | Self::Start, _) => config.open,
            (_, StageKind::Capture) => config.capture,
            (_, StageKind::Encoder) => config.encode,
            (_, StageKind::Transport) => config.send,
        }
    }
}

/// One stage's thread, one instance of a backend.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) kind: StageKind,
    /// Rises with every stage of the sender.
    pub(crate) generation: u64,
    /// Odd while a call is under way; changes with every call that begins or returns.
    sequence: AtomicU64,
    call: AtomicU8,
    revoked: AtomicBool,
}

impl Stage {
    pub(crate) fn new(kind: StageKind, generation: u64) -> Self {
        Self {
            kind,
            generation,
            sequence: AtomicU64::new(0),
            call: AtomicU8::new(0),
            revoked: AtomicBool::new(false),
        }
    }

    /// Does `work`, seen from outside as `call`.
    pub(crate) fn call<T>(&self, call: Call, work: impl FnOnce() -> T) -> T {
        self.call.store(call as u8, Ordering::Relaxed);
        self.sequence.fetch_add(1, Ordering::Release);
        let result = work();
        self.sequence.fetch_add(1, Ordering::Release);
        result
    }

    /// From now on nothing that this stage does counts: it ends as soon as it notices.
    pub(crate) fn revoke(&self) {
        self.revoked.store(true, Ordering::Release);
    }

    pub(crate) fn is_revoked(&self) -> bool {
        self.revoked.load(Ordering::Acquire)
    }

    /// Which call is under way, with a number that no other call of this stage has.
    fn under_way(&self) -> Option<(u64, Call)> {
        let sequence = self.sequence.load(Ordering::Acquire);
        let call = Call::ALL[self.call.load(Ordering::Relaxed) as usize];
        (sequence % 2 == 1).then_some((sequence, call))
    }
}

/// Sees a stage that is stuck in one call. Looks at it in steps: time that passes unobserved, because the
/// machine slept or did not run the observer, is not held against the stage.
#[derive(Debug, Default)]
pub(crate) struct Watchdog {
    seen: Option<u64>,
    stuck: Duration,
}

/// The most that one step counts for.
const LONGEST_STEP: Duration = Duration::from_millis(300);

impl Watchdog {
    /// Looks at `stage`, `step` after the look before. Answers with the call that took too long.
    pub(crate) fn look(&mut self, stage: &Stage, step: Duration, config: &WatchdogConfig) -> Option<Call> {
        let Some((sequence, call)) = stage.under_way() else {
            *self = Self::default();
            return None;
        };
        if self.seen != Some(sequence) {
            *self = Self { seen: Some(sequence), stuck: Duration::ZERO };
            return None;
        }
        self.stuck += step.min(LONGEST_STEP);
        (self.stuck >= call.deadline(stage.kind, config)).then_some(call)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc;

    use super::*;

    const STEP: Duration = Duration::from_millis(250);

    /// A stage that is inside `call` until the returned sender is dropped.
    fn stuck_in(call: Call) -> (Arc<Stage>, mpsc::Sender<()>, std::thread::JoinHandle<()>) {
        let stage = Arc::new(Stage::new(StageKind::Encoder, 1));
        let (release, held) = mpsc::channel::<()>();
        let (began, begun) = mpsc::channel();
        let inside = Arc::clone(&stage);
        #[expect(clippy::disallowed_methods, reason = "joined by the test")]
        let thread = std::thread::spawn(move || {
            inside.call(call, || {
                began.send(()).unwrap();
                let _ = held.recv();
            });
        });
        begun.recv().unwrap();
        (stage, release, thread)
    }

    #[test]
    fn a_call_that_does_not_return_is_seen_after_its_deadline() {
        let (stage, release, thread) = stuck_in(Call::Submit);
        let mut watchdog = Watchdog::default();
        let config = WatchdogConfig::default();
        let looks: Vec<_> = (0..10).map(|_| watchdog.look(&stage, STEP, &config)).collect();
        assert_eq!(looks[..8], [None; 8], "2 s are eight steps after the first look");
        assert_eq!(looks[8], Some(Call::Submit));
        drop(release);
        thread.join().unwrap();
        assert_eq!(watchdog.look(&stage, STEP, &config), None);
    }

    #[test]
    fn time_that_nobody_looked_is_not_held_against_it() {
        let (stage, release, thread) = stuck_in(Call::Poll);
        let mut watchdog = Watchdog::default();
        let config = WatchdogConfig::default();
        watchdog.look(&stage, STEP, &config);
        // The machine slept for an hour in the middle of the call.
        assert_eq!(watchdog.look(&stage, Duration::from_secs(3_600), &config), None);
        drop(release);
        thread.join().unwrap();
    }

    #[test]
    fn many_short_calls_are_not_one_long_one() {
        let stage = Stage::new(StageKind::Transport, 1);
        let mut watchdog = Watchdog::default();
        for _ in 0..100 {
            stage.call(Call::Send, || {});
            assert_eq!(watchdog.look(&stage, STEP, &WatchdogConfig::default()), None);
        }
    }

    #[test]
    fn opening_may_take_longer_than_running() {
        let config = WatchdogConfig::default();
        assert_eq!(Call::Open.deadline(StageKind::Encoder, &config), config.open);
        assert_eq!(Call::Submit.deadline(StageKind::Encoder, &config), config.encode);
        assert_eq!(Call::StopCapture.deadline(StageKind::Capture, &config), config.capture);
        assert_eq!(Call::Send.deadline(StageKind::Transport, &config), config.send);
        assert!(Call::ALL.iter().enumerate().all(|(n, call)| *call as usize == n));
    }
}
