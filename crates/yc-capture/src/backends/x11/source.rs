//! The part of the desktop that is captured, and what becomes of it.

use x11rb::connection::Connection;
use x11rb::errors::ReplyError;
use x11rb::protocol::composite::{self, Redirect};
use x11rb::protocol::randr::{self, MonitorInfo};
use x11rb::protocol::xproto::{
    Atom, ChangeWindowAttributesAux, ConnectionExt as _, Drawable, EventMask, MapState, Pixmap, Window,
    WindowClass,
};
use yc_media::{Rect, Resolution};

use super::NAME;
use super::display::{Display, failed, lost};
use super::inbox::WindowShape;
use crate::{CaptureError, CaptureErrorKind, CaptureTarget, EndReason, PauseReason};

/// One source on the display.
#[derive(Debug)]
pub(super) enum Source {
    Screen,
    Monitor { name: Atom },
    Region(Rect),
    Window(WindowSource),
}

/// A window that is captured.
#[derive(Debug)]
pub(super) struct WindowSource {
    id: Window,
    /// Whether its picture is kept apart from the screen for us, so that covering it does not matter.
    redirected: bool,
    /// The server's memory with that picture, and the size it was named at.
    pixmap: Option<(Pixmap, WindowShape)>,
}

/// Whether a source can be captured now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Visible(View),
    Hidden(PauseReason),
    Gone(EndReason),
}

/// Where the pixels are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct View {
    pub(super) drawable: Drawable,
    /// Where the picture starts in the drawable.
    pub(super) x: i16,
    pub(super) y: i16,
    /// Where the picture starts in the coordinates of damage and pointer.
    pub(super) origin: (i32, i32),
    pub(super) size: Resolution,
}

impl Source {
    /// Finds what `target` names and asks to be told of its changes.
    pub(super) fn find(target: &CaptureTarget, display: &Display) -> Result<Self, CaptureError> {
        let doing = "looking for the source";
        let screen = display.screen();
        let bounds = screen_size(display)?;
        let source = match *target {
            CaptureTarget::Screen => Self::Screen,
            CaptureTarget::Monitor(index) => {
                let monitors = monitors(display)?;
                let name = monitors.get(index as usize).map(|monitor| monitor.name).ok_or_else(|| {
                    CaptureError::new(CaptureErrorKind::NotFound, NAME, doing).with_source(format!(
                        "monitor {index} is not one of 0 to {}",
                        monitors.len().max(1) - 1
                    ))
                })?;
                Self::Monitor { name }
            }
            CaptureTarget::Region(region) => {
                if region.is_empty() || !bounds.rect().contains(region) {
                    return Err(CaptureError::new(CaptureErrorKind::InvalidInput, NAME, doing)
                        .with_source(format!("{target} is not inside the screen, {bounds}+0+0")));
                }
                Self::Region(region)
            }
            CaptureTarget::Window(id) => Self::Window(WindowSource::find(id, display)?),
            ref other => {
                return Err(CaptureError::new(CaptureErrorKind::Unsupported, NAME, doing)
                    .with_source(format!("{other} is not part of an X11 desktop")));
            }
        };
        let watched = match &source {
            Self::Window(window) => window.id,
            _ => {
                display.check_visual(screen.root_visual)?;
                screen.root
            }
        };
        let mask = ChangeWindowAttributesAux::new().event_mask(EventMask::STRUCTURE_NOTIFY);
        let connection = &display.connection;
        connection
            .change_window_attributes(watched, &mask)
            .map_err(|error| lost(doing, error))?
            .check()
            .map_err(|error| not_found(doing, target, error))?;
        if display.monitors {
            let mask = randr::NotifyMask::SCREEN_CHANGE
                | randr::NotifyMask::CRTC_CHANGE
                | randr::NotifyMask::OUTPUT_CHANGE;
            randr::select_input(connection, screen.root, mask).map_err(|error| lost(doing, error))?;
        }
        Ok(source)
    }

    /// The drawable whose damage says what changed.
    pub(super) fn damaged_drawable(&self, display: &Display) -> Drawable {
        match self {
            Self::Window(window) => window.id,
            _ => display.screen().root,
        }
    }

    /// Looks at the source again.
    pub(super) fn status(&mut self, display: &Display) -> Result<Status, CaptureError> {
        let area = match self {
            Self::Window(window) => return window.status(display),
            Self::Screen => screen_size(display)?.rect(),
            Self::Monitor { name } => {
                let Some(monitor) = monitors(display)?.into_iter().find(|monitor| monitor.name == *name)
                else {
                    return Ok(Status::Gone(EndReason::MonitorRemoved));
                };
                monitor_area(&monitor)
            }
            Self::Region(region) => *region,
        };
        // The screen may have become smaller than what was asked for.
        let area = area.intersect(screen_size(display)?.rect());
        if area.is_empty() {
            return Ok(Status::Gone(EndReason::MonitorRemoved));
        }
        let size = Resolution::new(area.width, area.height).map_err(out_of_bounds)?;
        Ok(Status::Visible(View {
            drawable: display.screen().root,
            // The screen is at most 16384 wide here.
            x: area.x as i16,
            y: area.y as i16,
            origin: (area.x as i32, area.y as i32),
            size,
        }))
    }

    /// The window with its size, if it is one.
    pub(super) fn window_shape(&self) -> Option<WindowShape> {
        match self {
            Self::Window(window) => window.pixmap.map(|(_, shape)| shape),
            _ => None,
        }
    }

    /// The server moved the window's picture: the pixmap that was named is no longer it.
    pub(super) fn forget_picture(&mut self, display: &Display) -> Result<(), CaptureError> {
        match self {
            Self::Window(window) => window.forget_picture(display),
            _ => Ok(()),
        }
    }

    /// Whether changes of it must be asked for because not all of them are told.
    pub(super) fn needs_checks(&self) -> bool {
        // An ancestor of a window may be unmapped, and a monitor be taken away by a client's wish.
        matches!(self, Self::Window(_) | Self::Monitor { .. })
    }

    /// The size of a window that is not shown.
    pub(super) fn hidden_size(&self, display: &Display) -> Result<Resolution, CaptureError> {
        match self {
            Self::Window(window) => drawable_size(display, window.id),
            _ => screen_size(display),
        }
    }

    /// Whether others may hide parts of it.
    pub(super) fn can_be_covered(&self) -> bool {
        matches!(self, Self::Window(window) if !window.redirected)
    }
}

impl WindowSource {
    fn find(id: u64, display: &Display) -> Result<Self, CaptureError> {
        let doing = "looking for the window";
        let missing = || {
            CaptureError::new(CaptureErrorKind::NotFound, NAME, doing)
                .with_source(format!("there is no window {id:#x}"))
        };
        let window = u32::try_from(id).map_err(|_| missing())?;
        let attributes = display
            .connection
            .get_window_attributes(window)
            .map_err(|error| lost(doing, error))?
            .reply()
            .map_err(|error| match error {
                ReplyError::X11Error(_) => missing(),
                error => failed(doing, error),
            })?;
        if attributes.class == WindowClass::INPUT_ONLY {
            return Err(CaptureError::new(CaptureErrorKind::InvalidInput, NAME, doing)
                .with_source(format!("window {id:#x} takes input only and has no picture")));
        }
        display.check_visual(attributes.visual)?;
        let redirected = display.composite
            && window != display.screen().root
            && composite::redirect_window(&display.connection, window, Redirect::AUTOMATIC)
                .map_err(|error| lost(doing, error))?
                .check()
                .is_ok();
        Ok(Self { id: window, redirected, pixmap: None })
    }

    fn status(&mut self, display: &Display) -> Result<Status, CaptureError> {
        let doing = "looking at the window";
        let connection = &display.connection;
        let attributes = connection.get_window_attributes(self.id).map_err(|error| lost(doing, error))?;
        let geometry = connection.get_geometry(self.id).map_err(|error| lost(doing, error))?;
        let (attributes, geometry) = match (attributes.reply(), geometry.reply()) {
            (Ok(attributes), Ok(geometry)) => (attributes, geometry),
            (Err(ReplyError::X11Error(_)), _) | (_, Err(ReplyError::X11Error(_))) => {
                return Ok(Status::Gone(EndReason::WindowClosed));
            }
            (Err(error), _) | (_, Err(error)) => return Err(failed(doing, error)),
        };
        if attributes.map_state != MapState::VIEWABLE {
            self.forget_picture(display)?;
            return Ok(Status::Hidden(PauseReason::Unmapped));
        }
        let shape = WindowShape {
            id: self.id,
            width: geometry.width,
            height: geometry.height,
            border: geometry.border_width,
        };
        let size = Resolution::new(geometry.width.into(), geometry.height.into()).map_err(out_of_bounds)?;
        let view = |drawable, border: u16| {
            let border = i16::try_from(border).unwrap_or_default();
            Status::Visible(View { drawable, x: border, y: border, origin: (0, 0), size })
        };
        if !self.redirected && !self.is_on_screen(display, size)? {
            return Ok(Status::Hidden(PauseReason::OffScreen));
        }
        if let Some((pixmap, named)) = self.pixmap
            && named == shape
        {
            return Ok(view(self.drawable(pixmap), self.border(shape)));
        }
        self.forget_picture(display)?;
        let mut pixmap = 0;
        if self.redirected {
            pixmap = connection.generate_id().map_err(|error| {
                CaptureError::new(CaptureErrorKind::Failed, NAME, doing).with_source(error)
            })?;
            let named = composite::name_window_pixmap(connection, self.id, pixmap)
                .map_err(|error| lost(doing, error))?
                .check();
            match named {
                Ok(()) => {}
                // Unmapped or gone since: the event that says so is on its way.
                Err(ReplyError::X11Error(_)) => return Ok(Status::Hidden(PauseReason::Unmapped)),
                Err(error) => return Err(failed(doing, error)),
            }
        }
        self.pixmap = Some((pixmap, shape));
        Ok(view(self.drawable(pixmap), self.border(shape)))
    }

    /// Whether all of the window lies on the screen, from which alone it can be read.
    fn is_on_screen(&self, display: &Display, size: Resolution) -> Result<bool, CaptureError> {
        let doing = "asking where the window is";
        let corner = display
            .connection
            .translate_coordinates(self.id, display.screen().root, 0, 0)
            .map_err(|error| lost(doing, error))?
            .reply();
        let corner = match corner {
            Ok(corner) => corner,
            // Gone just now: the next look finds out.
            Err(ReplyError::X11Error(_)) => return Ok(false),
            Err(error) => return Err(failed(doing, error)),
        };
        let (Ok(x), Ok(y)) = (u32::try_from(corner.dst_x), u32::try_from(corner.dst_y)) else {
            return Ok(false);
        };
        let area = Rect { x, y, width: size.width(), height: size.height() };
        Ok(screen_size(display)?.rect().contains(area))
    }

    /// A window's own pixels start inside its border, its pixmap's with it.
    fn border(&self, shape: WindowShape) -> u16 {
        if self.redirected { shape.border } else { 0 }
    }

    fn drawable(&self, pixmap: Pixmap) -> Drawable {
        if self.redirected { pixmap } else { self.id }
    }

    fn forget_picture(&mut self, display: &Display) -> Result<(), CaptureError> {
        if let Some((pixmap, _)) = self.pixmap.take()
            && self.redirected
        {
            display
                .connection
                .free_pixmap(pixmap)
                .map_err(|error| lost("letting go of the window's picture", error))?;
        }
        Ok(())
    }
}

/// The monitors of the display, in the order of the listing. One that is the whole screen where the
/// server knows of none.
pub(super) fn monitors(display: &Display) -> Result<Vec<MonitorInfo>, CaptureError> {
    let doing = "listing the monitors";
    let screen = display.screen();
    if display.monitors {
        let found = randr::get_monitors(&display.connection, screen.root, true)
            .map_err(|error| lost(doing, error))?
            .reply()
            .map_err(|error| failed(doing, error))?
            .monitors;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    let size = screen_size(display)?;
    Ok(vec![MonitorInfo {
        width: size.width() as u16,
        height: size.height() as u16,
        primary: true,
        ..MonitorInfo::default()
    }])
}

/// Where a monitor lies on the screen.
pub(super) fn monitor_area(monitor: &MonitorInfo) -> Rect {
    Rect {
        x: u32::try_from(monitor.x).unwrap_or_default(),
        y: u32::try_from(monitor.y).unwrap_or_default(),
        width: monitor.width.into(),
        height: monitor.height.into(),
    }
}

/// The size of the screen now: what the connection told at its start is of that time.
pub(super) fn screen_size(display: &Display) -> Result<Resolution, CaptureError> {
    drawable_size(display, display.screen().root)
}

fn drawable_size(display: &Display, drawable: Drawable) -> Result<Resolution, CaptureError> {
    let doing = "asking for a size";
    let geometry = display
        .connection
        .get_geometry(drawable)
        .map_err(|error| lost(doing, error))?
        .reply()
        .map_err(|error| failed(doing, error))?;
    Resolution::new(geometry.width.into(), geometry.height.into()).map_err(out_of_bounds)
}

fn not_found(doing: &'static str, target: &CaptureTarget, error: ReplyError) -> CaptureError {
    match error {
        ReplyError::X11Error(_) => CaptureError::new(CaptureErrorKind::NotFound, NAME, doing)
            .with_source(format!("{target} is gone")),
        error => failed(doing, error),
    }
}

fn out_of_bounds(error: yc_media::MediaError) -> CaptureError {
    CaptureError::new(CaptureErrorKind::InvalidInput, NAME, "reading the source's size").with_source(error)
}
