//! One capture of one source, from its first picture to its end.

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::EventfdFlags;
use yc_media::{CaptureTime, Damage, Resolution, VideoFrame};

use super::NAME;
use super::cursor::Cursor;
use super::display::Display;
use super::grab::{Grabbed, Grabber};
use super::inbox::Inbox;
use super::source::{Source, Status};
use crate::control::Control;
use crate::pace::Pace;
use crate::{
    CaptureConfig, CaptureError, CaptureErrorKind, CaptureEvent, CaptureSink, EndReason, PauseReason, clock,
};

/// A source that was found and can be captured.
pub(super) struct Session {
    control: Arc<Control>,
    wake: Arc<OwnedFd>,
    display: Display,
    inbox: Inbox,
    source: Source,
    /// `None` until the source is visible for the first time.
    grabber: Option<Grabber>,
    cursor: Option<Cursor>,
    size: Resolution,
    hidden: Option<PauseReason>,
    /// The time of the frame delivered last.
    delivered: Option<CaptureTime>,
    /// How often in a row the server refused a picture.
    refusals: u32,
}

impl Session {
    /// Connects to the display and finds the source.
    pub(super) fn open(config: &CaptureConfig) -> Result<Self, CaptureError> {
        let wake = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map(Arc::new)
            .map_err(|error| {
                CaptureError::new(CaptureErrorKind::Failed, NAME, "preparing to wait").with_source(error)
            })?;
        let waker = Arc::clone(&wake);
        let control = Arc::new(Control::with_wake(config.frame_rate, move || {
            // It can fail only when the counter is full, and then the thread is awake anyway.
            let _ = rustix::io::write(&waker, &1u64.to_ne_bytes());
        }));
        let display = Display::connect(Some(Arc::clone(&control)))?;
        let mut source = Source::find(&config.target, &display)?;
        let cursor = config.cursor.then(|| Cursor::new(&display)).transpose()?;
        let (size, grabber) = match source.status(&display)? {
            Status::Gone(_) => {
                return Err(CaptureError::new(CaptureErrorKind::NotFound, NAME, "looking for the source")
                    .with_source(format!("{} is gone", config.target)));
            }
            Status::Hidden(_) => (source.hidden_size(&display)?, None),
            Status::Visible(view) => {
                let drawable = source.damaged_drawable(&display);
                (view.size, Some(Grabber::new(&display, drawable, view)?))
            }
        };
        // The first look at the source tells whether it is visible.
        let inbox = Inbox { source_changed: true, ..Inbox::default() };
        Ok(Self {
            control,
            wake,
            display,
            inbox,
            source,
            grabber,
            cursor,
            size,
            hidden: None,
            delivered: None,
            refusals: 0,
        })
    }

    pub(super) fn control(&self) -> &Arc<Control> {
        &self.control
    }

    pub(super) fn size(&self) -> Resolution {
        self.size
    }

    /// What the user should know of how this display is captured.
    pub(super) fn note(&self) -> Option<String> {
        let mut notes = Vec::new();
        if self.grabber.as_ref().is_some_and(|grabber| !grabber.is_shared()) {
            notes.push("no shared memory with the display: each picture is copied through the connection");
        }
        if self.source.can_be_covered() {
            notes.push("windows that cover this one are captured with it");
        }
        if self.display.wayland {
            notes.push("a Wayland desktop: only windows of X11 programs are seen");
        }
        (!notes.is_empty()).then(|| notes.join("; "))
    }

    /// Delivers events until the source ends, the capture breaks or is stopped.
    pub(super) fn run(mut self, mut sink: CaptureSink) {
        let last = match self.capture(&mut sink) {
            Ok(Some(reason)) => CaptureEvent::Ended(reason),
            Ok(None) => return,
            Err(error) => CaptureEvent::Failed(error),
        };
        if !self.control.stopping() {
            sink(last);
        }
    }

    /// `None` if it was stopped.
    fn capture(&mut self, sink: &mut CaptureSink) -> Result<Option<EndReason>, CaptureError> {
        let mut rate = self.control.rate();
        let mut pace = Pace::new(rate, clock::now());
        let mut refresh = false;
        let mut cursor_due = clock::now();
        let mut check_due = clock::now();
        let mut retry_at = clock::now();
        loop {
            self.clear_wake();
            self.inbox.drain(&self.display)?;
            if self.control.stopping() {
                return Ok(None);
            }
            let now = clock::now();
            if self.control.rate() != rate {
                rate = self.control.rate();
                pace.set_rate(rate, now);
            }
            refresh |= self.control.take_refresh();
            if self.inbox.source_changed || (self.source.needs_checks() && now >= check_due) {
                check_due = now + CHECK_INTERVAL;
                if let Some(reason) = self.check_source(sink)? {
                    return Ok(Some(reason));
                }
            }
            if self.hidden.is_none() && (now >= pace.due() || (refresh && now >= retry_at)) {
                let told = !self.inbox.damage.is_empty();
                if refresh || told || self.is_dirty() || (self.cursor.is_some() && now >= cursor_due) {
                    cursor_due = now + rate.interval();
                    let looked = self.look(refresh, sink)?;
                    refresh &= looked != Look::Delivered;
                    retry_at = now + RETRY_INTERVAL;
                    // Damage elsewhere counts as well: looking at it is paced like a frame.
                    if told || looked != Look::Unchanged {
                        pace.taken(now);
                    }
                    if self.control.stopping() {
                        return Ok(None);
                    }
                }
            }
            // Events that came along with answers are not on the socket any more: take them before waiting.
            self.inbox.drain(&self.display)?;
            if self.inbox.source_changed {
                continue;
            }
            let mut wake_at = self.source.needs_checks().then_some(check_due);
            let mut wait_for = |time: CaptureTime| wake_at = Some(wake_at.map_or(time, |at| at.min(time)));
            if self.hidden.is_none() {
                if self.is_dirty() {
                    wait_for(pace.due());
                } else if refresh {
                    wait_for(retry_at);
                } else if self.cursor.is_some() {
                    wait_for(pace.due().max(cursor_due));
                }
            }
            let timeout = wake_at.map(|at| at.saturating_since(clock::now()));
            self.display.wait(self.wake.as_fd(), timeout)?;
        }
    }

    fn is_dirty(&self) -> bool {
        !self.inbox.damage.is_empty() || self.grabber.as_ref().is_some_and(Grabber::is_dirty)
    }

    /// Takes and delivers a picture if there is something to see, or `even_unchanged`.
    fn look(&mut self, even_unchanged: bool, sink: &mut CaptureSink) -> Result<Look, CaptureError> {
        let Some(grabber) = &mut self.grabber else { return Ok(Look::Unchanged) };
        grabber.take_damage(&self.display, &mut self.inbox)?;
        let view = grabber.view();
        if let Some(cursor) = &mut self.cursor {
            if std::mem::take(&mut self.inbox.cursor_changed) {
                cursor.fetch_shape(&self.display)?;
            }
            let window = self.source.damaged_drawable(&self.display);
            match cursor.locate(&self.display, window, view.origin) {
                Ok(()) => {}
                // The window may have gone just now: the check finds out.
                Err(error) if error.kind() == CaptureErrorKind::Failed => self.inbox.source_changed = true,
                Err(error) => return Err(error),
            }
        }
        let cursor_moved = self.cursor.as_ref().is_some_and(|cursor| !cursor.damage(view.size).is_empty());
        if !grabber.is_dirty() && !cursor_moved && !even_unchanged {
            return Ok(Look::Unchanged);
        }
        match grabber.grab(&self.display, &mut self.inbox, self.cursor.as_mut())? {
            Grabbed::Frame(frame, changed) => {
                self.refusals = 0;
                self.deliver(frame, changed, sink);
                Ok(Look::Delivered)
            }
            Grabbed::NoMemory => {
                tracing::trace!("every picture is still in use: frame skipped");
                Ok(Look::Missed)
            }
            Grabbed::Refused(error) => {
                self.refusals += 1;
                self.inbox.source_changed = true;
                self.inbox.picture_moved = true;
                if self.refusals > MOST_REFUSALS {
                    return Err(CaptureError::new(CaptureErrorKind::Failed, NAME, "taking a picture")
                        .with_source(format!("the display refuses: {:?}", error.error_kind)));
                }
                Ok(Look::Missed)
            }
        }
    }

    fn deliver(&mut self, frame: VideoFrame, changed: yc_media::Rect, sink: &mut CaptureSink) {
        // Two pictures within one tick of the clock still get times of their own.
        let damage = match self.delivered {
            None => Damage::Full,
            Some(_) if changed.is_empty() => Damage::None,
            Some(_) if changed == frame.size().rect() => Damage::Full,
            Some(_) => Damage::Part(changed),
        };
        let time = match self.delivered {
            Some(last) => frame.captured_at().max(last + Duration::from_nanos(1)),
            None => frame.captured_at(),
        };
        self.delivered = Some(time);
        if !self.control.stopping() {
            sink(CaptureEvent::Frame(frame.repeated_at(time).with_damage(damage)));
        }
    }

    /// Looks whether the source is still there and as it was, and tells what is not. The reason why it
    /// ended, if it did.
    fn check_source(&mut self, sink: &mut CaptureSink) -> Result<Option<EndReason>, CaptureError> {
        self.inbox.source_changed = false;
        if std::mem::take(&mut self.inbox.picture_moved) {
            self.source.forget_picture(&self.display)?;
            if let Some(grabber) = &mut self.grabber {
                grabber.invalidate();
            }
        }
        let status = self.source.status(&self.display)?;
        self.inbox.window = self.source.window_shape();
        let view = match status {
            Status::Gone(reason) => return Ok(Some(reason)),
            Status::Hidden(reason) => {
                if self.hidden.replace(reason) != Some(reason) {
                    sink(CaptureEvent::Paused(reason));
                }
                return Ok(None);
            }
            Status::Visible(view) => view,
        };
        if self.hidden.take().is_some() {
            if let Some(grabber) = &mut self.grabber {
                grabber.invalidate();
            }
            sink(CaptureEvent::Resumed);
        }
        match &mut self.grabber {
            Some(grabber) if grabber.view() == view => {}
            Some(grabber) => grabber.set_view(&self.display, view)?,
            None => {
                let drawable = self.source.damaged_drawable(&self.display);
                match Grabber::new(&self.display, drawable, view) {
                    Ok(grabber) => self.grabber = Some(grabber),
                    Err(error)
                        if error.kind() == CaptureErrorKind::Failed && self.refusals < MOST_REFUSALS =>
                    {
                        // The window went between the question and the wish: ask again.
                        self.refusals += 1;
                        self.inbox.source_changed = true;
                        return Ok(None);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        if view.size != self.size {
            self.size = view.size;
            sink(CaptureEvent::Resized(view.size));
        }
        Ok(None)
    }

    fn clear_wake(&self) {
        // Empty is as good as emptied.
        let _ = rustix::io::read(&self.wake, &mut [0; 8]);
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("source", &self.source)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// What came of a look at the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Delivered,
    Unchanged,
    /// There was something to see, but no way to take it now.
    Missed,
}

/// How often a source that does not tell every change of itself is looked at.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);
/// How soon a refused picture is asked for again.
const RETRY_INTERVAL: Duration = Duration::from_millis(10);
/// How many refusals in a row mean that it will never work.
const MOST_REFUSALS: u32 = 100;
