//! What there is to capture on a desktop of Windows.

use super::area::Area;
use super::sys::{self, Window};
use crate::{CaptureError, CaptureSource, CaptureTarget, SourceKind};

/// A monitor. Its index in [`monitors`] is that of `monitor:N`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Monitor {
    /// Its `HMONITOR`.
    pub(crate) handle: isize,
    /// Where it lies on the desktop.
    pub(crate) area: Area,
    /// `\\.\DISPLAY1`: the same as long as it is connected.
    pub(crate) device: String,
    /// For the user.
    pub(crate) name: String,
    pub(crate) primary: bool,
}

/// The monitors of the desktop, the primary one first.
pub(crate) fn monitors() -> Vec<Monitor> {
    let _pixels = sys::DpiAware::enter();
    let mut monitors: Vec<_> = sys::monitors()
        .into_iter()
        .map(|facts| Monitor {
            handle: facts.handle,
            area: facts.area,
            name: title(&facts.device, &facts.name),
            device: facts.device,
            primary: facts.primary,
        })
        .collect();
    monitors.sort_by(|a, b| (!a.primary, &a.device).cmp(&(!b.primary, &b.device)));
    monitors
}

/// The whole desktop: what holds all monitors.
pub(crate) fn desktop(monitors: &[Monitor]) -> Option<Area> {
    monitors.iter().map(|monitor| monitor.area).reduce(Area::union)
}

/// The sources that `backend` lists: the desktop, the monitors, and the windows as the task bar has them.
pub(crate) fn list(backend: &'static str) -> Result<Vec<CaptureSource>, CaptureError> {
    let _pixels = sys::DpiAware::enter();
    let monitors = monitors();
    let mut sources = Vec::new();
    let mut add = |target, kind, title, area: Area, process| {
        // What is larger than any picture can be is not offered.
        if let Ok(size) = area.size() {
            let source = CaptureSource::new(target, kind, title, size, backend).with_process(process);
            sources.push(source);
        }
    };
    if let Some(desktop) = desktop(&monitors) {
        add(CaptureTarget::Screen, SourceKind::Screen, "Desktop".to_owned(), desktop, None);
    }
    for (index, monitor) in monitors.iter().enumerate() {
        let target = CaptureTarget::Monitor(index as u32);
        add(target, SourceKind::Monitor, monitor.name.clone(), monitor.area, None);
    }
    for id in sys::windows() {
        let window = Window::new(id);
        if !window.is_visible() || window.is_tool() || window.is_owned() {
            continue;
        }
        let title = window.title();
        let (false, Some(frame)) = (title.is_empty(), window.frame()) else { continue };
        add(CaptureTarget::Window(id), SourceKind::Window, title, frame, window.program());
    }
    Ok(sources)
}

/// The name on the task bar and the monitor's own: `DISPLAY1, Generic PnP Monitor`.
fn title(device: &str, name: &str) -> String {
    let device = device.trim_start_matches("\\\\.\\");
    if name.is_empty() { device.to_owned() } else { format!("{device}, {name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_monitor_is_named_by_its_number_and_its_make() {
        assert_eq!(title(r"\\.\DISPLAY1", "Generic PnP Monitor"), "DISPLAY1, Generic PnP Monitor");
        assert_eq!(title(r"\\.\DISPLAY2", ""), "DISPLAY2");
    }

    #[test]
    fn the_desktop_holds_its_monitors_and_the_primary_one_comes_first() {
        let monitors = monitors();
        assert!(monitors[0].primary, "{monitors:?}");
        let desktop = desktop(&monitors).unwrap();
        assert!(monitors.iter().all(|monitor| desktop.contains(monitor.area)), "{monitors:?}");
        let sources = list("test").unwrap();
        assert_eq!(sources[0].target, CaptureTarget::Screen);
        assert_eq!(sources[1].target, CaptureTarget::Monitor(0));
        assert_eq!(sources[1].size, monitors[0].area.size().unwrap());
    }
}
