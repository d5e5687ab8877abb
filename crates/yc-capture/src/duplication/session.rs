//! One capture of one output, from its first picture to its end.

use std::fmt;
use std::time::Duration;

use yc_media::{CaptureTime, Damage, FrameRate, Rect, Resolution, VideoFrame};

use super::canvas::{Canvas, Picture, Taken};
use super::view::View;
use super::{Duplication, Loss, News, Output, Refusal};
use crate::control::{Control, Wake};
use crate::pace::Pace;
use crate::picture::{BlankWatch, Pointer};
use crate::{CaptureError, CaptureErrorKind, CaptureEvent, CaptureSink, EndReason, PauseReason};

/// What is captured of an output, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// The part of the upright output; all of it if `None`.
    pub(crate) area: Option<Rect>,
    pub(crate) rate: FrameRate,
    /// Whether the pointer is drawn in.
    pub(crate) cursor: bool,
    /// Whether frames may stay on the GPU.
    pub(crate) gpu: bool,
    /// Whether pictures are compared with each other, where nobody tells what changed.
    pub(crate) compare: bool,
}

/// A capture of an output that was duplicated once.
pub(crate) struct Session<O: Output> {
    output: O,
    options: Options,
    clock: fn() -> CaptureTime,
    /// `None` while access is lost.
    duplication: Option<O::Duplication>,
    canvas: Canvas<O::Duplication>,
    kept: Kept,
    news: News,
    pointer: Pointer,
    blank: BlankWatch,
    pace: Pace,
    refresh: bool,
    /// When what the next frame shows happened.
    happened: Option<CaptureTime>,
    /// Since when the GPU copies the next frame.
    copying: Option<CaptureTime>,
    /// Since when there was no news because access was lost.
    lost: Option<CaptureTime>,
    retry_at: CaptureTime,
    paused: Option<PauseReason>,
    size: Resolution,
    /// The time of the frame delivered last.
    delivered: Option<CaptureTime>,
}

/// What is known of the kept picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Nothing,
    /// A picture that the system did not say was drawn: a still desktop, or nothing yet.
    Unsure,
    Sure,
}

/// Why a turn did not end as usual.
enum Stop {
    Lost,
    Ended(EndReason),
    Failed(CaptureError),
}

/// When the next turn is.
type Turn = Result<CaptureTime, Stop>;

impl<O: Output> Session<O> {
    /// Duplicates `output` for the first time.
    pub(crate) fn open(
        mut output: O,
        options: Options,
        clock: fn() -> CaptureTime,
    ) -> Result<Self, CaptureError> {
        let mut duplication = output.duplicate().map_err(Refusal::into_error::<O>)?;
        let view = View::new(duplication.mode(), options.area).ok_or_else(|| {
            error::<O>(CaptureErrorKind::NotFound, "looking for the region").with_source(format!(
                "{:?} is outside the output, {}",
                options.area,
                duplication.mode().size
            ))
        })?;
        let canvas = Canvas::new(view, options, &mut duplication).map_err(|loss| match loss {
            Loss::Access => lost_again::<O>(),
            Loss::Broken(error) => error,
        })?;
        let now = clock();
        Ok(Self {
            output,
            options,
            clock,
            duplication: Some(duplication),
            canvas,
            kept: Kept::Nothing,
            news: News::default(),
            pointer: Pointer::default(),
            blank: BlankWatch::default(),
            pace: Pace::new(options.rate, now),
            refresh: false,
            happened: None,
            copying: None,
            lost: None,
            retry_at: now,
            paused: None,
            size: view.size,
            delivered: None,
        })
    }

    pub(crate) fn size(&self) -> Resolution {
        self.size
    }

    /// Delivers events until the output is gone, the capture breaks or is stopped.
    pub(crate) fn run(mut self, control: &Control, mut sink: CaptureSink) {
        let mut tell = |event| {
            if !control.stopping() {
                sink(event);
            }
        };
        self.set_rate(control.rate());
        let mut until = (self.clock)();
        loop {
            match control.wait_until(Some(until)) {
                Wake::Stop => return,
                Wake::Rate(rate) => {
                    self.set_rate(rate);
                    until = until.min(self.pace.due());
                    continue;
                }
                Wake::Refresh => self.request_frame(),
                Wake::Due => {}
            }
            match self.turn(&mut tell) {
                Some(next) => until = next,
                None => return,
            }
        }
    }

    /// Wishes for the picture as it is, changed or not.
    pub(super) fn request_frame(&mut self) {
        self.refresh = true;
    }

    fn set_rate(&mut self, rate: FrameRate) {
        self.pace.set_rate(rate, (self.clock)());
    }

    /// Does what there is to do now and says when to come again; `None` if the last event was told. It waits
    /// for news at most [`PATIENCE`].
    pub(super) fn turn(&mut self, tell: &mut dyn FnMut(CaptureEvent)) -> Option<CaptureTime> {
        let turn = if self.duplication.is_none() { self.duplicate_again(tell) } else { self.look(tell) };
        match turn {
            Ok(next) => return Some(next),
            Err(Stop::Lost) => return self.lose(tell),
            Err(Stop::Ended(reason)) => tell(CaptureEvent::Ended(reason)),
            Err(Stop::Failed(error)) => tell(CaptureEvent::Failed(error)),
        }
        None
    }

    fn look(&mut self, tell: &mut dyn FnMut(CaptureEvent)) -> Turn {
        let now = (self.clock)();
        if self.copying.is_none() {
            if now < self.pace.due() && !self.refresh {
                // What happens until then is told in one, and costs no copy.
                return Ok(self.pace.due());
            }
            let timeout = if self.wants_frame() { Duration::ZERO } else { PATIENCE };
            let heard = self.listen(timeout, tell)?;
            if !self.wants_frame() {
                let now = (self.clock)();
                if heard {
                    // Changes elsewhere count as well: looking at them is paced like a frame.
                    self.pace.taken(now);
                }
                return Ok(now);
            }
        }
        self.deliver(tell)
    }

    /// Whether the kept picture is to be delivered.
    fn wants_frame(&self) -> bool {
        let moved = || self.options.cursor && !self.pointer.damage(self.size).is_empty();
        self.kept != Kept::Nothing && (self.refresh || self.canvas.is_dirty() || moved())
    }

    /// Waits for news and keeps them; `false` if there were none.
    fn listen(&mut self, timeout: Duration, tell: &mut dyn FnMut(CaptureEvent)) -> Result<bool, Stop> {
        let Some(duplication) = &mut self.duplication else { return Err(Stop::Lost) };
        if !duplication.acquire(timeout, &mut self.news)? {
            return Ok(false);
        }
        self.lost = None;
        let kept = self.keep(tell);
        if let Some(duplication) = &mut self.duplication {
            duplication.release()?;
        }
        kept.map(|()| true)
    }

    /// Takes over what was acquired.
    fn keep(&mut self, tell: &mut dyn FnMut(CaptureEvent)) -> Result<(), Stop> {
        self.adopt_mode(tell)?;
        let Some(duplication) = &mut self.duplication else { return Err(Stop::Lost) };
        let view = self.canvas.view();
        if self.news.presented.is_some() || self.kept == Kept::Nothing {
            let told = || self.news.changed.iter().map(|edges| edges.within(view.mode.size));
            let changed = match self.kept {
                Kept::Sure if !self.news.changed.is_empty() => {
                    told().fold(Rect::default(), Rect::union).intersect(view.window)
                }
                _ => view.window,
            };
            if !changed.is_empty() {
                duplication.keep(changed)?;
                self.canvas.add_damage(view.stored_part(changed));
                // The first picture may have been drawn long ago: it is one of now.
                self.happened = self.news.presented.filter(|_| self.kept == Kept::Sure).or(self.happened);
            }
            self.kept = if self.news.presented.is_some() { Kept::Sure } else { Kept::Unsure };
        }
        if let Some(shape) = self.news.shape.take() {
            self.pointer.set_shape(shape);
        }
        if let Some(pointer) = self.news.pointer {
            match pointer.position.map(|position| view.place(position)) {
                Some(place) => self.pointer.move_to(place),
                None => self.pointer.hide(),
            }
            self.happened = self.happened.max(Some(pointer.at));
        }
        Ok(())
    }

    /// Goes on with the mode of the duplication, if it is another.
    fn adopt_mode(&mut self, tell: &mut dyn FnMut(CaptureEvent)) -> Result<(), Stop> {
        let Some(duplication) = &mut self.duplication else { return Err(Stop::Lost) };
        let mode = duplication.mode();
        if mode == self.canvas.view().mode {
            return Ok(());
        }
        let view = View::new(mode, self.options.area).ok_or(Stop::Ended(EndReason::MonitorRemoved))?;
        self.canvas = Canvas::new(view, self.options, duplication)?;
        self.kept = Kept::Nothing;
        self.copying = None;
        if view.size != self.size {
            self.size = view.size;
            tell(CaptureEvent::Resized(view.size));
        }
        Ok(())
    }

    fn deliver(&mut self, tell: &mut dyn FnMut(CaptureEvent)) -> Turn {
        let Some(duplication) = &mut self.duplication else { return Err(Stop::Lost) };
        let pointer = self.options.cursor.then_some(&mut self.pointer);
        let wanted = self.refresh || self.delivered.is_none();
        let taken = self.canvas.take(duplication, pointer, wanted)?;
        let now = (self.clock)();
        match taken {
            Taken::Frame(picture) => {
                self.copying = None;
                self.refresh = false;
                self.pace.taken(now);
                self.tell_frame(picture, now, tell);
                Ok(self.pace.due())
            }
            Taken::Same => {
                self.copying = None;
                self.happened = None;
                self.pace.taken(now);
                Ok(self.pace.due())
            }
            Taken::NoMemory => {
                tracing::trace!("every picture is still in use: frame skipped");
                self.copying = None;
                self.pace.taken(now);
                Ok(if self.refresh { now + MEMORY_RETRY } else { self.pace.due() })
            }
            Taken::NotYet => {
                let since = *self.copying.get_or_insert(now);
                if now.saturating_since(since) > COPY_BOUND {
                    let error = error::<O>(CaptureErrorKind::DeviceLost, "reading a picture")
                        .with_source(format!("the GPU did not copy it within {COPY_BOUND:?}"));
                    return Err(Stop::Failed(error));
                }
                Ok(now + COPY_RETRY)
            }
        }
    }

    fn tell_frame(&mut self, picture: Picture, now: CaptureTime, tell: &mut dyn FnMut(CaptureEvent)) {
        let Picture { buffer, changed, blank } = picture;
        let damage = match self.delivered {
            Some(_) if changed.is_empty() => Damage::None,
            Some(_) if changed != self.size.rect() => Damage::Part(changed),
            _ => Damage::Full,
        };
        let mut time = self.happened.take().map_or(now, |happened| happened.min(now));
        if let Some(last) = self.delivered {
            // What happened before a repeated picture was taken comes after it.
            time = time.max(last + Duration::from_nanos(1));
        }
        self.delivered = Some(time);
        tell(CaptureEvent::Frame(VideoFrame::new(buffer, time).with_damage(damage)));
        if let Some(blank) = blank.and_then(|blank| self.blank.look(blank)) {
            tell(CaptureEvent::Blank(blank));
        }
    }

    /// Lets go of a duplication that gives nothing any more.
    fn lose(&mut self, tell: &mut dyn FnMut(CaptureEvent)) -> Option<CaptureTime> {
        let now = (self.clock)();
        self.duplication = None;
        self.kept = Kept::Nothing;
        self.copying = None;
        self.retry_at = match self.lost {
            // A mode that changed is there at once.
            None => now,
            Some(since) if now.saturating_since(since) > LOST_BOUND => {
                tell(CaptureEvent::Failed(lost_again::<O>()));
                return None;
            }
            Some(_) => now + RETRY,
        };
        self.lost.get_or_insert(now);
        Some(self.retry_at)
    }

    fn duplicate_again(&mut self, tell: &mut dyn FnMut(CaptureEvent)) -> Turn {
        let now = (self.clock)();
        if now < self.retry_at {
            return Ok(self.retry_at);
        }
        let since = *self.lost.get_or_insert(now);
        let too_long = now.saturating_since(since) > LOST_BOUND;
        match self.output.duplicate() {
            Ok(duplication) => {
                if self.paused.take().is_some() {
                    tell(CaptureEvent::Resumed);
                }
                // What pictures are made of is kept, unless the mode is another; their content is not.
                if duplication.mode() == self.canvas.view().mode {
                    let view = self.canvas.view();
                    self.canvas.add_damage(view.stored.rect());
                }
                self.duplication = Some(duplication);
                self.adopt_mode(tell)?;
                Ok(now)
            }
            Err(Refusal::Denied(error)) => {
                tracing::debug!(%error, "the desktop may not be seen now");
                self.pause(PauseReason::DesktopUnavailable, now, tell)
            }
            Err(Refusal::Hidden(reason)) => self.pause(reason, now, tell),
            Err(Refusal::Ended(reason)) => Err(Stop::Ended(reason)),
            Err(Refusal::Gone(_)) if too_long => Err(Stop::Ended(EndReason::MonitorRemoved)),
            Err(Refusal::Failed(error)) if too_long || error.kind() == CaptureErrorKind::DeviceLost => {
                Err(Stop::Failed(error))
            }
            Err(Refusal::Gone(error) | Refusal::Failed(error)) => {
                tracing::debug!(%error, "duplicating again");
                self.wait(now, RETRY)
            }
        }
    }

    /// Waits, however long it takes.
    fn pause(&mut self, reason: PauseReason, now: CaptureTime, tell: &mut dyn FnMut(CaptureEvent)) -> Turn {
        if self.paused.replace(reason) != Some(reason) {
            tell(CaptureEvent::Paused(reason));
        }
        self.lost = Some(now);
        self.wait(now, PAUSE_RETRY)
    }

    fn wait(&mut self, now: CaptureTime, interval: Duration) -> Turn {
        self.retry_at = now + interval;
        Ok(self.retry_at)
    }
}

impl<O: Output> fmt::Debug for Session<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("options", &self.options)
            .field("view", &self.canvas.view())
            .finish_non_exhaustive()
    }
}

impl Options {
    /// The pointer is drawn by the CPU.
    pub(super) fn gpu(&self) -> bool {
        self.gpu && !self.cursor
    }
}

impl Refusal {
    fn into_error<O: Output>(self) -> CaptureError {
        let missing = || error::<O>(CaptureErrorKind::NotFound, "looking at the source");
        match self {
            Self::Denied(error) | Self::Gone(error) | Self::Failed(error) => error,
            Self::Hidden(_) => missing().with_source("it shows nothing now"),
            Self::Ended(reason) => missing().with_source(reason.to_string()),
        }
    }
}

impl From<Loss> for Stop {
    fn from(loss: Loss) -> Self {
        match loss {
            Loss::Access => Self::Lost,
            Loss::Broken(error) => Self::Failed(error),
        }
    }
}

fn error<O: Output>(kind: CaptureErrorKind, doing: &'static str) -> CaptureError {
    CaptureError::new(kind, O::Duplication::NAME, doing)
}

fn lost_again<O: Output>() -> CaptureError {
    error::<O>(CaptureErrorKind::Failed, "duplicating the output")
        .with_source(format!("access to it is lost again and again, for more than {LOST_BOUND:?}"))
}

/// How long the thread waits in the system for news: it hears its owner no sooner. Stopping may take 200 ms.
const PATIENCE: Duration = Duration::from_millis(50);
/// How soon a copy that the GPU was not done with is looked at again.
const COPY_RETRY: Duration = Duration::from_millis(1);
/// How long the GPU may take for a copy. The system resets one that hangs after 2 s (Microsoft Learn,
/// "Timeout detection and recovery").
const COPY_BOUND: Duration = Duration::from_secs(3);
/// How soon a picture is wished for again that had no memory.
const MEMORY_RETRY: Duration = Duration::from_millis(10);
/// How soon an output that could not be duplicated is tried again.
const RETRY: Duration = Duration::from_millis(100);
/// The same while there is nothing to be seen, which a user ends.
const PAUSE_RETRY: Duration = Duration::from_millis(250);
/// How long a change of mode may take, with a monitor that is switched off and on by it.
const LOST_BOUND: Duration = Duration::from_secs(5);
