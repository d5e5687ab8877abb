//! Where on the desktop a source lies.

use yc_media::Rect;

use super::area::Area;
use super::list::{Monitor, desktop, monitors};
use super::sys::Window;
use crate::{CaptureErrorKind, CaptureTarget};

/// A source on the desktop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Window(Window),
    /// A monitor, or the part of one.
    Monitor {
        monitor: Monitor,
        part: Rect,
    },
    /// Reaches over several monitors.
    Desktop(Area),
}

/// Why a source is not there.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoPlace {
    #[error("{0} is not part of a desktop of Windows")]
    OtherKind(String),
    #[error("there is no monitor")]
    NoMonitor,
    #[error("monitor {0} is not one of 0 to {1}")]
    NoSuchMonitor(u32, usize),
    #[error("there is no window {0:#x}")]
    NoSuchWindow(u64),
    #[error("{region} is not inside the desktop, {width}x{height}+0+0")]
    OutsideDesktop { region: String, width: u32, height: u32 },
}

impl NoPlace {
    /// What the caller can do.
    pub(crate) fn kind(&self) -> CaptureErrorKind {
        match self {
            Self::OtherKind(_) => CaptureErrorKind::Unsupported,
            Self::OutsideDesktop { .. } => CaptureErrorKind::InvalidInput,
            Self::NoMonitor | Self::NoSuchMonitor(..) | Self::NoSuchWindow(_) => CaptureErrorKind::NotFound,
        }
    }
}

impl Place {
    /// Where `target` is now.
    pub(crate) fn find(target: &CaptureTarget) -> Result<Self, NoPlace> {
        if let CaptureTarget::Window(id) = *target {
            let window = Window::new(id);
            return if window.exists() { Ok(Self::Window(window)) } else { Err(NoPlace::NoSuchWindow(id)) };
        }
        Self::among(target, monitors())
    }

    fn among(target: &CaptureTarget, mut monitors: Vec<Monitor>) -> Result<Self, NoPlace> {
        let count = monitors.len();
        let area = match *target {
            CaptureTarget::Screen => desktop(&monitors).ok_or(NoPlace::NoMonitor)?,
            CaptureTarget::Monitor(index) => {
                monitors.get(index as usize).ok_or(NoPlace::NoSuchMonitor(index, count.max(1) - 1))?.area
            }
            CaptureTarget::Region(part) => {
                let desktop = desktop(&monitors).ok_or(NoPlace::NoMonitor)?;
                desktop.part(part).ok_or_else(|| NoPlace::OutsideDesktop {
                    region: target.to_string(),
                    width: desktop.width,
                    height: desktop.height,
                })?
            }
            ref other => return Err(NoPlace::OtherKind(other.to_string())),
        };
        // Mirrored monitors lie in one place; a monitor that is asked for by its index is that one.
        let at = match *target {
            CaptureTarget::Monitor(index) => Some(index as usize),
            _ => monitors.iter().position(|monitor| monitor.area.contains(area)),
        };
        let Some(at) = at else { return Ok(Self::Desktop(area)) };
        let monitor = monitors.swap_remove(at);
        let part = Rect {
            x: area.left.abs_diff(monitor.area.left),
            y: area.top.abs_diff(monitor.area.top),
            width: area.width,
            height: area.height,
        };
        Ok(Self::Monitor { monitor, part })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn monitor(left: i32, width: u32, height: u32) -> Monitor {
        Monitor {
            handle: left as isize,
            area: Area { left, top: 0, width, height },
            device: String::new(),
            name: String::new(),
            primary: left == 0,
        }
    }

    fn find(target: &str, monitors: &[Monitor]) -> Result<Place, String> {
        Place::among(&target.parse().unwrap(), monitors.to_vec()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_whole_desktop_of_one_monitor_is_that_monitor() {
        let one = [monitor(0, 640, 480)];
        let whole = Rect { x: 0, y: 0, width: 640, height: 480 };
        let expected = Ok(Place::Monitor { monitor: one[0].clone(), part: whole });
        assert_eq!(find("screen", &one), expected);
        assert_eq!(find("monitor:0", &one), expected);
        assert_eq!(find("region:640x480+0+0", &one), expected);
    }

    #[test]
    fn a_region_is_counted_from_the_desktops_corner_and_may_reach_over_monitors() {
        let two = [monitor(0, 640, 480), monitor(-320, 320, 240)];
        let part = |x| Rect { x, y: 10, width: 100, height: 100 };
        assert_eq!(
            find("region:100x100+320+10", &two),
            Ok(Place::Monitor { monitor: two[0].clone(), part: part(0) })
        );
        assert_eq!(
            find("region:100x100+20+10", &two),
            Ok(Place::Monitor { monitor: two[1].clone(), part: part(20) })
        );
        let across = Area { left: -20, top: 10, width: 100, height: 100 };
        assert_eq!(find("region:100x100+300+10", &two), Ok(Place::Desktop(across)));
        let all = Area { left: -320, top: 0, width: 960, height: 480 };
        assert_eq!(find("screen", &two), Ok(Place::Desktop(all)));
    }

    #[test]
    fn what_is_not_there_is_named_with_what_is() {
        let one = [monitor(0, 640, 480)];
        assert_eq!(find("monitor:3", &one).unwrap_err(), "monitor 3 is not one of 0 to 0");
        let error = find("region:641x1+0+0", &one).unwrap_err();
        assert!(error.contains("region:641x1+0+0") && error.contains("640x480"), "{error}");
        assert_eq!(find("screen", &[]).unwrap_err(), "there is no monitor");
        assert!(find("synthetic", &one).unwrap_err().contains("synthetic"));
        let error = Place::find(&CaptureTarget::Window(0xdead_beef)).unwrap_err();
        assert_eq!(error.to_string(), "there is no window 0xdeadbeef");
    }
}
