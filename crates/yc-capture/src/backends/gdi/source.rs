//! The part of the desktop that is captured, and what becomes of it.

use yc_media::{Rect, Resolution};

use super::NAME;
use crate::backends::win32::{self, Area, Place, Window};
use crate::{CaptureError, CaptureErrorKind, CaptureTarget, EndReason};

/// One source.
#[derive(Debug)]
pub(super) enum Source {
    Window(Window),
    /// A monitor, by the name of its device: its index changes when others come and go.
    Monitor(String),
    Desktop,
    /// A part of the desktop, counted from its corner.
    Region(Rect),
}

/// Whether a source can be captured now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Visible(View),
    /// A window that is minimised or hidden, and its size.
    Hidden(Resolution),
    Gone(EndReason),
}

/// Where the pixels are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct View {
    /// The window whose device context has them; the desktop's has them otherwise.
    pub(super) window: Option<Window>,
    /// Where the picture starts in that context.
    pub(super) at: (i32, i32),
    /// Where the picture starts on the desktop.
    pub(super) origin: (i32, i32),
    pub(super) size: Resolution,
}

impl Source {
    /// Finds what `target` names.
    pub(super) fn find(target: &CaptureTarget) -> Result<Self, CaptureError> {
        let place = Place::find(target)
            .map_err(|why| CaptureError::new(why.kind(), NAME, "looking for the source").with_source(why))?;
        Ok(match (target, place) {
            (_, Place::Window(window)) => Self::Window(window),
            (CaptureTarget::Monitor(_), Place::Monitor { monitor, .. }) => Self::Monitor(monitor.device),
            (CaptureTarget::Region(part), _) => Self::Region(*part),
            (_, _) => Self::Desktop,
        })
    }

    /// Looks at the source again.
    pub(super) fn status(&self) -> Result<Status, CaptureError> {
        let area = match self {
            Self::Window(window) => return window_status(*window),
            Self::Monitor(device) => win32::monitors()
                .into_iter()
                .find(|monitor| monitor.device == *device)
                .map(|monitor| monitor.area),
            Self::Desktop => win32::desktop(&win32::monitors()),
            Self::Region(part) => win32::desktop(&win32::monitors()).and_then(|desktop| desktop.part(*part)),
        };
        let Some(area) = area else { return Ok(Status::Gone(EndReason::MonitorRemoved)) };
        let corner = (area.left, area.top);
        Ok(Status::Visible(View { window: None, at: corner, origin: corner, size: size(area)? }))
    }
}

fn window_status(window: Window) -> Result<Status, CaptureError> {
    if !window.exists() {
        return Ok(Status::Gone(EndReason::WindowClosed));
    }
    // Between the questions it may be closed: then it has no frame, and the next look finds out.
    let (Some(frame), Some(outer)) = (window.frame(), window.outer()) else {
        return Ok(Status::Hidden(Resolution::new(1, 1).map_err(out_of_bounds)?));
    };
    if window.is_minimised() || !window.is_visible() {
        return Ok(Status::Hidden(size(frame)?));
    }
    Ok(Status::Visible(View {
        window: Some(window),
        at: (frame.left.saturating_sub(outer.left), frame.top.saturating_sub(outer.top)),
        origin: (frame.left, frame.top),
        size: size(frame)?,
    }))
}

fn size(area: Area) -> Result<Resolution, CaptureError> {
    area.size().map_err(out_of_bounds)
}

fn out_of_bounds(error: yc_media::MediaError) -> CaptureError {
    CaptureError::new(CaptureErrorKind::InvalidInput, NAME, "reading the source's size").with_source(error)
}
