//! One list of backends at work: which one runs, which one is coming, and how far the change is.

use std::time::Duration;

use yc_media::CaptureTime;

use super::stage::{Call, Watchdog};
use super::stages::Handle;
use crate::retreat::Retreat;
use crate::{FallbackStep, Reason, RetreatConfig, WatchdogConfig};

/// The captures or the encoders of one sender.
#[derive(Debug)]
pub(super) struct Line {
    names: Vec<&'static str>,
    pub(super) retreat: Retreat,
    pub(super) running: Option<Handle>,
    watchdog: Watchdog,
    pub(super) turn: Option<Turn>,
    opening: Option<(Handle, Watchdog)>,
}

/// A change from one backend to another, or to a new instance of the same.
#[derive(Debug, Clone)]
pub(super) struct Turn {
    pub(super) step: FallbackStep,
    /// The backend in use before.
    pub(super) from: &'static str,
    /// The backend that comes.
    pub(super) index: usize,
    pub(super) reason: Reason,
    pub(super) detail: String,
    pub(super) began: CaptureTime,
    /// Not to be opened before.
    pub(super) at: CaptureTime,
    /// Whether it has opened, and its first output is waited for.
    pub(super) opened: bool,
}

impl Turn {
    pub(super) fn new(from: &'static str, reason: Reason, detail: String, now: CaptureTime) -> Self {
        let step = FallbackStep::Browser;
        Self { step, from, index: 0, reason, detail, began: now, at: now, opened: false }
    }
}

/// Which of a line's stages are stuck, and in which call.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Hung {
    pub(super) running: Option<Call>,
    pub(super) opening: Option<Call>,
}

impl Line {
    pub(super) fn new(
        names: Vec<&'static str>,
        config: RetreatConfig,
        running: Handle,
        now: CaptureTime,
    ) -> Self {
        let mut retreat = Retreat::new(config, names.len(), running.index);
        // They were tried before it, and passed over.
        (0..running.index).for_each(|index| retreat.put_aside(index, now));
        Self {
            names,
            retreat,
            running: Some(running),
            watchdog: Watchdog::default(),
            turn: None,
            opening: None,
        }
    }

    /// The backend in use, or that was.
    pub(super) fn name(&self) -> &'static str {
        let index = self.running.as_ref().map_or(self.retreat.current(), |handle| handle.index);
        self.name_of(index)
    }

    pub(super) fn name_of(&self, index: usize) -> &'static str {
        self.names.get(index).copied().unwrap_or("none")
    }

    pub(super) fn opening_name(&self) -> &'static str {
        self.opening.as_ref().map_or("none", |(handle, _)| self.name_of(handle.index))
    }

    pub(super) fn is_running(&self, generation: u64) -> bool {
        self.running.as_ref().is_some_and(|handle| handle.stage.generation == generation)
    }

    pub(super) fn is_opening(&self, generation: u64) -> bool {
        self.opening.as_ref().is_some_and(|(handle, _)| handle.stage.generation == generation)
    }

    /// Begins a change.
    pub(super) fn turn(&mut self, turn: Turn) {
        self.turn = Some(Turn { opened: false, ..turn });
    }

    /// When something of the change is to be done, if it waits for its time.
    pub(super) fn turn_at(&self) -> Option<CaptureTime> {
        let turn = self.turn.as_ref()?;
        (self.opening.is_none() && !turn.opened).then_some(turn.at)
    }

    /// The backend to open by `now`.
    pub(super) fn due(&self, now: CaptureTime) -> Option<usize> {
        let at = self.turn_at()?;
        let turn = self.turn.as_ref()?;
        (at <= now).then_some(turn.index)
    }

    /// The backend that comes is opening.
    pub(super) fn opening(&mut self, handle: Handle) {
        self.opening = Some((handle, Watchdog::default()));
    }

    /// It has opened: the change, and the stage to begin with.
    pub(super) fn take_opened(&mut self) -> Option<(Turn, Handle)> {
        let (handle, _) = self.opening.take()?;
        let turn = self.turn.as_mut()?;
        turn.opened = true;
        Some((turn.clone(), handle))
    }

    /// It cannot be opened: the change that came to nothing, and the stage to leave.
    pub(super) fn take_opening(&mut self) -> Option<(Turn, Option<Handle>)> {
        let handle = self.opening.take().map(|(handle, _)| handle);
        Some((self.turn.take()?, handle))
    }

    /// `handle` is in use from now on.
    pub(super) fn use_now(&mut self, handle: Handle) {
        self.watchdog = Watchdog::default();
        self.running = Some(handle);
    }

    /// Everything that runs or is coming.
    pub(super) fn take_all(&mut self) -> Vec<Handle> {
        let opening = self.opening.take().map(|(handle, _)| handle);
        self.running.take().into_iter().chain(opening).collect()
    }

    /// The first output of stage `generation`: the change that is complete by it.
    pub(super) fn proven(&mut self, generation: u64) -> Option<Turn> {
        if !self.is_running(generation) {
            return None;
        }
        self.turn.take_if(|turn| turn.opened)
    }

    /// Looks for calls that do not return.
    pub(super) fn look(&mut self, step: Duration, deadlines: &WatchdogConfig) -> Hung {
        let mut hung = Hung::default();
        if let Some(handle) = &self.running {
            hung.running = self.watchdog.look(&handle.stage, step, deadlines);
        }
        if let Some((handle, watchdog)) = &mut self.opening {
            hung.opening = watchdog.look(&handle.stage, step, deadlines);
        }
        hung
    }
}
